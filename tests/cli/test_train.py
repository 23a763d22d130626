"""`f2r train`, with a session that trains nothing: options, run folders, endings, reports."""

import json
import os
from pathlib import Path

import pytest

from f2rcli.errors import (
    EXIT_FAILURE,
    EXIT_INPUT,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USAGE,
    InputError,
)
from f2rcli.training.config import read_config

CLIPS = ["a.mp4", "b.mp4"]


@pytest.fixture
def train(session, f2r, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run `f2r train` in a folder of its own, beside two clips."""
    monkeypatch.chdir(tmp_path)
    for name in CLIPS:
        (tmp_path / name).write_bytes(b"not looked into")
    return lambda *arguments: f2r("train", *arguments)


def test_a_run_leaves_weights_a_report_and_its_configuration(train, session, tmp_path) -> None:
    done = train("a.mp4", "b.mp4", "-o", "my.safetensors", "--steps", "9", "--adapt")
    assert done.code == EXIT_OK, done.err
    assert "gain over the noisy frames on held-out frames: 8.00 -> 8.46 dB (+0.46)" in done.err
    assert "f2r denoise a.mp4 --weights my.safetensors -o clean.mp4" in done.err
    assert "warning: anchor step 9/9: the loss rose" in done.err
    assert done.err.splitlines()[-1] == "weights  my.safetensors"
    assert (tmp_path / "my.run" / "curve.png").read_bytes().startswith(b"\x89PNG")
    stored = read_config(tmp_path / "my.run" / "run.json")
    assert (stored.adapt, stored.steps) == (True, 9)
    assert stored.inputs == (str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4"))
    assert session.asked[0].inputs == ("a.mp4", "b.mp4")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a.mp4"], "no output"),
        (["-o", "a.safetensors"], "no clip"),
        (["a.mp4", "-o", "a.pt"], ".safetensors"),
        (["a.mp4", "-o", "a.safetensors", "--method", "f2"], "no such choice"),
        (["a.mp4", "-o", "a.safetensors", "--clean"], "which noise"),
        (["a.mp4", "-o", "a.safetensors", "--noise", "gaussian:20"], "only for clean clips"),
        (["a.mp4", "-o", "a.safetensors", "--time-limit", "soon"], "not a time"),
        (["--resume"], "which run"),
        (["--resume", "-o", "a.safetensors"], "is not a run folder"),
    ],
)
def test_what_cannot_be_run_is_said_before_anything_is_written(
    train, tmp_path, arguments, said
) -> None:
    done = train(*arguments)
    assert done.code == EXIT_USAGE
    assert said in done.err
    assert sorted(os.listdir(tmp_path)) == CLIPS


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["c.mp4", "-o", "a.safetensors"], EXIT_INPUT, "c.mp4: no such file"),
        (["-", "-o", "a.safetensors"], EXIT_INPUT, "reads clips more than once"),
        (["a.mp4", "-o", "no/a.safetensors"], EXIT_FAILURE, "the folder no does not exist"),
        (["a.mp4", "-o", "a.safetensors", "--clean", "--noise", "gausian:5"], EXIT_USAGE,
         "gausian"),
    ],
)  # fmt: skip
def test_clips_paths_and_noise_are_looked_at_before_torch_is_loaded(
    train, session, tmp_path, arguments, code, said
) -> None:
    done = train(*arguments)
    assert done.code == code, done.err
    assert said in done.err
    assert session.asked == []
    assert sorted(os.listdir(tmp_path)) == CLIPS


def test_nothing_is_overwritten_unasked(train, session, tmp_path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"precious")
    assert train("a.mp4", "-o", "a.safetensors").code == EXIT_FAILURE
    assert (tmp_path / "a.safetensors").read_bytes() == b"precious"
    assert session.asked == []
    assert train("a.mp4", "-o", "a.safetensors", "--overwrite").code == EXIT_OK
    (tmp_path / "a.safetensors").unlink()
    again = train("a.mp4", "-o", "a.safetensors")
    assert again.code == EXIT_FAILURE
    assert "holds a finished run" in again.err


def test_a_folder_that_holds_something_else_is_left_alone(train, tmp_path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.png").write_bytes(b"precious")
    for extra in ([], ["--overwrite"]):
        done = train("a.mp4", "-o", "a.safetensors", "--run", "photos", *extra)
        assert done.code == EXIT_FAILURE
        assert "is not a run folder" in done.err
    assert os.listdir(tmp_path / "photos") == ["one.png"]


def test_starting_afresh_leaves_no_checkpoint_to_go_on_from(train, tmp_path) -> None:
    train("a.mp4", "-o", "a.safetensors")
    old = tmp_path / "a.run" / "anchor.last.safetensors"
    old.write_bytes(b"old")
    assert train("a.mp4", "-o", "a.safetensors", "--resume").code == EXIT_OK
    assert old.exists()
    assert train("a.mp4", "-o", "a.safetensors", "--overwrite").code == EXIT_OK
    assert not old.exists()


def test_resume_takes_everything_from_the_run_folder(train, session, tmp_path) -> None:
    session.changes = {"stopped": "time limit"}
    first = train("a.mp4", "-o", "a.safetensors", "--seed", 5, "--time-limit", "25m")
    assert "resume   f2r train --resume -o a.safetensors" in first.err
    assert train("--resume", "-o", "a.safetensors").code == EXIT_OK
    assert (session.asked[1].seed, session.asked[1].time_limit) == (5, "25m")
    assert session.asked[1].inputs == (str(tmp_path / "a.mp4"),)
    assert train("--resume", "--run", "a.run", "--time-limit", "5m").code == EXIT_OK
    assert session.asked[2].time_limit == "5m"


def test_resume_refuses_another_run_and_says_what_differs(train, session) -> None:
    train("a.mp4", "-o", "a.safetensors", "--seed", 5)
    done = train("b.mp4", "-o", "a.safetensors", "--resume", "--seed", 6)
    assert done.code == EXIT_USAGE
    assert "inputs (other then), seed (5 then)" in done.err
    assert len(session.asked) == 1
    assert train("a.mp4", "-o", "a.safetensors", "--resume", "--seed", 5).code == EXIT_OK


def test_resume_replaces_the_weights_it_wrote_but_none_that_changed_since(train, tmp_path) -> None:
    train("a.mp4", "-o", "a.safetensors")
    assert train("--resume", "-o", "a.safetensors").code == EXIT_OK
    (tmp_path / "a.safetensors").write_bytes(b"edited")
    done = train("--resume", "-o", "a.safetensors")
    assert done.code == EXIT_FAILURE
    assert "already exists" in done.err


def test_ctrl_c_says_how_to_go_on(train, session, tmp_path) -> None:
    session.error = KeyboardInterrupt()
    done = train("a.mp4", "-o", "my clip.safetensors", "--quiet")
    assert done.code == EXIT_INTERRUPTED
    assert "continue with: f2r train --resume -o 'my clip.safetensors'" in done.err
    assert not (tmp_path / "my clip.safetensors").exists()
    session.error = None
    assert train("--resume", "-o", "my clip.safetensors").code == EXIT_OK


def test_a_full_disk_is_one_clear_line(train, session) -> None:
    session.error = OSError(28, "No space left on device", "a.run/anchor.last.safetensors")
    done = train("a.mp4", "-o", "a.safetensors")
    assert done.code == EXIT_FAILURE
    assert "the disk is full" in done.err
    assert "--resume" in done.err


def test_errors_of_the_session_keep_their_exit_code(train, session) -> None:
    session.error = InputError("a.mp4: only one frame.", hint="Pass a longer clip.")
    done = train("a.mp4", "-o", "a.safetensors")
    assert done.code == EXIT_INPUT
    assert "error: a.mp4: only one frame." in done.err


def test_where_no_weights_are_written_exit_code_and_last_line_say_why(train, session) -> None:
    session.changes = {"why_not": "no significant improvement"}
    done = train("a.mp4", "-o", "a.safetensors", "--adapt")
    assert done.code == EXIT_FAILURE
    assert done.err.splitlines()[-1] == "weights  none written: no significant improvement"
    assert "use " not in done.err


def test_events_are_json_lines_with_numbers_or_null(train) -> None:
    done = train("a.mp4", "-o", "a.safetensors", "--json")
    events = [json.loads(line) for line in done.out.splitlines()]
    assert events[0]["event"] == "start"
    assert events[-1]["event"] == "result"
    assert (events[-1]["start_db"], events[-1]["best_db"]) == (8.0, 8.46)
    assert events[-1]["weights"] == "a.safetensors"
    assert {"warning", "validated"} <= {e["event"] for e in events}


def test_quiet_leaves_warnings_alone(train) -> None:
    done = train("a.mp4", "-o", "a.safetensors", "--quiet")
    assert [line for line in done.err.splitlines() if not line.startswith("warning:")] == []
