"""Offsets of rows: what a row of a sensor has more than those around it, along its whole length.

They are new in every frame, or the same in all. One estimator serves both: pieces of a row vote on
its step from the row before, and what all have is the offset of the row as far as its spectrum is
that of offsets, which rows have each of their own (Wiener, 1949). New offsets are looked for in
what a frame differs by from its neighbours in time, lasting ones in the mean of frames; columns are
rows of the picture on its side.

What stands in a scene fails a test: posts, walls and graphics end somewhere, so pieces disagree; a
lens blurs lines into their neighbours, and fences and blinds repeat themselves, so that their
spectrum is not flat.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Floats
from f2rcli.order import median, quantile, robust_sigma

Values = NDArray[np.float32]  # (H, W)
Profile = NDArray[np.float32]  # (H,)

LEAST_ROWS, LEAST_COLUMNS = 48, 64  # of a plane that is looked at
MOST = 512  # pixels of a row that are looked at, in the middle
SEGMENT = 8  # pixels of a row that vote together
PIECES = 8  # of a row; neighbours among them may share noise that is coloured
FINE = 4.0  # rows: standard deviation of the blur that parts broad bands from single rows
FAR = 2.5  # standard deviations of the segments, from where one is believed less
MATCHED = 0.125  # of the gradient's power: what a match half a pixel off leaves, roughly
EDGES = 32 * MATCHED  # of the gradient's power: what an edge leaves in a step
SOFT = 1.2  # pixels
OUTLYING = 4.5  # standard deviations of the steps, from where one is an edge all along a row
LEAST_SIGMA = 0.5 / 255  # of a picture's noise: rounding
MOSTLY = 0.5  # of what runs across the rows at one place, that is painted
PAINTED = 5  # pixels: what is the same sample for sample around is not a sensor's
RIM = 8  # rows at either end, where broad bands are not told from single rows
LEAST = 0.4 / 255  # standard deviation of offsets
FLAT = 0.35, 2.5  # power of the finest waves, by that of waves twice as long
FINEST, LONGER = (0.75, 1.0), (0.3, 0.6)  # of the finest frequency
BESIDE, HELD, LOWEST = 15, 4.0, 0.12  # frequencies; times their median; of the finest one
BROAD = 0.25  # of the standard deviation of offsets, that their broad part has
TINY = 1e-12


@dataclass(frozen=True, slots=True)
class RowNoise:
    """Offsets that rows, or columns, of some planes share."""

    planes: tuple[int, ...]  # indices, as `planes_of` gives them
    columns: bool
    lasting: bool  # the same in every frame; else new in each
    sigma: float  # standard deviation, white - black
    offsets: Profile = field(compare=False, repr=False)  # of those that last, as first measured

    @property
    def words(self) -> str:
        """What it is called."""
        kind = "column noise" if self.columns else "row noise"
        return f"{kind} that stays" if self.lasting and not self.columns else kind

    def values(self) -> dict[str, Any]:
        """JSON values, in 255ths of a plane's own unit."""
        name = "columns8" if self.columns else "staying_rows8" if self.lasting else "rows8"
        found = {"rows8": 0.0, "columns8": 0.0, "staying_rows8": 0.0, name: 255 * self.sigma}
        return {"planes": sorted(self.planes), **found}


@dataclass(frozen=True, slots=True)
class Lines:
    """All row noise of a clip."""

    found: tuple[RowNoise, ...]

    def words(self) -> str:
        """The findings, for people."""
        most: dict[str, float] = {}
        for one in self.found:
            most[one.words] = max(most.get(one.words, 0.0), one.sigma)
        said = ", ".join(f"{name} {255 * sigma:.1f}" for name, sigma in most.items())
        return f"{said} of 255 (standard deviations)"

    def values(self) -> list[dict[str, Any]]:
        """One entry a group of planes, as JSON values."""
        return [one.values() for one in self.found]


class Offsets(NamedTuple):
    """The offsets of rows, and their standard deviation, white - black."""

    values: Profile  # (H,)
    sigma: float


class Steps(NamedTuple):
    """Steps from each row to the next, by segments."""

    values: Values  # (H - 1, J)
    weights: Values  # (H - 1, J): 1 / variance


