"""`f2r denoise` of one clip: the result, what is told before and after, and what is never done."""

import json
import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import tifffile

from f2rcli import weights
from f2rcli.cli import progress
from f2rcli.cli.app import run
from f2rcli.cli.console import Console
from f2rcli.cli.engine import estimated, remember
from f2rcli.cli.progress import FrameMeter
from f2rcli.engine import resuming
from f2rcli.engine.settings import EngineSettings
from f2rcli.errors import EXIT_DAMAGED, EXIT_FAILURE, EXIT_INPUT, EXIT_INTERRUPTED, EXIT_OK
from f2rcli.io import open_reader
from f2rcli.units import size
from tests.cli.conftest import Done, Run, drifting, rgb, write_clip
from tests.fidelity import footage
from tests.fidelity.footage import psnr
from tests.io.conftest import film, packets_of
from tests.io.raw_files import bytes_read, tags, write_burst
from tests.io.rich import write_rich
from tests.video import write_video


def events(done: Done) -> list[dict]:
    return [json.loads(line) for line in done.out.splitlines()]


def stages(told: list[dict]) -> list[str]:
    return [one["stage"] for one in told if one["event"] == "stage"]


def test_a_noisy_clip_gets_clearly_better_and_its_noise_is_told(f2r: Run, tmp_path: Path) -> None:
    noisy = write_clip(tmp_path / "noisy.mkv", frames=7, sigma=20)
    out, clean = tmp_path / "out.mkv", drifting(7, (64, 48))
    told = events(f2r("denoise", noisy, "-o", out, "--json"))
    assert psnr(rgb(out), clean) > psnr(rgb(noisy), clean) + 5
    assert told[-1]["sigma"] == pytest.approx(20, rel=0.25)
    assert 0 < told[-1]["given_back"]["share"] < 1
    assert told[-1]["frames"] == 7


@pytest.mark.parametrize("method", ["fitvnet", "udvd", "blind2sound"])
def test_other_methods_run_with_the_same_command(f2r: Run, tmp_path: Path, method: str) -> None:
    noisy = write_clip(tmp_path / "noisy.mkv", frames=5, sigma=20)
    out, clean = tmp_path / "out.mkv", drifting(1, (64, 48))
    done = f2r("denoise", noisy, "-o", out, "--method", method, "--frames", 1, "--sigma", 20)
    assert done.code == EXIT_OK, done.err
    assert psnr(rgb(out), clean) > psnr(rgb(noisy)[:1], clean) + 3


def test_strength_zero_gives_back_every_sample(f2r: Run, tmp_path: Path) -> None:
    noisy, out = write_clip(tmp_path / "noisy.mkv"), tmp_path / "same.mkv"
    assert f2r("denoise", noisy, "-o", out, "--strength", 0).code == EXIT_OK
    np.testing.assert_array_equal(rgb(out), rgb(noisy))


@pytest.mark.usefixtures("coarse_alone")
def test_results_are_rounded_to_the_bits_that_are_written(f2r: Run, tmp_path: Path) -> None:
    """To the input's own 8, before: steps of a whole code in a sky."""
    clip = footage.leaves(96, 128, 7, seed=2, sky=True)
    noisy = footage.write(tmp_path / "noisy.mkv", footage.noisy(clip, 1, 3))
    deep = "--encoder-opt", "pix_fmt=yuv420p10le"

    def luma(*options: object) -> np.ndarray:
        done = f2r("denoise", noisy, "-o", tmp_path / "out.mkv", "-y", *options)
        assert done.code == EXIT_OK, done.err
        with open_reader(tmp_path / "out.mkv") as reader:
            codes = 2 ** (reader.info.layout.bits - 8)
            return np.stack([frame.planes[0] for frame in reader]) / codes

    found, truth = luma(*deep), [planes[0] for planes in clip]
    assert psnr(found, truth) > psnr(luma(), truth) + 0.4
    np.testing.assert_array_equal(found[3:], luma(*deep, "--start", 0.12))
    np.testing.assert_array_equal(
        luma(*deep, "--strength", 0), footage.stacked(footage.read(noisy))[0]
    )


