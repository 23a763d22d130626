"""The pieces of footage that pairs are made of: how many, and the same in any number of threads."""

import threading
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from f2rcli.engine.device import use_threads
from f2rcli.frames import Space
from f2rcli.training.footage.footage import Footage
from f2rcli.training.footage.split import LONGEST, SIDE, draw_segments, split
from f2rcli.training.methods.base import load_recipe
from f2rcli.training.methods.f2r import recipe
from f2rcli.training.methods.f2r.excerpts import Excerpt
from f2rcli.training.methods.f2r.recipe import F2RRecipe
from f2rcli.training.methods.f2r.training_pairs import TargetKind, make_pairs
from f2rcli.training.run.session import gather
from tests.training.test_session import config, write_clip


@pytest.fixture
def adapting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> F2RRecipe:
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
        adapting.context.footage, adapting.parts, 40_000, np.random.default_rng(0)
    )
    for pieces in (
        [(segments[0], TargetKind.RECORRUPTED)],
        [(segment, kind) for segment in segments for kind in TargetKind],
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
    known = adapting._exam(test=False)
    probe = adapting.probe().stage
    monkeypatch.setattr(adapting, "_held_out", None)
    last = adapting.stage(adapting.specs[-1])
    assert last.held_out is known
    assert last.excerpts is probe.excerpts  # type: ignore[attr-defined]
    assert probe.held_out == ()  # type: ignore[attr-defined]
    assert adapting.choose_estimate() in (True, False)


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
