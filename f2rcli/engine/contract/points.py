"""Light of points (molecules, stars, beads) that was taken for noise, given back.

A point of light spreads over a few pixels, where no test of power can tell its loss from noise. A
matched filter can: where the recorded picture holds a point far beyond its noise, what was removed
under the point's own profile says how much of its light went. What points of about the same
significance lose on average, and by how much they differ, is learnt over the run; each gets back
the posterior mean of its own loss, given what all others lost (empirical Bayes: Efron and Morris,
JASA 1973). Points that lose nothing get nothing, and no other place is touched.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.engine.contract.limits import LEAST, Real

WIDTHS = (0.7, 1.0, 1.4, 2.0)  # pixels, standard deviations of the profiles that are looked for
# Times the width: what was lost is a sum of so wide profiles, since a point that was made wider
# lost light in the middle and won it around.
PROFILES = (1.0, 1.8, 3.5)
AROUND = 2.5  # times the width: as wide is the light that a point stands on
SIGNIFICANT = 3.5  # standard deviations: of 10^4 samples of noise two have so much
CLASSES = (4.0, 5.0, 6.5, 8.5, 12.0, 18.0, 30.0)  # of significance, beyond the first
SURE = 2.0  # standard errors from which a loss is believed
APART = 9  # pixels, in which there is one point
MOST_SHARE = 0.02  # of the samples: where more are points they are texture

MANY = len(PROFILES)

Floats = NDArray[np.float64]


class Filter(NamedTuple):
    """A point's profiles, that of what is around, and how they overlap."""

    lines: tuple[Real, ...]  # of PROFILES, their rows and columns: all have unit sums
    around: Real
    gain: float  # of the filter (profile - around) for a point of unit light
    noise: float  # what it leaves of the variance of white noise
    overlap: Floats  # scalar products of all profiles


class Found(NamedTuple):
    """Points of a plane."""

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    widths: NDArray[np.intp]  # indices of WIDTHS
    light: Floats  # of each in all, in units of the plane times pixels
    significance: Floats


@dataclass
class _Losses:
    """Of the points of each class: how many, and sums of what they lost, of its products, and of
    the covariance of its noise."""

    count: Floats = field(default_factory=lambda: np.zeros(len(CLASSES) + 1))
    total: Floats = field(default_factory=lambda: np.zeros((len(CLASSES) + 1, MANY)))
    products: Floats = field(default_factory=lambda: np.zeros((len(CLASSES) + 1, MANY, MANY)))
    noise: Floats = field(default_factory=lambda: np.zeros((len(CLASSES) + 1, MANY, MANY)))

    def add(self, classes: NDArray[np.intp], lost: Floats, noise: Floats) -> None:
        """Take in points: lost (N, MANY), noise (N, MANY, MANY)."""
        np.add.at(self.count, classes, 1)
        np.add.at(self.total, classes, lost)
        np.add.at(self.products, classes, lost[:, :, None] * lost[:, None, :])
        np.add.at(self.noise, classes, noise)

    def prior(self) -> tuple[Floats, Floats]:
        """Mean and covariance of losses (classes, MANY[, MANY]); none of classes that lose no light
        in the middle of their points: what chance or texture made bright."""
        count = np.maximum(self.count, 1)[:, None]
        mean, noise = self.total / count, self.noise / count[..., None]
        spread = self.products / count[..., None] - mean[:, :, None] * mean[:, None, :]
        chance = np.sqrt(2 / count)[..., None]  # relative error of a variance
        differ = _positive(spread - noise * (1 + chance))
        error = (noise + differ)[:, 0, 0] / count[:, 0]
        losing = mean[:, 0] > SURE * np.sqrt(error)
        return mean * losing[:, None], differ * losing[:, None, None]


@dataclass
class Points:
    """What points of each class of significance lost so far, by plane of one stream of frames."""

    _losses: dict[int, _Losses] = field(default_factory=dict)
    _seed: int = 0  # of the noise that parts the next plane

    def lost(
        self, index: int, plane: Real, removed: Real, variance: Real, parted: Real | None = None
    ) -> Real | None:
        """What of a plane's `removed` (noisy - restored) is the light of points; None without any.

        plane (H, W): as recorded; variance (H, W): of its noise; parted: the same as each sample
        by itself tells, which parts counts of a few electrons: their noise is skewed, and so is
        that of noise as strong as the sample is bright.
        """
        if min(plane.shape) < _filter(len(WIDTHS) - 1).around.size:
            return None
        losses = self._losses.setdefault(index, _Losses())
        noise = np.random.default_rng(self._seed).standard_normal(plane.shape, np.float32)
        noise *= np.sqrt(variance if parted is None else parted)
        self._seed += 1
        halves = [_Half.of(plane + part, removed - part, 2 * variance) for part in (noise, -noise)]
        for half in halves:
            if half is not None:
                losses.add(half.classes, half.lost, half.noise)
        prior = losses.prior()
        back = [half.back(*prior, plane.shape) for half in halves if half is not None]
        return None if not back else sum(back) / np.float32(2)  # type: ignore[return-value]  # not empty

    def values(self) -> dict[str, Any]:
        """All of it as JSON values, for `of`."""
        losses = {
            index: {name: sums.tolist() for name, sums in vars(one).items()}
            for index, one in self._losses.items()
        }
        return {"losses": losses, "seed": self._seed}

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Points":
        """What `values` gave."""
        losses = {
            int(index): _Losses(**{name: np.array(sums) for name, sums in one.items()})
            for index, one in values["losses"].items()
        }
        return cls(losses, int(values["seed"]))


