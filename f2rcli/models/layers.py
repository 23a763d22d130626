"""Building blocks: bias-free, no normalisation, no global pooling.

Bias-free convolutions with LeakyReLU make a network positively homogeneous, f(a y) = a f(y) for
a >= 0, so that one set of weights serves every exposure and noise level (Mohan et al., ICLR 2020).
No normalisation and no pooling over the picture: a tile must not change the answer.

On a processor, LeakyReLU and sums take as long as the convolutions between them: each reads and
writes everything once more. oneDNN does them while a result is still in registers, and keeps
weights in an order of its own. Where its operators are not there, the steps are done one by one.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._pytree import tree_leaves, tree_map_only

# Columns that are halved at least: for a result of one column and some thirty rows, oneDNN reads
# memory that was never written, in bfloat16 on processors with AMX, and says NaN or anything.
NARROW = 4
PROBE_TOLERANCE = 0.1  # of sums of some twelve products, in bfloat16


class Kernel(NamedTuple):
    """A convolution's operands besides its input."""

    weight: Tensor  # (outputs, inputs, rows, columns)
    bias: Tensor | None
    stride: int
    padding: int


Version = tuple[int, int]  # of a layer's weights: training changes them
Use = tuple[torch.dtype, torch.Size]  # what a layer's inputs are like
_packed: WeakKeyDictionary[nn.Module, dict[Use, tuple[Version, Kernel]]] = WeakKeyDictionary()
KEPT = 16  # uses of a layer whose kernels are kept: more sizes than a run has


def convolved(
    layer: nn.Conv2d, x: Tensor, slope: float | None = None, plus: Tensor | None = None
) -> Tensor:
    """LeakyReLU of x (B, C, H, W) convolved, and `plus`, which may be overwritten, added."""
    x = lowered(x)
    if not fuses(x):
        return _finished(layer(x), slope, plus)
    return _run(_kernel(layer, x), x, slope, plus)


def _kernel(layer: nn.Conv2d, x: Tensor) -> Kernel:
    """A layer's operands in oneDNN's order, kept until its weights change. The order is that for
    inputs like x: oneDNN brings one for another size into it at every call, which takes longer than
    small pictures."""
    weight, use = layer.weight, (x.dtype, x.shape)
    version = weight.data_ptr(), 0 if weight.is_inference() else weight._version
    known = _packed.setdefault(layer, {})
    found = known.get(use)
    if found is None or found[0] != version:
        if len(known) >= KEPT:
            known.clear()
        plain = Kernel(weight, layer.bias, layer.stride[0], int(layer.padding[0]))
        found = known[use] = version, _pack(plain, x)
    return found[1]


def _pack(plain: Kernel, x: Tensor) -> Kernel:
    weight = plain.weight.detach().to(x.dtype, memory_format=torch.channels_last)
    how = [plain.padding] * 2, [plain.stride] * 2, [1, 1], 1, list(x.shape)
    packed = torch.ops.mkldnn._reorder_convolution_weight(weight, *how)
    bias = None if plain.bias is None else plain.bias.detach().to(x.dtype)
    return plain._replace(weight=packed, bias=bias)


def _finished(x: Tensor, slope: float | None, plus: Tensor | None) -> Tensor:
    """A convolution's output, which no one else needs, with the steps after it: overwritten."""
    if plus is not None:
        x = x.add_(plus)
    return x if slope is None else functional.leaky_relu(x, slope, inplace=True)


def _run(
    kernel: Kernel, x: Tensor, slope: float | None = None, plus: Tensor | None = None
) -> Tensor:
    """The same by oneDNN's operators, with a packed kernel."""
    weight, bias, stride, padding = kernel
    run = torch.ops.mkldnn._convolution_pointwise
    around = [padding] * 2, [stride] * 2, [1, 1], 1
    x = x.contiguous(memory_format=torch.channels_last)
    if plus is None:
        what = ("none", []) if slope is None else ("leaky_relu", [slope])
        return run(x, weight, bias, *around, *what, "")
    plus = plus.to(x.dtype).contiguous(memory_format=torch.channels_last)
    into = torch.ops.mkldnn._convolution_pointwise_.binary  # a third faster than a new tensor
    x = into(plus, x, weight, bias, *around, "add", 1.0, None, [], None)
    return _finished(x, slope, None)


