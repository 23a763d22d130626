"""The gain of few photons from the shape of their noise, which differs from that of read noise.

Cumulants of Poisson's law are powers of the gain times the light; read noise has none beyond the
second. They take the rounding of few codes an electron for a shape, and say nothing there.
"""

import numpy as np

from f2rcli.frames import Floats

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
