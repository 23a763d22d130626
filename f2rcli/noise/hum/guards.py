"""Scene content that looks like bands: rows that moved, and light that changes."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.models.flow import Flow, resized, sample
from f2rcli.noise.hum.views import View, evened
from f2rcli.noise.measurement.agreement import unexplained
from f2rcli.noise.measurement.profiles import TINY, Profile, Values, parted

SHAKEN = 0.4  # of what frames' rows differ by, that a filter leaves: blinds, tables that shake
DRAWN = 10.0  # times the power of what frames differ by in waves of up to
LONGEST = 20  # rows
SHOWN = 20.0  # times the power that frames differ by, of a scene's waves: fine hum has 5 or less
ONE_WAVE = 0.6, 1.5  # times the deviation found, of the strongest wave: fine hum has 0.8 to 1.2
OF_HANN = 16 / 3  # what makes the squares of a windowed wave's frequencies its variance
SLID = 0.4  # of what frames' rows differ by, that another step leaves: stripes that moved
FARTHEST, FINE_STEPS = 64, 8  # rows of such a step; half rows up to
HALF_ROW = 0.5  # between steps
THIN = 0.6  # of their power, by which adjacent rows differ in waves of eight rows: lines have finer
SOFT = 2.0  # pixels: what is blurred shows little noise
WORSE = 1.3  # times the difference of all else: the scene did not take that step
OFF = 0.2  # rows that flow is off by, over stripes
LIT = 0.25  # of the way from an offset to a factor, from which bands are light
HALFWAY = 0.5  # the same of single lines, which say less each
CONTRAST = 0.05  # of brightness, from which the two can be told apart


class Apart(NamedTuple):
    """What pieces of a frame's rows (H, J) differ by from its neighbours, and their brightness."""

    before: Values
    after: Values
    level: Values


def lit(seen: Sequence[Apart], most: float = LIT) -> bool:
    """Whether bands are the stronger the brighter the picture is, or the darker: light, shadows,
    what stands before the scene. A sensor adds the same to all of a row."""
    shared = power = doubt = 0.0
    for one in seen:
        apart = (one.before + one.after) / 2
        band = np.median(apart, 1, keepdims=True)
        mean = one.level.mean(1, keepdims=True)
        by_light = band * (one.level - mean) / np.maximum(mean, 1 / 255)
        shared += float((by_light * (apart - band)).sum())
        power += float(np.square(by_light).sum())
        doubt += CONTRAST**2 * float(np.square(band).sum()) * apart.shape[1]
    return abs(shared) > most * (power + doubt)


def traced(seen: Sequence[Apart]) -> float:
    """The standard deviation that rows have where flow is off by a little: stripes' traces."""
    slopes = [np.gradient(one.level.mean(1)).std() for one in seen]
    return OFF * float(np.median(slopes))


def slid(views: Sequence[View], group: Sequence[int]) -> bool:
    """Whether in most frames one step up or down explains rows, and the rest of the scene may have
    taken it: by flow no motion is seen along what is nothing but rows. Over a scene that shows
    where it is, bands slide."""
    return sum(_stepped(view, group) for view in views) >= len(views) / 2


def _stepped(view: View, group: Sequence[int]) -> bool:
    """Whether such a step leads from the frame before to this one."""
    here, there = view.centre.mean(group), view.near[0].mean(group)
    flow = resized(view.even_flows[0], here.shape)
    steps = _explaining(here, there, flow, filtered=_left(view, group) < SHAKEN)
    if not steps:
        return False
    soft, before = (
        np.asarray(cv2.GaussianBlur(evened(one), (0, 0), SOFT), np.float32) for one in (here, there)
    )
    most = WORSE * _unlike(soft, before, flow)
    straight = np.zeros(here.shape, np.float32)  # flow errs across in a lattice
    for step in steps:
        down = np.full(here.shape, step, np.float32)
        for across in (flow[..., 0], straight):
            if _unlike(soft, before, np.stack([across, down], -1)) <= most:
                return True
    return False


def _unlike(here: Values, there: Values, flow: Flow) -> float:
    return float(np.square(here - sample(there, flow)).mean())


