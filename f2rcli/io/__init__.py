"""Reading and writing clips: the format is found by the source or target, and does the rest.

A format is a folder with a `format.py`; adding one needs no edit here. There stand RANK,
SUFFIXES, `claims(source)` and `writes(target, reader)`, which say whether the format reads a
source or writes a target; `default_target`, `open_reader`, `plan_output` and `open_writer`.
Of those that claim, the one with the lowest rank is taken.
"""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

from f2rcli.errors import UsageError
from f2rcli.io.base import (
    Ledger,
    Reader,
    ReadOptions,
    Receipt,
    WriteOptions,
    WritePlan,
    Writer,
)

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


def open_reader(source: str | Path, options: ReadOptions | None = None) -> Reader:
    """Open a clip: a file, a folder or pattern of pictures, or "-" for standard input.

    Raises InputError with the reason it cannot be read.
    """
    module, options = _source_format(str(source)), options or ReadOptions()
    if options.axes is not None and not getattr(module, "AXES", False):
        raise UsageError(
            f"--axes {options.axes}: {Path(source).name} is no TIFF stack.", hint="Leave it out."
        )
    reader: Reader = module.open_reader(str(source), options)
    return reader


def plan_output(
    reader: Reader, target: str | Path, options: WriteOptions | None = None
) -> WritePlan:
    """Say what writing `reader` to `target` would do, without touching the disk.

    Raises UsageError or OutputError for what cannot be done.
    """
    plan: WritePlan = _target_format(str(target), reader).plan_output(
        reader, str(target), options or WriteOptions()
    )
    return plan


def open_writer(reader: Reader, plan: WritePlan) -> Writer:
    """Open what was planned. Leaving it without `finish()` leaves nothing behind."""
    writer: Writer = _target_format(plan.target, reader).open_writer(reader, plan)
    return writer


def default_target(source: str | Path) -> Path:
    """Where the output goes without `-o`: `clip_f2r.mp4` beside `clip.mp4`, "-" for "-"."""
    if str(source) == "-":
        return Path("-")
    target: Path = _source_format(str(source)).default_target(Path(source))
    return target


def readable_suffixes() -> frozenset[str]:
    """Suffixes, in lower case and with their dot, of files that some format reads."""
    return frozenset().union(*(module.SUFFIXES for module in _formats()))


def is_clip(folder: Path) -> bool:
    """Whether a folder is one clip: a format reads it as a whole, and no other clip lies in it.

    Beside pictures any other readable file makes it a folder of clips; beside a burst of raw files
    or pages of a stack a video does, while pictures are their previews. Raises OSError.
    """
    *special, video = _formats()  # the last one claims everything
    claiming = next((module for module in special if module.claims(str(folder))), None)
    if claiming is None:
        return False
    loose = ".png" in claiming.SUFFIXES
    others = readable_suffixes() - claiming.SUFFIXES if loose else video.SUFFIXES
    return not any(
        path.suffix.lower() in others and not path.name.startswith(".") and path.is_file()
        for path in folder.iterdir()
    )


def _formats() -> list[ModuleType]:
    folders = (f"{__name__}.{found.name}" for found in iter_modules(__path__) if found.ispkg)
    names = (f"{folder}.format" for folder in folders)
    modules = [import_module(name) for name in names if find_spec(name)]
    return sorted(modules, key=lambda module: int(module.RANK))


def _source_format(source: str) -> ModuleType:
    return next(module for module in _formats() if module.claims(source))


def _target_format(target: str, reader: Reader) -> ModuleType:
    return next(module for module in _formats() if module.writes(target, reader))
