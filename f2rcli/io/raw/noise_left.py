"""A DNG's NoiseProfile: whether that of a file fits it, and one for a denoised mosaic, which raw
developers would denoise once more by the camera's own."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Mosaic
from f2rcli.io.raw.exposure import Exposure, NoiseProfile, Samples
from f2rcli.sensor import pack

Real = NDArray[np.float32]
Bins = NDArray[Any]

FEWEST = 64  # differences in a bin of brightness
BINS = 16
MEDIAN = 0.6745  # of the absolute value of a normal deviate


def profile_left(exposure: Exposure, before: Samples, after: Samples) -> NoiseProfile | None:
    """Gain and read variance of each plane of what was written, in units of white - black: the
    share of the camera's own profile that is left, or a line of its own where the file has none.

    Measured on diagonal differences within cells of 2x2 samples of one colour, by their median in
    bins of brightness (Donoho, 1995), to which texture is an outlier. None for mosaics too small
    to tell.
    """
    if exposure.noise is not None and np.array_equal(before, after):
        return exposure.noise
    picture: Real = exposure.picture(after).astype(np.float32)
    planes = [picture] if exposure.gray else pack(picture, exposure.mosaic.pattern)
    if planes[0].size < 4 * FEWEST:
        return None
    found = [_measured(plane, exposure.even_mosaic, place) for place, plane in enumerate(planes)]
    if exposure.noise is None:
        return tuple(_line(level, variance) for level, variance in found)
    left = []
    for (level, variance), (gain, read) in zip(found, exposure.noise, strict=False):
        stated = np.maximum(gain * level + read, np.finfo(float).tiny)
        share = min(1.0, float(np.median(variance / stated)))
        left.append((gain * share, read * share))
    return tuple(left)


def noise_share(exposure: Exposure, samples: Samples) -> float | None:
    """The noise that samples have, as a share of what their NoiseProfile states, in standard
    deviations. None where nothing is stated or the mosaic is too small to tell."""
    planes = pack(exposure.picture(samples).astype(np.float32), exposure.mosaic.pattern)
    if exposure.noise is None or planes[0].size < 4 * FEWEST:
        return None
    shares = []
    for place, (plane, (gain, read)) in enumerate(zip(planes, exposure.noise, strict=True)):
        level, variance = _measured(plane, exposure.even_mosaic, place)
        stated = np.maximum(gain * level + read, np.finfo(float).tiny)
        shares.append(float(np.median(variance / stated)))
    return float(np.sqrt(np.median(shares)))


def _measured(plane: Real, mosaic: Mosaic, place: int) -> tuple[Bins, Bins]:
    """Mean brightness and variance of the noise in each bin of one plane's samples."""
    black, white = mosaic.black[place], mosaic.white[place]
    height, width = (size // 2 * 2 for size in plane.shape)
    cells = (plane[:height, :width] - black) / (white - black)
    a, b, c, d = cells[::2, ::2], cells[::2, 1::2], cells[1::2, ::2], cells[1::2, 1::2]
    light, apart = ((a + b + c + d) / 4).ravel(), np.abs(a - b - c + d).ravel() / 2
    bins = np.array_split(np.argsort(light), min(BINS, len(light) // FEWEST))
    level = np.array([light[one].mean() for one in bins])
    return level, np.array([np.square(np.median(apart[one]) / MEDIAN) for one in bins])


def _line(level: Bins, variance: Bins) -> tuple[float, float]:
    """Gain and read variance, neither below zero."""
    if np.ptp(level) > 0:
        gain, read = np.polyfit(level, variance, 1)
        if gain > 0 <= read:
            return float(gain), float(read)
        if gain > 0:
            return float((level * variance).sum() / np.square(level).sum()), 0.0
    return 0.0, float(variance.mean())