@pytest.mark.usefixtures("only_measured")
@pytest.mark.parametrize("strength", [0, 1])
def test_what_lies_beside_travels_from_its_start(f2r: Run, tmp_path: Path, strength: int) -> None:
    """What came before the second frame was lost: cover, subtitles, the beginning of the sound."""
    plain = film(tmp_path / "plain.mkv", pts=8, audio=True)
    rich, out = write_rich(plain, tmp_path / "rich.mkv"), tmp_path / "out.mkv"
    done = f2r("denoise", rich, "-o", out, "--strength", strength)
    assert done.code == EXIT_OK, done.err
    for kind in ("audio", "subtitle"):
        assert packets_of(out, kind) == packets_of(rich, kind)


@pytest.mark.usefixtures("coarse_alone")
def test_colour_alone_can_be_denoised(f2r: Run, tmp_path: Path) -> None:
    clip, out = write_clip(tmp_path / "clip.y4m", sigma=20), tmp_path / "out.y4m"
    words = ("--strength", 0, "--chroma-strength", 1)
    assert f2r("denoise", clip, "-o", out, *words).code == EXIT_OK
    before, after = (planes(path) for path in (clip, out))
    np.testing.assert_array_equal(before[:, :48], after[:, :48])  # luma
    assert np.any(before[:, 48:] != after[:, 48:])


def planes(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray() for f in container.decode(video=0)])


