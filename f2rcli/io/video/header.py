"""The display size of a Matroska track, written into its finished file: PyAV has no call for it."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

# Of a track's name: DisplayWidth and DisplayHeight take 12 bytes, a Void at least 2.
PADDING = " " * 16
NO_CHECKSUMS = {"write_crc32": "0"}  # for a Matroska file whose header will be changed

# Identifiers of Matroska's elements (RFC 9559).
_SEGMENT, _TRACKS, _TRACK, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0xE0
_NAME, _CLUSTER, _VOID = 0x536E, 0x1F43B675, 0xEC
_DISPLAY = 0x54B0, 0x54BA, 0x54B2  # width, height, unit
_HEAD = 1 << 20  # bytes; tracks are described within the first of them


def display_size(size: tuple[int, int], aspect: Fraction) -> tuple[int, int]:
    """Width and height in proportion to the shape shown, exact where that is possible."""
    shape = Fraction(*size) * aspect
    if max(shape.as_integer_ratio()) >= 1 << 16:
        return round(size[1] * shape), size[1]
    scale = max(1, size[1] // shape.denominator)
    return shape.numerator * scale, shape.denominator * scale


class _Element(NamedTuple):
    ident: int
    start: int  # of the element
    body: int  # of its content
    end: int


def write_display_size(path: Path, track: int, shown: tuple[int, int]) -> None:
    """Give track `track` (from 0), whose name ends with PADDING, a display size. Raises ValueError
    for a layout other than FFmpeg's."""
    with path.open("r+b") as file:
        head = file.read(_HEAD)
        entry = _all(head, _SEGMENT, _TRACKS, _TRACK)[track]
        parts = []
        for element in _elements(head, entry.body, entry.end):
            raw, content = head[element.start : element.end], head[element.body : element.end]
            if element.ident == _NAME and content.endswith(PADDING.encode()):
                name = content[: -len(PADDING)]
                raw = _element(_NAME, name) if name else b""
            if element.ident == _VIDEO:
                kept = (e for e in _elements(content) if e.ident not in _DISPLAY)
                inner = [content[e.start : e.end] for e in kept]
                for ident, value in zip(_DISPLAY, shown, strict=False):
                    inner.append(_element(ident, value.to_bytes(4, "big").lstrip(b"\0")))
                raw = _element(_VIDEO, b"".join(inner))
            parts.append(raw)
        whole = b"".join(parts)
        spare = entry.end - entry.body - len(whole)
        if spare < 0 or spare == 1:
            raise ValueError("no room for it in the track's header")
        file.seek(entry.body)
        file.write(whole + (_element(_VOID, bytes(spare - 2)) if spare else b""))


def _all(data: bytes, *path: int) -> list[_Element]:
    """The elements at a path of identifiers."""
    found = [_Element(0, 0, 0, len(data))]
    for ident in path:
        inside = (e for parent in found for e in _elements(data, parent.body, parent.end))
        found = [element for element in inside if element.ident == ident]
    return found


def _elements(data: bytes, place: int = 0, end: int = _HEAD) -> Iterator[_Element]:
    """The elements one after the other; pictures, and what follows them, are left out."""
    while place < min(end, len(data)):
        ident, body = _number(data, place, keep_marker=True)
        if ident == _CLUSTER:
            return
        size, body = _number(data, body, keep_marker=False)
        yield _Element(ident, place, body, body + size)
        place = body + size


def _number(data: bytes, place: int, *, keep_marker: bool) -> tuple[int, int]:
    """A number of EBML's variable length, and the place behind it."""
    length = 9 - data[place].bit_length()
    if length > 8:
        raise ValueError("not EBML")
    value = int.from_bytes(data[place : place + length], "big")
    return value if keep_marker else value & ((1 << 7 * length) - 1), place + length


def _element(ident: int, content: bytes) -> bytes:
    size = len(content)
    length = next(n for n in range(1, 9) if size < (1 << 7 * n) - 1)
    coded = (size | 1 << 7 * length).to_bytes(length, "big")
    return ident.to_bytes((ident.bit_length() + 7) // 8, "big") + coded + content
