"""Fit a noise model to products at many brightnesses: bins, clipping undone, a line or a curve."""

from math import erf, exp, pi, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Floats
from f2rcli.noise.model import KNOTS, NoiseModel
from f2rcli.order import median, quantile, quantiles, rising

BINS = 24  # of brightness, equally filled
SMALLEST_BIN = 400  # samples; fewer say nothing of a variance
FLATTEST = 0.35  # of every bin is used: registration errors live in the rest
ENOUGH = 20_000  # samples; small pictures give a larger part of themselves
RAIL = 0.03  # codes this near to black or white may stand for anything beyond
CLIPPED = 0.8  # times sigma from a rail: nearer, clipping leaves too little to undo
STRAIGHT = 1.5  # residuals of the line, in standard errors of a bin's variance, root mean square
LEAST_CURVE = 0.06  # relative: curves that differ less from a straight line are not worth having

ROUGH = 0.05  # a bin may be rougher than the flattest places by TEXTURED and so much
BANDS_AGREE = 0.9  # in variance
SCATTERED = 5.0  # times the typical standard error
TRIMMING = 1.008  # what trimming takes from the mean square of a Gaussian, given back
POOLED = 0.1  # relative, in variance: how well one line must fit every channel
TEXTURED = 1.25  # growth of the variance within a bin, from its flatter to its rougher half
SYSTEMATIC = (1.5 / 255) ** 2  # what errors of the anchors may add to a bin's variance
PLACES = np.linspace(0, 1, KNOTS)


class Levels(NamedTuple):
    """Evidence of one channel: brightness, product of two residuals, and roughness there; and
    how bright the whole picture is."""

    level: NDArray[np.float32]
    product: NDArray[np.float32]
    wide: NDArray[np.float32]  # the same at full bandwidth
    roughness: NDArray[np.float32]
    picture: NDArray[np.float32]


class Line(NamedTuple):
    """Variance gain * (x - dark) + read2, and read2 below dark."""

    gain: float
    read2: float
    dark: float = 0.0

    def at(self, level: Floats | NDArray[np.float32]) -> Floats:
        """The variance at these levels."""
        return np.asarray(self.gain * np.maximum(level - self.dark, 0) + self.read2, np.float64)


class Bins(NamedTuple):
    """Variance at several brightnesses, with its standard error."""

    level: Floats
    variance: Floats
    error: Floats


def fit_model(
    channels: list[Levels],
    scale: float = 1.0,
    *,
    clipped: bool = True,
    dark: bool = False,
    counted: bool = False,
) -> NoiseModel:
    """The line or the curve that fits every channel, and its mean over the whole picture.

    `scale`: what the products were multiplied by, and errors of the anchors with them;
    `clipped`: whether the range cut noise off, which is then undone; `dark`: whether light may
    begin above 0, as in files that do not say where black is; `counted`: whether samples are
    single events, whose noise is whole down to 0.
    """
    binned = [bins_of(channel, clipped=clipped, counted=counted) for channel in channels]
    together = Bins(*(np.concatenate(column) for column in zip(*binned, strict=True)))
    *lines, pooled = (fit_line(bins, dark=dark) for bins in (*binned, together))
    lines = [
        pooled if line.gain == 0 < pooled.gain and _agrees(bins, pooled) else line
        for bins, line in zip(binned, lines, strict=True)
    ]
    bent = any(
        is_curved(bins, line, scale * SYSTEMATIC) for bins, line in zip(binned, lines, strict=True)
    )
    curves = tuple(curve_of(bins) for bins in binned) if bent else None
    sigma = []
    for index, (channel, line) in enumerate(zip(channels, lines, strict=True)):
        level = np.clip(channel.picture, 0, 1)
        held = np.interp(level, PLACES, curves[index]) ** 2 if curves else line.at(level)
        sigma.append(sqrt(float(np.mean(held))))
    gains, reads, darks = zip(*lines, strict=True)
    samples = min(len(channel.level) for channel in channels)
    found = darks if any(darks) else ()
    return NoiseModel(gains, tuple(map(sqrt, reads)), tuple(sigma), samples, curves, found)


