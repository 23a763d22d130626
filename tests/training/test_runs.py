"""Runs from footage to weights: every method, honest exams, resuming, bad inputs."""

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import f2rcli
from f2rcli import weights
from f2rcli.errors import InputError, UsageError, WeightsError
from f2rcli.io import open_reader
from f2rcli.models.planar import Networks
from f2rcli.training import session
from f2rcli.training.config import TrainConfig
from f2rcli.training.folder import TrainResult, running, summarise
from f2rcli.training.methods.base import TrainingContext
from f2rcli.training.session import train
from tests.training.clips import asked, pictures, run, write_clip

Whole = tuple[TrainResult, list[Any]]
Make = Callable[[str], Whole]
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "a.mkv", pictures(7))


@pytest.fixture(autouse=True)
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps learn from two crops, and exams ask for four frames: whole runs in half the time."""
    load = session.load_recipe

    def small(context: TrainingContext) -> Any:
        recipe = load(context)
        recipe.specs = [replace(spec, batch=2) for spec in recipe.specs]
        return recipe

    monkeypatch.setattr(session, "load_recipe", small)
    monkeypatch.setattr("f2rcli.training.windows.HELD_OUT_CENTRES", 4)


@pytest.fixture
def unplanned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs do not measure what their stages cost, a third of the time of a run of so few steps;
    that it changes nothing of what they learn shows where they end as runs that do."""
    monkeypatch.setattr("f2rcli.training.session.plan_lines", lambda recipe: [])


def beside(clip: Path, folder: Path) -> Path:
    """The clip under a folder of its own, so that its run is."""
    link = folder / clip.name
    link.symlink_to(clip)
    return link


