"""Building blocks: bias-free, no normalisation, no global pooling.

Bias-free convolutions with LeakyReLU make a network positively homogeneous, f(a y) = a f(y) for
a >= 0, so that one set of weights serves every exposure and noise level (Mohan et al., ICLR 2020).
No normalisation and no pooling over the picture: a tile must not change the answer.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from f2rcli.frames import Singles
from f2rcli.models.convolutions.fused import Kernel, applied, convolved, halved, kernel, lowered

SLOPE = 0.1  # of LeakyReLU below zero
SMOOTH = 7  # pixels per side


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
            return functional.pixel_shuffle(self.conv(x), 2).add_(skip)
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
        cells = self.conv.weight.view(outputs // 4, 4, inputs).transpose(0, 1)
        return Kernel(cells.reshape(outputs, inputs, 1, 1), None, 1, 0)


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


def pooled(x: Tensor, side: int) -> Tensor:
    """Means over cells of side x side pixels, (..., H, W) -> (..., H / side, W / side)."""
    height, width = (length // side for length in x.shape[-2:])
    tracing = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]  # torch's stub
    if x.device.type != "cpu" or x.requires_grad or tracing:
        small = functional.avg_pool2d(x.flatten(0, -4), side)
        return small.view(*x.shape[:-2], height, width)
    means = np.empty((x.shape[:-2].numel(), height, width), np.float32)
    planes = x.detach().float().reshape(len(means), *x.shape[-2:]).numpy()
    for plane, mean in zip(planes, means, strict=True):  # a fifth of the time
        cv2.resize(plane, (width, height), mean, interpolation=cv2.INTER_AREA)
    return torch.from_numpy(means).view(*x.shape[:-2], height, width)


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


def smooth(x: Tensor) -> Tensor:
    """Mean over 7x7 pixels of x (B, C, H, W), in which noise hardly counts."""
    return inner_mean(x, SMOOTH)


def channels_last(network: nn.Module) -> nn.Module:
    """Keep a network's weights channel by channel, which convolutions on processors prefer."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it


def folds(x: Tensor) -> bool:
    """Whether to fuse pixel shuffling with its convolution, as processors move pixels slowly."""
    return x.device.type == "cpu" and not torch.is_grad_enabled()


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
