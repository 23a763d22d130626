"""Drawings that a codec kept exactly: steps between areas of one code, with nothing beside them.

Pixel art, cells and charts on a codec's own grid cost it next to nothing, so they come out as they
went in, while its quantiser says that errors are strong. Errors of a quantiser that coarse leave
ripples beside a step. Where blocks show steps with hardly any, they hold hardly any errors.
"""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Floats, Frame, Singles, in_cells
from f2rcli.noise.measurement.blocks import side_of
from f2rcli.noise.measurement.place_factors import Places, every_block
from f2rcli.noise.planes import PlaneNoise, planes_of

STEP8, STEP = 16 / 255, 3.0  # of 255, and times the errors: less may be the edge of a codec's block
EVEN8, EVEN = 1.1 / 255, 0.35  # the same: what samples differ by in an area of one code,
AREA = 3  # of them on either side of a step
EVERY = 2  # rows and columns that steps are looked for in
FEWEST = 8 / 256  # of a block's samples there beside such a step
MOSTLY = 0.7  # of its steps that are such: others are a texture's
ROOM = 2.0  # times the variance of all but steps, that errors may have


def without_drawings(errors: PlaneNoise, frame: Frame) -> PlaneNoise:
    """The errors of compression in a frame's planes, fewer where its codec has kept drawings."""
    found = exact(planes_of(frame), [model.sigma[0] for model in errors.models])
    return replace(errors, places=found) if found else errors


def exact(planes: Sequence[Singles], sigmas: Sequence[float]) -> tuple[Places, ...]:
    """Factors of the errors' standard deviation at every block of a frame's planes, at most 1, by
    where its luma, the first, is drawn; empty where nothing is. sigmas: of the errors of each
    plane, in its own unit."""
    if min(map(min, (plane.shape for plane in planes))) < side_of(planes[-1].shape):
        return ()
    drawn = cv2.dilate(_drawn(planes[0], sigmas[0]).astype(np.uint8), np.ones((3, 3), np.uint8))
    if not drawn.any():
        return ()
    found = []
    for plane, sigma in zip(planes, sigmas, strict=True):
        variance = _ripples(plane, sigma)
        near = cv2.resize(drawn, variance.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
        factor = np.where(near, np.sqrt(np.minimum(ROOM * variance / max(sigma**2, 1e-18), 1)), 1)
        found.append(every_block(factor, plane.shape))
    return tuple(found)


def _drawn(plane: Singles, sigma: float) -> NDArray[np.bool_]:
    """Blocks most of whose steps were kept exactly: they lie between areas of one code each."""
    side = side_of(plane.shape)
    rows, columns = (length // side for length in plane.shape)
    steps, kept = np.zeros((2, rows, columns))
    for turned in (False, True):
        size = np.abs(_apart((plane.T if turned else plane)[::EVERY]))
        there = np.nonzero(size >= _least(sigma))
        even = np.ones(len(there[0]), bool)
        for shift in (*range(1 - AREA, 0), *range(1, AREA)):
            beside = np.clip(there[1] + shift, 0, size.shape[1] - 1)  # at a border: itself, or none
            same = size[there[0], beside] <= max(EVEN8, EVEN * sigma)
            even &= same | (beside != there[1] + shift)
        lines = there[0] * EVERY
        blocks = [one // side for one in ((there[1], lines) if turned else (lines, there[1]))]
        inside = (blocks[0] < rows) & (blocks[1] < columns)
        for count, chosen in ((steps, inside), (kept, inside & even)):
            np.add.at(count, tuple(one[chosen] for one in blocks), 1)
    return np.asarray((kept >= FEWEST * side**2 / EVERY) & (kept >= MOSTLY * steps))


def _ripples(plane: Singles, sigma: float) -> Floats:
    """The variance of white noise that explains all of a block but its steps."""
    total = np.zeros([length // side_of(plane.shape) for length in plane.shape])
    for turned in (False, True):
        apart = _apart(plane.T if turned else plane)
        apart[np.abs(apart) >= _least(sigma)] = 0
        rest = np.square(apart.T if turned else apart)
        total += in_cells(rest, side_of(plane.shape)).mean((1, 3))
    return total / 4  # twice the variance either way


def _apart(plane: Singles) -> Singles:
    """What every sample and the next in its row differ by."""
    return np.diff(plane, axis=1, append=plane[:, -1:])


def _least(sigma: float) -> float:
    """The least step, beside errors of this standard deviation."""
    return max(STEP8, STEP * sigma)
