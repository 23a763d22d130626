"""Reading and writing clips, in the format that a source or target asks for.

A format is a folder whose `__init__` has what `Format` lists, and its place in `ORDER`.
"""

from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from f2rcli.errors import InputError, UsageError
from f2rcli.io.base import Ledger, Reader, ReadOptions, Receipt, WriteOptions, WritePlan, Writer
from f2rcli.io.numbering import files_of

# Formats that people bring from neighbouring trades, which FFmpeg would misread or refuse.
NEIGHBOURS = {
    ".ser": "Make it a TIFF stack or AVI first: Siril and PIPP do.",
    ".mlv": "Make it a folder of DNG first, with MLV App or mlv_dump --dng, and name that.",
}

__all__ = [
    "Ledger",
    "ReadOptions",
    "Reader",
    "Receipt",
    "WriteOptions",
    "WritePlan",
    "Writer",
    "default_target",
    "is_clip",
    "open_reader",
    "open_writer",
    "plan_output",
    "readable_suffixes",
]

# A folder of raw files may hold previews, too; one of TIFF pages is a stack; what is left, FFmpeg
# judges by content.
ORDER = ("raw", "stacks", "pictures", "video")


class Format(Protocol):
    """A format's folder, as this module uses it. Of those that claim, the first is taken.

    Stacks, whose axes and series users may name, also have AXES = True.
    """

    SUFFIXES: frozenset[str]  # of files it reads: lower case, with their dot

    def claims(self, source: str) -> bool:
        """Whether the format reads a source."""

    def writes(self, target: str, reader: Reader) -> bool:
        """Whether the format writes a target from what `reader` reads."""

    def default_target(self, source: Path) -> Path:
        """The target for a source that is denoised without `-o`."""

    def open_reader(self, source: str, options: ReadOptions) -> Reader:
        """Open a source. Raises InputError."""

    def plan_output(self, reader: Reader, target: str, options: WriteOptions) -> WritePlan:
        """Say what writing would do; touches nothing. Raises UsageError or OutputError."""

    def open_writer(self, reader: Reader, plan: WritePlan) -> Writer:
        """Open what was planned."""


def open_reader(source: str | Path, options: ReadOptions | None = None) -> Reader:
    """Open a clip: a file, a folder or pattern of pictures, or "-" for standard input.

    Raises InputError with the reason it cannot be read.
    """
    way = NEIGHBOURS.get(Path(source).suffix.lower())
    if way is not None and Path(source).is_file():
        what = f"{Path(source).name}: f2r does not read {Path(source).suffix.upper()[1:]} files."
        raise InputError(what, hint=way)
    found, options = _source_format(str(source)), options or ReadOptions()
    for name in ("axes", "series"):
        value = getattr(options, name)
        if value is not None and not getattr(found, "AXES", False):
            raise UsageError(
                f"{name}={value!r}: {Path(source).name} is not a stack.", hint="Leave it out."
            )
    return found.open_reader(str(source), options)


def plan_output(
    reader: Reader, target: str | Path, options: WriteOptions | None = None
) -> WritePlan:
    """Say what writing `reader` to `target` would do, without touching the disk.

    Raises UsageError or OutputError for what cannot be done.
    """
    options = options or WriteOptions()
    plan = _target_format(str(target), reader).plan_output(reader, str(target), options)
    return replace(plan, overwrite=options.overwrite)


def open_writer(reader: Reader, plan: WritePlan) -> Writer:
    """Open what was planned. Leaving it without `finish()` leaves nothing behind."""
    return _target_format(plan.target, reader).open_writer(reader, plan)


def default_target(source: str | Path) -> Path:
    """The target without `-o`: `clip_f2r.mp4` beside `clip.mp4`, "-" for "-"."""
    if str(source) == "-":
        return Path("-")
    return _source_format(str(source)).default_target(Path(source))


def readable_suffixes() -> frozenset[str]:
    """Suffixes, in lower case and with their dot, of files that some format reads."""
    return frozenset().union(*(module.SUFFIXES for module in _formats()))


def is_clip(folder: Path) -> bool:
    """Whether a folder is one clip: a format reads it as a whole and it holds no other clip.

    Beside pictures any other readable file makes it a folder of clips; beside a burst of raw files
    or pages of a stack a video does, while pictures are their previews. Raises OSError.
    """
    *special, video = _formats()  # the last one claims everything
    claiming = next((module for module in special if module.claims(str(folder))), None)
    if claiming is None:
        return False
    loose = ".png" in claiming.SUFFIXES
    others = readable_suffixes() - claiming.SUFFIXES if loose else video.SUFFIXES
    return not any(files_of(folder, others))


@cache
def _formats() -> tuple[Format, ...]:
    return tuple(cast(Format, import_module(f"{__name__}.{name}")) for name in ORDER)


def _source_format(source: str) -> Format:
    return next(found for found in _formats() if found.claims(source))


def _target_format(target: str, reader: Reader) -> Format:
    return next(found for found in _formats() if found.writes(target, reader))
