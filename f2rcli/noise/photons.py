"""The noise of counts: the law of photons, from what adjacent frames differ by.

Counts have a variance of gain * (code - zero): a line. Blocks of a picture are points of it. Their
own brightness has noise, and that of counts goes with the difference, so slopes are those of both
variance and own brightness against the brightness in other frames (an instrumental variable): what
has moved or lies at another depth there makes the line no flatter. Where light is even there is no
line to see, and the shape of the noise tells: cumulants of Poisson's law are powers of the gain
times the light, read noise has none beyond the second. They take the rounding of few codes an
electron for a shape, and say nothing there.

Light that shines in few frames (molecules, cosmic rays) looks like noise that grows with light:
sparse molecules on an even background of 50 electrons were taken for a gain a hundred times the
true one. `without_flashes` takes it out first.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Floats, Plane, in_cells
from f2rcli.noise.model import NoiseModel
from f2rcli.order import robust_sigma

PARTS = 6  # a side, of a picture, by which the error of its gain is found
SURE = 3.0  # standard errors of a gain
ROUNDED = 1.75  # codes an electron, of fewer rounding hides cumulants,
FEWEST_PAIRS = 25  # of electrons in a sample, that tell their law

Gain = tuple[float, float]  # and its standard error


def cumulant_gain(stack: Floats, rounded: float = 0.0) -> Gain | None:
    """The gain of frames (T, H, W) from cumulants, which of Poisson's law are powers of it times
    the light; read noise has none beyond the second. None where the fourth over the third tells
    nothing.

    Frames without the mean of all, and without their own, have none of what stands still or is
    brighter in one of them. The gain is at least what the third has over the second, which read
    noise adds to. Where it does so, few codes an electron tell nothing, nor does noise narrower
    than a code: read noise that is rounded has a fourth. rounded: what rounding may add to a gain
    that is no whole number of codes.
    """
    count, step = len(stack), step_of(stack)
    stack = stack - stack.mean((1, 2), keepdims=True)
    apart = stack - stack.mean(0)
    two, three, four = ((apart**n).sum(0) for n in (2, 3, 4))
    weights = np.eye(count) - 1 / count  # of frames, in the rest of each
    of_two, of_three, of_four = ((weights[0] ** n).sum() for n in (2, 3, 4))
    # In pairs of frames, so that places that differ in variance do not look like a wide shape.
    pairs = (two**2 - four) / (count * (count - 1))
    share = 3 / (1 + 2 / (count - 1) ** 2)
    both = float((weights[0] ** 2 * weights[1] ** 2).sum())
    second, third = _parts(two) / (count * of_two), _parts(three) / (count * of_three)
    fourth = _parts(four / count - share * pairs) / (of_four - share * both)
    if third.sum() <= SURE * third.std() * third.size**0.5:
        return None
    gain, error = _ratio(fourth, third)
    least = _ratio(third, second)[0]
    # Rounding hides cumulants of a third of a squared code and less, too.
    coarse = gain < ROUNDED * step or second.mean() < step**2 / 3
    if gain < SURE * error or (coarse and least < 0.8 * gain):
        return None
    gain = max(gain, least)
    among = np.sinc(gain / step) if np.isfinite(step) else 0.0
    return gain, float(np.hypot(error, rounded * among))


def one_by_one(stack: Floats, gain: float) -> bool | None:
    """Whether each code of frames (T, H, W) is an electron, so that rounding changes nothing; False
    where they leave open how many make one, None where read noise or the gain says it.

    Where a code is an electron, twos are as many as Poisson's law has them: a sample's pairs are as
    many as those between adjacent frames, in dark parts and in bright ones. Rounding that makes a
    code of several electrons leaves more or fewer, and the dimmest light has too few to count; a
    `gain` of about a code is then the step of the codes. Read noise, which tells gains, is seen by
    codes below the darkest common one.
    """
    step = step_of(stack)
    if gain >= ROUNDED * step:
        return None
    events = np.rint((stack - stack.min()) / step)
    # Where there is no read noise, a tenth of the samples have the lowest code.
    if np.mean(events == 0) < 0.1:
        return None
    own, other = _parts((events * (events - 1)).mean(0)), _parts((events[:-1] * events[1:]).mean(0))
    if float(other.mean()) * stack.size < FEWEST_PAIRS:
        return False
    by_light = (own - other)[np.argsort(_parts(events.mean(0)))]
    for some in (by_light, *np.array_split(by_light, 2)):
        if abs(float(some.mean())) > SURE * float(some.std() / some.size**0.5):
            return False
    return True if gain > step / ROUNDED else None


def step_of(stack: Floats) -> float:
    """Between the codes of frames (T, H, W), as the first shows it; infinite where all are one."""
    return float(np.diff(np.unique(stack[0])).min(initial=np.inf))


def _parts(x: Floats) -> Floats:
    """Means over PARTS x PARTS parts of a picture (H, W)."""
    height, width = (size // PARTS for size in x.shape)
    cells = x[: height * PARTS, : width * PARTS].reshape(PARTS, height, PARTS, width)
    means: Floats = cells.mean((1, 3)).ravel()
    return means


def _ratio(over: Floats, under: Floats) -> tuple[float, float]:
    """Of sums, and its standard error."""
    each = (over.sum() - over) / (under.sum() - under)
    return float(over.sum() / under.sum()), jackknife(each)


def jackknife(each: Floats) -> float:
    """Standard error of what is found with parts left out one by one (jackknife)."""
    return float(np.sqrt(np.square(each - each.mean()).sum() * (each.size - 1) / each.size))


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


FEW_VALUES = 16  # values, of 256 between black and white


def counts_events(samples: NDArray[Any]) -> bool:
    """Whether samples are counts of single events: nearly all of them, 0 = black and 1 = white, lie
    on few values that are far apart. Nothing is cut off at their black: a count of none is one
    value of the noise's own law, and the mean of counts is the light."""
    flat = samples.reshape(-1)
    flat = flat[:: max(1, flat.size // 200_000)].astype(np.float32)
    if not flat.size:
        return False
    filled = np.bincount(np.rint(255 * flat.clip(0, 1)).astype(np.intp), minlength=256)
    order = np.argsort(filled)[::-1][:FEW_VALUES]
    needed = int(np.searchsorted(np.cumsum(filled[order]), 0.99 * flat.size)) + 1
    values = np.sort(order[:needed])
    return 1 < needed <= FEW_VALUES and int(np.diff(values).min()) >= 12  # of 256, between them


SUMMED, AROUND = 5, 15  # pixels, over which light is summed, and noise is measured
SUDDEN = 5.5  # standard deviations of such a sum: of even light not one in 10^6 is so bright


def without_flashes(frames: Sequence[Plane]) -> list[Plane]:
    """Frames (H, W) of one shot with places that are far brighter than in the median frame replaced
    by what another frame shows there: the one half of them later, counted in a circle, or the next
    that is calm."""
    count = len(frames)
    if count < 5 or min(frames[0].shape) < AROUND:
        return list(frames)
    stack = np.stack(frames).astype(np.float32)
    # Floats may be so large or small that their squares are beyond float32.
    stack = np.ldexp(stack, -int(np.frexp(np.abs(stack).max())[1]))
    sums = np.stack([cv2.blur(one, (SUMMED, SUMMED)) for one in stack])
    powers = [cv2.blur(np.square(one), (AROUND, AROUND)) for one in np.diff(stack, axis=0)]
    noise = np.median(powers, axis=0) / (2 * SUMMED**2)
    apart = (sums - np.median(sums, axis=0)) / np.sqrt(np.maximum(noise, np.finfo(np.float32).tiny))
    apart -= np.median(apart, axis=(1, 2), keepdims=True)
    sudden = apart > SUDDEN * max(robust_sigma(apart[:, ::SUMMED, ::SUMMED]), 1.0)
    wide = np.ones((2 * SUMMED - 1, 2 * SUMMED - 1), np.uint8)
    flashes = np.stack([cv2.dilate(one.astype(np.uint8), wide) > 0 for one in sudden])
    if flashes.mean() > 0.2:  # the scene moves, or its light flickers
        return list(frames)
    filled = []
    for number, one in enumerate(frames):
        left = flashes[number].copy()
        for step in range(count // 2, count):
            other = (number + step) % count
            one = np.where(left & ~flashes[other], frames[other], one)
            left &= flashes[other]
        filled.append(one)
    return filled
