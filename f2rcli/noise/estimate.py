"""The noise of a frame beside its neighbours: an upper bound by statistics, times a learnt share.

One call serves the opening of a stream, a refresh and a look between. `bound.py` says how much
noise there can be in each block of each plane; a small network says which share of that is noise.
It can only lower, and where it finds noise nearly everywhere, it lets the bound stand: there the
result is as exact as statistics are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import torch

from f2rcli import weights
from f2rcli.frames import Floats, Mask, Singles
from f2rcli.models.flow import Flow
from f2rcli.models.share import Share
from f2rcli.noise.bound import BLOCK, LOOKS, RAIL, Evidence, evidence
from f2rcli.noise.measurement.blocks import FramePlanes
from f2rcli.noise.measurement.fitting import undo_clipping
from f2rcli.noise.model import KNOTS, NoiseModel

FULL, FINE = 0, 1  # bands: all frequencies of a block, and the finest
ALL = 0.9  # typical share of a plane from where on all of its bound is noise
SAMPLING = (2 / (BLOCK**2 - 1)) ** 0.5  # relative error of one block's power, by chance alone
INSIDE = 2.0  # times its standard deviation: noise that far from black and white is whole
LEAST_INSIDE = 0.2  # of the blocks; fewer do not speak for the picture
BINS, LEAST_BIN = 6, 24  # of brightness, at most, and blocks in each at least


class Square(NamedTuple):
    """A part of a frame, in pixels of luma; multiples of 2 * BLOCK."""

    top: int
    left: int
    height: int
    width: int

    def of(self, plane: Singles) -> Singles:
        """That part of a plane of luma's size, (H, W, ...)."""
        rows = slice(self.top, self.top + self.height)
        return np.ascontiguousarray(plane[rows, self.left : self.left + self.width])


