"""The toy stage, as a module and as a script; the noise of footage, measured once."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from f2rcli.engine.noise.measurement import measure_pictures
from f2rcli.methods.base import Method
from f2rcli.noise.report import NoiseReport
from f2rcli.training.footage import noise_check

TOY = Path(__file__).with_name("toy.py")


@pytest.fixture(scope="session")
def toy() -> ModuleType:
    """tests/training/toy.py."""
    spec = importlib.util.spec_from_file_location("toy", TOY)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["toy"] = module  # dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Same bits in this process and in another one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The noise of pictures that another test had measured, and they are often the same."""
    monkeypatch.setattr(noise_check, "measure_pictures", _remembered)


REPORTS: dict[object, NoiseReport | None] = {}


def _remembered(
    pictures: list[Tensor], method: Method, *rest: Any, **dark: Any
) -> NoiseReport | None:
    shown = b"".join(picture.numpy().tobytes() for picture in pictures)
    key = (shown, method.networks.__class__, repr(rest), repr(dark))
    if key not in REPORTS:
        REPORTS[key] = measure_pictures(pictures, method, *rest, **dark)
    return REPORTS[key]
