"""Where networks run: the device, the precision, threads, and tiles of large pictures.

A network runs on a picture of any size, padded to its stride. Networks here look no further than
their `reach`, have no global statistics, and tiles are cut on their stride: a tile with `reach`
pixels around it gives the very numbers the whole picture gives.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Any, ClassVar, NamedTuple

import cv2
import torch
from torch import Tensor, nn

from f2rcli.engine.settings import SMALLEST_TILE
from f2rcli.errors import DeviceError
from f2rcli.models.layers import leaves, mapped, padded
from f2rcli.models.recorded import Graphs, recording
from f2rcli.system import CancelCheck, memory, never_cancelled
from f2rcli.units import count

LARGE = 1_000_000  # pixels: memory of smaller frames is no burden
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(wish: str) -> torch.device:
    """`auto`, `cpu`, `cuda`, `cuda:1`, `mps` -> a device that works here, or DeviceError."""
    if wish == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, _, number = wish.partition(":")
    there = torch.cuda.device_count() if kind == "cuda" else 0
    if kind == "cuda" and int(number or 0) >= there:
        raise DeviceError(
            f"device={wish!r}: this machine offers {count(there, 'CUDA device')}.",
            hint="Pass device='auto', or install a CUDA build of torch.",
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("device='mps': not available here.", hint="Pass device='auto'.")
    return torch.device(wish)


def choose_precision(wish: str, device: torch.device, pixels: int = 0) -> str:
    """`auto` -> the fastest without visible loss for so many pixels. Raises DeviceError."""
    on_cpu = device.type == "cpu"
    if wish == "fp16" and on_cpu:
        raise DeviceError("precision='fp16': slower than fp32 on CPUs.", hint="Pass bf16 or fp32.")
    if wish != "auto":
        return wish
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    return "bf16" if on_cpu and bf16_serves(pixels) else "fp32"


def bf16_serves(pixels: int) -> bool:
    """Does this processor multiply bf16 faster than float32, or is a picture so large that half
    the memory is worth a tenth more time?

    Matrix units do. The vectors of Intel's processors since Sapphire Rapids, which have avx512_fp16
    too, are half as fast as in float32 (43 against 77 GMAC/s): they count where a virtual machine
    hides the units. Other vectors, not measured, are taken at their word; emulation is slower.
    """
    if getattr(torch.cpu, "_is_amx_tile_supported", bool)():
        return True
    known: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    vectors = bool(getattr(torch.cpu, "_is_avx512_bf16_supported", bool)())
    return vectors and (pixels >= LARGE or not known.get("avx512_fp16"))


@contextmanager
def autocast(device: torch.device, precision: str) -> Iterator[None]:
    """Convolutions in `precision`, everything else in float32."""
    kind = DTYPES[precision]
    with nullcontext() if kind is torch.float32 else torch.autocast(device.type, kind):
        yield


def use_threads(count: int) -> None:
    """Let this thread's torch, and OpenCV in all of them, work on so many threads from now on."""
    torch.set_num_threads(count)
    cv2.setNumThreads(count)


class _Lent:
    """The numbers of threads that callers had, while streams have theirs."""

    lock = Lock()
    users = 0  # streams that work at this moment, in any thread
    before = 1, 1  # torch's and OpenCV's, when the first of them began
    counts: ClassVar[set[int]] = set()  # that these were given


@contextmanager
def lent_threads(count: int) -> Iterator[None]:
    """So many threads for torch and OpenCV, and the caller's own number afterwards: torch's in each
    thread, OpenCV's in the process, once the last of several streams rests."""
    own = _lend(count)
    try:
        yield
    finally:
        _rest(own)


@contextmanager
def threads_given_back(own: int, count: int) -> Iterator[None]:
    """Within `lent_threads`, the caller's numbers for a while; own: torch's; count: lent again."""
    _rest(own)
    try:
        yield
    finally:
        _lend(count)


def _lend(count: int) -> int:
    """Returns torch's number of threads for the calling thread before."""
    with _Lent.lock:
        own = torch.get_num_threads()
        if not _Lent.users:
            _Lent.before, _Lent.counts = (own, cv2.getNumThreads()), set()
        elif own in _Lent.counts:  # a thread that has begun meanwhile
            own = _Lent.before[0]
        _Lent.users += 1
        _Lent.counts.add(count)
        use_threads(count)
        return own


def _rest(own: int) -> None:
    with _Lent.lock:
        _Lent.users -= 1
        torch.set_num_threads(own)
        if not _Lent.users:
            cv2.setNumThreads(_Lent.before[1])


