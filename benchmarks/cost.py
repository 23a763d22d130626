"""What the networks cost: arithmetic, parameters and memory of every part, and flow in time.
The price of the residual contract beside them.

    python benchmarks/cost.py [WEIGHTS] [--lengths 3 5 7] [--size 640x352]
        [--contract-size 320x192]

GMAC are 1e9 multiply-accumulates of convolutions, counted by torch's own counter on real forward
passes and divided by the megapixels of output; element-wise work (weighted means, shuffles) is not
in them. Bytes are the most that is alive at once in one pass, inputs left out, per pixel of output.
Flow and alignment run on the CPU without multiply-accumulates worth counting: their cost is CPU
time on one thread, which depends on the machine: compare rows with each other. The contract is
priced as a ratio of CPU times: a whole stream with it over the same one without. WEIGHTS: a bundled
name or a file.
"""

import argparse
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from f2rcli import weights, yuv
from f2rcli.engine.stream import EngineSettings, denoise_stream, load_engine
from f2rcli.frames import ClipInfo, Family, Frame, Matrix, Picture, PlaneLayout, Space
from f2rcli.methods.flows import FramePair
from f2rcli.methods.rgb_f2r import F2R, F2RNetworks
from f2rcli.models.convolutions import fused
from f2rcli.models.fusion import Aligned
from f2rcli.models.layers import leaves
from f2rcli.noise.model import NoiseModel
from f2rcli.window import Window, windows

CONTRACT_BAR = 0.06  # of a frame's time, the most the contract may add
CONTRACT_FRAMES = 12  # of a stream that is timed
CONTRACT_ROUNDS = 3  # of which the fastest counts: other programs only ever make it slower
SIDE = 128  # pixels of the square pictures that are counted: cost per pixel does not depend on it


class Cost(NamedTuple):
    """Of one forward pass, per pixel of output where it is not a total."""

    macs: float  # per pixel; 1000 of them are one GMAC per megapixel
    live_bytes: float  # per pixel, the most at once
    parameters: int

    @property
    def gmac_per_mpx(self) -> float:
        """GMAC per megapixel of output."""
        return self.macs / 1000


def counter() -> FlopCounterMode:
    """Torch's counter, which also knows oneDNN's convolutions with what follows them."""
    ops = torch.ops.mkldnn
    known = {ops._convolution_pointwise: _fused_flops, ops._convolution_pointwise_: _sum_flops}
    return FlopCounterMode(display=False, custom_mapping=known)


def _fused_flops(x: Any, *shapes: Any, out_shape: Any = None, **_: Any) -> int:
    """x, a picture to be added if there is one, weights, bias; see models/convolutions/fused.py."""
    weight = shapes[1] if shapes[1] is not None and len(shapes[1]) == 4 else shapes[0]
    return conv_flop_count(x, weight, out_shape)


