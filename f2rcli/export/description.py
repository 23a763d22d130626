"""graph.json: all that a program must know to use the graphs without f2r."""

import hashlib
from collections.abc import Mapping
from typing import Any

from f2rcli import __version__
from f2rcli.export.graphs import DYNAMIC, Graph, Port, sizes
from f2rcli.export.onnx_file import OPSET, TOLERANCE
from f2rcli.frames import Space
from f2rcli.methods.f2r.alignment import MISMATCH_ALLOWED, MISMATCH_FLOOR
from f2rcli.noise.stabilising import PEDESTAL
from f2rcli.weights import Weights

FORMAT = 1  # of graph.json

PICTURES = {
    Space.RGB: "R'G'B' as it is shown (gamma-coded, full range)",
    Space.GRAY: "luma as it is shown, or one channel of a sensor (see sensor_values)",
    Space.BAYER: "a Bayer mosaic as four planes of half its size, from 2x2 cells whose upper left "
    "pixel is red: R, the green beside it, B, the green beside that (see sensor_values)",
}
STEPS = (
    "coarse, once per frame: noisy and its level map",
    "flow: from the centre's coarse frame into each neighbour's, at p the shift to p + F(p); f2r "
    "finds it at half the size",
    "warp: every neighbour's noisy and coarse frame along its flow, by cubic interpolation",
    "confidence: per neighbour and pixel (see neighbours)",
    "anchor: the warped neighbours; nothing of the centre enters",
    "level map of the refiner: at the brightness of coarse + correction",
    "refiner: the centre, what the anchor gave, the neighbours; refined is the result",
)


def description(
    weights: Weights,
    graphs: Mapping[Graph, bytes],
    unit: int,
    checked: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What graph.json says, as JSON values.

    unit: what height and width must be a multiple of; checked: against what the files were
    compared and how close they came, None where they were not.
    """
    header = weights.header
    fixed = sizes(header, 0, 0, 0)
    return {
        "format": FORMAT,
        "f2r": __version__,
        "method": header.method,
        "opset": OPSET,
        "weights": {
            "name": weights.name,
            "sha256": weights.sha256,
            "trained_on": header.trained_on,
            "sigma_range": list(header.sigma_range),
        },
        "shapes": "(pictures B, neighbours, channels, rows H, columns W), some without the second; "
        "B, H and W are of any size",
        "alignment": {
            "multiple": unit,
            "padding": "H and W must be multiples: repeat the last row and column, crop the result",
            "tiles": "cut on multiples with each graph's reach around them give the whole's result",
        },
        "values": {
            "order": header.order,
            "picture": PICTURES[header.space],
            "black": 0.0,
            "white": 1.0,
            "ranges": "nominal: values a little beyond are allowed, and come out",
        },
        "noise_level": _noise_level(header.level, header.space),
        "estimate": header.estimate.value,
        "neighbours": _neighbours(header.length - 1),
        "steps": list(STEPS),
        "files": [_file(graph, data, fixed) for graph, data in graphs.items()],
        "checked": None if checked is None else {**checked, "tolerance": TOLERANCE},
    }


def _noise_level(factor: float, space: Space) -> dict[str, Any]:
    said: dict[str, Any] = {
        "unit": "standard deviation, white - black = 1: sigma in 8-bit codes / 255",
        "factor": factor,
        "white_noise": "factor * sigma at every sample",
        "by_brightness": "factor * sqrt(gain * x + read^2), x the picture's mean over 7x7 pixels, "
        "held to 0..1: of noisy for coarse, of coarse + correction for the refiner",
        "unknown": "0 everywhere: the networks judge by themselves",
    }
    if space is not Space.RGB:
        said["sensor_values"] = {
            "why": "linear sensor values reach the networks with noise of one strength: the level "
            "map is 1 / scale everywhere",
            "into": "z = (s(x) + pedestal) / scale, s(x) = 2 / gain * (sqrt(gain * (x - dark) + "
            "3/8 * gain^2 + read^2) - sqrt(3/8 * gain^2 + read^2))",
            "scale": "s(1) + pedestal, the largest of all channels",
            "pedestal": PEDESTAL,
            "back": "the exact unbiased inverse (Makitalo and Foi, IEEE TIP 2013)",
        }
    return said


def _neighbours(count: int) -> dict[str, Any]:
    return {
        "count": count,
        "order": "in time, the centre left out; the graphs take any order",
        "window": f"the {count} frames nearest to the centre in its shot, half on either side; at "
        "the shot's ends the window shifts inwards",
        "fewer": "the rest is filled with zeros, its confidence 0 everywhere; without a single "
        "neighbour the coarse frame is the result",
        "confidence": {
            "value": "flow agreement * photometric agreement",
            "flow": "1 / (1 + |F + G(p + F)|^2 / (0.25 + 0.01 * (|F|^2 + |G|^2))), G the flow "
            "back; 0 where p + F lies outside of the picture",
            "photometric": "1 / (1 + (d / (allowed * max(m, floor)))^2), d the mean over 7x7 "
            "pixels and the channels of |warped coarse - coarse centre|, m the median of d over "
            "all neighbours and pixels",
            "allowed": MISMATCH_ALLOWED,
            "floor": MISMATCH_FLOOR,
        },
        "memory": "f2r shows a running mean of all past frames in place of the oldest neighbour, "
        "with as many times its confidence as frames it is worth. To do without, show that "
        "neighbour itself: nothing else changes, and scenes that stand still keep more noise",
    }


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