def lasting_in(pictures: Sequence[Values]) -> Offsets | None:
    """The offsets that the rows of a sensor have in all of some pictures of one shot."""
    if not _large(pictures[0]):
        return None
    pictures = [_middle(one) for one in pictures]
    half = len(pictures) // 2
    first, second = (np.mean(some, axis=0) for some in (pictures[:half], pictures[half:]))
    same = painted(pictures[0], pictures[-1])
    if same.mean() >= MOSTLY:  # what has no noise is not a camera's
        return None
    drawn = same if same.any() else None
    before, after = (_pieces(steps_of(one, one, drawn)) for one in (first, second))
    if not _agreed([(before, after)]):  # most clips end here
        return None
    mean = np.asarray((first + second) / 2, np.float32)
    found = estimated(mean, drawn)
    before, after = (
        _pieces(steps_of(one, one - found.values[:, None], drawn)) for one in (first, second)
    )
    return found if _agreed([(before, after)]) and _white([(before + after) / 2]) else None


def new_in(views: Iterable[tuple[Values, Sequence[Values]]]) -> float:
    """The standard deviation of the offsets that rows have anew in each picture, 0 where they have
    none. views: a picture, and those before and after it, motion undone."""
    seen = list[tuple[Floats, Floats]]()
    for picture, beside in views:
        if not _large(picture):
            return 0.0
        scene = levelled(_middle(picture))
        first, second = (
            _pieces(steps_of(one, scene, painted(one, np.zeros_like(one)), MATCHED))
            for one in (_middle(picture - other) for other in beside)
        )
        seen.append((first, second))
        if not _agreed(seen):  # most clips end here
            return 0.0
    return _agreed(seen) if _white([(a + b) / 2 for a, b in seen]) else 0.0


def new_offsets(own: Values, others: Sequence[Values], sigma: float) -> Profile:
    """The offsets of this standard deviation that a picture's rows have anew. others: what it is
    expected to show by those beside it, which have offsets of their own."""
    variance, left = sigma**2, np.full(len(own), sigma**2, np.float32)
    offsets = np.zeros(len(own), np.float32)
    if others:
        apart = np.asarray(own - np.mean(others, axis=0), np.float32)
        soft = np.asarray(cv2.GaussianBlur(levelled(own), (0, 0), SOFT), np.float32)
        weights = precision(soft, max(robust_sigma(apart) / 2**0.5, LEAST_SIGMA), MATCHED)
        profile, error = common(*segments(apart, weights))
        for part, prior in zip(parted(profile), (variance, BROAD**2 * variance), strict=True):
            share = np.asarray(prior / (prior * (1 + 1 / len(others)) + error), np.float32)
            offsets += part * share
            left *= 1 - share if prior == variance else 1
    rest = estimated(np.asarray(own - offsets[:, None], np.float32))
    return np.asarray(
        offsets + rest.values * np.minimum(left / max(rest.sigma**2, TINY), 1), np.float32
    )


def levelled(picture: Values) -> Values:
    """A picture whose rows are evenly bright but for broad bands: motion is seen by the rest."""
    means = picture.mean(1)
    return np.asarray(picture - parted(means)[0][:, None], np.float32)


def painted(plane: Values, near: Values) -> NDArray[np.bool_]:
    """Where two frames are the same sample for sample: bars, graphics, clipped light."""
    apart = cv2.blur(np.abs(plane - near), (PAINTED, PAINTED))
    return np.asarray(apart <= np.float32(TINY), np.bool_)


def steps_of(
    picture: Values,
    scene: Values,
    painted: NDArray[np.bool_] | None = None,
    edges: float = EDGES,
) -> Steps:
    """The steps of a picture's rows (H, W), without what is painted. scene: where its edges are;
    edges: what these leave."""
    if painted is not None:  # what is hardly anything else must not say how far segments scatter
        kept = painted.mean(0) < MOSTLY
        if not kept.any():
            return Steps(*np.zeros((2, len(picture) - 1, 1), np.float32))
        picture, scene = (np.ascontiguousarray(one[:, kept]) for one in (picture, scene))
        painted = painted[:, kept]
    soft = np.asarray(cv2.GaussianBlur(scene, (0, 0), SOFT), np.float32)
    across = picture[:, 1:] - picture[:, :-1]
    weights = precision(soft, max(robust_sigma(across) / 2**0.5, LEAST_SIGMA), edges)
    if painted is not None:
        weights[painted] = TINY
    both = np.asarray(1 / (1 / weights[1:] + 1 / weights[:-1]), np.float32)
    return Steps(*segments(picture[1:] - picture[:-1], both))


