"""Still pictures: a folder, a pattern such as frames/%05d.png, or one file.

FFmpeg's codecs read and write them.
"""

from pathlib import Path

from f2rcli.io.base import Reader
from f2rcli.io.images.files import PICTURES, WRITTEN, holds_pictures
from f2rcli.io.images.reader import ImageReader as open_reader
from f2rcli.io.images.writer import ImageWriter as open_writer
from f2rcli.io.images.writer import plan_images as plan_output
from f2rcli.io.targets import default_folder

__all__ = ["open_reader", "open_writer", "plan_output"]

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
    pictures = isinstance(reader, open_reader)
    return path.suffix.lower() in WRITTEN or (pictures and not path.suffix)


def default_target(source: Path) -> Path:
    """`frames_f2r` beside `frames`, `frames_f2r/%05d.png` for a pattern, `a_f2r.png` for one."""
    suffix = source.suffix if source.suffix.lower() in WRITTEN else ".png"
    folder = default_folder(source)
    if folder is None:
        return source.with_name(f"{source.stem}_f2r{suffix}")
    return folder if source.is_dir() else folder / f"{source.stem}{suffix}"
