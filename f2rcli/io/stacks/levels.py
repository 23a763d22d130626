"""The smaller copies of a picture that a pyramid holds."""

from typing import Any

import numpy as np

from f2rcli.frames import Plane

SMALLEST = 256  # pixels a side at most, of the last level


def halved(height: int, width: int) -> list[tuple[int, int]]:
    """Rows and columns of a pyramid's smaller copies, each half of the one before."""
    sizes, size = [], (height, width)
    while max(size) > SMALLEST and min(size) > 1:
        size = (size[0] // 2, size[1] // 2)
        sizes.append(size)
    return sizes


def shrunk(picture: Plane, size: tuple[int, int]) -> Plane:
    """A picture (Y, X[, S]) in fewer rows and columns: means, rounded where samples are whole
    numbers."""
    if picture.shape[:2] == size:
        return picture
    small = averaged(picture.astype(np.float64), size)
    rounded: Plane = (np.rint(small) if picture.dtype.kind != "f" else small).astype(picture.dtype)
    return rounded


def averaged(picture: Plane, shape: tuple[int, ...]) -> Any:
    """A picture (H, W, ...) as means over the cells of a smaller grid (h, w, ...)."""
    height, width = shape[:2]
    rows, columns = (
        np.linspace(0, full, small, endpoint=False).astype(int)
        for full, small in zip(picture.shape, (height, width), strict=False)
    )
    sums = np.add.reduceat(np.add.reduceat(picture, rows, axis=0), columns, axis=1)
    heights = np.diff([*rows, picture.shape[0]])
    widths = np.diff([*columns, picture.shape[1]])
    cells = (heights[:, None] * widths[None]).astype(np.float64)
    return sums / cells.reshape(height, width, *[1] * (picture.ndim - 2))
