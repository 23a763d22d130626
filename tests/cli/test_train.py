"""`f2r train`, with a session that trains nothing: options, run folders, endings, reports."""

import json
import os
from pathlib import Path

import pytest

from f2rcli.cli.app import spell_out
from f2rcli.errors import (
    EXIT_FAILURE,
    EXIT_INPUT,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USAGE,
    InputError,
)
from f2rcli.training.methods import trainable
from f2rcli.training.run.toml import read_config

CLIPS = ["a.mp4", "b.mp4"]


@pytest.fixture
def train(session, f2r, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run `f2r train` in a folder of its own, beside two clips."""
    monkeypatch.chdir(tmp_path)
    for name in CLIPS:
        (tmp_path / name).write_bytes(b"not looked into")
    return lambda *arguments: f2r("train", *arguments)


def test_a_run_leaves_weights_a_report_and_its_configuration(train, session, tmp_path) -> None:
    done = train("a.mp4", "b.mp4", "-o", "my.safetensors", "--stage", "anchor.steps=9", "--adapt")
    assert done.code == EXIT_OK, done.err
    assert "16.990 -> 17.450 dB (+0.460)" in done.err
    assert "f2r denoise a.mp4 --weights my.safetensors -o clean.mp4" in done.err
    assert "warning: anchor step 9/9: the loss rose" in done.err
    page = (tmp_path / "my.run" / "report.md").read_text()
    assert "f2r denoise a.mp4 --weights my.safetensors" in page
    assert "![crop_1](crop_1.svg)" in page
    assert (tmp_path / "my.run" / "curve.svg").exists()
    stored = read_config(tmp_path / "my.run" / "config.toml")
    assert stored.adapt == "fast"
    assert stored.stage("anchor").steps == 9
    assert stored.inputs == (str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4"))
    assert session.asked[0].inputs == ("a.mp4", "b.mp4")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a.mp4"], "no output"),
        (["-o", "a.safetensors"], "no clip"),
        (["a.mp4", "-o", "a.pt"], ".safetensors"),
        (
            ["a.mp4", "-o", "a.safetensors", "--recipe", "publised"],
            "--recipe publised: no",
        ),
        (["a.mp4", "-o", "a.safetensors", "--stage", "anchor"], "not NAME.KEY=VALUE"),
        (["a.mp4", "-o", "a.safetensors", "--inputs-are-clean"], "which noise"),
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
        (["a.mp4", "-o", "a.safetensors", "--inputs-are-clean", "--noise", "gausian:5"], EXIT_USAGE,
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


def test_clean_clips_are_no_pictures_of_noise(train, tmp_path) -> None:
    """Gray weights cannot even restore the colour clips that they were made from."""
    clean = ("--inputs-are-clean", "--noise", "gaussian:9", "--space", "gray", "--init", "gray")
    for name, options in (("noisy", ()), ("clean", clean)):
        assert train("a.mp4", "-o", f"{name}.safetensors", *options).code == EXIT_OK
    pages = [(tmp_path / f"{name}.run" / "report.md").read_text() for name in ("noisy", "clean")]
    assert ["crop_1" in page for page in pages] == [True, False]


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
    assert (session.asked[1].seed, session.asked[1].time_limit) == (5, None)
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


def test_nothing_better_found_is_said(train, session) -> None:
    session.changes = {"kept": False}
    done = train("a.mp4", "-o", "a.safetensors", "--adapt")
    assert "no significant improvement over the starting weights" in done.err


def test_events_are_json_lines_with_numbers_or_null(train) -> None:
    done = train("a.mp4", "-o", "a.safetensors", "--json")
    events = [json.loads(line) for line in done.out.splitlines()]
    assert events[0]["event"] == "start"
    assert events[-1]["event"] == "result"
    assert events[-1]["gain_db"] == pytest.approx(0.46, abs=0.01)
    assert events[-1]["weights"] == "a.safetensors"
    assert {"warning", "validated"} <= {e["event"] for e in events}


def test_quiet_leaves_warnings_alone(train) -> None:
    done = train("a.mp4", "-o", "a.safetensors", "--quiet")
    assert [line for line in done.err.splitlines() if not line.startswith("warning:")] == []


def test_only_torchruns_first_process_speaks_and_writes(train, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("RANK", "1")
    done = train("a.mp4", "-o", "a.safetensors", "--json")
    assert (done.code, done.out) == (EXIT_OK, "")
    assert not (tmp_path / "a.run").exists()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["--adapt", "-o", "x"], ["--adapt=fast", "-o", "x"]),
        (["--adapt"], ["--adapt=fast"]),
        (["--adapt", "full", "x"], ["--adapt", "full", "x"]),
        (["--adapt=full"], ["--adapt=full"]),
        (["--", "--adapt"], ["--", "--adapt"]),
    ],
)
def test_adapt_alone_means_fast(typed: list[str], meant: list[str]) -> None:
    assert spell_out(typed) == meant


def test_help_names_the_recipes(f2r) -> None:
    said = " ".join(f2r("train", "--help").out.replace("│", " ").split())
    assert all(name in said for name in ("self-supervised", "published", "supervised"))
    assert all(f"For {method}," in said for method in trainable())
