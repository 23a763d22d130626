"""Convolutions together with what follows them, in one pass over memory.

On a processor, LeakyReLU and sums take as long as the convolutions between them: each reads and
writes everything once more. oneDNN does them while a result is still in registers, and keeps
weights in an order of its own. Where its operators are not there, the steps are done one by one.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, TypeVar, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional

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

    @classmethod
    def of(cls, layer: nn.Conv2d) -> "Kernel":
        """A layer's own."""
        return cls(layer.weight, layer.bias, layer.stride[0], int(layer.padding[0]))


K = TypeVar("K")
Version = tuple[int, int]  # of a layer's weights: training changes them
Use = tuple[str, torch.dtype, torch.Size]  # the part of a layer, and what its inputs are like
_packed: WeakKeyDictionary[nn.Module, dict[Use, tuple[Version, Any]]] = WeakKeyDictionary()
KEPT = 16  # uses of a layer whose kernels are kept: more sizes than a run has


def convolved(
    layer: nn.Conv2d, x: Tensor, slope: float | None = None, plus: Tensor | None = None
) -> Tensor:
    """LeakyReLU of x (B, C, H, W) convolved, and `plus`, which may be overwritten, added."""
    x = lowered(x)
    if not fuses(x):
        return _finished(layer(x), slope, plus)
    return _run(kernel(layer, "whole", x, lambda: Kernel.of(layer)), x, slope, plus)


def halved(layer: nn.Conv2d, x: Tensor, slope: float) -> Tensor:
    """The same by a 2x2 layer of stride 2: (B, C', H/2, W/2)."""
    width = x.shape[-1]
    if width >= NARROW:
        return convolved(layer, x, slope)
    return convolved(layer, functional.pad(x, (0, NARROW - width)), slope)[..., : width // 2]


def kernel(layer: nn.Conv2d, part: str, x: Tensor, make: Callable[[], Kernel]) -> Kernel:
    """The result of `make` for (a part of) a layer's weights and inputs like x; in oneDNN's order,
    and kept, where that is of use."""
    return kept(layer, (part, x.dtype, x.shape), lambda: _pack(make(), x)) if fuses(x) else make()


def kept(layer: nn.Conv2d, use: Use, make: Callable[[], K]) -> K:
    """The result of `make`, until the layer's weights change. The order is that for one size:
    oneDNN brings one for another size into it at every call, which takes longer than small
    pictures."""
    weight = layer.weight
    version = weight.data_ptr(), 0 if weight.is_inference() else weight._version
    known = _packed.setdefault(layer, {})
    found = known.get(use)
    if found is None or found[0] != version:
        if len(known) >= KEPT:
            known.clear()
        found = known[use] = version, make()
    return cast("K", found[1])


def _pack(plain: Kernel, x: Tensor) -> Kernel:
    weight = plain.weight.detach().to(x.dtype, memory_format=torch.channels_last)
    packed = torch.ops.mkldnn._reorder_convolution_weight(
        weight, [plain.padding] * 2, [plain.stride] * 2, [1, 1], 1, list(x.shape)
    )
    bias = None if plain.bias is None else plain.bias.detach().to(x.dtype)
    return plain._replace(weight=packed, bias=bias)


def applied(kernel: Kernel, x: Tensor) -> Tensor:
    """The kernel's convolution of x (B, C, H, W)."""
    return _run(kernel, x) if fuses(x) else functional.conv2d(x, *kernel)


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