def fuses(x: Tensor) -> bool:
    """Whether convolutions of x run by oneDNN with what follows them."""
    return x.device.type == "cpu" and not torch.is_grad_enabled() and works(x.dtype)


@cache
def works(dtype: torch.dtype) -> bool:
    """Whether the operators are there for this type, and give what they should."""
    if dtype not in (torch.float32, torch.bfloat16):
        return False
    x = torch.full((1, 4, 8, 8), 0.5, dtype=dtype)
    plus = torch.full_like(x, -20.0)
    plain = Kernel(torch.full((4, 4, 3, 3), 0.7), None, 1, 1)
    try:
        with torch.inference_mode():
            ready = _pack(plain, x)
            alone, both = _run(ready, -x, slope=0.1), _run(ready, x, plus=plus)
    except (AttributeError, RuntimeError, TypeError):  # an older torch, or another processor
        return False
    inner = float(alone[0, 0, 4, 4]), float(both[0, 0, 4, 4])
    return all(abs(a - b) < PROBE_TOLERANCE for a, b in zip(inner, (-1.26, -7.4), strict=True))


def lowered(x: Tensor) -> Tensor:
    """x in the precision that convolutions will run in: what moves it about moves half the bytes.

    Under autocast a convolution casts its input; casting before unshuffling and concatenating
    gives the same numbers.
    """
    kind = x.device.type
    return x.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else x


SLOPE = 0.1  # of LeakyReLU below zero
MERGED = 128  # planes that OpenCV 5 brings together at once


