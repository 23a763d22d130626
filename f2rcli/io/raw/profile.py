"""The noise of one exposure, and the NoiseProfile of what is written."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from f2rcli.io.raw.exposure import Exposure, NoiseProfile, Samples
from f2rcli.sensor import pack

Real = NDArray[np.float32]
Bins = NDArray[Any]

FEWEST = 64  # differences in a bin of brightness
BINS = 16
MEDIAN = 0.6745  # of the absolute value of a normal deviate


def profile_left(exposure: Exposure, before: Samples, after: Samples) -> NoiseProfile | None:
    """Gain and read variance of each plane of what was written, in units of white - black: the
    camera's own profile if nothing changed. None for mosaics too small to tell."""
    if exposure.noise is not None and np.array_equal(before, after):
        return exposure.noise
    found = _measured(exposure, after)
    return None if found is None else tuple(_line(*law) for law in found)


def noise_share(exposure: Exposure, samples: Samples) -> float | None:
    """The noise that samples have, as a share of what their NoiseProfile states, in standard
    deviations. None where nothing is stated or the mosaic is too small to tell."""
    found = _measured(exposure, samples)
    if exposure.noise is None or found is None:
        return None
    shares = [
        np.median(variance / np.maximum(gain * level + read, np.finfo(float).tiny))
        for (level, variance), (gain, read) in zip(found, exposure.noise, strict=True)
    ]
    return float(np.sqrt(np.median(shares)))


def _measured(exposure: Exposure, samples: Samples) -> list[tuple[Bins, Bins]] | None:
    """Mean brightness and variance of the noise in each bin of brightness of each plane.

    Measured on diagonal differences within cells of 2x2 samples of one colour, by their median
    (Donoho, 1995), to which texture is an outlier. None for mosaics too small to tell.
    """
    picture: Real = exposure.picture(samples).astype(np.float32)
    planes = [picture] if exposure.gray else pack(picture, exposure.mosaic.pattern)
    if planes[0].size < 4 * FEWEST:
        return None
    mosaic, found = exposure.even_mosaic, []
    for plane, black, white in zip(planes, mosaic.black, mosaic.white, strict=False):
        height, width = (size // 2 * 2 for size in plane.shape)
        cells = (plane[:height, :width] - black) / (white - black)
        a, b, c, d = cells[::2, ::2], cells[::2, 1::2], cells[1::2, ::2], cells[1::2, 1::2]
        light, apart = ((a + b + c + d) / 4).ravel(), np.abs(a - b - c + d).ravel() / 2
        bins = np.array_split(np.argsort(light), min(BINS, len(light) // FEWEST))
        level = np.array([light[one].mean() for one in bins])
        found.append((level, np.array([np.square(np.median(apart[n]) / MEDIAN) for n in bins])))
    return found


def _line(level: Bins, variance: Bins) -> tuple[float, float]:
    """Gain and read variance, neither below zero."""
    if np.ptp(level) > 0:
        gain, read = np.polyfit(level, variance, 1)
        if gain > 0 <= read:
            return float(gain), float(read)
        if gain > 0:
            return float((level * variance).sum() / np.square(level).sum()), 0.0
    return 0.0, float(variance.mean())
