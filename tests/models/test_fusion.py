"""Stage 1 and stage 2 against references: how neighbours weigh, and what networks are shown."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from f2rcli.models.fusion import Aligned, Anchor, BlindAnchor, Refiner, posterior_mean, smooth

EPSILON = 1e-4
WIDTHS = (8, 8)


def smoothed(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the 7x7 pixels around each one that lie in the picture (H, W)."""
    height, width = plane.shape
    out = np.empty_like(plane)
    for y in range(height):
        for x in range(width):
            out[y, x] = plane[max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4].mean()
    return out


def aligned(count: int = 3, size: int = 16, seed: int = 0, channels: int = 3) -> Aligned:
    rng = torch.Generator().manual_seed(seed)
    shape = (1, count, channels, size, size)
    coarse = 0.5 + 0.2 * torch.rand(shape, generator=rng)
    noisy = coarse + 0.1 * torch.randn(shape, generator=rng)
    return Aligned(noisy, coarse, torch.rand((1, count, 1, size, size), generator=rng))


def loud(network: nn.Module) -> nn.Module:
    torch.manual_seed(1)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.5 / max(parameter[0].numel(), 1) ** 0.5)
    return network.eval()


class Heard(nn.Module):
    """Stands in for a part of a network: remembers what it is given, and answers with a ramp."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor, extra: Tensor | None = None) -> Tensor:
        self.seen.append(x)
        if extra is not None:
            self.seen.append(extra)
        ramp = torch.arange(float(self.channels)).view(1, -1, 1, 1)
        return ramp.expand(x.shape[0], -1, *x.shape[2:]) / 10

    begun = forward  # of a U-Net

    def ended(self, x: Tensor) -> Tensor:
        return x


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (7, 9), (12, 20)])
def test_a_smooth_mean_counts_the_pixels_inside_alone(size: tuple[int, int]) -> None:
    plane = torch.rand(size, dtype=torch.float64)
    torch.testing.assert_close(
        smooth(plane[None, None])[0, 0], torch.from_numpy(smoothed(plane.numpy()))
    )


def test_the_posterior_mean_is_the_formula() -> None:
    rng = np.random.default_rng(0)
    anchor, noisy = rng.random((2, 3, 16, 20))
    level = np.concatenate([np.full((3, 16, 10), 0.05), np.full((3, 16, 10), 0.9)], 2)
    power = smoothed(np.square(noisy - anchor).mean(0))
    variance = np.square(level).mean(0)
    excess = np.maximum(power - variance, 0)
    wanted = anchor + excess / (excess + variance + EPSILON**2) * (noisy - anchor)
    found = posterior_mean(*(torch.from_numpy(a)[None] for a in (noisy, anchor, level)))
    np.testing.assert_allclose(found[0], wanted, rtol=1e-7)  # shares at borders are float32
    assert (found[0, :, :, 13:] == torch.from_numpy(anchor)[:, :, 13:]).all()  # louder than all


def test_an_untrained_anchor_weighs_neighbours_by_their_confidence() -> None:
    seen = aligned()
    weights = BlindAnchor(3, WIDTHS)(seen).weights
    prior = seen.confidence + EPSILON
    torch.testing.assert_close(weights, prior / prior.sum(1, keepdim=True))


def test_a_neighbour_worth_several_frames_weighs_as_many() -> None:
    seen = aligned(2)
    confidence = torch.ones_like(seen.confidence)
    confidence[:, 0] = 5
    weights = BlindAnchor(3, WIDTHS)(seen._replace(confidence=confidence)).weights
    torch.testing.assert_close(
        weights[:, 0], torch.full_like(weights[:, 0], 5 / 6), atol=1e-4, rtol=0
    )


def test_a_missing_neighbour_weighs_nothing_and_none_at_all_is_no_error() -> None:
    seen = aligned()
    seen.confidence[:, 1] = 0
    weights = loud(BlindAnchor(3, WIDTHS))(seen).weights
    assert weights[:, 1].abs().max() == 0
    seen.confidence[:, 2, :, :8] = 0  # missing at some places only: still a neighbour
    weights = BlindAnchor(3, WIDTHS)(seen).weights.detach()
    assert float(weights[:, 2, :, :8].min()) > 0
    nothing = aligned()._replace(confidence=torch.zeros(1, 3, 1, 16, 16))
    assert nothing.trust.abs().max() == 0
    weights = loud(BlindAnchor(3, WIDTHS))(nothing).weights
    torch.testing.assert_close(weights, torch.full_like(weights, 1 / 3))


def test_trust_is_a_share_of_all_confidence() -> None:
    seen = aligned()
    torch.testing.assert_close(seen.trust, seen.confidence / seen.confidence.sum(1, keepdim=True))
    faint = seen._replace(confidence=torch.full((1, 2, 1, 1, 1), 2e-5))
    torch.testing.assert_close(faint.trust, torch.full((1, 2, 1, 1, 1), 0.2))


def test_weights_do_not_change_when_the_whole_clip_is_made_brighter() -> None:
    seen = aligned(4, 16)
    network = loud(BlindAnchor(3, WIDTHS))
    brighter = Aligned(10 * seen.noisy, 10 * seen.coarse, seen.confidence)
    torch.testing.assert_close(network(brighter).weights, network(seen).weights, atol=2e-3, rtol=0)
    assert float(network(seen).weights.detach().std()) > 0.01


def test_logits_are_made_from_each_neighbours_own_difference_in_units_of_the_common_one() -> None:
    seen = aligned()
    seen.confidence[:, 1] *= 7  # a memory: shown as 1 at most
    network = BlindAnchor(3, WIDTHS)
    network.first = Heard(16)  # type: ignore[assignment]  # a stand-in
    _, spread = network._weigh(seen)
    coarse = seen.coarse[0].double().numpy()  # (N, C, H, W)
    confidence = seen.confidence[0].double().numpy()
    trust = confidence / confidence.sum(0)
    mean = (trust * coarse).sum(0)
    distance = np.abs(coarse - mean).mean(1, keepdims=True)  # (N, 1, H, W)
    wanted = smoothed((trust * distance).sum(0)[0])
    np.testing.assert_allclose(spread[0, 0], wanted, rtol=1e-5)
    scale = 1 / (wanted + EPSILON)
    for place, cells in enumerate(network.first.seen):
        found = nn.functional.pixel_shuffle(cells, 2)[0]
        shown = [(coarse[place] - mean) * scale, distance[place] * scale,
                 np.minimum(confidence[place], 1)]  # fmt: skip
        np.testing.assert_allclose(found, np.concatenate(shown), rtol=1e-4, atol=1e-5)


def test_the_network_sees_means_over_neighbours_and_adds_a_residual_for_each_mode() -> None:
    seen = aligned()
    network = loud(BlindAnchor(3, WIDTHS))
    network.unet = Heard(6)  # type: ignore[assignment]  # a stand-in
    anchor = network(seen)
    merged = (anchor.weights * seen.coarse).sum(1)
    texture = (anchor.weights * (seen.noisy - seen.coarse)).sum(1)
    (shown,) = network.unet.seen
    _, spread = network._weigh(seen)
    torch.testing.assert_close(shown, torch.cat([merged, texture, spread], 1))
    ramp = torch.arange(6.0).view(1, 6, 1, 1) / 10
    torch.testing.assert_close(anchor.strict, merged + texture + ramp[:, :3])
    torch.testing.assert_close(anchor.correction, texture + ramp[:, 3:])
    coarse = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(anchor.guided(coarse), coarse + anchor.correction)


def test_the_refiner_sees_centre_anchor_level_and_weighted_neighbours() -> None:
    seen = aligned()
    network = loud(Refiner(3, WIDTHS, embed=4))
    network.unet = Heard(3)  # type: ignore[assignment]  # a stand-in
    noisy, coarse, correction = torch.rand(3, 1, 3, 16, 16)
    level = torch.full_like(noisy, 0.1)
    weights = torch.softmax(torch.rand(1, 3, 1, 16, 16), 1)
    anchor = Anchor(coarse, correction, weights)
    refined = network(noisy, coarse, level, anchor, seen)
    guided = coarse + correction
    start = posterior_mean(noisy, guided, level)
    shown = network.unet.seen
    centre = torch.cat([start, noisy - start, coarse - start, guided - start, level], 1)
    torch.testing.assert_close(shown[0], centre)
    features = []
    for place in range(3):
        apart = seen.coarse[:, place] - start
        residual = seen.noisy[:, place] - seen.coarse[:, place]
        cells = nn.functional.pixel_unshuffle(
            torch.cat([apart, residual, apart.abs().mean(1, keepdim=True)], 1), 2
        )
        features.append(nn.functional.leaky_relu(network.embed(cells), 0.1))
    for found, chosen in zip(shown[1].chunk(2, 1), (weights, seen.trust), strict=True):
        halves = [nn.functional.avg_pool2d(chosen[:, place], 2) for place in range(3)]
        wanted = sum(half * one for half, one in zip(halves, features, strict=True))
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(refined, start + torch.arange(3.0).view(1, 3, 1, 1) / 10)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_networks_fit_their_channels_and_say_their_stride(channels: int) -> None:
    seen = aligned(2, 16, channels=channels)
    anchor, refiner = BlindAnchor(channels, (8, 8, 8)), Refiner(channels, (8, 8, 8), embed=4)
    assert anchor.stride == refiner.stride == 8
    made = anchor(seen)
    noisy = coarse = level = torch.rand(1, channels, 16, 16)
    assert refiner(noisy, coarse, level, made, seen).shape == noisy.shape
    assert made.strict.shape == made.guided(coarse).shape == noisy.shape
    assert made.weights.shape == (1, 2, 1, 16, 16)


@pytest.mark.parametrize("stage", ["anchor", "refiner"])
def test_nothing_beyond_the_reach_matters_and_the_reach_is_no_larger_than_it_must_be(
    stage: str,
) -> None:
    network = loud(BlindAnchor(1, WIDTHS) if stage == "anchor" else Refiner(1, WIDTHS, embed=4))
    network.double()
    size = 2 * (network.reach // 2 * 2) + 24
    seen = Aligned(*(part.double() for part in aligned(2, size, channels=1)))
    centre = torch.rand(3, 1, 1, size, size, dtype=torch.float64)
    half = torch.full((1, 2, 1, size, size), 0.5, dtype=torch.float64)
    fixed = Anchor(*torch.rand(2, 1, 1, size, size, dtype=torch.float64), half)

    def answer(changed: Aligned) -> Tensor:
        return network(changed).strict if stage == "anchor" else network(*centre, fixed, changed)

    louder = Aligned(*(part.clone() for part in seen))
    for part in louder[:2]:
        part[..., 8, 8] += 0.4
    moved = (answer(louder) - answer(seen)).abs().amax((0, 1)) > 1e-12  # rounding goes further
    far = max(int(axis.max()) for axis in moved.nonzero(as_tuple=True)) - 8
    assert far <= network.reach
    assert network.reach - far <= (15 if stage == "anchor" else 11)  # both are rounded up


def test_a_reach_is_what_each_step_of_a_network_adds_rounded_up_to_the_stride() -> None:
    """Of a U-Net of one level: four convolutions in the middle, head, tail and the cell itself, on
    cells of two pixels; half a window of seven before, and three convolutions or one."""
    level = 2 * (4 + 3)
    for network, before in ((BlindAnchor(1, (8,)), 3 + 3 * 2), (Refiner(1, (8,)), 3 + 2)):
        assert network.stride == 2
        assert network.reach == -(-(level + before) // 2) * 2