def estimated(picture: Values, painted: NDArray[np.bool_] | None = None) -> Offsets:
    """The offsets of the rows of a picture (H, W)."""
    found = Offsets(np.zeros(len(picture), np.float32), 0.0)
    for _ in range(3):  # in which edges are found in the picture without the offsets
        scene = picture - found.values[:, None]
        found = offsets_of(common(*steps_of(picture, scene, painted))[0])
    return found


def offsets_of(steps: NDArray[np.floating]) -> Offsets:
    """The offsets that rows have each of their own, from the steps (H - 1,) between them."""
    centred = steps - median(steps)
    inside = np.abs(centred) <= OUTLYING * robust_sigma(centred) + TINY
    kept = np.where(inside, centred - centred[inside].mean(), 0.0)
    own, *scene = _parts(kept, float(inside.mean()))
    level = np.concatenate([[0.0], np.cumsum(kept)])
    curve = _curve(len(level) + 1)
    curve[0] = 1.0
    lost = sum(part / curve**power for power, part in enumerate(scene))
    share = own * curve / np.maximum(own * curve + lost, TINY)
    share[0] = 0.0
    found = np.fft.irfft(np.fft.rfft(_mirrored(level)) * share)[: len(level)]
    return Offsets(found.astype(np.float32), own**0.5)


def common(values: Values, weights: Values) -> tuple[Profile, Profile]:
    """What all segments (H, J) of a row have, robustly, and its variance by their scatter."""
    unit, weight = np.sqrt(weights), weights
    for _ in range(8):
        total = np.maximum(weight.sum(1, keepdims=True), TINY)
        mean = (values * weight).sum(1, keepdims=True) / total
        apart = (values - mean) * unit
        scale = FAR * robust_sigma(apart) + TINY
        weight = weights / (1 + np.minimum(np.abs(apart) / scale, 1e4) ** 2) ** 2
    total = np.maximum(weight.sum(1), TINY)
    scatter = (weight**2 * (values - mean) ** 2).sum(1) / total**2
    return mean[:, 0].astype(np.float32), scatter.astype(np.float32)