def conv(inputs: int, outputs: int, kernel: int = 3, gain: float = 1.0) -> nn.Conv2d:
    """A bias-free convolution that keeps the size; Kaiming initialisation times `gain`."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, a=SLOPE)
    with torch.no_grad():
        layer.weight.mul_(gain)
    return layer


def biased(
    inputs: int, outputs: int, kernel: int = 3, *, stride: int = 1, groups: int = 1,
    slope: float = 0,
) -> nn.Conv2d:  # fmt: skip
    """A convolution with a bias, as other methods' published networks have: one input a `stride`.
    He initialisation for a LeakyReLU of this slope after it; 0: ReLU."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups)
    nn.init.kaiming_normal_(layer.weight, a=slope)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # bias=True, so never None
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
        width = x.shape[-1]
        wide = functional.pad(x, (0, NARROW - width)) if width < NARROW else x
        return convolved(self.conv, wide, SLOPE)[..., : width // 2]


class Up(nn.Module):
    """Double the grid: 1x1 convolution, then PixelShuffle."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = conv(inputs, 4 * outputs, kernel=1)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """x (B, C, H, W), skip (B, C', 2H, 2W) -> their sum, shaped as skip."""
        return functional.pixel_shuffle(convolved(self.conv, x), 2).add_(skip)


def joined(x: Tensor, skip: Tensor) -> Tensor:
    """x (B, C, H, W), twice as large, beside skip (B, C', 2H, 2W)."""
    return torch.cat([functional.interpolate(x, scale_factor=2, mode="nearest"), skip], 1)


def together(parts: Sequence[Tensor]) -> Tensor:
    """Pictures (B, C, H, W) side by side as channels of one, float32. On a processor one picture at
    once in the order that convolutions want: both orders of it would take twice the memory."""
    first = parts[0]
    count = sum(part.shape[1] for part in parts)
    if first.device.type != "cpu" or torch.is_grad_enabled() or count > MERGED:
        return torch.cat(list(parts), 1).float()
    whole = np.empty((len(first), *first.shape[-2:], count), np.float32)
    for index, one in enumerate(whole):
        cv2.merge([plane for part in parts for plane in part[index].float().numpy()], one)
    return torch.from_numpy(whole).permute(0, 3, 1, 2)


def median(x: Tensor) -> Tensor:
    """The lower median along the last axis. On a GPU by sorting, which takes all of it, where
    torch's own gives a whole row to one of its processors."""
    if x.device.type == "cpu":
        return x.median(-1).values
    return x.sort(-1).values[..., (x.shape[-1] - 1) // 2]


def channels_last(network: nn.Module) -> nn.Module:
    """Keep a network's weights channel by channel, which convolutions on processors prefer."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it


def padded(network: nn.Module, *inputs: object) -> Any:
    """Run a network on pictures of any size: pad to its `stride`, run, crop.

    The right and lower edges are repeated. Inputs and outputs may be tensors (..., H, W) or
    tuples of them; what else a network is given is passed on.
    """
    height, width = next(leaves(inputs)).shape[-2:]
    stride = int(network.stride)  # type: ignore[arg-type]  # a plain attribute of our networks
    rows, columns = -height % stride, -width % stride
    if not rows and not columns:
        return network(*inputs)
    wide = mapped(inputs, lambda x: _grow(x, rows, columns))
    return mapped(network(*wide), lambda x: x[..., :height, :width])


def _grow(x: Tensor, rows: int, columns: int) -> Tensor:
    grown = functional.pad(x.reshape(-1, *x.shape[-3:]), (0, columns, 0, rows), "replicate")
    return grown.reshape(*x.shape[:-2], *grown.shape[-2:])


def leaves(tree: object) -> Iterator[Tensor]:
    """Every tensor in a tensor or a nested (named) tuple or list of them."""
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))


def mapped(tree: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same tree with `change` applied to every tensor."""
    return tree_map_only(Tensor, change, tree)


# --- A Gaussian of every pixel's colour, and its posterior mean given a noisy value --------------
# Sheth et al., ICCV 2021, equations 2 to 4; for the likelihood see `training/stage.py`. Matrices
# (B, H, W, C, C) are one per pixel.

JITTER = 1e-5  # added to the variance, as in the release: keeps matrices positive


class Belief(NamedTuple):
    """What a network believes about the clean picture: a mean, and how sure it is."""

    mean: Tensor  # (B, C, H, W)
    covariance: Tensor

    @classmethod
    def of(cls, prediction: Tensor) -> "Belief":
        """Of a network's output (B, C + entries, H, W): the mean, then an upper triangular A row by
        row, whose A^T A is the covariance."""
        channels = next(c for c in range(1, 5) if c + entries(c) == prediction.shape[1])
        triangle = prediction[:, channels:].movedim(1, -1)
        upper = triangle.new_zeros(*triangle.shape[:-1], channels, channels)
        rows, columns = torch.triu_indices(channels, channels, device=prediction.device)
        upper[..., rows, columns] = triangle
        with torch.autocast(prediction.device.type, enabled=False):
            return cls(prediction[:, :channels], upper.mT @ upper)

    def noisy_covariance(self, variance: Tensor) -> Tensor:
        """The covariance plus that of independent noise, variance (B, C, H, W)."""
        return self.covariance + torch.diag_embed(variance.movedim(1, -1) + JITTER)

    def posterior_mean(self, noisy: Tensor, variance: Tensor) -> Tensor:
        """mean + S (S + N)^-1 (noisy - mean), S the covariance and N the noise's: (B, C, H, W)."""
        apart = (noisy - self.mean).movedim(1, -1)[..., None]
        step = self.covariance @ torch.linalg.solve(self.noisy_covariance(variance), apart)
        return self.mean + step[..., 0].movedim(-1, 1)


def entries(channels: int) -> int:
    """The numbers that describe a triangular matrix: 1 for gray, 6 for RGB, 10 for a mosaic."""
    return channels * (channels + 1) // 2
