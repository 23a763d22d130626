"""TIFF compressions by their code, and how f2r writes samples in them.

tifffile decodes and encodes through imagecodecs.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from f2rcli.io.tiff.library import DAMAGE

NONE, DEFLATE, PACKBITS = 1, 8, 32773
NAMES = {
    NONE: "uncompressed", 5: "lzw", 6: "jpeg", 7: "jpeg", DEFLATE: "deflate", 22610: "jpegxr",
    PACKBITS: "packbits", 32946: "deflate", 33003: "jpeg2000", 33004: "jpeg2000", 33005: "jpeg2000",
    34712: "jpeg2000", 34887: "lerc", 34925: "lzma", 34926: "zstd", 34927: "webp", 34933: "png",
    34934: "jpegxr", 50000: "zstd", 50001: "webp", 50002: "jpegxl", 52546: "jpegxl",
}  # fmt: skip
# Pages keep these; those of other compressions become deflate.
REWRITTEN = {NONE, 5, DEFLATE, PACKBITS, 32946, 34925, 50000}


def compression_name(code: int) -> str:
    """The name of a compression."""
    return NAMES.get(int(code), f"compression {int(code)}")


@dataclass(frozen=True, slots=True)
class SegmentCoding:
    """The way in which strips and tiles of a page are stored."""

    compression: int
    predictor: int
    dtype: np.dtype[Any]  # in the file's byte order

    @classmethod
    def of(cls, page: Any) -> "SegmentCoding":
        """The coding to write a page in: its own, where that is lossless and has an encoder."""
        dtype = np.dtype(page.dtype).newbyteorder(page.parent.byteorder)
        compression, predictor = int(page.compression), int(page.predictor)
        if not can_rewrite(page):
            return cls(NONE if compression == NONE else DEFLATE, 1, dtype)
        return cls(compression, predictor, dtype)

    def encode(self, samples: NDArray[Any]) -> bytes:
        """The bytes of a strip or tile (depth, length, width, samples)."""
        samples = tifffile.TIFF.PREDICTORS[self.predictor](samples, axis=-2)
        samples = samples.astype(self.dtype, copy=False)
        compress = tifffile.TIFF.COMPRESSORS[self.compression]
        if self.compression == PACKBITS:  # row by row, as TIFF 6.0 demands (section 9)
            rows = samples.reshape(-1, *samples.shape[2:])  # np.concatenate would swap bytes
            return b"".join(bytes(compress(row.tobytes())) for row in rows)
        return bytes(compress(samples.tobytes()))


def can_rewrite(page: Any) -> bool:
    """Whether f2r writes pages like this one the way they are stored."""
    plain = page.bitspersample == 8 * np.dtype(page.dtype).itemsize and page.fillorder == 1
    if not plain or page.is_subsampled or int(page.compression) not in REWRITTEN:
        return False
    try:
        bytes(tifffile.TIFF.COMPRESSORS[page.compression](bytes(64)))
        zeros = np.zeros((1, 4, 4, 1), page.dtype)
        tifffile.TIFF.PREDICTORS[page.predictor](zeros, axis=-2)
    except DAMAGE:  # no encoder for it here
        return False
    return True
