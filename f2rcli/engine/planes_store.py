"""The planes of frames as tensors where the work is done, and packed as networks see them.

Each plane goes there once, and back once. On a device everything between uploaded and downloaded
planes is done there: codes are decoded, and rounded again, as `yuv.py` does with NumPy, and one
copy each way per frame goes beside the work where CUDA allows it (`benchmarks/gpu.py` counts them).
Colour planes travel in groups: tensors (P, H, W) of planes of one size and kind, luma or all planes
of RGB and gray first, chroma second.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from f2rcli.frames import Family, Frame, Plane, PlaneLayout
from f2rcli.models.recorded import Graphs
from f2rcli.planes import Layout, pack, packing, unpack
from f2rcli.yuv import code_span, downsampled, planes_of, upsampled, with_changes

Groups = list[Tensor]  # (P, H, W) each: luma or all planes, then chroma

AS_BYTES = {np.dtype(np.uint8): torch.uint8, np.dtype(np.uint16): torch.int16,
            np.dtype(np.float32): torch.float32}  # fmt: skip
KEPT = 16  # frames whose codes stay on a device: a window of nine, and those that wait
BESIDE = 3  # frames whose decoded planes stay on the processor: a centre and those beside it


class PlanesStore:
    """Decoded planes of frames, in groups; see the module.

    On a device, codes of video and pictures are copied there and back. Stacks and mosaics, of which
    NumPy counts means in float64, are decoded and rounded on the processor.
    """

    def __init__(self, device: torch.device, graphs: Graphs | None = None) -> None:
        """graphs: of the work on frames that are copied to a device once and stay there; None: they
        stay on the processor, and are copied as they are needed."""
        self.device, self.away = device, graphs is not None
        self.graphs = Graphs() if graphs is None else graphs
        self._copies = Transfers(device)
        self._there: OrderedDict[int, tuple[Frame, Groups]] = OrderedDict()

    def as_codes(self, frame: Frame) -> bool:
        """Whether a frame goes to a device, and comes back, as it is stored."""
        kinds = {plane.dtype for plane in frame.planes[: frame.layout.colour_planes]}
        in_one_piece = len(kinds) == 1 and kinds <= AS_BYTES.keys()
        return self.away and not frame.layout.keeps_means and in_one_piece

    def groups(self, frame: Frame) -> Groups:
        """A frame's planes in units of each, on the device; not to be written to."""
        held = self._held(frame)
        if not self.as_codes(frame):
            return held
        return self.graphs(("planes", frame.layout), partial(_decoded, frame.layout), held)

    def planes(self, frame: Frame) -> list[Tensor]:
        """The same, one by one: (H, W) each."""
        return [plane for group in self.groups(frame) for plane in group]

    def written(self, frame: Frame, changes: Groups) -> Frame:
        """A frame plus a change of its groups, rounded once."""
        if not self.as_codes(frame):
            planes = [plane.cpu().numpy() for group in changes for plane in group]
            return with_changes(frame, planes)
        old = frame.planes[: frame.layout.colour_planes]
        name, made = ("samples", frame.layout), partial(_encoded, frame.layout)
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


def parts_of(layout: PlaneLayout, count: int) -> list[slice]:
    """The planes of each group, of so many."""
    return [slice(1), slice(1, count)] if layout.family is Family.YUV else [slice(count)]


def grouped_planes(planes: Sequence[Tensor], layout: PlaneLayout) -> Groups:
    """Planes (H, W) as groups."""
    return [torch.stack(list(planes[part])) for part in parts_of(layout, len(planes))]


def grouped(samples: Tensor, shapes: Sequence[tuple[int, ...]], layout: PlaneLayout) -> Groups:
    """Samples of planes, one after the other, as groups."""
    alike = [shapes[part] for part in parts_of(layout, len(shapes))]
    sizes = [(len(some), *some[0]) for some in alike]
    parts = samples.split_with_sizes([prod(size) for size in sizes])
    return [part.view(size) for part, size in zip(parts, sizes, strict=True)]


