"""Clips in processes of their own: what takes its process down fails alone."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from f2rcli.batch import Clip, Outcome, clips_in, run_in_processes


def work(clip: Clip) -> Outcome:
    """Dies of a clip that is called crash, in the midst of others."""
    if clip.place == "crash":
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)
    if clip.place == "slow":
        time.sleep(0.5)
        with Path(clip.target).open("a") as file:
            file.write("once\n")
    if clip.place == "deaf":
        Path(clip.target).touch()
        with suppress(SystemExit):  # as Python drops it in the clean-up of objects
            time.sleep(60)
        time.sleep(15)
        Path(clip.target).write_text("done")
    if clip.place.startswith("tidy"):
        Path(clip.target).touch()
        try:
            time.sleep(60)
        finally:
            Path(clip.target).write_text(str(time.monotonic()))
            time.sleep(3)
    return Outcome.of(clip, "done")


def clips(*places: str, out: Path) -> list[Clip]:
    return [Clip(f"/in/{place}", str(out / place), place) for place in places]


def test_a_crash_fails_alone_and_the_others_are_done_undisturbed(tmp_path: Path) -> None:
    found = {
        done.place: (done.status, done.reason)
        for done in run_in_processes(clips("a", "crash", "slow", "b", "c", out=tmp_path), work, 2)
    }
    assert (tmp_path / "slow").read_text() == "once\n"
    assert found.pop("crash") == (
        "failed", "its process ended without a word; perhaps memory ran out.",
    )  # fmt: skip
    assert found == dict.fromkeys(("a", "slow", "b", "c"), ("done", ""))


def test_breaking_off_ends_the_processes(tmp_path: Path) -> None:
    began = time.monotonic()
    running = run_in_processes(clips("a", "slow", *"bcdefgh", out=tmp_path), work, 1)
    assert next(running).place == "a"
    running.close()  # type: ignore[attr-defined]  # a generator
    assert time.monotonic() - began < 60


def test_breaking_off_ends_what_dropped_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It restored the whole of its clip."""
    monkeypatch.setattr("f2rcli.batch.TIMEOUT", 0.5)
    running = run_in_processes(clips("a", "deaf", out=tmp_path), work, 1)
    assert next(running).place == "a"
    while not (tmp_path / "deaf").exists():
        time.sleep(0.05)
    running.close()  # type: ignore[attr-defined]  # a generator
    assert not (tmp_path / "deaf").read_text()


def test_breaking_off_tells_all_processes_at_once(tmp_path: Path) -> None:
    """Each was told when the one before had cleaned up."""
    running = run_in_processes(clips("a", "tidy 1", "tidy 2", out=tmp_path), work, 2)
    assert next(running).place == "a"
    tidy = [tmp_path / "tidy 1", tmp_path / "tidy 2"]
    while not all(path.exists() for path in tidy):
        time.sleep(0.05)
    running.close()  # type: ignore[attr-defined]  # a generator
    first, second = (float(path.read_text()) for path in tidy)
    assert abs(first - second) < 2


def test_a_process_ends_with_a_killed_parent(tmp_path: Path) -> None:
    """Its clip ended, and it waited for another one for ever."""
    script = (
        "import sys; from tests.batch.test_pools import *\n"
        "list(run_in_processes(clips('tidy', out=Path(sys.argv[1])), work, 1))"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE)
    while not (tmp_path / "tidy").exists():
        time.sleep(0.05)
    parent.kill()
    parent.communicate(timeout=40)  # the process has its standard output


def test_the_clips_of_a_folder_are_those_that_f2r_reads(tmp_path: Path) -> None:
    for name in ("b 10.mkv", "b 9.mkv", "a.tif", "a_f2r.tif", "c_f2r.mkv", "n.txt", ".hidden.mkv"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "below").mkdir()
    (tmp_path / "folder.mp4").mkdir()  # was taken for a clip
    (tmp_path / "folder.mp4" / "c.mkv").write_bytes(b"")
    found = [path.name for path in clips_in(tmp_path)]
    assert found == ["a.tif", "b 9.mkv", "b 10.mkv", "c_f2r.mkv"]
    names = [path.name for path in clips_in(tmp_path, recursive=True)]
    assert sorted(names) == ["a.tif", "b 10.mkv", "b 9.mkv", "c.mkv", "c_f2r.mkv"]
    with pytest.raises(StopIteration):
        next(iter(clips_in(tmp_path / "below")))
