"""Light of points (molecules, stars, beads) that was taken for noise, given back.

A point of light spreads over a few pixels, where no test of power can tell its loss from noise. A
matched filter can: where the recorded picture holds a point far beyond its noise, what was removed
under the point's own profile says how much of its light went. What points of about the same
significance lose on average, and by how much they differ, is learnt over the run; each gets back
the posterior mean of its own loss, given what all others lost (empirical Bayes: Efron and Morris,
JASA 1973). Points that lose nothing get nothing, and no other place is touched. Points that stay
are found first, in the mean of other frames, where dimmer ones show.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.engine.contract.losses import Losses, losses_of, values_of
from f2rcli.engine.contract.means import Real
from f2rcli.engine.contract.terms import LEAST
from f2rcli.frames import Floats

WIDTHS = (0.7, 1.0, 1.4, 2.0)  # pixels, standard deviations of the profiles that are looked for
# Times the width: what was lost is a sum of so wide profiles, since a point that was made wider
# lost light in the middle, more narrowly than it is wide itself, and won it around.
PROFILES = (0.7, 1.6, 3.5)
MIDDLE = np.array(PROFILES) ** -2.0  # of profiles of unit light, their heights in the middle
AROUND = 2.5  # times the width: as wide is the light that a point stands on
SIGNIFICANT = 3.5  # standard deviations: of 10^4 samples of noise two have so much
CLASSES = (4.0, 5.0, 6.5, 8.5, 12.0, 18.0, 30.0)  # of significance, beyond the first
# Of points that stay, in a single frame, though they are found in the mean of many.
STAYING = (1.0, 1.8, 2.5, 3.2, *CLASSES)
DEPTHS = (1.5, 3.0, 6.0, 12.0)  # other frames, which part classes too: more of them lose less
DEEP = len(DEPTHS) + 1
AGREE = 2.5  # standard deviations by which their light may differ from the other frames'
APART = 9  # pixels, in which there is one point
MOST_SHARE = 0.02  # of the samples: where more are points they are texture
# From this of WIDTHS on points have classes of their own: most of what noise shows is narrower.
WIDE = 2
# Of a frame's own noise, as standard deviations: what is added to find points. Less finds fainter
# ones, and measures all of them worse, which the mean over points and draws makes up for.
ADDED = 0.7
DRAWS = 2  # of such noise; each is added and taken away

MANY = len(PROFILES)


class MatchedFilter(NamedTuple):
    """A point, the profiles of what it loses, what is around, and how the profiles overlap."""

    point: Real  # rows and columns: all have unit sums
    lines: tuple[Real, ...]  # the same of PROFILES
    around: Real
    gain: float  # of the filter (profile - around) for a point of unit light
    noise: float  # what it leaves of the variance of white noise
    overlap: Floats  # scalar products of all profiles


class Others(NamedTuple):
    """The mean (H, W) of other frames, where they show the same, and how many (H, W) are in it."""

    mean: Real
    frames: Real


class FoundPoints(NamedTuple):
    """Points of a plane."""

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    widths: NDArray[np.intp]  # indices of WIDTHS
    light: Floats  # of each in all, in units of the plane times pixels
    significance: Floats

    def only(self, some: NDArray[np.bool_]) -> "FoundPoints":
        """A subset of the points."""
        rows, columns, widths = self.rows[some], self.columns[some], self.widths[some]
        return FoundPoints(rows, columns, widths, self.light[some], self.significance[some])


@dataclass
class PointLosses:
    """Losses of points so far, by class of significance and plane, of one stream of frames."""

    _losses: dict[int, Losses] = field(default_factory=dict)
    _staying: dict[int, Losses] = field(default_factory=dict)
    _seed: int = 0  # of the noise that parts the next plane

    def lost(
        self,
        index: int,
        plane: Real,
        removed: Real,
        variance: Real,
        parted: Real | None = None,
        others: Others | None = None,
    ) -> Real | None:
        """The light of points in a plane's `removed` (noisy - restored); None without any.

        plane (H, W): as recorded; variance (H, W): of its noise; parted: the same as each sample
        by itself tells, which parts counts of a few electrons: their noise is skewed, and so is
        that of noise as strong as the sample is bright.
        """
        if min(plane.shape) < _filter(len(WIDTHS) - 1).around.size:
            return None
        stay = None if others is None else self._of_staying(index, plane, removed, variance, others)
        more = self._of_any(
            index, plane, removed if stay is None else removed - stay, variance, parted
        )
        return stay if more is None else more if stay is None else stay + more

    def _of_staying(
        self, index: int, plane: Real, removed: Real, variance: Real, others: Others
    ) -> Real | None:
        points = _staying(plane, removed, variance, others)
        if points is None:
            return None
        losses = self._staying.setdefault(index, Losses.none((len(STAYING) + 1) * DEEP, MANY))
        losses.add(points.classes, points.lost, points.noise)
        return points.back(*losses.prior(MIDDLE), plane.shape)

    def _of_any(
        self, index: int, plane: Real, removed: Real, variance: Real, parted: Real | None
    ) -> Real | None:
        losses = self._losses.setdefault(index, Losses.none(2 * (len(CLASSES) + 1), MANY))
        deviation = np.sqrt(variance if parted is None else parted)
        parts = []
        for _ in range(DRAWS):
            noise = np.random.default_rng(self._seed).standard_normal(plane.shape, np.float32)
            noise *= deviation
            self._seed += 1
            parts += [_shown(plane, removed, variance, one) for one in (noise, -noise)]
        points = _Measured.joined([one for one in parts if one is not None])
        if points is None:
            return None
        losses.add(points.classes, points.lost, points.noise)
        return points.back(*losses.prior(MIDDLE), plane.shape) / np.float32(len(parts))

    def __getstate__(self) -> dict[str, Any]:
        """All of it without arrays, as a run's state is kept."""
        return {
            "losses": values_of(self._losses), "staying": values_of(self._staying),
            "seed": self._seed,
        }  # fmt: skip

    def __setstate__(self, values: dict[str, Any]) -> None:
        self._losses, self._staying = losses_of(values["losses"]), losses_of(values["staying"])
        self._seed = values["seed"]


