"""Whether lines of a picture are its sensor's, in any scene, still or moving.

Offsets of a sensor are the same along the whole line, in every frame, and where the picture is
bright as where it is dark; and each line has its own. What stands in a scene fails one of these:
posts, walls and graphics end somewhere; light, shadows and fabric follow brightness; a lens blurs
lines into their neighbours; fences and blinds repeat themselves. A picture without contrast along
its lines shows none of that, so nothing is concluded from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import cv2
import numpy as np

from f2rcli.frames import Floats
from f2rcli.noise.measurement.profiles import (
    LEAST_COLUMNS,
    LEAST_ROWS,
    TINY,
    Profile,
    Values,
    common,
    parted,
    segments,
)
from f2rcli.noise.standing.steps import SOFT, Steps, estimated, painted, steps_of
from f2rcli.order import median, quantile, robust_sigma

MOST = 512  # pixels of a line that are looked at, in the middle
PIECES = 8  # of a line
DRAWN = 0.5  # of a picture: what has no noise is not a camera's
FEWEST = 4  # frames
RIM = 8  # lines at either end, where broad bands are not told from single lines
OUTLYING = 6.0  # standard deviations of steps, from where one is an edge all along a line
LEAST = 0.4 / 255  # standard deviation of offsets
LOW, LEAST_LOW = 0.1, 0.4  # a quantile of covariances, and what it has at least of their median
ALIKE = 0.2  # correlation of pieces of a line
LASTING = 0.35  # of the offsets of half of the frames, that the other half has too
FLAT = 0.35, 2.5  # power of the finest waves, by that of waves twice as long
FINEST, LONGER = (0.75, 1.0), (0.3, 0.6)  # of the finest frequency
LOOSE = 1.6  # times wider are these limits for lines beside sure ones: chance, where lines are few
SPREAD = 0.75  # of the power, that medians of neighbouring frequencies hold
AROUND, HELD, BROAD = 15, 4.0, 0.12  # frequencies; times their median; of the finest one
AGREED = 0.7, 1.6  # the offsets' sigma by their spectrum, by that of what pieces share
LIT = 0.5  # of the way from an offset to a factor of light, less two standard errors
CONTRAST = 0.1  # of brightness, along the lines that have offsets
DARK = 4 / 255  # brightness that relative contrast is not measured below
SPLIT = 3.0  # standard errors of what every other line has more, from where a colour has it
TOGETHER = 0.6  # of the mean variance of planes' offsets, that their mean's has where they share
MOSAIC, GREENS = range(4), (1, 3)  # planes: R, G, B, G


Planes = Sequence[Values]  # of a frame, as `planes_of` gives them


@dataclass(frozen=True, slots=True)
class Standing:
    """Offsets that lines of some planes have in every frame."""

    planes: tuple[int, ...]  # indices, as `planes_of` gives them; four: see `interleaved`
    columns: bool  # whether the lines are columns
    sigma: float  # standard deviation, white - black
    offsets: Profile = field(compare=False, repr=False)  # as first measured, white - black

    def values(self) -> dict[str, Any]:
        """JSON values, in 255ths of a plane's own unit."""
        across, down = (0.0, self.sigma) if self.columns else (self.sigma, 0.0)
        return {
            "planes": sorted(self.planes),
            "rows8": 0.0,
            "columns8": 255 * down,
            "staying_rows8": 255 * across,
        }


class Light(NamedTuple):
    """How offsets follow brightness: not at all (0) or as light does (1); its standard error."""

    slope: float
    error: float

    @property
    def none(self) -> bool:
        """Whether they surely do not."""
        return abs(self.slope) + 2 * self.error < LIT

    @property
    def chance(self) -> bool:
        """Whether they may seem to by chance."""
        return abs(self.slope) < 2 * self.error

    def beside(self, others: "Sequence[Light]") -> "Light":
        """Combined with the same lines of other colours, each weighed by inverse variance."""
        weights = np.array([one.error for one in (self, *others)]) ** -2.0
        slopes = np.array([one.slope for one in (self, *others)])
        return Light(float(weights @ slopes / weights.sum()), float(weights.sum() ** -0.5))


class Likely(NamedTuple):
    """Lines that stay, whether they are a sensor's or the scene's."""

    line: Standing
    pieces: Floats  # (PIECES, lines), as `_pieces` gives them
    light: Light

    @property
    def sure(self) -> bool:
        """Whether they are a sensor's beyond doubt."""
        return self.light.none and _white([self.pieces])

    def sure_beside(self, others: "Sequence[Likely]") -> bool:
        """Whether they are, as the same sensor's lines in other colours are sure."""
        white = _white([self.pieces], LOOSE) and _white(
            [self.pieces, *(one.pieces for one in others)]
        )
        return white and self.light.chance and self.light.beside([x.light for x in others]).none


