"""Folders and several clips: mirrored, one by one, resumed, reported; a bad clip fails alone."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from f2rcli import batch
from f2rcli.batch import Clip, Outcome
from f2rcli.errors import EXIT_BATCH, EXIT_DAMAGED, EXIT_INPUT, EXIT_INTERRUPTED, EXIT_OK
from tests.cli.conftest import Done, Run, rgb, write_clip
from tests.io.raw_files import write_burst

STILL = ("--strength", 0)  # what a batch does is the same, and takes no networks


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Three clips in two folders, one of them no video, and a text."""
    root = tmp_path / "takes"
    (root / "day 2").mkdir(parents=True)
    write_clip(root / "a.mkv")
    write_clip(root / "day 2" / "b.mkv")
    (root / "bad.mp4").write_bytes(b"no video")
    (root / "notes.txt").write_text("light, fog")
    return root


def events(done: Done, kind: str) -> list[dict]:
    told = [json.loads(line) for line in done.out.splitlines()]
    return [event for event in told if event["event"] == kind]


def statuses(done: Done) -> dict[str, str]:
    return {event["place"]: event["status"] for event in events(done, "clip")}


def test_a_tree_is_mirrored_and_a_bad_clip_fails_alone(f2r: Run, tree: Path) -> None:
    done = f2r("denoise", tree, "-r", "--json", *STILL)
    assert done.code == EXIT_BATCH
    assert statuses(done) == {"a.mkv": "done", "bad.mp4": "failed", "day 2/b.mkv": "done"}
    out = tree.with_name("takes_f2r")
    for place in ("a.mkv", "day 2/b.mkv"):
        assert (rgb(out / place) == rgb(tree / place)).all()
    (warned,) = events(done, "warning")[:1]
    assert "1 file of other kinds left out (.txt)" in warned["message"]
    (failed,) = (event for event in events(done, "clip") if event["status"] == "failed")
    assert failed["exit_code"] == EXIT_INPUT
    assert failed["reason"]


