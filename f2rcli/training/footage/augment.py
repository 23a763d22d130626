"""Augmentation that moves samples and never mixes them: interpolation would change the noise."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

SWAPPED_GREENS = (0, 3, 2, 1)  # planes R, G1, B, G2 of a transposed mosaic


def dihedral(picture: NDArray[Any], code: int) -> NDArray[Any]:
    """One of eight flips and transposes of (..., H, W, C), a view; packed mosaics allow codes 0 and
    4 only (`draw_turn`)."""
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
    would move the planes by a cell against each other.
    """
    code = int(rng.integers(8))
    return code & 4 if channels == 4 else code
