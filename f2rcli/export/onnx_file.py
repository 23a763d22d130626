"""A graph as the bytes of an ONNX file, and its comparison with torch."""

import importlib
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from f2rcli.errors import OutputError
from f2rcli.export.graphs import DYNAMIC, Graph, sizes
from f2rcli.weights import Header

EXTRA = "pip install 'f2rcli[export]'"
OPSET = 17  # old enough for every runtime of today, and nothing here needs a newer one
TOLERANCE = 1e-4  # of the largest difference from torch; one fortieth of an 8-bit code
TRACED = 2, 4, 6  # pictures, rows and columns; the latter, here and below, in units of the multiple
CHECKED = (1, 3, 5), (2, 6, 4)  # sizes that it was not traced with


def onnx_library() -> Any:
    """The package onnx. Raises OutputError where it is not installed."""
    try:
        return importlib.import_module("onnx")
    except ImportError as error:
        raise OutputError(
            "writing ONNX needs the package onnx.", hint=f"Install it: {EXTRA}."
        ) from error


def onnx_bytes(graph: Graph, header: Header, unit: int, facts: Mapping[str, str]) -> bytes:
    """The graph as an ONNX file for pictures of any number and any size in multiples of `unit`;
    `facts` go into its metadata. Raises OutputError where onnx is not installed."""
    onnx = onnx_library()
    model = onnx.load_model_from_string(_traced(graph, header, unit))
    _fix_outputs(model, graph, header)
    onnx.helper.set_model_props(model, dict(facts))
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString()
    return data


def _fix_outputs(model: Any, graph: Graph, header: Header) -> None:
    """Write sizes that are fixed into the outputs' shapes, where torch leaves some open."""
    known = sizes(header, 0, 0, 0)
    for value, port in zip(model.graph.output, graph.outputs, strict=True):
        dimensions = value.type.tensor_type.shape.dim
        for dimension, axis, size in zip(dimensions, port.axes, port.shape(known), strict=True):
            if axis not in DYNAMIC:
                dimension.dim_value = size


def _traced(graph: Graph, header: Header, unit: int) -> bytes:
    inputs = _inputs(graph, header, unit, TRACED)
    for value in inputs:
        value.requires_grad_()  # or shortcuts of inference, such as OpenCV, would be traced
    ports = (*graph.inputs, *graph.outputs)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        path = Path(folder) / graph.file
        warnings.simplefilter("ignore")  # torch would have its other exporter taken
        torch.onnx.export(
            graph.network,
            inputs,
            path,
            input_names=[port.name for port in graph.inputs],
            output_names=[port.name for port in graph.outputs],
            dynamic_axes={
                port.name: {i: axis for i, axis in enumerate(port.axes) if axis in DYNAMIC}
                for port in ports
            },
            opset_version=OPSET,
            dynamo=False,
        )
        return path.read_bytes()


def _inputs(
    graph: Graph, header: Header, unit: int, size: tuple[int, int, int]
) -> tuple[torch.Tensor, ...]:
    pictures, rows, columns = size
    known = sizes(header, pictures, rows * unit, columns * unit)
    generator = torch.Generator().manual_seed(0)
    return tuple(port.sample(known, generator) for port in graph.inputs)


def runtime_version() -> str | None:
    """The version of onnxruntime; None if it is not installed."""
    try:
        return str(importlib.import_module("onnxruntime").__version__)
    except ImportError:
        return None


def difference(data: bytes, graph: Graph, header: Header, unit: int) -> float:
    """The largest difference of onnxruntime from torch on random inputs of two sizes. Raises
    OutputError above TOLERANCE, ImportError without onnxruntime."""
    runtime = importlib.import_module("onnxruntime")
    session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
    largest = 0.0
    for size in CHECKED:
        inputs = _inputs(graph, header, unit, size)
        feed = {p.name: value.numpy() for p, value in zip(graph.inputs, inputs, strict=True)}
        results = session.run([port.name for port in graph.outputs], feed)
        for expected, result in zip(graph.run(*inputs), results, strict=True):
            apart = (torch.from_numpy(result) - expected).abs().max()
            largest = max(largest, float(apart))
    if not largest <= TOLERANCE:  # NaN is no small difference
        raise OutputError(
            f"{graph.file}: differs from torch by {largest:.2g}, more than {TOLERANCE:g}.",
            hint="Try another release of torch, onnx or onnxruntime (constraints.txt).",
        )
    return largest