def test_lossless_results_of_a_folder_of_mp4_files_are_mkv(f2r: Run, tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_clip(tmp_path / name)
    done = f2r("denoise", tmp_path, "-o", tmp_path / "../out", "--lossless", "--json", *STILL)
    assert statuses(done) == {"a.mkv": "done", "b.mkv": "done"}
    assert (rgb(tmp_path / "../out/a.mkv") == rgb(tmp_path / "a.mp4")).all()


def test_many_kinds_of_files_make_no_long_line(f2r: Run, tree: Path) -> None:
    for number in range(10, 99):  # as DICOM names them
        (tree / f"1.2.840.{number}").write_text("no clip")
    done = f2r("denoise", tree, "--dry-run", *STILL)
    assert "90 files of other kinds left out (.10, .11, .12, .13, .14, .15, ...)" in done.err


def test_people_see_each_clip_and_the_count(f2r: Run, tree: Path) -> None:
    shutil.copy(tree / "a.mkv", tree / "a_f2r.mkv")
    done = f2r("denoise", tree, *STILL)
    assert "2 clips: 1 done, 1 failed; report: " in done.err
    assert re.search(r"^\[1/2\] a.mkv: done, 6 frames, .* s; about 0:\d\d to go$", done.err, re.M)
    assert "takes: 1 folder in it left out (day 2); --recursive includes them" in done.err
    assert "takes: 1 earlier result left out (a_f2r.mkv)" in done.err
    assert "b.mkv" not in done.err
    report = json.loads((tree.with_name("takes_f2r") / ".f2r" / "report.json").read_text())
    assert [clip["status"] for clip in report["clips"]] == ["done", "failed"]


def test_the_time_to_go_is_by_what_clips_take_and_not_by_their_bytes(
    f2r: Run, tmp_path: Path
) -> None:
    short, long = write_clip(tmp_path / "a.mkv", sigma=40), write_clip(tmp_path / "b.mp4", 30)
    assert long.stat().st_size < short.stat().st_size / 2
    first, _ = events(f2r("denoise", short, long, "-o", tmp_path / "out", "--json"), "clip")
    assert first["eta"] > first["seconds"]  # by bytes a tenth of that


def test_what_is_done_is_skipped_and_what_changed_is_kept(f2r: Run, tree: Path) -> None:
    (tree / "bad.mp4").unlink()
    words = ("denoise", tree, "-r", "--json")
    assert f2r(*words, *STILL).code == EXIT_OK
    again = f2r(*words, *STILL)
    assert (again.code, set(statuses(again).values())) == (EXIT_OK, {"skipped"})
    planned = f2r("denoise", tree, "-r", "--dry-run", *STILL).out
    assert planned.count("  done before\n") == 2  # which it told the time of
    assert "2 clips, 2 done before\n" in planned
    time.sleep(0.01)
    write_clip(tree / "a.mkv", frames=3)
    third = f2r(*words, *STILL)
    assert statuses(third) == {"a.mkv": "failed", "day 2/b.mkv": "skipped"}
    assert len(rgb(tree.with_name("takes_f2r") / "a.mkv")) == 6
    fourth = f2r(*words, *STILL, "-y")
    assert statuses(fourth) == {"a.mkv": "done", "day 2/b.mkv": "skipped"}
    assert len(rgb(tree.with_name("takes_f2r") / "a.mkv")) == 3


def test_other_settings_are_another_result(f2r: Run, tree: Path) -> None:
    (tree / "bad.mp4").unlink()
    assert f2r("denoise", tree, "--json", *STILL).code == EXIT_OK
    other = f2r("denoise", tree, "--json", "--strength", "0.5")
    assert statuses(other) == {"a.mkv": "failed"}
    machine = f2r("denoise", tree, "--json", *STILL, "--threads", 1)
    assert statuses(machine) == {"a.mkv": "skipped"}


def test_a_result_of_an_unknown_run_is_in_the_way(f2r: Run, tree: Path) -> None:
    out = tree.with_name("takes_f2r")
    out.mkdir()
    (out / "a.mkv").write_bytes(b"mine")
    done = f2r("denoise", tree, *STILL)
    assert done.code == EXIT_BATCH
    assert "no record says that f2r finished it. Pass --overwrite" in done.err
    assert (out / "a.mkv").read_bytes() == b"mine"


@pytest.mark.parametrize("text", ["[" * 9999, "null", '{"outcome": 3}', ""])
def test_a_record_that_nobody_wrote_is_none(f2r: Run, tree: Path, text: str) -> None:
    (tree / "bad.mp4").unlink()
    assert f2r("denoise", tree, *STILL).code == EXIT_OK
    for record in (tree.with_name("takes_f2r") / ".f2r").glob("*.json"):
        record.write_text(text)
    assert f2r("denoise", tree, *STILL).code == EXIT_BATCH
    assert f2r("denoise", tree, *STILL, "-y").code == EXIT_OK


def test_shards_share_the_clips(f2r: Run, tree: Path) -> None:
    (tree / "bad.mp4").unlink()
    parts = [
        statuses(f2r("denoise", tree, "-r", "--json", "--shard", part, *STILL))
        for part in ("1/2", "2/2")
    ]
    assert [list(part) for part in parts] == [["a.mkv"], ["day 2/b.mkv"]]
    reports = (tree.with_name("takes_f2r") / ".f2r").glob("report-*-of-2.json")
    assert len(list(reports)) == 2


def test_a_dry_run_tells_where_each_goes_and_what_it_takes(f2r: Run, tree: Path) -> None:
    done = f2r("denoise", tree, "-r", "--dry-run", "--device", "cpu")
    assert done.code == EXIT_OK
    assert f"{tree}/a.mkv -> {tree}_f2r/a.mkv" in done.out
    assert re.search(r"3 clips, roughly \d+:\d\d one after the other and \d+ MB of mem", done.out)
    assert not tree.with_name("takes_f2r").exists()
    (broken := tree / "day 1").mkdir()
    (broken / "no film.mkv").write_text("no film")
    assert "1 clip\n" in f2r("denoise", broken, "--dry-run").out  # what it takes is not known
    assert "roughly" not in f2r("denoise", tree, "--dry-run", *STILL).out  # as if it were restored
    (plan,) = events(f2r("denoise", tree, "--dry-run", "--json", *STILL), "plan")
    assert plan["seconds"] is None is plan["peak_bytes"]  # which it told as nothing at all
    f2r("denoise", tree, *STILL)
    (plan,) = events(f2r("denoise", tree, "--dry-run", "--json", *STILL), "plan")
    assert "done before" in [one["state"] for one in plan["clips"]]  # once it was in trouble


def test_damage_of_one_clip_ends_with_its_code(f2r: Run, damaged: Path, tmp_path: Path) -> None:
    done = f2r("denoise", damaged, write_clip(tmp_path / "b.mkv"), "-o", tmp_path / "o", *STILL)
    assert done.code == EXIT_DAMAGED
    assert "[1/2] damaged.mkv: damaged" in done.err


def test_two_inputs_of_one_output_are_refused_by_name(f2r: Run, tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        write_clip(tmp_path / folder / "a.mkv")
    clips = tmp_path / "x" / "a.mkv", tmp_path / "y" / "a.mkv"
    assert "both would be written to" in f2r("denoise", *clips, "-o", tmp_path / "o").err


def test_pictures_in_a_folder_are_one_clip(f2r: Run, tmp_path: Path) -> None:
    (tmp_path / "shots" / "one").mkdir(parents=True)
    write_clip(tmp_path / "shots" / "one" / "%03d.png", frames=3)
    done = f2r("denoise", tmp_path / "shots", "--json", *STILL)
    assert statuses(done) == {"one": "done"}
    assert len(list((tmp_path / "shots_f2r" / "one").glob("*.png"))) == 3


def test_photographs_in_a_folder_are_clips_of_their_own(f2r: Run, tmp_path: Path) -> None:
    rng, own = np.random.default_rng(0), {}
    (tmp_path / "in").mkdir()
    for sigma, height in ((3, 64), (25, 64), (12, 72)):
        scene = cv2.resize(rng.uniform(40, 210, (6, 8, 3)), (96, height))
        noisy = (scene + rng.normal(0, sigma, scene.shape)).clip(0, 255).astype(np.uint8)
        cv2.imwrite(str(path := tmp_path / "in" / f"{sigma}.png"), noisy)
        f2r("denoise", path, "-o", tmp_path / "own.png", "--overwrite", "--threads", 1)
        own[path.name] = (tmp_path / "own.png").read_bytes()
    assert "in_f2r_preview.png: 1 frame" in f2r("denoise", tmp_path / "in", "--preview", "0").err
    for damaged in (98, 99):  # they tell nothing, and fail alone
        (tmp_path / "in" / f"{damaged}.png").write_bytes(b"no picture")
    done = f2r("denoise", tmp_path / "in", "--threads", 1)
    assert "in: 5 pictures of different scenes, denoised one by one; a pattern such as" in done.err
    assert {p.name: p.read_bytes() for p in (tmp_path / "in_f2r").glob("*.png")} == own
    scored = f2r("eval", tmp_path / "in_f2r", "--noisy", tmp_path / "in", "--threads", 1)
    assert scored.out.count("noisy input") == 4  # the mean's as well; one size was asked of all
    learnt = f2r("train", tmp_path / "in", "-o", tmp_path / "w.safetensors")
    assert "error: in: contains no clips" in learnt.err.replace(f"{tmp_path}/", "")
    write_clip(tmp_path / "in" / "film.mkv")
    assert "6 clips" in f2r("denoise", tmp_path / "in", "--dry-run").out


def test_a_burst_beside_a_film_is_told_to_be_none(f2r: Run, tmp_path: Path) -> None:
    write_clip(write_burst(tmp_path / "card", count=2) / "film.mkv")
    done = f2r("denoise", tmp_path / "card", "--dry-run", *STILL)
    assert "each of 2 raw files is denoised by itself; put them into a folder" in done.err
    assert "3 clips" in done.out


def test_links_into_what_is_read_already_are_not_followed(f2r: Run, tree: Path) -> None:
    (tree / "bad.mp4").unlink()
    (tree / "round").symlink_to(tree, target_is_directory=True)
    done = f2r("denoise", tree, "-r", "--json", *STILL)
    assert statuses(done) == {"a.mkv": "done", "day 2/b.mkv": "done"}


def test_a_full_disk_is_named_by_each_clip_and_the_end(f2r: Run, tree: Path, monkeypatch) -> None:
    def full(path: Path, text: str) -> None:
        if path.suffix == ".json":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("f2rcli.batch.write_text", full)
    done = f2r("denoise", tree, "-o", tree.parent / "out")
    assert done.code == EXIT_BATCH
    assert "a.mkv: cannot be written: the disk is full" in done.err
    assert "2 clips: 2 failed; report: none (No space left on device)" in done.err


def test_a_folder_that_cannot_be_read_is_left_out(f2r: Run, tree: Path, monkeypatch) -> None:
    (tree / "lost+found").mkdir()  # as on an external disk, where it ended everything
    listed = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda p: listed(p / ("-" * (p.name == "lost+found"))))
    done = f2r("denoise", tree, "--dry-run", *STILL)
    assert (done.code, "2 clips\n" in done.out) == (EXIT_OK, True)
    assert "lost+found: cannot be read: No such file or directory; left out" in done.err


def started(*words: object, **how: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "f2rcli", *map(str, words)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler), **how,
    )  # fmt: skip


