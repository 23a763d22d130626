"""A run from footage to weights: held out, kept, refused, resumed."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import tifffile
import torch

from f2rcli import weights
from f2rcli.errors import ConfigError, InputError
from f2rcli.frames import Space
from f2rcli.header import Estimate
from f2rcli.training.footage import split as parting
from f2rcli.training.footage.footage import Footage
from f2rcli.training.footage.split import draw_segments, held_out_segments, split
from f2rcli.training.loop import muon
from f2rcli.training.loop.events import Event, EventKind
from f2rcli.training.methods import trainable
from f2rcli.training.methods.base import OutOfTimeError, TrainingContext
from f2rcli.training.methods.f2r import recipe
from f2rcli.training.methods.f2r.training_pairs import TargetKind
from f2rcli.training.methods.validation import ValidationErrors
from f2rcli.training.run import clock, session
from f2rcli.training.run.clock import LATE, NO_STEP
from f2rcli.training.run.config import TrainConfig
from f2rcli.training.run.outcome import EARLIER, NOTHING_YET, Totals, TrainResult
from f2rcli.training.run.overrides import StageOverrides
from f2rcli.training.run.session import NOTHING_TO_GAIN, train

pytestmark = pytest.mark.usefixtures("measured_once")


def write_clip(path: Path, frames: int = 8, sigma: float = 25, size: int = 32) -> Path:
    """A smooth picture that pans by a pixel per frame, with noise, lossless."""
    rng = np.random.default_rng(0)
    rows, columns = np.indices((size, 2 * size)) / 9.0
    wide = np.stack([0.5 + 0.3 * np.sin(rows + c) * np.cos(columns / 2) for c in range(3)], -1)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = size, size, "bgr0"
        for index in range(frames):
            picture = 60 + 130 * wide[:size, index : index + size]
            noisy = np.clip(np.rint(picture + sigma * rng.standard_normal(picture.shape)), 0, 255)
            frame = av.VideoFrame.from_ndarray(noisy.astype(np.uint8), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="bgr0")))
        container.mux(stream.encode())
    return path


def config(*clips: Path, **changes: Any) -> TrainConfig:
    out = clips[0].with_name("out.safetensors")
    values: dict[str, Any] = {"threads": 1, "jobs": 1, "precision": "fp32", "validate_every": 2}
    return TrainConfig(inputs=tuple(map(str, clips)), output=str(out), **(values | changes))


def run(asked: TrainConfig) -> TrainResult:
    asked.folder.mkdir(exist_ok=True)
    events: list[Event] = []
    return train(asked, events.append)


@pytest.fixture(autouse=True, scope="module")
def _few_pairs() -> Iterator[None]:
    """A few steps need no more; preparing pairs is what takes the time here, and Muon's rounds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parting, "LONGEST", 3)
        patch.setattr(parting, "PAST", 1)
        patch.setattr(recipe, "LEAST_PIXELS", 1)
        patch.setattr(recipe, "REPEATS", 10**6)
        patch.setattr(recipe, "HELD_OUT_CENTRES", 2)
        patch.setattr(recipe, "CLOCKED_STEPS", 30)
        patch.setattr(recipe, "PROBE_STEPS", 2)
        patch.setattr(muon, "ROUNDS", 1)
        yield


Targets = list[TargetKind]


@pytest.fixture
def targets(monkeypatch: pytest.MonkeyPatch) -> Targets:
    """Of all pieces that pairs were made from, as they were made."""
    made, make_pairs = Targets(), recipe.make_pairs

    def noted(*given: Any) -> Any:
        made.append(given[3])
        return make_pairs(*given)

    monkeypatch.setattr(recipe, "make_pairs", noted)
    return made


@pytest.fixture
def _whatever_a_probe_gains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_probed", lambda *given: None)


