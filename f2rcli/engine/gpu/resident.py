"""A clip whose planes are uploaded once, and whose results are downloaded once."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from math import prod

import numpy as np
import torch
from torch import Tensor

from f2rcli.engine.contract.residual import Beside, Slack
from f2rcli.engine.contract.shrinkage import Shrinkage
from f2rcli.engine.gpu import colour
from f2rcli.engine.gpu.colour import Groups
from f2rcli.engine.gpu.contract import Near, under_contract, watched
from f2rcli.engine.gpu.copies import Transfers, travels
from f2rcli.engine.gpu.steady import DeviceSteady
from f2rcli.engine.gpu.tally import Tally
from f2rcli.engine.gpu.terms import Law, Laws, Terms
from f2rcli.engine.settings import EngineSettings
from f2rcli.engine.strength import luma_and_chroma, scaled
from f2rcli.frames import Family, Frame, PlaneLayout
from f2rcli.models.recorded.graphs import Graphs
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.planes import PlaneNoise

KEPT = 16  # frames whose codes stay on the device: a window of nine, and those that wait


def stays(frame: Frame) -> bool:
    """Whether such frames are converted and judged on the device: all video and still pictures.
    Stacks and mosaics keep every mean of theirs, for which NumPy counts in float64."""
    layout = frame.layout
    return not layout.keeps_means and travels(frame.planes[: layout.colour_planes])


@dataclass
class Resident:
    """Planes on a device, uploaded once each."""

    device: torch.device
    graphs: Graphs = field(default_factory=Graphs)
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self._copies = Transfers(self.device)
        self._laws = Laws(self._copies)
        self._tables: tuple[Shrinkage, int, Groups] | None = None
        self._there: OrderedDict[int, tuple[Frame, Groups]] = OrderedDict()

    def picture(self, frame: Frame) -> Tensor:
        """A frame's picture (1, C, H, W) on the device."""
        seen: Tensor = self.graphs(
            ("picture", frame.layout), partial(_picture, frame.layout), self._codes(frame)
        )
        return seen

    def planes(self, frame: Frame) -> list[Tensor]:
        """A frame's planes (H, W) on the device, in units of their own."""
        name, made = ("planes", frame.layout), partial(colour.decoded, layout=frame.layout)
        groups: Groups = self.graphs(name, made, self._codes(frame))
        return [plane for group in groups for plane in group]

    def groups(self, planes: Sequence[Tensor], layout: PlaneLayout) -> Groups:
        """Changes of planes in groups."""
        counts = (1, 2) if layout.family is Family.YUV else (len(planes),)
        ends = [sum(counts[:i]) for i in range(len(counts) + 1)]
        return [torch.stack(list(planes[a:b])) for a, b in pairwise(ends)]

    def watch(self, steady: DeviceSteady, frame: Frame, noise: PlaneNoise) -> None:
        """See `contract.residual.watched`."""
        codes, terms = self._codes(frame), Terms.of(frame.layout, noise)
        watched(steady, codes, terms, self._law(noise, terms, codes), self.graphs)

    def changes(
        self,
        frame: Frame,
        asked: Groups,
        model: NoiseModel,
        beside: Beside,
        allowance: tuple[float, ...],
        slack: Slack,
    ) -> Groups:
        """The part of changes of its groups that the contract allows; see `contract.residual`."""
        assert beside.noise is not None  # there is a model
        noise, known = beside.noise, beside.shrinkage
        terms = Terms(
            frame.layout, noise.shares, noise.clipped, allowance, slack, model,
            0.0 if known is None else known.texture,
        )  # fmt: skip
        near = [
            Near(self._codes(one), (flow,) if isinstance(flow, Tensor) else ())
            for one, flow in zip(beside.frames, beside.flows, strict=True)
        ]
        steady = beside.steady if isinstance(beside.steady, DeviceSteady) else None
        codes = self._codes(frame)
        learnt = [] if known is None else self._learnt(known, terms, len(codes))
        law = self._law(noise, terms, codes)
        return under_contract(
            codes, asked, terms, law, near, steady, learnt, self.tally, self.graphs
        )

    def _law(self, noise: PlaneNoise, terms: Terms, codes: Groups) -> Law:
        return self._laws.of(noise, terms, tuple(tuple(one.shape[-2:]) for one in codes))

    def _learnt(self, shrinkage: Shrinkage, terms: Terms, groups: int) -> Groups:
        """Tables of the shares of noise in what is removed, copied when they are learnt anew."""
        if not shrinkage.looks:
            return []
        if (
            self._tables is None
            or self._tables[0] is not shrinkage
            or self._tables[1] != shrinkage.looks
        ):
            tables = [
                shrinkage.table(plane).astype(np.float32) for plane in range(len(terms.shares))
            ]
            sent = self._copies.up(tables).view(len(tables), -1)
            parts = sent.split_with_sizes([len(terms.planes(kind)) for kind in range(groups)])
            self._tables = shrinkage, shrinkage.looks, list(parts)
        return self._tables[2]

    def changed(self, frame: Frame, changes: Groups, settings: EngineSettings) -> Frame:
        """A frame with changes of its groups, as strong as asked for."""
        codes, old = self._codes(frame), frame.planes[: frame.layout.colour_planes]
        shares = luma_and_chroma(settings)
        made = partial(_encoded, frame.layout, settings)
        samples = self._copies.down(
            self.graphs(("samples", frame.layout, shares), made, codes, changes)
        )
        parts = samples.split_with_sizes([plane.size for plane in old])
        planes = [
            part.numpy().view(plane.dtype).reshape(plane.shape)
            for part, plane in zip(parts, old, strict=True)
        ]
        return replace(frame, planes=(*planes, *frame.planes[len(planes) :]))

    def _codes(self, frame: Frame) -> Groups:
        """A frame's codes on the device, uploaded if it was not there."""
        key = id(frame.planes[0])  # frames are copied with other times; their planes are not
        known = self._there.get(key)
        if known is not None and known[0].planes[0] is frame.planes[0]:
            return known[1]
        planes = frame.planes[: frame.layout.colour_planes]
        groups = _grouped(self._copies.up(planes), [plane.shape for plane in planes], frame.layout)
        self._there[key] = frame, groups
        while len(self._there) > KEPT:
            self._there.popitem(last=False)
        return groups


def _grouped(samples: Tensor, shapes: Sequence[tuple[int, ...]], layout: PlaneLayout) -> Groups:
    """Samples of planes, one after the other, as groups."""
    counts = (1, 2) if layout.family is Family.YUV else (len(shapes),)
    sizes = [(count, *shapes[first]) for first, count in enumerate(counts)]
    parts = samples.split_with_sizes([prod(size) for size in sizes])
    return [part.view(size) for part, size in zip(parts, sizes, strict=True)]


def _picture(layout: PlaneLayout, codes: Groups) -> Tensor:
    return colour.to_rgb(colour.decoded(codes, layout), layout)


def _encoded(
    layout: PlaneLayout, settings: EngineSettings, codes: Groups, changes: Groups
) -> Tensor:
    """All samples of a frame with its changes, one after the other."""
    new = colour.encoded(codes, _scaled(changes, layout, settings), layout)
    return torch.cat([group.flatten() for group in new])


def _scaled(changes: Groups, layout: PlaneLayout, settings: EngineSettings) -> Groups:
    """The share of the changes that is asked for; red, green and blue of a group may mix."""
    luma, chroma = luma_and_chroma(settings)
    if layout.family is Family.RGB and luma != chroma:
        return [torch.stack(scaled(changes[0].unbind(), layout, settings))]
    return scaled(changes, layout, settings)
