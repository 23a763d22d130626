"""A camera's metadata: EXIF, GPS, XMP, IPTC and its maker notes.

They are taken over as they are, so that developers and catalogues find exposure, lens, date and
place. Sources: raw files in TIFF's clothes (DNG, CR2, NEF, ARW, ORF, RW2, PEF, KDC, ...), the EXIF
block of the preview in Fujifilm's RAF and Panasonic's RW2, boxes CMT1 to CMT4 of Canon's CR3. What
these lack comes from LibRaw's reading of the file.
"""

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import IO, Any

import tifffile

from f2rcli.io.raw.ifd import Block, Entry, directory, first_directory, read_directory
from f2rcli.io.raw.tags import Tag

ASCII, SHORT, RATIONAL, SRATIONAL = 2, 3, 5, 10
EXIF, GPS, XMP, IPTC, PRIVATE, MAKER_NOTE = 34665, 34853, 700, 33723, 50740, 37500
_DESCRIPTION = 270
# Of the first directory: description, date, artist, computer, stars, Windows' title and keywords...
_TEXTS = (269, _DESCRIPTION, 306, 315, 316, 18246, 18249, 33432, *range(40091, 40096), XMP, IPTC)
# EXIF's codes, which TIFF/EP puts into the first directory: exposure, programme, lens, flash, ...
_EXIF_CODES = frozenset({33434, 33437, 34850, 34852, 34855, *range(36864, 36870),
                         *range(37377, 37387), 37396, *range(41483, 41996),
                         *range(42032, 42038)})  # fmt: skip
_PREVIEW, _PANASONIC = 46, b"IIU\0"  # of RW2: the JPEG in its first directory, its first bytes
_CIFF = b"HEAPCCDR"  # Canon's CRW, which begins as TIFF does
_INTEROPERABILITY = 40965  # a directory of its own, of no use here
# tifffile refuses to write pointers to directories: free codes beside them keep their places.
_STAND_INS = {EXIF: EXIF - 1, GPS: GPS + 1}
_OF_LIBRAW = "but for exposure, focal length, lens and date"
_STEERING = (b"camera-raw-settings", b"tiff:Orientation")  # in XMP
_TIME = "%Y:%m:%d %H:%M:%S"
_NAMES: dict[str | int, str] = {
    "exif": "EXIF (exposure, lens, date)", "gps": "GPS", XMP: "XMP", IPTC: "IPTC",
    PRIVATE: "maker notes",
}  # fmt: skip
BROKEN = (ValueError, IndexError, OSError, struct.error)


@dataclass(frozen=True, slots=True)
class Metadata:
    """Tags for the directories of a new DNG."""

    main: dict[int, Entry] = field(default_factory=dict)
    exif: dict[int, Entry] = field(default_factory=dict)
    gps: dict[int, Entry] = field(default_factory=dict)

    @property
    def for_mosaics(self) -> "Metadata":
        """The part for a mosaic in TIFF, whose description is its sensor's facts."""
        pictured = self.for_pictures
        without = {code: tag for code, tag in pictured.main.items() if code != _DESCRIPTION}
        return Metadata(without, self.exif, self.gps)

    @property
    def for_pictures(self) -> "Metadata":
        """The part for a developed picture; no XMP that would turn or develop it again."""
        without = {code: tag for code, tag in self.main.items() if code != PRIVATE}
        if XMP in without and any(word in without[XMP].data for word in _STEERING):
            del without[XMP]
        return Metadata(without, self.exif, self.gps)

    @property
    def codes(self) -> set[int]:
        """Codes of its tags in whatever directory, and of the directories."""
        return {*self.main, *self.exif, *self.gps, EXIF, GPS}

    @property
    def kept(self) -> list[str]:
        """Its contents, in words."""
        return [_NAMES[name] for name, entries in self._parts.items() if entries]

    @property
    def _parts(self) -> dict[str | int, dict[int, Entry]]:
        alone = {code: {code: tag} for code, tag in self.main.items() if code in _NAMES}
        single = [alone.get(code, {}) for code in (XMP, IPTC, PRIVATE)]
        return dict(zip(_NAMES, [self.exif, self.gps, *single], strict=True))

    def without(self, other: "Metadata") -> list[str]:
        """Contents that another lacks or has otherwise, in the words of `kept`."""
        theirs = other._parts
        return [
            _NAMES[name] for name, entries in self._parts.items()
            if any(theirs[name].get(code, tag)[:4] != tag[:4] or code not in theirs[name]
                   for code, tag in entries.items())
        ]  # fmt: skip


