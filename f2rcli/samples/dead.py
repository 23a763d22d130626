"""Dead pixels of a mosaic: black in every frame, surrounded by light.

They hide in texture, which differs by as much as they lack. But optics leave no single pixel black:
a hole in the light that leaves a tenth of it in the middle is two pixels wide, and takes half of
the light of each neighbour.
"""

from collections.abc import Sequence

import numpy as np

from f2rcli.frames import Mosaic, Plane
from f2rcli.order import MAD_TO_SIGMA
from f2rcli.samples.impulses import (
    CROSS,
    MOST_IMPULSES,
    NOWHERE,
    OWN_COLOUR,
    STEPS,
    Places,
    samples_near,
)
from f2rcli.sensor import cell_blacks

BLACK = 0.1  # of the light around it, that a dead pixel shows at most,
BLACK_SURELY = 0.05  # and a standard error of its mean more than this: texture may be so dark,
BLACK_ALWAYS = 0.5  # and in no frame more
LIT = 0.35  # of that light, that all but one of the 24 of its colour show
LIT_AROUND = 0.4  # of that of their own colours, that all but one of the 24 next to it show
UNSEEN = 0.2  # of their light, that three of its neighbours, of other colours, may lack
# Standard errors of the mean of frames, that the light around comes to; and where the pixel varies
# from frame to frame by less than half of what those around it do, as what counts no photons does.
SURE, SURE_IF_QUIET, QUIET = 7.0, 5.0, 0.5
LOOKED_AT = 3.0  # standard deviations of the mean from its medians, that it comes to: for the time


def dead(planes: Sequence[Plane], mean: Plane, mosaic: Mosaic, count: float = 0.0) -> Places:
    """Dead pixels in all of some frames of a mosaic (H, W); mean: of `count`, these included."""
    light, likely = np.empty(mean.shape, np.float32), np.zeros(mean.shape, bool)
    blacks = cell_blacks(mosaic)
    for row in (0, 1):
        for column in (0, 1):
            at = np.s_[row::2, column::2]
            light[at] = mean[at] - np.float32(blacks[row, column])
            likely[at] = _black(np.ascontiguousarray(light[at]))
    places = np.flatnonzero(likely)
    if not places.size:
        return NOWHERE
    rows, columns = np.divmod(places, mean.shape[1])
    around = samples_near(light, rows, columns, 2 * np.array(STEPS))
    ground = np.median(around, axis=1)
    lit = np.sort(around, axis=1)[:, 1] > LIT * ground
    black = blacks[rows % 2, columns % 2]
    always = np.max([one.flat[places] - black for one in planes], axis=0) < BLACK_ALWAYS * ground
    some = lit & always & (light.flat[places] < BLACK * ground)
    places, rows, columns = places[some], rows[some], columns[some]
    noise = _noise(planes, rows, columns)
    own = np.std([one.flat[places] for one in planes], axis=0, ddof=1)
    error = max(len(planes), count) ** -0.5
    needed = np.where(own < QUIET * noise, SURE_IF_QUIET, SURE) * noise * error
    hardly = light.flat[places] < BLACK_SURELY * ground[some] + own * error
    shares = _shares(light, rows, columns)
    unseen = np.sort(shares[: len(CROSS)], axis=0)[1:].mean(axis=0) > 1 - UNSEEN
    # in texture as dark in places there are others, of other colours
    single = np.sort(shares, axis=0)[1] > LIT_AROUND
    found = places[(ground[some] > needed) & hardly & unseen & single]
    return found if found.size <= max(2.0, MOST_IMPULSES * mean.size) else NOWHERE


def _black(part: Plane) -> Plane:
    """Where one colour's light (H, W) is hardly any, and more around it."""
    import cv2  # not before it is needed: io knows this module

    if min(part.shape) < 5:
        return np.zeros(part.shape, bool)
    around = np.asarray(cv2.medianBlur(part, 5))
    noise = MAD_TO_SIGMA * float(np.median(np.abs(part - around)))
    found: Plane = (around > max(LOOKED_AT * noise, 1.0)) & (part < BLACK * around)
    return found


def _noise(planes: Sequence[Plane], rows: Places, columns: Places) -> Plane:
    """Standard deviations from frame to frame of the samples around places, motion included."""
    own = 2 * np.array(STEPS)
    near = np.stack([samples_near(one, rows, columns, own).astype(np.float32) for one in planes])
    noise: Plane = np.sqrt(near.var(axis=0, ddof=1).mean(axis=1))
    return noise


def _shares(light: Plane, rows: Places, columns: Places) -> Plane:
    """The share of its colour's median that each of 24 neighbours shows, (24, N), CROSS first."""
    shares = []
    for y, x in sorted(STEPS, key=lambda step: step not in CROSS):
        near = samples_near(light, rows + y, columns + x, np.array(OWN_COLOUR))
        shares.append(near[:, 0] / np.maximum(np.median(near[:, 1:], axis=1), 1.0))
    found: Plane = np.array(shares)
    return found
