"""Augmentation that moves samples and never mixes them: interpolation would change the noise."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def dihedral(picture: NDArray[Any], code: int) -> NDArray[Any]:
    """One of the eight flips and transposes of (..., H, W, C), a view; code from 0 to 7."""
    if code & 1:
        picture = picture[..., ::-1, :, :]
    if code & 2:
        picture = picture[..., :, ::-1, :]
    return np.swapaxes(picture, -3, -2) if code & 4 else picture


def reversed_in_time(pictures: NDArray[Any], code: int) -> NDArray[Any]:
    """(T, H, W, C) forwards for an even code, backwards for an odd one; a view."""
    return pictures[::-1] if code & 1 else pictures


def bayer_dihedral(packed: NDArray[Any], code: int) -> NDArray[Any]:
    """One of eight flips and transposes of packed GBRG planes (..., H, W, 4): R, G, B, G.

    The rule: every sample stays on a site of its own filter's kind of lattice. A flipped mosaic
    has the wrong phase, so it loses one pixel at either end, half a cell each, and comes out one
    cell smaller along that axis. A transposed one keeps the lattice of green, but red's sites
    become blue's: the planes of R and B are swapped, which noise does not mind, colours do.
    So transposes (codes 4 to 7) are for training on noise, not on colour.
    """
    mosaic = unpack_bayer(packed)
    if code & 1:
        mosaic = mosaic[..., ::-1, :][..., 1:-1, :]
    if code & 2:
        mosaic = mosaic[..., ::-1][..., 1:-1]
    return pack_bayer(np.swapaxes(mosaic, -2, -1) if code & 4 else mosaic)


def pack_bayer(mosaic: NDArray[Any]) -> NDArray[Any]:
    """A GBRG mosaic (..., H, W), even sizes, -> (..., H/2, W/2, 4): R, G, B, G."""
    planes = (
        mosaic[..., 1::2, 0::2],
        mosaic[..., 1::2, 1::2],
        mosaic[..., 0::2, 1::2],
        mosaic[..., 0::2, 0::2],
    )
    return np.stack(planes, axis=-1)


def unpack_bayer(packed: NDArray[Any]) -> NDArray[Any]:
    """(..., H, W, 4): R, G, B, G -> the GBRG mosaic (..., 2H, 2W)."""
    *lead, height, width, _ = packed.shape
    mosaic = np.empty((*lead, 2 * height, 2 * width), packed.dtype)
    mosaic[..., 1::2, 0::2], mosaic[..., 1::2, 1::2] = packed[..., 0], packed[..., 1]
    mosaic[..., 0::2, 1::2], mosaic[..., 0::2, 0::2] = packed[..., 2], packed[..., 3]
    return mosaic
