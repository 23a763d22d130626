"""`f2r noise`: table, picture and JSON; and how it ends where there is nothing to measure."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from f2rcli import weights
from tests.cli.conftest import Done, write_clip

pytestmark = pytest.mark.usefixtures("noise_measured_once")
OPTIONS = ("--device", "cpu", "--threads", "1")


@pytest.fixture
def noise(command: Callable[..., Done]) -> Callable[..., Done]:
    """`f2r noise` with the shipped weights."""
    return lambda *arguments: command("noise", *arguments, *OPTIONS)


@pytest.fixture(scope="module")
def grainy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("noise") / "grainy.mkv", size=(96, 64))


def test_the_table_goes_to_standard_output_and_where_results_were_written_is_said(
    noise: Callable[..., Done], grainy: Path, tmp_path: Path
) -> None:
    values, plot = tmp_path / "n.json", tmp_path / "n.svg"
    done = noise(grainy, "--json-file", values, "--plot", plot)
    assert done.code == 0, done.err
    assert f"plot: {plot}\nresults: {values}\n" in done.err
    topics = [line.split()[0] for line in done.out.splitlines() if not line.startswith(" ")]
    assert {"file", "sigma", "time", "clipped", "sure", "means"} <= set(topics)


def test_json_and_plot_are_written_whole_and_what_is_there_only_when_told(
    noise: Callable[..., Done], grainy: Path, tmp_path: Path
) -> None:
    values, plot = tmp_path / "n.json", tmp_path / "n.svg"
    values.write_text("mine")
    refused = noise(grainy, "--json-file", values, "--plot", plot)
    assert refused.code == 1
    assert "--overwrite" in refused.err
    assert values.read_text() == "mine"
    done = noise(grainy, "--json-file", values, "--plot", plot, "--overwrite", "--quiet")
    assert done == Done(0, "", "")
    read = json.loads(values.read_text())
    assert read["file"] == "grainy.mkv"
    assert len(read["sigma8"]) == 3
    assert plot.read_bytes().startswith(b"<svg ")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["n.json", "n.svg"]


def test_json_to_standard_output_is_json_alone(noise: Callable[..., Done], grainy: Path) -> None:
    done = noise(grainy, "--json", "--frames", 4)
    assert json.loads(done.out)["frames"] == 4


def test_a_plot_that_is_named_like_a_picture_is_told_so(
    noise: Callable[..., Done], grainy: Path, tmp_path: Path
) -> None:
    done = noise(grainy, "--plot", tmp_path / "n.png")
    assert done.code == 2
    assert "n.png: is named like a clip." in done.err


@pytest.mark.parametrize("option", ["--json-file", "--plot"])
def test_the_input_is_never_written(noise: Callable[..., Done], grainy: Path, option: str) -> None:
    before = grainy.read_bytes()
    done = noise(grainy, option, grainy, "--overwrite")
    assert done.code == 2
    assert option in done.err
    assert grainy.read_bytes() == before


def test_a_folder_that_is_not_there_is_told_before_any_work(
    noise: Callable[..., Done], grainy: Path, tmp_path: Path
) -> None:
    done = noise(grainy, "--plot", tmp_path / "none" / "n.svg")
    assert done.code == 1
    assert "does not exist" in done.err


def test_one_frame_is_too_little(noise: Callable[..., Done], tmp_path: Path) -> None:
    done = noise(write_clip(tmp_path / "one.mkv", frames=1), "--json-file", tmp_path / "n.json")
    assert done.code == 3
    assert done.err.count("error:") == 1
    assert "hint:" in done.err
    assert not (tmp_path / "n.json").exists()


def test_a_damaged_file_says_so(noise: Callable[..., Done], damaged: Path) -> None:
    done = noise(damaged, "--frames", 48)
    assert done.code == 4
    assert "sigma" in done.out


def test_hot_pixels_are_named(noise: Callable[..., Done], tmp_path: Path) -> None:
    mosaics = np.random.default_rng(0).normal(600, 30, (5, 96, 128))
    mosaics[:, 40, 61] += 1500
    facts = {"cfa": "RGGB", "black": 64, "white": 4095}
    source = tmp_path / "hot.tif"
    tifffile.imwrite(source, mosaics.astype(np.uint16), photometric="minisblack", metadata=None)
    source.with_suffix(".json").write_text(json.dumps(facts))
    assert "1 outlier (hot or dead pixel) a picture, in 5 of 5" in noise(source).err


def test_no_video_is_one_clear_line(noise: Callable[..., Done], tmp_path: Path) -> None:
    text = tmp_path / "words.mp4"
    text.write_text("no video")
    done = noise(text)
    assert done.code == 3
    assert done.err.count("error:") == 1


def test_a_methods_own_estimate_stands_beside_the_measurement(
    noise: Callable[..., Done], grainy: Path, tmp_path: Path
) -> None:
    blind2sound = pytest.importorskip("tests.methods.test_blind2sound", reason="it was removed")
    path = tmp_path / "tiny.safetensors"
    weights.save(path, blind2sound.header(), blind2sound.tiny().networks.state_dict())
    done = noise(grainy, "--method", "blind2sound", "--weights", path, "--frames", 4)
    assert done.code == 0, done.err
    assert "by blind2sound's own estimator" in done.out
    assert "sigma as blind anchors measure it" in done.out
    done = noise(grainy, "--method", "blind2sound", "--weights", path, "--frames", 4, "--json")
    read = json.loads(done.out)
    assert read["estimator"] == "blind2sound"
    assert len(read["measured_sigma8"]) == 3
    assert read["measured_sigma8"] != read["sigma8"]
