"""F2R's three networks as graphs: tensors with names go in, tensors with names come out."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from f2rcli.frames import Space
from f2rcli.models.planar import Anchor, CentreFrame, Neighbours, Networks
from f2rcli.planes import LAYOUTS, ROTATION, Layout
from f2rcli.weights import Header

CELL = 2  # pixels along a side of what networks count
PACKED = {Space.RGB: "rgb", Space.GRAY: "gray", Space.BAYER: "mosaic"}
DYNAMIC = "BHW"  # axes of any size; the others are fixed when a graph is made


# Axes of every tensor, float32: B pictures, N neighbours, C channels, H rows, W columns; 1: one.
AXES = {
    "noisy": "BCHW", "level": "BCHW", "coarse": "BCHW", "neighbours_noisy": "BNCHW",
    "neighbours_coarse": "BNCHW", "confidence": "BN1HW", "strict": "BCHW", "correction": "BCHW",
    "weights": "BN1HW", "spread": "B1HW", "refined": "BCHW",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Graph:
    """A network with names for what goes in and comes out."""

    name: str
    network: nn.Module  # called with the inputs in order; gives a tensor, or a tuple of them
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    reach: int  # pixels from which an input can change an output

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.name}.onnx"

    def samples(self, header: Header, size: tuple[int, int, int]) -> tuple[Tensor, ...]:
        """Random inputs; size: pictures, rows and columns."""
        known = dict(zip("BHW", size, strict=True)) | {
            "N": header.length - 1, "C": header.channels, "1": 1,
        }  # fmt: skip
        generator = torch.Generator().manual_seed(0)
        shapes = ([known[axis] for axis in AXES[name]] for name in self.inputs)
        return tuple(torch.rand(shape, generator=generator) for shape in shapes)


class _OnPictures(nn.Module):
    """One of the networks on pictures (B, C, H, W) of one layout: packed and unpacked within."""

    rotation: Tensor

    def __init__(self, network: nn.Module, layout: Layout) -> None:
        super().__init__()
        self.network = network
        self.layout = layout
        self.register_buffer("rotation", torch.from_numpy(ROTATION).float(), persistent=False)

    def pack(self, pictures: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 4 C, H/2, W/2)."""
        if self.layout.rotated:
            pictures = torch.einsum("pc,bchw->bphw", self.rotation, pictures)
        return functional.pixel_unshuffle(pictures, CELL)

    def unpack(self, cells: Tensor) -> Tensor:
        """(B, 4 C, H/2, W/2) -> (B, C, H, W)."""
        flat = functional.pixel_shuffle(cells, CELL)
        if self.layout.rotated:
            flat = torch.einsum("pc,bphw->bchw", self.rotation, flat)
        return flat

    def told(self, level: Tensor) -> Tensor:
        """The maps of noise whose deviation at every sample is this."""
        variance = functional.avg_pool2d(level.square(), 2)
        if self.layout.rotated:
            variance = torch.einsum("pc,bchw->bphw", self.rotation.square(), variance)
        noise = variance.sqrt()
        return torch.cat([noise, torch.zeros_like(noise)], 1)

    def seen(self, noisy: Tensor, coarse: Tensor, confidence: Tensor) -> Neighbours:
        """Aligned neighbours; what is trusted as several frames is worth as many."""
        sure = halved(confidence)
        seen, estimates = (
            torch.stack([self.pack(one) for one in each.unbind(1)], 1) for each in (noisy, coarse)
        )
        return Neighbours(seen, estimates, sure, sure.clamp_min(1))


def halved(maps: Tensor) -> Tensor:
    """Maps (B, N, 1, H, W) as means over cells."""
    return torch.stack([functional.avg_pool2d(one, CELL) for one in maps.unbind(1)], 1)


def doubled(maps: Tensor) -> Tensor:
    """Maps (B, 1, h, w) of cells for every pixel."""
    return functional.interpolate(maps, scale_factor=float(CELL))


class _Coarse(_OnPictures):
    def forward(self, noisy: Tensor, level: Tensor) -> Tensor:
        return self.unpack(self.network(self.layout, self.pack(noisy), self.told(level)))


class _BlindAnchor(_OnPictures):
    def forward(
        self, noisy: Tensor, coarse: Tensor, confidence: Tensor, level: Tensor
    ) -> tuple[Tensor, ...]:
        seen = self.seen(noisy, coarse, confidence)
        made: Anchor = self.network(self.layout, seen, self.told(level))
        pictures = self.unpack(made.strict), self.unpack(made.correction)
        weights = torch.stack([doubled(one) for one in made.weights.unbind(1)], 1)
        return *pictures, weights, doubled(made.spread)


class _Refiner(_OnPictures):
    def forward(
        self,
        noisy: Tensor,
        coarse: Tensor,
        level: Tensor,
        correction: Tensor,
        weights: Tensor,
        spread: Tensor,
        neighbours_noisy: Tensor,
        neighbours_coarse: Tensor,
        confidence: Tensor,
    ) -> Tensor:
        own = CentreFrame(self.pack(noisy), self.pack(coarse))
        seen = self.seen(neighbours_noisy, neighbours_coarse, confidence)
        small = functional.avg_pool2d(spread, CELL)
        anchor = Anchor(own.coarse, self.pack(correction), halved(weights), small)
        return self.unpack(self.network(self.layout, own, self.told(level), anchor, seen))


def graphs(networks: Networks, space: Space) -> tuple[Graph, ...]:
    """The three networks in the order in which they run, on RGB, gray or mosaics' pictures."""
    layout = LAYOUTS[PACKED[space]]
    neighbours = ("neighbours_noisy", "neighbours_coarse", "confidence")
    found = ("correction", "weights", "spread")
    inputs = {
        "coarse": ("noisy", "level"),
        "anchor": (*neighbours, "level"),
        "refiner": ("noisy", "coarse", "level", *found, *neighbours),
    }
    outputs = {"coarse": ("coarse",), "anchor": ("strict", *found), "refiner": ("refined",)}
    return tuple(
        Graph(name, kind(network, layout), inputs[name], outputs[name], CELL * network.reach)
        for name, kind, network in (
            ("coarse", _Coarse, networks.coarse),
            ("anchor", _BlindAnchor, networks.anchor),
            ("refiner", _Refiner, networks.refiner),
        )
    )
