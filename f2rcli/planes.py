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

from f2rcli.errors import InputError
from f2rcli.frames import Family, Mosaic, Picture, Plane, PlaneLayout, Singles

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
    library, (*lead, _, high, wide) = library_of(packed), packed.shape
    planes = []
    for part, (rows, columns) in zip(layout.slices, layout.planes, strict=True):
        cells = packed[..., part, :, :]
        plane = library.empty_like(cells).reshape(*lead, rows * high, columns * wide)
        for place in range(rows * columns):
            i, j = divmod(place, columns)
            plane[..., i::rows, j::columns] = cells[..., place, :, :]
        planes.append(plane)
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


# --- A Bayer sensor's mosaic as four planes ------------------------------------------------------
# Every phase is packed to one geometry: planes R, G (red rows), B, G (blue rows) of 2x2 cells whose
# upper left pixel is red. Mosaics that begin elsewhere get a row or column more before their first
# one, mirrored so that colours fall on their own kind; what goes back is cut again.

PATTERNS = ("RGGB", "GRBG", "GBRG", "BGGR")
MOSAIC_PLANES = ("R", "G1", "B", "G2")  # G1 shares its rows with red, G2 with blue
_ORDER = [0, 1, 3, 2]  # the plane of each pixel of a cell that begins red; and the other way round


def bayer_layout(mosaic: Mosaic, bits: int, name: str = "mosaic") -> PlaneLayout:
    """The layout of a frame whose one plane is a mosaic of file `name`. Raises InputError."""
    if mosaic.pattern not in PATTERNS:
        raise InputError(
            f"{name}: colour filters {mosaic.pattern} are not one of the four Bayer orders.",
            hint=f"Choose from {', '.join(PATTERNS)}.",
        )
    if any(w <= b for b, w in zip(mosaic.black, mosaic.white, strict=True)):
        raise InputError(
            f"{name}: black levels {mosaic.black}, white levels {mosaic.white}: "
            "white must lie above black."
        )
    return PlaneLayout(family=Family.BAYER, bits=bits, mosaic=mosaic)


def developed(picture: Picture, mosaic: Mosaic | None) -> Picture:
    """A quick view (3, H, W) of a picture (C, H, W): gray three times, and packed planes of a
    mosaic at their half size in 0..1, with white balance and sRGB's curve."""
    if mosaic is None or len(picture) != 4:
        return np.repeat(picture, 3, axis=0) if len(picture) == 1 else picture
    red, green, blue, other = picture
    light = np.stack([red, (green + other) / 2, blue])
    light *= np.array(mosaic.balance or (1, 1, 1), np.float32)[:, None, None]
    np.clip(light, 0, 1, out=light)
    toe = np.float32(12.92) * light
    return np.where(light <= 0.0031308, toe, 1.055 * light ** (1 / 2.4) - 0.055).astype(np.float32)


def pack_mosaic(mosaic: Plane, pattern: str) -> Plane:
    """(H, W) -> (4, h, w) in the canonical order and geometry; a new array."""
    top, left = red_offset(pattern)
    height, width = mosaic.shape
    # a mirrored row or column is two from its double, so of the same colours
    around = ((top, (height + top) % 2), (left, (width + left) % 2))
    return gathered(LAYOUTS["gray"], [np.pad(mosaic, around, mode="reflect")])[_ORDER]


def unpack_mosaic(packed: Picture, pattern: str, shape: tuple[int, ...]) -> Singles:
    """The mosaic (H, W) that `pack_mosaic` makes `packed` of; what it had added is cut off."""
    top, left = red_offset(pattern)
    whole: Singles = spread(LAYOUTS["gray"], packed[_ORDER])[0]
    return whole[top : top + shape[0], left : left + shape[1]]


def red_offset(pattern: str) -> tuple[int, int]:
    """The rows and columns put before a mosaic, so that it begins with red."""
    return divmod(pattern.index("R"), 2)


def plane_colours(pattern: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Which plane each pixel of the upper left 2x2 cell belongs to, by row and column."""
    top, left = red_offset(pattern)
    (a, b), (c, d) = np.roll(np.reshape(_ORDER, (2, 2)), (top, left), (0, 1)).tolist()
    return (a, b), (c, d)


def packed_size(height: int, width: int, mosaic: Mosaic | None) -> tuple[int, int]:
    """Height and width of pictures as networks see them: of the packed planes of a mosaic."""
    if mosaic is None:
        return height, width
    top, left = red_offset(mosaic.pattern)
    return (height + top + 1) // 2, (width + left + 1) // 2
