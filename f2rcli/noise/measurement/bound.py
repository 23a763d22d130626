"""An upper bound of the noise: what adjacent frames differ by in their quietest places.

Half the variance of their difference is an upper bound that texture, graphics and flicker do not
lift where the scene hardly changes. It is read, high-passed, in the blocks where even a wrong match
could add next to nothing; where there are none, from the lowest few of all blocks, freed of the
quantile's own bias. What a codec repeats from frame to frame escapes it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import exp, inf, log
from typing import NamedTuple

import numpy as np
import torch

from f2rcli.frames import Floats, Singles
from f2rcli.noise.measurement.blocks import Blocks, Pair, joined, same_light
from f2rcli.noise.measurement.fitting import ramp, undo_clipping
from f2rcli.noise.measurement.highpass import DEGREES, FINEST, FULL, quietest, tiles, unit
from f2rcli.noise.measurement.place_factors import Places
from f2rcli.noise.model import KNOTS, NoiseModel
from f2rcli.order import median

BINS = 6  # of brightness
LEAST_BIN = 60  # blocks
FLAT = 0.05  # of the noise's power: what wrong matches may add to a flat block
LEAST_FLAT = 12  # blocks; the median of fewer says less than the quantile
LIFT = 1.05  # sigma of a brightness with nothing but texture over that of the quietest places
STANDS = 0.95  # of the texture: with so much at rest nothing but noise differs from frame to frame
NOISY_SHARE = 1 / 3  # of a picture's blocks must change, or those that never do are the truth
WHITE, COLOURED = 0.85, 0.5  # finest over fine power: white above, coloured below
COARSE = 0.7  # the same, coloured below, of the quietest blocks of all brightnesses
# Of full bandwidth beyond the finest band, there: more than moving texture leaves in any of 50
# clean clips (3.6 of 255). From there on it counts as noise, from twice its variance altogether.
EXCESS = (4.0 / 255) ** 2
MOST_EXCESS = 1.3  # of full bandwidth over the finest band, in the flattest bin of white noise
INSIDE = 2.0  # times a first guess of sigma that a block keeps from black and white
LEAST_INSIDE = 0.2  # of the blocks; fewer do not speak for the picture
LIGHT, HEAVY = 2 / 255, 12 / 255  # sigma, between which the slack grows
SLACK = 1.03, 1.35  # a law that is above the bound by no more is left alone
# Of the blocks that are flat (0.03 and more in ten clips with coarse noise of 10), from where on
FEW_FLAT = 0.01, 0.025  # such noise is believed: texture that fills a picture looks coarse, too
# Times the quietest blocks' deviation, that flat ones as bright may have: uneven noise has up to 2,
SPARKS = 2.2  # a codec's in colours, and clipped noise, more. Beyond, it is what no frame shares
UNEVEN = 0.2  # difference of the logarithms of a law's corrections that makes it a curve

KNOT_PLACES: Floats = np.linspace(0, 1, KNOTS)


@dataclass(frozen=True, slots=True)
class Bound:
    """The most that a plane's noise can be, by brightness: standard deviations, white - black."""

    level: tuple[float, ...]  # of luma, rising
    sigma: tuple[float, ...]
    counts: tuple[int, ...]  # blocks behind each
    flat: float = 0.0  # share of the blocks that hold no texture to speak of
    white: bool = True  # whether all bands agree, as far as can be seen
    still: float = 1.0  # share of the texture that does not move
    whiteness: float = 1.0  # 1 where all bands agree as in white noise, 0 where it is coloured
    places: Places = ()  # what is left of a law's standard deviation in every block, see `places`

    @property
    def mean(self) -> float:
        """Root mean square over the blocks."""
        weights = np.asarray(self.counts) + 1e-9
        return float(np.average(np.square(self.sigma), weights=weights) ** 0.5)

    def factors(self, model: NoiseModel, *, even: bool = False) -> Floats:
        """Factors for a one-channel law's standard deviation, at its KNOTS; `even`: by
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


def lowered(model: NoiseModel, factors: Sequence[Floats], level: Singles | None) -> NoiseModel:
    """The law times `factors` at its KNOTS, one row a channel; its sigma as it is on pictures of
    these brightnesses (0..1; None: on any)."""
    rows = [np.asarray(row, np.float64) for row in factors]
    by = [float(row[0]) for row in rows]
    if max(float(np.ptp(row)) for row in rows) < 1e-6:  # a factor for every channel: lines stay
        by = by if np.ptp(by) >= 1e-6 else by[:1]
        return model if by == [1] else model.scaled(*by)
    places = KNOT_PLACES if level is None else np.clip(level, 0, 1)
    sigma, curves = [], []
    for row, curve, old in zip(rows, model.at_knots(), model.sigma, strict=True):
        law = np.interp(places, KNOT_PLACES, curve)
        kept = np.interp(places, KNOT_PLACES, curve * row)
        share = float(np.mean(kept**2)) / max(float(np.mean(law**2)), 1e-18)
        sigma.append(old * share**0.5)
        curves.append(tuple(float(value) for value in curve * row))
    return replace(model, sigma=tuple(sigma), curve=tuple(curves))


def bounds_of(
    pairs: Iterable[Pair], clipped: Sequence[bool], *, light: bool = False
) -> list[Bound]:
    """The bound of every plane, from adjacent frames of one shot; `clipped` says of which planes
    black and white cut the noise off. Empty without a pair. light: whether samples count it,
    so that noise grows with it.

    Where luma shows no noise at all, a picture is drawn, and so is what changes in its colours.
    """
    pairs = list(pairs)
    if not pairs:
        return []
    bounds = [
        _plane_bound(pairs, plane, clipped=cut, light=light) for plane, cut in enumerate(clipped)
    ]
    drawn = pairs[0].before.chroma and bounds[0].mean == 0
    return bounds[:1] * len(bounds) if drawn else bounds


def _plane_bound(pairs: Sequence[Pair], plane: int, *, clipped: bool, light: bool = False) -> Bound:
    chroma = pairs[0].before.chroma and plane > 0
    blocks = joined([pair.blocks(plane) for pair in pairs])
    return _bound(blocks, clipped=clipped, chroma=chroma, light=light)


def flat_difference(pair: Pair, plane: int) -> Singles:
    """Differences in a plane's flat places, (H, W), as strong as its noise; NaN elsewhere."""
    first, blocks = pair.before.planes[plane], pair.blocks(plane)
    live = ~(blocks.void | blocks.rail)
    shown = np.full(first.shape, np.nan, np.float32)
    if not live.any():
        return shown
    lowest = quietest(blocks.power[FINEST, live], blocks.samples * DEGREES[FINEST])
    chosen = live & (blocks.error < FLAT * lowest)
    side = round(blocks.samples**0.5)
    rows, columns = first.shape[0] // side, first.shape[1] // side
    mask = np.kron(chosen.reshape(rows, columns), np.ones((side, side))) > 0
    moved = pair.moved(plane)
    matched = same_light(moved, tiles(moved, side), tiles(first, side))
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


