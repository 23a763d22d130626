"""A Bayer sensor's mosaic as four packed planes, and those as a mosaic again.

Every phase is packed to one geometry: planes R, G (red rows), B, G (blue rows) of 2x2 cells whose
upper left pixel is red. Mosaics that begin elsewhere get a row or column more before their first
one, mirrored so that colours fall on their own kind; what goes back is cut again.
"""

import numpy as np

from f2rcli.errors import InputError
from f2rcli.frames import Family, Mosaic, Picture, Plane, PlaneLayout, Singles
from f2rcli.planes import LAYOUTS, gathered, spread

PATTERNS = ("RGGB", "GRBG", "GBRG", "BGGR")
PLANES = ("R", "G1", "B", "G2")  # G1 shares its rows with red, G2 with blue
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


def pack(mosaic: Plane, pattern: str) -> Plane:
    """(H, W) -> (4, h, w) in the canonical order and geometry; a new array."""
    top, left = red_offset(pattern)
    height, width = mosaic.shape
    # a mirrored row or column is two from its double, so of the same colours
    around = ((top, (height + top) % 2), (left, (width + left) % 2))
    return gathered(LAYOUTS["gray"], [np.pad(mosaic, around, mode="reflect")])[_ORDER]


def unpack(packed: Picture, pattern: str, shape: tuple[int, ...]) -> Singles:
    """The mosaic (H, W) that `pack` makes `packed` of; what it had added is cut off."""
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
