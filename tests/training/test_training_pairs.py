"""Training pairs: what networks are shown shares no noise with what they are taught."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from f2rcli.methods.f2r import F2R, F2RNetworks
from f2rcli.models.layers import padded
from f2rcli.noise.law import NoiseLaw
from f2rcli.noise.model import NoiseModel
from f2rcli.training.footage.windows import channels_first, channels_last
from f2rcli.training.methods.f2r.excerpts import Excerpt
from f2rcli.training.methods.f2r.self_supervised import PairStage, errors_of
from f2rcli.training.methods.f2r.stages import BLIND_WEIGHT
from f2rcli.training.methods.f2r.training_pairs import TargetKind, make_pairs
from f2rcli.training.methods.losses import as_stored, psnr_loss
from f2rcli.training.methods.validation import error_reduction
from f2rcli.window import window_at

SIGMA = 0.08
LAW = NoiseLaw(NoiseModel.gaussian(SIGMA, 3))
FRAMES, SIDE = 6, 64
TINY: dict[str, Any] = {
    "coarse": {"widths": (8, 8)},
    "anchor": {"widths": (8, 8), "hidden": 8},
    "refiner": {"widths": (8, 8), "embed": 8},
}


@pytest.fixture(scope="module")
def scene() -> NDArray[np.float32]:
    """A smooth picture that does not move, (H, W, 3), far from black and white."""
    rows, columns = np.indices((SIDE, SIDE)) / SIDE
    planes = [0.5 + 0.1 * np.sin(5 * rows + c) * np.cos(4 * columns) for c in range(3)]
    return np.stack(planes, -1).astype(np.float32)


@pytest.fixture(scope="module")
def method() -> F2R:
    torch.manual_seed(0)
    return F2R(F2RNetworks(3, TINY).eval(), padded, length=5)


def noisy_clip(scene: NDArray[np.float32], seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return scene + SIGMA * rng.standard_normal((FRAMES, *scene.shape)).astype(np.float32)


def excerpt_of(method: F2R, clip: NDArray[np.float32], target: TargetKind) -> Excerpt:
    rng = np.random.default_rng(7)
    with torch.inference_mode():
        return make_pairs(method, clip, range(len(clip)), target, LAW, rng)


def correlation(first: NDArray[Any], second: NDArray[Any]) -> float:
    return float(np.corrcoef(first.astype(float).ravel(), second.astype(float).ravel())[0, 1])


@pytest.mark.parametrize(("kind", "tau"), [("recorrupted", 0.5), ("even", 1.0)])
def test_recorruption_shows_and_asks_with_independent_noise(
    method: F2R, scene: NDArray[np.float32], kind: str, tau: float
) -> None:
    """Pang et al., CVPR 2021: Cov(n + tau n', n - n'/tau) = 0."""
    excerpt = excerpt_of(method, noisy_clip(scene), TargetKind(kind))
    shown = np.concatenate([pair.noisy - scene for pair in excerpt.pairs])
    asked = np.concatenate([pair.target - scene for pair in excerpt.pairs])
    assert abs(correlation(shown, asked)) < 0.02
    assert shown.std() == pytest.approx(SIGMA * (1 + tau**2) ** 0.5, rel=0.03)
    assert asked.std() == pytest.approx(SIGMA * (1 + 1 / tau**2) ** 0.5, rel=0.03)


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_noise_drawn_wrong_moves_an_error_by_no_more_than_its_doubt(
    method: F2R, scene: NDArray[np.float32], factor: float
) -> None:
    """Of weights that let through more and less of the noise: drawn too strong it speaks for the
    latter. Film grain on gopro_path 'gained' 28 of 8-bit codes squared so, and lost 0.06 dB."""
    law, variance_error = NoiseLaw(LAW.level.scaled(factor)), abs(factor**2 - 1)
    with torch.inference_mode():
        excerpt = make_pairs(method, noisy_clip(scene), range(FRAMES), TargetKind.RECORRUPTED, law,
                             np.random.default_rng(7))  # fmt: skip
    clean = channels_first(scene[None])
    kept = {share: errors_of(method.networks, [excerpt], lambda b, share=share:
                             clean + share * (b.noisy - clean), variance_error)
            for share in (0.8, 0.2)}  # fmt: skip
    fell = error_reduction(kept[0.8], kept[0.2])
    noise = np.concatenate([pair.noisy - scene for pair in excerpt.pairs]).astype(float).var()
    off = fell.mean - (0.8**2 - 0.2**2) * noise
    assert (off > 0) == (factor > 1)
    assert abs(off) == pytest.approx(fell.doubt, rel=0.3)
    again = errors_of(method.networks, [excerpt], lambda b: clean, variance_error)
    assert error_reduction(again, again).doubt == 0


def test_a_sigma_in_doubt_makes_means_near_white_doubtful(
    method: F2R, scene: NDArray[np.float32]
) -> None:
    """sam2_coffee, mostly near white, "gained" 1.5 of 8-bit codes squared at sigma 30, which was
    measured 2 % too high, and lost 0.06 dB: estimates had moved up by half a code."""
    bright = scene + np.float32(0.45)
    clip, law = noisy_clip(bright).clip(0, 1), NoiseLaw(LAW.level.scaled(1.1))
    with torch.inference_mode():
        excerpt = make_pairs(method, clip, range(FRAMES), TargetKind.RECORRUPTED, law,
                             np.random.default_rng(7))  # fmt: skip
    clean = channels_first(bright[None])
    right, moved = (errors_of(method.networks, [excerpt], lambda b, up=up: clean + up, 0.21)
                    for up in (0.0, 0.005))  # fmt: skip
    found = error_reduction(right, moved)
    assert found.mean > 0  # what is further from the truth looks better
    assert found.doubt > found.mean


def test_what_depends_on_the_centre_is_made_from_the_centre_that_is_shown(
    method: F2R, scene: NDArray[np.float32]
) -> None:
    """A coarse frame of the original would carry its noise into the target."""
    excerpt = excerpt_of(method, noisy_clip(scene), TargetKind.RECORRUPTED)
    for pair in excerpt.pairs:
        asked = pair.target - scene
        assert abs(correlation(pair.coarse - scene, asked)) < 0.05
    leak = correlation(excerpt.coarse[2] - scene, excerpt.pairs[2].target - scene)
    assert leak > 0.2  # this test would see it


def test_the_centre_is_never_among_its_neighbours(method: F2R, scene: NDArray[np.float32]) -> None:
    excerpt = excerpt_of(method, noisy_clip(scene), TargetKind.BLIND)
    for centre, pair in enumerate(excerpt.pairs):
        assert centre not in pair.neighbours
        assert len(set(pair.neighbours)) == 4


@pytest.mark.parametrize("target", [TargetKind.BLIND, TargetKind.RENOISED])
def test_the_first_neighbour_is_what_the_pipeline_remembers(
    method: F2R, scene: NDArray[np.float32], target: TargetKind
) -> None:
    """Else weights learn as they never run: in a still scene the memory is worth many frames."""
    excerpt = excerpt_of(method, noisy_clip(scene), target)
    first, *_, last = excerpt.pairs
    assert first.past is None
    assert last.past is not None
    assert last.past.worth.max() > 1.5  # it stands in for frame 1, and is worth 0 and 1
    shown = excerpt.crop(last, 0, 0, SIDE, SIDE).warped_noisy
    assert (shown[0] - scene).std() < 0.9 * (shown[1] - scene).std()


def test_pseudo_pairs_ask_for_the_anchor_and_show_it_with_fresh_noise(
    method: F2R, scene: NDArray[np.float32]
) -> None:
    clip = noisy_clip(scene)
    excerpt = excerpt_of(method, clip, TargetKind.PSEUDO)
    added = np.concatenate([pair.noisy - pair.target for pair in excerpt.pairs])
    assert added.std() == pytest.approx(SIGMA, rel=0.05)
    method.forget()
    with torch.inference_mode():
        frames = [
            method.prepare(i, channels_first(one[None]), LAW.level) for i, one in enumerate(clip)
        ]
        for place, pair in enumerate(excerpt.pairs):
            restored = method.restore(window_at(frames, place, method.length), LAW.level)
            anchor = channels_last(restored.anchor)[0]
            assert np.abs(pair.target - anchor).max() < 2e-3  # float16


def test_a_renoised_clip_has_new_noise_in_every_frame(
    method: F2R, scene: NDArray[np.float32]
) -> None:
    clip = noisy_clip(scene)
    excerpt = excerpt_of(method, clip, TargetKind.RENOISED)
    for frame, pair in enumerate(excerpt.pairs):
        fresh = pair.noisy - pair.target
        assert fresh.std() == pytest.approx(SIGMA, rel=0.05)
        assert abs(correlation(fresh, clip[frame] - scene)) < 0.05
        assert np.array_equal(pair.noisy, excerpt.noisy[frame])


@pytest.mark.parametrize(
    ("part", "trained"),
    [
        ("coarse", {"coarse"}),
        ("anchor", {"anchor"}),
        ("refiner", {"refiner"}),
        ("fusion", {"anchor", "refiner"}),
    ],
)
def test_a_stage_trains_its_networks_alone(
    scene: NDArray[np.float32], part: str, trained: set[str]
) -> None:
    networks = F2RNetworks(3, TINY)
    excerpt = excerpt_of(F2R(networks, padded, 5), noisy_clip(scene), TargetKind.RENOISED)
    stage = PairStage(networks, [excerpt], [], part, batch=2, crop=32, part=part)
    stage.loss(stage.draw([np.random.default_rng(0)] * 2)).backward()
    moved = {
        name
        for name, one in networks.named_children()
        if any(p.grad is not None and bool(p.grad.any()) for p in one.parameters())
    }
    assert moved == trained == set(stage.network)


def test_both_stages_together_learn_what_each_learns_alone(scene: NDArray[np.float32]) -> None:
    """Stage 2 sends no gradient to stage 1, whose losses count BLIND_WEIGHT."""
    networks = F2RNetworks(3, TINY)
    excerpt = excerpt_of(F2R(networks, padded, 5), noisy_clip(scene), TargetKind.RENOISED)
    gradients = {}
    for part in ("anchor", "refiner", "fusion"):
        networks.zero_grad()
        stage = PairStage(networks, [excerpt], [], part, batch=2, crop=32, part=part)
        stage.loss(stage.draw([np.random.default_rng(0)] * 2)).backward()
        gradients[part] = {n: p.grad for n, p in networks.named_parameters() if p.grad is not None}
    for name, together in gradients["fusion"].items():
        part = name.split(".")[0]
        alone = gradients[part][name] * (BLIND_WEIGHT if part == "anchor" else 1)
        assert torch.allclose(together, alone, rtol=1e-3, atol=1e-6), name


@pytest.mark.parametrize("kind", [TargetKind.BLIND, TargetKind.RECORRUPTED])
def test_what_is_learnt_of_clipped_footage_is_unbiased_at_every_brightness(
    method: F2R, kind: TargetKind
) -> None:
    """Two fifths of the picture lie nearer to a rail than two standard deviations of its noise."""
    side, sigma = 96, 0.1
    ramp = np.linspace(0, 1, side, dtype=np.float32)[None, :, None].repeat(side, 0).repeat(3, 2)
    rng = np.random.default_rng(3)
    noisy = ramp + sigma * rng.standard_normal((12, *ramp.shape)).astype(np.float32)
    stored = np.rint(noisy.clip(0, 1) * 255).astype(np.float32) / 255
    law = NoiseLaw(NoiseModel.gaussian(sigma, 3))
    with torch.inference_mode():
        pairs = make_pairs(method, stored, range(len(stored)), kind, law, rng).pairs
    target = torch.from_numpy(np.stack([pair.target for pair in pairs])).float()
    cut = torch.from_numpy(np.stack([pair.cut for pair in pairs])).float()  # type: ignore[arg-type]  # it is there
    learnt = torch.full((1, 1, side, 1), 0.5, requires_grad=True)  # a value for each brightness
    optimiser = torch.optim.LBFGS([learnt], max_iter=60, line_search_fn="strong_wolfe")

    def cost() -> torch.Tensor:
        optimiser.zero_grad()
        found = psnr_loss(as_stored(learnt.expand_as(target), cut), target)
        found.backward()
        return found

    optimiser.step(cost)
    bias = 255 * (learnt.detach().flatten() - torch.from_numpy(ramp[0, :, 0]))
    assert bias.view(8, -1).mean(1).abs().max() < 1


def test_recorrupting_clipped_noise_leaves_no_correlation(method: F2R) -> None:
    """Fresh noise as strong as before the range cut it off would correlate errors by -0.3."""
    dark = np.full((FRAMES, SIDE, SIDE, 3), 0.02, np.float32)
    noise = SIGMA * np.random.default_rng(1).standard_normal(dark.shape).astype(np.float32)
    pairs = excerpt_of(method, (dark + noise).clip(0, 1), TargetKind.RECORRUPTED).pairs
    shown, asked = (np.stack([getattr(p, name) for p in pairs]) for name in ("noisy", "target"))
    assert abs(correlation(shown, asked)) < 0.17


def test_nothing_is_cut_off_where_values_go_beyond_the_range(
    method: F2R, scene: NDArray[np.float32]
) -> None:
    clip = noisy_clip(scene)
    assert clip.max() < 1
    clip[0, 0, 0] = 1.2
    assert excerpt_of(method, clip, TargetKind.BLIND).pairs[2].cut is None
    assert excerpt_of(method, noisy_clip(scene), TargetKind.PSEUDO).pairs[2].cut is None


def test_the_same_generator_gives_the_same_pairs(method: F2R, scene: NDArray[np.float32]) -> None:
    first, second = (
        excerpt_of(method, noisy_clip(scene), TargetKind.RECORRUPTED) for _ in range(2)
    )
    assert np.array_equal(first.pairs[1].target, second.pairs[1].target)
    assert np.array_equal(first.pairs[1].flows, second.pairs[1].flows)
