"""Refusals of the file system, as errors that say what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from f2rcli.errors import OutputError

ELSEWHERE = "choose another folder with output="
FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}  # Windows knows no quota


@contextmanager
def disk_errors(target: Path, elsewhere: str = ELSEWHERE) -> Iterator[None]:
    """Turn the file system's errors within the block into OutputError about `target`."""
    try:
        yield
    except OSError as error:
        raise disk_error(target, error, elsewhere) from error


def exists_error(target: Path) -> OutputError:
    """The error for a target that already exists."""
    return OutputError(
        f"{target.name}: already exists.", hint="Pass overwrite=True, or another name with output=."
    )


def misread_error(
    name: str, what: str = "differs when it is read back", instead: str = ""
) -> OutputError:
    """The error for a file that is not what was written. instead: what else may help."""
    hint = f"Nothing was written to the target. Check the disk{instead}."
    return OutputError(f"{name}: {what}.", hint=hint)


def disk_error(target: Path, error: OSError, elsewhere: str = ELSEWHERE) -> OutputError:
    """A file system's error as one that says what to do; elsewhere: how to name another place."""
    match error.errno:
        case full if full in FULL:
            why, hint = "the disk is full", f"Free some space, or {elsewhere}."
        case errno.EFBIG:
            why, hint = "the file grew beyond the size limit", "Raise the limit (ulimit -f)."
        case errno.EACCES | errno.EPERM | errno.EROFS:
            why, hint = "no permission to write there", f"{elsewhere[0].upper()}{elsewhere[1:]}."
        case errno.EPIPE:
            why, hint = "the pipe was closed by its reader", "Check the program after the pipe."
        case errno.EBADF:
            why, hint = "it is closed", "Send it to a file or a pipe."
        case errno.ENAMETOOLONG:
            why, hint = "the name is too long", "Choose a shorter one with output=."
        case _:
            why, hint = error.strerror or str(error), "Check the disk and the path."
    return OutputError(f"{target.name}: cannot be written: {why}.", hint=hint)
