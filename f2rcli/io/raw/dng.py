"""DNG files: a copy of the source with new samples in its strips, or a new file.

A copy keeps every byte but the samples, so everything a camera or editor wrote stays. It is only
made where the strips, coded as the file says, are bit for bit what LibRaw read: uncompressed, 16
bits or packed. Else the file is written anew, with the source's tags where it was a DNG, and with
EXIF, GPS, XMP and maker notes of every raw file. Sources that are compressed become lossless JPEG:
two components side by side and predictor 1, which every raw developer reads.
"""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from f2rcli.errors import OutputError
from f2rcli.io.raw.exposure import RAW_SUFFIXES, Exposure, Samples
from f2rcli.io.raw.metadata import Metadata, as_tags, complete, read_metadata
from f2rcli.io.raw.provenance import provenance_tag, with_provenance
from f2rcli.io.raw.tags import DIGESTS, Tag, raw_page
from f2rcli.io.tiff.library import DAMAGE
from f2rcli.sensor import plane_colours

BYTE, ASCII, SHORT, LONG, RATIONAL, SRATIONAL, DOUBLE = 1, 2, 3, 4, 5, 10, 12
TILE = 512  # pixels a side at most, of compressed mosaics
_PACKED_BITS = (10, 12, 14)
_COLOURS = "RGB"  # codes in CFAPattern
_SRGB = (3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.2040, 1.0570)  # from XYZ
_D65 = 21


class Strip(NamedTuple):
    """A run of rows in a file."""

    offset: int
    length: int
    row: int
    rows: int


class Strips(NamedTuple):
    """The strips that hold a file's raw samples, and their coding."""

    strips: tuple[Strip, ...]
    bits: int
    byteorder: str  # of 16-bit samples, "<" or ">"
    digests: tuple[int, ...]  # places of 16-byte digests of the samples

    def coded(self, samples: Samples, strip: Strip) -> bytes:
        """The bytes of a strip that holds these samples."""
        rows = samples[strip.row : strip.row + strip.rows]
        if self.bits in _PACKED_BITS:
            return packed_bits(rows, self.bits)
        return rows.astype(self.byteorder + "u2").tobytes()


def find_strips(path: Path, samples: Samples) -> Strips | None:
    """The strips of a DNG that hold `samples`, as LibRaw read them; None if irreplaceable."""
    try:
        with tifffile.TiffFile(path) as file:
            page = raw_page(file)
            if page is None or not _plain(page, samples.shape):
                return None
            digests = tuple(
                int(tag.valueoffset) for code in DIGESTS if (tag := file.pages.first.tags.get(code))
            )
            found = Strips(tuple(_strips(page)), page.bitspersample, file.byteorder, digests)
        with path.open("rb") as handle:
            for strip in found.strips:
                handle.seek(strip.offset)
                if handle.read(strip.length) != found.coded(samples, strip):
                    return None
    except DAMAGE:
        return None
    return found


def _plain(page: Any, shape: tuple[int, ...]) -> bool:
    stored = (page.imagelength, page.imagewidth) == shape and page.samplesperpixel == 1
    coded = page.bitspersample == 16 or page.bitspersample in _PACKED_BITS
    return stored and coded and int(page.compression) == 1 and not page.is_tiled


def _strips(page: Any) -> list[Strip]:
    rows = min(int(page.rowsperstrip), page.imagelength)
    return [
        Strip(int(offset), int(length), i * rows, min(rows, page.imagelength - i * rows))
        for i, (offset, length) in enumerate(
            zip(page.dataoffsets, page.databytecounts, strict=True)
        )
    ]


def replaced(path: Path, where: Strips, samples: Samples) -> bytes:
    """A DNG's bytes with new samples; old digests become zero (DNG 1.7, NewRawImageDigest)."""
    data = bytearray(path.read_bytes())
    for strip in where.strips:
        data[strip.offset : strip.offset + strip.length] = where.coded(samples, strip)
    for place in where.digests:
        data[place : place + 16] = bytes(16)
    return bytes(data)


