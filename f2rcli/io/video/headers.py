"""What headers of Matroska and MP4 say and FFmpeg does not hand on, and a display size put there.

FFmpeg's muxer takes Matroska's display size from a field of its stream that PyAV cannot set, so it
is written into the header afterwards. Room for it comes from `PADDING`, put into the track's name
when the file is muxed and taken out here; no element behind the track moves.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

PADDING = " " * 16  # DisplayWidth and DisplayHeight take up to 12 bytes, a Void at least 2

_SEGMENT, _TRACKS, _TRACK, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0xE0
_NAME, _CLUSTER, _CRC, _VOID = 0x536E, 0x1F43B675, 0xBF, 0xEC
_DISPLAY = _WIDTH, _HEIGHT, _UNIT = 0x54B0, 0x54BA, 0x54B2
_CROP = 0x54BB, 0x54AA, 0x54CC, 0x54DD  # top, bottom, left, right
_CHAPTERS, _EDITION, _ATOM, _HIDDEN, _TITLE = 0x1043A770, 0x45B9, 0xB6, 0x98, 0x80
_LANGUAGE = 0x437C
_HEAD = 1 << 20  # bytes; tracks are described within the first of them
_MOST = 1 << 24  # bytes of a movie header that are looked at
# Boxes of `udta` that FFmpeg reads as tags or chapters, or that say how a player's window stood.
_ORDINARY = {
    "meta", "name", "chpl", "loci", "titl", "auth", "gnre", "cprt", "albm", "yrrc", "perf", "dscp",
    "hnti", "hinf", "WLOC", "LOOP", "SelO", "AllF", "ptv ",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class HeaderFacts:
    """Facts of a video track and its file that the header states and FFmpeg does not hand on."""

    display: tuple[int, int] | None = None  # width and height to show it at, or in proportion
    crop: tuple[int, int] = (0, 0)  # columns and rows that are not shown
    odd_chapters: bool = False  # nested, hidden, or with languages: FFmpeg reads flat lists
    device_boxes: tuple[str, ...] = ()  # the names of what a camera wrote for itself

    @property
    def cropped(self) -> bool:
        """Whether parts of the pictures are not shown."""
        return any(self.crop)

    def pixel_aspect(self, width: int, height: int) -> Fraction | None:
        """The shape of a pixel of a picture of that size; None where the header does not say."""
        shown = width - self.crop[0], height - self.crop[1]
        if self.display is None or not all(self.display) or min(shown) <= 0:
            return None
        return Fraction(*self.display) * Fraction(shown[1], shown[0])


@dataclass(frozen=True, slots=True)
class _Element:
    ident: int
    start: int  # of the element
    body: int  # of its content
    end: int


def matroska_facts(path: Path, track: int) -> HeaderFacts:
    """The facts of track `track` (from 0) of a Matroska file, as far as its header can be read."""
    try:
        with path.open("rb") as handle:
            head = handle.read(_HEAD)
        _, entries = _tracks(head)
        video = _child(head, entries[track].body, entries[track].end, _VIDEO)
        numbers = {
            e.ident: int.from_bytes(head[e.body : e.end], "big")
            for e in _elements(head, video.body, video.end)
        }
        odd = _odd_chapters(head)
    except (OSError, ValueError, IndexError):
        return HeaderFacts()
    top, bottom, left, right = (numbers.get(ident, 0) for ident in _CROP)
    stated = _WIDTH in numbers and _HEIGHT in numbers
    return HeaderFacts(
        display=(numbers[_WIDTH], numbers[_HEIGHT]) if stated else None,
        crop=(left + right, top + bottom),
        odd_chapters=odd,
    )


def movie_facts(path: Path, width: int, height: int) -> HeaderFacts:
    """The facts of an MP4 or MOV file with pictures of that size."""
    try:
        with path.open("rb") as file:
            moov = _movie_header(file)
        place = moov.find(b"clap") + 4  # the clean aperture's width and height, as fractions
        crop = 0, 0
        if place > 4:
            wide, high = (Fraction(*struct.unpack_from(">2I", moov, place + at)) for at in (0, 8))
            crop = round(width - wide), round(height - high)
        own = [
            str(inner, "latin-1").strip()
            for kind, body in _boxes(moov)
            if kind == b"udta"
            for inner, _ in _boxes(body)
        ]
    except (OSError, struct.error, ZeroDivisionError):
        return HeaderFacts()
    boxes = (name for name in own if name.isalnum() and name.isascii() and name not in _ORDINARY)
    return HeaderFacts(crop=crop, device_boxes=tuple(dict.fromkeys(boxes)))


def _movie_header(file: BinaryIO) -> bytes:
    while head := file.read(8):
        length, kind = struct.unpack(">I4s", head)
        if length == 1:
            length = struct.unpack(">Q", file.read(8))[0] - 8
        if kind == b"moov":
            return file.read(min(max(length - 8, 0), _MOST))
        if length < 8:
            break
        file.seek(length - 8, 1)
    return b""


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The boxes in a box: their names and contents."""
    place = 0
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        if length < 8:
            return
        yield kind, data[place + 8 : place + length]
        place += length