def _explaining(here: Values, there: Values, flow: Flow, *, filtered: bool) -> list[float]:
    """Steps that leave little of what rows differ by from those of the frame before, as flow has
    them: of single rows, or of all. filtered: whether filters do; light of thin lines is shared
    among rows anew, so that the step which leaves least is theirs, if flow takes it too."""
    whole = [one.mean(1) for one in (here, there, sample(there, flow))]
    left, fine = [], False
    for profiles in (whole, [parted(one)[0] for one in whole]):
        now, before, warped = profiles
        seen = _power(now - warped)
        fine = _power(np.diff(now - warped)) > THIN * seen
        for step in _steps(len(now)):
            inside = slice(max(0, int(np.ceil(-step))), len(now) - max(0, int(np.ceil(step))))
            left.append((_power((now - _taken(before, step))[inside]) / seen, float(step)))
    steps = {step for share, step in left if share < SLID}
    least = min(left)[1]
    if filtered and fine and least and abs(least - np.median(flow[..., 1])) <= HALF_ROW:
        steps.add(least)
    return sorted(steps)


def _steps(rows: int) -> NDArray[np.float64]:
    far = min(FARTHEST, rows // 4)
    near = np.arange(-FINE_STEPS, FINE_STEPS, 0.5)
    beyond = np.arange(FINE_STEPS, far + 1.0)
    return np.concatenate([-beyond[::-1], near, beyond])


def _taken(profile: Profile, step: float) -> Profile:
    rows = np.arange(len(profile))
    return np.asarray(np.interp(rows + step, rows, profile), np.float32)


def _power(profile: Profile) -> float:
    return max(float(np.var(profile)), TINY)


def shaken(views: Sequence[View], group: Sequence[int]) -> bool:
    """Whether most frames' rows are those of their neighbours, moved up or down: by flow no motion
    is seen along what is nothing but rows. No step and no filter make new offsets alike."""
    return bool(np.median([_left(view, group) for view in views]) < SHAKEN)


def _left(view: View, group: Sequence[int]) -> float:
    """The share of rows' differences from moved neighbouring frames that no filter explains."""
    beside = [near.mean(group) for near in view.near]
    moves = (resized(flow, one.shape) for flow, one in zip(view.flows, beside, strict=True))
    warped = [sample(one, move) for one, move in zip(beside, moves, strict=True)]
    here, *others = (
        parted(one.mean(axis=1))[0] for one in (view.centre.mean(group), *beside, *warped)
    )
    left, inside = unexplained(here, others[:2])
    seen = np.mean([np.square(one - here)[inside].mean() for one in others[2:]])
    return left / max(float(seen), TINY)


def drawn(views: Sequence[View], group: Sequence[int]) -> bool:
    """Whether the mean of all frames shows the wave that rows differ by most far more strongly:
    waves of new phases cancel out in it, lines of a scene that trembles or turns do not."""
    waves = _waves(views, group)
    return bool(waves.mean[waves.new.argmax()] > DRAWN * waves.new.max())


def passing(views: Sequence[View], group: Sequence[int], sigma: float) -> bool:
    """Whether waves of single rows, of which sigma was found, are a scene's that passes, as a
    shutter that comes down: frames show a wave far more strongly than they differ by any, or the
    strongest that they differ by is more than sigma, most of which flow has followed, or hardly a
    part of it, as of stripes."""
    waves = _waves(views, group)
    apart = float(waves.new.max())
    low, high = (times * sigma for times in ONE_WAVE)
    return bool(waves.each.max() > SHOWN * apart) or not low**2 < apart < high**2


class _Waves(NamedTuple):
    """Waves of up to LONGEST rows: the variance of each in rows' brightness."""

    new: Values  # that one frame adds to those beside it
    each: Values  # in a frame
    mean: Values  # in the mean of all frames


def _waves(views: Sequence[View], group: Sequence[int]) -> _Waves:
    cuts = [views[0].near[0], *(view.centre for view in views), views[-1].near[1]]
    rows = np.stack([parted(cut.mean(group).mean(axis=1))[0] for cut in cuts])
    count = rows.shape[1]
    rows = rows * np.hanning(count).astype(np.float32)
    apart = rows[1:-1] - (rows[:-2] + rows[2:]) / 2
    new, each, mean = (
        np.square(np.abs(np.fft.rfft(some))).mean(0) for some in (apart, rows, rows.mean(0)[None])
    )
    fine = round(2 * (len(new) - 1) / LONGEST)
    unit = OF_HANN / count**2  # the window spreads a wave over three frequencies
    peaks = [np.convolve(one[fine:] * unit, np.ones(3), "same") for one in (new / 1.5, each, mean)]
    return _Waves(*(np.asarray(one, np.float32) for one in peaks))