def test_several_at_a_time_each_in_a_process(tree: Path) -> None:
    (tree / "bad.mp4").unlink()
    run = started("denoise", tree, "-r", "--json", "-j", 2, *STILL)
    out, err = run.communicate(timeout=240)
    assert run.returncode == EXIT_OK, err.decode()
    assert statuses(Done(0, out.decode(), "")) == {"a.mkv": "done", "day 2/b.mkv": "done"}


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_leaves_whole_results_and_no_parts(tree: Path, jobs: int) -> None:
    (tree / "bad.mp4").unlink()
    write_clip(tree / "b.mkv", frames=400)
    for name in ("c.mkv", "d.mkv"):
        shutil.copy(tree / "b.mkv", tree / name)
    run = started("denoise", tree, "-j", jobs, "--json", "--strength", "1")
    assert run.stdout is not None
    for line in run.stdout:  # until the first clip is done
        if json.loads(line)["event"] == "clip":
            break
    os.kill(run.pid, signal.SIGINT)
    _, err = run.communicate(timeout=60)
    assert run.returncode == EXIT_INTERRUPTED, err.decode()
    assert b"finished clips are in place; the same command continues." in err
    out = tree.with_name("takes_f2r")
    names = [path.name for path in sorted(out.iterdir()) if path.name[0] != "."]
    assert names[:1] == ["a.mkv"]
    assert len(names) < 4  # one more may be done before the signal comes
    for name in names[1:]:
        assert len(rgb(out / name)) == 400
    assert not list(out.glob(".*part*"))


