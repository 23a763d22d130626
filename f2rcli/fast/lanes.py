"""Registers of eight float32 by hand, where no compiler finds them."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 8
BYTES = 4 * LANES

_FLOAT = ir.FloatType()
_LANE = ir.VectorType(_FLOAT, LANES)
_NONE = ir.Constant(_LANE, ir.Undefined)


def _loaded(builder: Any, address: Any, offset: Any) -> Any:
    place = builder.inttoptr(builder.add(address, offset), _LANE.as_pointer())
    found = builder.load(place)
    found.align = 4
    return found


def _stored(builder: Any, value: Any, address: Any, offset: Any) -> None:
    place = builder.inttoptr(builder.add(address, offset), _LANE.as_pointer())
    builder.store(value, place).align = 4


def _picked(builder: Any, one: Any, other: Any, places: list[int]) -> Any:
    kind = ir.VectorType(ir.IntType(32), LANES)
    return builder.shuffle_vector(one, other, ir.Constant(kind, places))


def _everywhere(builder: Any, address: Any, offset: Any) -> Any:
    value = builder.load(builder.inttoptr(builder.add(address, offset), _FLOAT.as_pointer()))
    lane = builder.insert_element(_NONE, value, ir.Constant(ir.IntType(32), 0))
    return _picked(builder, lane, _NONE, [0] * LANES)


def _times(builder: Any, value: Any, count: int) -> Any:
    return builder.mul(value, ir.Constant(value.type, count))


@intrinsic
def turned(context: Any, source: Any, step: Any, into: Any, gap: Any) -> Any:
    """LANES pieces of LANES numbers each, `step` bytes apart, turned over: the first number of
    each to `into`, the second of each `gap` bytes further, and so on."""
    return types.void(*[types.intp] * 4), _turn


def _turn(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    source, step, into, gap = arguments
    lanes = [_loaded(builder, source, _times(builder, step, k)) for k in range(LANES)]
    low = [k // 2 + LANES * (k % 2) for k in range(LANES)]
    high = [place + LANES // 2 for place in low]
    for _ in range(3):  # each mixes the first half with the second, as cards are shuffled
        halves = zip(lanes[: LANES // 2], lanes[LANES // 2 :], strict=True)
        lanes = [_picked(builder, *pair, places) for pair in halves for places in (low, high)]
    for k, lane in enumerate(lanes):
        _stored(builder, lane, into, _times(builder, gap, k))
    return context.get_dummy_value()


@intrinsic
def summed(context: Any, source: Any, line: Any, weights: Any, step: Any, into: Any) -> Any:
    """The sum of 4x4 pixels of LANES numbers, lines `line` bytes apart, times weights of their
    columns and lines: four and four, `step` bytes apart."""
    return types.void(*[types.intp] * 5), _sum


def _sum(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    source, line, weights, step, into = arguments
    columns, lines = (
        [_everywhere(builder, weights, _times(builder, step, k + first)) for k in range(4)]
        for first in (0, 4)
    )
    total = None
    for i, weight in enumerate(lines):
        start, across = builder.add(source, _times(builder, line, i)), None
        for j, share in enumerate(columns):
            pixel = _loaded(builder, start, ir.Constant(start.type, j * BYTES))
            across = _added(builder, across, pixel, share)
        total = _added(builder, total, across, weight)
    _stored(builder, total, into, ir.Constant(into.type, 0))
    return context.get_dummy_value()


def _added(builder: Any, total: Any, value: Any, weight: Any) -> Any:
    product = builder.fmul(value, weight, flags=["contract"])
    return product if total is None else builder.fadd(product, total, flags=["contract"])


@intrinsic
def mixed(
    context: Any,
    sources: Any,
    count: Any,
    offset: Any,
    weights: Any,
    step: Any,
    into: Any,
    kind: Any,
) -> Any:
    """The sum of LANES numbers of a kind, `offset` bytes from each of `count` addresses, times a
    weight each, `step` bytes apart; of uint16 the bits of bfloat16."""
    return types.void(*[types.intp] * 6, kind), _mix


def _mix(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    sources, count, offset, weights, step, into, _ = arguments
    short = signature.args[-1] == types.uint16
    total = cgutils.alloca_once_value(builder, ir.Constant(_LANE, [0.0] * LANES))
    with cgutils.for_range(builder, count) as loop:
        table = builder.inttoptr(sources, offset.type.as_pointer())
        source = builder.load(builder.gep(table, [loop.index]))
        weight = _everywhere(builder, weights, builder.mul(loop.index, step))
        value = (_raised if short else _loaded)(builder, source, offset)
        builder.store(_added(builder, builder.load(total), value, weight), total)
    (_lowered if short else _stored)(builder, builder.load(total), into, ir.Constant(into.type, 0))
    return context.get_dummy_value()


_SHORT, _WHOLE = (ir.VectorType(ir.IntType(size), LANES) for size in (16, 32))


def _raised(builder: Any, address: Any, offset: Any) -> Any:
    """Numbers in bfloat16 as float32."""
    found = builder.load(builder.inttoptr(builder.add(address, offset), _SHORT.as_pointer()))
    found.align = 2
    high = builder.shl(builder.zext(found, _WHOLE), ir.Constant(_WHOLE, [16] * LANES))
    return builder.bitcast(high, _LANE)


def _lowered(builder: Any, value: Any, address: Any, offset: Any) -> None:
    """The nearest numbers in bfloat16."""
    bits = builder.bitcast(value, _WHOLE)
    shift, one, half = (ir.Constant(_WHOLE, [number] * LANES) for number in (16, 1, 0x7FFF))
    even = builder.and_(builder.lshr(bits, shift), one)
    short = builder.trunc(builder.lshr(builder.add(builder.add(bits, half), even), shift), _SHORT)
    place = builder.inttoptr(builder.add(address, offset), _SHORT.as_pointer())
    builder.store(short, place).align = 2
