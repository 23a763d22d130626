"""Several clips on one command line: each in a process of its own, none lost, none twice."""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from f2rcli.batch import child, cluster
from f2rcli.batch.warm import ForkServer
from f2rcli.cli.commands import batch
from f2rcli.errors import (
    EXIT_BATCH,
    EXIT_FAILURE,
    EXIT_INPUT,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USAGE,
)
from f2rcli.io import open_reader

FAKE = Path(__file__).parent / "fake_engine.py"


CHILD = (sys.executable, str(FAKE), "--child")


class Kept(ForkServer):
    """The process that the children of one command after another are forked from."""

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def kept() -> Iterator[Kept]:
    one = Kept(CHILD)
    yield one
    ForkServer.close(one)


@pytest.fixture(autouse=True)
def _fake_children(monkeypatch: pytest.MonkeyPatch, kept: Kept) -> None:
    monkeypatch.setattr(batch, "COMMAND", CHILD)
    monkeypatch.setattr(child, "ForkServer", lambda command: kept)


def report_of(folder: Path, name: str = "report.json") -> dict[str, dict]:
    """The clips of a report, by place."""
    report = json.loads((folder / name).read_text())
    return {clip["place"]: clip for clip in report["clips"]}


def statuses(folder: Path) -> dict[str, str]:
    return {place: clip["status"] for place, clip in report_of(folder).items()}


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if ".part" in path.name or ".claim" in path.name]


def frames_in(path: Path) -> int:
    with open_reader(path) as reader:
        return sum(1 for _ in reader)


@pytest.fixture
def tree(tmp_path: Path, clip_writer: Callable[..., Path]) -> Path:
    """Videos at two depths, a folder of pictures, names with spaces and accents."""
    top = tmp_path / "in"
    deep = top / "sub dir é"
    (deep / "pics").mkdir(parents=True)
    clip_writer(top / "a.mkv")
    clip_writer(deep / "b ü.mp4", frames=8)
    for number in range(3):
        clip_writer(deep / "pics" / f"p{number:03}.png", frames=1)
    return top


def test_a_tree_is_mirrored_and_poison_harms_only_itself(f2r, tree, tmp_path) -> None:
    shutil.copy(tree / "a.mkv", tree / "crash.mkv")
    (tree / "bad.mkv").write_bytes(b"no video")
    (tree / "notes.txt").write_text("no clip")
    out = tmp_path / "out"
    done = f2r("denoise", tree, "-o", out, "--recursive", "--jobs", 2)
    assert done.code == EXIT_BATCH, done.err
    assert "Traceback" not in done.err
    assert statuses(out) == {
        "a.mkv": "done",
        "bad.mkv": "failed",
        "crash.mkv": "failed",
        "sub dir é/b ü.mp4": "done",
        "sub dir é/pics": "done",
    }
    clips = report_of(out)
    assert "SIGSEGV" in clips["crash.mkv"]["reason"]
    assert clips["bad.mkv"]["exit_code"] == EXIT_INPUT
    assert frames_in(out / "sub dir é" / "b ü.mp4") == 8
    assert sorted(path.name for path in (out / "sub dir é" / "pics").iterdir()) == [
        "p000.png", "p001.png", "p002.png",
    ]  # fmt: skip
    assert not leftovers(out)
    assert "5 clips: 3 done, 2 failed" in done.err


def test_what_is_done_is_skipped_and_what_changed_is_never_replaced_unasked(
    f2r, tree, tmp_path, clip_writer
) -> None:
    out = tmp_path / "out"
    assert f2r("denoise", tree, "-o", out).code == EXIT_OK
    stamp = (out / "a.mkv").stat().st_mtime_ns
    os.utime(tree / "a.mkv")  # touched, the same bytes
    done = f2r("denoise", tree, "-o", out, "--overwrite", "--jobs", 2, "--threads", 1)
    assert done.code == EXIT_OK, done.err
    assert statuses(out) == {"a.mkv": "skipped"}
    assert report_of(out)["a.mkv"]["frames"] == 6
    done = f2r("denoise", tree, "-o", out, "--strength", 0)
    assert done.code == EXIT_BATCH
    assert "made with other settings" in done.err
    clip_writer(tree / "a.mkv", frames=7)
    done = f2r("denoise", tree, "-o", out)
    assert done.code == EXIT_BATCH
    assert "from other content" in done.err
    assert (out / "a.mkv").stat().st_mtime_ns == stamp
    assert f2r("denoise", tree, "-o", out, "--overwrite").code == EXIT_OK
    assert frames_in(out / "a.mkv") == 7
    (out / "a.mkv").write_bytes(b"mine")
    done = f2r("denoise", tree, "-o", out)
    assert "was changed since f2r wrote it" in done.err
    assert (out / "a.mkv").read_bytes() == b"mine"


