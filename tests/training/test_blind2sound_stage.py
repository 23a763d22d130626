"""Blind2Sound's stage: what it learns from, and what it must not."""

import numpy as np
import pytest
import torch

from f2rcli.models.blind2sound import Blind2SoundNetworks
from f2rcli.noise.law import NoiseLaw
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.synthesis.law import Law
from f2rcli.training.footage.windows import CleanClips, NoisyClips
from f2rcli.training.loop.settings import TrainSettings
from f2rcli.training.loop.stage import sample_rngs
from f2rcli.training.loop.trainer import Trainer
from f2rcli.training.methods.blind2sound.stage import MaskedBatch, MaskedStage, trusted_pixels

TINY = {"width": 4, "wide": 6, "depth": 2}


def clip(seed: int = 0, channels: int = 3, size: int = 80) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 215, (2, size // 8, size // 8, channels))
    return np.kron(coarse, np.ones((1, 8, 8, 1))).astype(np.uint8)


def white(rng: np.random.Generator) -> Law:
    return Law(0.0, 0.1, 0.0)


def stage(channels: int = 3, **changes: int) -> MaskedStage:
    torch.manual_seed(0)
    networks = Blind2SoundNetworks(channels, TINY, {"widths": (4, 8)})
    source = CleanClips([clip(channels=channels)], white)
    return MaskedStage(networks, source, source, batch=2, crop=64, **changes)


def drawn(of: MaskedStage, seed: int = 1) -> MaskedBatch:
    return of.draw(sample_rngs((seed,), range(2)))


def test_no_clean_picture_is_learnt_from() -> None:
    tested = stage()
    batch = drawn(tested)
    assert batch.clean is not None
    wrong = batch._replace(clean=torch.zeros_like(batch.clean))
    torch.testing.assert_close(tested.loss(batch), tested.loss(wrong))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("cell", "phases"), [(4, 16), (2, 2)])
def test_the_loss_teaches_both_networks(channels: int, cell: int, phases: int) -> None:
    tested = stage(channels, cell=cell, phases=phases)
    tested.loss(drawn(tested)).backward()
    for name, parameter in tested.network.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.isfinite().all()), name
    for part in (tested.network.denoiser, tested.network.estimator):
        assert any(float(p.grad.abs().max()) > 0 for p in part.parameters())


def test_the_visible_branch_has_no_gradient_of_its_own() -> None:
    tested = stage(cell=4, phases=3)
    masked, visible = tested.believe(drawn(tested))
    assert masked.mean.requires_grad
    assert not visible.mean.requires_grad
    assert not visible.covariance.requires_grad


def test_the_loss_is_the_mean_over_samples_so_that_shares_add_up() -> None:
    tested = stage(cell=2, phases=2)
    batch = drawn(tested)
    halves = [
        MaskedBatch(*(part[i : i + 1] for part in batch[:4]), batch.phases)  # type: ignore[index]
        for i in range(2)
    ]
    mean = torch.stack([tested.loss(half) for half in halves]).mean()
    torch.testing.assert_close(tested.loss(batch), mean)


def test_the_loss_changes_with_the_progress_of_the_training() -> None:
    tested = stage()
    batch = drawn(tested)
    early = tested.loss(batch).item()
    tested.progress = 1.0
    assert tested.loss(batch).item() != early


def test_pixels_that_are_not_trusted_teach_the_denoiser_nothing() -> None:
    tested = stage(cell=2, phases=4)
    batch = drawn(tested)
    trusted = torch.ones_like(batch.trusted)
    trusted[..., :32] = 0
    batch = batch._replace(trusted=trusted)
    target = batch.target.requires_grad_()
    masked, _ = tested.believe(batch)
    tested.loss(batch).backward()
    assert masked.mean.shape == (2, 3, 4 * 32, 32)
    # Only the regulariser, which looks at noise and not at pictures, reaches the other half.
    far, near = target.grad[..., :32].abs().mean(), target.grad[..., 32:].abs().mean()
    assert float(far) < float(near) / 5


