"""Augmentation that moves samples and never mixes them: interpolation would change the noise."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

SWAPPED_GREENS = (0, 3, 2, 1)  # planes R, G1, B, G2 of a transposed mosaic


def dihedral(picture: NDArray[Any], code: int) -> NDArray[Any]:
    """One of the eight flips and transposes of (..., H, W, C), a view; code from 0 to 7.

    Of packed mosaics only code 0 and 4 leave samples on their filters' sites: see `draw_turn`.
    """
    if code & 1:
        picture = picture[..., ::-1, :, :]
    if code & 2:
        picture = picture[..., :, ::-1, :]
    if not code & 4:
        return picture
    turned = np.swapaxes(picture, -3, -2)
    return turned[..., SWAPPED_GREENS] if picture.shape[-1] == 4 else turned


def draw_turn(rng: np.random.Generator, channels: int) -> int:
    """A code for `dihedral` at random; of packed mosaics (four channels) only transposing.

    In a cell R G / G B transposing leaves red and blue where they are and swaps the greens. A flip
    would move the planes by a cell against each other; see `bayer_dihedral`.
    """
    code = int(rng.integers(8))
    return code & 4 if channels == 4 else code


def reversed_in_time(pictures: NDArray[Any], code: int) -> NDArray[Any]:
    """(T, H, W, C) forwards for an even code, backwards for an odd one; a view."""
    return pictures[::-1] if code & 1 else pictures


def bayer_dihedral(packed: NDArray[Any], code: int) -> NDArray[Any]:
    """One of eight flips and transposes of packed planes (..., H, W, 4), as `sensor` packs.

    Every sample stays under its own filter. A flipped mosaic begins with another colour than red,
    so it loses one pixel at either end, half a cell each, and comes out one cell smaller along
    that axis. A transposed one keeps red and blue in place and swaps the two greens.
    """
    mosaic = unpack_bayer(packed)
    if code & 1:
        mosaic = mosaic[..., ::-1, :][..., 1:-1, :]
    if code & 2:
        mosaic = mosaic[..., ::-1][..., 1:-1]
    return pack_bayer(np.swapaxes(mosaic, -2, -1) if code & 4 else mosaic)


def pack_bayer(mosaic: NDArray[Any]) -> NDArray[Any]:
    """An RGGB mosaic (..., H, W), even sizes, -> (..., H/2, W/2, 4): R, G, B, G.

    The geometry of `sensor.pack`, for whole clips and channels last.
    """
    planes = (
        mosaic[..., 0::2, 0::2],
        mosaic[..., 0::2, 1::2],
        mosaic[..., 1::2, 1::2],
        mosaic[..., 1::2, 0::2],
    )
    return np.stack(planes, axis=-1)


def unpack_bayer(packed: NDArray[Any]) -> NDArray[Any]:
    """(..., H, W, 4): R, G, B, G -> the RGGB mosaic (..., 2H, 2W)."""
    *lead, height, width, _ = packed.shape
    mosaic = np.empty((*lead, 2 * height, 2 * width), packed.dtype)
    mosaic[..., 0::2, 0::2], mosaic[..., 0::2, 1::2] = packed[..., 0], packed[..., 1]
    mosaic[..., 1::2, 1::2], mosaic[..., 1::2, 0::2] = packed[..., 2], packed[..., 3]
    return mosaic
