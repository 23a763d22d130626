"""Targets: where the output goes by default, and whether it may be written there."""

import os
import stat
from pathlib import Path

from f2rcli.errors import OutputError, UsageError
from f2rcli.io.disk_errors import disk_errors, exists_error
from f2rcli.io.numbering import is_pattern, numbered


def default_folder(source: Path) -> Path | None:
    """`run_f2r` beside the folder `run`, given itself or as `run/%05d.tif`; None for a file."""
    if source.is_dir():
        return source.with_name(f"{source.name}_f2r")
    if is_pattern(str(source)) and not source.exists():
        folder = source.parent.resolve()
        return folder.with_name(f"{folder.name}_f2r")
    return None


def check_target(target: Path, sources: list[Path], *, overwrite: bool) -> None:
    """Raise for a target that cannot or must not be written; touches nothing."""
    with disk_errors(target):  # names that are too long
        _check_target(target, sources, overwrite=overwrite)


def check_place(target: Path, sources: list[Path]) -> None:
    """Raise for a target that is one of the sources, or in a folder that does not exist."""
    if target.parent.is_file():
        raise OutputError(
            f"{target.name}: {target.parent} is a file, not a folder.",
            hint="Choose another name with output=.",
        )
    if not target.parent.is_dir():
        raise OutputError(
            f"{target.name}: the folder {target.parent} does not exist.", hint="Create it first."
        )
    if any(same_file(source, target) for source in sources):
        raise UsageError(
            f"{target.name}: the output is the input itself.",
            hint="Choose another name with output=; the input is never written.",
        )


def _check_target(target: Path, sources: list[Path], *, overwrite: bool) -> None:
    check_place(target, sources)
    if target.is_dir():
        raise OutputError(f"{target.name}: is a folder.", hint="Name a file with output=.")
    if target.exists():
        if not overwrite:
            raise exists_error(target)
        if not stat.S_ISREG(target.stat().st_mode):
            raise OutputError(
                f"{target.name}: is not a regular file.",
                hint="Pass output='-' to write to standard output.",
            )
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise OutputError(
            f"{target.name}: no permission to write into {target.parent}.",
            hint="Choose another folder with output=.",
        )


def same_file(a: Path, b: Path) -> bool:
    """Whether two paths lead to the same file, whatever links they go through."""
    try:
        return a.samefile(b)
    except OSError:  # one of them does not exist
        return a.absolute() == b.absolute()


def check_folder(folder: Path, sources: list[Path], *, pattern: str = "", overwrite: bool) -> None:
    """Raise unless a folder of files can be written; touches nothing. pattern: the files' name or
    pattern; "": their sources' names."""
    if pattern and not is_pattern(pattern):
        check_target(folder / pattern, sources, overwrite=overwrite)
        return
    if not folder.exists():
        check_target(folder, sources, overwrite=overwrite)
        return
    if not folder.is_dir():
        raise OutputError(f"{folder.name}: is a file, not a folder.", hint="Name a folder.")
    if (
        sources
        and same_file(folder, sources[0].parent)
        and (not pattern or any(_matches(folder, pattern, path.name) for path in sources))
    ):
        raise UsageError(
            f"{folder.name}: the output is the input itself.",
            hint="Name another folder with output=; the input is never written.",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(
            f"{folder.name}: no permission to write there.",
            hint="Name another folder with output=.",
        )
    there = [path for path in folder.iterdir() if not path.name.startswith(".")]
    in_the_way = [path for path in there if not pattern or _matches(folder, pattern, path.name)]
    if in_the_way and not overwrite:
        raise exists_error(sorted(in_the_way)[0] if pattern else folder)


def _matches(folder: Path, pattern: str, name: str) -> bool:
    digits = "".join(c for c in name if c.isdigit())
    return bool(digits) and any(
        numbered(folder / pattern, int(digits[start:])).name == name for start in range(len(digits))
    )
