"""A memory gains on still scenes like a mean of all frames, and lets go of what moves."""

import numpy as np
import pytest
import torch
from torch import Tensor

from f2rcli.models import filters
from f2rcli.models import flow as flow_module
from f2rcli.models import placing as memory_module
from f2rcli.models.placing import MOST, Memory
from f2rcli.planes import LAYOUTS

RGB = LAYOUTS["rgb"]
SIGMA, SIDE = 0.06, 96  # cells
STILL = torch.zeros(1, SIDE, SIDE, 2)


@pytest.fixture(params=["opencv", "torch"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor's, and that of a device."""
    if request.param == "torch":
        for room in (filters, flow_module, memory_module):
            monkeypatch.setattr(room, "here", lambda planes: False)


def scene() -> Tensor:
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.random((12, 12, 12)), np.ones((8, 8))).astype(np.float32)
    return torch.from_numpy(blocks)[None] * 0.8 + 0.1


def noisy(clean: Tensor, seed: int) -> Tensor:
    drawn = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))
    return clean + SIGMA * drawn


def level(clean: Tensor) -> Tensor:
    noise = torch.full_like(clean[:, :3], SIGMA)
    return torch.cat([noise, torch.zeros_like(noise)], 1)


def coarse(clean: Tensor, seed: int) -> Tensor:
    return clean + 0.15 * (noisy(clean, 1000 + seed) - clean)


@pytest.mark.usefixtures("_way")
def test_a_still_scene_is_remembered_like_the_mean_of_all_frames() -> None:
    clean = scene()
    memory = Memory.of(noisy(clean, 0), coarse(clean, 0))
    for index in range(1, 20):
        memory = memory.carried(RGB, noisy(clean, index), coarse(clean, index), STILL, level(clean))
    error = float((memory.noisy - clean).square().mean())
    assert error < 1.6 * SIGMA**2 / 20
    assert 10 < float(memory.worth.mean()) <= MOST


@pytest.mark.usefixtures("_way")
def test_what_crosses_a_still_scene_leaves_no_ghost() -> None:
    background = scene()
    memory = Memory.of(noisy(background, 0), coarse(background, 0))
    for index in range(1, 24):
        clean = background.clone()
        left = 6 * index - 24  # a block of its own texture that is gone by the end
        if 0 <= left < SIDE - 16:
            clean[..., 40:56, left : left + 16] = 0.95
        memory = memory.carried(RGB, noisy(clean, index), coarse(clean, index), STILL, level(clean))
        apart = (memory.noisy - clean).square().mean(1)[0]
        # never worse than a fresh frame, wherever the block is or was
        around = apart[36:60, max(left - 30, 0) : max(left + 30, 1)]
        if around.numel() and index > 4:
            assert float(around.mean()) < 1.2 * SIGMA**2, index
    assert float((memory.noisy - background).square().mean()) < 0.35 * SIGMA**2


@pytest.mark.usefixtures("_way")
def test_where_nothing_matches_the_memory_is_the_frame() -> None:
    first, second = scene(), scene().flip(-1)
    memory = Memory.of(noisy(first, 0), coarse(first, 0))
    for index in range(1, 6):
        memory = memory.carried(RGB, noisy(first, index), coarse(first, index), STILL, level(first))
    fresh = noisy(second, 9)
    after = memory.carried(RGB, fresh, coarse(second, 9), STILL, level(second))
    different = (first - second).abs().mean(1) > 0.2
    assert float((after.noisy - fresh).abs().amax(1)[different].mean()) < 0.05
    assert float(after.worth[:, 0][different].mean()) < 1.5


@pytest.mark.usefixtures("_way")
def test_a_memory_moves_with_the_picture() -> None:
    wide = torch.cat([scene(), scene()], 3)
    flow = STILL.clone()
    flow[..., 0] = 2.0  # what is here was two pixels further right

    def view(i: int) -> Tensor:
        return wide[..., 40 - 2 * i : 40 - 2 * i + SIDE]

    memory = Memory.of(noisy(view(0), 0), coarse(view(0), 0))
    for index in range(1, 12):
        # the scene moves right: p shows what the frame before showed at p - 2
        memory = memory.carried(
            RGB, noisy(view(index), index), coarse(view(index), index), -flow, level(view(0))
        )
    error = (memory.noisy - view(11)).square()[..., 30:-4]
    assert float(error.mean()) < 0.5 * SIGMA**2