@dataclass(frozen=True, slots=True)
class PlaneMap:
    """The noise of one plane in blocks of BLOCK pixels, (R, C) of them, in units of white = 1."""

    level: Singles  # (R, C), brightness of luma
    bound: Singles  # (2, R, C), variance at most: in all bands, and in the finest
    share: Singles  # (2, R, C), which part of it is noise, 0..1
    error: Singles  # (2, R, C), standard error of the logarithm of the standard deviation

    @property
    def sigma(self) -> Singles:
        """Standard deviations (2, R, C); in the finest band, of white noise as strong there."""
        return np.asarray(np.sqrt(self.bound * self.share), np.float32)

    def law(self, *, clipped: bool = False) -> NoiseModel:
        """Standard deviation by brightness, over the whole plane; clipped: before black and white
        cut it off."""
        seen = self._seen()
        if not seen.any():
            return NoiseModel.gaussian(0.0, 1)
        if clipped:
            rough = float(np.average(self.sigma[FULL][seen], weights=self._worth()[seen]))
            seen = self._inside(seen, INSIDE * rough)
        order = np.argsort(self.level[seen], kind="stable")
        level = self.level[seen][order].astype(np.float64)
        variance = (self.bound[FULL] * self.share[FULL])[seen][order].astype(np.float64)
        worth = self._worth()[seen][order]
        parts = np.array_split(np.arange(len(order)), max(1, min(BINS, len(order) // LEAST_BIN)))
        levels, powers = (
            np.array([np.average(values[part], weights=worth[part]) for part in parts])
            for values in (level, variance)
        )
        if clipped:
            powers = undo_clipping(levels, powers)
        curve = np.sqrt(np.interp(np.linspace(0, 1, KNOTS), levels, powers))
        over_all = float(np.sqrt(np.interp(level, levels, powers).mean()))
        samples = int(seen.sum()) * BLOCK**2
        return NoiseModel((0.0,), (over_all,), (over_all,), samples, (tuple(curve.tolist()),))

    @property
    def unsure(self) -> float:
        """Standard error of the law's standard deviation, as a share of it."""
        seen = self._seen()
        if not seen.any():
            return 0.0
        worth = self._worth()[seen]
        return float(np.average(self.error[FULL][seen], weights=worth))

    def _seen(self) -> Mask:
        """Blocks that can tell: not those that black or white has filled."""
        full = (self.level < RAIL) | (self.level > 1 - RAIL)
        return np.asarray(~(full & (self.bound[FULL] == 0)))

    def _inside(self, seen: Mask, room: float) -> Mask:
        """Those of the blocks that keep so far from black and white, if they are enough: what is
        cut off is hard to undo."""
        inside = seen & (self.level > room) & (self.level < 1 - room)
        return inside if inside.sum() >= LEAST_INSIDE * seen.sum() else seen

    def _worth(self) -> Floats:
        """Weights: sure blocks count far more than those where it is anybody's guess, whose errors
        are mostly upwards."""
        unsure = np.square(self.error[FULL].astype(np.float64)) + (SAMPLING / 2) ** 2
        return np.asarray(unsure**-2, np.float64)


@dataclass(frozen=True, slots=True)
class NoiseMap:
    """The noise of every plane of a frame; a mosaic counts as four."""

    planes: tuple[PlaneMap, ...]

    @classmethod
    def joined(cls, maps: Sequence["NoiseMap"]) -> "NoiseMap":
        """Maps of frames of one shot as one, one below the other: what all of them tell."""
        columns = zip(*(each.planes for each in maps), strict=True)
        return cls(tuple(_stacked(column) for column in columns))


def _stacked(maps: Sequence[PlaneMap]) -> PlaneMap:
    parts = (
        np.concatenate([getattr(each, name) for each in maps], axis=-2)
        for name in ("level", "bound", "share", "error")
    )
    return PlaneMap(*parts)


def estimate(
    frames: Sequence[FramePlanes], flows: Sequence[Flow], squares: Sequence[Square] = ()
) -> NoiseMap:
    """The noise of a frame, frames[0], beside one or two neighbours of its shot.

    flows: from its luma into that of each neighbour, (H, W, 2) pixels. squares: parts to look at
    alone, as large frames want, whose maps are then one below the other; none: all of the frame.
    Planes smaller than a block have maps without blocks.
    """
    centre, *others = frames
    if not 0 < len(others) == len(flows) < 3:
        raise ValueError(f"{len(others)} neighbours and {len(flows)} flows: one of each, or two.")
    if squares:
        parts = [
            estimate([cut_out(one, part) for one in frames], [part.of(flow) for flow in flows])
            for part in squares
        ]
        return NoiseMap.joined(parts)
    others, flows = list(others) * (3 - len(others)), list(flows) * (3 - len(flows))
    both = others[:2], flows[:2]
    return NoiseMap(
        tuple(_plane_map(evidence(centre, *both, p)[0]) for p in range(len(centre.planes)))
    )


def cut_out(frame: FramePlanes, part: Square) -> FramePlanes:
    """A part of a frame; of coarser planes, the part that shows the same."""
    height, width = frame.luma.shape
    planes = []
    for plane in frame.planes:
        down, across = (round(n / m) for n, m in zip((height, width), plane.shape, strict=True))
        top, left, rows, columns = part
        planes.append(
            Square(top // down, left // across, rows // down, columns // across).of(plane)
        )
    return FramePlanes(planes, part.of(frame.luma), frame.chroma)


def _plane_map(seen: Evidence) -> PlaneMap:
    if not seen.level.size:
        return PlaneMap(seen.level, seen.bound, seen.bound, seen.bound)
    with torch.inference_mode():
        share, error = network()(torch.from_numpy(seen.looks)[None])
    spread = 0.5**0.5 * error[0].exp().numpy()  # of a Laplacian; and half, of a root
    found = PlaneMap(seen.level, seen.bound, share[0].exp().numpy(), spread)
    return PlaneMap(found.level, found.bound, _snapped(found), found.error)


def _snapped(found: PlaneMap) -> Singles:
    """Shares, all of them higher where they typically are nearly 1: statistics know better then."""
    live, worth = found.bound[FULL] > 0, found._worth()
    snapped = found.share.copy()
    for band in (FULL, FINE):
        if live.any():
            typical = _middle(found.share[band][live], worth[live])
            snapped[band] /= typical if typical >= ALL else 1
    return snapped.clip(0, 1)


def _middle(values: Singles, worth: Floats) -> float:
    """The weighted median."""
    order = np.argsort(values)
    total = np.cumsum(worth[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


@cache
def network() -> Share:
    """The bundled network, built once."""
    net = Share(LOOKS)
    net.load_state_dict(weights.share())
    return net.eval().requires_grad_(False)
