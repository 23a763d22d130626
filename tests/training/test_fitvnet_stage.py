"""FITVNet's losses: closed forms, what their optima are, and what they may not see."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from f2rcli import weights
from f2rcli.errors import ConfigError, InputError, UsageError
from f2rcli.methods.fitvnet import LENGTH, MIDDLE, FITVNetNetworks
from f2rcli.noise.clipping import clipped_moments
from f2rcli.noise.law import NoiseLaw
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.synthesis.law import Law
from f2rcli.noise.synthesis.spec import parse
from f2rcli.training.footage.windows import CleanClips, NoisyClips, Sample, cut
from f2rcli.training.loop.settings import TrainSettings
from f2rcli.training.loop.stage import Progressing, sample_rngs
from f2rcli.training.loop.trainer import Trainer
from f2rcli.training.methods.fitvnet.stage import EPOCHS, VARIANTS, FrameSets, JointStage, paired
from f2rcli.training.methods.improvement import TAU
from f2rcli.training.methods.losses import mse_loss
from f2rcli.training.run.config import TrainConfig
from tests.training.test_session import config, run, run_and_write, short, write_clip

pytestmark = pytest.mark.usefixtures("measured_once")

TINY = {"image": {"width": 6}, "block": {"widths": (4, 4, 8, 8)}}
WHITE = Law(0.0, 0.1, 0.0)


def networks(variant: str = "jsc") -> FITVNetNetworks:
    torch.manual_seed(0)
    return FITVNetNetworks(3, TINY | {"hidden": VARIANTS[variant].hidden})


def clips(count: int = 2, frames: int = 8, size: int = 40) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, frames, size, size, 3), np.uint8))


def stage(variant: str, **changes: Any) -> JointStage:
    made = CleanClips(clips(), lambda rng: WHITE)
    values = {"batch": 2, "crop": 32, "cost": mse_loss}
    return JointStage(networks(variant), made, VARIANTS[variant], **(values | changes))


def batch(of: JointStage, key: int = 0) -> FrameSets:
    return of.draw(sample_rngs((0, key), range(of.batch)))


def window(source: Any, seed: int, places: Any = range(5), crop: int = 32) -> FrameSets:
    """A window as arrays, channels last."""
    rng = np.random.default_rng(seed)
    return FrameSets(*paired(source.window(rng, places, crop), places, rng))


def passing_on(nets: FITVNetNetworks) -> FITVNetNetworks:
    """Blocks whose last convolution is zero: identity on their reference."""
    for block in (nets.triple, nets.merge):
        nn.init.zeros_(block.tail[1].weight)
        nn.init.zeros_(block.tail[1].bias)
    return nets


def test_identity_on_the_reference_is_a_global_minimum_of_the_unsupervised_loss() -> None:
    """L_st is zero there, no parameter of the blocks is moved, and clean targets see through it."""
    unsupervised = stage("unsupervised")
    drawn = batch(unsupervised)
    passing_on(unsupervised.networks)
    estimates, restored = unsupervised.networks(drawn.noisy, drawn.level)
    loss = unsupervised.video_loss(estimates, restored, drawn)
    assert loss.item() == 0
    loss.backward()
    assert all(
        not p.grad.count_nonzero()
        for block in (unsupervised.networks.triple, unsupervised.networks.merge)
        for p in block.parameters()
        if p.grad is not None
    )
    jsc = JointStage(unsupervised.networks, unsupervised.source, VARIANTS["jsc"], cost=mse_loss)
    assert jsc.video_loss(estimates, restored, drawn).item() > 0.01


def test_a_hidden_reference_leaves_no_such_minimum() -> None:
    """Passing on costs the error of the neighbours' mean, and blocks are taught to change it."""
    hidden = stage("unsupervised-hidden")
    drawn = batch(hidden)
    passing_on(hidden.networks)
    estimates, restored = hidden.networks(drawn.noisy, drawn.level)
    loss = hidden.video_loss(estimates, restored, drawn)
    between = (estimates[:, MIDDLE - 1] + estimates[:, MIDDLE + 1]) / 2
    expected = (between - drawn.noisy[:, MIDDLE]).square().mean()
    assert float(loss.detach()) == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()
    assert hidden.networks.merge.tail[1].weight.grad.abs().max() > 0


def test_a_stopped_gradient_keeps_the_target_from_following() -> None:
    moved = {}
    for variant in ("unsupervised", "unsupervised-drift"):
        taught = stage(variant)
        drawn = batch(taught)
        estimates = torch.rand(2, LENGTH, 3, 32, 32, requires_grad=True)
        restored = torch.rand(2, 3, 32, 32, requires_grad=True)
        taught.video_loss(estimates, restored, drawn).backward()
        moved[variant] = estimates.grad is not None and bool(estimates.grad.count_nonzero())
        assert restored.grad.count_nonzero()
    assert moved == {"unsupervised": False, "unsupervised-drift": True}