def _bound(blocks: Blocks, *, clipped: bool, chroma: bool = False, light: bool = False) -> Bound:
    """The bound from a plane's blocks, brightness by brightness."""
    if not len(blocks.level):  # smaller than a block: nothing is known
        return Bound((0.5,), (inf,), (0,))
    scene = blocks.taken(~blocks.rail)
    if not len(scene.void) or 1 - scene.void.mean() < NOISY_SHARE:
        return Bound((0.5,), (0.0,), (len(scene.level),))
    live = _inside(scene.taken(~scene.void))
    parts = np.array_split(np.argsort(live.level), max(1, min(BINS, len(live.level) // LEAST_BIN)))
    bins = [_bin(live.taken(part), uneven=chroma, clipped=clipped) for part in parts]
    white = _white_share(live, bins)
    level, counts = np.array([b.level for b in bins]), [b.blocks for b in bins]
    *_, lowest = _all_bands(live)
    still = float(live.error[live.still].sum()) / max(float(live.error.sum()), 1e-18)
    if not light or still < STANDS:  # texture at rest adds nothing, and light has its own noise
        bins = [b.held(LIFT**2 * lowest) for b in bins]
    flat = float(np.average([b.flat for b in bins], weights=counts))
    fine = 1 - (1 - white) * ramp(flat, *FEW_FLAT)
    variance = np.array([b.fine_power**fine * b.full_power ** (1 - fine) for b in bins])
    if clipped:
        variance = undo_clipping(level, variance)
    sigma = tuple(float(s) for s in np.sqrt(np.maximum(variance, 0)))
    excess = min(b.full_power / max(b.fine_power, 1e-18) for b in bins)
    even = white > 0.5 and excess < MOST_EXCESS
    return Bound(tuple(level.tolist()), sigma, tuple(counts), flat, even, still, white)


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


def _bin(blocks: Blocks, *, uneven: bool, clipped: bool) -> _Bin:
    """Blocks of much the same brightness as one. uneven: some may hold far less noise than most."""
    full, fine, finest = _all_bands(blocks)
    flat = blocks.error < FLAT * finest
    known = int(flat.sum()) >= LEAST_FLAT
    if known:
        units = [unit(0.5, blocks.samples * degrees) for degrees in DEGREES]
        middle = [float(median(blocks.power[band, flat])) / units[band] for band in range(3)]
        uneven |= clipped and float(blocks.level.mean()) > 0.5  # white cut it off
        known = uneven or finest < COLOURED * full or middle[FINEST] <= SPARKS**2 * finest
        full, fine, finest = middle if known else (full, fine, finest)
    agree = finest / max(fine, 1e-18)
    level = float(blocks.level.mean())
    return _Bin(level, max(full, finest), finest, agree, float(flat.mean()), len(flat), known)


def _all_bands(blocks: Blocks) -> Iterator[float]:
    """The power of the quietest blocks in each bandwidth."""
    return (quietest(blocks.power[band], blocks.samples * DEGREES[band]) for band in range(3))


def _white_share(live: Blocks, bins: list[_Bin]) -> float:
    """1 where the noise is white, 0 where it is coloured.

    Fine texture makes coarse noise look white, and any texture makes white noise look coarse. The
    quietest blocks of a picture hold the least of both, and noise of all brightnesses has the same
    spectrum; but where full bandwidth exceeds the finest by no more than moving texture may, the
    brightnesses whose bands agree best are asked.
    """
    full, fine, finest = _all_bands(live)
    quiet = ramp(finest / max(fine, 1e-18), COARSE, WHITE)
    best = sorted((b.agree for b in bins), reverse=True)[: max(1, len(bins) // 3)]
    light = ramp(float(np.mean(best)), COLOURED, WHITE)
    seen = ramp(full - finest, EXCESS, 2 * EXCESS)
    return seen * quiet + (1 - seen) * light


def _inside(blocks: Blocks) -> Blocks:
    """Blocks away from black and white, if any: noise may have been cut off there unannounced."""
    if not len(blocks.level):
        return blocks
    guess = quietest(blocks.power[FULL], blocks.samples) ** 0.5
    inside = np.minimum(blocks.level, 1 - blocks.level) > min(INSIDE * guess, 0.25)
    return blocks.taken(inside) if inside.mean() > LEAST_INSIDE else blocks