def test_made_noise_is_shown_as_files_hold_it_and_aimed_at_as_it_was() -> None:
    source = CleanClips([clip()], lambda rng: Law(0.0, 0.5, 0.0))
    crops = [source.window(np.random.default_rng(seed), (0,), 64) for seed in range(12)]
    coded = [crop for crop in crops if not np.array_equal(crop.noisy, crop.unclipped)]
    assert 6 <= len(coded) <= 12  # four of five
    assert all(crop.noisy.min() >= 0 and crop.noisy.max() <= 1 for crop in coded)
    assert all(crop.unclipped.min() < 0 and crop.unclipped.max() > 1 for crop in coded)


def test_gray_networks_learn_from_the_luma_of_colour_clips() -> None:
    crop = CleanClips([clip()], white, gray=True).window(np.random.default_rng(0), (0,), 64)
    assert crop.noisy.shape == (1, 64, 64, 1)


def test_of_clipped_footage_what_lies_near_black_and_white_is_not_trusted() -> None:
    pictures = np.full((2, 64, 64, 3), 0.5, np.float32)
    pictures[:, :, :20], pictures[:, :, 44:] = 0.05, 0.98
    law = NoiseLaw(NoiseModel.gaussian(0.05, 3))
    for clipped in (True, False):
        source = NoisyClips([pictures], [law], [clipped])
        crop = source.window(np.random.default_rng(1), (0,), 64)
        trusted = trusted_pixels(crop)
        assert crop.clean is None
        np.testing.assert_array_equal(crop.noisy, crop.unclipped)
        middle = np.abs(crop.noisy[..., :1] - 0.5) < 1e-6
        assert bool(trusted[~middle].mean() > 0.9) is not clipped
        assert 0.9 < trusted[middle].mean() <= 1


def test_a_pixels_own_value_does_not_decide_whether_it_is_trusted() -> None:
    rng = np.random.default_rng(0)
    pictures = np.clip(rng.normal(0.15, 0.1, (1, 64, 64, 1)), 0, 1).astype(np.float32)
    source = NoisyClips([pictures], [NoiseLaw(NoiseModel.gaussian(0.05, 1))], [True])
    first = source.window(np.random.default_rng(3), (0,), 64)
    changed = pictures.copy()
    changed[:, 30, 30] += 0.3
    changed[:, 50, 11] += 0.4
    second = NoisyClips([changed], source.laws, [True]).window(np.random.default_rng(3), (0,), 64)
    moved = first.noisy[..., 0] != second.noisy[..., 0]
    assert int(moved.sum()) == 2
    one, two = (trusted_pixels(sample)[..., 0] for sample in (first, second))
    np.testing.assert_array_equal(one[moved], two[moved])


def test_a_batch_follows_from_its_generators_alone() -> None:
    tested = stage(cell=4, phases=4)
    one, two = drawn(tested), drawn(tested)
    torch.testing.assert_close(one.noisy, two.noisy)
    assert one.phases == two.phases
    others = {drawn(tested, seed).phases for seed in range(2, 8)}
    assert len(others) > 3


def test_validation_repeats_itself_and_falls_with_training(tmp_path) -> None:
    tested = stage(cell=2, phases=2)
    tested.held_out = CleanClips([clip(1)], white)
    settings = TrainSettings(steps=15, lr=3e-3, warmup=1, precision="fp32", ema=0.5)
    with torch.no_grad():
        before = tested.validate()
        assert before == tested.validate()
    Trainer(tested, tmp_path, settings).run(lambda event: None)
    with torch.no_grad():
        after = tested.validate()
    assert before is not None
    assert after is not None
    assert after < before


def test_footage_is_validated_by_pixels_the_network_has_not_seen() -> None:
    tested = stage(cell=2, phases=2)
    noisy = np.clip(clip(2) / 255 + np.random.default_rng(0).normal(0, 0.1, (2, 80, 80, 3)), 0, 1)
    law = NoiseLaw(NoiseModel.gaussian(0.1, 3))
    tested.held_out = NoisyClips([noisy.astype(np.float32)], [law], [True])
    with torch.no_grad():
        score = tested.validate()
    assert score is not None
    assert -2.4 < score < -1.0  # the noise of the target itself is half the log of 0.01: -2.3
    with torch.no_grad():
        assert tested.sample() is not None