@dataclass(frozen=True)
class Packing:
    """How pictures of one stream are packed, and unpacked again.

    Pictures grow by their last rows and columns to whole cells, and to as many of them as networks
    work on. Chroma on a grid that has no packing is interpolated onto a finer one that has, and
    what networks change of it is averaged back.
    """

    source: PlaneLayout
    stride: int = 1  # cells that height and width are a multiple of

    @property
    def layout(self) -> Layout:
        """What pictures are packed as."""
        return packing(self.source)

    def packed(self, planes: Sequence[Tensor]) -> Tensor:
        """A frame's planes (H, W) in units of their own, see `planes_of` -> (1, C, h, w)."""
        height, width = (-(-side // (2 * self.stride)) * self.stride for side in planes[0].shape)
        wanted = [(rows * height, columns * width) for rows, columns in self.layout.planes]
        luma, *others = planes
        finer = [luma, *(upsampled(one, wanted[-1], self._coarser) for one in others)]
        return pack(self.layout, list(map(_grown, finer, wanted)))[None]

    def planes(self, packed: Tensor, shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
        """A packed picture or a change of it (1, C, h, w) -> planes of these shapes (H, W)."""
        luma, *others = unpack(self.layout, packed[0])
        own = [luma, *(downsampled(one, self._coarser) for one in others)]
        return [one[:height, :width] for one, (height, width) in zip(own, shapes, strict=True)]

    @property
    def _coarser(self) -> PlaneLayout:
        """How much coarser chroma is stored than it is packed: nearly always as it is."""
        rows, columns = self.layout.planes[-1]  # of samples in a cell
        across, down = self.source.log2_chroma
        less = across - (columns == 1), down - (rows == 1)
        return replace(self.source, log2_chroma=less)


def _grown(plane: Tensor, size: tuple[int, int]) -> Tensor:
    """A plane whose last row and column are repeated up to a size; what is beyond it is cut."""
    plane = plane[: size[0], : size[1]]
    rows, columns = (wanted - has for wanted, has in zip(size, plane.shape, strict=True))
    if not rows and not columns:
        return plane
    return functional.pad(plane[None, None], (0, columns, 0, rows), "replicate")[0, 0]


def _decoded(layout: PlaneLayout, codes: Groups) -> Groups:
    """Codes of groups in units of each plane; see `yuv.planes_of`."""
    found = []
    for kind, group in enumerate(codes):
        zero, span = code_span(layout, kind)
        found.append(torch.sub(_unsigned(group), float(zero)).mul_(1 / span))
    return found


def _encoded(layout: PlaneLayout, codes: Groups, changes: Groups) -> Tensor:
    """All samples of a frame, one after the other: its codes plus a change of each group in its
    units, rounded once and clipped."""
    found = []
    for kind, (group, change) in enumerate(zip(codes, changes, strict=True)):
        _, span = code_span(layout, kind)
        moved = change * span
        if layout.float_samples:
            moved += group
        else:
            moved = moved.round_().int().add_(_unsigned(group)).clamp_(0, 2**layout.bits - 1)
        found.append(moved.to(group.dtype).flatten())
    return torch.cat(found)


def _unsigned(group: Tensor) -> Tensor:
    """torch knows few operations on uint16, so its samples travel as int16."""
    return group.int() & 0xFFFF if group.dtype is torch.int16 else group


def overlaps(device: torch.device) -> bool:
    """Whether a device copies from and to pinned memory beside its work."""
    return device.type == "cuda"


class Transfers:
    """Copies between the processor and one device, beside the work there where that can be: by
    pinned memory, which torch gives out again once a copy is done."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream = torch.cuda.Stream(device) if overlaps(device) else None  # type: ignore[no-untyped-call]  # torch's stub

    def up(self, planes: Sequence[Plane]) -> Tensor:
        """Upload all samples of some planes, concatenated, as a tensor on the device."""
        size, kind = sum(plane.size for plane in planes), AS_BYTES[planes[0].dtype]
        host = torch.empty(size, dtype=kind, pin_memory=self._stream is not None)
        # In this thread: torch would wake all others for a few megabytes.
        np.concatenate([plane.ravel() for plane in planes], out=host.numpy().view(planes[0].dtype))
        if self._stream is None:
            return host.to(self.device)
        work = torch.cuda.current_stream(self.device)
        with torch.cuda.stream(self._stream):
            there = host.to(self.device, non_blocking=True)
        work.wait_stream(self._stream)
        there.record_stream(work)
        return there

    def down(self, samples: Tensor) -> Tensor:
        """A tensor (N,) on the processor, its own memory; waits for what makes it."""
        if self._stream is None:
            return samples.cpu()
        host = torch.empty(samples.shape, dtype=samples.dtype, pin_memory=True)
        self._stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self._stream):
            host.copy_(samples, non_blocking=True)
        samples.record_stream(self._stream)
        self._stream.synchronize()
        return torch.from_numpy(host.numpy().copy())  # in this thread, as above