def test_a_file_that_f2r_did_not_write_is_left_alone(f2r, tree, tmp_path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.mkv").write_bytes(b"mine")
    done = f2r("denoise", tree, "-o", out)
    assert done.code == EXIT_BATCH
    assert "already exists" in done.err
    assert (out / "a.mkv").read_bytes() == b"mine"


def test_a_kill_between_the_result_and_its_record_loses_nothing(f2r, tree, tmp_path) -> None:
    out = tmp_path / "out"
    assert f2r("denoise", tree, "-o", out).code == EXIT_OK
    (path,) = (out / ".f2r").glob("*.json")
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"finished": False, "made": "", "facts": {}}))
    assert f2r("denoise", tree, "-o", out).code == EXIT_OK
    assert statuses(out) == {"a.mkv": "skipped"}
    assert json.loads(path.read_text())["finished"]


def until(found: Callable[[], bool]) -> None:
    """Wait as long as it takes; pytest's own limit ends what never comes."""
    while not found():
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_killed_batch_leaves_no_half_files_and_goes_on_where_it_was(
    start, f2r, tree, tmp_path, clip_writer, number
) -> None:
    clip_writer(tree / "z.mkv", frames=12)
    out = tmp_path / "out"
    run = start("denoise", tree, "-o", out, hold="z.mkv")
    run.wait_until_held()  # in the second clip
    before = (out / "a.mkv").stat().st_mtime_ns
    run.send(number)
    done = run.end()
    until(lambda: not leftovers(out) or number == signal.SIGKILL)
    until(lambda: not (out / ".z.part.mkv").exists())  # the child has ended with its parent
    assert not (out / "z.mkv").exists()
    if number != signal.SIGKILL:
        assert done.code == (EXIT_INTERRUPTED if number == signal.SIGINT else 143), done.err
        assert statuses(out)["a.mkv"] == "done"
        assert "the same command continues" in done.err
    assert f2r("denoise", tree, "-o", out).code == EXIT_OK
    assert statuses(out) == {"a.mkv": "skipped", "z.mkv": "done"}
    assert (out / "a.mkv").stat().st_mtime_ns == before
    assert frames_in(out / "z.mkv") == 12
    assert not leftovers(out)


def test_several_inputs_of_which_one_is_missing(f2r, tree, tmp_path, clip_writer) -> None:
    other = clip_writer(tmp_path / "other.mkv")
    out = tmp_path / "out"
    done = f2r("denoise", tree, other, tmp_path / "gone.mkv", "-o", out)
    assert done.code == EXIT_BATCH
    assert statuses(out) == {"in/a.mkv": "done", "other.mkv": "done", "gone.mkv": "failed"}
    assert "there is no such file" in done.err


def test_json_has_an_event_per_clip(f2r, tree, tmp_path) -> None:
    done = f2r("denoise", tree, "-o", tmp_path / "out", "--json")
    events = [json.loads(line) for line in done.out.splitlines()]
    assert [event["event"] for event in events] == [
        "start", "progress", "clip", "result",
    ]  # fmt: skip
    assert (events[1]["place"], events[1]["frames"]) == ("a.mkv", 6)
    assert events[2]["status"] == "done"
    assert events[3]["counts"] == {"done": 1}
    assert events[3]["exit_code"] == EXIT_OK


def test_shards_share_the_clips_and_write_reports_of_their_own(f2r, tmp_path, clip_writer) -> None:
    top = tmp_path / "in"
    top.mkdir()
    clip = clip_writer(tmp_path / "clip.mkv")
    for number in range(7):
        shutil.copy(clip, top / f"{number}.mkv")
    listed = []
    for part in (1, 2, 3):
        done = f2r("denoise", top, "-o", tmp_path / "out", "--shard", f"{part}/3", "--dry-run")
        assert done.code == EXIT_OK
        listed.append([line for line in done.out.splitlines() if "->" in line])
    assert sorted(map(len, listed)) == [2, 2, 3]
    assert len({line for part in listed for line in part}) == 7
    assert not (tmp_path / "out").exists()
    f2r("denoise", top, "-o", tmp_path / "out", "--shard", "3/3")
    assert list(report_of(tmp_path / "out", "report-3-of-3.json")) == ["2.mkv", "5.mkv"]


def test_a_cluster_that_is_not_there_is_one_clear_line(
    f2r, tree, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "TIMEOUT", 1)
    done = f2r("denoise", tree, "-o", tmp_path / "out", "--cluster", "tcp://127.0.0.1:1")
    assert done.code == EXIT_USAGE
    assert "no scheduler answers there" in done.err
    assert not (tmp_path / "out" / "report.json").exists()


