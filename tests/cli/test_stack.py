"""TIFF stacks on the command line, with the real engine and the shipped weights."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from f2rcli import weights
from f2rcli.cli.app import run
from f2rcli.errors import EXIT_DAMAGED, EXIT_INPUT, EXIT_OK, EXIT_USAGE

pytestmark = [
    pytest.mark.skipif(not weights.available(), reason="no weights are bundled"),
    pytest.mark.usefixtures("noise_measured_once"),
]
GAIN, READ, OFFSET = 6.0, 4.0, 100.0


@pytest.fixture
def clean() -> np.ndarray:
    """(T, C, Y, X): cells that drift and blink, in codes."""
    y, x = np.mgrid[:64, :80]
    t = np.arange(6)[:, None, None]
    light = sum(
        (60 + 30 * np.sin(t + k)) * np.exp(-((y - 9 - 11 * k) ** 2 + (x - 14 * k - t) ** 2) / 40)
        for k in range(5)
    )
    return OFFSET + np.stack([light + 20, light[::-1] + 40], axis=1)


@pytest.fixture
def stack(clean: np.ndarray, tmp_path: Path) -> Path:
    """The same as a camera sees it, an ImageJ hyperstack."""
    rng = np.random.default_rng(2)
    counts = rng.poisson((clean - OFFSET) / GAIN)
    noisy = OFFSET + GAIN * counts + rng.normal(0, READ, clean.shape)
    path = tmp_path / "cells.tif"
    tifffile.imwrite(
        path, np.rint(noisy).astype(np.uint16), imagej=True,
        metadata={"axes": "TCYX", "unit": "um", "finterval": 0.5, "Labels": list("abcdefghijkl")},
    )  # fmt: skip
    return path


def test_a_stack_is_denoised_channel_by_channel_and_stays_what_it_is(
    stack: Path, clean: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["denoise", str(stack)]) == EXIT_OK
    said = capsys.readouterr().err
    target = stack.with_name("cells_f2r.tif")
    before, after = tifffile.imread(stack).astype(float), tifffile.imread(target).astype(float)
    for channel in range(2):
        errors = [np.mean((x[:, channel] - clean[:, channel]) ** 2) for x in (before, after)]
        assert errors[1] < errors[0] / 10  # ten decibels
    np.testing.assert_allclose(after.mean((2, 3)), before.mean((2, 3)), rtol=1e-3)
    with tifffile.TiffFile(stack) as one, tifffile.TiffFile(target) as other:
        assert other.imagej_metadata == one.imagej_metadata
        assert other.series[0].axes == "TCYX"
    assert "noise of channel 2: sigma" in said


def test_strength_0_gives_back_the_file(stack: Path) -> None:
    assert run(["denoise", str(stack), "--strength", "0", "-q"]) == EXIT_OK
    assert stack.with_name("cells_f2r.tif").read_bytes() == stack.read_bytes()


def test_info_shows_axes_samples_and_lanes(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", str(stack)]) == EXIT_OK
    said = capsys.readouterr().out
    assert "axes TCYX" in said
    assert "uint16" in said
    assert "lanes 2" in said
    assert "in the file's own units" in said
    small = tifffile.imread(stack)[:2, :, :8, :8]  # nothing to measure
    tifffile.imwrite(stack, small, imagej=True)
    assert run(["info", str(stack), "--json"]) == EXIT_OK
    seen = json.loads(capsys.readouterr().out)
    assert seen["streams"][0]["lanes"] == 2


def test_what_is_no_damage_is_not_called_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    movie = np.random.default_rng(0).normal(900, 40, (8, 48, 64))
    movie[:, 20, 30] += 3000
    tifffile.imwrite(tmp_path / "s.tif", movie.astype(np.uint16), metadata={"axes": "TYX"})
    assert run(["info", str(tmp_path / "s.tif"), "--device", "cpu"]) == EXIT_OK
    said = capsys.readouterr().out.splitlines()
    assert any(line.startswith("note ") and "1 pixel is" in line for line in said)
    assert not any(line.startswith("damage ") for line in said)


def test_a_stack_without_time_or_depth_is_asked_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "z.tif"
    pages = np.zeros((4, 40, 40), np.uint16)
    tifffile.imwrite(path, pages, photometric="minisblack", metadata={"axes": "AYX"})
    assert run(["denoise", str(path)]) == EXIT_USAGE
    assert "--axes TYX" in capsys.readouterr().err
    assert run(["denoise", str(path), "--axes", "TYX", "--strength", "0"]) == EXIT_OK


def test_truncated_stacks_end_with_the_code_for_damage(stack: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "w.tif", tmp_path / "cut.tif"
    tifffile.imwrite(whole, tifffile.imread(stack)[:, 0], metadata={"axes": "TYX"})
    cut.write_bytes(whole.read_bytes()[:-20_000])
    assert run(["denoise", str(cut), "--strength", "0", "-q"]) == EXIT_DAMAGED
    assert cut.with_name("cut_f2r.tif").exists()
    assert run(["denoise", str(cut), "--strict", "--overwrite", "-q"]) == EXIT_INPUT


def test_a_preview_of_a_stack_is_a_picture(stack: Path) -> None:
    look = stack.with_name("look.png")
    words = ["--preview", "1", "--sigma", "30", "-o", str(look), "-q"]
    assert run(["denoise", str(stack), *words]) == EXIT_OK
    assert look.stat().st_size > 1000


def test_an_excerpt_of_a_folder_of_pages_shows_the_pixels_of_the_whole_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, rng = tmp_path / "scan", np.random.default_rng(0)
    folder.mkdir()
    scene = np.kron(rng.random((6, 12)), np.ones((8, 8))) * 20000 + 20000
    for n in range(12):
        page = (scene[:, n : n + 64] + rng.normal(0, 900, (48, 64))).astype(np.uint16)
        tifffile.imwrite(folder / f"f{n:04}.tif", page, description=f"scan {n}")
    words = ["denoise", str(folder), "--threads", "1", "-o"]
    assert run([*words, str(tmp_path / "whole")]) == EXIT_OK
    assert run([*words, str(tmp_path / "part"), "--frames", "3"]) == EXIT_OK
    assert "kept 3 TIFF files, axes TYX 3x48x64" in capsys.readouterr().err
    part = sorted((tmp_path / "part").iterdir())
    assert [path.name for path in part] == ["f0000.tif", "f0001.tif", "f0002.tif"]
    for path in part:
        assert path.read_bytes() == (tmp_path / "whole" / path.name).read_bytes()
    assert run([*words, str(tmp_path / "later"), "--start", "1"]) == EXIT_USAGE
