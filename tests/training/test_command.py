"""`f2r train` and `--adapt` with a session that trains nothing: folders, endings, cache."""

import json
import math
import os
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from f2rcli import weights
from f2rcli.errors import (
    EXIT_FAILURE,
    EXIT_INPUT,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USAGE,
    InputError,
    OutputError,
)
from f2rcli.frames import Family
from f2rcli.training import folder
from f2rcli.training.config import TrainConfig
from f2rcli.training.folder import Event, EventKind, OnEvent, TrainResult
from f2rcli.weights import Header
from tests.cli.conftest import Run, caller
from tests.training.clips import pictures, write_clip

HEADER = Header(method="f2r", space=Family.RGB, channels=3, length=7, config={})
CLIPS = ["a.mp4", "b.mp4"]
PLOT_CURVE = folder.plot_curve


@dataclass
class Session:
    """Stands in for a session; remembers what it was asked."""

    asked: list[TrainConfig] = field(default_factory=list)
    error: BaseException | None = None
    changes: dict[str, Any] = field(default_factory=dict)  # of the result

    def train(self, config: TrainConfig, report: OnEvent, *_: float) -> TrainResult:
        self.asked.append(config)
        kind = EventKind
        report(Event(kind=kind.PROGRESS, stage="anchor", step=3, steps=9, loss=math.nan))
        report(Event(kind=kind.VALIDATED, stage="anchor", step=9, steps=9, validation=8.5))
        if self.error is not None:
            raise self.error
        known: dict[str, Any] = {
            "config": config, "start_db": 8.0, "best_db": 8.46, "seconds": 61.0,
            "curve": [("anchor", 0, 8.0), ("anchor", 9, 8.46)], "notes": ["a fake session"],
        }  # fmt: skip
        result = TrainResult(**(known | self.changes))
        if result.written:
            weights.save(result.weights, HEADER, {"a": torch.zeros(1)})
        return result


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    fake = Session()
    monkeypatch.setattr(import_module("f2rcli.training.session"), "train", fake.train)
    # A figure takes most of the time of a run that trains nothing; the first test draws it.
    monkeypatch.setattr(folder, "plot_curve", lambda result, path: None)
    return fake


