"""What UDVD learns from: its own noisy frames, on many clips or one, and what it refuses."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from f2rcli import weights
from f2rcli.engine.tiles import Runner
from f2rcli.errors import ConfigError, InputError, UsageError
from f2rcli.methods.udvd import UDVD
from f2rcli.models.udvd import UDVDNet as Network
from f2rcli.noise.law import NoiseLaw
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.synthesis.law import Law
from f2rcli.training.footage.windows import CleanClips, NoisyClips
from f2rcli.training.loop.stage import fixed_loss, sample_rngs
from f2rcli.training.methods.udvd import stage as validated
from f2rcli.training.methods.udvd.stage import BlindStage, collated
from f2rcli.training.methods.udvd.start import spread
from f2rcli.training.run.config import TrainConfig
from f2rcli.training.run.overrides import StageOverrides
from f2rcli.training.run.session import train
from tests.methods.test_udvd import TINY
from tests.training.test_session import TOLD, run_and_write, write_clip

pytestmark = pytest.mark.usefixtures("measured_once")

QUICK = {"size": "4,4,6,6,4", "device": "cpu", "precision": "fp32", "threads": 1, "jobs": 1}


@pytest.fixture(autouse=True)
def _small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """To validate on: many of them are what takes the time here."""
    monkeypatch.setattr(validated, "VALIDATION_SIDE", 16)


def clips(count: int = 2, frames: int = 8, size: int = 40) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    blocks = rng.random((count, frames, size // 8, size // 8, 3))
    return list((255 * np.kron(blocks, np.ones((1, 1, 8, 8, 1)))).astype(np.uint8))


def stage(source: Any, covariance: bool = True, crop: int = 32) -> BlindStage:
    torch.manual_seed(0)
    network = Network(3, 5, **TINY, covariance=covariance)
    return BlindStage(network, source, source, "train", batch=2, crop=crop, validation_windows=2)


def gaussian(sigma: float = 0.1) -> CleanClips:
    return CleanClips(clips(), lambda rng: Law(0.0, sigma, 0.0))


def rngs(count: int = 2) -> list[np.random.Generator]:
    return sample_rngs((0, 0), range(count))


def windows(source: Any) -> list[np.ndarray]:
    """Frames, target and variance of a window, channels last."""
    batch = collated([source.window(rngs()[0], range(5), 32)])
    return [np.moveaxis(part[0].numpy(), -3, -1) for part in batch[:3]]


def test_targets_are_the_noisy_centres_before_the_range_cuts_them_off() -> None:
    frames, target, variance = windows(gaussian(0.3))
    assert variance == pytest.approx(0.3**2)
    assert target.min() < 0
    seen = frames[2]
    inside = (target > 0.01) & (target < 0.99)
    assert np.abs(seen - target)[inside].max() <= 0.5 / 255 + 1e-6 or np.array_equal(seen, target)


def test_footage_is_taken_as_it_is_with_the_variance_of_its_law() -> None:
    noisy = [np.random.default_rng(1).random((6, 40, 48, 3)).astype(np.float16)]
    law = NoiseLaw(NoiseModel((0.01,) * 3, (0.02,) * 3, (0.05,) * 3))
    frames, target, variance = windows(NoisyClips(noisy, [law]))
    assert np.array_equal(frames[2], target)
    assert float(variance.mean()) == pytest.approx(0.01 * 0.5 + 0.02**2, rel=0.1)
    _, _, unknown = windows(NoisyClips(noisy, [None]))
    assert (unknown == 0).all()


def test_footage_that_its_range_clipped_tells_the_loss_so() -> None:
    noisy = [np.random.default_rng(1).random((6, 40, 48, 3)).astype(np.float16)]
    law = NoiseLaw(NoiseModel.gaussian(0.2, 3))
    for clipped in (True, False):
        batch = collated([NoisyClips(noisy, [law], [clipped]).window(rngs()[0], range(5), 32)])
        assert (batch.cut is not None) is clipped
        if batch.cut is not None:
            assert batch.cut.flatten().unique() == pytest.approx(0.2)


def test_windows_are_turned_whole_and_reversed_in_time() -> None:
    drawn = stage(gaussian(0.0)).draw(sample_rngs((0, 1), range(8)))
    assert drawn.frames.shape == (8, 5, 3, 32, 32)
    # without noise the centre is the target, however a window was turned
    torch.testing.assert_close(drawn.frames[:, 2], drawn.target, rtol=0, atol=0.5 / 255 + 1e-6)


@pytest.mark.parametrize("covariance", [True, False])
def test_the_gradient_of_a_pixel_s_loss_does_not_pass_through_itself(covariance: bool) -> None:
    made = stage(gaussian(), covariance)
    batch = made.draw(rngs())
    frames = batch.frames.clone().requires_grad_()
    mean = made.network(frames)[:, :3]
    (seen,) = torch.autograd.grad(mean[0, :, 7, 9].sum(), frames)
    assert seen[:, :, :, 7, 9].abs().max() == 0


@pytest.mark.parametrize("covariance", [True, False])
def test_training_lowers_the_loss(covariance: bool) -> None:
    made = stage(gaussian(), covariance)
    with torch.no_grad():
        before = fixed_loss(made, 2)
    optimiser = torch.optim.Adam(made.network.parameters(), 3e-3)
    for step in range(10):
        optimiser.zero_grad()
        made.loss(made.draw(sample_rngs((0, step), range(2)))).backward()
        optimiser.step()
    with torch.no_grad():
        after = fixed_loss(made, 2)
    assert after < (before - 10 if covariance else 0.7 * before)
    with torch.no_grad():
        picture = made.sample()
    assert picture is not None
    assert picture.shape[1] // picture.shape[0] == (3 if covariance else 2)


def test_validation_repeats_itself() -> None:
    made = stage(gaussian())
    first, second = made.validation_errors(), made.validation_errors()
    assert first.score == second.score
    assert np.array_equal(first.errors, second.errors)


def config(clip: Path, **changes: Any) -> TrainConfig:
    values: dict[str, Any] = {
        "inputs": (str(clip),), "output": str(clip.with_name("out.safetensors")), "method": "udvd",
        "validate_every": 6, "log_every": 2, **QUICK,
    }  # fmt: skip
    return TrainConfig(**(values | changes))


def short(name: str = "train", steps: int = 6) -> dict[str, StageOverrides]:
    return {name: StageOverrides(steps=steps, batch=2, crop=32)}


def run(asked: TrainConfig) -> Any:
    return train(asked, lambda event: None)


@pytest.mark.parametrize(("variant", "length"), [("likelihood", 5), ("mse", 3), ("mse", 1)])
def test_noisy_footage_alone_gives_weights_that_load(
    tmp_path: Path, variant: str, length: int
) -> None:
    clip = write_clip(tmp_path / "a.mkv", frames=12)
    run_and_write(config(clip, variant=variant, length=length, stages=short()))
    made = weights.load(str(tmp_path / "out.safetensors"))
    assert made.header.method == "udvd"
    assert made.header.length == length
    assert made.header.config["covariance"] is (variant == "likelihood")
    UDVD.from_weights(made, Runner(torch.device("cpu"), "fp32", None))


def test_one_clip_is_learnt_from_scratch_and_from_weights(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", frames=12, size=TOLD)
    first = run_and_write(
        config(clip, adapt="full", init="scratch", variant="mse", stages=short("adapt"))
    )
    assert first.kept
    assert first.best_loss < first.start_loss
    begun = str(tmp_path / "out.safetensors")
    again = config(
        clip,
        adapt="full",
        init=begun,
        output=str(tmp_path / "b.safetensors"),
        stages=short("adapt"),
    )
    assert "then the user's footage" in weights.load(str(run(again).weights)).header.trained_on


def test_weights_of_one_frame_are_the_start_of_three(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", frames=12)
    run_and_write(config(clip, length=1, stages=short(steps=2)))
    one = weights.load(str(tmp_path / "out.safetensors"))
    frame = torch.rand(1, 1, 3, 32, 32)
    before, after = (
        w.network(lambda w=w: Network(3, w.header.length, **w.header.config))
        for w in (one, spread(one))
    )
    with torch.no_grad():
        torch.testing.assert_close(after(frame.expand(1, 3, 3, 32, 32)), before(frame))
    again = config(clip, length=3, init=str(tmp_path / "out.safetensors"), stages=short(steps=2))
    three = run(replace(again, output=str(tmp_path / "b.safetensors")))
    assert weights.load(str(three.weights)).header.length == 3


def test_clean_clips_with_made_noise_and_gray_weights_from_them(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", frames=12, sigma=0)
    asked = config(clip, inputs_are_clean=True, noise="gaussian:5-55", space="gray", stages=short())
    run(asked)
    assert weights.load(asked.output).header.channels == 1


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"length": 7}, UsageError, "length=7"),
        ({"length": 4}, UsageError, "length=4"),
        ({"variant": "fast"}, UsageError, "variant='fast'"),
        ({"adapt": "fast"}, ConfigError, "not with method udvd"),
        ({"size": "medium"}, UsageError, "size='medium'"),
        ({"size": "8,16"}, ConfigError, "five widths"),
        ({"stages": {"anchor": StageOverrides(steps=1)}}, ConfigError, "anchor"),
        (
            {"inputs_are_clean": True, "noise": "correlated"},
            ConfigError,
            "cannot tell from the picture",
        ),
    ],
)
def test_what_it_cannot_learn_from_is_refused_in_one_line(
    tmp_path: Path, changes: dict[str, Any], kind: type[Exception], said: str
) -> None:
    clip = write_clip(tmp_path / "a.mkv", frames=12)
    with pytest.raises(kind, match=said):
        run(config(clip, **{"stages": short()} | changes))


def test_shots_shorter_than_the_window_are_refused(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", frames=5)
    with pytest.raises(InputError, match="5 frames in its longest shot, too few"):
        run(config(clip, stages=short()))


def test_weights_of_another_method_are_no_start(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", frames=12)
    with pytest.raises(ConfigError, match="not udvd"):
        run(config(clip, init="f2r-rgb-small", stages=short()))
