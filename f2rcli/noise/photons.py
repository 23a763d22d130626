"""The noise of counts: the law of photons, from what adjacent frames differ by.

Counts have a variance of gain * (code - zero): a line. Blocks of a picture are points of it. Their
own brightness has noise, and that of counts goes with the difference, so slopes are those of both
variance and own brightness against the brightness in other frames (an instrumental variable): what
has moved or lies at another depth there makes the line no flatter. Where light is even there is no
line to see.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from f2rcli.frames import Floats, Singles, in_cells
from f2rcli.noise.model import NoiseModel
from f2rcli.samples.impulses import robust_sigma

BLOCK = 8  # pixels a side of blocks
FEWEST = 64  # blocks
PARTS = 6  # a side, of a picture, by which the error of its gain is found
SURE = 3.0  # standard errors of a gain
DARKEST = 0.01  # of the blocks: light may begin there; no variance is below theirs
LEAST_SPREAD = 0.1  # of the brightness of blocks, that other frames share
NO_READ = 0.04  # electrons squared of read noise: the quietest sensors have twice as much
FEW = 3.0  # photons: of fewer, what frames differ by tells less than counting does
# Of fewer codes an electron rounding adds to the noise's variance or takes from it as light lies
# between two codes or on one: the gain may be anything below.
ROUNDED, ANY_BELOW = 1.75, 3**-0.5


@dataclass(frozen=True, slots=True)
class PhotonLine:
    """Variance gain * (brightness - zero), in a picture's units."""

    gain: float
    error: float  # standard error of the gain, as samples scatter
    middle: float  # brightness that it was measured around
    level: float  # variance there
    dark: float  # brightness of the darkest places
    step: float  # between codes

    @property
    def unsure(self) -> float:
        """Standard error of the gain, what rounding may do included."""
        coarse = self.gain < ROUNDED * self.step and self.photons < FEW
        return float(np.hypot(self.error, coarse * ANY_BELOW * self.gain))

    @property
    def zero(self) -> float:
        """Brightness at which the variance vanishes."""
        return self.middle - self.level / self.gain

    @property
    def photons(self) -> float:
        """Electrons in a pixel of middling brightness, read noise counted as light."""
        return self.level / self.gain**2


def photon_line(frames: Sequence[Singles]) -> PhotonLine | None:
    """The line of three or more adjacent frames (H, W) of one shot; None for too little to see."""
    if len(frames) < 3 or min(frames[0].shape) < 4 * BLOCK:
        return None
    line = _line(frames, few=False)
    few = None if line is None or line.photons >= FEW else _line(frames, few=True)
    if line is None or few is None:
        return line
    # Of few photons all bands tell more than the finest, unless something moves.
    return line if abs(few.gain - line.gain) > 2 * np.hypot(few.error, line.error) else few


