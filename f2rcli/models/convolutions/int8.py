"""Residual blocks whose convolutions multiply 8-bit integers, by oneDNN.

Processors with VNNI multiply bytes four times as fast as float32. Activations become bytes by the
largest values that calibration saw in each channel, not by those of the picture at hand: a tile
gives the same numbers as the whole, and no result depends on its surroundings. Sums are exact,
in 32 bits, and what a block adds to stays in floating point (Krishnamoorthi, arXiv 1806.08342).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from f2rcli.models.convolutions.fused import convolved, kept, lowered

LARGEST = 127  # of a signed byte
ZERO = 128  # as an unsigned byte
MIDDLE = torch.tensor(ZERO + 0.5)  # what is cut off to a byte from here is rounded
ROOM = 1.25  # times the largest value that calibration saw: the largest that a byte tells
QUIETEST = 1e-3  # of a layer's largest value: the least that any of its channels is taken for
TOLERANCE = 0.1  # of a sum of some twelve products

_allowed: ContextVar[bool] = ContextVar("int8", default=False)


class Ranges(NamedTuple):
    """The largest values that a block's two convolutions are given, (C,), zero or more."""

    outer: Tensor
    between: Tensor


class Steps(NamedTuple):
    """What one step of their bytes stands for in each channel, (C,)."""

    outer: Tensor
    between: Tensor

    @classmethod
    def of(cls, ranges: Ranges) -> "Steps":
        """With room for what calibration did not see, and a least one for silent channels."""
        return cls(
            *(most.clamp_min(QUIETEST * float(most.max())) * ROOM / LARGEST for most in ranges)
        )


class Kernel(NamedTuple):
    """A convolution of bytes."""

    weight: Tensor  # in oneDNN's order
    scale: Tensor  # (outputs,): of its sums
    zero: Tensor  # (outputs,), of the weights


@contextmanager
def allowed() -> Iterator[None]:
    """Inside, calibrated blocks run in int8 where this processor can."""
    before = _allowed.set(True)
    try:
        yield
    finally:
        _allowed.reset(before)


def serves(x: Tensor) -> bool:
    """Whether blocks with steps are to run in int8 on x."""
    return _allowed.get() and x.device.type == "cpu" and not torch.is_grad_enabled() and works()


def residual(first: nn.Conv2d, second: nn.Conv2d, x: Tensor, slope: float, steps: Steps) -> Tensor:
    """x (B, C, H, W), overwritten, plus `second` of LeakyReLU of `first` of it: 3x3 layers."""
    x = lowered(x).contiguous(memory_format=torch.channels_last)
    seen = _bytes(torch.addcmul(MIDDLE, x.float(), 1 / steps.outer[:, None, None]))
    inner = _sums(_kernel(first, seen, steps.outer, steps.between), seen, torch.float32)
    seen = _bytes(functional.leaky_relu(inner, slope, inplace=True).add_(MIDDLE))
    return _sums(_kernel(second, seen, steps.between, None), seen, x.dtype, plus=x)


def inner_blocks(network: nn.Module) -> Iterator[tuple[str, Any]]:
    """The residual blocks below full size, which may run in int8, with their names."""
    for name, module in network.named_modules():
        if getattr(module, "inner", False):
            yield name, module


def give_ranges(network: nn.Module, ranges: Mapping[str, Tensor]) -> None:
    """Let a network's inner blocks run in int8: by name, `Ranges` as one tensor (2, C)."""
    for name, block in inner_blocks(network):
        known = ranges.get(name)
        block.steps = None if known is None else Steps.of(Ranges(*known.float()))


def watch_ranges(network: nn.Module, slope: float, found: dict[str, Ranges]) -> None:
    """From now on, widen the ranges in `found` to all that inner blocks are given."""

    def watch(name: str, block: Any, given: tuple[Tensor]) -> None:
        inner = convolved(block.first, given[0], slope)
        seen = Ranges(*(part.detach().float().abs().amax((0, 2, 3)) for part in (*given, inner)))
        found[name] = Ranges(*map(torch.maximum, found.get(name, seen), seen))

    for name, block in inner_blocks(network):
        block.register_forward_pre_hook(partial(watch, name))


def _bytes(x: Tensor) -> Tensor:
    """x, overwritten, cut off to whole bytes."""
    return x.clamp_(0, 2 * ZERO - 1).to(torch.uint8)


def _kernel(layer: nn.Conv2d, x: Tensor, steps: Tensor, units: Tensor | None) -> Kernel:
    """A layer's for inputs like x, in such steps; its outputs are in `units` (C,), if any."""
    return kept(layer, ("int8", x.dtype, x.shape), lambda: _pack(layer.weight, x, steps, units))


def _pack(weight: Tensor, x: Tensor, steps: Tensor, units: Tensor | None) -> Kernel:
    exact = weight.detach().float() * steps[:, None, None]
    if units is not None:
        exact = exact / units[:, None, None, None]
    scale = exact.abs().amax((1, 2, 3)).clamp_min(torch.finfo(torch.float32).tiny) / LARGEST
    whole = (exact / scale[:, None, None, None]).round().to(torch.int8)
    packed = torch.ops.onednn.qconv_prepack(
        whole, scale, 1.0, 0, [1, 1], [1, 1], [1, 1], 1, list(x.shape)
    )
    return Kernel(packed, scale, torch.zeros(len(scale), dtype=torch.int32))


def _sums(kernel: Kernel, x: Tensor, kind: torch.dtype, plus: Tensor | None = None) -> Tensor:
    """The convolution of bytes x, as floats; added to `plus`, which is overwritten, if any."""
    run = torch.ops.onednn.qconv2d_pointwise
    given = x, 1.0, ZERO, *kernel
    around = [1, 1], [1, 1], [1, 1], 1
    if plus is None:
        return run(*given, None, *around, 1.0, 0, kind, "none", [], "")
    added = 1.0, 0, kind, 1.0, 0, "sum", 1.0
    return run.binary(*given, plus, None, *around, *added, None, [], None)


@cache
def works() -> bool:
    """Whether this processor has VNNI, oneDNN's operators are there, and their results are what
    they should be. Older instructions saturate the sum of two products at 16 bits."""
    known: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    if not (known.get("avx512_vnni") or known.get("avx_vnni")):
        return False
    first, second = (nn.Conv2d(4, 4, 3, padding=1, bias=False) for _ in range(2))
    x = torch.linspace(-1, 1, 4 * 64).view(1, 4, 8, 8)
    try:
        with torch.inference_mode():
            for layer in (first, second):
                layer.weight.copy_(torch.linspace(-0.5, 0.7, 144).view(4, 4, 3, 3))
            inner = functional.leaky_relu(first(x), 0.1)
            wanted = x + second(inner)
            steps = Steps.of(Ranges(*(part.abs().amax((0, 2, 3)) for part in (x, inner))))
            found = residual(first, second, x.clone(), 0.1, steps)
    except (AttributeError, RuntimeError, TypeError):  # an older torch, or another processor
        return False
    return bool((found - wanted).abs().max() < TOLERANCE * wanted.abs().max())
