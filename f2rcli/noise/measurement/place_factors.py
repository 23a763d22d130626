"""Factors of the noise's standard deviation by place: one for every block of a plane."""

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Floats
from f2rcli.noise.measurement.blocks import side_of

Places = tuple[tuple[float, ...], ...]  # of the blocks of a plane, by row; empty: all are alike


def every_block(factors: Floats, shape: tuple[int, ...]) -> Places:
    """Factors of whole blocks for all blocks of a plane; cut ones take their neighbours'."""
    rows, columns = (-(-length // side_of(shape)) for length in shape)
    more = (0, rows - len(factors)), (0, columns - factors.shape[1])
    padded = np.pad(factors, more, "edge")
    return tuple(tuple(round(float(value), 4) for value in row) for row in padded)


def spread_out(places: Places, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Factors of blocks at every sample of a plane, linear between the blocks' middles, and nowhere
    more than the block's own: what is quiet stays so up to its border."""
    grid = np.array(places, np.float32)
    side = side_of(shape)
    height, width = shape
    size = grid.shape[1] * side, grid.shape[0] * side
    own, whole = (
        cv2.resize(grid, size, interpolation=i) for i in (cv2.INTER_NEAREST, cv2.INTER_LINEAR)
    )
    return np.asarray(np.minimum(own, whole)[:height, :width], np.float32)
