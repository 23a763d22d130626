"""UDVD's network: what no output may see, what scales with what, and its published size."""

import pytest
import torch
from torch import nn

from f2rcli.models.udvd import Branches, Causal, UDVDNet, Widths, turn

TINY = {"widths": (4, 4, 6, 6, 4), "middle": 3, "last": 4, "radius": 2}


class Still(nn.Module):
    """Finds every neighbour where the middle frame is."""

    reach = 0

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, x.new_zeros(len(x), 4, *x.shape[-2:])


def tiny(channels: int = 1, *, still: bool = False) -> UDVDNet:
    torch.manual_seed(0)
    network = UDVDNet(channels, 5, **TINY).double()  # type: ignore[arg-type]
    if still:
        network.first.moved = Still()
    return network


@pytest.mark.parametrize("size", [(20, 20), (17, 23), (26, 16)])
def test_a_pixel_never_sees_itself_in_any_frame_and_all_others(size) -> None:
    rows, columns = size
    network = tiny(still=True)
    frames = torch.rand(1, 5, 1, rows, columns, dtype=torch.double, requires_grad=True)
    out = network(frames)
    for row, column in ((0, 0), (rows - 1, columns - 1), (7, 11), (rows - 1, 3), (5, columns - 1)):
        (seen,) = torch.autograd.grad(out[0, 0, row, column], frames, retain_graph=True)
        assert seen[0, :, 0, row, column].abs().max() == 0
        hidden = (seen[0, :, 0] == 0).sum((1, 2))
        assert (hidden <= 1 + rows * columns // 1000).all()


@pytest.mark.parametrize("still", [False, True])
@pytest.mark.parametrize("size", [(20, 20), (17, 23)])
def test_a_pixel_replaced_in_every_frame_changes_no_bit_of_its_estimate(size, still: bool) -> None:
    network = tiny(still=still)
    picture = torch.rand(1, 1, 1, *size, dtype=torch.double)
    frames = picture + 0.1 * torch.rand(1, 5, 1, *size, dtype=torch.double)
    other = frames.clone()
    other[..., 6, 9] = 5.0
    with torch.no_grad():
        before, after = network(frames), network(other)
    assert torch.equal(before[..., 6, 9], after[..., 6, 9])
    assert not torch.equal(before[..., 6, 10], after[..., 6, 10])


@pytest.mark.parametrize(
    ("branch", "hidden"),
    [
        (0, lambda r, c: r >= 8),  # sees what is above
        (1, lambda r, c: c <= 9),  # right
        (2, lambda r, c: r <= 8),  # below
        (3, lambda r, c: c >= 9),  # left
    ],
)
def test_every_branch_sees_one_half_plane(branch: int, hidden) -> None:
    torch.manual_seed(0)
    widths = Widths(*TINY["widths"])  # type: ignore[misc]
    branches = Branches(1, 2, widths, Still(), shift=True).double()  # type: ignore[arg-type]
    picture = torch.rand(1, 1, 18, 21, dtype=torch.double, requires_grad=True)
    (seen,) = torch.autograd.grad(branches(picture)[0, branch, :, 8, 9].sum(), picture)
    rows, columns = torch.meshgrid(torch.arange(18), torch.arange(21), indexing="ij")
    unseen = hidden(rows, columns)
    assert (seen[0, 0][unseen] == 0).all()
    assert (seen[0, 0][~unseen] != 0).float().mean() > 0.6


def test_a_chain_s_rows_see_no_row_below() -> None:
    torch.manual_seed(0)
    for shift in (False, True):
        chain = Causal(1, 2, 2, 1, shift=shift).double()
        picture = torch.rand(1, 1, 12, 5, dtype=torch.double, requires_grad=True)
        (seen,) = torch.autograd.grad(chain(picture)[0, 0, 7].sum(), picture)
        lit = seen[0, 0].abs().sum(1) > 0
        assert lit.nonzero().flatten().tolist() == list(range(1 - shift, 8 - shift))


@pytest.mark.parametrize("factor", [0.1, 3.7])
def test_the_network_scales_with_its_input(factor: float) -> None:
    network, frames = tiny(channels=3), torch.rand(1, 5, 3, 16, 20, dtype=torch.double)
    with torch.no_grad():
        torch.testing.assert_close(
            network(factor * frames), factor * network(frames), rtol=1e-12, atol=1e-15
        )
        assert network(0 * frames).abs().max() == 0
        assert not torch.allclose(network(-frames), -network(frames))


def test_an_output_is_the_sum_of_what_it_sees_weighed_by_its_gradient() -> None:
    frames = torch.rand(1, 5, 1, 16, 16, dtype=torch.double, requires_grad=True)
    out = tiny()(frames)[0, 0, 5, 6]
    (weights,) = torch.autograd.grad(out, frames)
    torch.testing.assert_close((weights * frames).sum(), out)


def test_the_published_widths_have_the_published_parameters() -> None:
    """Measured on the release: 2.132 million."""
    count = sum(parameter.numel() for parameter in UDVDNet(3, 5).parameters())
    assert count / 1e6 == pytest.approx(2.132, abs=5e-4)
    first = sum(p.numel() for p in UDVDNet(3, 5).first.parameters())
    assert first / 1e6 == pytest.approx(0.889, abs=5e-4)


def test_a_wide_picture_is_not_made_square() -> None:
    network, seen = tiny(), []
    network.first.unet.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    with torch.no_grad():
        network(torch.rand(1, 5, 1, 12, 40, dtype=torch.double))
    assert [tuple(shape[-2:]) for shape in seen] == [(12, 40), (40, 12)]


def test_turning_there_and_back_changes_nothing() -> None:
    picture = torch.rand(1, 2, 5, 7)
    for quarters in range(4):
        assert torch.equal(turn(turn(picture, quarters), -quarters), picture)


def test_only_five_frames_make_a_window() -> None:
    with pytest.raises(ValueError, match="sees 5 frames"):
        UDVDNet(3, 7)
