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


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of a graph, float32."""

    name: str
    axes: str  # a letter each: B pictures, N neighbours, C channels, H rows, W columns; 1 for one
    unit: str
    low: float | None  # of its values; None: no bound
    high: float | None
    text: str

    def shape(self, sizes: dict[str, int]) -> tuple[int, ...]:
        """The shape with every letter replaced by its size."""
        return tuple(1 if axis == "1" else sizes[axis] for axis in self.axes)

    def sample(self, sizes: dict[str, int], generator: torch.Generator) -> Tensor:
        """Even random values, from its lowest to its highest or 1."""
        return torch.rand(self.shape(sizes), generator=generator) * (self.high or 1.0)


@dataclass(frozen=True, slots=True)
class Graph:
    """A network with names for what goes in and comes out."""

    name: str
    network: nn.Module  # called with the inputs in order; gives a tensor, or a tuple of them
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    reach: int  # pixels from which an input can change an output

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.name}.onnx"

    def run(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Torch's outputs for the inputs."""
        with torch.inference_mode():
            outputs = self.network(*inputs)
        return outputs if isinstance(outputs, tuple) else (outputs,)


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


LIGHT = "black is 0, white is 1"
DIFFERENCE = "white - black"

NOISY = Port("noisy", "BCHW", LIGHT, 0, 1, "The frame. Values beyond black and white are allowed.")
LEVEL = Port(
    "level", "BCHW", DIFFERENCE, 0, None,
    "Standard deviation of the noise at every sample (see noise_level); 0 where it is not known.",
)  # fmt: skip
COARSE = Port("coarse", "BCHW", LIGHT, 0, 1, "The frame, restored by itself.")
ALIGNED_NOISY = Port(
    "neighbours_noisy", "BNCHW", LIGHT, 0, 1,
    "The neighbours' noisy frames on the centre's grid (see neighbours).",
)  # fmt: skip
ALIGNED_COARSE = Port(
    "neighbours_coarse", "BNCHW", LIGHT, 0, 1, "The neighbours' coarse frames on the same grid."
)
CONFIDENCE = Port(
    "confidence", "BN1HW", "frames", 0, 32,
    "How far to trust each neighbour at every pixel: 0 to 1 for a frame; what is worth several "
    "frames may have more; 0 everywhere for a neighbour that is missing.",
)  # fmt: skip
STRICT = Port("strict", "BCHW", LIGHT, 0, 1, "The centre, estimated from its neighbours alone.")
CORRECTION = Port(
    "correction", "BCHW", DIFFERENCE, None, None,
    "Added to the centre's coarse frame it gives the guided anchor.",
)  # fmt: skip
WEIGHTS = Port("weights", "BN1HW", "share", 0, 1, "Weight of each neighbour; they sum to 1 over N.")
SPREAD = Port("spread", "B1HW", DIFFERENCE, 0, None, "How far the neighbours disagree.")
REFINED = Port("refined", "BCHW", LIGHT, 0, 1, "The result: the restored centre.")


def graphs(networks: Networks, space: Space) -> tuple[Graph, ...]:
    """The three networks in the order in which they run, on RGB, gray or mosaics' pictures."""
    layout = LAYOUTS[PACKED[space]]
    neighbours = (ALIGNED_NOISY, ALIGNED_COARSE, CONFIDENCE)
    given = (CORRECTION, WEIGHTS, SPREAD)
    coarse, anchor, refiner = networks.coarse, networks.anchor, networks.refiner
    return (
        Graph("coarse", _Coarse(coarse, layout), (NOISY, LEVEL), (COARSE,), CELL * coarse.reach),
        Graph(
            "anchor", _BlindAnchor(anchor, layout), (*neighbours, LEVEL), (STRICT, *given),
            CELL * anchor.reach,
        ),
        Graph(
            "refiner", _Refiner(refiner, layout),
            (NOISY, COARSE, LEVEL, *given, *neighbours), (REFINED,), CELL * refiner.reach,
        ),
    )  # fmt: skip


def sizes(header: Header, pictures: int, height: int, width: int) -> dict[str, int]:
    """The size of every axis by its letter."""
    return {
        "B": pictures, "N": header.length - 1, "C": header.channels, "H": height, "W": width,
    }  # fmt: skip
