"""The parts of kernels: rounding, exponentials, cells, and locks that they do not hold."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

pytest.importorskip("numba")
from f2rcli.fast import anchoring, cells, refining, rows, warping


@rows.compiled
def _lowered(values: Any, into: Any) -> None:
    for i in range(len(values)):
        into[i] = rows.lowered(values[i], into)


@rows.compiled
def _exponential(values: Any, into: Any) -> None:
    for i in range(len(values)):
        into[i] = rows.exponential(values[i])


@rows.compiled
def _packed(lines: Any, into: Any) -> None:
    cells.packed(lines, into)


def test_bfloat16_is_rounded_as_torch_rounds_it() -> None:
    bits = np.random.default_rng(0).integers(0, 2**32, 100_000, np.uint32)
    special = np.float32([0, -0.0, np.inf, -np.inf, 1e-45, 1 + 2**-8, 1 + 3 * 2**-8, np.nan])
    values = np.concatenate([bits.view(np.float32), special])
    values = values[~np.isnan(values)]
    into = np.empty(len(values), np.uint16)
    _lowered(values, into)
    theirs = torch.from_numpy(values).bfloat16().view(torch.uint16).numpy()
    np.testing.assert_array_equal(into, theirs)
    _lowered(np.float32([np.nan]), into)
    assert torch.from_numpy(into[:1]).view(torch.bfloat16).isnan().all()


def test_exponentials_are_within_two_roundings() -> None:
    values = -np.geomspace(1e-6, 87, 10_000).astype(np.float32)
    into = np.empty_like(values)
    _exponential(values, into)
    np.testing.assert_allclose(into, np.exp(values.astype(np.float64)), rtol=2.4e-7)
    edges = np.float32([0, -1e4, -np.inf, np.nan])
    _exponential(edges, into)
    assert into[0] == 1
    assert 0 <= into[1] < 1e-37
    assert 0 <= into[2] < 1e-37
    assert np.isnan(into[3])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("channels", [1, 3, 4, 7])
@pytest.mark.parametrize("width", [16, 22, 50])
def test_cells_are_unshuffled_pixels(dtype: torch.dtype, channels: int, width: int) -> None:
    picture = torch.rand(1, channels, 2, width).to(dtype)
    lines = cells.numbers(picture[0].contiguous())
    room = torch.zeros(width // 2, 4 * channels + 3, dtype=dtype)
    _packed(lines, cells.numbers(room))
    theirs = functional.pixel_unshuffle(picture, 2)[0, :, 0].T
    torch.testing.assert_close(room[:, : 4 * channels], theirs, atol=0, rtol=0)
    assert room[:, 4 * channels :].abs().max() == 0


@pytest.mark.parametrize("module", [anchoring, refining, warping, cells])
def test_kernels_let_other_threads_go_on(module: Any) -> None:
    kernels = [one for one in vars(module).values() if hasattr(one, "targetoptions")]
    assert kernels
    for kernel in kernels:
        assert kernel.targetoptions["nogil"]
        assert kernel.targetoptions["fastmath"] == {"contract"}
