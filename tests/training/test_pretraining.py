"""Pre-training: batches that are what they claim, and runs that survive a kill."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from f2rcli.methods.f2r import F2R, Networks
from f2rcli.models.layers import padded
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.synthesis.corruption import Law, as_gray, draw_law, recolour
from f2rcli.training.footage.augment import dihedral
from f2rcli.training.footage.clips import renditions
from f2rcli.training.loop.events import Event
from f2rcli.training.loop.settings import TrainSettings
from f2rcli.training.loop.trainer import Trainer
from f2rcli.training.methods.f2r.precomputed import Source, draw_crop, load_precomputed, precompute
from f2rcli.training.methods.f2r.stages import CoarseStage, FusionStage
from f2rcli.training.methods.losses import psnr_loss


def clip(frames: int = 6, height: int = 64, width: int = 72) -> np.ndarray:
    rng = np.random.default_rng(0)
    scene = np.kron(rng.random((12, 14, 3)), np.ones((8, 8, 1)))
    moving = [scene[8 : 8 + height, 2 * t : 2 * t + width] for t in range(frames)]
    return np.rint(np.stack(moving) * 255).astype(np.uint8)


@pytest.mark.parametrize(
    "law", [Law(0, 0.1, 0), Law(0.02, 0.03, 0), Law(0, 0.1, 0.9), Law(0, 0.1, 0, 0.6)]
)
def test_noise_has_the_level_its_law_states(law: Law) -> None:
    clean = np.full((400, 400, 3), 0.4, np.float32)
    error = law.add(clean, np.random.default_rng(0)) - clean
    assert error.std() == pytest.approx(law.level(clean).mean(), rel=0.02)


def test_blurred_noise_is_correlated_and_shared_noise_is_common_to_channels() -> None:
    rng = np.random.default_rng(0)
    blurred = Law(0, 1, 0.8).sample((300, 300, 3), rng)
    assert np.corrcoef(blurred[:, 1:].ravel(), blurred[:, :-1].ravel())[0, 1] == pytest.approx(
        0.68, abs=0.03
    )
    shared = Law(0, 1, 0, 0.5).sample((300, 300, 3), rng).reshape(-1, 3)
    assert np.corrcoef(shared.T)[0, 1] == pytest.approx(0.5, abs=0.02)


def test_every_draw_is_a_law_within_the_stated_mix() -> None:
    rng = np.random.default_rng(0)
    laws = [draw_law(rng) for _ in range(2000)]
    assert np.mean([law.blur > 0 for law in laws]) == pytest.approx(0.35, abs=0.04)
    assert np.mean([law.gain > 0 for law in laws]) == pytest.approx(0.25, abs=0.04)
    assert max(law.read for law in laws) <= 55 / 255


def test_the_eight_flips_and_transposes_are_all_different_and_lose_nothing() -> None:
    crop = np.arange(2 * 3 * 3 * 1, dtype=np.float32).reshape(2, 3, 3, 1)
    turned = [dihedral(crop, code) for code in range(8)]
    assert len({t.tobytes() for t in turned}) == 8
    assert all(sorted(t.ravel()) == sorted(crop.ravel()) for t in turned)


def test_recoloured_pictures_stay_in_range_and_gray_ones_have_equal_channels() -> None:
    picture = np.random.default_rng(0).random((8, 8, 3), np.float32)
    changed = recolour(picture, np.random.default_rng(1))
    assert 0 <= changed.min() <= changed.max() <= 1
    gray = as_gray(picture)
    assert np.ptp(gray, axis=-1).max() == 0


def test_the_loss_of_a_perfect_estimate_is_the_floor_and_weighs_levels_alike() -> None:
    clean = torch.rand(2, 3, 8, 8)
    assert psnr_loss(clean, clean).item() == pytest.approx(0.5 * np.log(2e-5), abs=1e-4)
    steps = [psnr_loss(clean + s, clean).item() for s in (0.05, 0.1, 0.2)]
    assert steps[2] - steps[1] == pytest.approx(steps[1] - steps[0], abs=0.01)


def test_compressed_renditions_are_aligned_with_their_clean_clip(tmp_path: Path) -> None:
    (item,) = renditions({"scene": clip()}, tmp_path, 1, seed=3)
    assert item.noisy.shape == item.clean.shape == clip().shape
    errors = [np.mean((item.noisy[2].astype(float) - item.clean[t]) ** 2) for t in range(6)]
    assert int(np.argmin(errors)) == 2
    assert item.sigma == pytest.approx(
        np.sqrt(np.mean((item.noisy / 255.0 - item.clean / 255.0) ** 2)), rel=1e-3
    )


def tiny_networks() -> Networks:
    torch.manual_seed(0)
    config = {
        "coarse": {"widths": (8, 8)},
        "anchor": {"widths": (8, 8), "hidden": 8},
        "refiner": {"widths": (8, 8), "embed": 8},
    }
    return Networks(3, config)


@pytest.fixture
def rehearsed(tmp_path: Path) -> Path:
    networks, clean = tiny_networks(), clip()
    noisy = np.rint(
        Law(0, 0.1, 0).add(clean.astype(np.float32) / 255, np.random.default_rng(0)).clip(0, 1)
        * 255
    )
    with torch.inference_mode():
        method = F2R(networks, padded)
        source = Source(noisy.astype(np.uint8), clean, NoiseModel.gaussian(0.1, 3))
        precompute(source, method, tmp_path / "scene_0", np.random.default_rng(0))
    return tmp_path


def test_rehearsed_neighbours_are_warped_as_the_pipeline_warps_them(rehearsed: Path) -> None:
    (item,) = load_precomputed(rehearsed)
    assert item.told == NoiseModel((0.0,) * 3, (0.1,) * 3, (0.1,) * 3)
    for seed in range(5):
        crop = draw_crop(item, 32, np.random.default_rng(seed))
        unmoved = np.mean(
            [
                (item.noisy[n, 16:48, 16:48] / 255 - item.noisy[0, 16:48, 16:48] / 255) ** 2
                for n in (1, 2)
            ]
        )
        aligned = np.mean((crop.warped_noisy - crop.clean) ** 2)
        assert aligned < max(unmoved, 0.03)
        assert crop.agreement.shape == (5, 32, 32, 1)  # a clip of six frames


def stages(rehearsed: Path) -> list[Any]:
    networks = tiny_networks()
    (compressed,) = renditions({"scene": clip()}, rehearsed / "compressed", 1, seed=0)
    return [
        CoarseStage(networks.coarse, [clip()], [compressed], batch=2, crop=32),
        FusionStage(
            networks.anchor, networks.refiner, load_precomputed(rehearsed), batch=2, crop=32
        ),
    ]


@pytest.mark.parametrize("which", [0, 1])
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(
    rehearsed: Path, tmp_path: Path, which: int
) -> None:
    settings = TrainSettings(steps=6, precision="fp32", save_every=0)
    whole = Trainer(stages(rehearsed)[which], tmp_path / "whole", settings)
    whole.run(silent)
    broken = stages(rehearsed)[which]
    broken.loss = fail_after(2, broken.loss)
    with pytest.raises(ZeroDivisionError):
        Trainer(broken, tmp_path / "resumed", settings).run(silent)
    resumed = Trainer(stages(rehearsed)[which], tmp_path / "resumed", settings)
    assert resumed.step == 2
    resumed.run(silent)
    ends = [trainer.learner.tensors() for trainer in (whole, resumed)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def silent(event: Event) -> None:
    """Say nothing."""


def fail_after(times: int, loss: Any) -> Any:
    """A loss that works so often."""
    countdown = iter(range(times, -1, -1))

    def failing(batch: Any) -> torch.Tensor:
        return loss(batch) * (1 // min(1, next(countdown)))

    return failing


@pytest.mark.parametrize("which", [0, 1])
def test_what_is_held_out_is_validated_and_shown(
    rehearsed: Path, tmp_path: Path, which: int
) -> None:
    stage = stages(rehearsed)[which]
    assert stage.validate() is None
    assert stage.sample() is None
    stage.held_out = replace(stage)
    settings = TrainSettings(steps=2, precision="fp32", validate_every=1)
    outcome = Trainer(stage, tmp_path, settings).run(silent)
    assert [step for step, _ in outcome.curve] == [0, 1, 2]
    with torch.no_grad():
        assert stage.validate() == stage.validate() == outcome.best
    assert len(list((tmp_path / f"{stage.name}.samples").glob("*.png"))) == 3


def test_training_lowers_the_loss(rehearsed: Path, tmp_path: Path) -> None:
    stage = stages(rehearsed)[0]
    stage.held_out = replace(stage)
    settings = TrainSettings(
        steps=60, warmup=5, lr=3e-3, precision="fp32", log_every=30, validate_every=60, ema=0.9
    )
    outcome = Trainer(stage, tmp_path / "run", settings).run(silent)
    assert outcome.best < outcome.curve[0][1]
    assert len((tmp_path / "run" / "coarse.csv").read_text().splitlines()) == 1 + 3
