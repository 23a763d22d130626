"""The noise of a frame beside its neighbours: what they differ by, times a learnt share.

One call serves the opening of a stream, a refresh and a look between. `bound.py` says how much
noise there can be in each block of each plane, if it is new in every frame; a small network says
which share of that is noise, more than all where frames keep some of each other's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from f2rcli import weights
from f2rcli.frames import Floats, Mask, Singles, in_cells
from f2rcli.models.flow import Flow, dis_flow
from f2rcli.noise.bound import BLOCK, LOOKS, SAME, Share, enlarged, evidence, mean
from f2rcli.noise.model import (
    HARDLY_ANY,
    KNOTS,
    FramePlanes,
    Grid,
    NoiseModel,
    PlaneNoise,
    Shares,
    measured_shares,
    side_by_side,
    undo_clipping,
    white_shares,
)
from f2rcli.samples.impulses import robust_sigma

FULL, FINE = 0, 1  # bands: all frequencies of a block, and the finest
SAMPLING = (2 / (BLOCK**2 - 1)) ** 0.5  # relative error of one block's power, by chance alone
BINS, LEAST_BIN = 6, 24  # of brightness, at most, and blocks in each at least
SIDE = 256  # pixels of a square of a large frame
LEAST_SPREAD = 0.02  # of brightness, in which a line can be seen
FARTHER = 4.0  # times a bin's variance, at most, beyond the darkest and the lightest of them
# Power in the finest band over that of white noise: below coloured, above white. Six filmed clips
# have 1.02 to 1.11 under white noise of 1 to 50 codes, 0.92 to 1.11 at 0.5; what ProRes and DNxHR
# leave of it 0.58 to 0.88, noise that was softened or scaled down to 0.04.
COLOURED = 0.9, 1.0
# Of the mean power that frames differ by: less is a page's, beside what moves. One sample in a
# hundred that is off by a code is 4e-5, where the other half of the picture has noise of 16.
STILL = 1e-4
MOSTLY = 0.7  # share of a block's bound, from where on what frames differ by there is noise
# Logarithm of what two looks at one noise differ by, up to which it is chance, and from where on it
# counts in full: a pair of frames tells noise within some per cent; moving texture adds to that.
CHANCE, SURELY = 0.12, 0.35
# Along each side of a picture, that are told apart, at most and at least; and blocks in each.
PLACES, FEWEST, CELL_BLOCKS = 24, 3, 2
# Of laws by brightness and by place: beside a window with noise of 20, noise of 3 is read with a
# mean error (of the logarithm) of 0.22 after two, 0.16 after four, 0.12 after eight.
TURNS = 8
# Of all samples, and of those of noise that nothing cuts off, half a deviation beyond the range.
BEYOND, CUT_SHARE = 5e-4, 0.5
TINY = 1e-6  # of white: a difference that is none
# Times the fourth moment of most blocks, from where on what frames differ by is not noise alone
# there: molecules that blink have 2 and more, chance makes 1.2 of 256 samples.
SPARSE = 1.5
QUIETEST, QUIET = 0.02, 2.05  # share of a picture's cells without texture; their normal deviate

Part = tuple[NDArray[np.intp], NDArray[np.intp]]  # rows and columns of luma, 2 * BLOCK at a time


@dataclass(frozen=True)
class PlaneMap:
    """The noise of one plane in blocks of BLOCK pixels, (R, C) of them, in units of white = 1.
    What follows from its fields is found once: laws and places ask for it by turns."""

    level: Singles  # (R, C), brightness of luma
    bound: Singles  # (2, R, C), variance at most: in all bands, and in the finest
    share: Singles  # (2, R, C), how much noise there is beside that, 0..MOST_SHARE
    error: Singles  # (2, R, C), standard error of the logarithm of the standard deviation
    shares: Shares  # of the noise's variance, in six bands
    where: Singles  # (2, R, C), row and column of the middle, as shares of the picture's sides
    tails: Singles  # (R, C), fourth moment of what frames differ by, 1 of Gaussian noise

    def law(self, *, clipped: bool = False) -> NoiseModel:
        """Standard deviation by brightness, of all of the plane; clipped: before it was cut off."""
        level, variance, worth = self._told
        if not level.size:
            return NoiseModel.gaussian(0.0, 1)
        levels, powers = binned(level, variance, worth)
        unsure = binned(level, self._as_white(self.error)[self._seen], worth)[1]
        if (sure := unsure < SURELY).any():  # what others say is more than there is, mostly
            levels, powers = levels[sure], powers[sure]
        powers = undo_clipping(levels, powers) if clipped else powers
        levels, powers = _to_the_ends(levels, powers)
        curve = np.sqrt(np.interp(np.linspace(0, 1, KNOTS), levels, powers))
        over_all = float(np.sqrt(np.interp(self.level, levels, powers).mean()))
        return NoiseModel.of_curves(curve[None], np.array([over_all]), level.size * BLOCK**2)

    def places(self, shape: tuple[int, int]) -> Floats:
        """What places differ by, on a grid of the picture, beside the law of brightness: each is
        found from what the other leaves, by turns, as a dark corner may be the noisy one."""
        found = np.ones(shape)
        for _ in range(TURNS):
            found = self._by_place(shape, self.evened(found).law())
            if (found == 1).all():  # as nearly everywhere
                break
        return found

    def _by_place(self, shape: tuple[int, int], law: NoiseModel) -> Floats:
        """What the standard deviation is times that by a law: 1 where both are alike but for
        chance."""
        level, variance, worth = self._told
        if law.sigma[0] < HARDLY_ANY or not level.size:
            return np.ones(shape)
        known, seen = worth * (variance > 0), self._seen
        rows, columns = (self.where[:, seen].T * shape).astype(int).T
        bound = self.kept * self._as_white(self.bound)[seen]
        told = variance, bound, np.square(law.at(level)), self.error[FULL][seen]
        count, power, most, lawful, error = (
            np.bincount(rows * shape[1] + columns, known * one, shape[0] * shape[1]).reshape(shape)
            for one in (np.ones_like(level), *told)
        )
        some = (power > 0) & (lawful > 0)
        apart, at_most = (
            np.log(np.where(some, one, 1) / np.where(some, lawful, 1)) / 2 for one in (power, most)
        )
        unsure = error / np.maximum(count, 1e-12)
        # What frames differ by less than the law says has other noise, whatever the network thinks
        # of its own reading. Half of what two looks differ by: here texture that moves is in both.
        clear = np.maximum(np.abs(apart) - 2 * unsure, -at_most)
        sure = some * (2 * (clear - CHANCE / 2) / (SURELY - CHANCE)).clip(0, 1)
        farthest = np.log(FARTHER)
        return np.asarray(np.exp((apart * sure).clip(-farthest, farthest)))

    @property
    def uneven(self) -> float:
        """How far blocks lie from the law of their brightness, the mean of logarithms."""
        level, variance, worth = self._told
        some = variance > 0
        if not some.any():
            return 0.0
        expected = np.square(np.maximum(self.law().at(level[some]), 1e-9))
        return float(np.average(np.abs(np.log(variance[some] / expected)), weights=worth[some]))

    def evened(self, places: Grid | Floats) -> "PlaneMap":
        """As it would be without what places differ by."""
        grid = np.array(places, np.float32)
        rows, columns = (one * n - 0.5 for one, n in zip(self.where, grid.shape, strict=True))
        factor = cv2.remap(grid, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return replace(self, bound=np.asarray(self.bound / np.square(factor), np.float32))

    def points(self) -> tuple[tuple[float, float], ...]:
        """Brightness and standard deviation of the bins behind the law."""
        told = self._told
        levels, powers = binned(*told) if told[0].size else (np.empty(0),) * 2
        return tuple(zip(levels.tolist(), np.sqrt(powers).tolist(), strict=True))

    def line(self, most: float, *, dark: bool = False) -> NoiseModel:
        """Variance as a line over brightness, as sensors' counts have it. most: the brightest
        sample, which may be the most that the sensor tells: noise is cut off there. dark: whether
        light may begin above 0, as where a file does not say. Sparse differences tell nothing."""
        seen, variance = self.bound[FULL] > 0, self.variance
        if not seen.any():
            return NoiseModel.gaussian(0.0, 1)
        margin = 2 * float(np.quantile(variance[seen], 0.9)) ** 0.5
        whole = seen & (self.level < most - margin)
        whole &= self.tails < SPARSE * np.median(self.tails[seen])
        seen = whole if whole.sum() >= 0.2 * seen.sum() else seen  # a fifth of the blocks will do
        level, variance = self.level[seen].astype(np.float64), variance[seen]
        worth, spread = self._worth[seen], float(np.ptp(level))
        gain, read2 = 0.0, float(np.average(variance, weights=worth))
        for _ in range(3 if spread > LEAST_SPREAD else 0):
            weight = np.sqrt(worth) / np.maximum(gain * level + read2, 1e-12)
            design = np.stack([level, np.ones_like(level)], 1) * weight[:, None]
            gain, read2 = np.linalg.lstsq(design, variance * weight, rcond=None)[0]
            if gain <= 0:  # the height of a line that falls lies far from them, at black
                gain, read2 = 0.0, float(np.average(variance, weights=worth))
            if read2 < 0 and not dark:
                read2, gain = 0.0, float(np.average(variance / level, weights=worth * level**2))
        begins = (float(-read2 / gain),) if gain > 0 and read2 < 0 else ()
        read2 = max(float(read2), 0.0)
        light = np.maximum(self.level - (begins or (0.0,))[0], 0)
        sigma = float(np.mean(gain * light + read2)) ** 0.5
        samples = int(seen.sum()) * BLOCK**2
        return NoiseModel((gain,), (read2**0.5,), (sigma,), samples, None, begins)

    @property
    def whole(self) -> "PlaneMap":
        """As if all that frames differ by, in all bands, were noise."""
        bound, error = (one[[FULL, FULL]] for one in (self.bound, self.error))
        return replace(self, bound=bound, error=error, share=np.ones_like(self.share))

    @property
    def told(self) -> bool:
        """Whether the network is sure in half of the blocks; of a few it cannot be."""
        errors = self.error[FULL][self.bound[FULL] > 0]
        return bool(errors.size >= LEAST_BIN and np.median(errors) < SURELY)

    @property
    def noisy(self) -> bool:
        """Whether in half of the blocks half of what frames differ by is noise."""
        shares = self.share[FULL][self.bound[FULL] > 0]
        return bool(shares.size and np.median(shares) > 0.5)

    def seen_as(self, even: "PlaneMap") -> "PlaneMap":
        """With what the network says where noise is even."""
        share, error = (one[[FULL, FULL]] for one in (even.share, even.error))
        return replace(self.whole, share=share, error=error, tails=even.tails)

    @property
    def kept(self) -> float:
        """The noise's variance over half of what frames differ by: more than 1 where a frame keeps
        noise, as after a camera's own denoising. In eighths: a GPU records anew for each number."""
        _, noise, worth = self._told
        bound = self._as_white(self.bound)[self._seen]
        apart = float(np.sum(worth * np.minimum(noise, bound)))
        return max(round(8 * float(np.sum(worth * noise)) / apart) / 8, 1.0) if apart > 0 else 1.0

    @property
    def sparse(self) -> float:
        """How far from Gaussian it is in most places: 1 of noise, more of snow and glitter."""
        tails = self.tails[self._seen]
        return float(np.median(tails)) if tails.size else 1.0

    def surely(self) -> "PlaneMap":
        """The same with as much noise as is sure: where the network is not, it mostly says too
        much. Ten filmed clips of 96x48, 128x96 and 320x180: noise of 1 is read as 1.24 in the mean
        so, as 1.37 otherwise; none as 0.39 and 0.46; noise of 10 the same."""
        sure = np.exp(-2 * (self.error.clip(CHANCE, SURELY) - CHANCE))
        return replace(self, share=self.share * sure)

    @property
    def unsure(self) -> float:
        """Standard error of the law's standard deviation, as a share of it."""
        error, worth = self._as_white(self.error)[self._seen], self._told[2]
        return float(np.average(error, weights=worth)) if error.size else 0.0

    @cached_property
    def variance(self) -> Floats:
        """The noise's variance in every block. White noise is best read in its finest band, which
        holds least of the scene."""
        return self._as_white(self.bound * self.share)

    @cached_property
    def finest(self) -> float:
        """Power of the noise in the finest band over that of white noise as strong: the upper
        quartile of blocks, as the scene's texture adds to the other bands."""
        power = self.bound * self.share
        live = _moving(power[FULL])
        if not live.any():
            return 1.0
        ratio = power[FINE][live] / power[FULL][live]
        unsure = np.square(self.error[FULL][live].astype(np.float64)) + (SAMPLING / 2) ** 2
        return float(np.quantile(ratio, 0.75, weights=unsure**-2, method="inverted_cdf"))

    def _as_white(self, bands: Singles) -> Floats:
        """Values (R, C) of both bands (2, R, C) as one: the finest band's where noise is white.
        Beside all bands, which hold more of the scene, ten filmed clips are read with half the
        error at sigma 10 (1.0 for 2.1 %), 2.0 for 3.2 % at 5, and 2.9 for 2.6 % at 50."""
        white = (self.finest - COLOURED[0]) / (COLOURED[1] - COLOURED[0])
        by_fine = float(np.clip(white, 0, 1))
        full, fine = bands.astype(np.float64)
        return np.asarray((1 - by_fine) * full + by_fine * fine, np.float64)

    @cached_property
    def _seen(self) -> Mask:
        """Blocks that can tell: those of which frames differ."""
        return _moving(self.bound[FULL])

    @cached_property
    def _told(self) -> tuple[Floats, Floats, Floats]:
        """Brightness, variance and weights of these."""
        seen = self._seen
        return self.level[seen].astype(np.float64), self.variance[seen], self._worth[seen]

    @cached_property
    def _worth(self) -> Floats:
        """Weights: sure blocks count far more than others, whose errors are mostly upwards."""
        unsure = np.square(self._as_white(self.error)) + (SAMPLING / 2) ** 2
        return np.asarray(unsure**-2, np.float64)


