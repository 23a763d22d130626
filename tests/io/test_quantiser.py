"""How coarsely a codec rounded, from the bytes and words that FFmpeg tells it in."""

import struct
from statistics import median
from typing import Any

import numpy as np
import pytest

from f2rcli.io.video import quantiser
from f2rcli.io.video.quantiser import stated, step8

PICTURE: Any = None


def parameters(
    kind: int, base: int, deltas: list[int], *, start: int = 32, size: int = 20
) -> bytes:
    """AVVideoEncParams of a 64-bit machine: blocks of four numbers, what is added to the quantiser
    there, and maybe more."""
    blocks = b"".join(
        struct.pack("=4ii", 7, -7, 9, 9, delta) + b"\xff" * (size - 20) for delta in deltas
    )
    head = struct.pack("=IIQQii", len(deltas), 77, start, size, kind, base)
    return head + b"\xee" * (start - 32) + blocks


def told(monkeypatch: pytest.MonkeyPatch, data: bytes, bits: int = 8) -> float:
    monkeypatch.setattr(quantiser, "side_data", lambda frame, kind: [data])
    return step8(PICTURE, bits)


def test_the_step_of_a_picture_is_the_root_mean_square_of_its_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(1)
    for kind, count, start, size, bits in (
        (1, 9, 32, 20, 8), (1, 1, 40, 28, 10), (2, 5, 32, 24, 8), (2, 3, 48, 20, 12),
        (1, 0, 32, 20, 8), (2, 0, 32, 20, 8),
    ):  # fmt: skip
        base = int(rng.integers(4, 30))
        deltas = rng.integers(-3, 12, count).tolist()
        each = [base + delta for delta in deltas] or [base]
        steps = [2 ** ((one - 4) / 6) if kind == 1 else one for one in each]
        wanted = (sum(step**2 for step in steps) / len(steps)) ** 0.5 / 2 ** (bits - 8)
        data = parameters(kind, base, deltas, start=start, size=size)
        assert told(monkeypatch, data, bits) == pytest.approx(wanted)


def test_what_is_not_understood_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = parameters(1, 22, [1, 2, 3])
    assert told(monkeypatch, whole) > 0
    assert told(monkeypatch, whole + b"more") == told(monkeypatch, whole)
    for data in (
        b"", whole[:31], whole[:-1], parameters(0, 22, [1]), parameters(3, 22, [1]),
        struct.pack("=IIQQii", 3, 0, 32, 19, 1, 22) + bytes(99),
    ):  # fmt: skip
        assert told(monkeypatch, data) == 0
    assert told(monkeypatch, struct.pack("=IIQQii", 0, 0, 32, 20, 1, 22)) == pytest.approx(8)
    monkeypatch.setattr(quantiser, "side_data", lambda frame, kind: [])
    assert step8(PICTURE, 8) == 0


def test_headers_state_half_the_median_step() -> None:
    """HEVC's quantiser is 26 and what parameter sets and slices add; a step doubles every six."""
    lines = ["0  init_qp_minus26   1 = -4", "slice_type 1 = 2", "12 slice_qp_delta  00111 = 3"]
    assert stated(lines) == pytest.approx(2 ** ((26 - 4 + 3 - 4) / 6) / 2)
    assert stated(lines[2:]) == pytest.approx(2 ** ((26 + 3 - 4) / 6) / 2)
    three = [f"slice_qp_delta 0 = {delta}" for delta in (9, -1, 4)]
    assert stated([*lines[:1], *three]) == pytest.approx(2 ** ((22 + 4 - 4) / 6) / 2)
    assert stated(lines[:2]) == stated([]) == 0


def test_steps_between_the_tables_places_are_straight_in_the_logarithm() -> None:
    indices = [30, 60, 110, 200]
    steps = []
    for index, (low, high) in zip(
        indices, (((25, 32), (50, 57)), ((50, 57), (95, 102)), ((95, 102), (120, 152)),
                  ((188, 510), (219, 915))), strict=True,
    ):  # fmt: skip
        share = (index - low[0]) / (high[0] - low[0])
        steps.append(low[1] ** (1 - share) * high[1] ** share / 8)
        assert stated([f"base_q_idx 0 = {index}"]) == pytest.approx(steps[-1] / 2)
    every = [f"base_q_idx 0 = {index}" for index in indices]
    assert stated(every) == pytest.approx(median(steps) / 2)
