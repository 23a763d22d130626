"""Replace pixel data in a copy of a TIFF file; all other bytes are preserved.

A strip or tile is written over the old one if it fits there, else at the end of the file; its
offset and length are written into the page's own tags. So every tag, OME-XML, label, colour map,
byte order and the order of pages survive, and pages may be written in any order.
"""

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import tifffile

from f2rcli.errors import OutputError
from f2rcli.frames import Plane
from f2rcli.io.tiff.compression import SegmentCoding, can_rewrite
from f2rcli.io.tiff.file import YCBCR
from f2rcli.io.tiff.library import opened, quiet_tifffile
from f2rcli.io.tiff.stack import Spot

_CHUNK = 1 << 20  # bytes that are compared at once
OFFSETS, COUNTS = (324, 273), (325, 279)  # of tiles, of strips
_INTEGERS = {  # TIFF's types
    1: "u1", 3: "u2", 4: "u4", 6: "i1", 8: "i2", 9: "i4", 13: "u4", 16: "u8", 17: "i8", 18: "u8",
}  # fmt: skip
_CODES = {
    "bits": 258, "compression": 259, "photometric": 262, "fill order": 266, "predictor": 317,
    "subsampling": 530,
}  # fmt: skip


class PatchedFile:
    """A copy of a TIFF file whose pages get other samples."""

    def __init__(self, path: Path, beyond: int = 0) -> None:
        """beyond: where pictures that are cut off would end; new samples go behind that."""
        self.path = path
        self._beyond = beyond
        self._handle: IO[bytes] = path.open("r+b")
        self.written = array("q")  # the start and end of each run of bytes
        self._converted: set[int] = set()  # offsets of pages that are stored in another coding now

    @property
    def recoded(self) -> bool:
        """Whether a page is stored in another coding now."""
        return bool(self._converted)

    def write_picture(self, spot: Spot, picture: Plane) -> None:
        """Write a picture, (Y, X), (Y, X, S) or planar (S, Y, X), at its spot in the open
        source."""
        page = spot.page
        if spot.offset is not None:
            dtype = picture.dtype.newbyteorder(page.parent.byteorder)
            self._write(spot.offset, picture.astype(dtype, copy=False).tobytes())
            return
        with quiet_tifffile(), opened(page):
            page = page.aspage()
            coding = SegmentCoding.of(page)
            if not can_rewrite(page) and page.offset not in self._converted:
                self._convert(page, coding)
            self._write_page(page, spot.plane, picture, coding)

    def _write_page(
        self, page: Any, plane: int | None, picture: Plane, coding: SegmentCoding
    ) -> None:
        planes, depth, length, width, samples = page.shaped
        if plane is not None:
            planes = depth = 1
        values = picture.reshape(planes, depth, length, width, samples)
        for index, (data, position, shape) in enumerate(page.segments(maxworkers=1)):
            s, d, y, x, c = position
            first = 0  # of the tile's planes, that is written
            if plane is not None:
                first = plane - s * page.shaped[1] - d
                if not 0 <= first < shape[0]:
                    continue
                s = d = 0
                if shape[0] > 1:  # of its other planes, some may have been written already
                    data = self._stored(page, index, shape, coding)
            block = values[s, d : d + shape[0], y : y + shape[1], x : x + shape[2], c:]
            changed = np.zeros(shape, page.dtype) if data is None else data.copy()
            changed[first:][tuple(slice(0, n) for n in block.shape)] = block
            if data is None or changed.tobytes() != data.tobytes():
                self._write_segment(page, index, coding.encode(changed))

    def _convert(self, page: Any, coding: SegmentCoding) -> None:
        for index, (data, _, shape) in enumerate(page.segments(maxworkers=1)):
            samples = np.zeros(shape, page.dtype) if data is None else data
            self._write_segment(page, index, coding.encode(samples))
        values = {
            "compression": coding.compression, "predictor": 1, "fill order": 1,
            "bits": 8 * coding.dtype.itemsize,
        }  # fmt: skip
        if page.photometric == YCBCR:
            values |= {"photometric": 2, "subsampling": 1}  # decoding has made it RGB
        for name, value in values.items():
            tag = page.tags.get(_CODES[name])
            for element in range(0 if tag is None else tag.count):
                self._write_tag(page, tag, element, value)
        self._converted.add(page.offset)

    def _stored(
        self, page: Any, index: int, shape: tuple[int, ...], coding: SegmentCoding
    ) -> Plane | None:
        """The samples of a strip or tile of this shape as they are in the copy now."""
        offset, count = (self._read_tag(page, tag, index) for tag in self._place_tags(page))
        self._handle.seek(offset)
        data = self._handle.read(count)
        found: Plane | None
        if page.offset in self._converted:
            plain = tifffile.TIFF.DECOMPRESSORS[coding.compression](data)
            found = np.frombuffer(plain, coding.dtype).astype(page.dtype).reshape(shape)
        else:
            found = page.decode(data, index)[0]
        return found

    def _place_tags(self, page: Any) -> tuple[Any, Any]:
        """The tags that say where a page's strips or tiles are, and how long."""
        offsets, counts = (
            next((t for code in codes if (t := page.tags.get(code)) is not None), None)
            for codes in (OFFSETS, COUNTS)
        )
        if offsets is None or counts is None:
            raise OutputError(
                f"{self.path.name}: a page does not say where its samples are.",
                hint="Save it again as a plain TIFF first.",
            )
        return offsets, counts

    def _write_segment(self, page: Any, index: int, data: bytes) -> None:
        """Write a strip or tile where it fits, and its offset and length into the page's tags."""
        offsets, counts = self._place_tags(page)
        offset = self._read_tag(page, offsets, index)
        room = self._read_tag(page, counts, index)
        end = self._handle.seek(0, 2)
        if len(data) > room or not offset or offset + room > end:
            offset = -(-max(end, self._beyond) // 8) * 8
            self._write_tag(page, offsets, index, offset)
        self._write(offset, data)
        self._write_tag(page, counts, index, len(data))

    def _tag_dtype(self, page: Any, tag: Any) -> np.dtype[Any]:
        return np.dtype(_INTEGERS[int(tag.dtype)]).newbyteorder(page.parent.byteorder)

    def _read_tag(self, page: Any, tag: Any, element: int) -> int:
        kind = self._tag_dtype(page, tag)
        self._handle.seek(tag.valueoffset + element * kind.itemsize)
        return int(np.frombuffer(self._handle.read(kind.itemsize), kind)[0])

    def _write_tag(self, page: Any, tag: Any, element: int, value: int) -> None:
        kind = self._tag_dtype(page, tag)
        if value > np.iinfo(kind).max:
            raise OutputError(
                f"{self.path.name}: does not fit into the file's own format ({kind} holds no "
                f"{value}).",
                hint="Save the input as an uncompressed BigTIFF first.",
            )
        self._write(
            tag.valueoffset + element * kind.itemsize, np.array([value]).astype(kind).tobytes()
        )

    def _write(self, offset: int, data: bytes) -> None:
        self._handle.seek(offset)
        self._handle.write(data)
        self.written.extend((offset, offset + len(data)))

    def close(self) -> None:
        """Write what is pending and close the file."""
        self._handle.close()


def same_elsewhere(source: Path, copy: Path, written: Sequence[int]) -> bool:
    """Whether a copy has every byte of its source, but for what was written: starts and ends."""
    size, done = source.stat().st_size, 0
    runs = sorted(zip(written[::2], written[1::2], strict=True))
    with source.open("rb") as one, copy.open("rb") as other:
        for start, end in (*runs, (size, size)):
            until = min(start, size)
            for at in range(done, until, _CHUNK):
                one.seek(at)
                other.seek(at)
                if one.read(min(_CHUNK, until - at)) != other.read(min(_CHUNK, until - at)):
                    return False
            done = max(done, end)
    return True
