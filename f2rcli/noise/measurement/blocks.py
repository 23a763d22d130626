"""Differences between small blocks of two adjacent frames, matched by the flow of their luma.

Half the variance of the difference of two frames is the noise's variance plus what moves, changes
or was matched wrongly. It is read per block of one plane, at full bandwidth and in two high-pass
bands, with what a wrong match may have added.
"""

import math
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Floats, Singles
from f2rcli.models.flow import DISFlow, Flow, Luma
from f2rcli.noise.measurement.highpass import power, tiles
from f2rcli.order import median, quantile

SIDES = 16, 8  # pixels of a block: the smaller where a plane holds few of the larger
FEW_BLOCKS = 150  # of a plane
MATCHED = 0.125  # of the gradient's power: what a match half a pixel off leaves, roughly
RAIL = 1.5 / 255  # of black or white: a block without noise there has been cut off
# Noise is in all samples of a block, so its least ones tell of it as well: two thirds of Gaussian
# ones hold this much of its variance. Where they say far less, few samples differ by much: snow,
# rain, sparks, edges that were matched wrongly.
LEAST, LEAST_POWER = 2 / 3, 0.1832
SPARSE = 0.2, 0.3  # of the variance: below it is the least samples', above it counts in full
# The same of most blocks, for any to be read so: scenes in motion have some such blocks, too, which
# are told from noise by other means.
MOSTLY = 0.2, 0.25
SAME_LIGHT = 1.0, 0.0  # gain and offset


class FramePlanes(NamedTuple):
    """One frame as its planes, with the luma that all of them are matched by."""

    planes: list[Singles]  # (H, W), chroma on its own grid, in units of each plane
    luma: Luma  # (H, W), 0 = black, 1 = white
    chroma: bool = False  # whether all planes but the first are chroma, as bright as luma is there

    @classmethod
    def of_channels(cls, planes: list[Singles]) -> "FramePlanes":
        """Planes from channels on one grid; luma is their mean."""
        return cls(planes, np.clip(np.mean(planes, axis=0, dtype=np.float32), 0, 1))


class Pair:
    """Two adjacent frames of one shot."""

    def __init__(self, before: FramePlanes, after: FramePlanes) -> None:
        self.before, self.after = before, after
        self._blocks: dict[int, Blocks] = {}
        self._landings: dict[tuple[int, ...], NDArray[np.int32]] = {}

    @cached_property
    def flow(self) -> Flow:
        """The flow from the one frame into the other, (H, W, 2)."""
        return DISFlow()(self.before.luma, self.after.luma)

    def moved(self, plane: int) -> Singles:
        """A plane of the second frame moved by luma's flow, to whole pixels: variance stays."""
        shape = self.before.planes[plane].shape
        if shape not in self._landings:
            self._landings[shape] = whole_landing(self.flow, shape)
        fetched: Singles = self.after.planes[plane].ravel().take(self._landings[shape])
        return fetched

    def blocks(self, plane: int) -> "Blocks":
        """Of one plane, by its number."""
        if plane not in self._blocks:
            self._blocks[plane] = _plane_blocks(self, plane)
        return self._blocks[plane]


class Blocks(NamedTuple):
    """Evidence from the blocks of one plane: brightness, noise power at most, and its doubts."""

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


def _plane_blocks(pair: Pair, plane: int) -> Blocks:
    before, after = (picture.planes[plane] for picture in (pair.before, pair.after))
    bright = pair.before.luma if pair.before.chroma and plane else before
    side = side_of(before.shape)
    choices = [after, pair.moved(plane)]
    here, there = tiles(before, side), [tiles(other, side) for other in choices]
    matched = [same_light(*one, here) for one in zip(choices, there, strict=True)]
    apart = [other - before for other in matched]
    rough = [tiles(_smooth(one), side).var(1) for one in apart]
    plain = rough[0] <= rough[1]  # chosen by the low frequencies: no bias to the high ones
    powers = [power(one, side) / 2 for one in apart]
    slopes = _slopes(before)
    error = [MATCHED * _shared(slopes, _slopes(other), side) for other in matched]
    same = [~(other != here).any(1) for other in there]
    painted = (here == here[:, :1]).all(1) & (there[0] == there[0][:, :1]).all(1)
    void = painted | same[0] | same[1]
    chosen = np.where(plain[:, None], *(tiles(one, side) for one in apart))
    dense = _dense(chosen, ~void)
    grid = bright if bright.shape == before.shape else _resized(bright, before.shape)
    level = (here if grid is before else tiles(grid, side)).mean(1)
    rows, columns = before.shape[0] // side, before.shape[1] // side
    rail = painted & ((level < RAIL) | (level > 1 - RAIL) | _bars(painted.reshape(rows, columns)))
    return Blocks(
        level.astype(np.float64), np.where(plain, *powers) * dense, np.where(plain, *error),
        void, rail, plain, side**2,
    )  # fmt: skip


