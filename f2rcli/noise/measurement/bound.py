"""How strong noise can be at most: what adjacent frames differ by in their quietest places.

Half the variance of the difference of two frames is the noise's variance plus what moves, changes
or was matched wrongly: an upper bound that texture, graphics and flicker do not lift where the
scene hardly changes. It is read per block of one plane, high-passed, in the blocks where even a
wrong match could add next to nothing; where there are none, from the lowest few of all blocks,
freed of the quantile's own bias. What a codec repeats from frame to frame escapes it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import exp, inf, log
from statistics import NormalDist
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from f2rcli.models.flow import DISFlow, Flow, Luma
from f2rcli.noise.measurement.fitting import undo_clipping
from f2rcli.noise.measurement.order import median, quantile
from f2rcli.noise.model import KNOTS, NoiseModel

SIDES = 16, 8  # pixels of a block: the smaller where a plane holds few of the larger
FEW_BLOCKS = 150  # of a plane
BINS = 6  # of brightness
LEAST_BIN = 60  # blocks
QUIETEST = 0.05  # quantile of blocks that is believed where nothing is flat
MATCHED = 0.125  # of the gradient's power: what a match half a pixel off leaves, roughly
FLAT = 0.05  # of the noise's power: what wrong matches may add to a flat block
LEAST_FLAT = 12  # blocks; the median of fewer says less than the quantile
LIFT = 1.05  # sigma of a brightness with nothing but texture over that of the quietest places
NOISY_SHARE = 1 / 3  # of a picture's blocks must change, or those that never do are the truth
WHITE, COLOURED = 0.85, 0.5  # finest over fine power: white above, coloured below
MOST_EXCESS = 1.3  # of full bandwidth over the finest band, in the flattest bin of white noise
RAIL = 1.5 / 255  # of black or white: a block without noise there has been cut off
INSIDE = 2.0  # times a first guess of sigma that a block keeps from black and white
LEAST_INSIDE = 0.2  # of the blocks; fewer do not speak for the picture
LIGHT, HEAVY = 2 / 255, 12 / 255  # sigma, between which the slack grows
SLACK = 1.03, 1.35  # a law that is above the bound by no more is left alone
UNEVEN = 0.2  # difference of the logarithms of a law's corrections that makes it a curve
DEGREES = (1.0, 0.444, 0.265)  # of freedom per sample of white noise, per bandwidth
FULL, FINE, FINEST = range(3)

Values = NDArray[np.float32]
Floats = NDArray[np.float64]
KNOT_PLACES: Floats = np.linspace(0, 1, KNOTS)


class Picture(NamedTuple):
    """One frame as its planes, with the luma that all of them are matched by."""

    planes: list[Values]  # (H, W), chroma on its own grid, in units of each plane
    luma: Luma  # (H, W), 0 = black, 1 = white
    chroma: bool = False  # whether all planes but the first are chroma, as bright as luma is there


class Pair:
    """Two adjacent frames of one shot."""

    def __init__(self, before: Picture, after: Picture) -> None:
        self.before, self.after = before, after

    @cached_property
    def flow(self) -> Flow:
        """From the one into the other, (H, W, 2)."""
        return DISFlow()(self.before.luma, self.after.luma)


class Blocks(NamedTuple):
    """What the blocks of one plane tell: brightness, noise power at most, and its doubts."""

    level: Floats  # (N,), mean luma, 0..1
    power: Floats  # (3, N), at full bandwidth and in two high-pass bands, each 1 for unit noise
    error: Floats  # (N,), what a wrong match adds to the power, roughly
    void: NDArray[np.bool_]  # (N,), without any noise: painted, or the same in both frames
    rail: NDArray[np.bool_]  # (N,), void on black or white, or in a bar at the border
    still: NDArray[np.bool_]  # (N,), matched as well where it is as where the flow leads
    samples: int  # of one block

    def taken(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> "Blocks":
        """Those of the blocks that are chosen."""
        return Blocks(
            self.level[chosen], self.power[:, chosen], self.error[chosen],
            self.void[chosen], self.rail[chosen], self.still[chosen], self.samples,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bound:
    """The most that a plane's noise can be, by brightness: standard deviations, white - black."""

    level: tuple[float, ...]  # of luma, rising
    sigma: tuple[float, ...]
    counts: tuple[int, ...]  # blocks behind each
    flat: float = 0.0  # share of the blocks that hold no texture to speak of
    white: bool = True  # whether all bands agree, as far as can be seen
    void: float = 0.0  # share of the blocks without any noise, outside bars and rails
    still: float = 1.0  # share of the texture that does not move

    def at(self, level: Floats | NDArray[np.float32]) -> Floats:
        """The bound at these brightnesses, held flat beyond the outermost."""
        return np.asarray(np.interp(level, self.level, self.sigma), np.float64)

    @property
    def mean(self) -> float:
        """Root mean square over the blocks."""
        weights = np.asarray(self.counts) + 1e-9
        return float(np.average(np.square(self.sigma), weights=weights) ** 0.5)

    def factors(self, model: NoiseModel, *, even: bool = False) -> Floats:
        """What to multiply a one-channel law's standard deviation by, at its KNOTS; `even`: by
        the same at all of them, as sensors' laws want, whose units say nothing of 8-bit codes."""
        signal = torch.tensor(self.level, dtype=torch.float64)[None, None, None]
        law = model.level(signal)[0, 0, 0].tolist()
        cut = np.array([cut_to(*pair, even=even) for pair in zip(law, self.sigma, strict=True)])
        if not cut.any():
            return np.zeros(KNOTS)
        if even or np.ptp(np.log(np.maximum(cut, 1e-9))) < UNEVEN:
            weights = np.asarray(self.counts) + 1e-9
            return np.full(KNOTS, exp(np.average(np.log(np.maximum(cut, 1e-9)), weights=weights)))
        return np.asarray(np.interp(KNOT_PLACES, self.level, cut), np.float64)