def bins_of(channel: Levels, *, clipped: bool = True, counted: bool = False) -> Bins:
    """Variance per bin of brightness, clipping undone; bins that tell little are left out: those
    too near a rail, and those that hold texture, where errors of the anchors come on top."""
    order = rising(channel.level)
    parts = np.array_split(order, max(1, min(BINS, len(order) // SMALLEST_BIN)))
    share = min(1.0, max(FLATTEST, ENOUGH / len(order)))
    smooth = float(quantile(channel.roughness, share))
    rows = [_bin(channel, part, smooth) for part in parts]
    level, held, wide, error, texture = (np.array(c) for c in zip(*rows, strict=True))
    # Errors of the anchors add to every band, but not alike: the lower estimate is the better one.
    lower = _running_mean(wide) < BANDS_AGREE * _running_mean(held)
    held = np.where(lower, wide, held)
    variance = undo_clipping(level, held) if clipped else held
    room = 1 - level if counted else np.minimum(level, 1 - level)
    inside = room > np.maximum(CLIPPED * np.sqrt(variance), RAIL)
    usable = inside & (texture < TEXTURED) & (error < SCATTERED * median(error))
    if usable.sum() < min(4, len(usable)):  # no flat places but at few brightnesses
        usable = inside
    if not usable.any():  # a picture that lies almost all on a rail
        usable = room >= np.quantile(room, 0.5)
    # Every bin's own scatter would favour those that came out low: the typical one is as good.
    typical = max(float(median(error / np.maximum(held, 1e-12))), 1e-6)
    expected = typical * _running_mean(variance[usable])
    return Bins(level[usable], variance[usable], np.maximum(expected, 1e-12))


def _bin(
    channel: Levels, part: NDArray[np.intp], smooth: float
) -> tuple[float, float, float, float, float]:
    """Of the flat places among `part`, or of the flattest few: mean brightness, variance, that at
    full bandwidth, the variance's standard error, and by what factor it grows with roughness."""
    rough = channel.roughness[part]
    least = min(len(part), SMALLEST_BIN) - 1
    limit = max(smooth, float(np.partition(rough, least)[least]))
    low = rough <= limit
    flat, rough = part[low], rough[low]
    product = channel.product[flat]
    variance = max(trimmed_mean(product), 1e-12)
    error = float(product.std()) / sqrt(len(flat))
    flatter = rough <= median(rough)
    halves = [max(trimmed_mean(product[half]), 1e-12) for half in (flatter, ~flatter)]
    texture = max(halves[1] / halves[0] - 3 * error / variance, limit / smooth - ROUGH)
    wide = max(trimmed_mean(channel.wide[flat]), 1e-12)
    return float(channel.level[flat].mean()), variance, wide, error, texture


def _running_mean(values: Floats) -> Floats:
    """Mean over three bins."""
    mean: Floats = np.convolve(np.pad(values, 1, mode="edge"), np.ones(3) / 3, "valid")
    return mean


def fit_line(bins: Bins, *, dark: bool = False) -> Line:
    """Weighted least squares with nothing negative; only a clear slope is believed.

    A line that would be negative at 0 goes through it, or, if `dark` is free, begins where it
    reaches 0.
    """
    weight = 1 / bins.error
    flat = float(np.average(bins.variance, weights=weight**2))
    if len(bins.level) < 4 or np.ptp(bins.level) < 0.05:
        return Line(0.0, max(flat, 0.0))
    gain = read2 = 0.0
    for _ in range(3):
        design = np.stack([bins.level, np.ones_like(bins.level)], 1) * weight[:, None]
        gain, read2 = np.linalg.lstsq(design, bins.variance * weight, rcond=None)[0]
        if read2 < 0 and not dark:
            read2, share = 0.0, (weight * bins.level) ** 2
            gain = float(np.sum(share * bins.variance / bins.level) / np.sum(share))
        model = np.maximum(gain * bins.level + read2, 1e-9)
        weight = 1 / (bins.error + 0.02 * model)
    model = gain * bins.level + read2
    left = np.average((bins.variance - model) ** 2, weights=weight**2)
    plain = np.average(
        (bins.variance - np.average(bins.variance, weights=weight**2)) ** 2, weights=weight**2
    )
    if gain <= 0 or left > 0.5 * plain:  # the line explains less than half of what differs
        return Line(0.0, max(float(np.average(bins.variance, weights=weight**2)), 0.0))
    if read2 < 0:
        return Line(float(gain), 0.0, float(-read2 / gain))
    return Line(float(gain), float(read2))


def _agrees(bins: Bins, line: Line) -> bool:
    """Whether all channels' line fits one whose brightness range is too narrow for a slope."""
    model = np.maximum(line.at(bins.level), 1e-12)
    return bool(np.abs(_running_mean(bins.variance) / model - 1).mean() < POOLED)


def is_curved(bins: Bins, line: Line, systematic: float) -> bool:
    """Whether the line misses the bins by more than they scatter, and by enough to matter."""
    if len(bins.level) < 6:
        return False
    model = np.maximum(line.at(bins.level), 1e-9)
    smooth = _running_mean(bins.variance)
    missed = (smooth - model) / (bins.error + 0.02 * model + systematic)
    relative = np.abs(np.sqrt(np.maximum(smooth, 0) / model) - 1)
    return bool(np.sqrt(np.mean(missed**2)) > STRAIGHT and relative.mean() > LEAST_CURVE)


def curve_of(bins: Bins) -> tuple[float, ...]:
    """Standard deviations at the knots: bins smoothed over three, held flat beyond the last."""
    sigma = np.sqrt(np.maximum(_running_mean(bins.variance), 0.0))
    values = np.interp(PLACES, bins.level, sigma)
    return tuple(float(value) for value in values)


def trimmed_mean(product: NDArray[np.float32]) -> float:
    """Mean without the largest two thousandths on either side: cuts, dust and wrong flow.

    Products of Gaussian residuals have a longer tail above; TRIMMING gives back what is lost.
    """
    if len(product) == 0:
        return 0.0
    low, high = quantiles(product, (0.002, 0.998))
    kept = product[(product >= low) & (product <= high)]
    return TRIMMING * float(kept.mean()) if len(kept) else 0.0


def ramp(value: float, low: float, high: float) -> float:
    """0 up to a low value, 1 from a high one on, even between."""
    return min(max((value - low) / (high - low), 0.0), 1.0)


def undo_clipping(level: Floats, held: Floats) -> Floats:
    """Variance before the range clipped it, from that left at a mean level (rectified Gaussian)."""
    variance = held.copy()
    for _ in range(6):
        sigma = np.sqrt(np.maximum(variance, 1e-12))
        left = _left(level / sigma) + _left((1 - level) / sigma) - 1
        variance = held / np.maximum(left, 0.2)
    return variance


def _rectified(u: float) -> tuple[float, float]:
    """Mean and variance of max(0, z), z ~ N(u, 1)."""
    below, bell = 0.5 * (1 + erf(u / sqrt(2))), exp(-(u**2) / 2) / sqrt(2 * pi)
    mean = u * below + bell
    return mean, (1 + u**2) * below + u * bell - mean**2


_TABLE = np.array([_rectified(u) for u in np.linspace(-3, 6, 181)])


def _left(mean: Floats) -> Floats:
    """Variance of a rectified unit Gaussian with this mean (after clipping)."""
    return np.asarray(np.interp(mean, _TABLE[:, 0], _TABLE[:, 1]), np.float64)
