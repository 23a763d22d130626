"""`f2r denoise` from the outside, with an engine that is quick and simple: what is written, said
and returned. What the networks do is tested elsewhere."""

import json
import os
from pathlib import Path

import av
import numpy as np
import pytest
import tifffile

from f2rcli.cli.running import preview_target
from f2rcli.errors import EXIT_DAMAGED, EXIT_FAILURE, EXIT_INPUT, EXIT_OK, EXIT_USAGE


def frames_of(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]


def events_of(out: str) -> list[dict]:
    return [json.loads(line) for line in out.splitlines()]


def listing(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_default_target_lies_beside_the_input(f2r, clip) -> None:
    done = f2r("denoise", clip)
    assert done.code == EXIT_OK, done.err
    assert listing(clip.parent) == {"clip.mp4", "clip_f2r.mp4"}
    assert len(frames_of(clip.parent / "clip_f2r.mp4")) == 6
    assert done.out == ""
    assert "clip_f2r.mp4: 6 frames" in done.err  # the receipt
    assert "verified" in done.err


def test_events_tell_the_whole_run(f2r, clip, tmp_path) -> None:
    done = f2r("denoise", clip, "-o", tmp_path / "out.mkv", "--json")
    events = events_of(done.out)
    assert [event["event"] for event in events if event["event"] != "warning"] == [
        "start", "progress", "result",
    ]  # fmt: skip
    start, progress, result = (e for e in events if e["event"] != "warning")
    assert (start["width"], start["height"], start["frames"]) == (64, 48, 6)
    assert start["plan"]["container"] == "matroska"
    assert (progress["frames"], progress["total"], progress["sigma"]) == (6, 6, 12.0)
    assert result["frames"] == 6
    assert result["exit_code"] == 0
    assert not result["damaged"]
    assert done.err == ""


def test_a_dry_run_prints_the_plan_and_writes_nothing(f2r, clip) -> None:
    before = listing(clip.parent)
    done = f2r("denoise", clip, "--dry-run")
    assert done.code == EXIT_OK, done.err
    for word in (
        "clip_f2r.mp4",
        "libx264",
        "0.5 s per frame",
        "0:03",
        "1.5 GB",
        "nothing was written",
    ):
        assert word in done.out
    assert listing(clip.parent) == before
    plan = events_of(f2r("denoise", clip, "--dry-run", "--json").out)[-1]
    assert plan["event"] == "plan"
    assert plan["cost"]["seconds"] == 3.0
    assert listing(clip.parent) == before


def test_strength_zero_gives_back_the_input(f2r, clip, tmp_path) -> None:
    out = tmp_path / "same.mkv"
    assert f2r("denoise", clip, "-o", out, "--strength", 0, "--lossless").code == EXIT_OK
    for a, b in zip(frames_of(clip), frames_of(out), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_span_is_cut(f2r, clip, tmp_path) -> None:
    out = tmp_path / "part.mp4"
    assert f2r("denoise", clip, "-o", out, "--start", "0.08", "--end", "0:00.16").code == EXIT_OK
    assert len(frames_of(out)) == 2


def test_a_log_file_gets_what_quiet_hides(f2r, clip, tmp_path) -> None:
    log = tmp_path / "run.log"
    done = f2r("denoise", clip, "-q", "--log-file", log)
    assert (done.code, done.out, done.err) == (EXIT_OK, "", "")
    text = log.read_text()
    for word in ("plan:", "engine:", "a fake engine", "clip_f2r.mp4: 6 frames", "progress"):
        assert word in text
    f2r("denoise", clip, "--log-file", log)
    assert "already exists" in log.read_text()


def test_verbose_says_more(f2r, clip) -> None:
    done = f2r("denoise", clip, "-v")
    assert "plan: clip_f2r.mp4" in done.err
    assert "stream:" in done.err


@pytest.mark.parametrize(
    "options",
    [
        ("--precision", "fp8"), ("--device", "gpu"), ("--tile", "big"), ("--method", "magic"),
        ("--weights", "nothing"), ("--strength", "-1"), ("--strength", "nan"), ("--sigma", "300"),
        ("--sigma", "loud"), ("--fields", "maybe"), ("--start", "soon"), ("--frames", "0"),
        ("--preview", "0"), ("--threads", "0"), ("--encoder-opt", "tune"),
        ("--encoder-opt", "tnue=grain"),
        ("--codec", "h2645"), ("--preset", "warp"), ("--pix-fmt", "yuv42p"), ("--crf", "low"),
        ("--start", "3", "--end", "2"), ("--bogus",), ("-o", "out.xyz"), ("-o", "-", "--json"),
        ("--preview", "1", "-o", "-"), ("--preview", "2", "--dry-run"), ("--threads", "1.5"),
    ],
    ids="_".join,
)  # fmt: skip
def test_a_wrong_option_is_one_clear_line(f2r, clip, options, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    before = listing(tmp_path)
    done = f2r("denoise", clip, *options)
    assert done.code == EXIT_USAGE, done.err
    complaints = [line for line in done.err.splitlines() if not line.startswith(("hint:", "note:"))]
    assert len(complaints) == 1
    assert complaints[0].startswith("error: ")
    assert "Traceback" not in done.err
    assert listing(tmp_path) == before


def test_commands_and_arguments_are_checked_too(f2r) -> None:
    for arguments in (("denois", "x"), ("denoise",), ("denoise", "a", "b"), ("--frobnicate",)):
        done = f2r(*arguments)
        assert done.code == EXIT_USAGE
        assert done.err.startswith("error: ")
    assert f2r("--version").out.startswith("f2r ")
    assert f2r("denoise", "--help").code == EXIT_OK


def test_what_is_no_video_is_refused_in_one_line(f2r, tmp_path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mkv").write_text("this is not a film\n" * 50)
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(1).bytes(5000))
    (tmp_path / "list.m3u8").write_text("#EXTM3U\nclip.ts\n")
    sources = ["missing.mp4", "empty.mp4", "text.mkv", "noise.mp4", "list.m3u8"]
    addresses = ["http://127.0.0.1:9/a.mp4", "rtsp://127.0.0.1/a", "concat:a.ts|b.ts"]
    before = listing(tmp_path)
    for source in [*(tmp_path / name for name in sources), *addresses]:
        done = f2r("denoise", source, "-o", tmp_path / "out.mp4")
        assert done.code == EXIT_INPUT, (source, done.err)
        assert done.err.count("error: ") == 1
        assert "Traceback" not in done.err
    assert listing(tmp_path) == before


def test_an_error_is_an_event_too(f2r, tmp_path) -> None:
    done = f2r("denoise", tmp_path / "missing.mp4", "--json")
    (event,) = events_of(done.out)
    assert (event["event"], event["exit_code"]) == ("error", EXIT_INPUT)
    assert "missing.mp4" in event["message"]


def test_an_existing_output_is_refused_and_kept(f2r, clip, tmp_path) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"precious")
    done = f2r("denoise", clip, "-o", out)
    assert done.code == EXIT_FAILURE
    assert "--overwrite" in done.err
    assert out.read_bytes() == b"precious"
    assert f2r("denoise", clip, "-o", out, "--overwrite").code == EXIT_OK
    assert len(frames_of(out)) == 6


@pytest.mark.parametrize("link", [os.link, os.symlink, None])
def test_the_input_is_never_the_output(f2r, clip, tmp_path, link) -> None:
    out = clip
    if link is not None:
        out = tmp_path / "linked.mp4"
        link(clip, out)
    before = clip.read_bytes()
    done = f2r("denoise", clip, "-o", out, "--overwrite")
    assert done.code in (EXIT_FAILURE, EXIT_USAGE)
    assert "input" in done.err
    assert clip.read_bytes() == before


def test_an_unwritable_place_is_refused(f2r, clip, tmp_path) -> None:
    done = f2r("denoise", clip, "-o", tmp_path / "nowhere" / "out.mp4")
    assert done.code == EXIT_FAILURE
    assert "folder" in done.err
    done = f2r("denoise", clip, "--log-file", tmp_path / "nowhere" / "log")
    assert done.code == EXIT_FAILURE
    assert listing(tmp_path) == {"clip.mp4"}


def test_damage_ends_with_its_own_code_and_a_ledger(f2r, tmp_path, damaged) -> None:
    out = tmp_path / "out.mkv"
    done = f2r("denoise", damaged, "-o", out)
    assert done.code == EXIT_DAMAGED, done.err
    assert "damage ledger" in done.err
    assert out.exists()
    result = events_of(f2r("denoise", damaged, "-o", out, "--overwrite", "--json").out)[-1]
    assert (result["event"], result["exit_code"], result["damaged"]) == (
        "result",
        EXIT_DAMAGED,
        True,
    )
    assert result["ledger"]


def test_strict_stops_at_damage_and_leaves_nothing(f2r, tmp_path, damaged) -> None:
    before = listing(tmp_path)
    done = f2r("denoise", damaged, "-o", tmp_path / "out.mkv", "--strict")
    assert done.code == EXIT_INPUT, done.err
    assert listing(tmp_path) == before


def test_a_bug_is_one_line_and_a_trace_only_on_demand(f2r, clip, monkeypatch) -> None:
    monkeypatch.setenv("F2R_FAKE_BUG", "1")
    done = f2r("denoise", clip)
    assert done.code == 70
    assert "ZeroDivisionError: a planted bug" in done.err
    assert "--debug" in done.err
    assert "Traceback" not in done.err
    assert "Traceback" in f2r("denoise", clip, "--debug").err
    assert listing(clip.parent) == {"clip.mp4"}


def test_a_preview_still_shows_before_and_after(f2r, clip) -> None:
    done = f2r("denoise", clip, "--preview", 1)
    assert done.code == EXIT_OK, done.err
    (still,) = frames_of(clip.parent / "clip_f2r_preview.png")
    assert still.shape == (48, 128)
    before, after = still[:, :64].astype(int), still[:, 64:].astype(int)
    assert before.mean() > after.mean() + 10  # the fake engine darkens


@pytest.mark.parametrize(
    ("named", "written"),
    [("look.png", "look.png"), ("out.mkv", "out_preview.png"), ("frames/", "frames_preview.png")],
)
def test_a_preview_goes_where_it_fits(named: str, written: str) -> None:
    assert preview_target(named, named) == written


def test_info_prints_what_it_sees_and_would_do(f2r, clip) -> None:
    done = f2r("info", clip)
    assert done.code == EXIT_OK, done.err
    for word in (
        "64x48",
        "4:2:0",
        "8 bits",
        "6 frames",
        "h264",
        "R 10.0, G 12.0, B 14.0",
        "libx264",
    ):
        assert word in done.out
    (event,) = events_of(f2r("info", clip, "--json").out)
    assert event["picture"]["bits"] == 8
    assert event["noise"]["sigma8"] == [10.0, 12.0, 14.0]
    assert event["streams"][0]["codec"] == "h264"
    assert listing(clip.parent) == {"clip.mp4"}


def test_info_names_settings_as_the_command_line_does(f2r, tmp_path) -> None:
    path = tmp_path / "pages.tif"
    tifffile.imwrite(path, np.zeros((3, 24, 32), np.uint16), photometric="minisblack")
    said = f2r("info", path).out
    assert "taken as time (--axes changes that)" in said
    assert "axes=" not in said
    (event,) = events_of(f2r("info", path, "--json").out)
    assert any("--axes" in note for note in event["notes"])


def test_what_was_to_be_kept_and_is_not_there_is_exit_code_4(
    f2r, clip, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("f2rcli.io.video.writer.lost_facts", lambda *_: ["2 chapters"])
    done = f2r("denoise", clip, "-o", tmp_path / "out.mkv")
    assert done.code == EXIT_DAMAGED
    assert "the output lacks what it should have kept: 2 chapters." in done.err
    assert "lost 2 chapters" in done.err
    assert len(frames_of(tmp_path / "out.mkv")) == 6
