"""F2R's three networks as graphs: tensors with names go in, tensors with names come out."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from f2rcli.header import Header
from f2rcli.methods.rgb_f2r import F2RNetworks
from f2rcli.models.fusion import Aligned, Anchor

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


class _BlindAnchor(nn.Module):
    """The anchor on plain tensors."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, noisy: Tensor, coarse: Tensor, confidence: Tensor) -> tuple[Tensor, ...]:
        anchor: Anchor = self.network(Aligned(noisy, coarse, confidence))
        return anchor.strict, anchor.correction, anchor.weights


class _Refiner(nn.Module):
    """The refiner on plain tensors."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        noisy: Tensor,
        coarse: Tensor,
        level: Tensor,
        correction: Tensor,
        weights: Tensor,
        neighbours_noisy: Tensor,
        neighbours_coarse: Tensor,
        confidence: Tensor,
    ) -> Tensor:
        # of the anchor the refiner sees its correction and weights alone
        anchor = Anchor(coarse, correction, weights)
        aligned = Aligned(neighbours_noisy, neighbours_coarse, confidence)
        refined: Tensor = self.network(noisy, coarse, level, anchor, aligned)
        return refined


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
REFINED = Port("refined", "BCHW", LIGHT, 0, 1, "The result: the restored centre.")


def graphs(networks: F2RNetworks) -> tuple[Graph, ...]:
    """The three networks in the order in which they run."""
    neighbours = (ALIGNED_NOISY, ALIGNED_COARSE, CONFIDENCE)
    coarse, anchor, refiner = networks.coarse, networks.anchor, networks.refiner
    return (
        Graph("coarse", coarse, (NOISY, LEVEL), (COARSE,), coarse.reach),
        Graph(
            "anchor", _BlindAnchor(anchor), neighbours, (STRICT, CORRECTION, WEIGHTS), anchor.reach
        ),
        Graph(
            "refiner",
            _Refiner(refiner),
            (NOISY, COARSE, LEVEL, CORRECTION, WEIGHTS, *neighbours),
            (REFINED,),
            refiner.reach,
        ),
    )


def multiple(networks: F2RNetworks) -> int:
    """The pixels that height and width must be a multiple of."""
    return max(networks.coarse.stride, networks.anchor.stride, networks.refiner.stride)


def sizes(header: Header, pictures: int, height: int, width: int) -> dict[str, int]:
    """The size of every axis by its letter."""
    return {
        "B": pictures, "N": header.length - 1, "C": header.channels, "H": height, "W": width,
    }  # fmt: skip
