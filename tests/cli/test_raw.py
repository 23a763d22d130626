"""Camera raw from the command line."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rawpy
import tifffile

from f2rcli import weights
from f2rcli.cli.app import run
from f2rcli.errors import EXIT_DAMAGED, EXIT_INPUT, EXIT_OK, EXIT_USAGE
from f2rcli.frames import Mosaic
from f2rcli.io.raw.dng import new_dng
from f2rcli.io.raw.exposure import Exposure, read_raw
from f2rcli.io.raw.tags import RawTags

SIZE = (48, 64)


def write_shot(path: Path, seed: int, iso: int = 800) -> Path:
    mosaic = Mosaic(pattern="GRBG", black=(64.0,) * 4, white=(4095.0,) * 4)
    exposure = Exposure(path=path, name=path.stem, shape=SIZE, active=(0, 0, *SIZE), mosaic=mosaic,
                tags=RawTags(make="Foo", model="Bar"), iso=iso)  # fmt: skip
    codes = np.random.default_rng(seed).integers(0, 4095, SIZE).astype(np.uint16)
    path.write_bytes(new_dng(exposure, codes))
    return path


@pytest.fixture
def burst(tmp_path: Path) -> Path:
    folder = tmp_path / "my burst"
    folder.mkdir()
    for index in range(5):
        write_shot(folder / f"IMG_{index}.dng", index)
    return folder


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """An f2r that ships no weights for mosaics."""
    rgb = {name: e for name, e in weights.manifest().items() if e["space"] == "rgb"}
    monkeypatch.setattr(weights, "manifest", lambda: rgb)


def test_a_burst_is_denoised_into_a_folder_of_dng(burst: Path, f2r: Callable[..., Any]) -> None:
    done = f2r("denoise", burst)
    assert done.code == EXIT_OK, done.err
    out = burst.with_name("my burst_f2r")
    assert sorted(os.listdir(out)) == sorted(os.listdir(burst))
    before, after = (read_raw(folder / "IMG_3.dng")[1] for folder in (burst, out))
    assert np.array_equal(after, before // 2 + before // 4)


def test_one_raw_file_becomes_one_dng(burst: Path, f2r: Callable[..., Any]) -> None:
    assert f2r("denoise", burst / "IMG_2.dng").code == EXIT_OK
    assert (burst / "IMG_2_f2r.dng").is_file()


def test_a_new_dng_tells_how_it_was_made(
    burst: Path, f2r: Callable[..., Any], tmp_path: Path
) -> None:
    def told(path: Path) -> Any:
        done = f2r("info", path, "--json")
        assert done.code == EXIT_OK, done.err
        return json.loads(done.out.splitlines()[-1])["provenance"]

    new = tmp_path / "new.dng"
    assert f2r("denoise", burst / "IMG_2.dng", "-o", new, "--strength", "0.8").code == EXIT_OK
    assert told(new)["settings"] == {"strength": 0.8}
    assert told(burst) is None


def test_tiff_and_developed_pictures_are_written_on_wish(
    burst: Path, f2r: Callable[..., Any], tmp_path: Path
) -> None:
    assert f2r("denoise", burst, "-o", tmp_path / "t", "--format", "tiff").code == EXIT_OK
    assert tifffile.imread(tmp_path / "t" / "IMG_0.tif").shape == SIZE
    assert f2r("denoise", burst, "-o", tmp_path / "d.tif", "--demosaic").code == EXIT_OK
    with tifffile.TiffFile(tmp_path / "d.tif") as file:
        assert [page.shape for page in file.pages] == [(*SIZE, 3)] * 5


def test_without_weights_strength_zero_and_info_still_work(
    burst: Path, no_weights: None, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(["denoise", str(burst), "-o", str(tmp_path / "no")]) == 1
    assert "no bundled weights for method f2r and bayer" in capfd.readouterr().err
    assert not (tmp_path / "no").exists()
    assert run(["denoise", str(burst), "-o", str(tmp_path / "same"), "--strength", "0"]) == EXIT_OK
    for path in burst.iterdir():
        copy = tmp_path / "same" / path.name
        with rawpy.imread(str(path)) as old, rawpy.imread(str(copy)) as new:
            assert np.array_equal(new.raw_image, old.raw_image)
    assert run(["denoise", str(burst), "--strength", "0", "--dry-run"]) == EXIT_OK
    capfd.readouterr()
    assert run(["info", str(burst), "--json"]) == EXIT_OK
    seen = json.loads(capfd.readouterr().out)
    assert seen["picture"]["family"] == "bayer"
    assert seen["streams"][0]["cfa"] == "GRBG"


def test_a_damaged_exposure_makes_the_run_end_with_its_code(
    burst: Path, f2r: Callable[..., Any], tmp_path: Path
) -> None:
    path = burst / "IMG_1.dng"
    path.write_bytes(path.read_bytes()[:3000])
    done = f2r("denoise", burst, "-o", tmp_path / "out")
    assert done.code == EXIT_DAMAGED
    assert "IMG_1.dng: is cut off" in done.err
    assert len(os.listdir(tmp_path / "out")) == 5


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["-o", "x.mp4"], EXIT_USAGE, "camera raw is written as"),
        (["-o", "x", "--codec", "ffv1"], EXIT_USAGE, "no meaning for camera raw"),
    ],
)
def test_wishes_that_raw_cannot_fulfil_are_refused_in_one_line(
    arguments: list[str], code: int, reason: str, burst: Path, f2r: Callable[..., Any]
) -> None:
    done = f2r("denoise", burst, *arguments)
    assert done.code == code
    assert reason in done.err.splitlines()[-2]


def test_a_preview_shows_before_and_after_at_half_size(
    burst: Path, f2r: Callable[..., Any], tmp_path: Path
) -> None:
    assert f2r("denoise", burst, "--preview", "1", "-o", tmp_path / "look.png").code == EXIT_OK
    picture = cv2.imread(str(tmp_path / "look.png"))
    assert picture.shape == (24, 66, 3)
    assert picture[:, :33].mean() > picture[:, 33:].mean()  # the fake engine darkens


def test_other_clips_are_not_written_as_dng(clip: Path, f2r: Callable[..., Any]) -> None:
    done = f2r("denoise", clip, "-o", clip.with_suffix(".dng"))
    assert done.code == EXIT_USAGE
    assert "only camera raw" in done.err


def test_a_mixed_burst_is_refused(burst: Path, f2r: Callable[..., Any]) -> None:
    write_shot(burst / "IMG_9.dng", 9, iso=1600)
    done = f2r("denoise", burst)
    assert done.code == EXIT_INPUT
    assert "IMG_9.dng: ISO 1600, IMG_0.dng has 800" in done.err.replace(
        "IMG_0 has", "IMG_0.dng has"
    )
