"""The folder of an export, filled at once or not at all, and graph.json that describes its graphs.

The description never changes but for what description.json beside this module has as null.
"""

import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch

from f2rcli import __version__, weights
from f2rcli.errors import OutputError, WeightsError
from f2rcli.export.graphs import CELL, DYNAMIC, PACKED, Graph, Port, graphs, sizes
from f2rcli.export.onnx_file import (
    OPSET,
    TOLERANCE,
    difference,
    onnx_bytes,
    onnx_library,
    runtime_version,
)
from f2rcli.frames import Space
from f2rcli.io.files import PartFolder, check_target
from f2rcli.methods.f2r import F2R
from f2rcli.models.placing import MISMATCH_ALLOWED, MISMATCH_FLOOR
from f2rcli.models.planar import Networks
from f2rcli.noise.stabilising import PEDESTAL
from f2rcli.weights import Weights


def description(
    weights: Weights, graphs: Mapping[Graph, bytes], unit: int, checked: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The contents of graph.json, as JSON values.

    unit: what height and width must be a multiple of; checked: against what the files were
    compared and how close they came, None where they were not.
    """
    header, count = weights.header, weights.header.length - 1
    about: dict[str, Any] = json.loads(files(__package__).joinpath("description.json").read_text())
    about |= {"f2r": __version__, "method": header.method, "opset": OPSET}
    about["weights"] = {
        "name": weights.name,
        "sha256": weights.sha256,
        "trained_on": header.trained_on,
        "sigma_range": list(header.sigma_range),
    }
    about["alignment"]["multiple"] = unit
    about["values"]["order"] = header.order
    about["values"]["picture"] = about["values"]["picture"][header.space.value]
    about["noise_level"]["factor"] = header.level
    about["noise_level"]["sensor_values"]["pedestal"] = PEDESTAL
    if header.space is Space.RGB:
        del about["noise_level"]["sensor_values"]
    about["estimate"] = header.estimate.value
    neighbours = about["neighbours"]
    neighbours |= {"count": count, "window": neighbours["window"].format(count=count)}
    neighbours["confidence"] |= {"allowed": MISMATCH_ALLOWED, "floor": MISMATCH_FLOOR}
    fixed = sizes(header, 0, 0, 0)
    about["files"] = [_file(graph, data, fixed) for graph, data in graphs.items()]
    about["checked"] = None if checked is None else {**checked, "tolerance": TOLERANCE}
    return about


def _file(graph: Graph, data: bytes, fixed: dict[str, int]) -> dict[str, Any]:
    return {
        "name": graph.name,
        "file": graph.file,
        "sha256": hashlib.sha256(data).hexdigest(),
        "reach": graph.reach,
        "inputs": [_port(port, fixed) for port in graph.inputs],
        "outputs": [_port(port, fixed) for port in graph.outputs],
    }


def _port(port: Port, fixed: dict[str, int]) -> dict[str, Any]:
    return {
        "name": port.name,
        "shape": [
            axis if axis in DYNAMIC else size
            for axis, size in zip(port.axes, port.shape(fixed), strict=True)
        ],
        "dtype": "float32",
        "unit": port.unit,
        "range": [port.low, port.high],
        "text": port.text,
    }


# --- The folder ----------------------------------------------------------------------------------


NAMES = ("coarse.onnx", "anchor.onnx", "refiner.onnx", "graph.json")


def export(
    name_or_path: str, folder: Path, *, overwrite: bool = False
) -> tuple[int, dict[str, float] | None]:
    """Write the graphs of F2R's weights and graph.json into a folder: all of them, or none. Returns
    the size in bytes, and the largest difference of every file from torch; None: not checked.

    Each is compared with torch, on random pictures of two sizes, where onnxruntime is installed.
    Raises WeightsError for weights of another method, OutputError where the files cannot be
    written, onnx is missing, or a graph differs from torch.
    """
    _check_folder(folder, overwrite=overwrite)
    onnx_library()
    chosen = weights.load(name_or_path)
    networks = _networks(chosen)
    unit = CELL * networks.stride  # pixels that height and width must be a multiple of
    facts = {"f2r_weights": chosen.name, "f2r_weights_sha256": chosen.sha256}
    made = {
        graph: onnx_bytes(graph, chosen.header, unit, facts)
        for graph in graphs(networks, chosen.header.space)
    }
    apart, checked = None, None
    if (runtime := runtime_version()) is not None:
        apart = {one.file: difference(data, one, chosen.header, unit) for one, data in made.items()}
        versions = {"runtime": f"onnxruntime {runtime}", "reference": f"torch {torch.__version__}"}
        checked = {**versions, "largest_difference": apart}
    text = json.dumps(description(chosen, made, unit, checked), indent=1) + "\n"
    part = PartFolder(folder, overwrite=overwrite)
    try:
        for graph, data in made.items():
            part.add(graph.file, data)
        part.add("graph.json", text.encode())  # the last to move: it has the others' digests
        size = part.publish()
    finally:
        part.discard()
    return size, apart


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
