"""Samples that were set aside say nothing of whether a scene stands still: what takes their place
is a guess, and next to the same sample in a frame that kept it seems to be a change."""

import numpy as np

from f2rcli import sensor
from f2rcli.engine.contract.limits import Real
from f2rcli.engine.contract.still import Still
from f2rcli.frames import Family, Frame, Mask


def as_before(frame: Frame, planes: list[Real], still: Still | None) -> list[Real]:
    """A frame's planes (see `planes_of`) with what the mean of the frames before shows, where
    samples were set aside that come back as they were. Repaired ones are as they will be."""
    if still is None or not any(kept.places.size for kept in frame.aside):
        return planes
    out = list(planes)
    for index, mask in enumerate(_masks(frame)):
        known = still.means.get(index)
        if known is not None and known.shape == mask.shape and mask.any():
            out[index] = np.where(mask, known, out[index])
    return out


def _masks(frame: Frame) -> list[Mask]:
    """Where samples were set aside, by plane."""
    masks = []
    for kept, plane in zip(frame.aside, frame.planes, strict=False):
        mask = np.zeros(plane.shape, bool)
        mask.flat[kept.places] = True
        masks.append(mask)
    mosaic = frame.layout.mosaic
    if frame.layout.family is Family.BAYER and mosaic is not None:
        return list(sensor.pack(masks[0].astype(np.float32), mosaic.pattern) > 0)
    return masks
