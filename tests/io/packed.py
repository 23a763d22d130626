"""Samples packed as cameras pack them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def packed_bits(rows: NDArray[Any], bits: int) -> bytes:
    """Samples (H, W) as a row of bits each, highest first, filled up to whole bytes."""
    height, width = rows.shape
    shifts = np.arange(bits - 1, -1, -1, dtype=np.uint16)
    planes = (rows.astype(np.uint16)[..., None] >> shifts) & 1
    return np.packbits(planes.reshape(height, width * bits).astype(np.uint8), axis=1).tobytes()