def read_metadata(path: Path, other: Any = None, lens: Any = None) -> Metadata:
    """The metadata of a raw file; other and lens: LibRaw's, for what its tags lack."""
    found = Metadata()
    with suppress(*BROKEN), path.open("rb") as file:
        found = _gathered(memoryview(mmap(file.fileno(), 0, access=ACCESS_READ)))  # huge at times
    missing = {code: entry for code, entry in _of_libraw(other, lens) if code not in found.exif}
    return Metadata(found.main, found.exif | missing, found.gps)


def as_tags(metadata: Metadata) -> list[Tag]:
    """Tags that tifffile writes into the first directory; `complete` needs them there."""
    own: list[Tag] = [(code, tag.type, tag.number, tag.data, True)
                      for code, tag in metadata.main.items()]  # fmt: skip
    return own + [(_STAND_INS[code], 4, 1, 0, True) for code in _directories(metadata)]


def complete(file: IO[bytes], metadata: Metadata) -> None:
    """Write the EXIF and GPS directories to the end of a little-endian TIFF file."""
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        tags = tiff.pages.first.tags
        offsets = {code: tags[_STAND_INS[code]].offset for code in _directories(metadata)}
    for code, offset in offsets.items():
        place = file.seek(0, os.SEEK_END)
        place += file.write(bytes(place % 2))
        file.write(directory(_directories(metadata)[code].values(), place))
        file.seek(offset)
        file.write(Entry(code, 4, 1, b"").packed(struct.pack("<I", place)))


def _directories(metadata: Metadata) -> dict[int, dict[int, Entry]]:
    return {code: entries for code, entries in ((EXIF, metadata.exif), (GPS, metadata.gps))
            if entries}  # fmt: skip


def _gathered(file: memoryview) -> Metadata:
    """The tags of all blocks of a file, the first one's where several have them."""
    main: dict[int, Entry] = {}
    exif: dict[int, Entry] = {}
    gps: dict[int, Entry] = {}
    notes = b""
    for kind, block in blocks(file):
        order, place = first_directory(block)
        own = read_directory(block, order, place)
        if kind == "notes":
            notes = notes or _adobe(bytes(block[place:]), order, place)
            continue
        tiff = own if kind == "tiff" else {}
        exif_place, gps_place = (tiff[c].whole if c in tiff else 0 for c in (EXIF, GPS))
        sub = own if kind == "exif" else read_directory(block, order, exif_place)
        note = sub.get(MAKER_NOTE)
        if note is not None:
            notes = notes or _adobe(note.data, order, note.offset)
        main = {code: tiff[code] for code in _TEXTS if code in tiff} | main
        exif = {code: tag for code, tag in tiff.items() if code in _EXIF_CODES} | sub | exif
        gps = (own if kind == "gps" else read_directory(block, order, gps_place)) | gps
        if PRIVATE in tiff:
            main.setdefault(PRIVATE, tiff[PRIVATE])
    if notes:
        main.setdefault(PRIVATE, Entry(PRIVATE, 1, len(notes), notes))
    for code in (MAKER_NOTE, _INTEROPERABILITY):
        exif.pop(code, None)
    return Metadata(main, exif, gps)


