"""Building blocks: bias-free, no normalisation, no global pooling.

Bias-free convolutions with LeakyReLU make a network positively homogeneous, f(a y) = a f(y) for
a >= 0, so that one set of weights serves every exposure and noise level (Mohan et al., ICLR 2020).
No normalisation and no pooling over the picture: a tile must not change the answer.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from f2rcli.frames import Singles
from f2rcli.models.convolutions.fused import Kernel, applied, convolved, halved, kernel, lowered

SLOPE = 0.1  # of LeakyReLU below zero
SHUFFLE = 2  # networks work on pixel-unshuffled grids: half the size, four times the channels


def conv(inputs: int, outputs: int, kernel: int = 3, gain: float = 1.0) -> nn.Conv2d:
    """A bias-free convolution that keeps the size; Kaiming initialisation times `gain`."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, a=SLOPE)
    with torch.no_grad():
        layer.weight.mul_(gain)
    return layer


class ResidualBlock(nn.Module):
    """x + conv(LeakyReLU(conv(x))); the second convolution starts small: near the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv(channels, channels)
        self.second = conv(channels, channels, gain=0.1)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W), which may be overwritten -> the same shape."""
        return convolved(self.second, convolved(self.first, x, SLOPE), plus=x)


class Down(nn.Module):
    """Halve the grid with a 2x2 convolution of stride 2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 2, stride=2, bias=False)
        nn.init.kaiming_normal_(self.conv.weight, a=SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> (B, C', H/2, W/2)."""
        return halved(self.conv, x, SLOPE)


