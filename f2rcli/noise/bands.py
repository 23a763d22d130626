"""At which scales noise lies: the share of its variance in each of six bands."""

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np

from f2rcli.frames import Floats, Singles

BAND_SIDES = (3, 7, 15, 31, 63)  # pixels, of the box filters that part the bands

Shares = tuple[float, ...]  # six


def bands(residual: Singles, sides: Sequence[int] = BAND_SIDES) -> list[Singles]:
    """A plane (H, W) in six bands that add up to it, finest first; or in other filters' bands."""
    parts, low = [], residual
    for side in sides:
        below = cv2.blur(low, (side, side), borderType=cv2.BORDER_REFLECT_101)
        parts.append(np.asarray(low - below, np.float32))
        low = np.asarray(below, np.float32)
    return [*parts, low]


@cache
def white_shares() -> Shares:
    """The share of a sample's energy that every band keeps, for white noise."""
    impulse = np.zeros((257, 257), np.float32)
    impulse[128, 128] = 1.0
    energy = [float(np.square(band.astype(np.float64)).sum()) for band in bands(impulse)]
    return tuple(e / sum(energy) for e in energy)


def measured_shares(flat: Singles) -> Shares:
    """The share of the noise's variance in every band, from what two adjacent frames differ by,
    (H, W), NaN outside flat places."""
    known = np.isfinite(flat)
    if known.mean() < 0.02:  # too little to believe its own bands
        return white_shares()
    centred = np.where(known, flat - np.float32(flat[known].mean()), 0).astype(np.float32)
    seen, energy = known.astype(np.float32), []
    for index, band in enumerate(bands(centred)):
        if index:  # what lies outside is zero, and missing from coarse bands in this proportion
            side = BAND_SIDES[min(index, len(BAND_SIDES)) - 1]
            seen = np.asarray(cv2.blur(seen, (side, side)), np.float32)
        energy.append(float(np.mean(np.square(band[known]) / seen[known].clip(0.05))))
    return _believable(np.array(energy))


def _believable(energy: Floats) -> Shares:
    """Shares of energy, capped where coarse scales grow without end; they sum to one."""
    white = np.array(white_shares())
    power = energy / white
    for band in range(2, len(power)):
        # More growth towards coarser scales is what frames do not share.
        power[band] = min(power[band], 2.0 * power[band - 1])
    share = power * white
    return tuple((share / max(float(share.sum()), 1e-18)).tolist())
