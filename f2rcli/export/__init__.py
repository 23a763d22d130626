"""F2R's three networks as ONNX files, for programs without torch: tensors with names go in, tensors
with names come out, in a folder that is filled at once or not at all.

What a program needs to know of the weights is in every file's metadata (`facts`); how the three
are used is in docs/python.md.
"""

import importlib
import inspect
import tempfile
import warnings
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from f2rcli import weights
from f2rcli.errors import OutputError, WeightsError
from f2rcli.frames import Family
from f2rcli.io.files import PartFolder, check_folder
from f2rcli.methods.f2r import F2R
from f2rcli.models import planar
from f2rcli.models.placing import MISMATCH_ALLOWED, MISMATCH_FLOOR
from f2rcli.planes import LAYOUTS, ROTATION, Layout
from f2rcli.weights import Weights

OPSET = 17  # old enough for every runtime of today, and nothing here needs a newer one
PACKED = {Family.RGB: "rgb", Family.GRAY: "gray", Family.BAYER: "mosaic"}
PLANES = {"rgb": "R G B", "gray": "Y", "mosaic": "R G1 B G2"}  # of pictures, in order
DYNAMIC = "BHW"  # axes of any size; the others are fixed when a graph is made


# Axes of every tensor, float32: B pictures, N neighbours, C channels, H rows, W columns; 1: one.
AXES = {
    "noisy": "BCHW", "level": "BCHW", "coarse": "BCHW", "neighbours_noisy": "BNCHW",
    "neighbours_coarse": "BNCHW", "confidence": "BN1HW", "strict": "BCHW", "correction": "BCHW",
    "weights": "BN1HW", "spread": "B1HW", "refined": "BCHW",
}  # fmt: skip