def memory_of(device: torch.device) -> int:
    """Bytes of memory a device has in all; of a GPU, those that are free now."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return memory()


MEMORY_SHARE = 0.25  # of the device's memory that activations may take under `auto`
DEFAULT_TILE = 1024  # pixels per side beyond that


def choose_tile(wish: str, height: int, width: int, memory: int, per_pixel: int) -> int | None:
    """Pixels per side of a tile, a multiple of 8; None to run whole pictures.

    wish: `auto` (whole while activations, `per_pixel` bytes each, fit into a share of `memory`
    bytes), `off`, or a number, which is rounded down.
    """
    if wish == "off":
        return None
    if wish == "auto":
        fits = per_pixel * height * width <= MEMORY_SHARE * memory
        return None if fits else DEFAULT_TILE
    tile = int(wish) // 8 * 8
    return None if tile >= max(height, width) else tile


@dataclass
class Runner:
    """Runs networks on one device, in one precision, whole or in tiles."""

    device: torch.device
    precision: str
    tile: int | None  # pixels per side; None: whole pictures
    graphs: Graphs = field(default_factory=Graphs)
    check: CancelCheck = never_cancelled  # before every pass of a network
    smaller: Callable[[int], None] = lambda tile: None  # told of tiles that memory has come to

    def __call__(self, network: nn.Module, *inputs: Any) -> Any:
        """inputs: tensors (..., H, W) or tuples of them, with what else a network is given, which
        is the same for a stream -> its outputs, in float32.

        A GPU whose memory others have taken meanwhile gives up recordings, then gets ever smaller
        tiles, for as long as this lives. Raises torch.OutOfMemoryError if the smallest do not fit.
        """
        if self.tile is not None:
            return self._fitting(network, *inputs)
        name = "network", id(network), self.precision
        return self.graphs(name, partial(self._fitting, network), *inputs)

    def _fitting(self, network: nn.Module, *inputs: Any) -> Any:
        height, width = next(leaves(inputs)).shape[-2:]
        while True:
            try:
                return self._run(network, inputs, height, width)
            except torch.OutOfMemoryError:
                if recording():
                    raise
                if self.graphs.drop():
                    continue
                smaller = min(self.tile or 2 * DEFAULT_TILE, max(height, width)) // 2
                if smaller < SMALLEST_TILE:
                    raise
                self.tile = smaller // 8 * 8
                self.smaller(self.tile)
            torch.cuda.empty_cache()

    def _run(self, network: nn.Module, inputs: Any, height: int, width: int) -> Any:
        with torch.inference_mode(), autocast(self.device, self.precision):
            pixels = int(getattr(network, "cell", 1))  # of a picture, along a side of what it sees
            if self.tile is None or self.tile >= pixels * max(height, width):
                self.check()
                return mapped(padded(network, *inputs), Tensor.float)
            return self._tiled(network, inputs, height, width, self.tile // pixels)

    def _tiled(self, network: nn.Module, inputs: Any, height: int, width: int, tile: int) -> Any:
        stride, reach = int(getattr(network, "aligned", network.stride)), int(network.reach)  # type: ignore[arg-type]  # plain attributes of our networks
        reach = -(-reach // stride) * stride
        side = max(tile // stride, 1) * stride
        high, wide = (even(size, side, stride) for size in (height, width))
        whole: list[Tensor] = []
        for rows in spans(height, high, reach):
            for columns in spans(width, wide, reach):
                self.check()
                out = padded(network, *mapped(inputs, lambda x: _cut(x, rows, columns, width)))  # noqa: B023  # used at once
                parts = list(leaves(out))
                ratios = [(columns.read.stop - columns.read.start) // p.shape[-1] for p in parts]
                if not whole:
                    whole = [
                        p.new_empty((*p.shape[:-2], height // r, width // r), dtype=torch.float32)
                        for p, r in zip(parts, ratios, strict=True)
                    ]
                for full, part, r in zip(whole, parts, ratios, strict=True):
                    keep = _coarser(rows.keep, r), _coarser(columns.keep, r)
                    inner = _coarser(rows.inner, r), _coarser(columns.inner, r)
                    full[..., *keep] = part[..., *inner]
        supply = iter(whole)
        return mapped(out, lambda _: next(supply))


class Span(NamedTuple):
    """A part of one side of a picture."""

    read: slice  # of the picture, with reach on either side
    keep: slice  # of the picture, without
    inner: slice  # of what comes out: where `keep` lies in it


def spans(size: int, part: int, reach: int) -> Iterator[Span]:
    """A side of `size` pixels in parts, the last of which may be smaller."""
    for start in range(0, size, part):
        stop = min(start + part, size)
        low, high = max(start - reach, 0), min(stop + reach, size)
        yield Span(slice(low, high), slice(start, stop), slice(start - low, stop - low))


def even(size: int, most: int, stride: int) -> int:
    """The size of parts, a multiple of the stride, of which as few as of `most` pixels cover a
    picture's side, all of much the same size: the largest takes the least memory."""
    count = -(-size // most)
    return -(-size // (count * stride)) * stride


def _cut(x: Tensor, rows: Span, columns: Span, width: int) -> Tensor:
    """The part of an input that a tile reads; some are on a coarser grid than a picture's width."""
    ratio = width // x.shape[-1]
    return x[..., _coarser(rows.read, ratio), _coarser(columns.read, ratio)]


def _coarser(part: slice, ratio: int) -> slice:
    return slice(part.start // ratio, part.stop // ratio)
