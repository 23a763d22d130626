"""A picture as its file's own planes, packed to half size: what networks, noise and memory see.

A *cell* is 2x2 pixels of the picture. `pack` puts everything a file holds of a cell side by side
as channels, (..., C, H/2, W/2): 4:2:0 becomes four samples of luma and one of each chroma plane,
RGB twelve samples of one luma and two chroma planes made by a fixed rotation of colours, so that
noise that was equal and independent in R, G and B stays so. The four colours of a mosaic are planes
of one size, whose cells are 4x4 pixels of the sensor. `unpack` is the exact inverse. Both take
arrays and tensors, and import neither library.

Samples keep their units: 0 = black and 1 = white for luma, RGB, gray and mosaics; chroma counts
from its neutral value, in distances between its extremes.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from operator import add
from typing import Any

import numpy as np

from f2rcli.frames import Family, PlaneLayout

# Rows: luma, two chroma planes; columns: R, G, B. Orthonormal: its inverse is its transpose.
ROTATION = np.array(
    [[3**-0.5, 3**-0.5, 3**-0.5], [2**-0.5, 0.0, -(2**-0.5)], [6**-0.5, -2 * 6**-0.5, 6**-0.5]]
)


@dataclass(frozen=True, slots=True)
class Layout:
    """Which samples of which planes a cell holds."""

    name: str
    planes: tuple[tuple[int, int], ...]  # rows and columns of samples in a cell, plane by plane
    rotated: bool = False  # from RGB

    @property
    def channels(self) -> int:
        """Samples per cell."""
        return sum(rows * columns for rows, columns in self.planes)

    @property
    def slices(self) -> tuple[slice, ...]:
        """The channels of every plane."""
        ends = np.cumsum([0, *(rows * columns for rows, columns in self.planes)]).tolist()
        return tuple(slice(a, b) for a, b in pairwise(ends))


LAYOUTS = {
    one.name: one
    for one in (
        Layout("yuv420", ((2, 2), (1, 1), (1, 1))),
        Layout("yuv422", ((2, 2), (2, 1), (2, 1))),
        Layout("yuv444", ((2, 2), (2, 2), (2, 2))),
        Layout("rgb", ((2, 2), (2, 2), (2, 2)), rotated=True),
        Layout("gray", ((2, 2),)),
        Layout("mosaic", ((2, 2),) * 4),
    )
}


def packing(source: PlaneLayout) -> Layout:
    """The layout that a file's planes are packed in. Chroma on a grid that has none (4:1:1, 4:1:0,
    4:4:0) is brought to the next finer one that has."""
    if source.family is Family.YUV:
        across, down = source.log2_chroma
        return LAYOUTS["yuv444" if not across else "yuv420" if down else "yuv422"]
    return LAYOUTS["mosaic" if source.family is Family.BAYER else source.family.value]


def pack(layout: Layout, planes: Sequence[Any]) -> Any:
    """The planes of a picture -> (..., C, H/2, W/2).

    planes: what the file has, each (..., rows, columns) float, with the same leading axes: Y, Cb,
    Cr; R, G, B; one of a gray picture; four of a mosaic. They hold whole cells: those of a file
    are grown to them before (`engine.planes_store.Packing`).
    """
    return gathered(layout, mixed(ROTATION, planes) if layout.rotated else planes)


def unpack(layout: Layout, packed: Any) -> list[Any]:
    """The inverse of `pack`: (..., C, H/2, W/2) -> the file's planes."""
    planes = spread(layout, packed)
    return mixed(ROTATION.T, planes) if layout.rotated else planes


def gathered(layout: Layout, planes: Sequence[Any]) -> Any:
    """`pack` of planes as networks see them: colours rotated."""
    parts = [
        plane[..., i::rows, j::columns]  # the samples of a place in a cell, row by row
        for plane, (rows, columns) in zip(planes, layout.planes, strict=True)
        for i in range(rows)
        for j in range(columns)
    ]
    return library_of(parts[0]).stack(parts, -3)


def spread(layout: Layout, packed: Any) -> list[Any]:
    """The inverse of `gathered`: planes each on a grid of its own."""
    *lead, _, high, wide = packed.shape
    planes = []
    for part, (rows, columns) in zip(layout.slices, layout.planes, strict=True):
        cells = packed[..., part, :, :].reshape(*lead, rows, columns, high, wide)
        cells = cells.swapaxes(-2, -1).swapaxes(-3, -1).swapaxes(-4, -3)
        planes.append(cells.reshape(*lead, rows * high, columns * wide))
    return planes


def mixed(matrix: Any, planes: Sequence[Any]) -> list[Any]:
    """Planes with their colours mixed: row i of the matrix gives plane i."""
    return [
        reduce(add, (w * plane for w, plane in zip(row, planes, strict=True) if w))
        for row in matrix.tolist()
    ]


def library_of(values: Any) -> Any:
    """NumPy, or torch for a tensor, which is loaded then."""
    return np if isinstance(values, np.ndarray) else sys.modules["torch"]