def test_a_folder_of_pictures_stays_one_clip(f2r, tree, tmp_path) -> None:
    out = tmp_path / "pics_out"
    assert f2r("denoise", tree / "sub dir é" / "pics", "-o", out).code == EXIT_OK
    assert sorted(path.name for path in out.iterdir()) == ["p000.png", "p001.png", "p002.png"]


def test_a_folder_without_output_goes_beside_itself(f2r, tree) -> None:
    done = f2r("denoise", tree, "--pattern", "*.MKV")
    assert done.code == EXIT_OK, done.err
    assert (tree.parent / "in_f2r" / "a.mkv").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["{in}", "-o", "{in}"], EXIT_USAGE, "the output is the input folder"),
        (["{in}", "-o", "{in}/clean", "-r"], EXIT_USAGE, "lies inside the input folder"),
        (["{in}", "-o", "{in}/a.mkv"], EXIT_FAILURE, "is a file; several clips need a folder"),
        (["{in}", "-o", "{out}.mkv"], EXIT_USAGE, "is named like one clip; several clips need"),
        (["{in}", "-o", "-"], EXIT_USAGE, "standard output holds one clip"),
        (["{in}", "-", "-o", "{out}"], EXIT_USAGE, "must be a file or a folder"),
        (["{in}", "{in}/a.mkv"], EXIT_USAGE, "no output folder"),
        (["{in}", "-o", "{out}", "--pattern", "*.avi"], EXIT_INPUT, "no clips found"),
        (["{in}", "-o", "{out}", "--shard", "4/3"], EXIT_USAGE, "not I/N"),
        (["{in}", "-o", "{out}", "--shard", "0/3"], EXIT_USAGE, "not I/N"),
        (["{in}", "-o", "{out}", "--preview", "1"], EXIT_USAGE, "one clip at a time"),
        (["{in}", "-o", "{out}", "--cluster", "http://x"], EXIT_USAGE, "not a cluster"),
        (["{in}", "-o", "{out}", "--strength", "9"], EXIT_USAGE, "--strength 9"),
        (["-", "-o", "{out}", "--jobs", "2"], EXIT_USAGE, "standard input is one clip"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_clear_line_before_any_work(
    f2r, tree, tmp_path, arguments, code, words
) -> None:
    before = sorted(tmp_path.rglob("*"))
    places = {"in": tree, "out": tmp_path / "out"}
    done = f2r("denoise", *(argument.format(**places) for argument in arguments))
    assert done.code == code, done.err
    (line,) = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert words in line
    assert sorted(tmp_path.rglob("*")) == before


def test_two_inputs_of_one_output_are_refused_by_name(f2r, tree, tmp_path) -> None:
    shutil.copy(tree / "a.mkv", tree / "a.mpg")  # would become a.mkv or a.mp4
    shutil.copy(tree / "a.mkv", tree / "a.mp4")
    done = f2r("denoise", tree, tmp_path / "in" / "sub dir é", "-o", tmp_path / "out", "--dry-run")
    colliding = [line for line in done.err.splitlines() if line.startswith("error: ")]
    if done.code != EXIT_OK:
        assert "both would be written to" in colliding[0]
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(tree / "a.mkv", other / "a.mkv")
    done = f2r("denoise", tree / "a.mkv", other / "a.mkv", "-o", tmp_path / "out")
    assert done.code == EXIT_USAGE
    assert "both would be written to" in done.err
    assert not (tmp_path / "out").exists()


def test_a_report_that_is_not_ours_is_kept(f2r, tree, tmp_path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.json").write_text('{"mine": true}')
    done = f2r("denoise", tree, "-o", out)
    assert done.code == EXIT_FAILURE
    assert "is not an f2r report" in done.err
    assert [path.name for path in out.iterdir()] == ["report.json"]


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_a_folder_that_cannot_be_written_is_one_clear_line(f2r, tree, tmp_path) -> None:
    out = tmp_path / "out"
    if os.geteuid() == 0:  # root may write anywhere but there
        out = Path("/proc/f2r_out")
    else:
        out.mkdir(mode=0o555)
    done = f2r("denoise", tree, "-o", out)
    assert done.code == EXIT_FAILURE, done.err
    (line,) = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert f"{out}: cannot be written" in line


def test_strength_zero_gives_back_every_value_of_every_clip(f2r, tree, tmp_path) -> None:
    out = tmp_path / "out"
    assert f2r("denoise", tree / "a.mkv", "-o", out, "--jobs", 1, "--strength", 0).code == EXIT_OK
    with open_reader(tree / "a.mkv") as before, open_reader(out / "a.mkv") as after:
        for one, other in zip(before, after, strict=True):
            for plane, same in zip(one.planes, other.planes, strict=True):
                np.testing.assert_array_equal(plane, same)
