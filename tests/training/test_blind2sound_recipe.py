"""Training Blind2Sound by `train`: sizes, settings, and what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from f2rcli import weights
from f2rcli.errors import ConfigError, InputError, UsageError
from f2rcli.frames import Space
from f2rcli.models.blind2sound import Blind2SoundNetworks
from f2rcli.noise.report import NoiseReport
from f2rcli.training.footage.footage import Footage
from f2rcli.training.footage.windows import CleanClips, NoisyClips
from f2rcli.training.methods.base import TrainingContext
from f2rcli.training.methods.blind2sound.recipe import Blind2SoundRecipe
from f2rcli.training.run.overrides import StageOverrides
from tests.training.test_footage import stored_codes
from tests.training.test_session import config, run_and_write, write_clip

pytestmark = pytest.mark.usefixtures("measured_once")

SMALL = StageOverrides(steps=2, batch=1, crop=32)


def footage(tmp_path: Path, shape: tuple[int, ...] = (12, 64, 96, 3)) -> Footage:
    codes = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return stored_codes(tmp_path / "clip.f16", codes)


def material(tmp_path: Path, clip: Footage, **changes: Any) -> TrainingContext:
    values = {"method": "blind2sound", "inputs_are_clean": True, "noise": "gaussian:5-55"} | changes
    asked = config(tmp_path / "clip.mkv", **values)
    return TrainingContext(asked, [clip], [], None, tmp_path, torch.device("cpu"), "fp32", 1)


def test_noisy_footage_alone_makes_weights_that_say_what_they_are(tmp_path: Path) -> None:
    asked = config(
        write_clip(tmp_path / "a.mkv", size=48), method="blind2sound", stages={"denoise": SMALL}
    )
    result = run_and_write(asked)
    made = weights.load(str(result.weights))
    assert (made.header.method, made.header.length) == ("blind2sound", 1)
    assert made.header.space is Space.RGB
    assert result.curve[0][0] == 0
    assert np.isfinite(result.best_loss)


def test_sizes_are_those_of_the_paper_or_ours(tmp_path: Path) -> None:
    clip = footage(tmp_path)
    counts = {
        size: sum(
            p.numel()
            for p in Blind2SoundRecipe(material(tmp_path, clip, size=size)).networks.parameters()
        )
        for size in ("small", "published")
    }
    assert counts["published"] == 1_102_953 + 1_678_659
    assert counts["small"] < counts["published"] / 6


@pytest.mark.parametrize("asked", [{"size": "published"}, {"length": 5, "method": "f2r"}])
def test_weights_to_start_from_keep_their_networks(tmp_path: Path, asked: dict[str, Any]) -> None:
    method = asked.get("method", "blind2sound")
    context = material(tmp_path, footage(tmp_path), **asked)
    start = weights.load(weights.choose(method, Space.RGB))
    with pytest.raises(ConfigError, match=r"init=.*: has (size small|length 7), not"):
        replace(context, start=start).header(1, {})
    assert replace(context, config=replace(context.config, size="small", length=None),
                   start=start).header(1, {}).length == start.header.length  # fmt: skip


def test_the_published_recipe_hides_every_pixel_and_learns_as_the_paper_did(
    tmp_path: Path,
) -> None:
    made = Blind2SoundRecipe(
        material(tmp_path, footage(tmp_path, (12, 160, 160, 3)), recipe="published")
    )
    (course,) = made.stage_runs()
    stage: Any = course.stage
    assert (stage.cell, stage.phases, stage.batch, stage.crop) == (4, 16, 4, 128)
    settings = course.settings
    assert (settings.optimiser, settings.lr, settings.schedule) == ("adam", 1e-3, "halved")
    assert settings.rates == (("estimator", 0.5),)
    assert any(n.startswith("estimator") for n, _ in made.networks.named_parameters())
    assert (settings.weight_decay, settings.clip_grad) == (1e-8, 10.0)


def test_held_out_frames_are_not_learnt_from(tmp_path: Path) -> None:
    made = Blind2SoundRecipe(material(tmp_path, footage(tmp_path)))
    (course,) = made.stage_runs()
    stage: Any = course.stage
    assert isinstance(stage.source, CleanClips)
    learnt, held = stage.source.clips[0], stage.held_out.clips[0]
    ((_, tested),) = made.test  # neither taught nor chose
    assert len(learnt) + len(held) + len(tested) == 12
    assert 0 < len(held) <= 2
    assert tested == range(12 - len(tested), 12)
    assert not np.array_equal(learnt[-1], held[0])


def test_gray_weights_are_made_of_colour_clips(tmp_path: Path) -> None:
    made = Blind2SoundRecipe(material(tmp_path, footage(tmp_path), space="gray"))
    assert made.header.space is Space.GRAY
    assert made.header.channels == 1
    (course,) = made.stage_runs()
    stage: Any = course.stage
    assert stage.source.gray


def test_gray_networks_begin_as_colour_ones_do_with_a_gray_picture(tmp_path: Path) -> None:
    start = weights.load(weights.choose("blind2sound", Space.RGB))
    asked = replace(material(tmp_path, footage(tmp_path), space="gray"), start=start)
    made = Blind2SoundRecipe(asked)
    assert (made.header.space, made.header.channels, made.header.order) == (Space.GRAY, 1, "Y")
    colour = start.network(lambda: Blind2SoundNetworks(3, **start.header.config))
    picture = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    wide = picture.expand(1, 3, -1, -1)
    with torch.no_grad():
        found, expected = made.networks.denoiser.raw(picture), colour.denoiser.raw(wide)
        torch.testing.assert_close(found[:, :1], expected[:, :3].mean(1, keepdim=True))
        torch.testing.assert_close(found[:, 1:], expected[:, 8:])
        torch.testing.assert_close(made.networks.estimator(picture), colour.estimator(wide))


@pytest.mark.parametrize("noise", ["correlated", "gaussian:5-55+mixture", "realistic"])
def test_made_noise_that_pixels_share_is_refused(tmp_path: Path, noise: str) -> None:
    with pytest.raises(ConfigError, match="not independent from pixel to pixel"):
        Blind2SoundRecipe(material(tmp_path, footage(tmp_path), noise=noise))


def report(tmp_path: Path) -> NoiseReport:
    from f2rcli.training.run.session import gather

    asked = config(write_clip(tmp_path / "b.mkv", size=48), method="blind2sound")
    asked.folder.mkdir()
    found = gather(asked, torch.device("cpu"), [], lambda event: None).noise[0]
    assert found is not None
    return found


def test_footage_whose_pixels_share_noise_is_refused_by_name(tmp_path: Path) -> None:
    white = report(tmp_path)
    clip = footage(tmp_path)
    asked = material(tmp_path, clip, inputs_are_clean=False, noise=None)
    fine = Blind2SoundRecipe(replace(asked, noise=[white]))
    (course,) = fine.stage_runs()
    stage: Any = course.stage
    assert isinstance(stage.source, NoisyClips)
    assert white.spectrum is not None
    coloured = replace(white, spectrum=replace(white.spectrum, rho_x=(0.4, 0.4, 0.4)))
    assert not coloured.white
    with pytest.raises(InputError, match="clip: its neighbouring pixels share noise"):
        Blind2SoundRecipe(replace(asked, noise=[coloured]))


def test_a_clip_whose_noise_cannot_be_measured_is_refused(tmp_path: Path) -> None:
    asked = material(tmp_path, footage(tmp_path), inputs_are_clean=False, noise=None)
    made = Blind2SoundRecipe(replace(asked, noise=[None]))
    with pytest.raises(InputError, match="its noise cannot be measured"):
        next(made.stage_runs())


def test_clips_smaller_than_a_crop_can_be_are_refused(tmp_path: Path) -> None:
    made = Blind2SoundRecipe(material(tmp_path, footage(tmp_path, (12, 24, 40, 3))))
    with pytest.raises(InputError, match="less than 32 pixels"):
        next(made.stage_runs())


def test_choices_the_method_does_not_have_are_refused(tmp_path: Path) -> None:
    clip = footage(tmp_path)
    for changes, said in (
        ({"size": "base"}, "size='base'"),
        ({"length": 5}, "length=5"),
        ({"recipe": "supervised"}, "recipe='supervised'"),
        ({"stages": {"coarse": SMALL}}, "coarse"),
    ):
        with pytest.raises(UsageError, match=said):
            Blind2SoundRecipe(material(tmp_path, clip, **changes))
    with pytest.raises(ConfigError, match="adapt='full'"):
        material(tmp_path, clip, adapt="full", inputs_are_clean=False, noise=None)
