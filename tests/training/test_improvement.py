"""Weights from scratch that would make the footage worse are not written, by any method."""

from pathlib import Path
from typing import Any

import pytest
import torch

from f2rcli.training.methods import trainable
from f2rcli.training.methods.base import load_recipe
from f2rcli.training.run.config import TrainConfig
from f2rcli.training.run.outcome import NOTHING_YET
from f2rcli.training.run.session import gather
from tests.training.test_session import config, run, short, write_clip

pytestmark = pytest.mark.usefixtures("measured_once")

STAGES = {"fitvnet": ("image", "joint"), "udvd": ("train",), "blind2sound": ("denoise",)}
METHODS = sorted(STAGES.keys() & set(trainable()))  # F2R has tests of its own


def asked(folder: Path, method: str, **changes: Any) -> TrainConfig:
    size = 48 if method == "blind2sound" else 32  # it refuses what is too small to be seen as white
    clip = write_clip(folder / "a.mkv", size=size)
    return config(clip, method=method, stages=short(*STAGES[method]), **changes)


@pytest.mark.parametrize("method", [m for m in METHODS if m != "blind2sound"])
def test_what_a_single_step_taught_from_scratch_is_not_written(tmp_path: Path, method: str) -> None:
    given = asked(tmp_path, method)
    result = run(given)
    assert (result.notes[-1], result.written) == (NOTHING_YET, False)
    assert not Path(given.output).exists()


@pytest.mark.parametrize("method", METHODS)
def test_bundled_weights_improve_noisy_footage_and_random_ones_do_not(
    tmp_path: Path, method: str
) -> None:
    given = asked(tmp_path, method, init="rgb")
    given.folder.mkdir()
    context = gather(given, torch.device("cpu"), [], lambda event: None)
    recipe = load_recipe(context)
    assert recipe.improves()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in recipe.networks.parameters():
            parameter.normal_(0, 0.3, generator=generator)
    assert not recipe.improves()
