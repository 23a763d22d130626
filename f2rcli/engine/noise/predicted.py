"""An upper bound of the noise from how well a frame can be told by those beside it.

What is new in every frame cannot be made of other frames by any filter, whatever the picture shows
and however it moves. Waves, weaves and gratings can, also where flow takes them for something else.
So what the best filters leave bounds the noise.
"""

from collections.abc import Sequence
from itertools import product

import cv2
import numpy as np

from f2rcli.frames import Floats, PlaneLayout, Singles
from f2rcli.noise.measurement.blocks import FramePlanes, Pair
from f2rcli.noise.measurement.highpass import tiles
from f2rcli.noise.model import KNOTS, NoiseModel, at_levels
from f2rcli.noise.planes import Measured

SIDES = 64, 32  # pixels of a block that has filters of its own: the smaller in small planes
REACH = 2  # pixels, of these filters
FEWEST, MOST = 4, 12  # blocks of a frame
LOOKED_AT = 3  # frames
LOUD = 0.75  # quantile of blocks: noise in a part of the picture is noise, though the rest has none
FAR_LESS = 0.8  # times the law: noise of all kinds that were tried has 0.9 and more
LEAST = 0.3 / 255  # of a law that is worth a look: rounding
RAIL, RAILED = 0.5 / 255, 0.05  # of black or white; share of a block that may lie there, cut off
CUT_OFF = 0.34  # of the variance of white noise around black or white, which is left of it
CELL, PAINTED = 4, 0.1  # pixels a side that are all alike; share of a block that may be such
RIDGE = 1e-9  # of the power of what filters are made of


def held_predicted(
    found: Measured, pictures: Sequence[FramePlanes], layout: PlaneLayout
) -> Measured:
    """What was measured, lowered to what adjacent frames do not tell of each other. Sensors'
    counts, whose law grows with light, stay."""
    if layout.counts_light or len(pictures) < 3:
        return found
    factors = most_unpredicted(pictures, found.planes.models)
    if min(factors) == 1:
        return found
    return found.lowered([np.full(KNOTS, factor) for factor in factors], layout, None)


def most_unpredicted(pictures: Sequence[FramePlanes], models: Sequence[NoiseModel]) -> list[float]:
    """Per plane, the factor of its law's standard deviation that filters of adjacent frames leave,
    at most 1: the largest of a few frames, since one that was blended of others holds nothing new.
    """
    places = np.linspace(1, len(pictures) - 2, min(LOOKED_AT, len(pictures) - 2))
    near = [pictures[round(at) - 1 : round(at) + 2] for at in places]
    pairs = [(Pair(here, before), Pair(here, after)) for before, here, after in near]
    factors = []
    for plane, model in enumerate(models):
        most = 0.0 if model.sigma[0] > LEAST else 1.0
        for both in pairs:
            if most < FAR_LESS:
                most = max(most, _unpredicted(both, plane, model))
        factors.append(most if most < FAR_LESS else 1.0)
    return factors


def _unpredicted(pairs: tuple[Pair, Pair], plane: int, model: NoiseModel) -> float:
    """The same of a frame between its two neighbours; 1 where too few blocks can be compared."""
    picture = pairs[0].before
    here = picture.planes[plane]
    chosen, law = _asked(picture, plane, model)
    if len(chosen) < FEWEST:
        return 1.0
    left = np.full(len(chosen), np.inf)
    for beside in ([p.after.planes[plane] for p in pairs], [p.moved(plane) for p in pairs]):
        near = [_windows(other) for other in beside]
        found = [_left(here[at], [one[at] for one in near]) for at in chosen]
        left = np.minimum(left, np.array(found) / law)
    return float(np.quantile(left, LOUD)) ** 0.5


def _asked(
    picture: FramePlanes, plane: int, model: NoiseModel
) -> tuple[list[tuple[slice, slice]], Floats]:
    """Blocks of a plane that would show noise, not painted, and the variance that its law leaves
    in each: those cut off at black and white only where there are too few others, and those at
    one of them never, as more than half of noise may be cut off there."""
    here = picture.planes[plane]
    colour = bool(picture.chroma and plane)
    size = here.shape[1], here.shape[0]
    bright = cv2.resize(picture.luma, size, interpolation=cv2.INTER_AREA) if colour else here
    rails = bright < RAIL, bright > 1 - RAIL
    whole, cut = [], []
    for at in _blocks(here.shape):
        level = np.clip(float(bright[at].mean()), 0, 1)
        sigma = float(at_levels(model, np.array([level]))[0])
        cells = tiles(np.ascontiguousarray(here[at]), CELL)
        painted = (np.ptp(cells, axis=1) == 0).mean()
        if sigma == 0 or painted >= PAINTED:
            continue
        shares = [float(rail[at].mean()) for rail in rails]
        if colour or sum(shares) < RAILED:
            whole.append((at, sigma**2))
        elif min(shares) >= RAILED:
            cut.append((at, CUT_OFF * sigma**2))
    chosen = whole if len(whole) >= FEWEST else whole + cut
    kept = np.linspace(0, len(chosen) - 1, min(MOST, len(chosen))).round().astype(int)
    return [chosen[index][0] for index in kept], np.array([chosen[index][1] for index in kept])


def _blocks(shape: tuple[int, ...]) -> list[tuple[slice, slice]]:
    """All of a plane away from its borders, of the larger side where there are enough."""
    found: list[tuple[slice, slice]] = []
    for side in SIDES:
        if len(found) < FEWEST:
            tops, lefts = (range(REACH, n - side - REACH + 1, side) for n in shape)
            found = [(slice(y, y + side), slice(x, x + side)) for y, x in product(tops, lefts)]
    return found


def _windows(plane: Singles) -> Singles:
    """Every sample (H, W) with those around it, (H, W, taps, taps)."""
    padded = np.pad(plane, REACH, "reflect")
    return np.lib.stride_tricks.sliding_window_view(padded, (2 * REACH + 1,) * 2)


def _left(here: Singles, near: Sequence[Singles]) -> float:
    """The variance that the best filters of other frames leave of a block."""
    wanted = here.ravel().astype(np.float64)
    known = [one.reshape(len(wanted), -1) for one in near]
    taps = np.concatenate([*known, np.ones((len(wanted), 1))], 1, dtype=np.float64)
    power = taps.T @ taps
    power += RIDGE * np.trace(power) / len(power) * np.eye(len(power))
    left = wanted - taps @ np.linalg.solve(power, taps.T @ wanted)
    return float(np.square(left).sum()) / (len(wanted) - len(power))