@pytest.mark.parametrize(
    ("jobs", "said", "left"), [(2, "4 clips, 2 at a time", 80), ("tcp://a:1", "4 clips ", 240)]
)
def test_several_at_a_time_have_one_bar_and_time_to_go(
    f2r: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int | str, said: str, left: int
) -> None:
    """There was no sign of life before the first of them was done, then three minutes for one."""
    now = [0.0]

    def ended(clips: Sequence[Clip], *_: object) -> Iterator[Outcome]:
        for clip in clips:
            now[0] += 80.0
            yield Outcome.of(clip, "done", seconds=80.0)

    (takes := tmp_path / "takes").mkdir()
    for name in "abcd":
        (takes / f"{name}.mkv").write_bytes(bytes(9))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(batch, "dask_library", str)
    monkeypatch.setattr("f2rcli.cli.denoise.time", SimpleNamespace(monotonic=lambda: now[0]))
    for way in ("run_in_processes", "run_on_dask"):
        monkeypatch.setattr(batch, way, ended)
    shown = f2r("denoise", takes, "-j", jobs).err
    assert said in shown
    assert "tcp" not in shown
    told = events(f2r("denoise", takes, "-j", jobs, "--json"), "clip")
    assert [one["eta"] for one in told][:1] == [left]


def test_a_dask_cluster_takes_the_clips(f2r: Run, tree: Path) -> None:
    distributed = pytest.importorskip("distributed")
    here = "127.0.0.1:0"
    with distributed.LocalCluster(1, threads_per_worker=1, dashboard_address=here) as cluster:
        done = f2r("denoise", tree, "-r", "--json", "-j", cluster.scheduler_address, *STILL)
    assert done.code == EXIT_BATCH, done.err
    assert statuses(done) == {"a.mkv": "done", "bad.mp4": "failed", "day 2/b.mkv": "done"}