def lowered(model: NoiseModel, factors: Sequence[Floats], level: Values | None) -> NoiseModel:
    """The law times `factors` at its KNOTS, one row a channel; its sigma as it is on pictures of
    these brightnesses (0..1; None: on any)."""
    rows = [np.asarray(row, np.float64) for row in factors]
    if max(float(np.ptp(row)) for row in rows) < 1e-6 and np.ptp([row[0] for row in rows]) < 1e-6:
        return model if rows[0][0] == 1 else model.scaled(float(rows[0][0]))
    places = KNOT_PLACES if level is None else np.clip(level, 0, 1)
    sigma, curves = [], []
    for row, curve, old in zip(rows, model.at_knots(), model.sigma, strict=True):
        law = np.interp(places, KNOT_PLACES, curve)
        kept = np.interp(places, KNOT_PLACES, curve * row)
        share = float(np.mean(kept**2)) / max(float(np.mean(law**2)), 1e-18)
        sigma.append(old * share**0.5)
        curves.append(tuple(float(value) for value in curve * row))
    if max(float(np.ptp(row)) for row in rows) < 1e-6:  # a factor for every channel: lines stay
        by = [float(row[0]) for row in rows]
        return replace(
            model,
            gain=tuple(g * f**2 for g, f in zip(model.gain, by, strict=True)),
            read=tuple(r * f for r, f in zip(model.read, by, strict=True)),
            sigma=tuple(s * f for s, f in zip(model.sigma, by, strict=True)),
            curve=None if model.curve is None else tuple(curves),
        )
    return replace(model, sigma=tuple(sigma), curve=tuple(curves))


def bounds_of(pairs: Iterable[Pair], clipped: Sequence[bool]) -> list[Bound]:
    """The bound of every plane, from adjacent frames of one shot; `clipped` says of which planes
    black and white cut the noise off. Empty without a pair."""
    seen = [[_blocks_of(pair, plane) for plane in range(len(pair.before.planes))] for pair in pairs]
    planes = zip(*seen, strict=True)
    if not seen:
        return []
    return [
        _bound(_joined(list(parts)), clipped=cut)
        for parts, cut in zip(planes, clipped, strict=True)
    ]


