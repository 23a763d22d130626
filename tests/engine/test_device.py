"""Threads, memory and precision as the process is told to use them."""

import cv2
import pytest
import torch

from f2rcli.engine.device import (
    choose_precision,
    give_memory_back,
    keep_memory,
    use_threads,
)


def test_threads_reach_torch_and_opencv() -> None:
    before = torch.get_num_threads(), cv2.getNumThreads()
    try:
        assert use_threads(1) == 1
        assert (torch.get_num_threads(), cv2.getNumThreads()) == (1, 1)
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def test_memory_is_kept_wherever_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    assert keep_memory() in (True, False)
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())  # a C library without mallopt
    assert keep_memory() is False
    give_memory_back()  # nothing to give, and no error


@pytest.mark.parametrize(
    ("matrix", "vectors", "float16", "precision"),
    [
        (True, True, True, "bf16"),
        (False, True, False, "bf16"),  # AMD's and Cooper Lake's
        (False, True, True, "fp32"),  # Intel's in a virtual machine that hides matrix units
        (False, False, False, "fp32"),
    ],
)
def test_bf16_is_taken_where_it_is_faster(
    monkeypatch: pytest.MonkeyPatch, matrix: bool, vectors: bool, float16: bool, precision: str
) -> None:
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: matrix)
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: vectors)
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx512_fp16": float16})
    large = "bf16" if vectors else "fp32"  # takes half the memory
    for pixels, usual in ((0, precision), (1920 * 1080, large)):
        assert choose_precision("auto", torch.device("cpu"), pixels) == usual


def test_bf16_needs_no_new_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported", "get_capabilities"):
        monkeypatch.delattr(f"torch.cpu.{name}")
    assert choose_precision("auto", torch.device("cpu")) == "fp32"
