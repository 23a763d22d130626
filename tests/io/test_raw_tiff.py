"""Mosaics in TIFF files: what says so, CRVD's layout, pages in and out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from f2rcli.errors import InputError
from f2rcli.io import WriteOptions, open_reader, raw

FACTS = {"cfa": "GBRG", "black": 240, "white": 4095, "iso": 6400}


def movie(count: int = 5, size: tuple[int, int] = (32, 40)) -> np.ndarray:
    return np.random.default_rng(count).integers(200, 4096, (count, *size)).astype(np.uint16)


def write_movie(path: Path, frames: np.ndarray, facts: object = FACTS, **how: Any) -> Path:
    """A TIFF and its sidecar."""
    tifffile.imwrite(path, frames, photometric="minisblack", metadata=None, **how)
    path.with_suffix(".json").write_text(json.dumps(facts))
    return path


def test_a_sidecar_makes_a_tiff_raw(tmp_path: Path, tools: Any) -> None:
    source, frames = write_movie(tmp_path / "a.tif", movie()), movie()
    read, receipt = tools.passthrough(source, tmp_path / "b.tif")
    mosaic = read[0].layout.mosaic
    assert (mosaic.pattern, mosaic.black, mosaic.white) == ("GBRG", (240,) * 4, (4095,) * 4)
    assert np.array_equal(tifffile.imread(tmp_path / "b.tif", key=range(5)), frames)
    assert receipt.frames == 5


def test_a_written_tiff_says_what_it_is_without_its_sidecar(tmp_path: Path, tools: Any) -> None:
    four = FACTS | {"black": [240, 241, 242.5, 243], "rate": 24}
    source = write_movie(tmp_path / "a.tif", movie(), four)
    tools.passthrough(source, tmp_path / "b.tif")
    with open_reader(source) as old, open_reader(tmp_path / "b.tif") as new:
        assert new.info.layout == old.info.layout
        assert new.info.rate == old.info.rate == 24


def test_tiffs_that_say_nothing_are_left_to_others(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "a.tif", movie(), {"about": "something else"})
    assert not raw.claims(str(path))
    path.with_suffix(".json").write_text("{ no json")
    assert not raw.claims(str(path))
    assert not raw.claims(str(tmp_path))


def test_a_sidecar_of_others_makes_no_folder_raw(tmp_path: Path) -> None:
    (tmp_path / "sensor.json").write_text("{}")
    assert not raw.claims(str(tmp_path))
    tifffile.imwrite(tmp_path / "a.tif", movie()[0])
    assert not raw.claims(str(tmp_path))


def test_a_folder_of_tiffs_is_raw_by_its_sidecar(tmp_path: Path, tools: Any) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for index, frame in enumerate(movie()):
        tifffile.imwrite(folder / f"f{index}.tiff", frame, metadata=None)
    (folder / "sensor.json").write_text(json.dumps(FACTS))
    frames, _ = tools.passthrough(folder, tmp_path / "out")
    assert np.array_equal(frames[4].planes[0], movie()[4])
    again = tools.read_all(tmp_path / "out")
    assert tools.same_samples(frames, again)
    assert (tmp_path / "out" / "f4.tiff").exists()


def test_crvds_layout_is_known_by_its_names(tmp_path: Path, tools: Any) -> None:
    folder = tmp_path / "scene7" / "ISO6400"
    folder.mkdir(parents=True)
    for take in range(3):
        for index, frame in enumerate(movie(take + 7)[:7], 1):
            tifffile.imwrite(folder / f"frame{index}_noisy{take}.tiff", frame, metadata=None)
    tifffile.imwrite(folder / "frame1_clean_and_slightly_denoised.tiff", movie()[0])
    with open_reader(folder) as reader:
        assert reader.info.frames == 7
        assert reader.describe()[0]["iso"] == 6400
        assert any("take 0 of 3" in note for note in reader.info.notes)
        assert np.array_equal(next(iter(reader)).planes[0], movie(7)[0])
    frames = tools.read_all(f"{folder}/frame%d_noisy2.tiff")
    assert np.array_equal(frames[6].planes[0], movie(9)[6])


def test_pages_become_dng_files(tmp_path: Path, tools: Any) -> None:
    source = write_movie(tmp_path / "a.tif", movie())
    tools.passthrough(source, tmp_path / "out", WriteOptions(format="dng"))
    frames = tools.read_all(tmp_path / "out")
    assert [frame.source.exposure.name for frame in frames][::4] == ["a_00001", "a_00005"]
    assert tools.same_samples(frames, tools.read_all(source))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cfa": "RGBW"}, "not a Bayer pattern"),
        ({"black": "dark"}, '"black" must be'),
        ({"white": [1, 2]}, '"white" must be'),
        ({"white": 240}, "above black"),
        ({"iso": "high"}, "whole number"),
        ({"rate": -1}, "frames per second"),
    ],
)
def test_impossible_sidecars_are_refused(
    change: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    path = write_movie(tmp_path / "a.tif", movie(), FACTS | change)
    with pytest.raises(InputError, match=reason):
        open_reader(path)


@pytest.mark.parametrize(
    ("pages", "reason"),
    [
        (movie().astype(np.float32), "unsigned sample"),
        (np.zeros((2, 32, 40, 3), np.uint16), "unsigned sample"),
    ],
)
def test_pages_that_are_no_mosaics_are_refused(
    pages: np.ndarray, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pages, metadata=None)
    path.with_suffix(".json").write_text(json.dumps(FACTS))
    with pytest.raises(InputError, match=reason):
        open_reader(path)


def test_pages_of_another_size_are_refused(tmp_path: Path, tools: Any) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        for size in ((32, 40), (32, 40), (34, 40)):
            file.write(np.zeros(size, np.uint16), metadata=None, contiguous=False)
    path.with_suffix(".json").write_text(json.dumps(FACTS))
    with pytest.raises(InputError, match="page 3 is 40x34"):
        tools.read_all(path)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
def test_truncated_movies_are_refused(share: float, tmp_path: Path) -> None:
    path = write_movie(tmp_path / "a.tif", movie())
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(InputError, match=r"a\.tif"):
        open_reader(path)


def test_a_movie_laid_out_as_crvds_comes_back(tmp_path: Path, tools: Any) -> None:
    """Deflate, with a predictor: as such data sets are passed on."""
    source = write_movie(tmp_path / "a.tif", movie(16), compression="zlib", predictor=True)
    tools.passthrough(source, tmp_path / "b.tif")
    assert np.array_equal(tifffile.imread(tmp_path / "b.tif"), movie(16))


def test_a_movie_whose_pages_run_in_a_circle_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "a.tif"
    with tifffile.TiffWriter(source) as writer:
        for page in movie(3):
            writer.write(page, metadata=None, contiguous=False)
    source.with_suffix(".json").write_text(json.dumps(FACTS))
    with tifffile.TiffFile(source) as file:
        last = file.pages[2].aspage()
        place, again = last.offset + 2 + 12 * len(last.tags), file.pages[1].offset
    data = bytearray(source.read_bytes())
    data[place : place + 4] = again.to_bytes(4, "little")
    source.write_bytes(data)
    with pytest.raises(InputError, match="in a circle"):
        open_reader(source)
