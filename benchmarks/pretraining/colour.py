"""Colours of clean pictures changed at random, so that networks meet more than footage has."""

import numpy as np

from f2rcli.frames import Pictures


def recolour(picture: Pictures, rng: np.random.Generator) -> Pictures:
    """Swap channels and strengthen colours of (..., H, W, C).

    Camera footage alone teaches that strong, abrupt colour is noise, which graphics and stage
    light are not.
    """
    swapped = picture[..., rng.permutation(picture.shape[-1])]
    gray = swapped.mean(-1, keepdims=True)
    strengthened = gray + np.float32(rng.uniform(1.0, 3.0)) * (swapped - gray)
    return np.clip(strengthened, 0, 1).astype(np.float32)
