"""The contract's inputs besides pictures: its terms, and the noise's law as tensors.

A law changes where noise does, or an encoder's step; its tensors are replaced then, and what was
recorded for other ones stays.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from f2rcli.engine.contract.residual import STRICT, Slack
from f2rcli.engine.gpu.copies import Transfers
from f2rcli.engine.gpu.filters import resized
from f2rcli.frames import Family, PlaneLayout
from f2rcli.noise.bands import Shares
from f2rcli.noise.measurement.blocks import side_of
from f2rcli.noise.measurement.place_factors import Places
from f2rcli.noise.model import KNOTS, NoiseModel
from f2rcli.noise.planes import PlaneNoise

STEPS = 64 * (KNOTS - 1)  # from black to white, of a law's table
Shapes = tuple[tuple[int, ...], ...]
MOST = 8  # laws that stay on the device: those of a few steps of an encoder


@dataclass(frozen=True, slots=True)
class Terms:
    """The contract's terms besides the picture; see `contract.residual.under_contract`."""

    layout: PlaneLayout
    shares: tuple[Shares, ...]  # per plane, see `PlaneNoise`
    clipped: bool
    allowance: tuple[float, ...] = (1.0,)
    slack: Slack = STRICT
    model: NoiseModel | None = None  # of the picture's channels; None: of no picture
    texture: float = 0.0  # see `Shrinkage`

    @classmethod
    def of(cls, layout: PlaneLayout, noise: PlaneNoise) -> "Terms":
        """Those of a law alone."""
        return cls(layout, noise.shares, noise.clipped)

    @property
    def yuv(self) -> bool:
        return self.layout.family is Family.YUV

    def planes(self, kind: int) -> range:
        """The planes of the file that a group holds."""
        if not self.yuv:
            return range(len(self.shares))
        return range(1, 3) if kind else range(1)

    def of_group(self, kind: int) -> tuple[Shares, ...]:
        """The shares of every plane of a group."""
        return tuple(self.shares[plane] for plane in self.planes(kind))

    def allowed(self, kind: int) -> float:
        return self.allowance[min(self.planes(kind)[0], len(self.allowance) - 1)]


class Law(NamedTuple):
    """The noise of a file's planes, group by group."""

    variances: list[Tensor]  # (P, STEPS + 1), from black to white
    places: list[Tensor]  # (P, H, W), factors of the standard deviation; empty: 1 everywhere

    def level(self, kind: int, bright: Tensor) -> Tensor:
        """The noise's standard deviation in a group, (P, H, W), where its planes, or luma (1, H, W)
        for chroma, are as bright as this."""
        table = self.variances[kind]
        place = bright.clamp(0, 1).mul_(STEPS).flatten(1)
        below = place.long().clamp_max_(STEPS - 1)
        share = place.sub_(below)
        if len(below) < len(table):
            below, share = (one.expand(len(table), -1) for one in (below, share))
        low, step = (part.gather(1, below) for part in (table[:, :-1], table.diff()))
        found = torch.addcmul(low, share, step).clamp_min_(0).sqrt_()
        found = found.view(len(table), *bright.shape[-2:])
        return found * self.places[kind] if self.places else found


class Laws:
    """Laws on a device, each copied there once."""

    def __init__(self, copies: Transfers) -> None:
        self._copies = copies
        self._there: OrderedDict[tuple[object, ...], Law] = OrderedDict()

    def of(self, noise: PlaneNoise, terms: Terms, shapes: Shapes) -> Law:
        """The law of a frame whose groups have these shapes (H, W)."""
        places = noise.places if any(noise.places) else ()
        key = noise.models, places, shapes, torch.is_inference_mode_enabled()
        if key not in self._there:
            self._there[key] = self._made(noise.models, places, terms, shapes)
        self._there.move_to_end(key)
        while len(self._there) > MOST:
            self._there.popitem(last=False)
        return self._there[key]

    def _made(
        self,
        models: Sequence[NoiseModel],
        places: Sequence[Places],
        terms: Terms,
        shapes: Shapes,
    ) -> Law:
        planes = [(plane, kind) for kind in range(len(shapes)) for plane in terms.planes(kind)]
        sent = [np.array(_numbers(models[plane]), np.float32) for plane, _ in planes]
        if places:
            sent += [_blocks(places[plane], shapes[kind]) for plane, kind in planes]
        parts = self._copies.up(sent).split_with_sizes([one.size for one in sent])
        found = [part.view(one.shape) for part, one in zip(parts, sent, strict=True)]
        tables: list[list[Tensor]] = [[] for _ in shapes]
        factors: list[list[Tensor]] = [[] for _ in shapes]
        for (_, kind), numbers in zip(planes, found, strict=False):
            tables[kind].append(_table(numbers))
        for (_, kind), blocks in zip(planes, found[len(planes) :], strict=False):
            factors[kind].append(_spread_out(blocks, shapes[kind]))
        return Law([*map(torch.stack, tables)], [*map(torch.stack, factors)] if places else [])


def _numbers(model: NoiseModel) -> tuple[float, ...]:
    """Of a law of one channel: three for a line, or its KNOTS."""
    if model.curve is None:
        return model.gain[0], model.read[0], model.pedestal[0]
    return model.curve[0]


def _table(numbers: Tensor) -> Tensor:
    """The variance (STEPS + 1,) from black to white by these numbers."""
    if len(numbers) < KNOTS:
        gain, read, dark = numbers
        light = torch.linspace(0, 1, STEPS + 1, device=numbers.device)
        return gain * (light - dark).clamp_min(0) + read**2
    share = torch.arange(STEPS // (KNOTS - 1), device=numbers.device) / (STEPS // (KNOTS - 1))
    inner = torch.addcmul(numbers[:-1, None], numbers.diff()[:, None], share)
    return torch.cat([inner.flatten(), numbers[-1:]]).square()


def _blocks(places: Places, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The factors of a plane's blocks (R, C), 1 where there are none."""
    rows, columns = (-(-length // side_of(shape)) for length in shape)
    return np.array(places, np.float32) if places else np.ones((rows, columns), np.float32)


def _spread_out(blocks: Tensor, shape: tuple[int, ...]) -> Tensor:
    """See `noise.measurement.place_factors.spread_out`."""
    side = side_of(shape)
    whole = (blocks.shape[0] * side, blocks.shape[1] * side)
    own = blocks.repeat_interleave(side, 0).repeat_interleave(side, 1)
    found = torch.minimum(own, resized(blocks[None], whole)[0])
    return found[: shape[0], : shape[1]].contiguous()
