"""Result files: checked before there is work to lose, written at the end."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from f2rcli.errors import OutputError, UsageError
from f2rcli.io import readable_suffixes
from f2rcli.io.files import check_target, same_file, write_file


def check_result(
    flag: str, target: str | None, others: Iterable[str | None], *, overwrite: bool
) -> None:
    """Raise for a result file that cannot be written, or that is a clip or another file of the run
    (`others`; of LABEL=PATH the path)."""
    if target is None:
        return
    path = Path(target)
    named = [Path(word.partition("=")[2] or word) for word in others if word]
    own = any(same_file(path, one) for one in named)
    if own or path.suffix.lower() in readable_suffixes():
        what = "names another file of this run" if own else "is named like a clip"
        raise UsageError(
            f"{flag} {path}: {what}.",
            hint="Name another file; clips and weights are never written.",
        )
    with _about(flag):
        check_target(path, [], overwrite=overwrite)


def write_result(flag: str, target: str, data: bytes, *, overwrite: bool) -> None:
    """Write a result file, whole or not at all. Raises OutputError."""
    with _about(flag):
        write_file(Path(target), data, overwrite=overwrite)


@contextmanager
def _about(flag: str) -> Iterator[None]:
    """Errors within name the option of a result file, and not -o, for what to change."""
    try:
        yield
    except OutputError as error:
        hint = (error.hint or "").replace("output=", flag)
        raise OutputError(f"{flag}: {error}", hint=hint) from error


def command_typed() -> str:
    """The command line, with file names instead of private paths."""
    return " ".join(["f2r", *(Path(word).name if "/" in word else word for word in sys.argv[1:])])
