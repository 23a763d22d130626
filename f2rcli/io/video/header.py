"""What the header of a Matroska or MP4 file says and FFmpeg does not hand on: cropping, display
size, levels of chapters, languages with regions, what a camera wrote for itself; and what PyAV
cannot have written, the display size of a Matroska track."""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

# Of a track's name: DisplayWidth and DisplayHeight take 12 bytes, a Void at least 2.
PADDING = " " * 16
NO_CHECKSUMS = {"write_crc32": "0"}  # for a Matroska file whose header will be changed

# Identifiers of Matroska's elements (RFC 9559).
_SEGMENT, _TRACKS, _TRACK, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0xE0
_NAME, _CLUSTER, _VOID = 0x536E, 0x1F43B675, 0xEC
_DISPLAY = _WIDTH, _HEIGHT, _UNIT = 0x54B0, 0x54BA, 0x54B2
_CROP = 0x54BB, 0x54AA, 0x54CC, 0x54DD  # top, bottom, left, right
_CHAPTERS, _EDITION, _ATOM, _HIDDEN, _TITLE = 0x1043A770, 0x45B9, 0xB6, 0x98, 0x80
_LANGUAGE, _BCP47 = 0x437C, 0x22B59D
_HEAD = 1 << 20  # bytes; tracks are described within the first of them
_MOST = 1 << 24  # bytes of a movie header that are looked at
# Boxes of `udta` that FFmpeg reads as tags or chapters, or that say how a player's window stood.
_ORDINARY = {
    "meta", "name", "chpl", "loci", "titl", "auth", "gnre", "cprt", "albm", "yrrc", "perf", "dscp",
    "hnti", "hinf", "WLOC", "LOOP", "SelO", "AllF", "ptv ",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class HeaderFacts:
    """What a header states of the picture's track, and of its file."""

    display: tuple[int, int] | None = None  # width and height to show it at, or in proportion
    crop: tuple[int, int] = (0, 0)  # columns and rows that are not shown
    odd_chapters: bool = False  # nested, hidden, or with languages: FFmpeg reads flat lists
    long_languages: tuple[str, ...] = ()  # of tracks, by BCP 47: pt-BR; FFmpeg reads three letters
    device_boxes: tuple[str, ...] = ()  # the names of what a camera wrote for itself

    def pixel_aspect(self, width: int, height: int) -> Fraction | None:
        """The shape of a pixel of a picture of that size; None where the header does not say."""
        shown = width - self.crop[0], height - self.crop[1]
        if self.display is None or min(shown) <= 0:
            return None
        return Fraction(*self.display) * Fraction(shown[1], shown[0])


def header_facts(path: Path | None, form: str, track: int, size: tuple[int, int]) -> HeaderFacts:
    """The facts of a file, as far as its header can be read; path: None for a pipe. form: FFmpeg's
    name of the format; track: the picture's, from 0; size: of pictures."""
    try:
        if path is not None and "matroska" in form:
            return _matroska_facts(path, track)
        if path is not None and form.startswith("mov"):
            return _movie_facts(path, size)
    except (OSError, ValueError, IndexError, struct.error, ZeroDivisionError):
        pass
    return HeaderFacts()


# --- Matroska -------------------------------------------------------------------------------------


def _matroska_facts(path: Path, track: int) -> HeaderFacts:
    with path.open("rb") as file:
        head = file.read(_HEAD)
    tracks = _all(head, _SEGMENT, _TRACKS, _TRACK)
    (video,) = _all(tracks[track], _VIDEO)
    numbers = {ident: int.from_bytes(content, "big") for ident, _, content in _elements(video)}
    shown = numbers.get(_WIDTH, 0), numbers.get(_HEIGHT, 0)
    top, bottom, left, right = (numbers.get(ident, 0) for ident in _CROP)
    odd = len(_all(head, _SEGMENT, _CHAPTERS, _EDITION)) > 1
    for atom in _all(head, _SEGMENT, _CHAPTERS, _EDITION, _ATOM):
        odd |= len(_all(atom, _TITLE)) > 1 or bool(_all(atom, _ATOM))
        odd |= any(map(any, _all(atom, _HIDDEN)))
        odd |= not {b"und", b"eng"}.issuperset(_all(atom, _TITLE, _LANGUAGE))
    spoken = [name for one in tracks for name in _all(one, _BCP47)]
    return HeaderFacts(
        display=shown if all(shown) else None,
        crop=(left + right, top + bottom),
        odd_chapters=odd,
        long_languages=tuple(str(name, "latin-1") for name in spoken if b"-" in name),
    )


def write_display_size(path: Path, track: int, shown: tuple[int, int]) -> None:
    """Give track `track` (from 0), whose name ends with PADDING, a display size. Raises ValueError
    for a layout other than FFmpeg's."""
    with path.open("r+b") as file:
        head = file.read(_HEAD)
        entry = _all(head, _SEGMENT, _TRACKS, _TRACK)[track]
        parts = []
        for ident, raw, content in _elements(entry):
            if ident == _NAME and content.endswith(PADDING.encode()):
                name = content[: -len(PADDING)]
                raw = _element(_NAME, name) if name else b""
            if ident == _VIDEO:
                inner = [one for kind, one, _ in _elements(content) if kind not in _DISPLAY]
                for kind, value in zip(_DISPLAY, shown, strict=False):
                    inner.append(_element(kind, value.to_bytes(4, "big").lstrip(b"\0")))
                raw = _element(_VIDEO, b"".join(inner))
            parts.append(raw)
        whole = b"".join(parts)
        spare = len(entry) - len(whole)
        if spare < 0 or spare == 1:
            raise ValueError("no room for it in the track's header")
        file.seek(head.index(entry))
        file.write(whole + (_element(_VOID, bytes(spare - 2)) if spare else b""))


def _all(data: bytes, *path: int) -> list[bytes]:
    """The contents of the elements at a path of identifiers."""
    found = [data]
    for ident in path:
        inside = (one for parent in found for one in _elements(parent))
        found = [content for own, _, content in inside if own == ident]
    return found


def _elements(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """The elements one after the other: identifier, all bytes, and content; pictures, and what
    follows them, are left out."""
    place = 0
    while place < len(data):
        ident, body = _number(data, place, keep_marker=True)
        if ident == _CLUSTER:
            return
        size, body = _number(data, body, keep_marker=False)
        yield ident, data[place : body + size], data[body : body + size]
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


# --- MP4 and MOV ----------------------------------------------------------------------------------


def _movie_facts(path: Path, size: tuple[int, int]) -> HeaderFacts:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found = (
            data[at : min(end, at + _MOST)] for kind, at, end in _boxes(data) if kind == b"moov"
        )
        moov = next(found, b"")
    place = moov.find(b"clap") + 4  # the clean aperture's width and height, as fractions
    crop = 0, 0
    if place > 4:
        shown = (Fraction(*struct.unpack_from(">2I", moov, place + at)) for at in (0, 8))
        wide, high = (round(whole - part) for whole, part in zip(size, shown, strict=True))
        crop = wide, high
    beside = (moov[body:end] for kind, body, end in _boxes(moov) if kind == b"udta")
    names = [str(kind, "latin-1").strip() for udta in beside for kind, _, _ in _boxes(udta)]
    own = [name for name in names if name.isalnum() and name.isascii() and name not in _ORDINARY]
    return HeaderFacts(crop=crop, device_boxes=tuple(dict.fromkeys(own)))


def _boxes(data: bytes | mmap.mmap) -> Iterator[tuple[bytes, int, int]]:
    """The boxes in a box: their names, and where their contents begin and end."""
    place = 0
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        head = 16 if length == 1 else 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, place + 8)
        if length < head:
            return
        yield kind, place + head, place + length
        place += length
