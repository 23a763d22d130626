"""Neighbours moved to the middle frame: by rows above alone, where they show the same."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from f2rcli.models.matching import MEMORY, Following, Matching

RADIUS = 3
FULL = slice(16, -16)


def scene(rows: int = 80, columns: int = 96, seed: int = 0) -> Tensor:
    """A smooth random picture of three colours."""
    torch.manual_seed(seed)
    coarse = torch.rand(1, 3, rows // 8, columns // 8)
    return functional.interpolate(coarse, (rows, columns), mode="bicubic")


def triple(shift: tuple[int, int], sigma: float = 0.0, seed: int = 0) -> Tensor:
    """Frames whose content moves by (dx, dy) from each to the next."""
    dx, dy = shift
    wide = scene(seed=seed)
    frames = [wide.roll((step * dy, step * dx), (2, 3)) for step in (-1, 0, 1)]
    return torch.cat([frame + sigma * torch.randn_like(frame) for frame in frames], 1)


@torch.no_grad()
def test_rows_of_a_result_are_made_of_rows_up_to_their_own() -> None:
    frames = triple((1, 0), 0.1)
    other = frames.clone()
    other[..., 41:, :] = torch.rand_like(other[..., 41:, :])
    for before, after in zip(Matching(RADIUS)(frames), Matching(RADIUS)(other), strict=True):
        assert torch.equal(before[..., :41, :], after[..., :41, :])
        assert not torch.equal(before[..., 41:, :], after[..., 41:, :])


@pytest.mark.parametrize("shift", [(0, 0), (2, 0), (-3, 0), (1, 2), (-2, 1)])
@torch.no_grad()
def test_a_neighbour_is_found_where_it_moved_to_under_noise(shift: tuple[int, int]) -> None:
    dx, dy = shift  # the frame before shows the middle one's content dx to the left and dy above
    _, known = Matching(RADIUS)(triple(shift, 0.1))
    found = known[0, :2, FULL, FULL].median(-1).values.median(-1).values
    assert found.tolist() == pytest.approx([-dx, -dy], abs=0.5)
    if not dy:
        assert known[0, 2, FULL, FULL].median() == pytest.approx(dx, abs=0.5)


@torch.no_grad()
def test_what_still_frames_share_stays_and_their_noise_is_averaged() -> None:
    moved, _ = Matching(RADIUS)(triple((0, 0), 0.1))
    mean = moved.view(3, 3, *moved.shape[-2:]).mean(0)
    left = (mean - scene()[0])[..., FULL, FULL]
    assert left.std() < 0.07


@torch.no_grad()
def test_the_middle_frame_stands_in_for_neighbours_that_show_something_else() -> None:
    middle = scene()
    frames = torch.cat([scene(seed=1), middle, scene(seed=2)], 1)
    _, known = Matching(RADIUS)(frames + 0.1 * torch.randn_like(frames))
    assert (known[0, [1, 3]][:, FULL, FULL] > 0).float().mean() > 0.9


@torch.no_grad()
def test_results_scale_with_the_frames() -> None:
    frames = triple((1, 1), 0.1).double()
    search = Matching(RADIUS).double()
    (moved, known), (bright, same) = search(frames), search(3 * frames)
    torch.testing.assert_close(bright, 3 * moved)
    torch.testing.assert_close(same, known)


@torch.no_grad()
def test_results_follow_the_frames_they_were_made_of() -> None:
    frames = triple((2, 0))
    moved, known = Matching(RADIUS)(frames)
    assert known.shape[1] == MEMORY
    followed, same = Following(RADIUS)(torch.cat([frames, known], 1))
    assert torch.equal(followed, moved)
    assert torch.equal(same, known)
