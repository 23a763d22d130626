"""The pieces of footage that pairs are made of: how many, and the same in any number of threads."""

import threading
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from f2rcli.engine.device import use_threads
from f2rcli.frames import Space
from f2rcli.training.footage import split as parting
from f2rcli.training.footage.footage import Footage
from f2rcli.training.footage.split import LONGEST, SIDE, draw_segments, split
from f2rcli.training.loop.distributed import ALONE
from f2rcli.training.loop.optimiser_step import Clock, OptimiserStep
from f2rcli.training.loop.settings import TrainSettings
from f2rcli.training.loop.stage import sample_rngs
from f2rcli.training.methods.base import load_recipe
from f2rcli.training.methods.f2r import recipe
from f2rcli.training.methods.f2r.excerpts import Excerpt
from f2rcli.training.methods.f2r.recipe import F2RRecipe
from f2rcli.training.methods.f2r.training_pairs import TargetKind, make_pairs
from f2rcli.training.run.session import gather
from tests.training.test_session import config, write_clip

pytestmark = pytest.mark.usefixtures("measured_once")


@pytest.fixture
def adapting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> F2RRecipe:
    """A few pieces of three frames: preparing pairs is what takes the time here."""
    monkeypatch.setattr(parting, "LONGEST", 3)
    monkeypatch.setattr(recipe, "LEAST_PIXELS", 10_000)
    monkeypatch.setattr(recipe, "REPEATS", 10**6)
    asked = config(write_clip(tmp_path / "a.mkv"), adapt="fast")
    made: Any = load_recipe(gather(asked, torch.device("cpu"), [], lambda event: None))
    return made


def arrays(excerpts: list[Excerpt]) -> list[bytes]:
    parts = [part for e in excerpts for pair in e.pairs for part in astuple(pair)]
    shown = [part for part in parts if isinstance(part, np.ndarray)]
    return [array.tobytes() for array in [*shown, *(e.noisy for e in excerpts)]]


def test_pairs_do_not_depend_on_the_number_of_threads(
    adapting: F2RRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work: set[str] = set()

    def noted(*given: Any) -> Excerpt:
        at_work.add(threading.current_thread().name)
        return make_pairs(*given)

    monkeypatch.setattr(recipe, "make_pairs", noted)
    segments = draw_segments(
        adapting.context.footage, adapting.parts, 10_000, np.random.default_rng(0)
    )
    for pieces in (
        [(segments[0], TargetKind.RECORRUPTED)],
        [(segments[0], kind) for kind in TargetKind],
    ):
        made = []
        for threads in (1, 2):
            use_threads(threads)
            at_work.clear()
            made.append(arrays(adapting._made(pieces, np.random.default_rng(1))))
            assert torch.get_num_threads() == threads
        assert len(at_work) == min(len(pieces), 2)
        assert made[0] == made[1]
        assert len(set(made[0])) > len(made[0]) / 2  # no two draw the same noise


def test_an_adaptation_is_validated_on_pairs_that_are_made_once(
    adapting: F2RRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapting.validation_errors()
    known = adapting._fixed_pairs(test=False)
    probe = adapting.probe().stage
    monkeypatch.setattr(adapting, "_held_out", None)
    last = adapting.stage(adapting.specs[-1])
    assert last.held_out is known
    assert last.excerpts is probe.excerpts  # type: ignore[attr-defined]
    assert probe.held_out == ()  # type: ignore[attr-defined]
    assert adapting.improves() in (True, False)


@pytest.mark.parametrize(
    ("wanted", "drawn"), [(1, [8]), (9, [9]), (24, [24]), (30, [24, 8]), (47, [24, 23])]
)
def test_no_more_centres_are_drawn_than_are_wanted(wanted: int, drawn: list[int]) -> None:
    clip = Footage("clip", Space.RGB, Path("none"), (100, 2 * SIDE, SIDE, 3), (range(100),))
    given = ([clip], split([clip], 4), wanted * SIDE**2)
    found = draw_segments(*given, np.random.default_rng(0))
    assert [len(segment.centres) for segment in found] == drawn
    assert {len(segment.frames) for segment in found} == {LONGEST}
    assert {(s.centres[0], s.centres[-1]) for s in found} == {(0, LONGEST - 1)}


@pytest.mark.parametrize("part", ["anchor", "refiner", "fusion"])
def test_threads_that_share_a_batch_find_the_gradient_of_one(
    adapting: F2RRecipe, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    last = adapting.specs[-1]
    pieces = [(segment, TargetKind.RECORRUPTED) for segment, _ in adapting._pieces(last)]
    excerpts = adapting._made(pieces, np.random.default_rng(0))
    stage = adapting._stage(replace(last, part=part, batch=3), excerpts, ())
    step = OptimiserStep(stage, TrainSettings(precision="fp32"), torch.device("cpu"), ALONE)
    batch, at_work, loss = stage.draw(sample_rngs((0,), range(3))), set(), stage.loss

    def noted(given: Any) -> Tensor:
        at_work.add(threading.current_thread().name)
        return loss(given)

    monkeypatch.setattr(stage, "loss", noted)
    found = []
    for threads in (1, 2, 2):
        use_threads(threads)
        at_work.clear()
        loss_of, norm, *_ = step.gradient(batch, Clock(0, False), interrupted=False)
        assert len(at_work) == threads
        found.append((loss_of, norm, [p.grad.clone() for p in step.learner.parameters]))
    (one, norm, whole), (two, other, shared), (_, _, again) = found
    assert (two, other) == pytest.approx((one, norm), rel=1e-4)
    for a, b, c in zip(whole, shared, again, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-3, atol=1e-5 * norm)
        assert bool((b == c).all())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_held_out_errors_do_not_depend_on_the_number_of_threads(
    adapting: F2RRecipe, precision: str
) -> None:
    found = []
    for threads in (1, 2):
        use_threads(threads)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            found.append(adapting.validation_errors())
    assert len(found[0].errors) > 1
    assert found[0].score == found[1].score
    for one, two in zip(found[0].errors, found[1].errors, strict=True):
        np.testing.assert_array_equal(one, two)


def test_threads_that_share_a_batch_share_no_lowered_weights(
    adapting: F2RRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each empties the store as it leaves, and gradients would be rounded as chance has it."""
    last = adapting.specs[-1]
    excerpts = adapting._made(adapting._pieces(last), np.random.default_rng(0))
    stage = adapting._stage(last, excerpts, ())
    step = OptimiserStep(stage, TrainSettings(precision="bf16"), torch.device("cpu"), ALONE)
    batch, loss, stored = stage.draw(sample_rngs((0,), range(last.batch))), stage.loss, set()

    def noted(given: Any) -> Tensor:
        stored.add(torch.is_autocast_cache_enabled())
        return loss(given)

    monkeypatch.setattr(stage, "loss", noted)
    for threads, expected in ((1, True), (2, False)):
        use_threads(threads)
        stored.clear()
        step.gradient(batch, Clock(0, False), interrupted=False)
        assert stored == {expected}