@pytest.mark.parametrize(("progress", "epoch"), [(0.0, 1), (0.49, 20), (0.5, 21), (1.0, EPOCHS)])
def test_the_image_loss_is_weighed_by_alpha_over_the_epoch(progress: float, epoch: int) -> None:
    taught = stage("jsn")
    drawn = batch(taught)
    taught.progress = progress
    with torch.no_grad():
        estimates, restored = taught.networks(drawn.noisy, drawn.level)
        video = taught.video_loss(estimates, restored, drawn)
        image = taught.image_loss(estimates.flatten(0, 1), drawn)
        total = taught.loss(drawn)
    assert taught.epoch == epoch
    assert float(total) == pytest.approx(float(video + image / epoch), rel=1e-5)


def test_base_has_no_image_loss_and_unsupervised_a_larger_one() -> None:
    assert VARIANTS["base"].alpha == 0
    assert VARIANTS["unsupervised"].alpha > VARIANTS["jsn"].alpha == VARIANTS["jsc"].alpha
    taught = stage("base")
    drawn = batch(taught)
    with torch.no_grad():
        video = taught.video_loss(*taught.networks(drawn.noisy, drawn.level), drawn)
        assert float(taught.loss(drawn)) == pytest.approx(float(video), rel=1e-6)


def test_closed_forms_of_both_image_losses() -> None:
    """Against clean frames an estimate that is off by d costs d^2; against a second noisy copy
    sigma^2 more, whatever the estimate is; the noisy frame itself costs sigma^2 and twice that."""
    source = CleanClips(clips(size=136), lambda rng: WHITE)
    costs = {}
    for variant in ("jsc", "jsn"):
        taught = JointStage(networks(), source, VARIANTS[variant], crop=128, batch=2, cost=mse_loss)
        drawn = batch(taught)
        clean = drawn.clean.flatten(0, 1)
        costs[variant] = float(taught.image_loss(clean + 0.2, drawn))
    assert costs["jsc"] == pytest.approx(0.04, rel=1e-5)
    assert costs["jsn"] == pytest.approx(0.04 + 0.01, rel=0.01)
    unrounded = window(source, 5, crop=128)
    assert np.mean((unrounded.second - unrounded.clean) ** 2) == pytest.approx(0.01, rel=0.02)


def test_second_copies_share_no_noise_with_what_is_shown() -> None:
    """Made noise is drawn twice; recorrupted noise is uncorrelated by construction."""
    clean = np.full((1, 6, 256, 256, 3), 0.5)
    noisy = clean + np.random.default_rng(1).normal(0, 0.1, clean.shape)
    law = NoiseLaw(NoiseModel.gaussian(0.1, 3))
    for source in (
        CleanClips(clean, lambda rng: WHITE),
        NoisyClips(noisy.astype(np.float32), [law], [False]),
    ):
        sample = window(source, 3, crop=256)
        first, second = sample.noisy - sample.noisy.mean(), sample.second - sample.second.mean()
        assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.015
        frames = np.corrcoef(first.reshape(5, -1))
        assert np.abs(frames - np.eye(5)).max() < 0.02
    assert second.var() == pytest.approx(0.01 * (1 + TAU**-2), rel=0.02)
    assert first.var() == pytest.approx(0.01 * (1 + TAU**2), rel=0.02)


def test_what_is_told_is_the_level_of_what_is_shown() -> None:
    law = NoiseLaw(NoiseModel.gaussian(0.1, 3))
    source = NoisyClips([np.full((5, 32, 32, 3), 0.5, np.float32)], [law], [False])
    told = {round(float(window(source, seed).level.mean()), 4) for seed in range(20)}
    assert told == {0.0, round(0.1 * math.sqrt(1 + TAU**2), 4)}


def test_targets_that_the_files_range_clipped_say_so() -> None:
    dark = np.full((5, 32, 32, 3), 0.05, np.float32)
    law = NoiseLaw(NoiseModel.gaussian(0.1, 3))
    for clipped, sigma in ((True, 0.1), (False, None)):
        sample = window(NoisyClips([dark], [law], [clipped]), 0)
        cut = sample.cut
        assert (None if cut is None else float(cut.mean())) == pytest.approx(sigma)
        left = clipped_moments(torch.tensor(0.05), torch.tensor(0.1))[1].sqrt() if clipped else 1
        assert sample.second.std() == pytest.approx(0.2 * float(left), rel=0.03)


def test_a_mirrored_frame_has_the_same_noise_twice_and_others_their_own() -> None:
    sample = window(CleanClips(clips(), lambda rng: WHITE), 0, [2, 1, 0, 1, 2])
    for part in (sample.noisy, sample.second):
        assert np.array_equal(part[0], part[4])
        assert np.array_equal(part[1], part[3])
    assert not np.array_equal(sample.noisy - sample.clean, sample.second - sample.clean)