def flat_difference(pair: Pair, plane: int) -> Values:
    """What a plane's flat places differ by, (H, W), as strong as its noise; NaN elsewhere."""
    first, second = pair.before.planes[plane], pair.after.planes[plane]
    blocks = _blocks_of(pair, plane)
    live = ~(blocks.void | blocks.rail)
    shown = np.full(first.shape, np.nan, np.float32)
    if not live.any():
        return shown
    lowest = _quietest(blocks.power[FINEST, live], blocks.samples * DEGREES[FINEST])
    chosen = live & (blocks.error < FLAT * lowest)
    side = round(blocks.samples**0.5)
    rows, columns = first.shape[0] // side, first.shape[1] // side
    mask = np.kron(chosen.reshape(rows, columns), np.ones((side, side))) > 0
    matched = _same_light(first, _moved(second, pair.flow, first.shape), side)
    apart = ((matched - first) * np.float32(0.5**0.5))[: rows * side, : columns * side]
    shown[: rows * side, : columns * side][mask] = apart[mask]
    return shown


def cut_to(law: float, bound: float, *, even: bool = False) -> float:
    """The share of a law's sigma that a bound leaves. Next to heavy noise what anchors take for
    noise is small, while compressed noise is uneven: there the law may be above it by more."""
    if law <= bound or law <= 0:
        return 1.0
    if bound <= 0:
        return 0.0
    place = 1.0 if even else np.clip(log(bound / LIGHT) / log(HEAVY / LIGHT), 0, 1)
    slack = log(SLACK[0]) + float(place) ** 2 * log(SLACK[1] / SLACK[0])
    excess = log(law / bound)
    return exp(max(0.0, 2 * slack - excess) - excess) if excess > slack else 1.0


def _blocks_of(pair: Pair, plane: int) -> Blocks:
    before, after = pair.before, pair.after
    bright = before.luma if before.chroma and plane else before.planes[plane]
    return _plane_blocks(before.planes[plane], after.planes[plane], bright, pair.flow)


def _plane_blocks(before: Values, after: Values, bright: Luma, flow: Values) -> Blocks:
    side = SIDES[before.size < FEW_BLOCKS * SIDES[0] ** 2]
    choices = [after, _moved(after, flow, before.shape)]
    here, there = _tiles(before, side), [_tiles(other, side) for other in choices]
    matched = [_same_light(before, other, side) for other in choices]
    apart = [other - before for other in matched]
    rough = [_tiles(_smooth(one), side).var(1) for one in apart]
    plain = rough[0] <= rough[1]  # chosen by the low frequencies: no bias to the high ones
    power = [_power(one, side) / 2 for one in apart]
    slopes = _slopes(before)
    error = [MATCHED * _shared(slopes, _slopes(other), side) for other in matched]
    same = [~(other != here).any(1) for other in there]
    grid = bright if bright.shape == before.shape else _resized(bright, before.shape)
    level = (here if grid is before else _tiles(grid, side)).mean(1)
    painted = (here == here[:, :1]).all(1) & (there[0] == there[0][:, :1]).all(1)
    rows, columns = before.shape[0] // side, before.shape[1] // side
    rail = painted & ((level < RAIL) | (level > 1 - RAIL) | _bars(painted.reshape(rows, columns)))
    return Blocks(
        level.astype(np.float64), np.where(plain, *power), np.where(plain, *error),
        painted | same[0] | same[1], rail, plain, side**2,
    )  # fmt: skip


