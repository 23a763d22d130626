"""Run a network on a picture of any size: padded to its stride, and in tiles where it is large.

Networks here look no further than their `reach`, have no global statistics, and tiles are cut on
their stride: a tile with `reach` pixels around it gives the very numbers the whole picture gives.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from f2rcli import sensor
from f2rcli.engine.device import autocast
from f2rcli.engine.settings import SMALLEST_TILE
from f2rcli.frames import ClipInfo
from f2rcli.models.layers import leaves, mapped, padded
from f2rcli.models.recorded import Graphs, recording
from f2rcli.system import CancelCheck, never_cancelled

ACTIVATION_BYTES = 700  # per pixel of a picture that runs in one piece, where no method says
MEMORY_SHARE = 0.25  # of the device's memory that activations may take under `auto`
DEFAULT_TILE = 1024  # pixels per side beyond that
# Axes along which pictures are turned over for an ensemble (Timofte, Rothe and Van Gool, CVPR 2016)
MIRRORED = ((), (-1,), (-2,), (-1, -2))


def choose_tile(
    wish: str, height: int, width: int, memory: int, per_pixel: int = ACTIVATION_BYTES
) -> int | None:
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


def ignored(tile: int) -> None:
    """Tell nobody."""


@dataclass
class Runner:
    """Runs networks on one device, in one precision, whole or in tiles."""

    device: torch.device
    precision: str
    tile: int | None  # pixels per side; None: whole pictures
    exact: bool = False  # fp32 for networks that see whole pictures, see `Coarse`
    ensemble: bool = False  # the mean over pictures and their mirror images, see `MIRRORED`
    graphs: Graphs = field(default_factory=Graphs)
    check: CancelCheck = never_cancelled  # before every pass of a network
    smaller: Callable[[int], None] = ignored  # told of tiles that memory has come to

    def __call__(self, network: nn.Module, *inputs: Any) -> Any:
        """inputs: tensors (..., H, W) or tuples of them -> the network's outputs, in float32.

        A GPU whose memory others have taken meanwhile gives up recordings, then gets smaller and
        smaller tiles, for as long as this lives. Raises torch.OutOfMemoryError where the smallest
        do not fit.
        """
        if self.tile is not None:
            return self._fitting(network, *inputs)
        name = "network", id(network), self.precision
        return self.graphs(name, partial(self._fitting, network), *inputs)

    def _fitting(self, network: nn.Module, *inputs: Any) -> Any:
        height, width = next(leaves(inputs)).shape[-2:]
        while True:
            try:
                if self.ensemble:
                    return self._averaged(network, inputs, height, width)
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

    def _averaged(self, network: Any, inputs: Any, height: int, width: int) -> Any:
        flipped = getattr(network, "flipped", _flipped)
        sums: list[Tensor] = []
        for axes in MIRRORED:
            out = self._run(network, flipped(inputs, axes), height, width)
            back = list(leaves(flipped(out, axes)))
            sums = [a + b for a, b in zip(sums, back, strict=True)] if sums else back
        means = (one / len(MIRRORED) for one in sums)
        return mapped(out, lambda _: next(means))

    def _run(self, network: nn.Module, inputs: Any, height: int, width: int) -> Any:
        whole = self.exact and getattr(network, "sees_pictures", False)
        precision = "fp32" if whole else self.precision
        with torch.inference_mode(), autocast(self.device, precision):
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


def _flipped(values: Any, axes: tuple[int, ...]) -> Any:
    return mapped(values, lambda x: x.flip(axes))


def _cut(x: Tensor, rows: Span, columns: Span, width: int) -> Tensor:
    """The part of an input that a tile reads; some are on a coarser grid than a picture's width."""
    ratio = width // x.shape[-1]
    return x[..., _coarser(rows.read, ratio), _coarser(columns.read, ratio)]


def _coarser(part: slice, ratio: int) -> slice:
    return slice(part.start // ratio, part.stop // ratio)


def picture_size(info: ClipInfo) -> tuple[int, int]:
    """Height and width of a clip's pictures as networks see them."""
    mosaic = info.layout.mosaic
    if mosaic is None:
        return info.height, info.width
    return sensor.packed_size(info.height, info.width, mosaic)