def staying(lines: Sequence[Standing], *, columns: bool) -> float:
    """The largest standard deviation of rows, or of columns, white - black."""
    return max((one.sigma for one in lines if one.columns == columns), default=0.0)


def find_standing(
    frames: Sequence[Planes], rows: Sequence[tuple[int, ...]], columns: Sequence[tuple[int, ...]]
) -> tuple[Standing, ...]:
    """The lines that stay in frames of one shot, no two alike. rows, columns: groups of planes that
    may share the offsets of a row, and of a column; two pairs are a mosaic's even and odd lines."""
    found = []
    for upright, groups in ((True, columns), (False, rows)):
        likely = [likely_in(frames, group, columns=upright) for group in groups]
        sure = _of_sensor(likely)
        if [len(group) for group in groups] == [2, 2] and all(sure):
            whole = standing_in(frames, (*groups[0], *groups[1]), columns=upright)
            if whole is not None:
                found.append(whole)
                continue
        for group, shared in zip(groups, sure, strict=True):
            if shared is None:
                continue
            alone = [shared]
            if len(group) > 1:
                each = [standing_in(frames, (plane,), columns=upright) for plane in group]
                alone = [one for one in each if one is not None]
            power = sum(one.sigma**2 for one in alone) / len(group)
            found.extend([shared] if shared.sigma**2 >= TOGETHER * power else alone)
    return tuple(found)


def _of_sensor(likely: Sequence[Likely | None]) -> list[Standing | None]:
    """Sensor lines beyond doubt, or likely beside those, as lines run through all colours."""
    sure = [one for one in likely if one is not None and one.sure]
    return [
        one.line if one is not None and (one.sure or (sure and one.sure_beside(sure))) else None
        for one in likely
    ]


def plane_of(planes: Planes, group: Sequence[int], *, columns: bool) -> Values:
    """The mean of some planes, or what four show together; on its side if the lines are columns."""
    if len(group) == len(MOSAIC):
        return interleaved(planes, group, columns=columns)
    mean = planes[group[0]] if len(group) == 1 else np.mean([planes[at] for at in group], axis=0)
    return np.ascontiguousarray(mean.T if columns else mean, np.float32)


def interleaved(planes: Planes, group: Sequence[int], *, columns: bool) -> Values:
    """The greens of a mosaic, whose even lines are in the first two planes of the group, as the
    lines lie on the sensor. What the scene has in neighbours is more alike, and less of their
    offsets is lost in broad bands."""
    even, odd = (planes[at].T if columns else planes[at] for at in group if at in GREENS)
    return np.stack([even, odd], 1).reshape(-1, even.shape[1]).astype(np.float32)


def of_plane(offsets: Profile, group: Sequence[int], index: int) -> Profile:
    """The offsets of lines in one plane of their group. What all even lines of a mosaic have more
    than the odd ones is its greens', but for chance."""
    if len(group) < len(MOSAIC):
        return offsets
    even, odd = offsets[::2], offsets[1::2]
    split = float(even.mean() - odd.mean())
    if abs(split) <= SPLIT * float(offsets.std()) * (1 / len(even) + 1 / len(odd)) ** 0.5:
        split = 0.0
    return even - np.float32(split / 2) if index in group[:2] else odd + np.float32(split / 2)


def standing_in(
    frames: Sequence[Planes], group: tuple[int, ...], *, columns: bool
) -> Standing | None:
    """The lines of a sensor in the mean of some planes; None where none are sure."""
    found = likely_in(frames, group, columns=columns)
    return found.line if found is not None and found.sure else None


def likely_in(frames: Sequence[Planes], group: tuple[int, ...], *, columns: bool) -> Likely | None:
    """The lines that stay in the mean of some planes; None where there are none, or nothing to
    tell them from light by."""
    if len(frames) < FEWEST:
        return None
    planes = [_middle(plane_of(one, group, columns=columns)) for one in frames]
    if min(planes[0].shape) < LEAST_ROWS or max(planes[0].shape) < LEAST_COLUMNS:
        return None
    half = len(planes) // 2
    first, second = (np.mean(some, axis=0) for some in (planes[:half], planes[half:]))
    same = painted(planes[0], planes[-1])
    if same.mean() >= DRAWN:
        return None
    drawn = same if same.any() else None
    none = np.zeros(len(first), np.float32)
    seen = [_pieces(steps_of(one, none, drawn)) for one in (first, second)]
    if not _agreed(*seen):  # most clips end here
        return None
    mean = np.asarray((first + second) / 2, np.float32)
    found = estimated(mean, drawn)
    seen = [_pieces(steps_of(one, found.values, drawn)) for one in (first, second)]
    shared = _agreed(*seen)
    told = AGREED[0] * shared < found.sigma < AGREED[1] * shared
    both = np.mean(seen, axis=0)
    light = _of_light(both, _levels(mean)) if told else None
    return light and Likely(Standing(group, columns, found.sigma, found.values), both, light)


