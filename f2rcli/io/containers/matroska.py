"""Pixel aspect and chroma siting in Matroska and WebM headers, which PyAV cannot reach.

FFmpeg's muxer takes the aspect from a field of its stream that PyAV cannot set, so it is written
into the header afterwards. Room for it comes from `PADDING`, put into the track's name when the
file is muxed and taken out here; no element behind the track moves.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

PADDING = " " * 16  # DisplayWidth and DisplayHeight take up to 12 bytes, a Void at least 2

_SEGMENT, _TRACKS, _TRACK, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0xE0
_NAME, _CLUSTER, _CRC, _VOID = 0x536E, 0x1F43B675, 0xBF, 0xEC
_WIDTH, _HEIGHT, _UNIT = 0x54B0, 0x54BA, 0x54B2
_COLOUR, _HORIZONTAL, _VERTICAL = 0x55B0, 0x55B7, 0x55B8
# Across and down: 1 is at the edge, 2 half-way.
_SITINGS = {(1, 2): "left", (2, 2): "center", (1, 1): "topleft", (2, 1): "top"}
_HEAD = 1 << 20  # bytes; tracks are described within the first of them


@dataclass(frozen=True, slots=True)
class _Element:
    ident: int
    start: int  # of the element
    body: int  # of its content
    end: int


def read_siting(path: Path, track: int) -> str:
    """The chroma siting in the header of track `track` (from 0), "" if unstated; VP9, FFV1 and
    others do not have it in the stream."""
    try:
        with path.open("rb") as handle:
            head = handle.read(_HEAD)
        _, entries = _tracks(head)
        video = _child(head, entries[track].body, entries[track].end, _VIDEO)
        colour = _child(head, video.body, video.end, _COLOUR)
        place = [_child(head, colour.body, colour.end, i) for i in (_HORIZONTAL, _VERTICAL)]
    except (OSError, ValueError, IndexError):
        return ""
    across, down = (int.from_bytes(head[e.body : e.end], "big") for e in place)
    return _SITINGS.get((across, down), "")


def segment_end(file: BinaryIO) -> int | None:
    """Where the first segment ends by its header; None where it is unknown, as if live."""
    head = file.read(_HEAD)
    try:
        segment = _child(head, 0, len(head), _SEGMENT)
    except (ValueError, IndexError):
        return None
    size = head[segment.start + 4 : segment.body]
    return None if _is_unknown(size) else segment.end


def _is_unknown(size: bytes) -> bool:
    """Whether a coded size is EBML's mark for unknown: all bits behind the marker set."""
    value = int.from_bytes(size, "big")
    return value == (1 << 7 * len(size) + 1) - 1


def write_pixel_aspect(path: Path, track: int, size: tuple[int, int], aspect: Fraction) -> None:
    """Give track `track` (from 0) of pictures of `size` a pixel aspect. Raises ValueError for a
    layout other than FFmpeg's."""
    with path.open("r+b") as handle:
        head = handle.read(_HEAD)
        tracks, entries = _tracks(head)
        entry = entries[track]
        body = _with_display_size(head[entry.body : entry.end], _display_size(size, aspect))
        changed = head[: entry.body] + body + head[entry.end :]
        changed = _with_checksum(changed, tracks)
        handle.seek(tracks.start)
        handle.write(changed[tracks.start : tracks.end])


def _display_size(size: tuple[int, int], aspect: Fraction) -> tuple[int, int]:
    """Width and height in proportion to the shape shown, exact where that is possible."""
    shape = Fraction(size[0], size[1]) * aspect
    width, height = round(size[1] * shape), size[1]
    if Fraction(width, height) != shape and max(shape.as_integer_ratio()) < 1 << 16:
        width, height = shape.as_integer_ratio()
        scale = max(1, size[1] // height)
        width, height = width * scale, height * scale
    return width, height


def _with_display_size(track: bytes, shown: tuple[int, int]) -> bytes:
    """A track's content with the size in its video part, and as long as it was."""
    parts = []
    for element in _elements(track, 0, len(track)):
        raw = track[element.start : element.end]
        content = track[element.body : element.end]
        if element.ident == _NAME and content.endswith(PADDING.encode()):
            name = content[: -len(PADDING)]
            raw = _element(_NAME, name) if name else b""
        if element.ident == _VIDEO:
            inner = [
                content[e.start : e.end]
                for e in _elements(content, 0, len(content))
                if e.ident not in (_WIDTH, _HEIGHT, _UNIT)
            ]
            inner += [_element(i, _uint(v)) for i, v in zip((_WIDTH, _HEIGHT), shown, strict=True)]
            raw = _element(_VIDEO, b"".join(inner))
        parts.append(raw)
    whole = b"".join(parts)
    spare = len(track) - len(whole)
    if spare < 0 or spare == 1:
        raise ValueError("no room for the pixel aspect in the track's header")
    return whole + (_element(_VOID, bytes(spare - 2)) if spare else b"")


def _with_checksum(head: bytes, tracks: _Element) -> bytes:
    """The same bytes with the checksum of the tracks made good, where they carry one."""
    first = next(_elements(head, tracks.body, tracks.end))
    if first.ident != _CRC:
        return head
    value = zlib.crc32(head[first.end : tracks.end]).to_bytes(4, "little")
    return head[: first.body] + value + head[first.end :]


def _tracks(head: bytes) -> tuple[_Element, list[_Element]]:
    segment = _child(head, 0, len(head), _SEGMENT)
    tracks = _child(head, segment.body, min(segment.end, len(head)), _TRACKS)
    return tracks, [e for e in _elements(head, tracks.body, tracks.end) if e.ident == _TRACK]


def _child(data: bytes, start: int, end: int, ident: int) -> _Element:
    for element in _elements(data, start, end):
        if element.ident == ident:
            return element
        if element.ident == _CLUSTER:
            break
    raise ValueError(f"no element {ident:#x} in the header")


def _elements(data: bytes, start: int, end: int) -> Iterator[_Element]:
    place = start
    while place < end:
        ident, body = _number(data, place, keep_marker=True)
        size, body = _number(data, body, keep_marker=False)
        yield _Element(ident, place, body, body + size)
        place = body + size


def _number(data: bytes, place: int, *, keep_marker: bool) -> tuple[int, int]:
    """A number of EBML's variable length, and the place behind it."""
    first = data[place]
    length = 9 - first.bit_length()
    if length > 8:
        raise ValueError("not EBML")
    value = int.from_bytes(data[place : place + length], "big")
    return value if keep_marker else value & ((1 << 7 * length) - 1), place + length


def _element(ident: int, content: bytes) -> bytes:
    size = len(content)
    length = next(n for n in range(1, 9) if size < (1 << 7 * n) - 1)
    coded = (size | 1 << 7 * length).to_bytes(length, "big")
    return ident.to_bytes((ident.bit_length() + 7) // 8, "big") + coded + content


def _uint(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
