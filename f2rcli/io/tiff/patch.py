"""Other samples in the pages of a copied TIFF file; whatever else it holds stays as it is.

A strip or tile is written where the old one was if it fits there, else at the end of the file; its
place and length are entered in the page's own tags. So every tag, OME-XML, label, table of
colours, byte order and the order of pages survive, and pages may be written in any order.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from f2rcli.errors import OutputError
from f2rcli.frames import Plane
from f2rcli.io.tiff.file import YCBCR
from f2rcli.io.tiff.library import DAMAGE, opened, quiet_tifffile
from f2rcli.io.tiff.stack import Spot

WRITABLE = (1, 5, 8, 32946, 34925, 50000)  # none, LZW, deflate (two numbers), LZMA, zstd
DEFLATE = 8
OFFSETS, COUNTS = (324, 273), (325, 279)  # of tiles, of strips
_INTEGERS = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}  # TIFF's types
_CODES = {
    "bits": 258, "compression": 259, "photometric": 262, "fill order": 266, "predictor": 317,
    "subsampling": 530,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Coding:
    """How the segments of a page are stored."""

    compression: int
    predictor: int
    dtype: np.dtype[Any]  # in the file's byte order

    @classmethod
    def of(cls, page: Any) -> "Coding":
        """How a page is to be written: as it is, where that can be done without loss."""
        dtype = np.dtype(page.dtype).newbyteorder(page.parent.byteorder)
        compression, predictor = int(page.compression), int(page.predictor)
        if not can_rewrite(page):
            return cls(1 if compression == 1 else DEFLATE, 1, dtype)
        return cls(compression, predictor, dtype)

    def encode(self, samples: NDArray[Any]) -> bytes:
        """The bytes of a strip or tile (depth, length, width, samples)."""
        if self.predictor != 1:
            samples = tifffile.TIFF.PREDICTORS[self.predictor](samples, axis=-2)
        data = samples.astype(self.dtype, copy=False).tobytes()
        if self.compression != 1:
            data = bytes(tifffile.TIFF.COMPRESSORS[self.compression](data))
        return data


def can_rewrite(page: Any) -> bool:
    """Whether pages like this one are written the way they are stored."""
    plain = page.bitspersample == 8 * np.dtype(page.dtype).itemsize and page.fillorder == 1
    if not plain or page.is_subsampled or page.compression not in WRITABLE:
        return False
    try:
        if page.compression != 1:
            bytes(tifffile.TIFF.COMPRESSORS[page.compression](bytes(64)))
        if page.predictor != 1:
            zeros = np.zeros((1, 4, 4, 1), page.dtype)
            tifffile.TIFF.PREDICTORS[page.predictor](zeros, axis=-2)
    except DAMAGE:  # no encoder for it here
        return False
    return True


class PatchedFile:
    """A copy of a TIFF file whose pages get other samples."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: IO[bytes] = path.open("r+b")
        self._converted: set[int] = set()  # places of the tags of pages that are coded otherwise

    def put(self, spot: Spot, picture: Plane) -> None:
        """Write a picture, (Y, X), (Y, X, S), or (S, Y, X) for pages stored plane by plane.

        spot: where it lies in the file that was copied, which must still be open.
        """
        page = spot.page
        if spot.offset is not None:
            dtype = picture.dtype.newbyteorder(page.parent.byteorder)
            self._write(spot.offset, picture.astype(dtype, copy=False).tobytes())
            return
        with quiet_tifffile(), opened(page):
            page = page.aspage() if isinstance(page, tifffile.TiffFrame) else page
            coding = Coding.of(page)
            if not can_rewrite(page) and page.offset not in self._converted:
                self._convert(page, coding)
            self._put(page, spot.plane, picture, coding)

    def _put(self, page: Any, plane: int | None, picture: Plane, coding: Coding) -> None:
        planes, depth, length, width, samples = page.shaped
        if plane is not None:
            planes = depth = 1
        values = picture.reshape(planes, depth, length, width, samples)
        for index, (data, position, shape) in enumerate(page.segments(maxworkers=1)):
            s, d, y, x, c = position
            if plane is not None:
                if s * page.shaped[1] + d != plane:
                    continue
                s = d = 0
            block = values[s, d : d + shape[0], y : y + shape[1], x : x + shape[2], c:]
            changed = np.zeros(shape, page.dtype) if data is None else data.copy()
            changed[tuple(slice(0, n) for n in block.shape)] = block
            if data is None or page.offset in self._converted or not _same(changed, data):
                self._place(page, index, coding.encode(changed))

    def _convert(self, page: Any, coding: Coding) -> None:
        """Store a page's own samples in another coding."""
        for index, (data, _, shape) in enumerate(page.segments(maxworkers=1)):
            samples = np.zeros(shape, page.dtype) if data is None else data
            self._place(page, index, coding.encode(samples))
        values = {
            "compression": coding.compression, "predictor": 1, "fill order": 1,
            "bits": 8 * coding.dtype.itemsize,
        }  # fmt: skip
        if page.photometric == YCBCR:
            values |= {"photometric": 2, "subsampling": 1}  # decoding has made it RGB
        for name, value in values.items():
            tag = page.tags.get(_CODES[name])
            for element in range(0 if tag is None else tag.count):
                self._enter(page, tag, element, value)
        self._converted.add(page.offset)

    def _place(self, page: Any, index: int, data: bytes) -> None:
        """Write a segment where it fits, and enter where that is."""
        offsets, counts = (
            next((t for code in codes if (t := page.tags.get(code)) is not None), None)
            for codes in (OFFSETS, COUNTS)
        )
        if offsets is None or counts is None:
            raise OutputError(
                f"{self.path.name}: a page says nothing of where its samples are.",
                hint="Save it again as a plain TIFF first.",
            )
        offset = self._entry(page, offsets, index)
        if len(data) > self._entry(page, counts, index) or not offset:
            self._handle.seek(0, 2)
            offset = -(-self._handle.tell() // 8) * 8
            self._enter(page, offsets, index, offset)
        self._write(offset, data)
        self._enter(page, counts, index, len(data))

    def _kind(self, page: Any, tag: Any) -> np.dtype[Any]:
        return np.dtype(_INTEGERS[int(tag.dtype)]).newbyteorder(page.parent.byteorder)

    def _entry(self, page: Any, tag: Any, element: int) -> int:
        kind = self._kind(page, tag)
        self._handle.seek(tag.valueoffset + element * kind.itemsize)
        return int(np.frombuffer(self._handle.read(kind.itemsize), kind)[0])

    def _enter(self, page: Any, tag: Any, element: int, value: int) -> None:
        kind = self._kind(page, tag)
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

    def close(self) -> None:
        """Write what is pending and let go of the file."""
        self._handle.close()


def _same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Equal bit for bit, so that NaN equals itself."""
    return a.tobytes() == b.tobytes()
