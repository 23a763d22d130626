"""The law of photon counts, from what adjacent frames differ by: for light too dim for anchors.

Counts have a variance of gain * (code - zero): a line. Blocks of a picture are points of it. Their
own brightness has noise, and that of counts goes with the difference, so slopes are those of both
variance and own brightness against the brightness in other frames (an instrumental variable): what
has moved or lies at another depth there makes the line no flatter. Where light is even there is no
line to see, and the shape of the noise tells; where there is one, it tells as well.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Floats, in_cells
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.photons.shape import (
    PARTS,
    SURE,
    cumulant_gain,
    jackknife,
    one_by_one,
    step_of,
)
from f2rcli.order import robust_sigma

BLOCK = 8  # pixels a side of blocks
FEWEST = 64  # blocks
CUT = 6.0  # standard deviations from the line, from which a block does not count: motion
DARKEST = 0.01  # of the blocks: light may begin there; no variance is below theirs
LEAST_SPREAD = 0.1  # of the brightness of blocks, that other frames share
LEAST_VARIANCE = 0.01  # of the mean of blocks: those without a count would be all that counts
FEW = 3.0  # photons: of fewer, anchors tell less than counting does

FEWEST_FRAMES = 6  # whose noise has a shape to see
ANY_BELOW = 3**-0.5  # of a gain: how far one that may be anything below it is from it
SYSTEMATIC = 0.05  # of a gain, that statistics does not tell of the planes of one sensor


@dataclass(frozen=True, slots=True)
class PhotonLine:
    """Variance gain * (brightness - zero), in a picture's units."""

    gain: float
    error: float  # standard error of the gain, as samples scatter
    middle: float  # brightness that it was measured around
    level: float  # variance there
    dark: float  # brightness of the darkest places
    rounded: float = 0.0  # by how much rounding to codes may change the gain, see `_rounded`
    denied: bool = False  # by the shape of the noise

    @property
    def unsure(self) -> float:
        """Standard error of the gain, what rounding may do included."""
        return float(np.hypot(self.error, self.rounded))

    @property
    def zero(self) -> float:
        """Brightness at which the variance vanishes."""
        return self.middle - self.level / self.gain

    @property
    def photons(self) -> float:
        """Electrons in a pixel of middling brightness, read noise counted as light."""
        return self.level / self.gain**2

    @property
    def sure(self) -> bool:
        """Whether there is a gain at all, and variance in the dark."""
        return self.gain > SURE * self.error and self.dark > self.zero


def photon_line(frames: Sequence[NDArray[np.float32]]) -> PhotonLine | None:
    """The line of three or more adjacent frames (H, W) of one shot; None for too little to see."""
    if len(frames) < 3 or min(frames[0].shape) < 4 * BLOCK:
        return None
    line = _line(frames, _fine)
    if line is None or line.photons >= FEW:
        return line
    flat = _line(frames, _flat)
    if flat is not None:
        moved = abs(flat.gain - line.gain) > 2.0 * np.hypot(flat.error, line.error)
        line = line if moved and (flat.denied or not line.denied) else flat  # shapes see no motion
    if one_by_one(np.asarray(frames, np.float64), line.gain) is False:
        return replace(line, rounded=max(line.rounded, ANY_BELOW * line.gain))
    return line