def is_bundled(path: Path | str, method: str = "f2r") -> bool:
    """Whether a file holds the bundled weights, tensor by tensor."""
    made, bundled = (weights.load(str(name)) for name in (path, weights.choose(method, Space.RGB)))
    return all(bool((made.tensors[n] == t).all()) for n, t in bundled.tensors.items())


Scratch = tuple[TrainConfig, TrainResult, bytes]


def run_and_write(asked: TrainConfig) -> TrainResult:
    """Run from scratch; weights that make the footage worse, after a step or two, are written."""
    with pytest.MonkeyPatch.context() as patch:
        made = import_module(f"f2rcli.training.methods.{asked.method}.recipe").RECIPE
        patch.setattr(made, "improves", lambda self: True)
        return run(asked)


def short(*names: str, steps: int = 1, batch: int = 1) -> dict[str, StageOverrides]:
    return {name: StageOverrides(steps=steps, batch=batch, crop=32) for name in names}


TOLD = 48  # pixels a side from which a clip shows whether its noise is white
SMALL: dict[str, Any] = {"size": "8,16", "length": 3}
RUIN = StageOverrides(steps=1, batch=1, crop=32, lr=0.1)
SCRATCH = tuple(spec.name for spec in recipe.SCRATCH)
UNTRAINED = short(*SCRATCH, steps=0)
ONE_STAGE = short("anchor", "recorruption", steps=0) | short("pseudo")


@pytest.mark.usefixtures("_whatever_a_probe_gains")
def test_adapting_writes_weights_that_load_and_never_scores_worse(tmp_path: Path) -> None:
    result = run(config(write_clip(tmp_path / "a.mkv", size=TOLD), adapt="full", stages=ONE_STAGE))
    made = weights.load(str(result.weights))
    assert made.header.space is Space.RGB
    assert result.notes == []
    assert result.best_loss <= result.start_loss
    assert result.curve[0][0] == 0
    assert result.kept or is_bundled(result.weights)


def test_the_wait_is_said_and_weights_that_would_make_the_footage_worse_are_not_written(
    tmp_path: Path,
) -> None:
    asked, events = config(write_clip(tmp_path / "a.mkv"), **SMALL, stages=UNTRAINED), []
    asked.folder.mkdir()
    result = train(asked, events.append)
    assert (result.notes[-1], result.written) == (NOTHING_YET, False)
    assert not result.weights.exists()
    said = [event.text for event in events if event.kind is EventKind.LOG]
    waits = [text for text in said if not text.startswith("note: ")]
    assert waits[-2:] == ["measuring the noise", "preparing what the first stage learns from"]


def test_the_time_limit_is_asked_while_pairs_are_made(tmp_path: Path, targets: Targets) -> None:
    """A session that makes no step writes nothing over what an earlier one wrote."""
    clip, stages = write_clip(tmp_path / "a.mkv"), short(*SCRATCH)
    asked = config(clip, **SMALL, stages=stages, time_limit="0.01s")
    Path(asked.output).write_bytes(b"earlier")
    result = run(asked)
    assert (result.stopped, result.idle, result.notes[-1]) == ("time limit", True, NO_STEP)
    assert TargetKind.EVEN not in targets
    assert Path(asked.output).read_bytes() == b"earlier"


def test_adapting_ends_at_once_where_a_probe_gains_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "ADAPT_RATE", 1.0)  # ruins the networks
    asked = config(write_clip(tmp_path / "a.mkv", size=TOLD), adapt="fast", stages=ONE_STAGE)
    result = run(asked)
    assert (result.stopped, result.kept) == ("nothing to gain", False)
    assert result.notes == [NOTHING_TO_GAIN]
    assert not list(asked.folder.glob("pseudo*"))
    assert is_bundled(asked.output)