def side_of(shape: tuple[int, ...]) -> int:
    """Of the blocks of a plane."""
    return SIDES[math.prod(shape) < FEW_BLOCKS * SIDES[0] ** 2]


def _bars(painted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows and columns of painted blocks (R, C) at the border, as letterboxes have; flat."""
    bars = np.zeros_like(painted)
    for lines, marked in ((painted, bars), (painted.T, bars.T)):
        whole = np.all(lines, axis=1)
        for way in (1, -1):
            marked[np.logical_and.accumulate(whole[::way])[::way]] = True
    return bars.reshape(-1)


def joined(parts: list[Blocks]) -> Blocks:
    """The blocks of several pairs."""
    level, powers, error, void, rail, still = (
        np.concatenate([part[index] for part in parts], -1) for index in range(6)
    )
    return Blocks(level, powers, error, void, rail, still, parts[0].samples)


def same_light(after: Singles, blocks: Singles, before: Singles) -> Singles:
    """A plane as bright as another if one gain and offset explain the change (a fade). blocks,
    before: their blocks, see `tiles`."""
    gain, offset = light_between(blocks, before)
    return after if (gain, offset) == SAME_LIGHT else np.asarray(gain * after + offset, np.float32)


def light_between(blocks: Singles, before: Singles) -> tuple[float, float]:
    """The gain and the offset that make blocks as bright as those before, if one explains the
    change (a fade); SAME_LIGHT if not."""
    x, y = (plane.mean(1).astype(np.float64) for plane in (blocks, before))
    kept = np.ones(len(x), bool)
    for _ in range(3):
        known, wanted = x[kept], y[kept]
        if len(known) < 8 or np.ptp(known) < 1e-6:
            return SAME_LIGHT
        apart = known - known.mean()
        gain = float(apart @ wanted / (apart @ apart))
        offset = float(wanted.mean() - gain * known.mean())
        left = np.abs(gain * x + offset - y)
        kept = left <= quantile(left, 0.6)
    explained = median(np.abs(gain * x + offset - y)) < 0.5 * median(np.abs(x - y))
    return (gain, offset) if explained and 0.5 < gain < 2 else SAME_LIGHT


def whole_landing(flow: Singles, shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Flat indices where samples of a plane of this shape land by a flow (H, W, 2) of any size."""
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


def _dense(blocks: Singles, live: NDArray[np.bool_]) -> Floats:
    """The share of each block's variance (N, samples) not of a few samples; all if few are so."""
    middle = blocks.shape[1] // 2
    apart = np.abs(blocks - np.partition(blocks, middle, axis=1)[:, middle, None])
    count = round(LEAST * blocks.shape[1])
    least = np.square(np.partition(apart, count, axis=1)[:, :count]).sum(1) / blocks.shape[1]
    share = least / np.maximum(LEAST_POWER * blocks.var(1), 1e-18)
    mostly = float(median(share[live])) if live.any() else 1.0
    full = np.maximum(_rising(share, SPARSE), _rising(mostly, MOSTLY))
    return np.asarray(full + (1 - full) * share, np.float64)


def _rising(value: Floats | float, limits: tuple[float, float]) -> Floats:
    """0 up to the first limit, 1 from the second on."""
    return np.clip((np.asarray(value) - limits[0]) / (limits[1] - limits[0]), 0, 1)


def _slopes(plane: Singles) -> tuple[Singles, Singles]:
    """The gradient of a plane with little of its noise: across, down."""
    step, same = np.array([-0.5, 0, 0.5], np.float32), np.array([1], np.float32)
    smooth = _smooth(plane)
    across, down = (cv2.sepFilter2D(smooth, -1, *way) for way in ((step, same), (same, step)))
    return np.asarray(across, np.float32), np.asarray(down, np.float32)


def _shared(one: tuple[Singles, Singles], other: tuple[Singles, Singles], side: int) -> Floats:
    """Power of the gradient that two frames share: their noise is not in it, (N,)."""
    shared = one[0] * other[0]
    shared += one[1] * other[1]
    return np.asarray(tiles(shared, side).mean(1), np.float64)


def _smooth(plane: Singles) -> Singles:
    taps = np.array([0.25, 0.5, 0.25], np.float32)
    smooth: Singles = cv2.sepFilter2D(plane, -1, taps, taps)  # type: ignore[assignment]  # float32 stays
    return smooth


def _resized(luma: Luma, shape: tuple[int, ...]) -> Luma:
    small = cv2.resize(luma, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)
