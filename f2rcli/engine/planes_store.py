"""The planes of frames as tensors where the work is done: each goes there once, and back once."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from math import prod

import torch
from torch import Tensor

from f2rcli.engine.gpu import colour
from f2rcli.engine.gpu.colour import Groups
from f2rcli.engine.gpu.copies import Transfers, travels
from f2rcli.frames import Family, Frame, PlaneLayout
from f2rcli.models.recorded import Graphs
from f2rcli.noise.model import planes_of, with_changes

KEPT = 16  # frames whose codes stay on a device: a window of nine, and those that wait
BESIDE = 3  # frames whose decoded planes stay on the processor: a centre and those beside it


class PlanesStore:
    """Decoded planes of frames, in groups; see `engine.contract.terms`.

    On a device, codes of video and pictures are copied there and back. Stacks and mosaics, of which
    NumPy counts means in float64, are decoded and rounded on the processor.
    """

    def __init__(self, device: torch.device, *, away: bool, graphs: Graphs | None = None) -> None:
        """away: whether frames are copied to a device once and stay there."""
        self.device, self.away = device, away
        self.graphs = Graphs() if graphs is None else graphs
        self._copies = Transfers(device) if away else None
        self._there: OrderedDict[int, tuple[Frame, Groups]] = OrderedDict()

    def as_codes(self, frame: Frame) -> bool:
        """Whether a frame goes to a device, and comes back, as it is stored."""
        layout = frame.layout
        return (
            self.away and not layout.keeps_means and travels(frame.planes[: layout.colour_planes])
        )

    def groups(self, frame: Frame) -> Groups:
        """A frame's planes in units of each, on the device; not to be written to."""
        held = self._held(frame)
        if not self.as_codes(frame):
            return held
        name, work = ("planes", frame.layout), partial(colour.decoded, layout=frame.layout)
        groups: Groups = self.graphs(name, work, held)
        return groups

    def picture(self, frame: Frame) -> Tensor:
        """The picture (1, C, H, W) of a frame that is held `as_codes`."""
        name = "picture", frame.layout
        seen: Tensor = self.graphs(name, partial(_picture, frame.layout), self._held(frame))
        return seen

    def written(self, frame: Frame, changes: Groups) -> Frame:
        """A frame plus a change of its groups, rounded once."""
        if not self.as_codes(frame):
            planes = [plane.cpu().numpy() for group in changes for plane in group]
            return with_changes(frame, planes)
        assert self._copies is not None
        old = frame.planes[: frame.layout.colour_planes]
        made = partial(_encoded, frame.layout)
        name = "samples", frame.layout
        samples = self._copies.down(self.graphs(name, made, self._held(frame), changes))
        parts = samples.split_with_sizes([plane.size for plane in old])
        planes = [
            part.numpy().view(plane.dtype).reshape(plane.shape)
            for part, plane in zip(parts, old, strict=True)
        ]
        return replace(frame, planes=(*planes, *frame.planes[len(planes) :]))

    def _held(self, frame: Frame) -> Groups:
        key = id(frame.planes[0])  # frames are copied with other times; their planes are not
        known = self._there.get(key)
        if known is not None and known[0].planes[0] is frame.planes[0]:
            return known[1]
        if self.as_codes(frame):
            assert self._copies is not None
            planes = frame.planes[: frame.layout.colour_planes]
            shapes = [plane.shape for plane in planes]
            held = grouped(self._copies.up(planes), shapes, frame.layout)
        else:
            decoded = [torch.from_numpy(plane) for plane in planes_of(frame)]
            held = [one.to(self.device) for one in grouped_planes(decoded, frame.layout)]
        self._there[key] = frame, held
        while len(self._there) > (KEPT if self.away else BESIDE):
            self._there.popitem(last=False)
        return held


def _bounds(count: int, layout: PlaneLayout) -> list[tuple[int, int]]:
    return [(0, 1), (1, count)] if layout.family is Family.YUV else [(0, count)]


def grouped_planes(planes: Sequence[Tensor], layout: PlaneLayout) -> Groups:
    """Planes (H, W) as groups."""
    return [torch.stack(list(planes[a:b])) for a, b in _bounds(len(planes), layout)]


def grouped(samples: Tensor, shapes: Sequence[tuple[int, ...]], layout: PlaneLayout) -> Groups:
    """Samples of planes, one after the other, as groups."""
    bounds = _bounds(len(shapes), layout)
    sizes = [(last - first, *shapes[first]) for first, last in bounds]
    parts = samples.split_with_sizes([prod(size) for size in sizes])
    return [part.view(size) for part, size in zip(parts, sizes, strict=True)]


def _picture(layout: PlaneLayout, codes: Groups) -> Tensor:
    return colour.to_rgb(colour.decoded(codes, layout), layout)


def _encoded(layout: PlaneLayout, codes: Groups, changes: Groups) -> Tensor:
    """All samples of a frame with its changes, one after the other."""
    return torch.cat([group.flatten() for group in colour.encoded(codes, changes, layout)])
