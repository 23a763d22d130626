"""The Python API speaks Python: parameter names, its own units, and hints in tracebacks."""

import inspect
import re

import numpy as np
import pytest

import f2rcli
from f2rcli.errors import F2RError, UsageError

CLIP = np.zeros((2, 64, 64), np.uint8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma": -1}, "sigma=-1: must be 0 or more (in the arrays' own units"),
        ({"sigma": 300}, "sigma=300: must be between 0 and 255 (in the units of the pictures)"),
        ({"weights": "./nope.safetensors"}, "weights='./nope.safetensors': neither"),
        ({"device": "gpu"}, "device='gpu': no such choice"),
        ({"tile": 7}, "tile=7: must be 64 or more (pixels per side)"),
        ({"threads": 0}, "threads=0: must be 1 or more"),
        ({"strength": "much"}, "strength='much': must be between 0 and 4"),
    ],
)
def test_errors_name_parameters_and_units(options: dict[str, object], message: str) -> None:
    with pytest.raises(F2RError, match=re.escape(message)) as caught:
        f2rcli.denoise(CLIP, **options)
    assert "--" not in str(caught.value)


def test_the_signature_lists_the_options() -> None:
    parameters = inspect.signature(f2rcli.denoise).parameters
    for name in ("strength", "sigma", "device", "layout", "white", "progress"):
        assert name in parameters
    assert "contract" not in parameters
    assert parameters["strength"].default == 1.0


def test_progress_is_a_bar_on_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    assert np.array_equal(f2rcli.denoise(CLIP, strength=0, progress=True), CLIP)
    assert "2/2" in capfd.readouterr().err
    assert np.array_equal(f2rcli.denoise(CLIP, strength=0), CLIP)
    assert capfd.readouterr().err == ""


def test_a_lazy_array_has_no_progress() -> None:
    da = pytest.importorskip("dask.array")
    with pytest.raises(UsageError, match="progress=True: a Dask array is lazy"):
        f2rcli.denoise(da.from_array(CLIP), progress=True)