@pytest.mark.parametrize(
    ("given", "said"),
    [({"adapt": "fast"}, LATE), ({"adapt": "full", "time_limit": "0.01s"}, NO_STEP)],
)
def test_an_adaptation_without_time_leaves_the_weights_as_they_were(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    targets: Targets,
    given: dict[str, Any],
    said: str,
) -> None:
    """Opening and measuring count."""
    monkeypatch.setattr(clock, "ADAPT_SECONDS", {"fast": 1e-9})
    result = run(config(write_clip(tmp_path / "a.mkv", size=TOLD), stages=ONE_STAGE, **given))
    assert (result.stopped, result.kept, result.notes) == ("no time", False, [said])
    assert targets == []
    assert is_bundled(result.weights)


@pytest.mark.usefixtures("_whatever_a_probe_gains")
def test_the_clock_ends_an_adaptation_between_the_passes_of_a_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, targets: Targets
) -> None:
    """A piece may take as long as all of the steps."""
    asked = []

    def late_at_last(context: TrainingContext) -> None:
        asked.append(len(targets))
        if len(asked) > 3:
            raise OutOfTimeError

    monkeypatch.setattr(TrainingContext, "check_time", late_at_last)
    result = run(config(write_clip(tmp_path / "a.mkv", size=TOLD), adapt="fast", stages=ONE_STAGE))
    assert (result.stopped, result.kept, result.notes) == ("no time", False, [LATE])
    assert asked[-2] == asked[-1] == len(targets)
    assert is_bundled(result.weights)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({"adapt": "fast", "threads": 1}, 108),
        ({"adapt": "fast", "threads": 2}, 54),
        ({"adapt": "fast", "threads": 4, "time_limit": "9s"}, 9),
        ({"adapt": "full", "threads": 1}, math.inf),
        ({"threads": 1, "time_limit": "90s"}, 90),
    ],
)
def test_adapting_is_given_a_minute_of_two_cores(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], seconds: float
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: given["threads"])
    asked = replace(config(Path("a.mkv")), **given)
    assert clock.seconds_of(asked) == pytest.approx(seconds)


@pytest.mark.parametrize(("fell", "goes_on"), [(2.9, False), (3.1, True)])
def test_a_probe_must_be_surer_than_a_test(fell: float, goes_on: bool) -> None:
    """What falls by two to three standard errors at once is not confirmed in the end."""
    before, chance = np.full((20, 20), 50.0), np.indices((20, 20)).sum(0) % 2 * 2.0 - 1
    after = before - chance - fell * chance.std(ddof=1) / 20
    found = iter([ValidationErrors(0, (blocks,)) for blocks in (before, after)])

    class Recipe:
        networks = torch.nn.Linear(1, 1)
        probe = staticmethod(lambda: None)
        validation_errors = staticmethod(lambda: next(found))

    ended = session._probed(Recipe(), lambda course: Totals())  # type: ignore[arg-type]  # all it asks for
    assert (ended is None) is goes_on


@pytest.mark.parametrize("gained", [0.0, 5.0])
def test_networks_go_back_unless_the_test_frames_show_a_gain(gained: float) -> None:
    """Validation may have chosen them by chance. What is said of their estimates goes too."""
    errors = 50 + np.indices((20, 20)).sum(0) % 2 * 2.0
    found = iter([ValidationErrors(0, (blocks,)) for blocks in (errors, errors - gained)])

    class Recipe:
        networks = torch.nn.Linear(1, 1)
        header = None
        test_errors = staticmethod(lambda: next(found))

    before = Recipe.networks.weight.detach().clone()
    start = session._Start(Recipe())  # type: ignore[arg-type]  # all it asks for
    said = EARLIER[Estimate.COARSE]
    totals = Totals(notes=[said])
    torch.nn.init.constant_(Recipe.networks.weight, 7.0)
    start.returned_unless_better(totals)
    assert totals.kept is bool(gained)
    assert totals.notes == ([said] if gained else [])
    assert Recipe.networks.weight.item() == (7.0 if gained else before.item())