def test_a_hidden_reference_is_never_mirrored_into_its_own_window() -> None:
    hidden, open_ = stage("unsupervised-hidden"), stage("jsc")
    drawn = [[s._places(np.random.default_rng(i)) for i in range(200)] for s in (hidden, open_)]
    assert all(sorted(places) == [0, 1, 2, 3, 4] for places in drawn[0])
    repeated = np.mean([len(set(places)) < 5 for places in drawn[1]])
    assert 0.05 < repeated < 0.3


def test_windows_turn_as_one_and_lose_nothing() -> None:
    numbers = np.arange(5 * 4 * 4 * 3, dtype=np.float32).reshape(5, 4, 4, 3)
    sample = Sample(numbers, numbers + 1, None, numbers[..., :1])
    seen = set()
    for code in range(16):
        one = sample.turned(code % 8, code // 8)
        assert np.array_equal(one.unclipped, one.noisy + 1)
        assert np.array_equal(one.level, one.noisy[..., :1])
        assert one.clean is None
        seen.add(one.noisy.tobytes())
    assert len(seen) == 16


def test_crops_are_consecutive_frames_of_one_place() -> None:
    ramp = np.arange(9, dtype=np.float32)[:, None, None, None] * np.ones((1, 40, 48, 1), np.float32)
    for seed in range(20):
        part = cut(ramp, range(5), 32, np.random.default_rng(seed))
        assert part.shape == (5, 32, 32, 1)
        assert np.array_equal(np.diff(part[:, 0, 0, 0]), np.ones(4))


def test_salt_and_pepper_noise_has_its_shares() -> None:
    law = parse("salt-pepper").draw(np.random.default_rng(0))
    assert law == Law(0.0, 0.1, 0.0, impulses=0.1)
    noisy = law.add(np.full((400, 400, 3), 0.5, np.float32), np.random.default_rng(1))
    assert np.array_equal((noisy == 0).any(-1), (noisy == 0).all(-1))  # pixels, not samples
    for value in (0, 1):
        assert np.mean(noisy == value) == pytest.approx(0.05, abs=0.002)
    rest = noisy[(noisy != 0) & (noisy != 1)]
    assert rest.std() == pytest.approx(0.1, rel=0.01)
    sample = window(CleanClips(clips(), lambda rng: law), 2)
    assert sample.level.max() == 0  # no level describes impulses


def test_the_trainer_tells_the_stage_how_far_it_is(tmp_path: Path) -> None:
    taught = stage("jsc", batch=1)
    assert isinstance(taught, Progressing)
    told = []
    loss = taught.loss
    taught.loss = lambda drawn: told.append(taught.progress) or loss(drawn)  # type: ignore[method-assign]
    Trainer(
        taught, tmp_path, TrainSettings(steps=4, warmup=1, precision="fp32", optimiser="adam")
    ).run(lambda e: None)
    assert told == [0.0, 0.25, 0.5, 0.75]


def asked(clip: Path, **changes: Any) -> TrainConfig:
    stages = short("image", "joint", steps=2, batch=1)
    return config(clip, **({"method": "fitvnet", "stages": stages, "held_out": 4} | changes))


def test_clean_clips_give_weights_that_name_their_networks(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", sigma=0)
    supervised = asked(
        clip,
        recipe="supervised",
        inputs_are_clean=True,
        noise="gaussian:5-80+salt-pepper",
        variant="jsc",
    )
    result = run(supervised)
    made = weights.load(str(result.weights))
    assert (made.header.method, made.header.length, made.header.size) == ("fitvnet", 5, "small")
    assert made.header.config["hidden"] is False
    assert math.isfinite(result.best_loss)


@pytest.mark.parametrize("variant", ["jsn", "unsupervised-hidden"])
def test_noisy_footage_alone(tmp_path: Path, variant: str) -> None:
    result = run_and_write(asked(write_clip(tmp_path / "a.mkv"), variant=variant))
    made = weights.load(str(result.weights))
    assert made.header.config["hidden"] is VARIANTS[variant].hidden
    assert math.isfinite(result.best_loss)


def test_the_published_recipe_is_one_stage_by_the_papers_numbers(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", frames=9)
    published = asked(clip, recipe="published", stages=short("joint", steps=1, batch=1))
    run(published)
    settings = (published.folder / "joint.settings.json").read_text()
    assert '"lr": 0.0001' in settings
    assert '"optimiser": "adam"' in settings


def test_base_has_no_stage_of_the_image_module_alone(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"stage\.image: .* has no such stage"):
        run(asked(write_clip(tmp_path / "a.mkv"), variant="base"))


def test_clean_targets_without_clean_clips_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="variant='jsc': needs clean clips"):
        run(asked(write_clip(tmp_path / "a.mkv"), variant="jsc"))


def test_clips_of_too_few_frames_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no shot of 6 frames"):
        run(asked(write_clip(tmp_path / "a.mkv", frames=5)))


def test_unknown_variants_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="variant='jsx': no such choice"):
        asked(tmp_path / "a.mkv", variant="jsx")