def _middle(plane: Values) -> Values:
    left = max(plane.shape[1] - MOST, 0) // 2
    return plane[:, left : left + MOST]


def _pieces(steps: Steps) -> Floats:
    """What each piece of the lines has more than those around, (PIECES, lines)."""
    cuts = np.array_split(np.arange(steps.values.shape[1]), PIECES)
    found = np.stack([common(steps.values[:, cut], steps.weights[:, cut])[0] for cut in cuts])
    middle = np.median(found, axis=0)
    found[:, np.abs(middle - median(middle)) > OUTLYING * robust_sigma(middle)] = 0
    levels = np.cumsum(found - found.mean(1, keepdims=True), 1)
    levels = np.concatenate([np.zeros((len(cuts), 1)), levels], 1)
    return np.stack([parted(one)[0] for one in levels])[:, RIM:-RIM].astype(np.float64)


def _agreed(first: Floats, second: Floats) -> float:
    """Standard deviation shared by pieces of lines in both halves of the frames; 0: by chance."""
    places = np.arange(len(first))
    apart = np.abs(places[:, None] - places) > 1
    across, *within = (a @ b.T for a, b in ((first, second), (first, first), (second, second)))
    covariances = across[apart] / first.shape[1]
    middle = float(median(covariances))
    if middle < LEAST**2 or float(quantile(covariances, LOW)) < LEAST_LOW * middle:
        return 0.0
    power = np.sqrt(np.outer(np.diag(within[0]), np.diag(within[1]))) / first.shape[1]
    alike = float(median((across / first.shape[1] / np.maximum(power, TINY))[apart]))
    both = [max(float(median(one[apart])) / first.shape[1], TINY) for one in within]
    lasting = middle / float(np.prod(both)) ** 0.5
    return middle**0.5 if alike >= ALIKE and lasting >= LASTING else 0.0


def _white(groups: Sequence[Floats], loose: float = 1.0) -> bool:
    """Whether lines differ each on its own: no lens draws that, and nothing that repeats itself.
    groups: pieces of lines in some colours, which count alike; loose: times wider limits."""
    finest, longer, held, power = np.sum([_power(pieces) for pieces in groups], axis=0)
    low, high = FLAT[0] / loose * longer, FLAT[1] * loose * longer
    return bool(low < finest < high and held > SPREAD * power)


def _power(pieces: Floats) -> tuple[float, ...]:
    """Power of lines' finest waves, of longer ones, and of all but broad bands, with and without
    what stands out of neighbouring frequencies; in units of their own."""
    window = np.hanning(pieces.shape[1])
    one, other = (np.fft.rfft(pieces[at::2].mean(0) * window) for at in (0, 1))
    shared, places = (one * other.conj()).real, np.linspace(0, 1, len(one))
    bands = [shared[(places >= low) & (places <= high)].mean() for low, high in (FINEST, LONGER)]
    power = np.square(np.abs(np.fft.rfft(pieces.mean(0) * window)))[round(BROAD * len(one)) :]
    padded = np.pad(power, AROUND // 2, "reflect")
    middle = np.median(np.lib.stride_tricks.sliding_window_view(padded, AROUND), axis=1)
    held = np.minimum(power, HELD * middle)
    return tuple(
        float(part) / (float(power.mean()) + TINY) for part in (*bands, held.mean(), power.mean())
    )


def _levels(picture: Values) -> Floats:
    """The brightness of the pieces of the lines, (PIECES, lines)."""
    soft = np.asarray(cv2.GaussianBlur(picture, (0, 0), SOFT), np.float32)
    level, _ = segments(soft, np.ones_like(soft))
    cuts = np.array_split(level, PIECES, axis=1)
    return np.stack([cut.mean(1) for cut in cuts])[:, RIM:-RIM].astype(np.float64)


def _of_light(pieces: Floats, level: Floats) -> Light | None:
    """Whether offsets grow or fall with brightness, as all does that light falls on or that hides
    what is behind it; None where the picture has too little contrast to tell."""
    line, mean = pieces.mean(0), level.mean(0)
    by_light = line * (level - mean) / np.maximum(mean, DARK)
    shared, power = (by_light * (pieces - line)).sum(1), np.square(by_light).sum(1)
    if power.sum() < CONTRAST**2 * np.square(line).sum() * len(pieces):
        return None
    slope = shared.sum() / power.sum()
    without = (shared.sum() - shared) / np.maximum(power.sum() - power, TINY)  # jackknife
    scatter = (1 - 1 / len(pieces)) * np.square(without - without.mean()).sum()
    chance = np.square(pieces - line).mean() / power.sum()
    return Light(float(slope), float(max(scatter, chance, TINY) ** 0.5))