def segments(values: Values, weights: Values) -> tuple[Values, Values]:
    """Weighted means of segments of each row, (H, J), and the sums of their weights."""
    height, count = len(values), max(values.shape[1] // SEGMENT, 1)
    used = count * min(SEGMENT, values.shape[1])
    total = weights[:, :used].reshape(height, count, -1).sum(2)
    sums = (values * weights)[:, :used].reshape(height, count, -1).sum(2)
    return sums / np.maximum(total, TINY), total


def parted(profile: NDArray[np.floating]) -> tuple[Profile, Profile]:
    """A profile as single rows and broad bands: their sum is the profile."""
    size, like = (1, 2 * round(3 * FINE) + 1), np.ascontiguousarray(profile[:, None], np.float32)
    soft = cv2.GaussianBlur(like, size, sigmaX=1, sigmaY=FINE, borderType=cv2.BORDER_REFLECT)
    broad = np.asarray(soft, np.float32).reshape(-1)
    return (profile - broad).astype(np.float32), broad


def precision(picture: Values, sigma: float, edges: float = EDGES) -> Values:
    """The precision of every pixel: one over the variance of noise of this sigma and of a share of
    the gradient's power. picture: with little noise."""
    across, down = (
        cv2.Sobel(picture, cv2.CV_32F, *way, ksize=3, scale=1 / 8) for way in ((1, 0), (0, 1))
    )
    power = cv2.blur(across * across + down * down, (3, 3))
    return np.asarray(1 / (sigma**2 + TINY + edges * power), np.float32)


def _large(plane: Values) -> bool:
    return bool(min(plane.shape) >= LEAST_ROWS and max(plane.shape) >= LEAST_COLUMNS)


def _middle(plane: Values) -> Values:
    left = max(plane.shape[1] - MOST, 0) // 2
    return np.ascontiguousarray(plane[:, left : left + MOST], np.float32)


def _pieces(steps: Steps) -> Floats:
    """What each piece of the rows has more than those around, (PIECES, rows)."""
    cuts = np.array_split(np.arange(steps.values.shape[1]), PIECES)
    found = np.stack([common(steps.values[:, cut], steps.weights[:, cut])[0] for cut in cuts])
    middle = np.median(found, axis=0)
    found[:, np.abs(middle - median(middle)) > OUTLYING * robust_sigma(middle)] = 0
    levels = np.cumsum(found - found.mean(1, keepdims=True), 1)
    levels = np.concatenate([np.zeros((len(cuts), 1)), levels], 1)
    return np.stack([parted(one)[0] for one in levels])[:, RIM:-RIM].astype(np.float64)


def _agreed(seen: Sequence[tuple[Floats, Floats]]) -> float:
    """Standard deviation shared by pieces of rows in both of two pictures; 0: by chance."""
    places = np.arange(len(seen[0][0]))
    apart = np.abs(places[:, None] - places) > 1
    across, first, second = (
        np.mean([both[one] @ both[two].T / both[0].shape[1] for both in seen], axis=0)
        for one, two in ((0, 1), (0, 0), (1, 1))
    )
    middle = float(median(across[apart]))
    if middle < LEAST**2 or float(quantile(across[apart], 0.1)) < 0.4 * middle:
        return 0.0
    power = np.sqrt(np.outer(np.diag(first), np.diag(second)))
    alike = float(median((across / np.maximum(power, TINY))[apart]))
    return middle**0.5 if alike >= 0.1 else 0.0  # correlation of pieces


def _white(groups: Sequence[Floats]) -> bool:
    """Whether rows differ each on its own: no lens draws that, and nothing that repeats itself.
    groups: pieces of rows, which count alike."""
    finest, longer, held, power = np.sum([_power(pieces) for pieces in groups], axis=0)
    return bool(FLAT[0] * longer < finest < FLAT[1] * longer and held > 0.75 * power)


def _power(pieces: Floats) -> tuple[float, ...]:
    """Power of rows' finest waves, of longer ones, and of all but broad bands, with and without
    what stands out of neighbouring frequencies; in units of their own."""
    window = np.hanning(pieces.shape[1])
    one, other = (np.fft.rfft(pieces[at::2].mean(0) * window) for at in (0, 1))
    shared, places = (one * other.conj()).real, np.linspace(0, 1, len(one))
    bands = [shared[(places >= low) & (places <= high)].mean() for low, high in (FINEST, LONGER)]
    power = np.square(np.abs(np.fft.rfft(pieces.mean(0) * window)))[round(LOWEST * len(one)) :]
    padded = np.pad(power, BESIDE // 2, "reflect")
    middle = np.median(np.lib.stride_tricks.sliding_window_view(padded, BESIDE), axis=1)
    held = np.minimum(power, HELD * middle)
    return tuple(
        float(part) / (float(power.mean()) + TINY) for part in (*bands, held.mean(), power.mean())
    )


def _parts(steps: Floats, known: float) -> tuple[float, ...]:
    """The variance of offsets of their own, and of what the scene adds to steps: white, and rising
    with the square and the fourth power of the wavelength. known: the share of steps that are."""
    count = len(steps)
    waves = np.fft.rfft(_mirrored(steps))[1:-1]  # the last one is 0
    power = np.square(np.abs(waves)) / (2 * count * max(known, 0.1))
    curve = _curve(count + 1)[1:-1]
    shapes = np.stack([curve, np.ones_like(curve), 1 / curve, 1 / curve**2], 1)
    floor = 0.02 * float(power.mean()) + TINY
    expected = np.full(len(power), float(power.mean()) + TINY)
    parts = np.zeros(shapes.shape[1])
    for _ in range(8):
        parts = _positive(shapes / expected[:, None], power / expected)
        expected = shapes @ parts + floor
    return tuple(float(part) for part in parts)


def _positive(known: Floats, wanted: Floats) -> Floats:
    """The least squares' solution that has nothing below 0, of a few unknowns."""
    scale = np.sqrt(np.square(known).sum(0)) + TINY
    gram, right = (known / scale).T @ (known / scale), (known / scale).T @ wanted
    best, least = np.zeros(len(right)), 0.0
    for count in range(1, len(right) + 1):
        for some in map(list, combinations(range(len(right)), count)):
            found, *_ = np.linalg.lstsq(gram[np.ix_(some, some)], right[some], rcond=None)
            error = -float(found @ right[some])  # beside the power of what is wanted
            if error < least and found.min() >= 0:
                best, least = np.zeros(len(right)), error
                best[some] = found
    return np.asarray(best / scale, np.float64)


def _mirrored(profile: Floats) -> Floats:
    """A profile and its reflection, which has cosines only."""
    return np.concatenate([profile, profile[::-1]])


def _curve(count: int) -> Floats:
    """The power that differences of adjacent samples keep of waves, from none to the finest."""
    return np.asarray(2 - 2 * np.cos(np.linspace(0, np.pi, count)), np.float64)
