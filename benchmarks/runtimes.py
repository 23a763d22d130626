"""F2R's exported graphs in OpenVINO beside torch: CPU time and error, one thread.

    pip install openvino onnx
    python benchmarks/runtimes.py [WEIGHTS] [--size 640x360] [--precision bf16] [--rounds 8]

Both run in turn on the same random pictures, and the fastest round counts: other programs only ever
make it slower. The error is the root mean square difference from torch in fp32, in 8-bit codes.
Compiling is timed once, for one size of picture. WEIGHTS: a bundled name or a file.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from f2rcli import weights
from f2rcli.engine.device import autocast, use_threads
from f2rcli.export.graphs import Graph, graphs, multiple, sizes
from f2rcli.export.onnx_file import onnx_bytes
from f2rcli.frames import Space
from f2rcli.header import Header
from f2rcli.methods.f2r import F2RNetworks
from f2rcli.models.layers import channels_last
from f2rcli.system.memory import keep_memory

TYPES = {"bf16": "bf16", "fp32": "f32"}  # in OpenVINO's words


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", nargs="?", default=weights.choose("f2r", Space.RGB))
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--precision", choices=TYPES, default="bf16")
    parser.add_argument("--rounds", type=int, default=8)
    arguments = parser.parse_args()
    keep_memory()
    use_threads(1)
    chosen = weights.load(arguments.weights)
    header = chosen.header
    networks = chosen.network(lambda: F2RNetworks(header.channels, header.config)).eval()
    channels_last(networks)
    width, height = map(int, arguments.size.split("x"))
    print("| graph | torch, CPU ms | OpenVINO | compiling, s | error of torch | of OpenVINO |")
    print("|---|---|---|---|---|---|")
    for graph in graphs(networks):
        print(row(graph, header, multiple(networks), (height, width), arguments), flush=True)


def row(
    graph: Graph, header: Header, unit: int, size: tuple[int, int], arguments: argparse.Namespace
) -> str:
    """One graph's line of the table."""
    known = sizes(header, 1, *size)
    generator = torch.Generator().manual_seed(0)
    inputs = [port.sample(known, generator) for port in graph.inputs]
    exact = graph.run(*inputs)[0]
    started = time.process_time()
    compiled = compile_graph(onnx_bytes(graph, header, unit, {}), inputs, arguments.precision)
    compiling = time.process_time() - started

    def by_torch() -> Tensor:
        with autocast(torch.device("cpu"), arguments.precision):
            return graph.run(*inputs)[0].float()

    ways: dict[str, Callable[[], Tensor]] = {"torch": by_torch, "openvino": compiled}
    best = dict.fromkeys(ways, float("inf"))
    errors = {}
    for _ in range(arguments.rounds):  # in turns, so that a slow minute slows both
        for name, way in ways.items():
            started = time.process_time()
            found = way()
            best[name] = min(best[name], 1000 * (time.process_time() - started))
            errors[name] = 255 * float((found - exact).square().mean().sqrt())
    return (
        f"| {graph.name} | {best['torch']:.1f} | {best['openvino']:.1f} | {compiling:.1f} "
        f"| {errors['torch']:.3f} | {errors['openvino']:.3f} |"
    )


def compile_graph(data: bytes, inputs: list[Tensor], precision: str) -> Callable[[], Tensor]:
    """The graph by OpenVINO, for inputs of these shapes: what runs it on them."""
    import openvino

    core: Any = openvino.Core()
    model = core.read_model(data)
    arrays = [value.numpy() for value in inputs]
    model.reshape({p.get_any_name(): a.shape for p, a in zip(model.inputs, arrays, strict=True)})
    chosen = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    chosen["INFERENCE_PRECISION_HINT"] = TYPES[precision]  # type: ignore[assignment]
    request = core.compile_model(model, "CPU", chosen).create_infer_request()

    def run() -> Tensor:
        request.infer(arrays, share_inputs=True)
        return torch.from_numpy(request.get_output_tensor(0).data)

    return run


if __name__ == "__main__":
    main()