def _odd_chapters(head: bytes) -> bool:
    segment = _child(head, 0, len(head), _SEGMENT)
    for chapters in _all(head, segment, _CHAPTERS):
        editions = list(_all(head, chapters, _EDITION))
        atoms = [atom for edition in editions for atom in _all(head, edition, _ATOM)]
        for atom in atoms:
            titles = list(_all(head, atom, _TITLE))
            tongues = {
                head[e.body : e.end] for title in titles for e in _all(head, title, _LANGUAGE)
            }
            hidden = any(head[e.end - 1] for e in _all(head, atom, _HIDDEN))
            nested = any(_all(head, atom, _ATOM))
            if nested or hidden or len(titles) > 1 or tongues - {b"und", b"eng"}:
                return True
        if len(editions) > 1:
            return True
    return False


def display_size(size: tuple[int, int], aspect: Fraction) -> tuple[int, int]:
    """Width and height in proportion to the shape shown, exact where that is possible."""
    shape = Fraction(*size) * aspect
    if max(shape.as_integer_ratio()) >= 1 << 16:
        return round(size[1] * shape), size[1]
    scale = max(1, size[1] // shape.denominator)
    return shape.numerator * scale, shape.denominator * scale


def write_display_size(path: Path, track: int, display: tuple[int, int]) -> None:
    """Give track `track` (from 0) a display size. Raises ValueError for a layout other than
    FFmpeg's."""
    with path.open("r+b") as handle:
        head = handle.read(_HEAD)
        tracks, entries = _tracks(head)
        entry = entries[track]
        body = _with_display_size(head[entry.body : entry.end], display)
        changed = head[: entry.body] + body + head[entry.end :]
        first = next(_elements(changed, tracks.body, tracks.end))
        if first.ident == _CRC:
            value = zlib.crc32(changed[first.end : tracks.end]).to_bytes(4, "little")
            changed = changed[: first.body] + value + changed[first.end :]
        handle.seek(tracks.start)
        handle.write(changed[tracks.start : tracks.end])


def _with_display_size(track: bytes, shown: tuple[int, int]) -> bytes:
    """A track's content with the size in its video part, and as long as it was."""
    parts = []
    for element in _elements(track, 0, len(track)):
        raw, content = track[element.start : element.end], track[element.body : element.end]
        if element.ident == _NAME and content.endswith(PADDING.encode()):
            name = content[: -len(PADDING)]
            raw = _element(_NAME, name) if name else b""
        if element.ident == _VIDEO:
            within = [e for e in _elements(content, 0, len(content)) if e.ident not in _DISPLAY]
            inner = [content[e.start : e.end] for e in within]
            inner += [_element(i, _uint(v)) for i, v in zip(_DISPLAY, shown, strict=False)]
            raw = _element(_VIDEO, b"".join(inner))
        parts.append(raw)
    whole = b"".join(parts)
    spare = len(track) - len(whole)
    if spare < 0 or spare == 1:
        raise ValueError("no room for it in the track's header")
    return whole + (_element(_VOID, bytes(spare - 2)) if spare else b"")


def _tracks(head: bytes) -> tuple[_Element, list[_Element]]:
    segment = _child(head, 0, len(head), _SEGMENT)
    tracks = _child(head, segment.body, min(segment.end, len(head)), _TRACKS)
    return tracks, list(_all(head, tracks, _TRACK))


def _child(data: bytes, start: int, end: int, ident: int) -> _Element:
    for element in _elements(data, start, end):
        if element.ident == ident:
            return element
    raise ValueError(f"no element {ident:#x} in the header")


def _all(data: bytes, parent: _Element, ident: int) -> Iterator[_Element]:
    inside = _elements(data, parent.body, min(parent.end, len(data)))
    return (element for element in inside if element.ident == ident)


def _elements(data: bytes, start: int, end: int) -> Iterator[_Element]:
    """The elements one after the other; pictures, and what follows them, are left out."""
    place = start
    while place < end:
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


def _uint(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
