"""TIFF compressions by their code, and how f2r writes samples in them: a row here adds one.

tifffile decodes and encodes through imagecodecs.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import tifffile
from numpy.typing import NDArray

from f2rcli.io.tiff.library import DAMAGE


class Compression(NamedTuple):
    """A compression of strips and tiles."""

    name: str
    rewritten: bool = False  # pages keep it; those of other compressions become deflate


NONE, DEFLATE, PACKBITS = 1, 8, 32773
COMPRESSIONS = {
    NONE: Compression("uncompressed", rewritten=True),
    5: Compression("lzw", rewritten=True),
    6: Compression("jpeg"),
    7: Compression("jpeg"),
    DEFLATE: Compression("deflate", rewritten=True),
    22610: Compression("jpegxr"),
    PACKBITS: Compression("packbits", rewritten=True),
    32946: Compression("deflate", rewritten=True),
    33003: Compression("jpeg2000"),
    33004: Compression("jpeg2000"),
    33005: Compression("jpeg2000"),
    34712: Compression("jpeg2000"),
    34887: Compression("lerc"),
    34925: Compression("lzma", rewritten=True),
    34926: Compression("zstd"),
    34927: Compression("webp"),
    34933: Compression("png"),
    34934: Compression("jpegxr"),
    50000: Compression("zstd", rewritten=True),
    50001: Compression("webp"),
    50002: Compression("jpegxl"),
    52546: Compression("jpegxl"),
}


def compression_name(code: int) -> str:
    """A compression in a word."""
    known = COMPRESSIONS.get(code)
    return f"compression {code}" if known is None else known.name


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
        if self.predictor != 1:
            samples = tifffile.TIFF.PREDICTORS[self.predictor](samples, axis=-2)
        samples = samples.astype(self.dtype, copy=False)
        if self.compression == NONE:
            return samples.tobytes()
        compress = tifffile.TIFF.COMPRESSORS[self.compression]
        if self.compression == PACKBITS:  # row by row, as TIFF 6.0 demands (section 9)
            return b"".join(bytes(compress(row.tobytes())) for row in np.concatenate(samples))
        return bytes(compress(samples.tobytes()))


def can_rewrite(page: Any) -> bool:
    """Whether f2r writes pages like this one the way they are stored."""
    plain = page.bitspersample == 8 * np.dtype(page.dtype).itemsize and page.fillorder == 1
    known = COMPRESSIONS.get(int(page.compression))
    if not plain or page.is_subsampled or known is None or not known.rewritten:
        return False
    try:
        if page.compression != NONE:
            bytes(tifffile.TIFF.COMPRESSORS[page.compression](bytes(64)))
        if page.predictor != 1:
            zeros = np.zeros((1, 4, 4, 1), page.dtype)
            tifffile.TIFF.PREDICTORS[page.predictor](zeros, axis=-2)
    except DAMAGE:  # no encoder for it here
        return False
    return True