def _moving(power: Singles) -> Mask:
    """Blocks of which frames differ at all, as powers go: the rest is the surest, of nothing."""
    return np.asarray(power * power.size > STILL * power.sum())


@dataclass(frozen=True, slots=True)
class NoiseMap:
    """The noise of every plane of a frame; a mosaic counts as four."""

    planes: tuple[PlaneMap, ...]

    @classmethod
    def joined(cls, maps: Sequence["NoiseMap"]) -> "NoiseMap":
        """Maps of frames of one shot as one, one below the other: what all of them tell."""
        columns = zip(*(each.planes for each in maps), strict=True)
        return cls(tuple(_stacked(column) for column in columns))

    def scaled(self, factor: float) -> "NoiseMap":
        """That of noise with `factor` times the power."""
        return NoiseMap(tuple(replace(p, bound=p.bound * np.float32(factor)) for p in self.planes))

    @property
    def unsure(self) -> float:
        """The largest of the planes'."""
        return max(plane.unsure for plane in self.planes)

    def places(self) -> tuple[Grid, ...]:
        """Of every plane, see `PlaneNoise`."""
        rows, columns = (
            min(PLACES, len(np.unique(one)) // CELL_BLOCKS) for one in self.planes[0].where
        )
        if min(rows, columns) < FEWEST:
            return ()
        found = [plane.places((rows, columns)) for plane in self.planes]
        if all((one == 1).all() for one in found):
            return ()
        return tuple(tuple(map(tuple, one.tolist())) for one in found)

    def uneven(self, places: tuple[Grid, ...]) -> float:
        """How far blocks lie from their planes' laws once what places differ by is undone."""
        planes = map(PlaneMap.evened, self.planes, places) if places else self.planes
        return sum(plane.uneven for plane in planes)

    def noise(
        self, *, chroma: bool, clipped: bool, places: tuple[Grid, ...] | None = None
    ) -> PlaneNoise:
        """The law of every plane. chroma: see `FramePlanes`; clipped: whether black and white cut
        it off, never chroma; places: where they are known."""
        cut = [clipped and not (chroma and index) for index in range(len(self.planes))]

        def laws(planes: Iterable[PlaneMap]) -> NoiseModel:
            return side_by_side([p.law(clipped=off) for p, off in zip(planes, cut, strict=True)])

        places = self.places() if places is None else places
        model = laws(self.planes)
        if places:  # the sigma of all of the picture stays
            model = replace(laws(map(PlaneMap.evened, self.planes, places)), sigma=model.sigma)
        shares = tuple(plane.shares for plane in self.planes)
        kept = max(plane.kept for plane in self.planes)
        return PlaneNoise(model, shares, clipped, places, kept=kept)

    def lines(self, most: float, *, dark: bool) -> NoiseModel:
        """The law of every plane of a sensor's counts. Both greens of a mosaic have one: networks
        learnt from greens that agree, and two laws would part them in the space that they see.

        most, dark: see `PlaneMap.line`.
        """
        planes = list(self.planes)
        if len(planes) == 4:
            planes[1] = planes[3] = _stacked(planes[1::2])
        return side_by_side([plane.line(most, dark=dark) for plane in planes])

    def cut_off(self, pictures: Sequence[FramePlanes]) -> bool:
        """Whether black and white cut the noise off, as the first plane of pictures shows."""
        return cut_off([one.planes[0] for one in pictures], self.planes[0].law().sigma)


def cut_off(planes: Sequence[Singles], sigma: Sequence[float]) -> bool:
    """Whether black and white cut noise off before the file was made, as far as planes (H, W) show
    that have these standard deviations, or all of them one: coding may carry some of it beyond
    again, and what came later, as a tape's, goes as far beyond as it is strong."""
    found, expected = 0.0, 0.0
    for plane, one in zip(planes, np.resize(sigma, len(planes)), strict=True):
        seen = np.stack([plane, cv2.blur(plane, (9, 9))])[:, ::2, ::2]
        live = np.abs(seen[0] - seen[1]) > TINY  # not in bars
        found += float((np.abs(seen[0] - 0.5) > 0.5 + one / 2).mean())
        ends = torch.from_numpy((0.5 - np.abs(seen[1] - 0.5)) / max(one, TINY))
        expected += float((torch.special.ndtr(-ends - 0.5).numpy() * live).mean())
    return found < BEYOND * len(planes) or found < CUT_SHARE * expected


def binned(level: Floats, variance: Floats, worth: Floats | None = None) -> tuple[Floats, Floats]:
    """Mean brightness and variance of equally filled bins of blocks, or of what else has both."""
    bins = _bins(level, LEAST_BIN)
    levels, powers = (
        np.array([np.average(one[b], weights=None if worth is None else worth[b]) for b in bins])
        for one in (level, variance)
    )
    return levels, powers


def _bins(level: Floats, least: int) -> list[NDArray[np.intp]]:
    """Places of values in equally filled bins, of so many at least, by level."""
    parts = max(1, min(BINS, len(level) // least))
    return np.array_split(np.argsort(level, kind="stable"), parts)


def _to_the_ends(levels: Floats, powers: Floats) -> tuple[Floats, Floats]:
    """Bins and what they go on to at black and white: along the line through all of them, as the
    noise of a sensor does, within `FARTHER` times the last of them."""
    if np.ptp(levels) < LEAST_SPREAD or not (np.isfinite(powers) & (powers > 0)).all():
        return levels, powers
    worth = np.square(powers.min() / powers)
    apart = levels - np.average(levels, weights=worth)
    slope = np.sum(worth * apart * powers) / max(np.sum(worth * np.square(apart)), 1e-12)
    ends = [
        float(np.clip(power + slope * (end - level), power / FARTHER, power * FARTHER))
        for end, level, power in ((0, levels[0], powers[0]), (1, levels[-1], powers[-1]))
    ]
    return np.array([0.0, *levels, 1.0]), np.array([ends[0], *powers, ends[1]])


def _stacked(maps: Sequence[PlaneMap]) -> PlaneMap:
    names = ("level", "bound", "share", "error", "where", "tails")
    joined = {name: np.concatenate([getattr(one, name) for one in maps], -2) for name in names}
    shares = tuple(np.mean([one.shares for one in maps], 0).tolist())
    return replace(maps[0], shares=shares, **joined)


def estimate(
    frames: Sequence[FramePlanes],
    flows: Sequence[Flow | None],
    part: Part | None = None,
    *,
    coded: bool = False,
) -> NoiseMap:
    """The noise of a frame, frames[0], beside one or two neighbours of its shot.

    flows: from its luma into that of each neighbour, (1, H, W, 2); None: to be found. part: to be
    looked at alone, see `part_of`; None: all of it. coded: whether a codec wrote the file: where
    luma is noisy, so is what changes in its colours.
    Planes smaller than a block have maps without blocks.
    """
    shape = frames[0].luma.shape
    if part is not None:
        rows, columns = part
        frames = [cut_out(one, part) for one in frames]
        flows = [None if flow is None else flow[:, rows[:, None], columns] for flow in flows]
    centre, *others = frames
    if not 0 < len(others) == len(flows) < 3:
        raise ValueError(f"{len(others)} neighbours and {len(flows)} flows: one of each, or two.")
    found = [
        dis_flow(centre.luma, one.luma) if flow is None else flow
        for one, flow in zip(others, flows, strict=True)
    ]
    both = (others * 2)[:2], (found * 2)[:2]
    planes = [_plane_map(centre, *both, 0)]
    like = planes[0] if coded and centre.chroma else None
    planes += [_plane_map(centre, *both, index, like) for index in range(1, len(centre.planes))]
    if part is not None:  # of the whole picture's sides
        for index, one in enumerate(planes):
            sides = zip(one.where, part, shape, strict=True)
            where = [line[(place * len(line)).astype(int)] / size for place, line, size in sides]
            planes[index] = replace(one, where=np.array(where, np.float32))
    return NoiseMap(tuple(planes))


def part_of(luma: Singles) -> Part | None:
    """Four squares of a large picture (H, W), in the middle of its quarters, which are looked at as
    one picture; None of a small one: four tell as much of its law as all of it."""
    cell = 2 * BLOCK
    quarter = [size // cell // 2 for size in luma.shape]
    if luma.size <= 4 * SIDE**2 or not all(quarter):
        return None
    high = min(SIDE // cell, quarter[0])
    wide = min((SIDE // cell) ** 2 // high, quarter[1])
    rows, columns = (
        np.add.outer(((n - own) // 2 + np.array([0, n])) * cell, np.arange(own * cell)).ravel()
        for n, own in zip(quarter, (high, wide), strict=True)
    )
    return rows, columns


def cut_out(frame: FramePlanes, part: Part) -> FramePlanes:
    """A part of a frame; of coarser planes, the part that shows the same."""
    found = []
    for plane in (frame.luma, *frame.planes):
        finer = (round(n / m) for n, m in zip(frame.luma.shape, plane.shape, strict=True))
        found.append(plane[np.ix_(*(line[::n] // n for line, n in zip(part, finer, strict=True)))])
    return frame._replace(luma=found[0], planes=found[1:])


def _plane_map(
    centre: FramePlanes,
    others: Sequence[FramePlanes],
    flows: Sequence[Flow],
    plane: int,
    like: PlaneMap | None = None,
) -> PlaneMap:
    """like: luma's, whose share of noise is at least this plane's."""
    if min(centre.planes[plane].shape) < BLOCK:
        none = np.empty((2, 0, 0), np.float32)
        return PlaneMap(none[0], none, none, none, white_shares(), none, none[0])
    seen, _ = evidence(centre, others, flows, plane)
    with torch.inference_mode():
        share, error = _told(torch.from_numpy(seen.looks)[None])
    spread = 0.5**0.5 * error[0].exp().numpy()  # of a Laplacian; and half, of a root
    middles = np.indices(seen.level.shape).T + 0.5
    where = (middles * BLOCK / centre.planes[plane].shape).T.astype(np.float32)
    found = PlaneMap(
        seen.level, seen.bound, share[0].exp().numpy(), spread, white_shares(), where,
        _tails(seen.apart),
    )  # fmt: skip
    if like is not None and like.level.size:
        found = _as_noisy(found, like)
    if found.finest > COLOURED[1]:
        return found
    trusted = enlarged(found.share[FULL] > MOSTLY, BLOCK)
    flat = np.where(trusted, seen.apart, np.float32(np.nan))
    return replace(found, shares=measured_shares(flat))


def _told(looks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What the network says of looks (1, LOOKS, 2 R, 2 C). Beside bars, pages and what else stands
    still, whose quiet is not the noise's, it is asked of the rest as well: what is surer counts."""
    share, error = network()(looks)
    live = looks[0, SAME] < 1
    if live.all() or not live.any():
        return share, error
    beside, unsure = network()(looks, live)
    surer = unsure < error
    return torch.where(surer, beside, share), torch.where(surer, unsure, error)


def _tails(apart: Singles) -> Singles:
    squares = np.square(apart)
    power, fourth = mean(squares, BLOCK), mean(np.square(squares), BLOCK)
    return np.asarray(fourth / np.maximum(3 * power**2, np.float32(1e-20)), np.float32)


def _as_noisy(found: PlaneMap, luma: PlaneMap) -> PlaneMap:
    """A plane of colours with at least luma's share of noise: a codec leaves so little of theirs,
    and so soft, that by itself it looks like a scene. Of sparse differences, which small coloured
    things make, no more than as many are noise as there would be alike everywhere."""
    size = found.level.shape[::-1]
    share, error = (
        np.stack([cv2.resize(band, size, interpolation=cv2.INTER_AREA) for band in part])
        for part in (luma.share, luma.error)
    )
    share /= np.maximum(found.tails, 1)
    less = share > found.share
    return replace(
        found, share=np.where(less, share, found.share), error=np.where(less, error, found.error)
    )


def single_frame_sigma(plane: Singles) -> float:
    """A rough standard deviation from one frame (H, W): median of its finest diagonal detail.

    Donoho and Johnstone, Biometrika 1994. Reads low where noise is spatially correlated, and fine
    patterns as noise. 0 of too few pixels, whose median tells the two no better than chance does.
    """
    return robust_sigma(diagonal(plane)) if shows_noise(plane) else 0.0


def single_frame_map(plane: Singles, cell: int, light: Singles | None = None) -> PlaneMap | None:
    """White noise of a plane (H, W) in one frame, in cells of so many pixels a side: in those that
    differ from the quietest that are as bright by no more than chance, to which texture adds least.
    light: a picture's luma, whose brightness counts, away from black and white. None: too few.

    Median detail is texture in pictures full of leaves and gravel: of a camera's nine it made 6.2
    codes of luma at ISO 64, this makes 0.8.
    """
    fine = np.square(in_cells(diagonal(plane), cell // 2)).mean((1, 3)).ravel()
    bright = plane
    if light is not None:
        size = plane.shape[::-1]
        bright = np.asarray(cv2.resize(light, size, interpolation=cv2.INTER_AREA), np.float32)
    level = in_cells(bright, cell).mean((1, 3)).ravel()
    if light is not None:  # nearer to black and white, noise is cut off
        margin = 2 * single_frame_sigma(light)
        inside = (level > margin) & (level < 1 - margin)
        level, fine = level[inside], fine[inside]
    if level.size < 2 * LEAST_BIN:
        return None
    spread = 2 / 9 / (cell // 2) ** 2  # of the cube root of a cell's power (Wilson & Hilferty 1931)
    most = ((1 - spread + QUIET * spread**0.5) / (1 - spread - QUIET * spread**0.5)) ** 3
    least = LEAST_BIN if light is None else 4 * LEAST_BIN  # the noise of counts goes by their light
    bins = [np.stack([fine[b], level[b]]) for b in _bins(level, least)]
    bins = [one[:, one[0] <= most * np.quantile(one[0], QUIETEST)] for one in bins]
    if light is not None:  # leaves may fill all that is as bright
        far = FARTHER * min(single_frame_sigma(plane) ** 2, *(one[0].mean() for one in bins))
        bins = [np.minimum(one, np.array([[far], [np.inf]])) for one in bins]
    fine, level = np.concatenate(bins, 1)[..., None].astype(np.float32)  # planes keep other counts
    both, none = np.stack([fine, fine]), np.zeros((2, *fine.shape), np.float32)
    return PlaneMap(level, both, none + 1, none, white_shares(), none, none[0] + 1)


def diagonal(plane: Singles) -> Singles:
    """The finest diagonal detail of a plane (H, W), as strong as its noise where that is white."""
    (a, b), (c, d) = [[plane[i::2, j::2] for j in (0, 1)] for i in (0, 1)]
    rows, columns = d.shape
    return np.asarray((a[:rows, :columns] - b[:rows] - c[:, :columns] + d) / 2, np.float32)


def shows_noise(plane: Singles) -> bool:
    """Whether a plane is large enough for that."""
    rows, columns = plane.shape
    return bool(rows // 2 * (columns // 2) * 4 >= 256)


@cache
def network() -> Share:
    """The bundled network, built once."""
    net = Share(LOOKS)
    net.load_state_dict(weights.share())
    return net.eval().requires_grad_(False)
