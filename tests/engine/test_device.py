"""Threads, memory and precision as the process is told to use them."""

import numpy as np
import pytest
import torch

from f2rcli import system as memory
from f2rcli.engine import device


def test_memory_is_kept_wherever_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    assert memory.keep_memory() in (True, False)
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())  # a C library without mallopt
    assert memory.keep_memory() is False
    memory.give_memory_back()  # nothing to give, and no error


@pytest.mark.skipif(not memory.keep_memory(memory.OWN), reason="another C library")
def test_a_call_from_python_keeps_memory_while_it_lasts() -> None:
    resource = pytest.importorskip("resource")

    def faults() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(8):
            np.ones(2**23)  # 64 MB
        return int(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

    with memory.kept_memory():
        np.ones(2**23)
        within = faults()
    assert within < faults() / 4


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
        assert device.choose_precision("auto", torch.device("cpu"), pixels) == usual


def test_bf16_needs_no_new_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported", "get_capabilities"):
        monkeypatch.delattr(f"torch.cpu.{name}")
    assert device.choose_precision("auto", torch.device("cpu")) == "fp32"
