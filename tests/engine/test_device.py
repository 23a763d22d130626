"""Threads and memory as the process is told to use them."""

import cv2
import pytest
import torch

from f2rcli.engine.device import give_memory_back, keep_memory, use_threads


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