@pytest.fixture
def f2r(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command line in a folder of its own, beside two clips."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in CLIPS:
        (tmp_path / name).write_bytes(b"not looked into")
    return caller(capfd)


@pytest.fixture
def train(f2r: Run, session: Session) -> Run:
    return lambda *words: f2r("train", *words)


def test_a_run_leaves_weights_a_curve_and_its_configuration(
    train: Run, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "plot_curve", PLOT_CURVE)
    done = train("a.mp4", "b.mp4", "-o", "my.safetensors", "--steps", 9, "--adapt")
    assert done.code == EXIT_OK, done.err
    gain = "8.00 -> 8.46 dB (+0.46); 7.9 if sigma is 1 % lower than measured"
    assert f"gain over the noisy frames on held-out frames: {gain}" in done.err
    assert "f2r denoise a.mp4 --weights my.safetensors -o clean.mp4" in done.err
    assert done.err.splitlines()[-1] == "weights  my.safetensors"
    assert (tmp_path / "my.run" / "curve.png").read_bytes().startswith(b"\x89PNG")
    stored = json.loads((tmp_path / "my.run" / "run.json").read_text())
    assert (stored["adapt"], stored["steps"]) == (True, 9)
    assert stored["inputs"] == [str(tmp_path / name) for name in CLIPS]
    assert session.asked[0].inputs == tuple(CLIPS)
    session.changes = {"start_db": 20.0, "best_db": 20.0}
    assert "20 dB or more" in train("a.mp4", "-o", "my.safetensors", "-y").err


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["a.mp4"], EXIT_USAGE, "no output"),
        (["-o", "a.safetensors"], EXIT_USAGE, "no clip"),
        (["a.mp4", "-o", "a.pt"], EXIT_USAGE, ".safetensors"),
        (["a.mp4", "-o", "a.safetensors", "--method", "f2"], EXIT_USAGE, "no such choice"),
        (["a.mp4", "-o", "a.safetensors", "--time-limit", "soon"], EXIT_USAGE, "not a time"),
        (["a.mp4", "-o", "a.safetensors", "--adapt", "--method", "fitvnet"], EXIT_USAGE,
         "not with method fitvnet"),
        (["a.mp4", "-o", "a.safetensors", "--noise", "gausian:5"], EXIT_USAGE, "gausian"),
        (["--resume"], EXIT_USAGE, "which run"),
        (["--resume", "-o", "a.safetensors"], EXIT_USAGE, "is not a run folder"),
        (["c.mp4", "-o", "a.safetensors"], EXIT_INPUT, "c.mp4: no such file"),
        (["-", "-o", "a.safetensors"], EXIT_INPUT, "reads clips more than once"),
        (["a.mp4", "-o", "no/a.safetensors"], EXIT_FAILURE, "the folder no does not exist"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_said_before_anything_is_written(
    train: Run, session: Session, tmp_path: Path, words: list[str], code: int, says: str
) -> None:
    done = train(*words)
    assert done.code == code
    assert says in done.err
    assert session.asked == []
    assert sorted(os.listdir(tmp_path)) == CLIPS


def test_nothing_is_overwritten_unasked(train: Run, tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"precious")
    assert train("a.mp4", "-o", "a.safetensors").code == EXIT_FAILURE
    assert (tmp_path / "a.safetensors").read_bytes() == b"precious"
    assert train("a.mp4", "-o", "a.safetensors", "--overwrite").code == EXIT_OK
    (tmp_path / "a.safetensors").unlink()
    assert "holds a finished run" in train("a.mp4", "-o", "a.safetensors").err
    old = tmp_path / "a.run" / "anchor.last.safetensors"
    old.write_bytes(b"old")
    assert train("a.mp4", "-o", "a.safetensors", "--resume").code == EXIT_OK
    assert old.exists()
    assert train("a.mp4", "-o", "a.safetensors", "--overwrite").code == EXIT_OK
    assert not old.exists()


def test_a_folder_that_holds_something_else_is_left_alone(train: Run, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.png").write_bytes(b"precious")
    for extra in ([], ["--overwrite"]):
        done = train("a.mp4", "-o", "a.safetensors", "--run", "photos", *extra)
        assert done.code == EXIT_FAILURE
        assert "is not a run folder" in done.err
    assert os.listdir(tmp_path / "photos") == ["one.png"]


def test_resume_takes_all_from_the_folder(train: Run, session: Session, tmp_path: Path) -> None:
    session.changes = {"stopped": "time limit"}
    first = train("a.mp4", "-o", "a.safetensors", "--seed", 5, "--time-limit", "25m")
    assert "resume   f2r train --resume -o a.safetensors" in first.err
    assert train("--resume", "-o", "a.safetensors").code == EXIT_OK
    assert (session.asked[1].seed, session.asked[1].time_limit) == (5, "25m")
    assert session.asked[1].inputs == (str(tmp_path / "a.mp4"),)
    assert train("--resume", "--run", "a.run", "--time-limit", "5m").code == EXIT_OK
    assert session.asked[2].time_limit == "5m"
    done = train("b.mp4", "-o", "a.safetensors", "--resume", "--seed", 6)
    assert done.code == EXIT_USAGE
    assert "inputs (other then), seed (5 then)" in done.err
    (tmp_path / "a.safetensors").write_bytes(b"edited")
    assert "already exists" in train("--resume", "-o", "a.safetensors").err


def test_endings_say_how_to_go_on(train: Run, session: Session, tmp_path: Path) -> None:
    session.error = KeyboardInterrupt()
    done = train("a.mp4", "-o", "my clip.safetensors", "--quiet")
    assert done.code == EXIT_INTERRUPTED
    assert "continue with: f2r train --resume -o 'my clip.safetensors'" in done.err
    session.error = OSError(28, "No space left on device", "a.run/anchor.last.safetensors")
    done = train("--resume", "-o", "my clip.safetensors")
    assert done.code == EXIT_FAILURE
    assert "the disk is full" in done.err
    session.error = InputError("a.mp4: only one frame.", hint="Pass a longer clip.")
    done = train("--resume", "-o", "my clip.safetensors")
    assert (done.code, "error: a.mp4: only one frame." in done.err) == (EXIT_INPUT, True)
    session.error = None
    assert train("--resume", "-o", "my clip.safetensors").code == EXIT_OK


def test_why_no_weights_are_written(train: Run, session: Session, tmp_path: Path) -> None:
    session.changes = {"why_not": "no significant improvement"}
    for quiet in ((), ("-q", "-y")):
        done = train("a.mp4", "-o", "a.safetensors", "--adapt", *quiet)
        assert done.code == EXIT_FAILURE
        assert "weights  none written: no significant improvement" in done.err.splitlines()[-1]
    assert not (tmp_path / "a.safetensors").exists()


def test_events_are_json_lines_with_numbers_or_null(train: Run) -> None:
    done = train("a.mp4", "-o", "a.safetensors", "--json")
    events = [json.loads(line) for line in done.out.splitlines()]
    assert (events[0]["event"], events[-1]["event"]) == ("start", "result")
    assert (events[-1]["start_db"], events[-1]["best_db"]) == (8.0, 8.46)
    assert events[-1]["weights"] == "a.safetensors"


@pytest.fixture
def adapt(
    f2r: Run, session: Session, tmp_path: Path, coarse_alone: None, weights_read_once: None
) -> Run:
    """Denoise a clip with --adapt."""
    write_clip(tmp_path / "in.mkv", pictures(3))
    usual = ("denoise", "in.mkv", "-o", "out.mkv", "--overwrite", "--adapt")
    return lambda *words: f2r(*usual, *words)


def cached(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache" / "f2r" / "adapted").iterdir())


def test_that_nothing_is_better_is_remembered(adapt: Run, session: Session, tmp_path: Path) -> None:
    session.changes = {"why_not": "in.mkv: its channels share their noise"}
    first, second = adapt(), adapt()
    assert (first.code, second.code) == (EXIT_OK, EXIT_OK), first.err
    assert "channels share their noise" in first.err
    assert "(cached)" in second.err
    assert len(session.asked) == 1
    assert [path.suffix for path in cached(tmp_path)] == [".json"]
    adapt("--start", 0.04, "--frames", 2)
    assert (session.asked[1].start_at, session.asked[1].frames) == (0.04, 2)


def test_lack_of_time_is_not_remembered(adapt: Run, session: Session, tmp_path: Path) -> None:
    session.changes = {"why_not": "not adapted: no time", "for_time": True}
    assert "not adapted: no time" in adapt().err
    session.error = OutputError("the clip needs 3 GB of disk; the folder has 0.2 GB free.")
    done = adapt()
    assert done.code == EXIT_OK, done.err
    assert "warning: adapt: not adapted: the clip needs 3 GB of disk" in done.err
    assert len(session.asked) == 2
    assert cached(tmp_path) == []


def test_an_entry_that_another_makes_is_left_to_it(
    adapt: Run, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(config: TrainConfig, report: OnEvent, *_: float) -> TrainResult:
        assert "another f2r train is using it" in adapt().err
        assert config.folder.is_dir()
        return session.train(config, report)

    monkeypatch.setattr(import_module("f2rcli.training.session"), "train", meanwhile)
    (tmp_path / "cache/f2r/adapted/.left.part").mkdir(parents=True)
    os.utime(tmp_path / "cache/f2r/adapted/.left.part", (0, 0))
    assert "not adapted" not in adapt().err
    assert [path.suffix for path in cached(tmp_path)] == [".json", ".safetensors"]


def test_no_cache_is_one_line(adapt: Run, session: Session, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file, not a folder")
    done = adapt()
    assert done.code == EXIT_OK, done.err
    (line,) = (one for one in done.err.splitlines() if one.startswith("warning: adapt"))
    assert "not adapted: " in line
    assert "XDG_CACHE_HOME may name another folder." in line
    assert session.asked == []


def test_damaged_entries_are_made_anew(adapt: Run, session: Session, tmp_path: Path) -> None:
    session.changes = {"why_not": "nothing gained"}
    adapt()
    (account,) = cached(tmp_path)
    for left in ("[", '{"reason": 3}'):  # as a full disk leaves it, or a stranger
        account.write_text(left)
        assert adapt().code == EXIT_OK
    assert len(session.asked) == 3


def test_a_folder_named_full_is_an_input(f2r: Run, session: Session, tmp_path: Path) -> None:
    """Once `--adapt full` took the folder for its level."""
    (tmp_path / "full").mkdir()
    write_clip(tmp_path / "full" / "a.mkv", pictures(4))
    session.changes = {"why_not": "nothing gained"}
    done = f2r("denoise", "--adapt", "full/a.mkv", "-o", "out.mkv")
    assert done.code == EXIT_OK, done.err


@pytest.mark.parametrize("words", [("--sigma", 20), ("--time-limit", "5m")])
def test_what_does_not_go_with_adapting(adapt: Run, session: Session, words: Any) -> None:
    assert adapt(*words).code == EXIT_USAGE
    assert session.asked == []


def test_the_cache_keeps_what_was_used_last(
    adapt: Run, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("f2rcli.training.adapt"), "MOST_KEPT", 2)
    session.changes = {"why_not": "nothing gained"}
    for number, frames in enumerate((1, 2, 3)):
        adapt("--frames", frames)
        for path in cached(tmp_path):
            if path.stat().st_mtime > 10**6:
                os.utime(path, (number, number))
    adapt("--frames", 1)  # found no more: it was used longest ago
    assert [config.frames for config in session.asked] == [1, 2, 3, 1]
    assert len(cached(tmp_path)) == 2