class Up(nn.Module):
    """Double the grid: 1x1 convolution, then PixelShuffle."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = conv(inputs, 4 * outputs, kernel=1)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """x (B, C, H, W), skip (B, C', 2H, 2W), overwritten -> their sum, shaped as skip."""
        if not folds(x):
            return functional.pixel_shuffle(self.conv(x), SHUFFLE).add_(skip)
        rows = applied(kernel(self.conv, "rows", lowered(x), self._by_rows), lowered(x))
        batch, channels, height, width = rows.shape
        whole = skip.permute(0, 2, 3, 1).contiguous()
        upper, lower = whole.view(batch, height, 2, width, channels // 2).unbind(2)
        cells = rows.permute(0, 2, 3, 1)
        upper.add_(cells[..., : channels // 2])
        lower.add_(cells[..., channels // 2 :])
        return whole.permute(0, 3, 1, 2)

    def _by_rows(self) -> Kernel:
        """The convolution with outputs ordered by cells, so that a row of pixels is contiguous."""
        outputs, inputs = self.conv.weight.shape[:2]
        cells = self.conv.weight.view(outputs // SHUFFLE**2, SHUFFLE**2, inputs).transpose(0, 1)
        return Kernel(cells.reshape(outputs, inputs, 1, 1), None, 1, 0)


class UNet(nn.Module):
    """A U-Net over pixel-unshuffled pictures with residual blocks on every level.

    Level i works at 1/2^(i+1) of the picture's size. The last convolution starts ten times
    smaller than Kaiming's, so that a residual network starts near zero.
    """

    def __init__(self, inputs: int, outputs: int, widths: tuple[int, ...], extra: int = 0) -> None:
        """`extra` counts further channels that come at half the size."""
        super().__init__()
        self.head = conv(inputs * SHUFFLE**2 + extra, widths[0])
        pairs = list(pairwise(widths))
        self.encoders = nn.ModuleList(ResidualBlock(width) for width in widths[:-1])
        self.downs = nn.ModuleList(Down(a, b) for a, b in pairs)
        self.middle = nn.Sequential(*(ResidualBlock(widths[-1]) for _ in range(2)))
        self.ups = nn.ModuleList(Up(b, a) for a, b in pairs)
        self.decoders = nn.ModuleList(ResidualBlock(width) for width in widths[:-1])
        self.tail = conv(widths[0], outputs * SHUFFLE**2, gain=0.1)

    def forward(self, x: Tensor, extra: Tensor | None = None) -> Tensor:
        """x (B, inputs, H, W), H and W multiples of the stride; extra (B, extra, H/2, W/2) ->
        (B, outputs, H, W)."""
        return self.ended(self.begun(x, extra))

    def begun(self, x: Tensor, extra: Tensor | None = None) -> Tensor:
        """The first convolution: (B, widths[0], H/2, W/2)."""
        return conv_of_cells(self.head, x, extra, SLOPE)

    def ended(self, x: Tensor) -> Tensor:
        """All that follows the first convolution."""
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            x = encoder(x)
            skips.append(x)
            x = down(x)
        x = self.middle(x)
        for skip, up, decoder in zip(
            reversed(skips), reversed(self.ups), reversed(self.decoders), strict=True
        ):
            x = decoder(up(x, skip))
        return shuffled(convolved(self.tail, x))


def unet_stride(widths: tuple[int, ...]) -> int:
    """The number that height and width must be a multiple of for a U-Net of these widths."""
    return int(SHUFFLE * 2 ** (len(widths) - 1))


def unet_reach(widths: tuple[int, ...], before: int = 0) -> int:
    """The pixels within which an input can change an output, rounded up to the stride.

    `before` counts what layers in front of the U-Net reach further.

    Each 3x3 convolution at 1/s of the size reaches s pixels further on either side; a level has
    two residual blocks (encoder and decoder), that is four convolutions.
    """
    reach = before + 2 * SHUFFLE + SHUFFLE  # head, tail, and the unshuffled cell itself
    for level in range(len(widths) - 1):
        reach += 4 * SHUFFLE * 2**level + SHUFFLE * 2**level
    reach += 4 * SHUFFLE * 2 ** (len(widths) - 1)
    stride = unet_stride(widths)
    return math.ceil(reach / stride) * stride


def box_mean(x: Tensor, side: int) -> Tensor:
    """Mean over side x side pixels, odd, of x (B, C, H, W); beyond the border it is mirrored."""
    if x.device.type == "cpu" and not x.requires_grad:
        planes = x.detach().float().flatten(0, 1).numpy()
        kind = cv2.BORDER_REFLECT
        means = np.stack([cv2.blur(plane, (side, side), borderType=kind) for plane in planes])
        return torch.from_numpy(means).view(x.shape)
    reach = side // 2
    wide = functional.pad(x, (reach,) * 4, "reflect")
    rows = functional.avg_pool2d(wide, (side, 1), stride=1)
    return functional.avg_pool2d(rows, (1, side), stride=1)


def inner_mean(x: Tensor, side: int) -> Tensor:
    """Mean over side x side pixels, odd, of x (B, C, H, W); at the border over those inside."""
    tracing = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]  # torch's stub
    if x.device.type == "cpu" and not x.requires_grad and not tracing:
        return _inner_mean(x.detach(), side)  # a tenth of the time
    for window in ((side, 1), (1, side)):
        reach = tuple(length // 2 for length in window)
        x = functional.avg_pool2d(x, window, 1, reach, count_include_pad=False)
    return x


def _inner_mean(x: Tensor, side: int) -> Tensor:
    """The same by OpenCV."""
    height, width = x.shape[-2:]
    share = 1 / (_inside(height, side)[:, None] * _inside(width, side))
    window, edge = (side, side), cv2.BORDER_CONSTANT
    means = np.empty((x.shape[:-2].numel(), height, width), np.float32)
    for plane, mean in zip(x.float().reshape(means.shape).numpy(), means, strict=True):
        cv2.boxFilter(plane, -1, window, mean, normalize=False, borderType=edge)
        mean *= share
    return torch.from_numpy(means).view(x.shape).to(x.dtype)


@lru_cache(maxsize=16)
def _inside(length: int, side: int) -> Singles:
    """How many of the places in a window around each lie inside."""
    places, reach = np.arange(length), side // 2
    ends = np.minimum(places + reach, length - 1) - np.maximum(places - reach, 0)
    return np.asarray(ends + 1, np.float32)


def channels_last(network: nn.Module) -> nn.Module:
    """Keep a network's weights channel by channel, which convolutions on processors prefer."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it


def lowered_cat(parts: Iterable[Tensor]) -> Tensor:
    """Pictures (B, C, H, W) as channels of one, see `lowered`."""
    parts = list(parts)
    if not folds(parts[0]) or not torch.is_autocast_enabled("cpu"):
        return torch.cat([lowered(part) for part in parts], 1)
    sizes = [part.shape[1] for part in parts]
    shape = (len(parts[0]), sum(sizes), *parts[0].shape[2:])
    joined = torch.empty(shape, dtype=torch.get_autocast_dtype("cpu"))
    for place, part in zip(joined.split_with_sizes(sizes, 1), parts, strict=True):
        place.copy_(part)  # rounded on its way
    return joined


def folds(x: Tensor) -> bool:
    """Whether to fuse pixel shuffling with its convolution, as processors move pixels slowly."""
    return x.device.type == "cpu" and not torch.is_grad_enabled()


def conv_of_cells(
    layer: nn.Conv2d, x: Tensor, extra: Tensor | None = None, slope: float | None = None
) -> Tensor:
    """A 3x3 convolution of x (B, C, H, W), pixel-unshuffled, and of `extra` (B, E, H/2, W/2), its
    further channels, and LeakyReLU of this slope of it -> (B, outputs, H/2, W/2)."""
    x = lowered(x)
    if folds(x) and x.element_size() in PAIRS and (extra is None or extra.shape[1] % 2 == 0):
        return convolved(layer, _cells(x, extra), slope)
    cells = functional.pixel_unshuffle(x, SHUFFLE)
    return convolved(layer, cells if extra is None else torch.cat([cells, extra], 1), slope)


PAIRS = {2: torch.int32, 4: torch.int64}  # by the bytes of a number: two side by side, as one


def _cells(x: Tensor, extra: Tensor | None) -> Tensor:
    """x pixel-unshuffled, and extra channels of that size, channels last; two pixels of a row in
    one cell move as one."""
    batch, channels, height, width = x.shape
    own, more = SHUFFLE**2 * channels, 0 if extra is None else extra.shape[1]
    cells = torch.empty((batch, height // 2, width // 2, own + more), dtype=x.dtype)
    pair = PAIRS[x.element_size()]
    pairs = x.contiguous().view(pair).view(batch, channels, height // 2, 2, width // 2)
    places = cells[..., :own].view(pair).view(batch, height // 2, width // 2, channels, 2)
    for row in range(2):
        places[..., row].copy_(pairs[:, :, :, row].permute(0, 2, 3, 1))
    if extra is not None:
        cells[..., own:].copy_(extra.permute(0, 2, 3, 1))
    return cells.permute(0, 3, 1, 2)


def shuffled(x: Tensor) -> Tensor:
    """Pixel-shuffled x (B, 4 C, H, W) -> (B, C, 2 H, 2 W); channels last in pairs, as `_cells`."""
    last = x.is_contiguous(memory_format=torch.channels_last)
    if not last or not folds(x) or x.element_size() not in PAIRS:
        return functional.pixel_shuffle(x, SHUFFLE)
    batch, channels, height, width = x.shape
    pairs = x.permute(0, 2, 3, 1).view(PAIRS[x.element_size()])
    cells = pairs.view(batch, height, width, channels // 4, 2)
    rows = cells.permute(0, 3, 1, 4, 2).contiguous()
    return rows.view(x.dtype).view(batch, channels // 4, 2 * height, 2 * width)


def planar(x: Tensor) -> Tensor:
    """x (B, C, H, W), channels contiguous: OpenCV transposes many five times as fast as torch."""
    last = x.is_contiguous(memory_format=torch.channels_last)
    if not last or not folds(x) or x.element_size() not in CODES:
        return x.contiguous()
    planes = torch.empty(x.shape, dtype=x.dtype)
    for one, out in zip(x.permute(0, 2, 3, 1).flatten(1, 2), planes.flatten(2), strict=True):
        cv2.transpose(*(part.view(CODES[x.element_size()]).numpy() for part in (one, out)))
    return planes


CODES = {2: torch.int16, 4: torch.int32}  # by the bytes of a number: what OpenCV takes it for


def padded(network: nn.Module, *inputs: object) -> Any:
    """Run a network on pictures of any size: pad to its `stride`, run, crop.

    The right and lower edges are repeated. Inputs and outputs may be tensors (..., H, W) or
    tuples of them.
    """
    height, width = next(leaves(inputs)).shape[-2:]
    stride = int(network.stride)  # type: ignore[arg-type]  # a plain attribute of our networks
    rows, columns = -height % stride, -width % stride
    if not rows and not columns:
        return network(*inputs)
    wide = mapped(inputs, lambda x: _grow(x, rows, columns))
    return mapped(network(*wide), lambda x: x[..., :height, :width])


def _grow(x: Tensor, rows: int, columns: int) -> Tensor:
    flat = x.reshape(-1, *x.shape[-3:])
    grown = functional.pad(flat, (0, columns, 0, rows), "replicate")
    return grown.reshape(*x.shape[:-2], *grown.shape[-2:])


def leaves(tree: object) -> Iterator[Tensor]:
    """Every tensor in a tensor or a nested tuple or list of them."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, tuple | list):
        for branch in tree:
            yield from leaves(branch)


def mapped(tree: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same tensor or (named) tuple of tensors with `change` applied to every tensor."""
    if tree is None:
        return None
    if isinstance(tree, Tensor):
        return change(tree)
    branches = [mapped(branch, change) for branch in tree]
    return type(tree)(*branches) if hasattr(tree, "_fields") else tuple(branches)
