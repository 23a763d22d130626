"""Damage done to bytes at random: what disks, networks and strangers do to files."""

from collections.abc import Callable

import numpy as np

Mutation = Callable[[bytearray, np.random.Generator], bytearray]
EXTREMES = (b"\x00", b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\xff" * 8)
EDGE = 512  # bytes of headers and tails


def mutant(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """The bytes with one or two kinds of damage, and their names."""
    names = rng.choice(sorted(MUTATIONS), size=rng.integers(1, 3))
    damaged = bytearray(data)
    for name in names:
        damaged = MUTATIONS[name](damaged, rng) if damaged else damaged
    return bytes(damaged), "+".join(names)


def _place(data: bytearray, rng: np.random.Generator) -> int:
    """Anywhere; as often near either end as elsewhere."""
    length = len(data)
    near = int(rng.integers(min(EDGE, length)))
    return (int(rng.integers(length)), near, length - 1 - near)[rng.integers(3)]


def _bits(data: bytearray, rng: np.random.Generator) -> bytearray:
    for _ in range(rng.integers(1, 9)):
        data[_place(data, rng)] ^= 1 << int(rng.integers(8))
    return data


def _bytes(data: bytearray, rng: np.random.Generator) -> bytearray:
    for _ in range(rng.integers(1, 17)):
        data[_place(data, rng)] = int(rng.integers(256))
    return data


def _span(data: bytearray, rng: np.random.Generator) -> slice:
    start = _place(data, rng)
    return slice(start, start + int(rng.integers(1, max(2, len(data) // 8))))


def _delete(data: bytearray, rng: np.random.Generator) -> bytearray:
    del data[_span(data, rng)]
    return data


def _insert(data: bytearray, rng: np.random.Generator) -> bytearray:
    place = _place(data, rng)
    data[place:place] = rng.bytes(int(rng.integers(1, 64)))
    return data


def _zero(data: bytearray, rng: np.random.Generator) -> bytearray:
    span = _span(data, rng)
    data[span] = bytes(len(data[span]))
    return data


def _splice(data: bytearray, rng: np.random.Generator) -> bytearray:
    copied = data[_span(data, rng)]
    place = _place(data, rng)
    data[place : place + len(copied)] = copied
    return data


def _truncate(data: bytearray, rng: np.random.Generator) -> bytearray:
    return data[: int(rng.integers(len(data)))]


def _extreme(data: bytearray, rng: np.random.Generator) -> bytearray:
    value, place = EXTREMES[rng.integers(len(EXTREMES))], _place(data, rng)
    data[place : place + len(value)] = value
    return data


MUTATIONS: dict[str, Mutation] = {
    "bits": _bits, "bytes": _bytes, "delete": _delete, "insert": _insert, "zero": _zero,
    "splice": _splice, "truncate": _truncate, "extreme": _extreme,
}  # fmt: skip