def write_stack(path: Path, frames: int = 8, size: int = 48) -> Path:
    """Two depths of an ImageJ stack whose time is called depth: one noisy, one without noise."""
    rng = np.random.default_rng(0)
    rows, columns = np.indices((size, size)) / 7.0
    light = np.stack([np.sin(rows + t / 3) * np.cos(columns) for t in range(frames)])
    noisy = 300 + 80 * light + 25 * rng.standard_normal(light.shape)
    array = np.rint(np.stack([noisy, 300 + 8000 * light.clip(0)], 1)).astype(np.uint16)
    tifffile.imwrite(path, array, imagej=True, metadata={"axes": "ZCYX"})
    return path


@pytest.mark.usefixtures("_whatever_a_probe_gains")
def test_a_stack_is_adapted_to_lane_by_lane_with_the_axes_that_were_named(tmp_path: Path) -> None:
    stack = write_stack(tmp_path / "a.tif")
    result = run(config(stack, axes="TCYX", adapt="full", stages=ONE_STAGE))
    assert weights.load(str(result.weights)).header.space is Space.GRAY
    assert ["left out" in note and "a.tif (channel 2)" in note for note in result.notes] == [True]
    assert result.best_loss <= result.start_loss


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Scratch:
    """A finished run of all stages, and the bytes of its weights."""
    clip = write_clip(tmp_path_factory.mktemp("scratch") / "a.mkv")
    asked = config(clip, **SMALL, stages=short(*SCRATCH))
    result = run_and_write(asked)
    return asked, result, result.weights.read_bytes()


def test_from_scratch_in_the_widths_asked_for(scratch: Scratch) -> None:
    _, result, _ = scratch
    made = weights.load(str(result.weights))
    assert tuple(made.header.config["refiner"]["widths"]) == (8, 16)
    assert result.stopped == "finished"
    assert np.isfinite(result.best_loss)


def test_resumed_to_the_same_weights_with_nothing_of_finished_stages_prepared_again(
    scratch: Scratch, targets: Targets
) -> None:
    asked, _, first = scratch
    assert run_and_write(replace(asked, resume=True)).weights.read_bytes() == first
    (asked.folder / "recorruption.last.safetensors").unlink()
    targets.clear()
    assert run_and_write(replace(asked, resume=True)).weights.read_bytes() == first
    assert set(targets) == {TargetKind.RECORRUPTED}


def test_several_clips_teach_again_once_they_are_restored(tmp_path: Path) -> None:
    names = [spec.name for spec in recipe.SCRATCH_OF_CLIPS]
    stages = short(*names, steps=0) | short("second-coarse", "fusion")
    clips = [write_clip(tmp_path / f"{name}.mkv") for name in "ab"]
    asked = config(*clips, **SMALL, stages=stages)
    assert run(asked).stopped == "finished"
    alone = config(clips[0], **SMALL, stages=stages, run=str(tmp_path / "alone.run"))
    with pytest.raises(ConfigError, match="second-coarse"):
        run(alone)


def test_weights_that_the_test_frames_do_not_like_are_not_handed_over(tmp_path: Path) -> None:
    """A step at a rate that ruins the networks, from weights that are good."""
    stages = short("anchor", "recorruption", steps=0)
    stages["pseudo"] = StageOverrides(steps=1, batch=1, crop=32, lr=1.0)
    asked = config(write_clip(tmp_path / "a.mkv"), init="rgb", stages=stages, validate_every=1)
    result = run(asked)
    assert not result.kept
    assert result.fell is None
    assert is_bundled(asked.output)


