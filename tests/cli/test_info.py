"""`f2r info` and `f2r noise`: what is told, in lines and as JSON."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tifffile

from f2rcli import weights
from f2rcli.errors import EXIT_FAILURE, EXIT_INPUT, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE
from tests.cli.conftest import Run, write_clip
from tests.video import write_video


def test_info_tells_what_is_there_and_what_it_takes(f2r: Run, clip: Path) -> None:
    done = f2r("info", clip)
    assert done.code == EXIT_OK, done.err
    names = [line.split()[0] for line in done.out.splitlines()]
    assert names[:3] == ["file", "picture", "stream"]
    assert {"noise", "engine", "cost"} <= set(names)
    for words in ("64x48", "6 frames", "of 255", "s per frame"):
        assert words in done.out


def test_info_names_the_grid_of_chroma(f2r: Run, tmp_path: Path) -> None:
    """It called 4:4:0 `(0, 1)`."""
    clip = write_clip(tmp_path / "clip.mkv", frames=2, pix_fmt="yuv440p")
    assert ", yuv 4:4:0, 8 bits" in f2r("info", clip).out


def test_info_as_json_has_the_same_facts(f2r: Run, clip: Path) -> None:
    (found,) = [json.loads(line) for line in f2r("info", clip, "--json").out.splitlines()]
    assert found["event"] == "info"
    assert (found["picture"]["width"], found["picture"]["frames"]) == (64, 6)
    assert found["noise"]["sigma"] > 0
    assert found["cost"]["peak_bytes"] > 0
    assert found["engine"]["weights"] in weights.available()


def test_info_shows_the_axes_of_a_stack(f2r: Run, tmp_path: Path) -> None:
    path = tmp_path / "cells.ome.tif"
    cells = np.random.default_rng(0).poisson(30, (2, 6, 32, 32)).astype(np.uint16)
    tifffile.imwrite(path, cells, metadata={"axes": "CTYX"})
    said = f2r("info", path).out
    assert "CTYX" in said
    told = said.split("noise     channel 1: ")[1].splitlines()[0]
    said = f2r("noise", path).out
    assert "file      channel 1: cells.ome.tif, 6 frames measured" in said
    assert [f"noise     {told}" in said, "of 255" in said] == [True, False]


def test_noise_is_told_in_full(f2r: Run, tmp_path: Path) -> None:
    clip, plot = write_clip(tmp_path / "clip.mkv", frames=6, sigma=15), tmp_path / "noise.svg"
    done = f2r("noise", clip, "--plot", plot)
    assert done.code == EXIT_OK, done.err
    for word in ("noise ", "sigma ", "rho x", "time ", "clipped", "sure ", "means "):
        assert word in done.out
    assert plot.read_text().lstrip().startswith(("<svg", "<?xml"))
    again = f2r("noise", clip, "--plot", plot)
    assert (again.code, "already exists" in again.err) == (EXIT_FAILURE, True)
    (found,) = [json.loads(line) for line in f2r("noise", clip, "--json").out.splitlines()]
    assert found["file"] == "clip.mkv"


WIDTH, HEIGHT, COARSE = 320, 256, 0.4
GRAIN = "film-grain-table=grain.tbl"


def write_grainy(path: Path, noisy: float) -> Path:
    """A clip whose noise, times `noisy`, grows with brightness and is coarse in luma."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    reach, pictures = COARSE ** np.arange(12), []
    for number in range(10):
        luma = 28 + 190 * x / WIDTH + 9 * np.sin((x + 2 * number) / 19) * np.sin(y / 13)
        planes = [luma, *[np.full((HEIGHT // 2, WIDTH // 2), 128.0)] * 2]
        draw = rng.normal(size=(HEIGHT, WIDTH))
        for axis in (0, 1):  # of samples that share COARSE with the next one
            draw = sum(w * np.roll(draw, n, axis) for n, w in enumerate(reach))
        draws = [draw * (1 - COARSE**2), *rng.normal(size=(2, HEIGHT // 2, WIDTH // 2))]
        codes = [
            (plane + noisy * grain_at(luma[::step, ::step]) * drawn).ravel()
            for plane, drawn, step in zip(planes, draws, (1, 2, 2), strict=True)
        ]
        array = np.rint(np.concatenate(codes)).clip(0, 255).astype(np.uint8)
        pictures.append(array.reshape(-1, WIDTH))
    return write_video(path, pictures, "yuv420p", given="yuv420p")


def grain_at(luma: np.ndarray) -> np.ndarray:
    return np.sqrt(0.2 * np.clip(luma - 16, 0, None) + 4)


def test_a_grain_table_has_the_strength_and_the_grain_of_the_noise(f2r: Run, tmp_path) -> None:
    """Read by libaom and dav1d, which draw it: by brightness in luma and chroma, and how coarse."""
    clip, table = write_grainy(tmp_path / "noisy.mkv", 1), tmp_path / "grain.tbl"
    done = f2r("noise", clip, "--grain-table", table)
    assert done.code == EXIT_OK, done.err
    assert table.read_text().startswith("filmgrn1\nE 0 ")
    known = (
        shutil.which("ffmpeg")
        and subprocess.run(
            ["ffmpeg", "-hide_banner", "-encoders"], capture_output=True, text=True
        ).stdout
    )
    if not known or "libaom-av1" not in known:
        pytest.skip("needs an FFmpeg with libaom")
    write_grainy(tmp_path / "clean.mkv", 0)
    encode = ["-i", "clean.mkv", "-c:v", "libaom-av1", "-cpu-used", "8", "-crf", "10"]
    decode = ["-c:v", "libdav1d", "-i", "out.mkv", "-f", "rawvideo"]
    for words in ([*encode, "-aom-params", GRAIN, "out.mkv"], [*decode, "with.yuv"],
                  ["-export_side_data", "film_grain", *decode, "without.yuv"]):  # fmt: skip
        subprocess.run(["ffmpeg", "-v", "error", *words], check=True, cwd=tmp_path)
    drawn, plain = (
        np.fromfile(tmp_path / f"{name}.yuv", np.uint8).reshape(10, -1).astype(float)
        for name in ("with", "without")
    )
    grain, size = drawn - plain, WIDTH * HEIGHT
    luma = plain[:, :size].reshape(10, HEIGHT, WIDTH)
    parts = [(grain[:, :size].reshape(luma.shape), luma)]
    parts += [
        (grain[:, at : at + size // 4].reshape(10, HEIGHT // 2, WIDTH // 2), luma[:, ::2, ::2])
        for at in (size, size * 5 // 4)
    ]
    for part, light in parts:
        for low in (40, 90, 140, 190):
            there = (light >= low) & (light < low + 20)
            true = np.sqrt(np.mean(grain_at(light[there]) ** 2))
            assert part[there].std() == pytest.approx(true, rel=0.15), low
    own = parts[0][0] / grain_at(luma)
    shared = np.mean(own[:, :, 1:] * own[:, :, :-1]) / np.mean(own**2)
    assert shared == pytest.approx(COARSE, abs=0.06)


def test_a_grain_table_of_rgb_is_refused_at_once(f2r: Run, tmp_path: Path) -> None:
    cells = np.random.default_rng(0).poisson(90, (1, 64, 64)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "cells.tif", cells, metadata={"axes": "TYX"})
    done = f2r("noise", tmp_path / "cells.tif", "--grain-table", tmp_path / "grain.tbl")
    assert (done.code, "for Y'CbCr video alone" in done.err) == (EXIT_USAGE, True)


def test_info_and_noise_say_the_same_of_coded_noise(f2r: Run, clip: Path) -> None:
    told = [
        next(line for line in f2r(command, clip).out.splitlines() if line.startswith("noise "))
        for command in ("info", "noise")
    ]
    assert told[0] == told[1]


def test_a_plot_never_replaces_a_clip(f2r: Run, clip: Path) -> None:
    link = clip.with_name("clip.svg")
    link.hardlink_to(clip)
    done = f2r("noise", clip, "--plot", link, "-y")
    assert (done.code, "another file of this run" in done.err) == (EXIT_USAGE, True)


def test_one_frame_is_too_little_to_measure(f2r: Run, tmp_path: Path) -> None:
    done = f2r("noise", write_clip(tmp_path / "one.mkv", frames=1))
    assert (done.code, "too little to measure" in done.err) == (EXIT_INPUT, True)


def test_ctrl_c_does_not_speak_of_a_result(f2r: Run, clip: Path, monkeypatch) -> None:
    def stopped(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("f2rcli.cli.info.open_reader", stopped)
    done = f2r("info", clip)
    assert done.code == EXIT_INTERRUPTED
    assert "error: interrupted; nothing was written." in done.err
