"""The gain of few photons from the shape of their noise, which differs from that of read noise.

By the comb that single electrons make in histograms of codes: these are Poisson counts times the
gain, plus an offset and Gaussian read noise, rounded; counts of places that are not equally bright
follow a negative binomial law. The likeliest gain, offset, read noise and light are found by
Fisher's scoring. And by cumulants, which see a gain where there is no read noise to part it from
rounding, and take the rounding of few codes an electron for its shape.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from f2rcli.frames import Floats

BINS = 64  # over all but two thousandths of the samples
TAIL = 1e-3
READ_SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)  # of the least variance, that fits begin from
MOST_LIGHT = 10.0  # electrons, of the darkest class: of more no comb and hardly a shape is left
MOST_COUNTS = 60
ROUNDS, SETTLED = 60, 1e-3  # the latter of a log-likelihood
LEAST_SPREAD, SPREAD = 1e-6, 0.05  # of light in a class, variance over squared mean: none, at first
LEAST_LIGHT = 0.02  # electrons
STEP = 1e-4  # of parameters, to see what they change
FARTHEST = 0.5  # that they change by in a round
# Chi-squared for each degree of freedom, and its standard deviations on top, above which the law
# does not hold.
MISFIT, CHANCE = 1.5, 5.0
UNSURE = 0.02  # of a gain, where light is uneven in classes: that it is spread so is a guess
# The same at an electron of light or more, where codes are coarser than one; half of it at half an
# electron or less.
UNSURE_AMONG_CODES = 0.2
EXPECTED = 5.0  # samples in a bin that counts for it
PARTS = 6  # a side, of a picture, by which the error of its gain is found
SURE = 3.0  # standard errors of a gain
ROUNDED = 1.75  # codes an electron, of fewer rounding hides cumulants,
NARROW = 1 / 3  # of a squared code, the variance: so does rounding of less
PURE = 0.8  # where less of the variance is of electrons
COMMON = 0.1  # of the samples have the lowest code, where there is no read noise
FEWEST_PAIRS = 25  # of electrons in a sample, that tell their law
OFFSET, GAIN, READ, WIDTH, LIGHT = range(5)  # places of parameters: offset, then logarithms

Gain = tuple[float, float]  # and its standard error


def comb_gain(frames: Floats, classes: NDArray[np.intp]) -> Gain | None:
    """The gain of frames (T, H, W) and its standard error, where samples of a class, 0 and up
    (T, H, W), are nearly equally bright. None where the law does not hold, or tells nothing."""
    starts = [law for law in _starts(frames, classes) if law[LIGHT] < np.log(MOST_LIGHT)]
    histograms = _Histograms.of(frames, classes) if starts else None
    if histograms is None:
        return None
    law = max(starts, key=histograms.likelihood)
    fixed = [] if classes.any() else [WIDTH]
    free = np.array([place for place in range(law.size) if place not in fixed])
    law, information = histograms.likeliest(law, free)
    if not histograms.fit(law, free.size):
        return None
    variance = np.linalg.inv(information + 1e-9 * np.eye(free.size))[GAIN, GAIN]
    gain, unsure = float(np.exp(law[GAIN])), UNSURE if classes.any() else 0.0
    if classes.any() and gain < step_of(frames):
        light = float(np.exp(law[LIGHT:]).mean())
        unsure = UNSURE_AMONG_CODES * min(max(light, 0.5), 1.0)
    return gain, gain * float(np.sqrt(max(variance, 0.0) + unsure**2))


def _starts(frames: Floats, classes: NDArray[np.intp]) -> list[Floats]:
    """Laws that a fit may begin from, by the moments of the darkest class."""
    means = np.array([frames[classes == one].mean() for one in range(int(classes.max()) + 1)])
    dark = frames[classes == 0]
    variance, third = (float(np.mean((dark - means[0]) ** power)) for power in (2, 3))
    if variance <= 0 or third <= 0:
        return []
    spread = SPREAD if classes.any() else LEAST_SPREAD
    laws = []
    for share in READ_SHARES:
        gain = third / ((1 - share) * variance)
        offset = means[0] - (1 - share) * variance / gain
        light = np.maximum((means - offset) / gain, LEAST_LIGHT)
        logs = np.log([gain, (share * variance) ** 0.5, spread, *light])
        laws.append(np.array([offset, *logs]))
    return laws


@dataclass(frozen=True, slots=True)
class _Histograms:
    """Of classes: edges (N + 1,) of bins in codes, and how many samples are in each (C, N); those
    beyond the edges are in the first and last."""

    edges: Floats
    seen: Floats

    @classmethod
    def of(cls, frames: Floats, classes: NDArray[np.intp]) -> "_Histograms | None":
        """Histograms of samples; None where all samples are alike."""
        low, high = np.quantile(frames, (TAIL, 1 - TAIL))
        step = step_of(frames)
        if not high > low or step == np.inf:
            return None
        width = step * max(1, int((high - low) / BINS / step))
        first = low - frames.min() - (high - low) / 2  # between codes, all of them
        first = frames.min() + step * (np.floor(first / step) - 0.5)
        count, many = int((1.5 * (high - low)) / width) + 4, int(classes.max()) + 1
        bins = ((frames - first) / width).clip(0, count - 1).astype(np.intp)
        seen = np.bincount((classes * count + bins).ravel(), minlength=many * count)
        return cls(first + width * np.arange(count + 1), seen.reshape(many, count).astype(float))

    def shares(self, law: Floats) -> Floats:
        """Of the samples of each class, the share that a law expects in every bin."""
        gain, read, spread, *light = np.exp(law[GAIN:])
        most = float(np.max(light))
        last = min(MOST_COUNTS, int(most * (1 + 3 * spread**0.5) + 7 * most**0.5 + 6))
        counts = np.arange(last + 1)
        beyond = (self.edges[1:-1] - law[OFFSET] - gain * counts[:, None]) / read
        below = torch.special.ndtr(torch.from_numpy(beyond)).numpy()
        each = np.diff(below, axis=1, prepend=0, append=1)
        mean = np.asarray(light)[:, None]
        ratios = mean * (1 + spread * counts[:-1]) / ((1 + spread * mean) * counts[1:])
        none = (1 + spread * mean) ** (-1 / spread)
        chances = none * np.cumprod(np.concatenate([np.ones_like(mean), ratios], axis=1), axis=1)
        found: Floats = np.maximum(chances @ each, 1e-300)
        return found

    def likelihood(self, law: Floats) -> float:
        """The log-likelihood, up to a constant."""
        return float(np.sum(self.seen * np.log(self.shares(law))))

    def fit(self, law: Floats, free: int) -> bool:
        """Whether a law holds of which so many parameters were fitted: to no fewer bins."""
        expected = self.seen.sum(1, keepdims=True) * self.shares(law)
        some = expected > EXPECTED
        total = float(np.sum((np.square(self.seen - expected) / expected)[some]))
        left = int(some.sum()) - free - len(self.seen)
        freedom = max(left, 1)
        return left >= 0 and bool(total < MISFIT * freedom + CHANCE * (2 * freedom) ** 0.5)

    def likeliest(self, law: Floats, free: NDArray[np.intp]) -> tuple[Floats, Floats]:
        """The likeliest law, and the information on its free parameters; the others stay."""
        samples, damping = self.seen.sum(1)[:, None], 1e-3
        best = self.likelihood(law)
        for _ in range(ROUNDS):
            scale = np.where(free == OFFSET, np.exp(law[READ]), 1.0)
            shares, slopes = self.shares(law), []
            for place, unit in zip(free, scale, strict=True):
                other = law.copy()
                other[place] += STEP * unit
                slopes.append((self.shares(other) - shares) / (STEP * unit))
            slope = np.stack(slopes)
            towards = np.sum(slope * (self.seen / shares), axis=(1, 2))
            information: Floats = np.einsum("icn,jcn->ij", slope * (samples / shares), slope)
            gained = 0.0
            while damping < 1e6 and not gained:
                damped = information + np.diag(damping * np.diag(information) + 1e-9)
                other = law.copy()
                other[free] += np.clip(
                    np.linalg.solve(damped, towards), -FARTHEST * scale, FARTHEST * scale
                )
                gained = max(self.likelihood(other) - best, 0.0)
                damping *= 0.2 if gained else 5.0
            if gained:
                law, best = other, best + gained
            if gained < SETTLED:
                break
        return law, information


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
    coarse = gain < ROUNDED * step or second.mean() < NARROW * step**2
    if gain < SURE * error or (coarse and least < PURE * gain):
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
    if np.mean(events == 0) < COMMON:
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