def _bars(painted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows and columns of painted blocks (R, C) at the border, as letterboxes have; flat."""
    bars = np.zeros_like(painted)
    for lines, marked in ((painted, bars), (painted.T, bars.T)):
        whole: NDArray[np.bool_] = np.all(lines, axis=1)
        inner = np.flatnonzero(~whole)
        first, last = (int(inner[0]), int(inner[-1]) + 1) if len(inner) else (len(whole), 0)
        marked[:first] = True
        marked[last:] = True
    return bars.reshape(-1)


def _joined(parts: list[Blocks]) -> Blocks:
    level, power, error, void, rail, still = (
        np.concatenate([part[index] for part in parts], -1) for index in range(6)
    )
    return Blocks(level, power, error, void, rail, still, parts[0].samples)


def _bound(blocks: Blocks, *, clipped: bool) -> Bound:
    """The bound from a plane's blocks, brightness by brightness."""
    if not len(blocks.level):  # smaller than a block: nothing is known
        return Bound((0.5,), (inf,), (0,))
    scene = blocks.taken(~blocks.rail)
    void = float(scene.void.mean()) if len(scene.void) else 1.0
    if 1 - void < NOISY_SHARE:
        return Bound((0.5,), (0.0,), (len(scene.level),), void=void)
    live = scene.taken(~scene.void)
    live = _inside(live)
    parts = np.array_split(np.argsort(live.level), max(1, min(BINS, len(live.level) // LEAST_BIN)))
    bins = [_bin(live.taken(part)) for part in parts]
    white = _white_share(bins)
    level, counts = np.array([b.level for b in bins]), [b.blocks for b in bins]
    lowest = _quietest(live.power[FINEST], live.samples * DEGREES[FINEST])
    bins = [b.held(LIFT**2 * lowest) for b in bins]
    variance = np.array([b.fine_power**white * b.full_power ** (1 - white) for b in bins])
    if clipped:
        variance = undo_clipping(level, variance)
    sigma = tuple(float(s) for s in np.sqrt(np.maximum(variance, 0)))
    flat = float(np.average([b.flat for b in bins], weights=counts))
    excess = min(b.full_power / max(b.fine_power, 1e-18) for b in bins)
    even = white > 0.5 and excess < MOST_EXCESS
    still = float(live.error[live.still].sum()) / max(float(live.error.sum()), 1e-18)
    return Bound(tuple(level.tolist()), sigma, tuple(counts), flat, even, void, still)


class _Bin(NamedTuple):
    """Blocks of much the same brightness."""

    level: float
    full_power: float  # variance at most, from full bandwidth
    fine_power: float  # the same if the noise is white, from the finest
    agree: float  # finest over fine power, 1 for white noise, less with texture
    flat: float  # share of flat blocks
    blocks: int
    known: bool  # whether there are flat blocks enough

    def held(self, most: float) -> "_Bin":
        """Without flat blocks, no more than `most` at the finest: texture at one brightness."""
        return self if self.known else self._replace(fine_power=min(self.fine_power, most))


def _bin(blocks: Blocks) -> _Bin:
    """What blocks of much the same brightness say together."""
    full, fine, finest = (
        _quietest(blocks.power[band], blocks.samples * DEGREES[band]) for band in range(3)
    )
    flat = blocks.error < FLAT * finest
    known = int(flat.sum()) >= LEAST_FLAT
    if known:
        full, fine, finest = (
            float(median(blocks.power[band, flat])) / _unit(0.5, blocks.samples * DEGREES[band])
            for band in range(3)
        )
    agree = finest / max(fine, 1e-18)
    level = float(blocks.level.mean())
    return _Bin(level, max(full, finest), finest, agree, float(flat.mean()), len(flat), known)


def _white_share(bins: list[_Bin]) -> float:
    """1 where the noise is white, 0 where it is coloured. Texture makes bands differ as coloured
    noise does, but not at every brightness: those that agree best are asked."""
    best = sorted((b.agree for b in bins), reverse=True)[: max(1, len(bins) // 3)]
    return float(np.clip((np.mean(best) - COLOURED) / (WHITE - COLOURED), 0, 1))


def _inside(blocks: Blocks) -> Blocks:
    """Blocks that keep away from black and white, if there are such: a codec, or whoever made the
    file, may have cut noise off there that it says nothing of."""
    if not len(blocks.level):
        return blocks
    guess = _quietest(blocks.power[FULL], blocks.samples) ** 0.5
    inside = np.minimum(blocks.level, 1 - blocks.level) > min(INSIDE * guess, 0.25)
    return blocks.taken(inside) if inside.mean() > LEAST_INSIDE else blocks


def _quietest(power: Floats, degrees: float) -> float:
    """A low quantile of powers, freed of its bias."""
    return float(quantile(power, QUIETEST)) / _unit(QUIETEST, degrees)


def _unit(share: float, degrees: float) -> float:
    """The quantile of a mean of so many squares of unit noise (Wilson and Hilferty, 1931)."""
    spread = 2 / (9 * degrees)
    return float((1 - spread + NormalDist().inv_cdf(share) * spread**0.5) ** 3)


def _same_light(before: Values, after: Values, side: int) -> Values:
    """`after` as bright as `before`, if one gain and one offset explain what changed: a fade."""
    x, y = (_tiles(plane, side).mean(1).astype(np.float64) for plane in (after, before))
    gain, offset, kept = 1.0, 0.0, np.ones(len(x), bool)
    for _ in range(3):
        if kept.sum() < 8 or np.ptp(x[kept]) < 1e-6:
            return after
        gain, offset = np.polyfit(x[kept], y[kept], 1)
        left = np.abs(gain * x + offset - y)
        kept = left <= quantile(left, 0.6)
    explained = median(np.abs(gain * x + offset - y)) < 0.5 * median(np.abs(x - y))
    return np.asarray(gain * after + offset, np.float32) if explained and 0.5 < gain < 2 else after


def _moved(plane: Values, flow: Values, shape: tuple[int, ...]) -> Values:
    """The plane fetched from where the flow of luma points, whole pixels: variance stays."""
    moved: Values = plane.ravel().take(whole_landing(flow, shape))
    return moved


def whole_landing(flow: Values, shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Where each sample of a plane of this shape lies in a neighbour's by a flow (H, W, 2) of any
    size, to whole samples, as flat indices."""
    height, width = shape
    scale = (width / flow.shape[1], height / flow.shape[0])
    if flow.shape[:2] != shape:
        flow = np.asarray(cv2.resize(flow, (width, height), interpolation=cv2.INTER_AREA))
    x: NDArray[np.int32] = np.rint(flow[..., 0] * np.float32(scale[0])).astype(np.int32)
    y: NDArray[np.int32] = np.rint(flow[..., 1] * np.float32(scale[1])).astype(np.int32)
    x += np.arange(width, dtype=np.int32)
    y += np.arange(height, dtype=np.int32)[:, None]
    np.clip(x, 0, width - 1, out=x)
    np.clip(y, 0, height - 1, out=y)
    y *= width
    y += x
    return y


def _power(difference: Values, side: int) -> Floats:
    """Power of every block in three bandwidths, (3, N): its variance, [1 -1] and [1 -2 1] twice."""
    samples, line = side**2, (np.array([-1, 1, 0], np.float32), np.array([1, -2, 1], np.float32))
    full = _tiles(difference, side).var(1) * samples / (samples - 1)
    fine, finest = (
        np.asarray(cv2.sepFilter2D(difference, -1, taps, taps), np.float32) for taps in line
    )
    high = [np.square(_tiles(one, side)).mean(1) / e for one, e in ((fine, 4), (finest, 36))]
    return np.stack([full, *high]).astype(np.float64)


def _slopes(plane: Values) -> tuple[Values, Values]:
    """The gradient of a plane with little of its noise: across, down."""
    step, same = np.array([-0.5, 0, 0.5], np.float32), np.array([1], np.float32)
    smooth = _smooth(plane)
    across, down = (cv2.sepFilter2D(smooth, -1, *way) for way in ((step, same), (same, step)))
    return np.asarray(across, np.float32), np.asarray(down, np.float32)


def _shared(one: tuple[Values, Values], other: tuple[Values, Values], side: int) -> Floats:
    """Power of the gradient that two frames share: their noise is not in it, (N,)."""
    shared = one[0] * other[0]
    shared += one[1] * other[1]
    return np.asarray(_tiles(shared, side).mean(1), np.float64)


def _smooth(plane: Values) -> Values:
    taps = np.array([0.25, 0.5, 0.25], np.float32)
    smooth: Values = cv2.sepFilter2D(plane, -1, taps, taps)  # type: ignore[assignment]  # float32 stays
    return smooth


def _resized(luma: Luma, shape: tuple[int, ...]) -> Luma:
    small = cv2.resize(luma, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def _tiles(plane: Values, side: int) -> Values:
    """Whole blocks of a plane (H, W): (N, side * side)."""
    rows, columns = plane.shape[0] // side, plane.shape[1] // side
    cut = plane[: rows * side, : columns * side].reshape(rows, side, columns, side)
    return np.ascontiguousarray(cut.transpose(0, 2, 1, 3)).reshape(rows * columns, side**2)
