"""Picture files: their suffixes, the sequences they make up, and their size by the header."""

import struct
from pathlib import Path

from f2rcli.errors import InputError
from f2rcli.io.images.metadata import jpeg_segments
from f2rcli.io.numbering import (
    Slot,
    check_one_kind,
    files_of,
    folder_slots,
    is_pattern,
    pattern_slots,
)

# Suffix -> FFmpeg's codec.
PICTURES = {
    ".png": "png", ".jpg": "mjpeg", ".jpeg": "mjpeg", ".bmp": "bmp", ".webp": "webp",
    ".tga": "targa", ".ppm": "ppm", ".pgm": "pgm", ".pnm": "ppm", ".exr": "exr", ".dpx": "dpx",
    ".jp2": "jpeg2000", ".j2k": "jpeg2000",
}  # fmt: skip
WRITTEN = {".png": "png", ".jpg": "mjpeg", ".jpeg": "mjpeg"}


def holds_pictures(folder: Path) -> bool:
    """Whether a folder has pictures in it, hidden files apart."""
    return any(files_of(folder, PICTURES))


def find_slots(source: str) -> list[Slot]:
    """The frames of a sequence in order: by number, or by name where numbers count as numbers.

    source: a folder, a pattern or one file. Raises InputError for a mixture of kinds, for a
    pattern without files, and for gaps too wide to be lost frames.
    """
    path = Path(source)
    if path.is_dir():
        return _of_folder(path)
    if not path.exists() and is_pattern(source):
        return pattern_slots(path)
    return [Slot(path)]


def _of_folder(folder: Path) -> list[Slot]:
    files = list(files_of(folder, PICTURES))
    check_one_kind(folder, files, "pictures", "Pass a pattern, e.g. folder/%05d.png.")
    if not files:
        raise InputError(f"{folder.name}: holds no pictures.", hint="Name another folder.")
    return folder_slots(files)


def picture_size(path: Path) -> tuple[int, int] | None:
    """Width and height by the header of a PNG or JPEG file; None for others and damaged ones."""
    with path.open("rb") as handle:
        head = handle.read(1 << 16)
    if head.startswith(b"\x89PNG") and len(head) >= 24:
        width, height = struct.unpack(">II", head[16:24])
        return int(width), int(height)
    if not head.startswith(b"\xff\xd8"):
        return None
    for kind, segment in jpeg_segments(head):
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC) and len(segment) >= 9:
            height, width = struct.unpack(">HH", segment[5:9])
            return int(width), int(height)
    return None