class _Measured(NamedTuple):
    """Points, and what something independent of how they were found says of their losses."""

    found: FoundPoints
    classes: NDArray[np.intp]
    lost: Floats  # (N, MANY): as each of its profiles, shares of the light
    noise: Floats  # (N, MANY, MANY): covariance of its noise

    @classmethod
    def of(
        cls, found: FoundPoints, classes: NDArray[np.intp], removed: Real, variance: Real
    ) -> "_Measured":
        """removed (H, W) with noise of this variance (H, W)."""
        count = found.rows.size
        lost, noise = np.zeros((count, MANY)), np.zeros((count, MANY, MANY))
        for index in np.unique(found.widths):
            one, here = _filter(int(index)), found.widths == index
            at = found.rows[here], found.columns[here]
            solve = np.linalg.inv(one.overlap)
            seen = np.stack([_blurred(removed, line)[at] for line in one.lines], 1)
            light = found.light[here, None]
            lost[here] = seen @ solve / light
            level = np.maximum(_blurred(variance, one.point)[at], LEAST)
            noise[here] = level[:, None, None] * solve / light[..., None] ** 2
        return cls(found, classes, lost, noise)

    @classmethod
    def joined(cls, some: "list[_Measured]") -> "_Measured | None":
        """The union of several sets of points."""
        if not some:
            return None
        found, *rest = zip(*some, strict=True)
        founds = (np.concatenate(part) for part in zip(*found, strict=True))
        return cls(FoundPoints(*founds), *map(np.concatenate, rest))

    def back(self, mean: Floats, differ: Floats, shape: tuple[int, ...]) -> Real:
        """Every point's loss, as a picture (H, W): as measured, drawn to what its class lost."""
        mean, differ = mean[self.classes], differ[self.classes]
        gain = differ @ np.linalg.inv(differ + self.noise)
        lost = mean + np.einsum("nij,nj->ni", gain, self.lost - mean)
        return _drawn(shape, self.found, lost * self.found.light[:, None])


def _shown(plane: Real, removed: Real, variance: Real, noise: Real) -> _Measured | None:
    """Points that a plane with noise added shows, and what is independent of it says of them.

    noise: of the plane's own `variance`. ADDED times it added to the plane, and 1 / ADDED times it
    taken from the plane, are independent: what was found by one is measured by the other without
    favouring what chance made bright (data fission: Leiner et al., JASA 2023).
    """
    part = np.float32(ADDED)
    found = _found(plane + part * noise, (1 + part**2) * variance)
    if not 0 < found.rows.size <= MOST_SHARE * plane.size:
        return None
    classes = np.searchsorted(CLASSES, found.significance)
    classes += (len(CLASSES) + 1) * (found.widths >= WIDE)
    return _Measured.of(found, classes, removed - noise / part, (1 + 1 / part**2) * variance)


