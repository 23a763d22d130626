"""A mistyped command line, in plain words: Typer's messages, and what to type instead."""

import os
import re
import shlex
from collections.abc import Sequence

REFUSED = re.compile(r"Invalid value for (.+?): Input should be (.+)", re.DOTALL)
PLAINLY = (  # what pydantic says of a value, and what f2r says of others
    (r"greater than or equal to (\S+)", r"\1 or more"),
    (r"less than or equal to (\S+)", r"\1 or less"),
    (r"a valid number\b.*", "a number"),
    (r"a valid integer\b.*", "a whole number"),
)


def in_plain_words(message: str, arguments: Sequence[str]) -> str:
    """A message of Typer's as f2r would say it: `--frames 2: must be 3 or more.`

    arguments: the words of the command line; other messages stay as they are.
    """
    found = REFUSED.fullmatch(message)
    if found is None:
        return message
    flags = re.findall(r"'([^']+)'", found[1]) or [found[1]]
    wanted = found[2].rstrip(".")
    for theirs, ours in PLAINLY:
        wanted = re.sub(theirs, ours, wanted)
    value = _value_of(flags, arguments)
    return f"{flags[0]}{'' if value is None else f' {value}'}: must be {wanted}."


def _value_of(flags: Sequence[str], arguments: Sequence[str]) -> str | None:
    """What was typed for an option; None where it came from elsewhere."""
    for word, after in zip(arguments, [*arguments[1:], None], strict=True):
        name, equals, value = word.partition("=")
        if name in flags:
            return value if equals else after
    return None


def advice(arguments: Sequence[str]) -> str | None:
    """What to type instead, where a file name was taken for another word; else None."""
    first, *others = arguments or [""]
    if not first.startswith("-") and os.path.isfile(first):
        return f"Name a command first: f2r denoise {shlex.quote(first)}."
    for word in others:
        if word.startswith("-") and os.path.isfile(word):
            return f"If it is a file, write {shlex.quote(f'./{word}')}."
    return None
