"""What networks see is the same by kernels as by torch."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest
import torch
from torch import Tensor

from f2rcli.models import fusion
from f2rcli.models.fusion import Aligned, Anchor, BlindAnchor, Refiner
from f2rcli.models.large.codes import coded, plain

pytest.importorskip("numba")
from f2rcli.fast import support

WIDTHS = (8, 8, 8)
BF16 = torch.bfloat16


def random(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(sum(shape)))


def networks(channels: int) -> tuple[BlindAnchor, Refiner]:
    torch.manual_seed(0)
    both = BlindAnchor(channels, WIDTHS, hidden=12), Refiner(channels, WIDTHS, embed=20)
    for network in both:
        for values in network.parameters():
            torch.nn.init.normal_(values, std=0.1)  # nothing is left at zero
    return both


def scene(channels: int, several: int, height: int, width: int) -> Aligned:
    pictures = random(2, several, channels, height, width) * 1.4 - 0.2
    return Aligned(pictures[:1], pictures[1:], random(1, several, 1, height, width) * 3)


def both_ways(run: Callable[[], tuple[Tensor, ...]]) -> tuple[tuple[Tensor, ...], ...]:
    with torch.inference_mode(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(support, "SMALLEST", 0)
        ours = run()
        patch.setattr(fusion, "serve", lambda picture: False)
        return ours, run()


def close(ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...], most: float) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert one.shape == other.shape
        assert one.dtype is other.dtype
        apart = (one.float() - other.float()).abs()
        assert apart.mean() <= most * other.float().abs().mean()
        assert apart.max() <= 100 * most * other.float().abs().max()


@pytest.mark.parametrize(  # a pair each: every one more is compiled anew
    ("precision", "most", "kind"),
    [(nullcontext(), 1e-6, plain), (torch.autocast("cpu", BF16), 4e-3, coded)],
    ids=["fp32", "bf16, codes"],
)
@pytest.mark.parametrize(
    ("channels", "several", "height", "width"),
    [(3, 6, 48, 40), (1, 2, 16, 16), (4, 1, 24, 64), (3, 3, 24, 24)],
)
def test_kernels_show_networks_what_torch_shows(
    precision: AbstractContextManager[object],
    most: float,
    kind: Callable[[Tensor], Tensor],
    channels: int,
    several: int,
    height: int,
    width: int,
) -> None:
    anchor, refiner = networks(channels)
    noisy, coarse, confidence = scene(channels, several, height, width)
    aligned = Aligned(kind(noisy), kind(coarse), confidence)
    centre = [kind(random(1, channels, height, width)), kind(noisy[:, 0])]
    level = torch.full(noisy[:, 0].shape, 0.1)
    with precision:
        close(*both_ways(lambda: anchor._seen(aligned)), most)
        with torch.inference_mode():
            made: Anchor = anchor(aligned)
        close(*both_ways(lambda: refiner._seen(*centre, level, made, aligned)), most)


@pytest.mark.parametrize("absent", [(1,), (0, 1, 2)])
def test_absent_neighbours_have_no_weight(absent: tuple[int, ...]) -> None:
    anchor, _ = networks(3)
    aligned = scene(3, 3, 32, 32)
    aligned.confidence[:, list(absent)] = 0
    ours, theirs = both_ways(lambda: anchor._seen(aligned))
    torch.testing.assert_close(ours[0], theirs[0])
    share = ours[0][:, 1].mean()
    assert share == 0 if len(absent) == 1 else abs(share - 1 / 3) < 1e-6


def test_parts_of_pictures_are_seen_as_they_are() -> None:
    """Strips are cut from pictures, and lie in them with gaps."""
    anchor, refiner = networks(3)
    whole = scene(3, 3, 64, 48)
    part = Aligned(*(x[..., 8:40, :] for x in whole))
    with torch.inference_mode():
        made: Anchor = anchor(part)
    close(*both_ways(lambda: anchor._seen(part)), 1e-6)
    level = torch.zeros(1, 3, 32, 48)
    given = part.noisy[:, 1], part.coarse[:, 1], level, made, part
    close(*both_ways(lambda: refiner._seen(*given)), 1e-6)


def test_what_is_not_a_number_is_not_hidden() -> None:
    anchor, _ = networks(3)
    aligned = scene(3, 2, 32, 32)
    aligned.coarse[0, 0, 0, 4, 6] = torch.nan
    for weights, *_ in both_ways(lambda: anchor._seen(aligned)):
        assert torch.isnan(weights[..., 4, 6]).all()


def test_gradients_and_batches_go_through_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support, "SMALLEST", 0)
    aligned, layer = scene(3, 2, 32, 32), torch.nn.Conv2d(4, 8, 3)
    assert fusion._kernels(layer, aligned) is None
    with torch.inference_mode():
        assert fusion._kernels(layer, aligned) is not None
        assert fusion._kernels(torch.nn.Conv2d(4, 4, 3), aligned) is None
        assert fusion._kernels(layer, Aligned(*(torch.cat([x, x]) for x in aligned))) is None
        assert fusion._kernels(layer, Aligned(*(x.double() for x in aligned))) is None
        assert fusion._kernels(layer, aligned, coded(aligned.noisy[:, 0])) is None


def test_maps_that_hold_one_number_are_seen() -> None:
    _, refiner = networks(3)
    aligned = scene(3, 2, 32, 32)._replace(
        confidence=torch.ones(1, 1, 1, 1, 1).expand(1, 2, 1, 32, 32)
    )
    with torch.inference_mode():
        made: Anchor = networks(3)[0](aligned)
    level = torch.full((1, 1, 1, 1), 0.1).expand(1, 3, 32, 32)
    given = aligned.noisy[:, 0], aligned.coarse[:, 1], level, made, aligned
    close(*both_ways(lambda: refiner._seen(*given)), 1e-6)