class _OnPictures(nn.Module):
    """One of the networks on pictures (B, C, H, W) of one layout: packed and unpacked within. What
    goes in has the names of `forward`."""

    file: ClassVar[str]
    outputs: ClassVar[tuple[str, ...]]
    rotation: Tensor

    def __init__(self, network: planar.PlanarNet, layout: Layout) -> None:
        super().__init__()
        self.network = network
        self.layout = layout
        self.register_buffer("rotation", torch.from_numpy(ROTATION).float(), persistent=False)

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(inspect.signature(self.forward).parameters)

    def pack(self, pictures: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 4 C, H/2, W/2)."""
        if self.layout.rotated:
            pictures = torch.einsum("pc,bchw->bphw", self.rotation, pictures)
        return functional.pixel_unshuffle(pictures, planar.CELL)

    def unpack(self, cells: Tensor) -> Tensor:
        """(B, 4 C, H/2, W/2) -> (B, C, H, W)."""
        flat = functional.pixel_shuffle(cells, planar.CELL)
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

    def seen(self, noisy: Tensor, coarse: Tensor, confidence: Tensor) -> planar.Neighbours:
        """Aligned neighbours; what is trusted as several frames is worth as many."""
        sure = halved(confidence)
        seen, estimates = (
            torch.stack([self.pack(one) for one in each.unbind(1)], 1) for each in (noisy, coarse)
        )
        return planar.Neighbours(seen, estimates, sure, sure.clamp_min(1))


def halved(maps: Tensor) -> Tensor:
    """Maps (B, N, 1, H, W) as means over cells."""
    return torch.stack([functional.avg_pool2d(one, planar.CELL) for one in maps.unbind(1)], 1)


def doubled(maps: Tensor) -> Tensor:
    """Maps (B, 1, h, w) of cells for every pixel."""
    return functional.interpolate(maps, scale_factor=float(planar.CELL))


class _Coarse(_OnPictures):
    file, outputs = "coarse.onnx", ("coarse",)

    def forward(self, noisy: Tensor, level: Tensor) -> Tensor:
        return self.unpack(self.network(self.layout, self.pack(noisy), self.told(level)))


class _BlindAnchor(_OnPictures):
    file, outputs = "anchor.onnx", ("strict", "correction", "weights", "spread")

    def forward(
        self, neighbours_noisy: Tensor, neighbours_coarse: Tensor, confidence: Tensor, level: Tensor
    ) -> tuple[Tensor, ...]:
        seen = self.seen(neighbours_noisy, neighbours_coarse, confidence)
        made: planar.Anchor = self.network(self.layout, seen, self.told(level))
        pictures = self.unpack(made.strict), self.unpack(made.correction)
        weights = torch.stack([doubled(one) for one in made.weights.unbind(1)], 1)
        return *pictures, weights, doubled(made.spread)


class _Refiner(_OnPictures):
    file, outputs = "refiner.onnx", ("refined",)

    def forward(
        self, noisy: Tensor, coarse: Tensor, level: Tensor, correction: Tensor, weights: Tensor,
        spread: Tensor, neighbours_noisy: Tensor, neighbours_coarse: Tensor, confidence: Tensor,
    ) -> Tensor:  # fmt: skip
        own = planar.CentreFrame(self.pack(noisy), self.pack(coarse))
        seen = self.seen(neighbours_noisy, neighbours_coarse, confidence)
        small = functional.avg_pool2d(spread, planar.CELL)
        anchor = planar.Anchor(own.coarse, self.pack(correction), halved(weights), small)
        return self.unpack(self.network(self.layout, own, self.told(level), anchor, seen))


NAMES = _Coarse.file, _BlindAnchor.file, _Refiner.file  # in the order in which they run


# --- Files ----------------------------------------------------------------------------------------


def export_networks(name_or_path: str, folder: Path, *, overwrite: bool = False) -> int:
    """Write the graphs of F2R's weights into a folder: all of them, or none. Returns the size in
    bytes. Raises WeightsError for weights of another method, OutputError where the files cannot be
    written or onnx is missing.
    """
    check_folder(folder, [], overwrite=overwrite)
    try:
        onnx: Any = importlib.import_module("onnx")
    except ImportError as error:
        hint = "Install it: pip install onnx."
        raise OutputError("writing ONNX needs the package onnx.", hint=hint) from error
    chosen = weights.load(name_or_path)
    networks, header = _networks(chosen), chosen.header
    unit = planar.CELL * networks.stride  # pixels that height and width must be a multiple of
    layout = LAYOUTS[PACKED[header.space]]
    graphs: list[_OnPictures] = [
        _Coarse(networks.coarse, layout), _BlindAnchor(networks.anchor, layout),
        _Refiner(networks.refiner, layout),
    ]  # fmt: skip
    made = {graph.file: onnx_bytes(onnx, graph, chosen, unit) for graph in graphs}
    part = PartFolder(folder, overwrite=overwrite)
    try:
        for name, data in made.items():
            part.add(name, data)
        return part.publish()
    finally:
        part.discard()


def _networks(chosen: Weights) -> planar.Networks:
    header = chosen.header
    if header.method != F2R.name:
        others = (name for name, entry in weights.manifest().items() if entry["method"] == F2R.name)
        what = f"{chosen.name}: weights for method {header.method}; only f2r's are exported."
        raise WeightsError(what, hint=f"Choose from {', '.join(others)}.")
    layouts = header.config.get("layouts", [])
    if PACKED[header.space] not in layouts:
        own = f"learnt from {', '.join(layouts) or 'an older layout'} alone"
        what = f"{chosen.name}: {own}; an exported network takes RGB, gray or a mosaic."
        raise WeightsError(what, hint="Choose f2r-full, or train on footage of RGB.")
    return chosen.network(lambda: planar.Networks(header.config)).eval()


def facts(chosen: Weights, graph: _OnPictures, unit: int) -> dict[str, str]:
    """The metadata of a graph's file."""
    header = chosen.header
    return {
        "f2r_weights": chosen.name,
        "f2r_weights_sha256": chosen.sha256,
        "f2r_planes": PLANES[graph.layout.name],
        "f2r_neighbours": str(header.length - 1),
        "f2r_multiple": str(unit),
        "f2r_reach": str(planar.CELL * graph.network.reach),
        "f2r_mismatch_allowed": f"{MISMATCH_ALLOWED:g}",
        "f2r_mismatch_floor": f"{MISMATCH_FLOOR:g}",
        "f2r_estimate": header.estimate.value,
    }


def onnx_bytes(onnx: Any, graph: _OnPictures, chosen: Weights, unit: int) -> bytes:
    """The graph as an ONNX file for pictures of any number and any size in multiples of `unit`."""
    neighbours, channels = chosen.header.length - 1, chosen.header.channels
    sizes = {"B": 2, "H": 4 * unit, "W": 6 * unit, "N": neighbours, "C": channels, "1": 1}
    generator = torch.Generator().manual_seed(0)
    shapes = ([sizes[axis] for axis in AXES[name]] for name in graph.inputs)
    inputs = tuple(torch.rand(shape, generator=generator) for shape in shapes)
    for value in inputs:
        value.requires_grad_()  # or shortcuts of inference, such as OpenCV, would be traced
    names = (*graph.inputs, *graph.outputs)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        path = Path(folder) / graph.file
        warnings.simplefilter("ignore")  # torch would have its other exporter taken
        torch.onnx.export(
            graph, inputs, path,
            input_names=list(graph.inputs), output_names=list(graph.outputs),
            dynamic_axes={
                name: {i: axis for i, axis in enumerate(AXES[name]) if axis in DYNAMIC}
                for name in names
            },
            opset_version=OPSET, dynamo=False,
        )  # fmt: skip
        model = onnx.load_model(path)
    onnx.helper.set_model_props(model, facts(chosen, graph, unit))
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()