@pytest.mark.parametrize("changes", [{}, {"inputs_are_clean": True, "noise": "gaussian:30"}])
@pytest.mark.parametrize(
    ("method", "stages"),
    [
        ("fitvnet", short("image", steps=0) | {"joint": RUIN}),
        ("blind2sound", {"denoise": RUIN}),
        ("udvd", {"train": RUIN}),
    ],
)
def test_no_method_hands_over_weights_that_the_test_frames_do_not_like(
    tmp_path: Path,
    method: str,
    stages: dict[str, StageOverrides],
    changes: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if method not in trainable():
        pytest.skip(f"{method} was removed")
    if method == "udvd":
        monkeypatch.setattr("f2rcli.training.methods.udvd.stage.VALIDATION_SIDE", 16)
    clip = write_clip(tmp_path / "a.mkv", frames=16, size=48)
    asked = config(clip, method=method, init="rgb", stages=stages, validate_every=1, **changes)
    result = run(asked)
    assert not result.kept
    assert result.best_loss == result.start_loss
    assert is_bundled(result.weights, method)


def test_a_run_that_ends_early_gives_out_the_best_estimate_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the single-frame network was trained: stages 1 and 2 would give the noise back."""
    monkeypatch.setattr(muon, "ROUNDS", 5)
    stages = UNTRAINED | short("coarse", steps=30, batch=2)
    clip = write_clip(tmp_path / "a.mkv", frames=10, size=64)
    result = run(config(clip, **SMALL, stages=stages))
    header = weights.load(str(result.weights)).header
    assert header.estimate is Estimate.COARSE
    assert result.notes == [EARLIER[header.estimate]]


def test_the_published_recipe_runs_by_name(tmp_path: Path) -> None:
    stages = short("coarse", "stage1", "stage2")
    asked = config(write_clip(tmp_path / "a.mkv"), recipe="published", **SMALL, stages=stages)
    assert run(asked).stopped == "finished"


def test_clean_clips_with_synthetic_noise(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", sigma=0, frames=14)
    asked = config(
        clip, recipe="supervised", inputs_are_clean=True, noise="gaussian:10-30", **SMALL,
        stages=short("coarse", "fusion"),
    )  # fmt: skip
    assert run(asked).stopped == "finished"


def test_clean_clips_made_into_footage_of_every_kind(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", sigma=0, frames=16)
    asked = config(
        clip, recipe="supervised", inputs_are_clean=True, noise="footage", **SMALL,
        stages=short("coarse", "fusion"), jobs=2,
    )  # fmt: skip
    result = run(asked)
    assert np.isfinite(result.best_loss)
    assert weights.load(str(result.weights)).header.space is Space.RGB
    out = str(tmp_path / "gray.safetensors")  # from the RGB weights that were made
    asked = replace(asked, space="gray", init=asked.output, output=out)
    result = run(asked)
    assert weights.load(str(result.weights)).header.space is Space.GRAY
    assert len(list((asked.folder / "precomputed").glob("*.json"))) == 1
    again = run(replace(asked, resume=True))
    assert again.weights.read_bytes() == result.weights.read_bytes()


def test_mosaics_from_clean_colour_clips(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", sigma=0, frames=8, size=96)
    asked = config(
        clip, recipe="supervised", inputs_are_clean=True, noise="sensor", **SMALL,
        stages=short("coarse", "fusion"),
    )  # fmt: skip
    made = weights.load(str(run(asked).weights))
    assert (made.header.space, made.header.order) == (Space.BAYER, "R G1 B G2")


def test_noise_that_stands_alone_is_not_joined(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", sigma=0, frames=12)
    asked = config(clip, recipe="supervised", inputs_are_clean=True, noise="footage+gaussian")
    with pytest.raises(ConfigError, match="footage cannot be joined"):
        run(asked)


def test_a_stage_that_follows_the_clock_ends_by_it(tmp_path: Path) -> None:
    stages = UNTRAINED | {"coarse": StageOverrides(minutes=0.01, batch=1, crop=32)}
    asked = config(write_clip(tmp_path / "a.mkv"), **SMALL, stages=stages)
    assert run(asked).stopped == "finished"
    assert '"minutes": 0.01' in (asked.folder / "coarse.settings.json").read_text()


def test_the_stages_of_a_run_share_its_minutes(tmp_path: Path) -> None:
    asked = config(write_clip(tmp_path / "a.mkv"), **SMALL, minutes=0.01)
    steps = StageOverrides(batch=1, crop=32)
    asked = replace(asked, stages=dict.fromkeys(SCRATCH, steps) | short("pseudo", steps=1))
    assert run(asked).stopped == "finished"
    minutes = {
        name: json.loads((asked.folder / f"{name}.settings.json").read_text())["minutes"]
        for name in SCRATCH
    }
    assert minutes.pop("pseudo") is None  # it has steps of its own
    assert sum(minutes.values()) == pytest.approx(0.01)
    assert minutes["anchor"] > minutes["coarse"] > minutes["recorruption"]


def test_gray_weights_from_colour_clips(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", sigma=0, frames=14)
    asked = config(
        clip, recipe="supervised", inputs_are_clean=True, noise="gaussian:10-30", **SMALL,
        space="gray", stages=short("coarse", "fusion"),
    )  # fmt: skip
    made = weights.load(str(run(asked).weights))
    assert made.header.space is Space.GRAY
    assert made.header.channels == 1


def test_the_same_seed_gives_the_same_weights_and_another_one_others(tmp_path: Path) -> None:
    stages = UNTRAINED | short("coarse", steps=2)
    asked = config(write_clip(tmp_path / "a.mkv"), **SMALL, stages=stages)
    made = [
        run_and_write(
            replace(asked, run=str(tmp_path / f"{i}.run"), seed=seed)
        ).weights.read_bytes()
        for i, seed in enumerate((3, 3, 4))
    ]
    assert made[0] == made[1] != made[2]


@pytest.mark.parametrize(
    ("frames", "sigma", "words"), [(3, 25, "too few"), (12, 0, "no measurable noise")]
)
def test_footage_that_teaches_nothing_is_refused_in_one_line(
    tmp_path: Path, frames: int, sigma: float, words: str
) -> None:
    clip = write_clip(tmp_path / "short.mkv", frames=frames, sigma=sigma)
    with pytest.raises(InputError, match=words) as caught:
        run(config(clip, adapt="full"))
    assert "short.mkv" in str(caught.value)
    assert not (tmp_path / "out.safetensors").exists()


def test_a_stage_that_the_recipe_does_not_have_is_named(tmp_path: Path) -> None:
    asked = config(write_clip(tmp_path / "a.mkv"), stages=short("anchr"), init="rgb")
    with pytest.raises(ConfigError, match="anchr"):
        run(asked)


def footage(lengths: list[int]) -> list[Footage]:
    shots, start = [], 0
    for length in lengths:
        shots.append(range(start, start + length))
        start += length
    shape = (start, 200, 300, 3)
    return [Footage("clip", Space.RGB, Path("none"), shape, tuple(shots))]


@pytest.mark.parametrize("lengths", [[16], [4], [8, 20, 6], [100]])
def test_what_is_held_out_is_never_learnt_from(lengths: list[int]) -> None:
    clips = footage(lengths)
    parts = split(clips, 4)
    held = {frame for part in parts for frame in part.held}
    learnt = draw_segments(clips, parts, 3_000_000, np.random.default_rng(0))
    assert not held & {frame for segment in learnt for frame in segment.frames}
    chosen, tested = (
        {
            segment.frames[centre]
            for segment in held_out_segments(clips, parts, 7, 8, 0, test=test)
            for centre in segment.centres
        }
        for test in (False, True)
    )
    assert chosen | tested <= held
    assert chosen
    assert tested
    assert not chosen & tested


@pytest.mark.parametrize(("clips", "judged"), [(1, 1), (2, 2), (5, 5), (12, 8)])
def test_of_several_clips_each_has_its_say(clips: int, judged: int) -> None:
    several = footage([16]) * clips
    found = held_out_segments(several, split(several, 4), 7, 8, 0)
    assert len({segment.clip for segment in found}) == judged
    assert sum(len(segment.centres) for segment in found) <= 8


def test_shots_too_short_to_hold_anything_out_are_refused() -> None:
    with pytest.raises(InputError, match="too few"):
        split(footage([3, 2, 3]), 4)
