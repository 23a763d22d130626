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

from f2rcli.noise.report import NoiseReport
from f2rcli.training.footage import noise
from f2rcli.training.footage.footage import Footage

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


@pytest.fixture(scope="module")
def measured_once() -> Iterator[None]:
    """The noise of pictures that another test had measured, and they are often the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(noise, "_measured", _remembered)
        yield


measured, REPORTS = noise._measured, dict[object, NoiseReport | None]()


def _remembered(clip: Footage, pictures: list[Tensor], measurer: Any) -> NoiseReport | None:
    shown = b"".join(picture.numpy().tobytes() for picture in pictures)
    sizes = [picture.shape for picture in pictures]
    key = (shown, repr((sizes, clip.channels, clip.floor, clip.stated, clip.sensor, clip.dark)))
    if key not in REPORTS:
        REPORTS[key] = measured(clip, pictures, measurer)
    return REPORTS[key]