def _line(frames: Sequence[Singles], *, few: bool) -> PhotonLine | None:
    every = tuple(np.concatenate(p) for p in zip(*_blocks(frames, few), strict=True))
    # Blocks that are all as dark have not a count in other frames; one alone is but the darkest.
    dim = every[2] == every[2].min()
    lit = ~dim if dim.sum() > 1 else np.ones_like(dim)
    bright, variance, others = (one[lit] for one in every)
    if bright.size < FEWEST or np.mean(variance > 0) < 0.5:
        return None
    weight, mean = np.ones_like(bright), float(variance.mean())
    for _ in range(12):
        gain, level, middle = _fitted(bright, variance, others, weight)
        # Blocks without a count would be all that counts.
        at = np.maximum(gain * (others - middle) + level, max(LEAST_SPREAD * level, 0.01 * mean))
        off = variance / at - 1
        usual = float(np.median(off))
        # A block may lie beside the line by a fifth of its variance for sure; far off is motion.
        far = 6 * max(robust_sigma(off - usual), abs(usual), 0.2)
        fair = np.square(np.clip(1 - np.square(off / far), 0, None))
        if not fair.any():
            return None
        weight = fair / at**2
    pairs, noise = len(frames) - 1, mean / ((len(frames) - 2) * BLOCK**2)
    seen = float(others.var())
    if seen - noise <= SURE * seen * (2 / (others.size // pairs)) ** 0.5:
        return None  # blocks vary in brightness by no more than its noise
    rows, columns = (np.arange(n // BLOCK) * PARTS // (n // BLOCK) for n in frames[0].shape)
    parts = np.tile((PARTS * rows[:, None] + columns).ravel(), pairs)[lit]
    each = [
        _fitted(*(one[parts != part] for one in (bright, variance, others, weight)))[0]
        for part in np.unique(parts)
    ]
    error = float(np.std(each)) * (len(each) - 1) ** 0.5  # jackknife
    dark = float(np.quantile(every[2], DARKEST))
    step = float(np.diff(np.unique(frames[0])).min(initial=np.inf))
    return PhotonLine(gain, error, middle, level, dark, step)


def _blocks(frames: Sequence[Singles], few: bool) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Of every pair of adjacent frames: brightness of blocks, the variance of a frame's noise by
    their differences, and their brightness in the other frames. few: whether all bands tell the
    variance; else the finest, where little is that moves."""
    total, rest = np.sum(frames, axis=0, dtype=np.float64), len(frames) - 2
    for before, after in pairwise(frames):
        both, apart = before.astype(np.float64) + after, before.astype(np.float64) - after
        rows = np.diff(apart, axis=0, prepend=apart[1:2])
        fine = _means(np.diff(rows, axis=1, prepend=rows[:, 1:2]) ** 2) / 4
        power = (_means(apart**2) - _means(apart) ** 2) * BLOCK**2 / (BLOCK**2 - 1)
        yield _means(both / 2), (power if few else fine) / 2, _means((total - both) / rest)


def _means(x: Floats) -> Floats:
    return in_cells(x, BLOCK).mean((1, 3)).ravel()


def _fitted(x: Floats, y: Floats, z: Floats, weight: Floats) -> tuple[float, ...]:
    """Slope of y against x by what both share with z, height at the middle, and the middle."""
    middle, level, other = (float(np.average(part, weights=weight)) for part in (x, y, z))
    apart = z - other
    seen = float(np.average(apart**2, weights=weight))
    shared = float(np.average(apart * (x - middle), weights=weight))
    shared = max(shared, LEAST_SPREAD * seen, 1e-30)
    gain = float(np.average(apart * (y - level), weights=weight)) / shared
    return gain, level, middle


SYSTEMATIC = 0.05  # of a gain, that statistics does not tell of the planes of one sensor
# Photons: of fewer, counting tells more of a known law than what frames that are matched by motion
# differ by (gains of cells of 0.3: 2 and 20 % off; ten filmed mosaics of 1 to 3: 12 and 4).
FAINT = 1.0


def counted_model(
    frames: Sequence[Sequence[Singles]], model: NoiseModel, *, known: float = math.inf
) -> NoiseModel | None:
    """The law of photon counts where they tell more than blocks' noise did (`model`): in light of a
    few photons, and where that found no line. None elsewhere.

    frames: of one shot, the planes (H, W) of each; known: photons of a pixel from which on blocks
    tell their noise: what moves is noise to the count.
    """
    lines = [photon_line([planes[index] for planes in frames]) for index in range(len(frames[0]))]
    found = [line for line in lines if line is not None]
    if len(found) < len(model.gain):
        return None
    if model.curve is None and all(model.gain):  # blocks found a line
        photons = min((s / g) ** 2 for s, g in zip(model.sigma, model.gain, strict=True))
        if min(line.photons for line in found) >= FEW or photons >= known:
            return None
    sure = np.array([line.error for line in found]) ** -2.0
    gain, error = float(np.average([line.gain for line in found], weights=sure)), sure.sum() ** -0.5
    if gain < SURE * error:
        return None
    errors = [np.hypot(line.error, SYSTEMATIC * gain) for line in found]
    # A camera may multiply some of its colours.
    if all(abs(a.gain - gain) <= SURE * b for a, b in zip(found, errors, strict=True)):
        found = [replace(line, gain=gain) for line in found]
    if any(line.dark < line.zero - NO_READ * line.gain for line in found):
        return None
    means = [float(np.mean([planes[i] for planes in frames])) for i in range(len(found))]
    light = [max(mean - line.zero, 0) for mean, line in zip(means, found, strict=True)]
    return NoiseModel(
        tuple(line.gain for line in found),
        tuple((line.gain * max(line.dark - line.zero, 0)) ** 0.5 for line in found),
        tuple((line.gain * one) ** 0.5 for one, line in zip(light, found, strict=True)),
        model.samples,
        dark=tuple(line.dark for line in found),
        unsure=min(replace(line, error=error).unsure for line in found) / gain,
    )