class _Half(NamedTuple):
    """Points that one half of the noise shows, and what the other half says of their losses.

    The recorded plane plus noise like its own, and the plane less that noise, are independent: what
    was found by one is measured by the other without favouring what chance made bright (data
    fission: Leiner et al., JASA 2023).
    """

    found: Found
    classes: NDArray[np.intp]
    lost: Floats  # (N, MANY): as each of its profiles, shares of the light
    noise: Floats  # (N, MANY, MANY): covariance of its noise

    @classmethod
    def of(cls, plane: Real, removed: Real, variance: Real) -> "_Half | None":
        found = _found(plane, variance)
        if not 0 < found.rows.size <= MOST_SHARE * plane.size:
            return None
        count = found.rows.size
        lost, noise = np.zeros((count, MANY)), np.zeros((count, MANY, MANY))
        for index in np.unique(found.widths):
            one, here = _filter(int(index)), found.widths == index
            at = found.rows[here], found.columns[here]
            solve = np.linalg.inv(one.overlap)
            seen = np.stack([_blurred(removed, line)[at] for line in one.lines], 1)
            light = found.light[here, None]
            lost[here] = seen @ solve / light
            level = np.maximum(_blurred(variance, one.lines[0])[at], LEAST)
            noise[here] = level[:, None, None] * solve / light[..., None] ** 2
        return cls(found, np.searchsorted(CLASSES, found.significance), lost, noise)

    def back(self, mean: Floats, differ: Floats, shape: tuple[int, ...]) -> Real:
        """What every point lost, as a picture (H, W): as measured, drawn to what its class lost."""
        mean, differ = mean[self.classes], differ[self.classes]
        gain = differ @ np.linalg.inv(differ + self.noise)
        lost = mean + np.einsum("nij,nj->ni", gain, self.lost - mean)
        return _drawn(shape, self.found, lost * self.found.light[:, None])


def _positive(matrices: Floats) -> Floats:
    """Symmetric matrices (..., n, n) with what is negative in them cut off."""
    values, vectors = np.linalg.eigh(matrices)
    cut: Floats = (vectors * np.maximum(values, 0)[..., None, :]) @ np.swapaxes(vectors, -1, -2)
    return cut


def _found(plane: Real, variance: Real) -> Found:
    """Where a plane holds points that stand out of their surroundings far beyond their noise."""
    best = np.full(plane.shape, -np.inf, np.float32)
    widest = np.zeros(plane.shape, np.uint8)
    light = np.zeros_like(plane)
    for index in range(len(WIDTHS)):
        one = _filter(index)
        seen = _blurred(plane, one.lines[0]) - _blurred(plane, one.around)
        level = np.sqrt(np.maximum(_blurred(variance, one.around), LEAST) * np.float32(one.noise))
        more = seen > best * level
        best[more], widest[more] = (seen / level)[more], index
        light[more] = seen[more] / np.float32(one.gain)
    near = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (APART, APART))
    rows, columns = np.nonzero((best > SIGNIFICANT) & (best >= cv2.dilate(best, near)))
    at = rows, columns
    return Found(
        rows, columns, widest[at].astype(np.intp),
        light[at].astype(np.float64), best[at].astype(np.float64),
    )  # fmt: skip


def _drawn(shape: tuple[int, ...], found: Found, light: Floats) -> Real:
    """Points of so much light (N, MANY), as each of their profiles, as a picture (H, W)."""
    picture = np.zeros(shape, np.float32)
    for index in np.unique(found.widths):
        here, one = found.widths == index, _filter(int(index))
        for column, line in enumerate(one.lines):
            dots = np.zeros(shape, np.float32)
            dots[found.rows[here], found.columns[here]] = light[here, column]
            picture += _blurred(dots, line, cv2.BORDER_CONSTANT)
    return picture


def _blurred(plane: Real, line: Real, border: int = cv2.BORDER_REFLECT) -> Real:
    out: Real = cv2.sepFilter2D(plane, cv2.CV_32F, line, line, borderType=border)  # type: ignore[assignment]  # float32 as asked
    return out


@cache
def _filter(index: int) -> Filter:
    width = WIDTHS[index]
    side = 2 * round(3 * PROFILES[-1] * width) + 1
    lines = [
        np.asarray(cv2.getGaussianKernel(side, share * width, cv2.CV_32F), np.float32).ravel()
        for share in (*PROFILES, AROUND)
    ]
    *profiles, around = (np.outer(line, line).astype(np.float64).ravel() for line in lines)
    matched, both = profiles[0] - around, np.stack(profiles)
    return Filter(
        tuple(lines[:-1]), lines[-1],
        float(matched @ profiles[0]), float(matched @ matched), both @ both.T,
    )  # fmt: skip
