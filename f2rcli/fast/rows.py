"""Building blocks of all kernels: rows of pictures by address, and numbers in bfloat16.

Pictures come as addresses and strides in bytes, whatever they are cut from, so that a kernel is
compiled once for a type of numbers, not for every layout.
"""

from typing import Any

import numpy as np
import torch
from numba import carray, types
from numba.extending import intrinsic, overload
from numpy.typing import NDArray
from torch import Tensor

from f2rcli.fast.compiling import compiled

Rows = NDArray[np.int64]  # address, and strides in bytes of the axes before the last


def in_rows(x: Tensor) -> Tensor:
    """A picture with rows in one piece each."""
    return x if x.stride(-1) == 1 else x.contiguous()


def rows_of(x: Tensor) -> Rows:
    """A picture (..., H, W) whose rows are each in one piece, and which outlives the kernel."""
    if x.stride(-1) != 1:
        raise ValueError("rows must be in one piece")
    size = x.element_size()
    return np.array([x.data_ptr(), *(step * size for step in x.stride()[:-1])], np.int64)


def like(x: Tensor) -> Any:
    """A number of a picture's type, for kernels; of bfloat16 its 16 bits."""
    kinds = {torch.float32: np.float32, torch.uint16: np.uint16, torch.bfloat16: np.uint16}
    return kinds[x.dtype](0)


@intrinsic
def _pointer(context: Any, address: Any, kind: Any) -> Any:
    """An address as a pointer to numbers of a kind."""
    return types.CPointer(kind)(types.intp, kind), _as_pointer


def _as_pointer(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))


@compiled
def row(address: int, length: int, kind: Any) -> Any:
    """Numbers of a kind at an address, as an array."""
    return carray(_pointer(address, kind), (length,))


@compiled
def line(picture: Any, channel: int, y: int, width: int, kind: Any) -> Any:
    """A row of one channel of a picture (C, H, W)."""
    return row(picture[0] + channel * picture[1] + y * picture[2], width, kind)


@compiled
def line_of(pictures: Any, place: int, channel: int, y: int, width: int, kind: Any) -> Any:
    """The same of one of several pictures (N, C, H, W)."""
    return row(
        pictures[0] + place * pictures[1] + channel * pictures[2] + y * pictures[3], width, kind
    )


@intrinsic
def _bits(context: Any, value: Any) -> Any:
    """The bits of a float32, or the float32 of some bits."""
    other = types.uint32 if value == types.float32 else types.float32
    return other(value), _cast


def _cast(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return builder.bitcast(arguments[0], context.get_value_type(signature.return_type))


def lowered(value: Any, into: Any) -> Any:
    """A float32 as a number of an array's type: of uint16 the bits of the nearest bfloat16."""
    raise NotImplementedError


@overload(lowered, strict=False)
def _lowered(value: Any, into: Any) -> Any:
    if into.dtype == types.uint16:
        return lambda value, into: _rounded(value)
    return lambda value, into: value


@compiled
def _rounded(value: Any) -> Any:
    bits = _bits(value)
    even = (bits >> np.uint32(16)) & np.uint32(1)
    return np.uint16((bits + np.uint32(0x7FFF) + even) >> np.uint32(16))


def raised(value: Any) -> Any:
    """The float32 that a float32, or the bits of a bfloat16, stand for."""
    raise NotImplementedError


@overload(raised, strict=False)
def _raised(value: Any) -> Any:
    if value == types.uint16:
        return lambda value: _bits(np.uint32(np.uint32(value) << np.uint32(16)))
    return lambda value: value


def stored(value: Any, kind: Any) -> Any:
    """A float32 as a number of a kind: of uint16 the nearest whole number there is."""
    raise NotImplementedError


@overload(stored, strict=False)
def _stored(value: Any, kind: Any) -> Any:
    if kind == types.uint16:
        return lambda value, kind: np.uint16(min(max(np.rint(value), LOWEST), HIGHEST))
    return lambda value, kind: value


LOWEST, HIGHEST = np.float32(0), np.float32(65535)


@compiled
def exponential(x: Any) -> Any:
    """e to a float32 <= 0, within two roundings, in a form that vectorises; after Cephes."""
    x = DEEPEST if x < DEEPEST else x  # what is not a number stays so
    power = np.rint(x * E_FOLDS)
    rest = x - power * LN2_HIGH - power * LN2_LOW
    value = TERMS[0]
    for term in TERMS[1:]:
        value = value * rest + term
    scale = _bits(np.uint32((np.int32(power) + np.int32(127)) << np.int32(23)))
    return (value * rest * rest + rest + UNIT) * scale


DEEPEST, UNIT = np.float32(-87), np.float32(1)
E_FOLDS, LN2_HIGH, LN2_LOW = map(np.float32, (1.44269504, 0.693359375, -2.12194440e-4))
TERMS = tuple(
    map(np.float32, (1.9875691e-4, 1.3981999e-3, 8.3334519e-3, 4.1665795e-2, 1.6666666e-1, 0.5))
)