def _sum_flops(into: Any, x: Any, weight: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    """Of a convolution whose result is added to what is there."""
    return conv_flop_count(x, weight, out_shape)


class _Alive(TorchDispatchMode):
    """Counts the bytes of every storage that comes into being, until it is freed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        result = func(*args, **(kwargs or {}))
        for tensor in leaves(result if isinstance(result, tuple) else (result,)):
            if not tensor.is_mkldnn:  # packed weights, which have no storage
                self._watch(tensor.untyped_storage())
        return result

    def _watch(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def cost(network: nn.Module, *inputs: object, pixels: int) -> Cost:
    """Run the network once and count. `pixels` is what the result is divided by."""
    fused.works(torch.float32)  # tries itself once, which is not to be counted
    with torch.no_grad():
        with counter() as counted:
            network(*inputs)
        with _Alive() as alive:
            network(*inputs)
    parameters = sum(p.numel() for p in network.parameters())
    return Cost(counted.get_total_flops() / 2 / pixels, alive.most / pixels, parameters)


def coarse_cost(network: nn.Module, channels: int) -> Cost:
    """Of a coarse denoiser, per frame."""
    picture = torch.zeros(1, channels, SIDE, SIDE)
    return cost(network, picture, picture, pixels=SIDE**2)


def fusion_costs(networks: F2RNetworks, channels: int, neighbours: int) -> tuple[Cost, Cost]:
    """Of the anchor and of the refiner, per frame, with so many neighbours."""
    generator = torch.Generator().manual_seed(0)
    picture = torch.rand(1, channels, SIDE, SIDE, generator=generator)
    several = torch.rand(1, neighbours, channels, SIDE, SIDE, generator=generator)
    aligned = Aligned(several, several, torch.ones(1, neighbours, 1, SIDE, SIDE))
    with torch.no_grad():
        anchor = networks.anchor(aligned)
    first = cost(networks.anchor, aligned, pixels=SIDE**2)
    level = torch.full_like(picture, 0.1)
    rest = (picture, picture, level, anchor, aligned)
    return first, cost(networks.refiner, *rest, pixels=SIDE**2)


@dataclass(frozen=True, slots=True)
class Budget:
    """GMAC per megapixel of one output frame."""

    coarse: Cost
    anchor: Cost
    refiner: Cost

    @property
    def total(self) -> float:
        return sum(part.gmac_per_mpx for part in (self.coarse, self.anchor, self.refiner))


def budget(networks: F2RNetworks, channels: int, length: int) -> Budget:
    """What one output frame costs with windows of `length` frames, the coarse frame made once."""
    return Budget(
        coarse_cost(networks.coarse, channels), *fusion_costs(networks, channels, length - 1)
    )


class Walk(NamedTuple):
    """What a stream does per frame in its middle: every frame new, every window full."""

    gmac_per_mpx: float
    flows: float  # estimates
    flow_ms: float  # of CPU time, for all of them
    align_ms: float  # the same for warping and rating the neighbours, flows included


def walk(method: F2R, width: int, height: int, frames: int = 4) -> Walk:
    """Stream synthetic frames through a method and count what its steady state does."""
    spent = {"flow": 0.0, "align": 0.0}
    searched: list[FramePair] = []
    found = method.flows._found

    def search(pairs: Sequence[FramePair], starts: Sequence[Any]) -> list[Any]:
        searched.extend(pairs)
        return found(pairs, starts)

    method.flows._found = _timed(search, spent, "flow")  # type: ignore[method-assign]
    method.align = _timed(method.align, spent, "align")  # type: ignore[method-assign]
    noise = NoiseModel.gaussian(0.1, 3)
    inputs = (method.prepare(i, p, noise) for i, p in enumerate(_drifting(width, height)))
    steady: Iterator[Window[Any]] = windows(inputs, method.length)
    for _ in range(method.length):  # the first windows share their frames
        method.restore(next(steady), noise)
    searched.clear()
    spent.update(flow=0.0, align=0.0)
    with counter() as counted:
        for _ in range(frames):
            method.restore(next(steady), noise)
    return Walk(
        counted.get_total_flops() / 2 / (frames * width * height) / 1000,
        len(searched) / frames,
        1000 * spent["flow"] / frames,
        1000 * spent["align"] / frames,
    )


def _timed(function: Callable[..., Any], spent: dict[str, float], name: str) -> Callable[..., Any]:
    def run(*arguments: Any, **named: Any) -> Any:
        started = time.process_time()
        result = function(*arguments, **named)
        spent[name] += time.process_time() - started
        return result

    return run


def _drifting(width: int, height: int) -> Iterator[Tensor]:
    """A textured scene that moves by a pixel per frame, under noise."""
    rng = np.random.default_rng(0)
    scene = np.kron(rng.random((height // 8 + 8, width // 8 + 8)), np.ones((8, 8))) * 0.6 + 0.2
    for index in range(64):
        view = scene[index : index + height, index : index + width]
        noisy = view + rng.normal(0, 0.1, (1, 3, height, width))
        yield torch.from_numpy(noisy.astype(np.float32))


class Price(NamedTuple):
    """CPU seconds per frame of a stream."""

    without: float
    with_contract: float

    @property
    def extra(self) -> float:
        """What the contract adds, as a share of a frame's time without it."""
        return self.with_contract / self.without - 1


def contract_price(
    settings: EngineSettings, width: int, height: int, rounds: int = CONTRACT_ROUNDS
) -> Price | None:
    """Time small streams with the residual contract and without; None where there is none yet."""
    if "contract" not in {field.name for field in fields(settings)}:
        return None
    best = {False: float("inf"), True: float("inf")}
    for _ in range(rounds):  # in turns, so that a slow minute slows both
        for contract in best:
            chosen = replace(settings, contract=contract)
            best[contract] = min(best[contract], stream_seconds(chosen, width, height))
    return Price(best[False], best[True])


VIDEO = PlaneLayout(
    family=Family.YUV, bits=8, log2_chroma=(1, 1), full_range=False, matrix=Matrix.BT709
)


def stream_seconds(settings: EngineSettings, width: int, height: int) -> float:
    """CPU seconds per frame of a stream of 8-bit Y'CbCr 4:2:0."""
    pictures = islice(_drifting(width, height), CONTRACT_FRAMES)
    frames = [_coded(picture[0].numpy(), index) for index, picture in enumerate(pictures)]
    info = ClipInfo(
        name="drifting", width=width, height=height, layout=VIDEO, frames=len(frames),
        duration=None, rate=None, time_base=frames[0].time_base,
    )  # fmt: skip
    engine = load_engine(settings, info)
    started = time.process_time()
    for _ in denoise_stream(frames, info, engine):
        pass
    return (time.process_time() - started) / len(frames)


def _coded(picture: Picture, index: int) -> Frame:
    """A frame of an RGB picture (3, H, W)."""
    planes = []
    for place, plane in enumerate(yuv.split(picture, VIDEO)):
        zero, span = yuv.code_span(VIDEO, chroma=place > 0)
        planes.append(np.clip(np.rint(zero + span * plane), 0, 255).astype(np.uint8))
    return Frame(planes=tuple(planes), layout=VIDEO, pts=index)


def plain_run(network: nn.Module, *inputs: Any) -> Any:
    """Run a network on whole pictures, without tiles; sides must be multiples of its stride."""
    with torch.no_grad():
        return network(*inputs)


def load(name: str) -> tuple[weights.Weights, F2RNetworks]:
    """Weights by name or path, and their networks."""
    chosen = weights.load(name)
    networks = F2RNetworks(chosen.header.channels, chosen.header.config)
    chosen.fill(networks)
    return chosen, networks.eval()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", nargs="?", default=weights.choose("f2r", Space.RGB))
    parser.add_argument("--lengths", nargs="+", type=int, default=[3, 5, 7])
    parser.add_argument("--size", default="640x352", help="of the frames that flow is timed on")
    parser.add_argument(
        "--contract-size", default="320x192", help="of the frames that the contract is timed on"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    chosen, networks = load(arguments.weights)
    header = chosen.header
    print(
        f"{chosen.name}: size {header.size}, {header.channels} channels, length {header.length}\n"
    )
    _print_parts(networks, header.channels, header.length)
    _print_lengths(networks, header.channels, arguments)
    _print_contract(arguments)


def _print_parts(networks: F2RNetworks, channels: int, length: int) -> None:
    whole = budget(networks, channels, length)
    wider = budget(networks, channels, length + 1)
    print("| part | GMAC/Mpx | of it per neighbour | parameters | bytes per pixel at once |")
    print("|---|---|---|---|---|")
    for name in ("coarse", "anchor", "refiner"):
        part = getattr(whole, name)
        each = getattr(wider, name).gmac_per_mpx - part.gmac_per_mpx
        print(
            f"| {name} | {part.gmac_per_mpx:.1f} | {each:.2f} | {part.parameters:,} "
            f"| {part.live_bytes:.0f} |"
        )
    parameters = sum(getattr(whole, n).parameters for n in ("coarse", "anchor", "refiner"))
    print(f"| **all, T = {length}** | **{whole.total:.1f}** | | {parameters:,} | |\n")


def _print_lengths(networks: F2RNetworks, channels: int, arguments: argparse.Namespace) -> None:
    width, height = map(int, arguments.size.split("x"))
    print(f"CPU ms per frame at {width}x{height}: flow alone, and flow, warping and rating.\n")
    print("| T | GMAC/Mpx | counted in a stream | flows per frame | flow, ms | alignment, ms |")
    print("|---|---|---|---|---|---|")
    for length in arguments.lengths:
        done = walk(F2R(networks, plain_run, length), width, height)
        total = budget(networks, channels, length).total
        print(
            f"| {length} | {total:.1f} | {done.gmac_per_mpx:.1f} | {done.flows:.1f} "
            f"| {done.flow_ms:.1f} | {done.align_ms:.1f} |",
            flush=True,
        )


def _print_contract(arguments: argparse.Namespace) -> None:
    width, height = map(int, arguments.contract_size.split("x"))
    settings = EngineSettings(weights=arguments.weights, device="cpu", threads=1)
    price = contract_price(settings, width, height)
    print(f"\nCPU ms per frame of a whole stream at {width}x{height}, the contract off and on.\n")
    print("| without | with the contract | ratio | it adds | bar |")
    print("|---|---|---|---|---|")
    print(contract_row(price))


def contract_row(price: Price | None) -> str:
    """The contract's line of the table."""
    if price is None:
        return "| | this engine has no contract | | | |"
    times = " | ".join(f"{1000 * seconds:.1f}" for seconds in price)
    word = "held" if price.extra <= CONTRACT_BAR else "missed"
    return f"| {times} | {1 + price.extra:.3f} | {price.extra:.1%} | {CONTRACT_BAR:.0%}, {word} |"


if __name__ == "__main__":
    main()
