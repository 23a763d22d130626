"""Networks as ONNX files, in a folder that is filled at once or not at all.

What a program needs to know of the weights is in every file's metadata (`facts`); how the three
are used is in docs/python.md.
"""

import importlib
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from f2rcli import weights
from f2rcli.errors import OutputError, WeightsError
from f2rcli.export.graphs import AXES, CELL, DYNAMIC, PACKED, Graph, graphs
from f2rcli.io.files import PartFolder, check_target
from f2rcli.methods.f2r import F2R
from f2rcli.models.placing import MISMATCH_ALLOWED, MISMATCH_FLOOR
from f2rcli.models.planar import Networks
from f2rcli.weights import Header, Weights

NAMES = ("coarse.onnx", "anchor.onnx", "refiner.onnx")
OPSET = 17  # old enough for every runtime of today, and nothing here needs a newer one
TRACED = 2, 4, 6  # pictures, rows and columns; the latter in units of the multiple


def export(name_or_path: str, folder: Path, *, overwrite: bool = False) -> int:
    """Write the graphs of F2R's weights into a folder: all of them, or none. Returns the size in
    bytes. Raises WeightsError for weights of another method, OutputError where the files cannot be
    written or onnx is missing.
    """
    _check_folder(folder, overwrite=overwrite)
    try:
        onnx: Any = importlib.import_module("onnx")
    except ImportError as error:
        hint = "Install it: pip install 'f2rcli[export]'."
        raise OutputError("writing ONNX needs the package onnx.", hint=hint) from error
    chosen = weights.load(name_or_path)
    networks, header = _networks(chosen), chosen.header
    unit = CELL * networks.stride  # pixels that height and width must be a multiple of
    made = {
        graph: onnx_bytes(onnx, graph, header, unit, facts(chosen, graph, unit))
        for graph in graphs(networks, header.space)
    }
    part = PartFolder(folder, overwrite=overwrite)
    try:
        for graph, data in made.items():
            part.add(graph.file, data)
        return part.publish()
    finally:
        part.discard()


def _check_folder(folder: Path, *, overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder.name}: is a file, not a folder.", hint="Name a folder with -o.")
    targets = [folder / name for name in NAMES] if folder.exists() else [folder]
    for target in targets:
        check_target(target, [], overwrite=overwrite)


def _networks(chosen: Weights) -> Networks:
    header = chosen.header
    if header.method != F2R.name:
        others = (name for name, entry in weights.manifest().items() if entry["method"] == F2R.name)
        raise WeightsError(
            f"{chosen.name}: weights for method {header.method}; only f2r's are exported.",
            hint=f"Choose from {', '.join(others)}.",
        )
    if PACKED[header.space] not in header.config.get("layouts", []):
        raise WeightsError(
            f"{chosen.name}: networks that do not see the file's planes; they are not exported.",
            hint="Choose f2r-full, or train new ones.",
        )
    return chosen.network(lambda: Networks(header.config)).eval()


def facts(chosen: Weights, graph: Graph, unit: int) -> dict[str, str]:
    """The metadata of a graph's file."""
    header = chosen.header
    return {
        "f2r_weights": chosen.name,
        "f2r_weights_sha256": chosen.sha256,
        "f2r_planes": header.order,
        "f2r_neighbours": str(header.length - 1),
        "f2r_multiple": str(unit),
        "f2r_reach": str(graph.reach),
        "f2r_level": f"{header.level:g}",
        "f2r_mismatch_allowed": f"{MISMATCH_ALLOWED:g}",
        "f2r_mismatch_floor": f"{MISMATCH_FLOOR:g}",
        "f2r_estimate": header.estimate.value,
    }


def onnx_bytes(
    onnx: Any, graph: Graph, header: Header, unit: int, known: Mapping[str, str]
) -> bytes:
    """The graph as an ONNX file for pictures of any number and any size in multiples of `unit`."""
    pictures, rows, columns = TRACED
    inputs = graph.samples(header, (pictures, rows * unit, columns * unit))
    for value in inputs:
        value.requires_grad_()  # or shortcuts of inference, such as OpenCV, would be traced
    names = (*graph.inputs, *graph.outputs)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        path = Path(folder) / graph.file
        warnings.simplefilter("ignore")  # torch would have its other exporter taken
        torch.onnx.export(
            graph.network, inputs, path,
            input_names=list(graph.inputs), output_names=list(graph.outputs),
            dynamic_axes={
                name: {i: axis for i, axis in enumerate(AXES[name]) if axis in DYNAMIC}
                for name in names
            },
            opset_version=OPSET, dynamo=False,
        )  # fmt: skip
        model = onnx.load_model(path)
    onnx.helper.set_model_props(model, dict(known))
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString()
    return data
