"""Colours of clean pictures changed at random, so that networks meet more than footage has."""

import numpy as np

from f2rcli.frames import Pictures


def luma(picture: Pictures) -> Pictures:
    """Brightness of an RGB picture (..., 3), BT.601: (..., 1). Gray pictures stay as they are."""
    if picture.shape[-1] == 1:
        return picture
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    return np.asarray((picture * weights).sum(-1, keepdims=True), np.float32)


def as_gray(picture: Pictures) -> Pictures:
    """A gray picture in as many channels: what gray clips look like to RGB weights."""
    gray = np.broadcast_to(picture.mean(-1, keepdims=True), picture.shape)
    return np.ascontiguousarray(gray)


def recolour(picture: Pictures, rng: np.random.Generator) -> Pictures:
    """Swap channels and strengthen colours of (..., H, W, C).

    Camera footage alone teaches that strong, abrupt colour is noise, which graphics and stage
    light are not.
    """
    swapped = picture[..., rng.permutation(picture.shape[-1])]
    gray = swapped.mean(-1, keepdims=True)
    strengthened = gray + np.float32(rng.uniform(1.0, 3.0)) * (swapped - gray)
    return np.clip(strengthened, 0, 1).astype(np.float32)
