"""Supervised stages: batches that are what they claim, and runs that survive a kill."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from f2rcli.frames import Space
from f2rcli.header import Header
from f2rcli.methods.f2r import F2R, F2RNetworks
from f2rcli.models.layers import padded
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.synthesis.law import Law, draw_mixture
from f2rcli.noise.synthesis.spec import parse
from f2rcli.training.footage.renditions import Rendition
from f2rcli.training.footage.windows import CleanClips
from f2rcli.training.loop.events import Event
from f2rcli.training.loop.settings import TrainSettings
from f2rcli.training.loop.trainer import Trainer
from f2rcli.training.methods.f2r.degraded_clips import LARGEST
from f2rcli.training.methods.f2r.excerpts import Excerpt, WindowCrop
from f2rcli.training.methods.f2r.precomputed import NoisyPair, load_precomputed, precompute
from f2rcli.training.methods.f2r.precomputing import ClipMaker
from f2rcli.training.methods.f2r.stages import CoarseStage, FusionStage, collated
from f2rcli.training.methods.losses import psnr_loss


def clip(frames: int = 6, height: int = 64, width: int = 72) -> np.ndarray:
    rng = np.random.default_rng(0)
    scene = np.kron(rng.random((12, 14, 3)), np.ones((8, 8, 1)))
    moving = [scene[8 : 8 + height, 2 * t : 2 * t + width] for t in range(frames)]
    return np.rint(np.stack(moving) * 255).astype(np.uint8)


def test_the_loss_of_a_perfect_estimate_is_the_floor_and_weighs_levels_alike() -> None:
    clean = torch.rand(2, 3, 8, 8)
    assert psnr_loss(clean, clean).item() == pytest.approx(0.5 * np.log(2e-5), abs=1e-4)
    steps = [psnr_loss(clean + s, clean).item() for s in (0.05, 0.1, 0.2)]
    assert steps[2] - steps[1] == pytest.approx(steps[1] - steps[0], abs=0.01)


def tiny_networks() -> F2RNetworks:
    torch.manual_seed(0)
    config = {
        "coarse": {"widths": (8, 8)},
        "anchor": {"widths": (8, 8), "hidden": 8},
        "refiner": {"widths": (8, 8), "embed": 8},
    }
    return F2RNetworks(3, config)


@pytest.fixture
def precomputed(tmp_path: Path) -> Path:
    return made(tmp_path, "scene_0", frames=6)


def made(folder: Path, name: str, frames: int) -> Path:
    networks, clean = tiny_networks(), clip(frames)
    noisy = np.rint(
        Law(0, 0.1, 0).add(clean.astype(np.float32) / 255, np.random.default_rng(0)).clip(0, 1)
        * 255
    )
    with torch.inference_mode():
        method = F2R(networks, padded, length=7)
        source = NoisyPair(noisy.astype(np.uint8), clean, NoiseModel.gaussian(0.1, 3))
        precompute(source, method, folder / name, np.random.default_rng(0))
    return folder


def test_large_clips_are_cut_at_one_place_before_they_are_precomputed(tmp_path: Path) -> None:
    rows, columns = np.indices((250, 256))
    scene = np.stack([rows, columns, np.full_like(rows, 90)], -1)
    shot = SimpleNamespace(array=np.broadcast_to(scene, (3, *scene.shape)).astype(np.uint8))
    header = Header(method="f2r", space=Space.RGB, channels=3, length=7, config={})
    maker = ClipMaker(
        tmp_path, (0, 0), [shot], [], parse("gaussian:2"), header, {}, "cpu", "fp32", gray=False
    )
    pair = maker.pair(0, np.random.default_rng(1))
    assert pair.noisy.shape == pair.clean.shape == (3, LARGEST, LARGEST, 3)
    assert np.std(pair.noisy.astype(float) - pair.clean) == pytest.approx(2, abs=0.3)
    top, left = (int(code) for code in pair.clean[0, 0, 0, :2])
    assert np.array_equal(pair.clean[0], scene[top : top + LARGEST, left : left + LARGEST])


def draw_crop(item: Excerpt, seed: int) -> WindowCrop:
    rng = np.random.default_rng(seed)
    return item.draw(item.pairs[rng.integers(len(item.pairs))], 32, rng)


def test_precomputed_neighbours_are_warped_as_the_pipeline_warps_them(precomputed: Path) -> None:
    (item,) = load_precomputed(precomputed)
    assert item.pairs[0].conditioned_on == NoiseModel((0.0,) * 3, (0.1,) * 3, (0.1,) * 3)
    for seed in range(5):
        crop = draw_crop(item, seed)
        unmoved = np.mean(
            [
                (item.noisy[n, 16:48, 16:48] / 255 - item.noisy[0, 16:48, 16:48] / 255) ** 2
                for n in (1, 2)
            ]
        )
        aligned = np.mean((crop.warped_noisy - crop.clean) ** 2)
        assert aligned < max(unmoved, 0.03)
        assert crop.agreement.shape == (5, 32, 32, 1)  # a clip of six frames


def test_clips_too_short_for_a_window_lie_in_a_batch_beside_long_ones(precomputed: Path) -> None:
    items = load_precomputed(made(precomputed, "scene_1", frames=3))
    crops = [draw_crop(item, 0) for item in items]
    batch, alone = collated(crops), collated(crops[1:])
    assert batch.aligned.confidence.shape[1] == 5
    assert not batch.aligned.confidence[1, 2:].any()
    for both, one in zip(batch.aligned, alone.aligned, strict=True):
        assert torch.equal(both[1, :2], one[0])


def stages(precomputed: Path) -> list[Any]:
    networks = tiny_networks()
    rendition = Rendition(clip(), clip(), 0.1)
    source = CleanClips(
        [clip()], lambda rng: None if rng.random() < 0.35 else draw_mixture(rng), [rendition]
    )
    return [
        CoarseStage(networks.coarse, source, batch=2, crop=32),
        FusionStage(
            networks.anchor, networks.refiner, load_precomputed(precomputed), batch=2, crop=32
        ),
    ]


@pytest.mark.parametrize("which", [0, 1])
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(
    precomputed: Path, tmp_path: Path, which: int
) -> None:
    settings = TrainSettings(steps=6, precision="fp32", save_every=0)
    whole = Trainer(stages(precomputed)[which], tmp_path / "whole", settings)
    whole.run(silent)
    broken = stages(precomputed)[which]
    broken.loss = fail_after(2, broken.loss)
    with pytest.raises(ZeroDivisionError):
        Trainer(broken, tmp_path / "resumed", settings).run(silent)
    resumed = Trainer(stages(precomputed)[which], tmp_path / "resumed", settings)
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
    precomputed: Path, tmp_path: Path, which: int
) -> None:
    stage = stages(precomputed)[which]
    assert stage.validate() is None
    assert stage.sample() is None
    stage.held_out = replace(stage)
    settings = TrainSettings(steps=2, precision="fp32", validate_every=1)
    trainer = Trainer(stage, tmp_path, settings)
    trainer.run(silent)
    assert [step for step, _ in trainer.state.curve] == [0, 1, 2]
    with torch.no_grad():
        assert stage.validate() == stage.validate() == trainer.state.best
    assert len(list((tmp_path / f"{stage.name}.samples").glob("*.png"))) == 3


def test_training_lowers_the_loss(precomputed: Path, tmp_path: Path) -> None:
    stage = stages(precomputed)[0]
    stage.held_out = replace(stage)
    settings = TrainSettings(
        steps=60, warmup=5, lr=3e-3, precision="fp32", log_every=30, validate_every=60, ema=0.9
    )
    trainer = Trainer(stage, tmp_path / "run", settings)
    trainer.run(silent)
    assert trainer.state.best < trainer.state.curve[0][1]
    assert len((tmp_path / "run" / "coarse.csv").read_text().splitlines()) == 1 + 3
