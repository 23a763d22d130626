"""Offsets of rows: what a row of a sensor has more than those around it, along its whole length.

They are new in every frame, or the same in all. One estimator serves both: pieces of a row vote on
its step from the row before, and what they agree on, but for broad bands, is the offset of the row.
New offsets are looked for in what a frame differs by from its neighbours in time, lasting ones in
the mean of frames; columns are rows of the picture on its side.

What stands in a scene fails a test: posts, walls and graphics end somewhere, so pieces disagree; a
lens blurs lines into their neighbours, and the spectrum of fences, which repeat, is not flat.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Floats, Mask
from f2rcli.samples.impulses import robust_sigma
from f2rcli.units import scale_of

Values = NDArray[np.float32]  # (H, W)
Profile = NDArray[np.float32]  # (H,)

LEAST_ROWS, LEAST_COLUMNS = 48, 64  # of a plane that is looked at
MOST = 512  # pixels of a row that are looked at, in the middle
SEGMENT = 8  # pixels of a row that vote together
PIECES = 8  # of a row; neighbours among them may share noise that is coloured
# Rows: standard deviation of the blur that parts broad bands from single rows. Of offsets of 6 in
# filmed clips 1.58 are left at 4 and at 2.6, 1.65 at 2; in a drawn still 2.4, 1.9 and 1.8.
FINE = 2.6
EDGES = 4.0  # of the gradient's power: what an edge leaves in a step
SOFT = 1.2  # pixels
OUTLYING = 4.5  # standard deviations of the steps, from where one is an edge all along a row
LEAST_SIGMA = 0.5 / 255  # of a picture's noise: rounding
PAINTED = 5  # pixels: what is the same sample for sample around is not a sensor's
LEAST = 0.4 / 255  # standard deviation of offsets
BROAD = 0.25  # of the standard deviation of offsets, that their broad part has
TINY = 1e-12


@dataclass(frozen=True, slots=True)
class RowNoise:
    """Offsets that rows, or columns, of some planes share."""

    planes: tuple[int, ...]  # indices, as `planes_of` gives them
    columns: bool
    sigma: float  # standard deviation, white - black
    # Of those that are the same in every frame, as first measured; none of those new in each.
    offsets: Profile = field(
        default_factory=lambda: np.zeros(0, np.float32), compare=False, repr=False
    )

    @property
    def lasting(self) -> bool:
        """Whether they are the same in every frame."""
        return bool(self.offsets.size)

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


def in_words(lines: Sequence[RowNoise], levels: tuple[float, float] | None) -> str:
    """All row noise of a clip, for people; levels: of a stack, whose own units it is told in."""
    _, span, unit = scale_of(levels)
    most: dict[str, float] = {}
    for one in lines:
        most[one.words] = max(most.get(one.words, 0.0), one.sigma)
    said = ", ".join(f"{name} {span * sigma:.3g}" for name, sigma in most.items())
    return f"{said} {unit} (standard deviations)" if said else ""


def shared(pairs: Iterable[Sequence[Values]]) -> float:
    """The deviation of offsets that rows have in both pictures of every pair; 0: not for sure."""
    seen = list[tuple[Floats, Floats]]()
    for pair in pairs:
        height, width = pair[0].shape
        if min(height, width) < LEAST_ROWS or max(height, width) < LEAST_COLUMNS:
            return 0.0
        left = max(width - MOST, 0) // 2
        one, other = (_pieces(picture[:, left : left + MOST]) for picture in pair)
        seen.append((one, other))
        if not _agreed(seen):  # most clips end here
            return 0.0
    return _agreed(seen) if seen and _white([(a + b) / 2 for a, b in seen]) else 0.0


def new_offsets(own: Values, others: Sequence[Values], sigma: float) -> Profile:
    """The offsets of this standard deviation that a picture's rows have anew. others: what it is
    expected to show by those beside it, which have offsets of their own."""
    variance, left = sigma**2, np.full(len(own), sigma**2, np.float32)
    offsets = np.zeros(len(own), np.float32)
    if others:
        apart = np.asarray(own - np.mean(others, axis=0), np.float32)
        profile, error = common(*segments(apart, precision(apart)))
        for part, prior in zip(parted(profile), (variance, BROAD**2 * variance), strict=True):
            share = np.asarray(prior / (prior * (1 + 1 / len(others)) + error), np.float32)
            offsets += part * share
            left *= 1 - share if prior == variance else 1
    rest = of_picture(own - offsets[:, None])
    return np.asarray(offsets + rest * np.minimum(left / max(rest.var(), TINY), 1), np.float32)


def of_picture(picture: Values) -> Profile:
    """The offsets of the rows of a picture (H, W): what each has of its own, by the steps between
    them, but for broad bands."""
    steps, _ = common(*steps_of(picture, precision(picture)))
    return parted(np.cumsum([0.0, *(steps - steps.mean(dtype=np.float64))]))[0]


def deviation(offsets: Profile) -> float:
    """Their standard deviation, of rows each on its own: by their second differences, in which a
    scene, that a lens blurs, has less."""
    return float(np.diff(offsets, 2).std()) / 6**0.5


def levelled(picture: Values) -> Values:
    """A picture whose rows are evenly bright but for broad bands: motion is seen by the rest."""
    single, _ = parted(picture.mean(1))
    return np.asarray(picture - single[:, None], np.float32)


def painted(plane: Values, near: Values | float = 0.0) -> Mask:
    """Where two frames are the same sample for sample: bars, graphics, clipped light."""
    apart = cv2.blur(np.abs(plane - np.float32(near)), (PAINTED, PAINTED))
    return np.asarray(apart <= np.float32(TINY), np.bool_)


def steps_of(picture: Values, weights: Values) -> tuple[Values, Values]:
    """The steps from each of a picture's rows (H, W) to the next, by segments, and their weights, 1
    over the variance: (H - 1, J) both. weights: of pixels, see `precision`."""
    both = np.asarray(1 / (1 / weights[1:] + 1 / weights[:-1]), np.float32)
    return segments(picture[1:] - picture[:-1], both)


def precision(picture: Values) -> Values:
    """The precision of every pixel: one over the variance of the noise and of a share of the power
    of the gradient. What is painted has none."""
    sigma = max(robust_sigma(picture[:, 1:] - picture[:, :-1]) / 2**0.5, LEAST_SIGMA)
    soft = np.asarray(cv2.GaussianBlur(picture, (0, 0), SOFT), np.float32)
    across, down = (
        cv2.Sobel(soft, cv2.CV_32F, *way, ksize=3, scale=1 / 8) for way in ((1, 0), (0, 1))
    )
    power = cv2.blur(across * across + down * down, (3, 3))
    weights = 1 / (sigma**2 + EDGES * power)
    return np.where(painted(picture), np.float32(TINY), weights).astype(np.float32)


def common(values: Values, weights: Values) -> tuple[Profile, Profile]:
    """What all segments (H, J) of a row have, robustly, and its variance by their scatter."""
    unit, weight = np.sqrt(weights), weights
    for _ in range(3):
        total = np.maximum(weight.sum(1, keepdims=True), TINY)
        mean = (values * weight).sum(1, keepdims=True) / total
        apart = (values - mean) * unit
        scale = 2.5 * robust_sigma(apart) + TINY  # from where a segment is believed less
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


def _pieces(picture: Values) -> Floats:
    """What each piece of the rows has more than those around, (PIECES, rows); at either end broad
    bands are not told from single rows."""
    steps, weights = steps_of(picture, precision(picture))
    cuts = np.array_split(np.arange(steps.shape[1]), PIECES)
    found = np.stack([common(steps[:, cut], weights[:, cut])[0] for cut in cuts])
    middle = np.median(found, axis=0)
    found[:, np.abs(middle - np.median(middle)) > OUTLYING * robust_sigma(middle)] = 0
    levels = np.cumsum(found - found.mean(1, keepdims=True), 1)
    levels = np.concatenate([np.zeros((len(cuts), 1)), levels], 1)
    return np.stack([parted(one)[0] for one in levels])[:, 8:-8].astype(np.float64)


def _agreed(seen: Sequence[tuple[Floats, Floats]]) -> float:
    """Standard deviation shared by pieces of rows in both of two pictures; 0: by chance."""
    places = np.arange(len(seen[0][0]))
    apart = np.abs(places[:, None] - places) > 1
    across = np.mean([one @ other.T / one.shape[1] for one, other in seen], axis=0)[apart]
    middle = float(np.median(across))
    sure = middle >= LEAST**2 and float(np.quantile(across, 0.1)) >= 0.4 * middle
    return middle**0.5 if sure else 0.0


def _white(groups: Sequence[Floats]) -> bool:
    """Whether rows differ each on its own: nothing that repeats itself does, whose power stands out
    of neighbouring frequencies. groups: pieces of rows, which count alike."""
    held = []
    for pieces in groups:
        waves = np.fft.rfft(pieces.mean(0) * np.hanning(pieces.shape[1]))
        power = np.square(np.abs(waves))[round(0.12 * len(waves)) :]  # of all but broad bands
        beside = np.lib.stride_tricks.sliding_window_view(np.pad(power, 7, "reflect"), 15)
        least = np.minimum(power, 4 * np.median(beside, axis=1))
        held.append(float(least.mean()) / (float(power.mean()) + TINY))
    return bool(np.mean(held) > 0.75)