def _adobe(notes: bytes, order: str, offset: int) -> bytes:
    """Maker notes as DNGPrivateData in Adobe's form, which says where offsets in them count from.

    "Adobe", then a record "MakN": length, byte order and former place, big-endian; the notes.
    offset: their place behind the TIFF header that their own offsets count from.
    """
    letters = b"II" if order == "<" else b"MM"
    record = letters + struct.pack(">I", offset) + notes
    return b"Adobe\0MakN" + struct.pack(">I", len(record)) + record + bytes(len(record) % 2)


def blocks(file: memoryview) -> Iterator[tuple[str, Block]]:
    """The TIFF structures of a raw file: tiff, exif, gps or notes, and its bytes."""
    head = bytes(file[:16])
    if _is_tiff(head):
        yield "tiff", file
        if head.startswith(_PANASONIC):
            preview = read_directory(file, *first_directory(file)).get(_PREVIEW)
            if preview is not None:
                yield from _of_jpeg(memoryview(preview.data))
    elif head.startswith(b"FUJIFILMCCD-RAW"):
        place, length = struct.unpack(">II", file[84:92])
        yield from _of_jpeg(file[place : place + length])
    elif head[4:8] == b"ftyp":
        kinds = {b"CMT1": "tiff", b"CMT2": "exif", b"CMT3": "notes", b"CMT4": "gps"}
        for name, place, length in _boxes(file, 0, len(file)):
            if name in kinds:
                yield kinds[name], file[place : place + length]


def _is_tiff(head: bytes) -> bool:
    return head[:2] in (b"II", b"MM") and head[6:14] != _CIFF


def unheld(path: Path, found: Metadata) -> list[str]:
    """What a raw file holds that is no tag with a name, in words."""
    with path.open("rb") as file:
        if _is_tiff(file.read(16)):
            return []
    noted = PRIVATE in found.main
    but_for = "outside EXIF, GPS, XMP and maker notes"
    return [f"the camera's own data {but_for if noted else _OF_LIBRAW}"]


def _of_jpeg(jpeg: memoryview) -> Iterator[tuple[str, Block]]:
    place = 2
    while place + 4 <= len(jpeg) and jpeg[place] == 0xFF and jpeg[place + 1] != 0xDA:
        (length,) = struct.unpack(">H", jpeg[place + 2 : place + 4])
        if bytes(jpeg[place + 4 : place + 10]) == b"Exif\0\0":
            yield "tiff", jpeg[place + 10 : place + 2 + length]
            return
        place += 2 + length


def _boxes(file: memoryview, place: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Names, places and lengths of an ISO file's boxes, those inside moov and Canon's uuid too."""
    while place + 8 <= end:
        length, name = struct.unpack(">I4s", file[place : place + 8])
        if length < 8 or place + length > end:
            return  # the samples' own box may have a length of 64 bits: it comes last
        inside = {b"moov": 8, b"uuid": 24}.get(name)
        if inside is None:
            yield name, place + 8, length - 8
        else:
            yield from _boxes(file, place + inside, place + length)
        place += length


def _of_libraw(other: Any, lens: Any) -> Iterator[tuple[int, Entry]]:
    for code, name in ((33434, "shutter_speed"), (33437, "aperture"), (37386, "focal_length")):
        value = getattr(other, name, 0) or 0
        if value > 0:
            yield code, _rational(code, value)
    iso = round(getattr(other, "iso_speed", 0) or 0)
    if 0 < iso < 1 << 16:
        yield 34855, Entry(34855, SHORT, 1, struct.pack("<H", iso))
    moment = getattr(other, "timestamp", None)
    if moment is not None and moment.year > 1970:
        yield 36867, _text(36867, moment.strftime(_TIME))
    model = str(getattr(lens, "model", "") or "").strip()
    if model:
        yield 42036, _text(42036, model)


def _rational(code: int, value: float) -> Entry:
    short = Fraction(value).limit_denominator(10000)
    if short.numerator == 0:
        short = Fraction(1, round(1 / value))
    return Entry(code, RATIONAL, 1, struct.pack("<II", short.numerator, short.denominator))


def _text(code: int, text: str) -> Entry:
    data = text.encode("ascii", "replace") + b"\0"
    return Entry(code, ASCII, len(data), data)