def _staying(plane: Real, removed: Real, variance: Real, others: Others) -> _Measured | None:
    """Points that other frames show, and the frame's own light does not contradict."""
    level = np.divide(variance, np.maximum(others.frames, LEAST), dtype=np.float32)
    found = _found(others.mean, level)
    frames = np.maximum(others.frames[found.rows, found.columns], LEAST)
    single = found.significance / np.sqrt(frames)
    error = found.light / np.maximum(single, LEAST)  # of the light in one frame
    seen = np.zeros_like(found.light)
    for index in np.unique(found.widths):
        one, here = _filter(int(index)), found.widths == index
        bright = _blurred(plane, one.point) - _blurred(plane, one.around)
        seen[here] = bright[found.rows[here], found.columns[here]] / one.gain
    apart = np.abs(seen - found.light) / (error * np.sqrt(1 + 1 / frames))
    same = (frames > LEAST) & (apart < AGREE)
    found, single, frames = found.only(same), single[same], frames[same]
    if not 0 < found.rows.size <= MOST_SHARE * plane.size:
        return None
    classes = DEEP * np.searchsorted(STAYING, single) + np.searchsorted(DEPTHS, frames)
    return _Measured.of(found, classes, removed, variance)


def _found(plane: Real, variance: Real) -> FoundPoints:
    """Where a plane holds points that stand out of their surroundings far beyond their noise."""
    best = np.full(plane.shape, -np.inf, np.float32)
    widest = np.zeros(plane.shape, np.uint8)
    # Of all widths the same: over wider ones a bright point's own noise is less, and would win.
    ground = _blurred(variance, _filter(len(WIDTHS) - 1).around)
    deviation = np.sqrt(np.maximum(ground, LEAST))
    for index in range(len(WIDTHS)):
        one = _filter(index)
        seen = _blurred(plane, one.point) - _blurred(plane, one.around)
        seen /= deviation * np.float32(np.sqrt(one.noise))
        more = seen > best
        np.copyto(best, seen, where=more)
        np.copyto(widest, np.uint8(index), where=more)
    near = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (APART, APART))
    rows, columns = np.nonzero((best > SIGNIFICANT) & (best >= cv2.dilate(best, near)))
    at = rows, columns
    widths, sure = widest[at].astype(np.intp), best[at].astype(np.float64)
    error = np.array([np.sqrt(one.noise) / one.gain for one in map(_filter, range(len(WIDTHS)))])
    return FoundPoints(rows, columns, widths, sure * deviation[at] * error[widths], sure)


def _drawn(shape: tuple[int, ...], found: FoundPoints, light: Floats) -> Real:
    """Points of so much light (N, MANY), as each of their profiles, as a picture (H, W)."""
    picture = np.zeros(shape, np.float32)
    for index in np.unique(found.widths):
        here, one = found.widths == index, _filter(int(index))
        for column, line in enumerate(one.lines):
            dots = np.zeros(shape, np.float32)
            np.add.at(dots, (found.rows[here], found.columns[here]), light[here, column])
            picture += _blurred(dots, line, cv2.BORDER_CONSTANT)
    return picture


def _blurred(plane: Real, line: Real, border: int = cv2.BORDER_REFLECT) -> Real:
    out: Real = cv2.sepFilter2D(plane, cv2.CV_32F, line, line, borderType=border)  # type: ignore[assignment]  # float32 as asked
    return out


@cache
def _filter(index: int) -> MatchedFilter:
    width = WIDTHS[index]
    side = 2 * round(3 * PROFILES[-1] * width) + 1
    lines = [
        np.asarray(cv2.getGaussianKernel(side, share * width, cv2.CV_32F), np.float32).ravel()
        for share in (1.0, AROUND, *PROFILES)
    ]
    point, around, *profiles = (np.outer(line, line).astype(np.float64).ravel() for line in lines)
    matched, both = point - around, np.stack(profiles)
    return MatchedFilter(
        lines[0], tuple(lines[2:]), lines[1],
        float(matched @ point), float(matched @ matched), both @ both.T,
    )  # fmt: skip