@pytest.mark.usefixtures("only_measured")
def test_costs_are_told_beforehand(f2r: Run, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guess at first, which says so; then by the last run of this kind on this machine, whose
    memory was once told by a formula (3.0 GB where 1.9 were taken)."""
    held = iter([900_000_000, 1_700_000_000])
    monkeypatch.setattr("f2rcli.cli.run.most_memory", lambda: next(held, 1_700_000_000))
    long = write_clip(clip.with_name("long.mp4"), frames=9)
    first = f2r("denoise", long, "-o", clip.with_name("a.mp4"), "--device", "cpu").err
    assert first.startswith("long.mp4: 64x48, 9 frames, 0.36 s; roughly 0:")
    assert "of memory here, guessed from this processor's speed" in first.splitlines()[0]
    again = f2r("denoise", long, "-o", clip.with_name("b.mp4"), "--device", "cpu").err
    assert "; about 0:" in again.splitlines()[0]
    assert " and 1.7 GB of memory here, as the last run of this kind" in again.splitlines()[0]
    kept = f2r("denoise", long, "-o", clip.with_name("c.mp4"), "--device", "cpu").err
    assert " and 1.7 GB " in kept.splitlines()[0]  # of a process that had held as much before
    large = write_clip(clip.with_name("large.mp4"), frames=1, size=(320, 240))
    other = f2r("denoise", large, "--device", "cpu")
    assert ", by a run of another size" in other.err.splitlines()[0]
    assert " and 515 MB of memory" in other.err.splitlines()[0]  # not 1.7 GB: it has no neighbours


@pytest.mark.usefixtures("only_measured")
def test_lead_in_is_part_of_the_wait(f2r: Run, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A still of 1080p was told as nine seconds and took 52: 24 frames come before it."""
    monkeypatch.setattr("f2rcli.cli.progress.EVENT_EVERY", 0.0)
    long = write_clip(clip.with_name("long.mkv"), frames=14)
    told = events(f2r("denoise", long, "--preview", "0.4", "--json", "--device", "cpu"))
    cost = told[0]["estimate"]
    assert cost["frames"] == 1
    assert cost["seconds"] > 11 * cost["seconds_per_frame"]
    assert stages(told)[2:] == [
        f"{done} of 10 frames before the first one" for done in range(1, 11)
    ]
    words = f2r("denoise", long, "--start", "0.4", "--dry-run").out
    assert " s per frame, 10 before these as well) and " in words
    assert "before these" not in f2r("denoise", long, "--frames", "2", "--dry-run").out
    stack = clip.with_name("stack.tif")  # without a rate
    tifffile.imwrite(stack, np.zeros((4, 32, 32), np.uint8), imagej=True, metadata={"axes": "TYX"})
    assert "before these" not in f2r("denoise", stack, "--dry-run").out
    several = ("-o", clip.with_name("out"), "-j", 1, "--start", "0.4", "--dry-run", "--json")
    (row,) = events(f2r("denoise", long, "--device", "cpu", *several))[-1]["clips"]
    assert row["seconds"] > 13 * cost["seconds_per_frame"]


def metered(*seconds: float) -> FrameMeter:
    """A meter after frames that took so long."""
    now = [0.0]
    meter = FrameMeter(Console(), "clip", len(seconds), clock=lambda: now[0])
    for one in seconds:
        now[0] += one
        meter.advance()
    return meter


def test_frames_that_lead_in_are_no_opening(clip: Path) -> None:
    """What a later run of the whole clip is told to wait for."""
    meter = metered(30.0, *[1.0] * 11)
    meter.led = 10
    with open_reader(clip) as reader:
        remember(EngineSettings(), reader.info, meter, None)
        takes = estimated(EngineSettings(), reader.info)
    assert (takes.seconds, takes.opening) == pytest.approx((1.0, 20.0))


@pytest.mark.usefixtures("only_measured")
def test_copies_of_frames_are_no_pace(f2r: Run, clip: Path, monkeypatch) -> None:
    """After a run of a still, a film of the same size was told a fiftieth of what it took."""
    twice, met = clip.with_name("twice.mkv"), list[FrameMeter]()
    with av.open(str(clip)) as one:
        pictures = (frame for frame in one.decode(video=0) for _ in range(2))
        write_video(twice, pictures, "yuv420p", rate=50)
    kept = "f2rcli.cli.run.remember"
    monkeypatch.setattr(kept, lambda _1, _2, meter, *_: met.append(meter) or ())
    assert f2r("denoise", twice).code == EXIT_OK
    assert (met[0].done, met[0].copies) == (12, 6)
    meter = metered(*[1.0] * 24)
    meter.copies = 12
    with open_reader(clip) as reader:
        remember(EngineSettings(), reader.info, meter, None)
        assert estimated(EngineSettings(), reader.info).seconds == pytest.approx(2.0)


def test_other_programs_make_it_longer(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside them six seconds were told for a minute; and a minute for six after they had ended."""
    scheduled = clip.with_name("schedstat")
    monkeypatch.setattr("f2rcli.cli.engine.SCHEDULED", scheduled)
    with open_reader(clip) as reader:
        told = lambda: estimated(EngineSettings(device="cpu"), reader.info)  # noqa: E731
        guess = told().seconds or 0.0
        scheduled.write_text("1000 3000 7\n")  # ran, waited, turns
        assert told().seconds == pytest.approx(4 * guess)
        remember(EngineSettings(device="cpu"), reader.info, metered(*[2.0] * 12), None)
        assert told().seconds == pytest.approx(2.0)
        assert told().words().startswith("roughly ")
        assert told().words().endswith("took; other programs make it 4 times as long")
        scheduled.write_text("1000 0 1\n")
        assert told().seconds == pytest.approx(0.5)
        assert told().words().endswith("as the last run of this kind took")


def test_small_pictures_take_longer_for_a_pixel(clip: Path) -> None:
    """A run of 424x240 made 1080p 1.4 times as long as it is, and its opening four times."""
    with open_reader(clip) as reader:
        small = replace(reader.info, width=424, height=240)
    remember(EngineSettings(), small, metered(2.0, *[0.1] * 11), None)
    takes = estimated(EngineSettings(), replace(small, width=1920, height=1080))
    assert takes.seconds == pytest.approx(1.48, rel=0.15)
    assert "(180 s per frame)" in takes._replace(seconds=176.0).words()  # not 1.8e+02
    assert takes.opening < 10
    still = replace(small, frames=1)  # has no neighbours, and is remembered by itself
    remember(EngineSettings(), still, metered(9.0), None)
    assert estimated(EngineSettings(), still).whole == pytest.approx(9.0)
    assert estimated(EngineSettings(), small).seconds == pytest.approx(0.1)


@pytest.mark.usefixtures("only_measured")
def test_the_other_size_of_networks_is_told(f2r: Run, clip: Path) -> None:
    on = ("--device", "cpu", "-y", "--frames", 2)
    told = f2r("denoise", clip, *on).err.splitlines()[1]
    assert re.fullmatch(r"--model full: [\d.]+ dB better, [\d.]+ times as long", told)
    for model, other in (("lite", "full"), ("full", "lite")):
        done = f2r("denoise", clip, "--model", model, *on)
        assert done.code == EXIT_OK
        assert done.err.splitlines()[1].startswith(f"--model {other}: ")
        seen = json.loads(f2r("info", clip, "--model", model, *on[:2], "--json").out)
        assert seen["engine"]["weights"] == f"f2r-{model}"
    both = f2r("denoise", clip, "--model", "full", "--weights", "f2r-full")
    assert "--model and --weights: choose one of them." in both.err


@pytest.mark.usefixtures("only_measured")
def test_a_locked_cache_is_harmless(f2r: Run, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip.with_name("cache").write_text("a file, not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(clip.with_name("cache")))
    done = f2r("denoise", write_clip(clip.with_name("long.mkv"), frames=9))
    assert done.code == EXIT_OK
    assert "roughly" in done.err
    assert done.err.count("the time of this run is not kept") == 1


@pytest.mark.usefixtures("only_measured")
@pytest.mark.parametrize("text", ["{", "[]", '{"0.1.0": 3}'])
def test_a_cache_that_anyone_wrote_is_none(f2r: Run, clip: Path, text: str) -> None:
    path = Path(os.environ["XDG_CACHE_HOME"], "f2r", "pace", "runs.json")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert "roughly" in f2r("denoise", clip, "--device", "cpu").err.splitlines()[0]


@pytest.mark.usefixtures("coarse_alone")
def test_ctrl_c_finishes_the_frame_and_the_same_command_goes_on(
    f2r: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ran for a minute is not lost: here the minute is over at once."""
    monkeypatch.setattr(resuming, "FIRST", -1.0)
    monkeypatch.setattr(resuming, "SHARE", 1e-9)  # no state is kept unasked after the first
    noisy, whole = write_clip(tmp_path / "noisy.mkv", frames=12), tmp_path / "whole.mkv"
    assert f2r("denoise", noisy, "-o", whole).code == EXIT_OK
    counted = FrameMeter.advance

    def stopping(meter: FrameMeter) -> None:
        counted(meter)
        if meter.done == 6:
            meter.console.stopper(signal.SIGINT, None)

    monkeypatch.setattr(FrameMeter, "advance", stopping)
    stopped = f2r("denoise", noisy, "-o", tmp_path / "out.mkv", "-q")
    assert stopped.code == EXIT_INTERRUPTED
    assert "f2r: finishing this frame; again to stop at once" in stopped.err
    assert re.search(r"the same command continues after [678] finished frames", stopped.err)
    kept = sum(f.stat().st_size for f in (tmp_path / ".out.mkv.resume").iterdir())
    assert f"(.out.mkv.resume, {size(kept)})" in stopped.err
    told = events(f2r("denoise", noisy, "-o", tmp_path / "out.mkv", "--json"))
    (resumed,) = (event for event in told if event["event"] == "resume")
    assert resumed["estimate"]["frames"] == 12 - resumed["finished"] < 7
    monkeypatch.setattr(FrameMeter, "advance", counted)
    again = f2r("denoise", noisy, "-o", tmp_path / "out.mkv")
    assert again.code == EXIT_OK
    assert "per frame" not in again.err.splitlines()[0]  # how long it takes is told of what is left
    assert re.search(r"continues after the [678] finished frames.*\nto go: .* per frame", again.err)
    np.testing.assert_array_equal(rgb(tmp_path / "out.mkv"), rgb(whole))


@pytest.mark.usefixtures("only_measured")
def test_one_noise_has_one_number_and_one_word(f2r: Run, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", frames=7, sigma=12)
    (words,) = (
        line.split(": ", 1)[1]
        for line in f2r("denoise", clip).err.splitlines()
        if line.startswith("noise: ")
    )
    assert words.startswith("usual, sigma 1")
    assert f"noise     {words}" in f2r("info", clip).out


@pytest.mark.usefixtures("only_measured")
def test_events_tell_the_whole_run(f2r: Run, clip: Path) -> None:
    told = events(f2r("denoise", clip, "--json"))
    kinds = [event["event"] for event in told]
    middle = ["progress"] * (len(kinds) - 5)
    assert kinds == ["start", "stage", "stage", *middle, "stage", "result"]
    start, progress, result = told[0], told[-3], told[-1]
    assert start["estimate"]["peak_bytes"] > 1e8
    assert stages(told) == [
        "loading the networks", "first frames and their noise",
        "writing what is left, and verifying all of it",
    ]  # fmt: skip
    several = events(f2r("denoise", clip, "-o", clip.with_name("out"), "-j", 1, "--json"))
    assert stages(several) == stages(told)  # no sign of life came before a clip's first frame
    assert (start["width"], start["height"], start["frames"]) == (64, 48, 6)
    assert (progress["frames"], progress["total"], progress["exact"]) == (6, 6, True)
    assert result["path"] == str(clip.with_name("clip_f2r.mp4"))
    assert result["exit_code"] == EXIT_OK
    assert result["verified"]


def test_a_dry_run_tells_plan_and_cost_and_writes_nothing(f2r: Run, clip: Path) -> None:
    before = sorted(clip.parent.iterdir())
    done = f2r("denoise", clip, "--dry-run")
    assert sorted(clip.parent.iterdir()) == before
    for words in ("output   clip_f2r.mp4: mp4, libx264", "s per frame", "of memory", "nothing was"):
        assert words in done.out
    plan = events(f2r("denoise", clip, "--dry-run", "--json"))[-1]
    cost = plan["cost"]
    assert cost["seconds"] > cost["frames"] * cost["seconds_per_frame"] > 0  # it opens, too
    assert plan["engine"]["method"] == "f2r"


@pytest.mark.skipif(not Path("/proc/self/io").is_file(), reason="Linux only")
def test_a_dry_run_of_a_burst_does_not_look_at_all_of_it(f2r: Run, tmp_path: Path) -> None:
    """Lasting defects were looked for in up to 33 files: half a minute for large ones."""
    burst = write_burst(tmp_path / "burst", count=12, size=(400, 600))
    whole = sum(path.stat().st_size for path in burst.iterdir())
    words = ("denoise", burst, "-o", tmp_path / "out", "--strength", 0, "--dry-run")
    before = f2r(*words).code, bytes_read()  # and modules are loaded
    assert (f2r(*words).code, before[0]) == (EXIT_OK, EXIT_OK)
    assert bytes_read() - before[1] < whole / 2


def test_a_span_is_cut(f2r: Run, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "cut.mkv"
    words = ("--start", "0.04", "--end", "0:00:00.16", "--strength", 0, "--codec", "ffv1")
    assert f2r("denoise", clip, "-o", out, *words).code == EXIT_OK
    np.testing.assert_array_equal(rgb(out), rgb(clip)[1:4])


def test_an_excerpt_shows_the_pixels_of_the_whole_run(f2r: Run, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", frames=14)
    assert f2r("denoise", clip, "-o", tmp_path / "whole.mkv").code == EXIT_OK
    words = ("--start", "0.4", "--frames", 2)
    assert f2r("denoise", clip, "-o", tmp_path / "part.mkv", *words).code == EXIT_OK
    whole, part = rgb(tmp_path / "whole.mkv")[10:12], rgb(tmp_path / "part.mkv")
    assert np.abs(whole.astype(int) - part).max() <= 2  # the memory of frames long past


@pytest.mark.usefixtures("only_measured")
def test_previews_show_both_sides(f2r: Run, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = f2r("denoise", clip, "-o", clip.with_name("out.mp4"), "--preview", "0.12")
    assert done.code == EXIT_OK, done.err
    assert "of memory here" in done.err.splitlines()[0]
    assert "verified 1 picture, read back" in done.err
    assert "->" not in done.err  # it is no smaller film
    (look,) = rgb(clip.with_name("out_preview.png"))
    assert look.shape == (48, 128, 3)
    assert psnr(look[:, :64], rgb(clip)[3]) > 30  # chroma is enlarged in another way
    assert not clip.with_name("out.mp4").exists()
    monkeypatch.setattr(progress, "EVENT_EVERY", 0)
    words = ("--preview", "0.12", "--overwrite", "--json")
    told = events(f2r("denoise", clip, "-o", clip.with_name("out.mp4"), *words))
    (last,) = [one for one in told if one["event"] == "progress"]
    assert (last["total"], last["exact"]) == (1, True)  # there is one still


@pytest.mark.usefixtures("only_measured")
@pytest.mark.parametrize("name", ["there", "there.mp4"])
def test_a_film_goes_into_a_folder(f2r: Run, clip: Path, tmp_path: Path, name: str) -> None:
    """One named like a film was said not to be there. --quiet says nothing of a good run."""
    (tmp_path / name).mkdir()
    assert f2r("denoise", clip, "-o", tmp_path / name, "-q") == Done(EXIT_OK, "", "")
    assert [path.name for path in (tmp_path / name).iterdir()] == ["clip.mp4"]


def test_this_folder_has_a_name(f2r: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ended as a bug in f2r, and with -o its name was empty."""
    (tmp_path / "run" / "sub").mkdir(parents=True)
    write_clip(tmp_path / "run" / "%03d.png", frames=3)
    for place, source in (("run", "."), ("run/sub", "..")):
        monkeypatch.chdir(tmp_path / place)
        done = f2r("denoise", source, "--strength", "0", "--overwrite")
        assert done.code == EXIT_OK, done.err
        assert "run: 3/3 frames" in done.err.replace("~", "")
        assert len(list((tmp_path / "run_f2r").iterdir())) == 3
    write_clip(tmp_path / "run" / "sub" / "clip.mkv", frames=2)
    monkeypatch.chdir(tmp_path / "run" / "sub")  # a folder of clips
    done = f2r("denoise", ".", "--strength", "0", "--dry-run")
    assert done.code == EXIT_OK, done.err
    assert "sub_f2r/clip.mkv" in done.out
    assert "internal" not in f2r("denoise", os.path.abspath(os.sep), "--dry-run").err


def test_a_moment_after_the_end_is_told_in_words_of_every_option(f2r: Run, clip: Path) -> None:
    for words in ("--preview 100", "--start 100", "--start 100 --dry-run"):  # which told a plan
        done = f2r("denoise", clip, *words.split())
        assert done.code == EXIT_INPUT
        assert "has no frame at or after 100 s.\nhint: Name an earlier time." in done.err
        assert "networks" not in done.err  # they were loaded first


@pytest.mark.usefixtures("only_measured")
def test_a_film_becomes_pictures_for_a_pattern(f2r: Run, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    done = f2r("denoise", clip, "-o", tmp_path / "out" / "%05d.png", "--frames", 2)
    assert done.code == EXIT_OK, done.err
    assert len(list((tmp_path / "out").glob("*.png"))) == 2


@pytest.mark.usefixtures("only_measured")
def test_what_is_there_is_kept_unless_told(f2r: Run, clip: Path) -> None:
    out = clip.with_name("out.mp4")
    out.write_bytes(b"mine")
    done = f2r("denoise", clip, "-o", out)
    assert done.code == EXIT_FAILURE
    assert done.err.splitlines()[-2:] == [
        "error: out.mp4: already exists.",
        "hint: Pass --overwrite, or another name with -o.",
    ]
    assert out.read_bytes() == b"mine"
    assert f2r("denoise", clip, "-o", out, "-y").code == EXIT_OK
    assert len(rgb(out)) == 6


def test_damage_ends_with_its_own_code_and_a_list(f2r: Run, damaged: Path, tmp_path: Path) -> None:
    done = f2r("denoise", damaged, "-o", tmp_path / "out.mkv", "--strength", 0)
    assert done.code == EXIT_DAMAGED
    assert "warning: damaged.mkv is damaged: " in done.err
    assert len(rgb(tmp_path / "out.mkv")) > 10


def test_what_is_remarkable_is_no_damage(f2r: Run, tmp_path: Path) -> None:
    """A warning of a missing picture went on with notes, and its seven files were kept as eight."""
    (tmp_path / "cells").mkdir()
    for name in ("T0_C0", "T0_C1", "T1_C0", "T1_C1", "T2_C0", "T3_C0", "T3_C1"):
        tifffile.imwrite(tmp_path / "cells" / f"{name}.tif", np.zeros((9, 9), np.uint8))
    done = f2r("denoise", tmp_path / "cells", "-o", tmp_path / "out", "--strength", 0)
    assert done.code == EXIT_DAMAGED, done.err
    before, after = done.err.split("cells: 7/7 frames")
    said = "names of files count T 4, C 2: taken as those axes"
    assert f"note: {said}\n" in before
    assert "promises 8 pictures, 7 were read\n" in after
    assert "kept axes TCYX 4x2x9x9 (7 of its 8 pictures), " in done.err
    started = f2r("denoise", tmp_path / "cells", "--strength", 0, "--json").out.splitlines()[0]
    assert json.loads(started)["notes"] == [said]
    assert f"note: {said}\n" in f2r("noise", tmp_path / "cells").err
    scored = f2r("eval", tmp_path / "out", "--noisy", tmp_path / "cells")
    assert f"note: cells: {said}\n" in scored.err


@pytest.mark.usefixtures("only_measured")
def test_a_result_tells_how_it_was_made(f2r: Run, clip: Path) -> None:
    out = clip.with_name("out.mkv")
    words = ("--strength", "0.5", "--chroma-strength", "0", "--weights")
    path = weights.folder() / "f2r_lite.safetensors"
    assert f2r("denoise", clip, "-o", out, *words, path).code == EXIT_OK
    made = next(line for line in f2r("info", out).out.splitlines() if line.startswith("made by"))
    assert ", strength 0.5, " in made
    assert ", chroma strength 0, " in made
    assert ", weights f2r_lite.safetensors, " in made  # no private path


@pytest.mark.usefixtures("only_measured")
def test_a_stack_stays_what_it_is(f2r: Run, tmp_path: Path) -> None:
    path, out = tmp_path / "cells.tif", tmp_path / "clean.tif"
    light = np.linspace(10, 60, 64 * 48).reshape(48, 64)
    cells = np.random.default_rng(0).poisson(np.broadcast_to(light, (9, 48, 64))).astype(np.uint16)
    tifffile.imwrite(path, cells, imagej=True, metadata={"axes": "TYX"})
    done = f2r("denoise", path, "-o", out)
    assert done.code == EXIT_OK, done.err
    clean = tifffile.imread(out)
    assert (clean.shape, clean.dtype) == (cells.shape, cells.dtype)
    assert np.abs(clean - light).mean() < np.abs(cells - light).mean() / 2
    assert "in the file's own units" in done.err
    still = f2r("denoise", path, "-o", tmp_path / "still.png", "--preview", "0")
    noises = [line for one in (done, still) for line in one.err.splitlines() if "variance" in line]
    assert len(noises) == 2
    assert noises[0] == noises[1]  # it was denoised by itself, without its neighbours
    (look,), ramp = rgb(tmp_path / "still.png").astype(float), cells[0].astype(float)
    slope, offset = np.polyfit(ramp.ravel(), look[:, :64, 0].ravel(), 1)
    assert np.abs(look[:, 64:, 0] - (slope * clean[0] + offset)).max() < 1.5


@pytest.mark.parametrize(("exposures", "given"), [([1.0], 1), ([1.0, 0.25, 1.5], 6)])
def test_a_burst_is_merged_into_its_first_and_brackets_are_not(
    f2r: Run, tmp_path: Path, exposures: list[float], given: int
) -> None:
    (tmp_path / "burst").mkdir()
    light, rng = np.linspace(500, 2500, 64 * 48).reshape(48, 64), np.random.default_rng(0)
    for number, exposure in enumerate(6 // len(exposures) * exposures):
        noisy = (240 + exposure * light + rng.normal(0, 60, light.shape)).astype(np.uint16)
        tifffile.imwrite(tmp_path / "burst" / f"{number}.dng", noisy, photometric="cfa",
                         metadata=None, extratags=[*tags(left=frozenset({51041})),
                         (33434, 5, 1, (round(100 * exposure), 6000), True)])  # fmt: skip
    done = f2r("denoise", tmp_path / "burst", "-o", tmp_path / "out", "--frames", given)
    assert done.code == EXIT_OK, done.err
    assert ("several of one length gain most in a folder of their own" in done.err) == (given == 6)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [f"{number}.dng" for number in range(given)]
    for name, exposure in zip(names, given * exposures, strict=False):
        before, after = (tifffile.imread(tmp_path / where / name, key=0).astype(float)
                         for where in ("burst", "out"))  # fmt: skip
        assert np.std(after - exposure * light) < (60 / 6**0.5 if given == 1 else 45)
        assert after.mean() == pytest.approx(before.mean(), abs=1)


def test_a_stack_whose_resolution_is_nothing_is_no_bug(f2r: Run, tmp_path: Path) -> None:
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, np.full((5, 32, 32), 9, np.uint8), resolution=(7, 7))
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages[0].tags[283].overwrite((0, 0))
    done = f2r("denoise", path, "--strength", 0)
    assert done.code == EXIT_OK, done.err


def test_an_error_is_an_event_too(f2r: Run, tmp_path: Path) -> None:
    done = f2r("denoise", tmp_path / "none.mp4", "--json")
    (error,) = events(done)
    assert (error["event"], error["exit_code"]) == ("error", EXIT_INPUT)
    assert "none.mp4" in error["message"]


def test_a_file_name_of_any_characters_is_one_line(tmp_path: Path, capfd) -> None:
    name = "a\n\x1b[31m\u202eb.mp4"
    assert run(["denoise", str(tmp_path / name)]) == EXIT_INPUT
    err = capfd.readouterr().err
    assert len(err.splitlines()) <= 2
    assert "\x1b" not in err
    assert "\u202e" not in err
