"""Options that may stand without their value: `--adapt` alone is `--adapt full`."""

from f2rcli.training.config import ADAPT

ALONE = {"--adapt": ("full", tuple(ADAPT))}  # option -> what it means alone, what may follow


def spell_out(arguments: list[str]) -> list[str]:
    """The same command line with every such value written out.

    The parser knows options with a value and options without; `--adapt -o out.mp4` would take
    `-o` for the value. What comes after `--` is no option.
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options, rest = arguments[:end], arguments[end:]
    spelled: list[str] = []
    for place, word in enumerate(options):
        spelled.append(word)
        following = options[place + 1] if place + 1 < len(options) else None
        if word in ALONE and following not in ALONE[word][1]:
            spelled[-1] = f"{word}={ALONE[word][0]}"
    return spelled + rest