def _line(
    frames: Sequence[NDArray[np.float32]], powers: Callable[[Floats], Floats]
) -> PhotonLine | None:
    bright, variance, others = (
        np.concatenate(p) for p in zip(*_blocks(frames, powers), strict=True)
    )
    # Of blocks without light no sample may differ: half must have a variance at all.
    if bright.size < FEWEST or np.mean(variance > 0) < 0.5:
        return None
    weight, least = np.ones_like(bright), LEAST_VARIANCE * float(variance.mean())
    for _ in range(12):
        gain, level, middle = _fitted(bright, variance, others, weight)
        at = np.maximum(gain * (others - middle) + level, max(LEAST_SPREAD * level, least))
        off = variance / at - 1
        usual = float(np.median(off))
        scale = robust_sigma(off - usual)
        # A block may lie beside the line by a fifth of its variance for sure.
        far = CUT * max(scale, abs(usual), 0.2)
        fair = np.square(np.clip(1 - np.square(off / far), 0, None))
        if not fair.any():
            return None
        weight = fair / at**2
    chance = float(variance.mean()) / ((len(frames) - 2) * BLOCK**2)
    uneven = _uneven(others, chance, others.size // (len(frames) - 1))
    rounded = float(np.average(_rounded(at, step_of(np.asarray(frames[:1]))), weights=weight))
    if uneven and one_by_one(np.asarray(frames, np.float64), gain):
        rounded = 0.0
    shape = _of_shape(frames, others, rounded)
    if not uneven:
        return shape
    parts = _parts_of_blocks(frames[0].shape, len(frames) - 1)
    each = [
        _fitted(*(one[parts != part] for one in (bright, variance, others, weight)))[0]
        for part in np.unique(parts)
    ]
    line = PhotonLine(
        gain, jackknife(np.array(each)), middle, level, float(np.quantile(others, DARKEST)), rounded
    )
    return line if shape is None else _with_shape(line, shape)


def _rounded(variance: Floats, step: float) -> Floats:
    """What rounding to codes, a `step` apart, may add to the slope of variances, or take from it:
    of noise far narrower than a step it leaves much or little as the mean lies between two codes or
    on one (the first term of the series that Sheppard's correction leaves out)."""
    if not np.isfinite(step):
        return np.zeros_like(variance)
    power = np.maximum(variance / step**2 - 1 / 12, 0)
    found: Floats = 2 * np.pi * step * (np.pi**-2 + 4 * power) * np.exp(-2 * np.pi**2 * power)
    return found


def _with_shape(line: PhotonLine, shape: PhotonLine) -> PhotonLine:
    """A line with what the shape of the noise says of its gain, where that is not denied."""
    # A line's error is as large as its gain, which may be low by chance.
    error = line.unsure * float(np.clip(shape.gain / line.gain, 1.0, 1.5))
    if abs(line.gain - shape.gain) > SURE * np.hypot(error, shape.error):
        return replace(line, denied=True)
    gain, error = pooled([replace(line, error=error), shape])
    return replace(line, gain=gain, error=error, rounded=0.0)  # a part of shapes' laws


def _parts_of_blocks(shape: tuple[int, ...], pairs: int) -> NDArray[np.intp]:
    """Which part of a picture (H, W) every block of every pair is in."""
    rows, columns = (np.arange(size // BLOCK) * PARTS // (size // BLOCK) for size in shape)
    return np.tile((PARTS * rows[:, None] + columns).ravel(), pairs)


def _uneven(bright: Floats, noise: float, blocks: int) -> bool:
    """Whether blocks vary in brightness by more than its noise (a variance): a line needs it."""
    seen = float(np.square(bright - bright.mean()).mean())
    return bool(seen - noise > SURE * seen * (2 / blocks) ** 0.5)


def _of_shape(
    frames: Sequence[NDArray[np.float32]], bright: Floats, rounded: float = 0.0
) -> PhotonLine | None:
    """The line by the noise's shape alone; see `PhotonLine`."""
    if len(frames) < FEWEST_FRAMES:
        return None
    stack = np.asarray(frames, np.float64)
    found = cumulant_gain(stack, rounded)
    if found is None:
        return None
    gain, error = found
    stack -= stack.mean((1, 2), keepdims=True)
    level, middle = float(stack.var(0, ddof=1).mean()), float(bright.mean())
    dark = max(float(np.quantile(bright, DARKEST)), middle - level / gain)
    return PhotonLine(gain, error, middle, level, dark)


def pooled(lines: Sequence[PhotonLine]) -> tuple[float, float]:
    """The gain of lines of one sensor and its standard error, each counted by how sure it is."""
    weights = np.array([line.error for line in lines]) ** -2.0
    gain = float(np.average([line.gain for line in lines], weights=weights))
    return gain, float(weights.sum() ** -0.5)


def counted_model(
    frames: Sequence[Sequence[NDArray[np.float32]]], model: NoiseModel
) -> NoiseModel | None:
    """The law of photon counts where they tell more than anchors did (`model`): in light of a few
    photons, and where anchors found no line. None elsewhere.

    frames: of one shot, the planes (H, W) of each.
    """
    lines = [photon_line([planes[index] for planes in frames]) for index in range(len(frames[0]))]
    if len(lines) > 1 and len(model.gain) != len(lines):
        return None
    found = [line for line in lines if line is not None]
    if len(found) < len(lines):
        return None
    known = model.curve is None and all(model.gain)
    if known and min(line.photons for line in found) >= FEW:
        return None
    gain, error = pooled(found)
    if gain < SURE * error:
        return None
    apart = (abs(line.gain - gain) for line in found)
    errors = (np.hypot(line.error, SYSTEMATIC * gain) for line in found)
    if all(far <= SURE * error for far, error in zip(apart, errors, strict=True)):
        same = [replace(line, gain=gain) for line in found]
    else:  # a camera that multiplies some of its colours
        same = found
    if not all(line.dark > line.zero for line in same):
        return None
    means = [float(np.mean([planes[i] for planes in frames])) for i in range(len(same))]
    many = len(model.gain) // len(same)  # for gray through RGB weights
    same, means = same * many, means * many
    return NoiseModel(
        tuple(line.gain for line in same),
        tuple((line.gain * (line.dark - line.zero)) ** 0.5 for line in same),
        tuple(
            (line.gain * max(mean - line.zero, 0)) ** 0.5
            for mean, line in zip(means, same, strict=True)
        ),
        model.samples,
        None,
        tuple(line.dark for line in same),
        float(np.hypot(error, min(line.rounded for line in found))) / gain,
    )


def _fitted(x: Floats, y: Floats, z: Floats, weight: Floats) -> tuple[float, ...]:
    """Slope of y against x by what both share with z, height at the middle, and the middle."""
    middle, level, other = (float(np.average(part, weights=weight)) for part in (x, y, z))
    apart = z - other
    seen = float(np.average(apart**2, weights=weight))
    shared = float(np.average(apart * (x - middle), weights=weight))
    shared = max(shared, LEAST_SPREAD * seen, 1e-30)
    gain = float(np.average(apart * (y - level), weights=weight)) / shared
    return gain, level, middle


def _blocks(
    frames: Sequence[NDArray[np.float32]], powers: Callable[[Floats], Floats]
) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Of every pair of adjacent frames: brightness of blocks, the variance of a frame's noise by
    their differences, and their brightness in the other frames."""
    total, rest = np.sum(frames, axis=0, dtype=np.float64), len(frames) - 2
    for before, after in pairwise(frames):
        both = before.astype(np.float64) + after
        bright, others = (_means(one) for one in (both / 2, (total - both) / rest))
        yield bright, powers(before.astype(np.float64) - after) / 2, others


def _flat(apart: Floats) -> Floats:
    """Variances of blocks, each about a plane of its own: light that fades or moves a little."""
    cells = in_cells(apart, BLOCK)
    slope = np.arange(BLOCK) - (BLOCK - 1) / 2
    slope /= (BLOCK * np.square(slope).sum()) ** 0.5
    left = BLOCK**2 * (np.square(cells).mean((1, 3)) - cells.mean((1, 3)) ** 2)
    tilts = (np.einsum("iajb,a->ij", cells, slope), np.einsum("iajb,b->ij", cells, slope))
    found: Floats = ((left - tilts[0] ** 2 - tilts[1] ** 2) / (BLOCK**2 - 3)).ravel()
    return found


def _fine(apart: Floats) -> Floats:
    """The same by their finest band alone, where little is that moves."""
    rows = np.diff(apart, axis=0, prepend=apart[1:2])
    return _means(np.diff(rows, axis=1, prepend=rows[:, 1:2]) ** 2) / 4


def _means(x: Floats) -> Floats:
    means: Floats = in_cells(x, BLOCK).mean((1, 3)).ravel()
    return means
