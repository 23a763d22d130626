"""Local means on half the grid: what they are, and that they stand for those of every pixel."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from f2rcli.methods.f2r.alignment import photometric
from f2rcli.methods.f2r.pipeline import level_map
from f2rcli.models.large import halves
from f2rcli.models.memory import Memory
from f2rcli.noise.model import NoiseModel

SIZE = (258, 261)


def scene() -> Tensor:
    """A picture with an edge and a slope, (1, 3, H, W)."""
    rows, columns = (torch.linspace(0, 1, size) for size in SIZE)
    plane = 0.3 + 0.2 * columns + 0.3 * (rows[:, None] > 0.5)
    return plane.expand(1, 3, *SIZE).contiguous()


def noisy(seed: int, sigma: float = 0.05) -> Tensor:
    return scene() + sigma * torch.randn(1, 3, *SIZE, generator=torch.Generator().manual_seed(seed))


def test_halves_are_means_of_cells_and_doubles_lie_between_them() -> None:
    picture = torch.rand(2, 3, 6, 8)
    small = halves.halved(picture)
    torch.testing.assert_close(small, torch.nn.functional.avg_pool2d(picture, 2))
    ramp = torch.arange(8.0).expand(1, 1, 6, 8)
    back = halves.doubled(halves.halved(ramp), ramp.shape)
    torch.testing.assert_close(back[..., 1:-1], ramp[..., 1:-1])
    assert halves.halved(picture[..., :5, :7]).shape == (2, 3, 3, 4)


def test_only_large_pictures_without_a_gradient_are_halved() -> None:
    assert halves.serve(scene())
    assert not halves.serve(scene()[..., :255, :])
    assert not halves.serve(scene().requires_grad_())


def levels() -> Tensor:
    return level_map(NoiseModel((0.01,) * 3, (0.02,) * 3, (0.05,) * 3), noisy(0))


def ratings() -> Tensor:
    moved = noisy(1, 0.01).clone()
    moved[..., 60:100, 60:100] += 0.2
    return photometric(torch.stack([moved, noisy(2, 0.01)], 1), noisy(3, 0.01))


def worths() -> Tensor:
    frames = [noisy(seed) for seed in range(3)]
    frames[2][..., 60:100, 60:100] += 0.2
    flow = torch.ones(1, *SIZE, 2)[0].numpy()
    memory = Memory.of(0, frames[0], scene())
    for index in (1, 2):
        memory = memory.carried(
            index, frames[index], scene(), flow, torch.full_like(frames[0], 0.05)
        )
    return memory.count


@pytest.mark.parametrize("made", [levels, ratings, worths])
def test_halves_say_what_every_pixel_says(
    made: Callable[[], Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    half = made()
    monkeypatch.setattr(halves, "LARGE", 1000)
    whole = made()
    assert half.shape == whole.shape
    spread = float((whole - whole.mean()).abs().mean())
    assert 0 < float((half - whole).abs().mean()) < 0.25 * spread
