"""Changes of a still scene that others bear out, and those that stand alone.

Noise passes any limit by chance, and where it does a result keeps noise that a mean of all frames
would take out: in fine texture 5 to 9 dB more than the mean holds. What happens is seldom so small.
It lies beside what differs more, or goes on, or happens often; noise is alone in space and time. So
faint changes count in full beside strong ones only, as the edges of a picture do that are followed
by two limits (Canny, 1986); see DESIGN.md D47.
"""

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.engine.contract.limits import Real, falling

Near = NDArray[np.uint8]  # (H, W), 1 or 0

SURE = 11.0  # times the noise's power, that the last few frames differ by for sure
NEAR = 7, 11, 15  # pixels around that, by its window, where fainter differences belong to it
# In mosaics, of one plane that others do not agree with; and of these at that place, in the mean:
# of noise alone they have as much in some 2 % of all places.
SURE_ALONE, AGREED = 18.0, 4.0
NEAR_COLOURS = 11  # pixels around what a mosaic's planes surely show
BESIDE = 15  # pixels around strong changes of a single frame
ALONE = 4.0  # times the noise's power, that a change has to have more where nothing bears it out
OFTEN = 1.5, 2.5  # times what chance explains: so many changes are such, or too many are
BY_CHANCE = 5.5e-4  # of a picture's places of noise pass the limit from which a change counts
LATELY = 1 / 16  # a frame, of how often changes come


def near_sure(drift: Real, place: int) -> Near:
    """Where the last few frames differ for sure in windows of a kind, and what is around it."""
    return _around(drift > SURE, NEAR[place])


def near_agreed(drifts: Mapping[int, Real]) -> dict[int, Near]:
    """The same for each plane of a mosaic, by the most of all kinds of windows: what is there shows
    in other colours as well, whose noise is their own, or is too much for chance."""
    total, found = np.sum(list(drifts.values()), axis=0), {}
    for index, drift in drifts.items():
        others = (total - drift) / np.float32(len(drifts) - 1)
        sure = (drift > SURE_ALONE) | ((drift > SURE) & (others > AGREED))
        found[index] = _around(sure, NEAR_COLOURS)
    return found


def often(before: float, event: Real, limit: float) -> float:
    """How many times as many changes as by chance have come lately; 1 before anything is known.

    event (H, W): power of a frame's changes, of the noise's, that count from `limit` on.
    """
    now = float((event > limit).mean()) / BY_CHANCE
    return before + LATELY * (now - before)


def supported(event: Real, near: Near | None, strong: float, come: float) -> Real:
    """The power of a frame's changes (H, W), less where they stand alone.

    near: what the frames before made sure of; None: nothing; strong: power from which a change
    bears out others; come: see `often`.
    """
    borne = _around(event > strong, BESIDE)
    if near is not None:
        borne |= near
    alone = np.float32(ALONE * falling(come, OFTEN))
    return np.where(borne > 0, event, event - alone)


def _around(places: NDArray[np.bool_], side: int) -> Near:
    return np.asarray(cv2.dilate(places.astype(np.uint8), np.ones((side, side), np.uint8)), "u1")