@pytest.fixture(scope="module")
def whole(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A run of a method from nothing that nobody stopped, and what it told."""
    known: dict[str, Whole] = {}

    def made(method: str) -> Whole:
        if method not in known:
            events: list[Any] = []
            folder = tmp_path_factory.mktemp(method)
            known[method] = run(asked(beside(clip, folder), method=method), events), events
        return known[method]

    return made


@pytest.mark.parametrize("method", ["f2r", "udvd", "fitvnet", "blind2sound"])
def test_every_method_trains_from_nothing_and_writes_what_is_better_than_its_input(
    clip: Path, tmp_path: Path, whole: Make, method: str
) -> None:
    result, events = whole(method)
    assert result.weights.exists() == result.written
    said = [event.text for event in events if event.kind == "log" and not event.steps]
    plan = [line for line in said if line.startswith("stage ")]
    first = next(place for place, event in enumerate(events) if event.kind == "validated")
    assert plan  # what each stage costs is said before the first step
    assert any(event.stage == "measuring the noise" and event.steps for event in events)
    assert max(place for place, event in enumerate(events) if event.text in plan) < first
    assert summarise(result)[0][-1].startswith("weights ")
    stored = json.loads((result.config.folder / "result.json").read_text())
    assert stored["measure"] == "gain over the noisy frames"
    if result.written:
        made = weights.load(str(result.weights))
        assert (made.header.method, made.header.channels) == (method, 3)
        assert result.best_db > 0
        done = tmp_path / "done.mkv"
        f2rcli.denoise(str(clip), str(done), method=method, weights=str(result.weights))
        assert done.exists()
    else:
        assert "no better than the noisy frames" in str(result.why_not)


def test_the_gain_that_is_told_is_that_of_denoising(tmp_path: Path, unplanned: None) -> None:
    """Once Blind2Sound was examined by what it says of hidden pixels: 2.4 dB less."""
    with open_reader(EXAMPLES / "noisy_path_lossless.mkv") as reader:
        first = islice(iter(reader), 6)
        frames = np.stack([np.stack(frame.planes, -1)[40:136, 60:188] for frame in first])
    path = write_clip(tmp_path / "a.mkv", frames / 255, sigma=0)
    config = asked(path, method="blind2sound", init="blind2sound-rgb-small")
    told = run(replace(config, steps=1)).start_db
    score = f2rcli.judge(lambda seen: f2rcli.denoise(seen, method="blind2sound"), frames)
    assert told == pytest.approx(score.gain, abs=2)


def test_a_raw_burst_trains_networks_from_nothing(tmp_path: Path, unplanned: None) -> None:
    (tmp_path / "burst").symlink_to(EXAMPLES / "raw_burst")
    result = run(asked(tmp_path / "burst", steps=1))
    assert len(result.curve) >= 4  # of as many stages
    if result.written:
        assert weights.load(str(result.weights)).header.config["layouts"] == ["mosaic"]


def test_small_gray_clips_are_learnt_from(tmp_path: Path, unplanned: None) -> None:
    clip = write_clip(tmp_path / "a.mkv", pictures(12, 56, channels=1))
    assert len(run(asked(clip, method="blind2sound", steps=1)).curve) >= 1


def test_training_leaves_the_weights_that_it_begins_with_as_they_are() -> None:
    start, said = weights.load("f2r-lite"), list[Any]()
    config = TrainConfig(inputs=("a.mkv",), output="out.safetensors")
    context = TrainingContext(config, [], [], start, torch.device("cpu"), "fp32", said.append)
    with torch.no_grad():
        for parameter in context.build(lambda: Networks(start.header.config)).parameters():
            parameter.zero_()
    assert all(tensor.any() for tensor in start.network(lambda: Networks({})).parameters())


def test_a_run_in_bf16_learns_as_others_do(clip: Path, tmp_path: Path, unplanned: None) -> None:
    result = run(asked(beside(clip, tmp_path), precision="bf16", steps=1))
    assert len(result.curve) >= 4  # of all stages


def test_against_clean_clips_results_are_psnr(tmp_path: Path, unplanned: None) -> None:
    clean = write_clip(tmp_path / "clean.mkv", pictures(8), sigma=0)
    result = run(asked(clean, method="blind2sound", noise="gaussian:25"))
    assert result.noise is not None
    assert result.noise.model.sigma8[0] == pytest.approx(25, rel=0.15)
    assert summarise(result)[1]["measure"] == "PSNR"
    start = result.curve[0][2]
    assert -10 * np.log10((25 / 255) ** 2) < start < 45  # above the noisy frames' own


def test_a_run_whose_weights_bring_nothing_writes_none(clip: Path, tmp_path: Path) -> None:
    result = run(asked(beside(clip, tmp_path), adapt=True, steps=1))
    assert not result.written
    assert "no significant improvement" in str(result.why_not)
    assert not result.weights.exists()
    assert result.start_db > 3  # the bundled weights' own, on frames that are held out


@pytest.mark.parametrize(("method", "at"), [("f2r", 4), ("blind2sound", 1)])
def test_a_run_that_was_broken_off_ends_as_an_uninterrupted_one(
    clip: Path, tmp_path: Path, whole: Make, method: str, at: int, request: pytest.FixtureRequest
) -> None:
    """It is not told what its stages cost, either, as the whole one is: that changes nothing."""
    reference = whole(method)[0]
    request.getfixturevalue("unplanned")
    config = asked(beside(clip, tmp_path), method=method)
    saved: list[str] = []

    def interrupt(event: Any) -> None:
        if event.kind == "saved":
            saved.append(event.stage)
            if len(saved) == at:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), running(config):
        train(config, interrupt)
    result = run(replace(config, resume=True))
    assert result.curve == reference.curve
    assert (result.best_db, result.why_not) == (reference.best_db, reference.why_not)
    last = f"{reference.curve[-1][0]}.last.safetensors"
    told, untold = (load_file(one.config.folder / last) for one in (reference, result))
    assert all(torch.equal(told[name], untold[name]) for name in told if name[:8] == "network/")
    if result.written:
        assert result.weights.read_bytes() == reference.weights.read_bytes()
    assert not list(config.folder.glob("*.pairs"))


def test_pairs_that_exist_are_not_made_again(clip: Path, tmp_path: Path, unplanned: None) -> None:
    config = asked(beside(clip, tmp_path), steps=40)
    events: list[Any] = []

    class Enough(Exception):
        pass

    def stop(event: Any) -> None:
        events.append(event)
        if event.stage == "preparing coarse" and event.step >= 2:
            raise Enough

    with pytest.raises(Enough), running(config):
        train(config, stop)
    made = sorted((config.folder / "coarse.pairs").iterdir())
    assert len(made) == 2
    before = [path.stat().st_mtime_ns for path in made]
    again = replace(config, resume=True)
    with pytest.raises(Enough), running(again):
        train(again, stop)
    assert [path.stat().st_mtime_ns for path in made] == before


def test_a_limit_shorter_than_the_preparation_is_one_line(clip: Path, tmp_path: Path) -> None:
    """Once all noise was measured before anyone looked at the clock; loading torch counts, too."""
    events, config = list[Any](), asked(beside(clip, tmp_path), time_limit="1m")
    with running(config):
        result = train(config, events.append, time.monotonic() - 53.99)  # of 54 to train
    assert not result.written
    assert "the time limit came before the first step" in str(result.why_not)
    told = summarise(replace(result, curve=[("coarse", 0, 15.0)]))[0]  # of the first exam alone
    assert told[0].endswith("nothing learnt")
    assert told[-1].endswith("takes a longer one")
    assert list((tmp_path / "out.run" / "footage").iterdir())  # what was read stays
    assert "measuring the noise" not in [event.text for event in events]


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"init": "f2r-full", "method": "udvd"}, UsageError, "for method f2r, not udvd"),
        ({"init": "f2r-full-mosaic"}, UsageError, "for mosaic, the clips are rgb"),
        ({"init": "none.safetensors"}, WeightsError, "neither a bundled name nor a file"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    clip: Path, tmp_path: Path, changes: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        run(asked(beside(clip, tmp_path), **changes))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.run").exists() or any((tmp_path / "out.run").iterdir())


@pytest.mark.parametrize(
    ("made", "sigma", "says"),
    [
        (pictures(3), 25, "too few"),
        (pictures(12), 0, "no measurable noise"),
        (np.zeros((6, 48, 48, 3)), 0, "all alike|black"),
    ],
)
def test_useless_footage_is_refused(tmp_path: Path, made: Any, sigma: float, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        run(asked(write_clip(tmp_path / "a.mkv", made, sigma)))
    assert "\n" not in str(caught.value)


def test_what_went_through_a_codec_is_not_adapted_to(tmp_path: Path) -> None:
    clean = write_clip(tmp_path / "clean.mkv", pictures(12, 64), sigma=0)
    result = run(asked(clean, adapt=True, noise="compressed:30,23"))
    assert "compression" in str(result.why_not)
    assert not result.weights.exists()
