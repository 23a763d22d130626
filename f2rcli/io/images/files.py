"""Picture files: their suffixes, the sequences they make up, and what PNG and JPEG state.

FFmpeg's encoders write little metadata (colour profile, EXIF, text, resolution), so it is copied
from file to file as it is.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from f2rcli.errors import InputError
from f2rcli.io.numbering import (
    axes_in_names,
    check_one_kind,
    files_in_order,
    files_of,
    is_pattern,
    natural_key,
)
from f2rcli.io.provenance import PNG, is_text_chunk

# Suffix -> FFmpeg's codec.
PICTURES = {
    ".png": "png", ".jpg": "mjpeg", ".jpeg": "mjpeg", ".bmp": "bmp", ".webp": "webp",
    ".tga": "targa", ".ppm": "ppm", ".pgm": "pgm", ".pnm": "ppm", ".exr": "exr", ".dpx": "dpx",
    ".jp2": "jpeg2000", ".j2k": "jpeg2000",
}  # fmt: skip
WRITTEN = {".png": "png", ".jpg": "mjpeg", ".jpeg": "mjpeg"}
_JPEG = b"\xff\xd8"
_CHUNKS = {
    b"iCCP", b"sRGB", b"cICP", b"gAMA", b"cHRM", b"mDCV", b"cLLI", b"pHYs", b"eXIf", b"tEXt",
    b"zTXt", b"iTXt", b"tIME",
}  # fmt: skip
_COLOUR = {b"iCCP", b"sRGB", b"cICP", b"gAMA", b"cHRM"}  # one of them replaces all of the encoder's
_EXIF, _ICC, _IPTC = 0xE1, 0xE2, 0xED  # JPEG's APP1, APP2, APP13
_START_OF_SCAN = 0xDA


def holds_pictures(folder: Path) -> bool:
    """Whether a folder has pictures in it, hidden files apart."""
    return any(files_of(folder, PICTURES))


def find_pictures(source: str) -> list[Path]:
    """The files of a sequence in order: by name where numbers count as numbers.

    source: a folder, a pattern or one file. Raises InputError for a mixture of kinds, and for a
    pattern without files.
    """
    path = Path(source)
    if path.is_dir():
        return _of_folder(path)
    return files_in_order(path) if not path.exists() and is_pattern(source) else [path]


def _of_folder(folder: Path) -> list[Path]:
    files = sorted(files_of(folder, PICTURES), key=natural_key)
    check_one_kind(folder, files, "pictures", "Pass a pattern, e.g. folder/%05d.png.")
    if not files:
        raise InputError(f"{folder.name}: holds no pictures.", hint="Name another folder.")
    _check_one_lane(folder, files)
    return files


def _check_one_lane(folder: Path, files: list[Path]) -> None:
    """Raise InputError for names that count more than time: pictures that are no neighbours."""
    named = axes_in_names(files)
    if named is not None and len(named[0]) > 1:
        axes = ", ".join(f"{axis} {size}" for axis, size in named[0].items())
        raise InputError(
            f"{folder.name}: names of its pictures count {axes}: which follow each other?",
            hint="Save them as TIFF, whose names make lanes; or pass a pattern with one number, "
            "such as exp_T%04d_C00_Z00.png.",
        )


def picture_size(path: Path) -> tuple[int, int] | None:
    """Width and height by the header of a PNG or JPEG file; None for others and damaged ones."""
    with path.open("rb") as handle:
        head = handle.read(1 << 16)
    if head.startswith(PNG) and len(head) >= 24:
        width, height = struct.unpack(">II", head[16:24])
        return int(width), int(height)
    if not head.startswith(b"\xff\xd8"):
        return None
    for kind, segment in jpeg_segments(head):
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC) and len(segment) >= 9:
            height, width = struct.unpack(">HH", segment[5:9])
            return int(width), int(height)
    return None


def read_metadata(path: Path) -> list[tuple[bytes, bytes]]:
    """The metadata of a file as (kind, raw bytes); empty for other formats."""
    try:
        data = path.read_bytes()
    except OSError:
        return []
    if data.startswith(PNG):
        chunks = ((kind, raw) for kind, raw in _png_chunks(data) if kind in _CHUNKS)
        return [(kind, raw) for kind, raw in chunks if not is_text_chunk(kind, raw)]
    if data.startswith(_JPEG):
        return [(bytes([kind]), raw) for kind, raw in jpeg_segments(data) if _travels(kind, raw)]
    return []


def with_metadata(picture: bytes, parts: list[tuple[bytes, bytes]]) -> bytes:
    """An encoded picture of the same format with this metadata in place of its own."""
    if not parts:
        return picture
    if picture.startswith(PNG):
        return _png_with(picture, parts)
    place = 2
    for kind, raw in jpeg_segments(picture):
        if kind != 0xE0:  # JFIF's own segment stays in front
            break
        place += len(raw)
    return picture[:place] + b"".join(raw for _, raw in parts) + picture[place:]


def _png_with(picture: bytes, parts: list[tuple[bytes, bytes]]) -> bytes:
    replaced = {kind for kind, _ in parts}
    if replaced & _COLOUR:
        replaced |= _COLOUR
    chunks = [(kind, raw) for kind, raw in _png_chunks(picture) if kind not in replaced]
    header, rest = chunks[0][1], b"".join(raw for _, raw in chunks[1:])
    return PNG + header + b"".join(raw for _, raw in parts) + rest


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(PNG)
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        yield data[place + 4 : place + 8], data[place : place + 12 + length]
        place += 12 + length


def jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and bytes of each segment of a JPEG file before its samples.

    Any number of fill bytes 0xFF may precede a marker (ITU-T T.81, B.1.1.2); they are left out.
    """
    place = 2
    while data[place : place + 1] == b"\xff":
        while data[place + 1 : place + 2] == b"\xff":
            place += 1
        if place + 4 > len(data) or data[place + 1] == _START_OF_SCAN:
            return
        length = 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        yield data[place + 1], data[place : place + length]
        place += length


def _travels(kind: int, raw: bytes) -> bool:
    if kind == _ICC:
        return raw[4:].startswith(b"ICC_PROFILE\0")
    return kind in (_EXIF, _IPTC)
