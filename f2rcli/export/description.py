"""graph.json: all that a program must know to use the graphs without f2r.

description.json beside this module has what never changes; null stands for what is filled in here.
"""

import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from f2rcli import __version__
from f2rcli.export.graphs import DYNAMIC, Graph, Port, sizes
from f2rcli.export.onnx_file import OPSET, TOLERANCE
from f2rcli.frames import Space
from f2rcli.models.placing import MISMATCH_ALLOWED, MISMATCH_FLOOR
from f2rcli.noise.stabilising import PEDESTAL
from f2rcli.weights import Weights


def description(
    weights: Weights,
    graphs: Mapping[Graph, bytes],
    unit: int,
    checked: Mapping[str, Any] | None,
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
