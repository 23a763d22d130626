"""`f2r info`, `f2r noise` and `f2r doctor`: what is told, in lines and as JSON."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile

from f2rcli import weights
from f2rcli.errors import EXIT_FAILURE, EXIT_INPUT, EXIT_OK, EXIT_USAGE
from tests.cli.conftest import Done, write_clip

Run = Callable[..., Done]


def test_info_tells_what_is_there_and_what_would_be_done(f2r: Run, clip: Path) -> None:
    done = f2r("info", clip)
    assert done.code == EXIT_OK, done.err
    names = [line.split()[0] for line in done.out.splitlines()]
    assert names[:3] == ["file", "picture", "stream"]
    assert {"output", "noise", "engine", "cost"} <= set(names)
    for words in ("64x48", "6 frames", "clip_f2r.mp4: mp4, libx264", "of 255", "s per frame"):
        assert words in done.out


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
    assert "CTYX" in f2r("info", path).out


def test_noise_is_told_in_full(f2r: Run, tmp_path: Path) -> None:
    clip, plot = write_clip(tmp_path / "clip.mkv", frames=10, sigma=15), tmp_path / "noise.svg"
    done = f2r("noise", clip, "--plot", plot)
    assert done.code == EXIT_OK, done.err
    for word in ("noise ", "sigma ", "rho x", "time ", "clipped", "sure ", "means "):
        assert word in done.out
    assert plot.read_text().lstrip().startswith(("<svg", "<?xml"))
    again = f2r("noise", clip, "--plot", plot)
    assert (again.code, "already exists" in again.err) == (EXIT_FAILURE, True)
    (found,) = [json.loads(line) for line in f2r("noise", clip, "--json").out.splitlines()]
    assert found["file"] == "clip.mkv"


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


def test_doctor_names_what_is_installed(f2r: Run) -> None:
    done = f2r("doctor")
    assert done.code == EXIT_OK, done.out
    for word in ("f2r ", "python ", "library ", "encoders ", "device ", "weights "):
        assert f"\n{word}" in f"\n{done.out}"