def packed_bits(rows: NDArray[Any], bits: int) -> bytes:
    """Samples (H, W) as a row of bits each, highest first, filled up to whole bytes."""
    height, width = rows.shape
    shifts = np.arange(bits - 1, -1, -1, dtype=np.uint16)
    planes = (rows.astype(np.uint16)[..., None] >> shifts) & 1
    return np.packbits(planes.reshape(height, width * bits).astype(np.uint8), axis=1).tobytes()


def new_dng(exposure: Exposure, samples: Samples, provenance: str = "") -> bytes:
    """A DNG of our own: 16 bits, in one strip, or in tiles of lossless JPEG for compressed sources.

    Masked margins are kept unless their size is odd, which LibRaw would round.
    """
    top, left, height, width = exposure.active
    area: tuple[int, int, int, int] | None = (top, left, top + height, left + width)
    if top % 2 or left % 2:
        samples, area = exposure.crop(samples), None
    elif samples.shape == (height, width):
        area = None
    metadata = carried_metadata(exposure)
    samples = np.ascontiguousarray(samples, np.uint16)
    own: dict[str, Any] = {
        "photometric": "cfa", "metadata": None, "software": "f2r",
        "extratags": [*_tags(exposure, area, metadata), *provenance_tag(provenance)],
    }  # fmt: skip
    buffer = BytesIO()
    side = min(TILE, samples.shape[1] // 16 * 16)  # LibRaw misreads tiles wider than the sensor
    if is_compressed(exposure) and side:
        tifffile.imwrite(
            buffer, coded_tiles(samples, side), shape=samples.shape, dtype=samples.dtype,
            tile=(side, side), compression="jpeg", **own,
        )  # fmt: skip
    else:
        tifffile.imwrite(buffer, samples, rowsperstrip=samples.shape[0], **own)
    complete(buffer, metadata)
    _state_bits(buffer)
    return buffer.getvalue()


def _state_bits(buffer: BytesIO) -> None:
    """Put right the bits of samples, of which tifffile gives JPEG twelve at most."""
    buffer.seek(0)
    with tifffile.TiffFile(buffer) as file:
        place = file.pages.first.tags[258].valueoffset
    buffer.seek(place)
    buffer.write(b"\x10\0")


def carried_metadata(exposure: Exposure) -> Metadata:
    """What a new DNG takes over from the exposure's raw file; nothing of a TIFF's mosaic."""
    if exposure.path.suffix.lower() not in RAW_SUFFIXES:
        return Metadata()
    return read_metadata(exposure.path, exposure.other, exposure.lens)


def is_compressed(exposure: Exposure) -> bool:
    """Whether a raw file takes less space than its samples of 16 bits would."""
    if exposure.path.suffix.lower() not in RAW_SUFFIXES or not exposure.path.is_file():
        return False
    return exposure.path.stat().st_size < 2 * exposure.shape[0] * exposure.shape[1]


def coded_tiles(samples: Samples, side: int) -> Iterator[bytes]:
    """Tiles of a mosaic as lossless JPEG, row by row, filled up with their last rows and columns.

    Columns in turn are two components, so that each sample is predicted from its own colour.
    """
    height, width = samples.shape
    filled = np.pad(samples, ((0, -height % side), (0, -width % side)), mode="edge")
    for top in range(0, height, side):
        for left in range(0, width, side):
            tile = np.ascontiguousarray(filled[top : top + side, left : left + side])
            coded = imagecodecs.jpeg8_encode(
                tile.reshape(side, side // 2, 2), colorspace=0, lossless=True, predictor=1,
                bitspersample=16,
            )  # fmt: skip
            yield bytes(coded)


def _tags(
    exposure: Exposure, area: tuple[int, int, int, int] | None, metadata: Metadata
) -> list[Tag]:
    """Every tag once, as the last part that has it says, by code."""
    own = [*_described(exposure), *_coloured(exposure), *exposure.tags.carried]
    tags = {tag[0]: tag for tag in (*own, *as_tags(metadata), *_levels(exposure))}
    if area is not None:
        tags[50829] = (50829, LONG, 4, area, True)
    return [tags[code] for code in sorted(tags)]


def named_tags(exposure: Exposure) -> list[Tag]:
    """Make and model, as far as they are known."""
    named = ((271, exposure.tags.make), (272, exposure.tags.model))
    return [(code, ASCII, 0, text, True) for code, text in named if text]


def _described(exposure: Exposure) -> list[Tag]:
    tags: list[Tag] = [
        (274, SHORT, 1, exposure.orientation, True),
        (50706, BYTE, 4, b"\x01\x04\x00\x00", True),
        (50707, BYTE, 4, b"\x01\x01\x00\x00", True),
        (50708, ASCII, 0, exposure.tags.camera or "unknown", True),
        *named_tags(exposure),
    ]
    if exposure.iso is not None and exposure.iso < 1 << 16:
        tags.append((34855, SHORT, 1, exposure.iso, True))
    if exposure.aspect != 1:
        tags.append((50718, RATIONAL, 2, (round(10000 * exposure.aspect), 10000, 1, 1), True))
    if exposure.shown is not None:
        top, left, height, width = exposure.shown
        tags += [(50719, LONG, 2, (left, top), True), (50720, LONG, 2, (width, height), True)]
    if exposure.tags.rate is not None:
        tags.append((51044, SRATIONAL, 1, exposure.tags.rate.as_integer_ratio(), True))
    return tags


def _coloured(exposure: Exposure) -> list[Tag]:
    matrix = exposure.matrix or _SRGB
    ratios = [part for value in matrix for part in (round(value * 10000), 10000)]
    neutral = [
        part for gain in exposure.mosaic.balance for part in (round(1_000_000 / gain), 1_000_000)
    ]
    tags: list[Tag] = [
        (50721, SRATIONAL, 9, ratios, True),
        (50728, RATIONAL, 3, neutral, True),
        (50778, SHORT, 1, _D65, True),
    ]
    if exposure.noise is not None:
        pairs = [value for plane in exposure.noise[:3] for value in plane]
        tags.append((51041, DOUBLE, 6, pairs, True))
    return tags


def _levels(exposure: Exposure) -> list[Tag]:
    mosaic = exposure.mosaic
    cell = [plane for row in plane_colours(mosaic.pattern) for plane in row]
    blacks = [mosaic.black[plane] for plane in cell]
    letters = bytes(_COLOURS.index(letter) for letter in mosaic.pattern)
    ratios = [part for black in blacks for part in (round(black * 256), 256)]
    whole = all(black == int(black) for black in blacks)
    black_tag: Tag = (50714, RATIONAL, 4, ratios, True)
    if whole:
        black_tag = (50714, LONG, 4, [int(black) for black in blacks], True)
    return [
        (33421, SHORT, 2, (2, 2), True),
        (33422, BYTE, 4, letters, True),
        (50710, BYTE, 3, b"\x00\x01\x02", True),
        (50711, SHORT, 1, 1, True),
        (50713, SHORT, 2, (2, 2), True),
        black_tag,
        (50717, LONG, 1, round(max(mosaic.white)), True),
    ]


def dng_of(exposure: Exposure, before: Samples, after: Samples, text: str) -> tuple[bytes, bool]:
    """A DNG that holds `after`, and whether it is a copy of the source, which held `before`.

    text: how it is made, for a new file, and a changed copy of one that f2r made. Raises
    OutputError where the source cannot be read again.
    """
    where = find_strips(exposure.path, before) if exposure.tags.dng else None
    if where is None:
        return new_dng(exposure, after, text), False
    try:
        copy = replaced(exposure.path, where, after)
        same = np.array_equal(before, after)
        return copy if same else with_provenance(exposure.path, copy, text), True
    except OSError as error:
        raise OutputError(
            f"{exposure.path.name}: {error.strerror}.", hint="Keep the burst until the run ends."
        ) from error
