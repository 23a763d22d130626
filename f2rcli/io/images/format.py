"""Still pictures: a folder, a pattern such as frames/%05d.png, or one file."""

from pathlib import Path

from f2rcli.io.base import Reader, ReadOptions, WriteOptions, WritePlan, Writer
from f2rcli.io.images.files import PICTURES, WRITTEN, holds_pictures, is_pattern
from f2rcli.io.images.reader import SequenceReader
from f2rcli.io.images.writer import SequenceWriter, plan_sequence

RANK = 50
SUFFIXES = frozenset(PICTURES)


def claims(source: str) -> bool:
    """Folders of pictures, patterns, and single pictures by their suffix."""
    path = Path(source)
    if path.is_dir():
        return holds_pictures(path)
    return path.suffix.lower() in SUFFIXES


def writes(target: str, reader: Reader) -> bool:
    """Patterns and pictures by suffix; folders; for pictures, any name without a suffix."""
    path = Path(target)
    if target == "-":
        return False
    if path.is_dir() or target.endswith(("/", "\\")):
        return True
    pictures = reader.origin.container == "images"
    return path.suffix.lower() in WRITTEN or (pictures and not path.suffix)


def default_target(source: Path) -> Path:
    """`frames_f2r` beside `frames`, `frames_f2r/%05d.png` for a pattern, `a_f2r.png` for one."""
    if source.is_dir():
        return source.with_name(f"{source.name}_f2r")
    suffix = source.suffix if source.suffix.lower() in WRITTEN else ".png"
    if is_pattern(str(source)) and not source.exists():
        folder = source.parent.resolve()
        return folder.with_name(f"{folder.name}_f2r") / f"{source.stem}{suffix}"
    return source.with_name(f"{source.stem}_f2r{suffix}")


def open_reader(source: str, options: ReadOptions) -> Reader:
    """Open a sequence."""
    return SequenceReader(source, options)


def plan_output(reader: Reader, target: str, options: WriteOptions) -> WritePlan:
    """Plan numbered pictures."""
    return plan_sequence(reader, target, options)


def open_writer(reader: Reader, plan: WritePlan) -> Writer:
    """Open what was planned."""
    return SequenceWriter(reader, plan)
