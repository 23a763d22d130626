"""Raw files and bursts: what is read of them, and what is written back."""

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import rawpy
import tifffile

from f2rcli.frames import Space
from f2rcli.io import ReadOptions, WriteOptions, open_reader
from f2rcli.io.raw.dng import new_dng
from f2rcli.io.raw.exposure import Exposure, read_raw
from tests.io.raw_files import LAYOUTS, PROFILE, SIZE, codes, louder, tags, write_burst, write_dng

EXAMPLE = Path(__file__).parents[2] / "examples" / "raw_burst"


@pytest.mark.parametrize("name", LAYOUTS)
def test_other_samples_come_back_with_the_same_levels_pattern_matrices_and_size(
    name: str, tmp_path: Path
) -> None:
    source = write_dng(tmp_path / "a.dng", **LAYOUTS[name])
    louder(source, tmp_path / "b.dng", 5)
    with rawpy.imread(str(source)) as old, rawpy.imread(str(tmp_path / "b.dng")) as new:
        assert np.array_equal(new.raw_image_visible, old.raw_image_visible + 5)
        assert new.sizes == old.sizes
        assert new.raw_pattern.tolist() == old.raw_pattern.tolist()
        assert new.black_level_per_channel == old.black_level_per_channel
        assert new.white_level == old.white_level
        assert np.allclose(new.color_matrix, old.color_matrix)
        assert np.allclose(new.camera_whitebalance, old.camera_whitebalance)


@pytest.mark.parametrize("name", LAYOUTS)
def test_untouched_samples_give_back_the_file(name: str, tmp_path: Path, tools: Any) -> None:
    source = write_dng(tmp_path / "a.dng", **LAYOUTS[name], facts={})
    _, receipt = tools.passthrough(source, tmp_path / "b.dng")
    assert np.array_equal(read_raw(tmp_path / "b.dng")[1], read_raw(source)[1])
    copied = "copies" in receipt.codec
    assert copied is (name != "tiles")  # LibRaw reads tiles; they are written as one strip
    if copied:
        changed = [a != b for a, b in zip(source.read_bytes(), (tmp_path / "b.dng").read_bytes(),
                                          strict=True)]  # fmt: skip
        assert sum(changed) == 15  # the samples' digest, which has one zero itself


def test_masked_margins_stay_as_they_are(tmp_path: Path) -> None:
    source = write_dng(tmp_path / "a.dng", **LAYOUTS["margins"])
    louder(source, tmp_path / "b.dng", 7)
    change = read_raw(tmp_path / "b.dng")[1].astype(int) - read_raw(source)[1]
    assert np.all(change[4:44, 2:60] == 7)
    assert np.all(change[:4] == 0)
    assert np.all(change[:, :2] == 0)


def test_facts_of_the_file_reach_the_clip(tmp_path: Path) -> None:
    with open_reader(write_burst(tmp_path / "burst")) as reader:
        info, (row,) = reader.info, reader.describe()
    mosaic = info.layout.mosaic
    assert info.space is Space.BAYER
    assert (info.width, info.height, info.frames) == (SIZE[1], SIZE[0], 4)
    assert mosaic is not None
    assert (mosaic.pattern, mosaic.black) == ("GBRG", (242, 243, 241, 240))  # R, G, B, G
    assert row["camera"] == "Foo Bar"
    assert row["iso"] == 800
    assert info.noise_profile is not None
    assert np.allclose(info.noise_profile[3], PROFILE[2:4])  # both greens alike


def test_a_cinemadng_folder_has_the_rate_that_its_files_state(tmp_path: Path) -> None:
    folder = write_burst(tmp_path / "scene", extra=[(51044, 10, 1, (24000, 1001), True)])
    (folder / "scene.wav").write_bytes(b"sound")
    with open_reader(folder, ReadOptions(start=0.05)) as reader:
        assert reader.info.rate == Fraction(24000, 1001)
        assert reader.info.frames == 2  # of four; 0.05 s is beyond the second
        assert any("1 .wav" in note for note in reader.info.notes)


def test_bursts_are_read_in_natural_order_and_keep_their_names(tmp_path: Path, tools: Any) -> None:
    burst = write_burst(tmp_path / "burst é")
    frames, receipt = tools.passthrough(burst, tmp_path / "out")
    assert [frame.source.exposure.name for frame in frames] == [
        "IMG 8",
        "IMG 9",
        "IMG 10",
        "IMG 11",
    ]
    assert sorted(os.listdir(tmp_path / "out")) == sorted(os.listdir(burst))
    assert receipt.frames == 4


def test_a_pattern_names_part_of_a_folder(tmp_path: Path) -> None:
    burst = write_burst(tmp_path / "burst")
    write_dng(burst / "other.dng")
    with open_reader(f"{burst}/IMG %d.dng", ReadOptions(frames=3)) as reader:
        assert len(list(reader)) == 3


def test_raw_becomes_tiff_and_dng_again(tmp_path: Path, tools: Any) -> None:
    burst = write_burst(tmp_path / "burst")
    tools.passthrough(burst, tmp_path / "tiff", WriteOptions(format="tiff"))
    tools.passthrough(tmp_path / "tiff", tmp_path / "dng", WriteOptions(format="dng"))
    old, new = (read_raw(folder / "IMG 9.dng") for folder in (burst, tmp_path / "dng"))
    assert np.array_equal(old[1], new[1])
    assert (old[0].mosaic, old[0].tags.camera, old[0].iso) == (
        new[0].mosaic, new[0].tags.camera, new[0].iso,
    )  # fmt: skip


def test_developed_pictures_are_upright_colour_of_16_bits(tmp_path: Path, tools: Any) -> None:
    burst = write_burst(tmp_path / "burst", count=1)
    tools.passthrough(burst, tmp_path / "out", WriteOptions(demosaic=True))
    picture = tifffile.imread(tmp_path / "out" / "IMG 8.tif")
    assert picture.dtype == np.uint16
    assert picture.shape == (SIZE[1], SIZE[0], 3)  # turned by a quarter, as the file says


@pytest.mark.parametrize("pattern", ["RGGB", "BGGR", "GRBG", "GBRG"])
def test_a_dng_of_our_own_says_what_it_was_told(pattern: str, tmp_path: Path) -> None:
    path = write_dng(tmp_path / "a.dng")
    exposure, samples = read_raw(path)
    told: Exposure = replace(
        exposure, mosaic=replace(exposure.mosaic, pattern=pattern, black=(240.5, 241, 242, 243.25),
                                     balance=(2.0, 1.0, 1.5)),
        aspect=1.5, shown=(8, 4, 32, 48),
        tags=replace(exposure.tags, carried=()), noise=((1e-3, 1e-6),) * 4,
    )  # fmt: skip
    (tmp_path / "b.dng").write_bytes(new_dng(told, samples))
    found, read = read_raw(tmp_path / "b.dng")
    assert np.array_equal(read, samples)
    assert found.mosaic.pattern == pattern
    assert np.allclose(found.mosaic.black, told.mosaic.black, atol=1)  # LibRaw has whole levels
    assert np.allclose(found.mosaic.balance, told.mosaic.balance, rtol=1e-5)
    assert found.noise == told.noise
    assert (found.orientation, found.tags.camera, found.iso) == (6, "Foo Bar", 800)
    assert found.aspect == pytest.approx(1.5)
    with tifffile.TiffFile(tmp_path / "b.dng") as file:
        own = file.pages.first.tags
        assert (own["DefaultCropOrigin"].value, own["DefaultCropSize"].value) == ((4, 8), (48, 32))


@pytest.mark.parametrize("number", [1, 5])
def test_an_exposure_of_the_example_comes_back(number: int, tmp_path: Path, tools: Any) -> None:
    source, target = EXAMPLE / f"swan_{number}.dng", tmp_path / "out.dng"
    tools.passthrough(source, target)
    with rawpy.imread(str(source)) as old, rawpy.imread(str(target)) as new:
        assert np.array_equal(old.raw_image, new.raw_image)
        assert old.sizes == new.sizes
        assert old.raw_pattern.tolist() == new.raw_pattern.tolist()
        assert old.black_level_per_channel == new.black_level_per_channel
        assert old.white_level == new.white_level
    assert target.read_bytes() == source.read_bytes()


def test_codes_that_a_table_stretches_are_written_as_what_they_mean(tmp_path: Path) -> None:
    table = np.minimum(np.arange(256) ** 2 // 16 + 240, 4095)
    stored = np.random.default_rng(0).integers(0, 256, SIZE).astype(np.uint8)
    source = tmp_path / "a.dng"
    extra = [(50712, 3, 256, tuple(table.tolist()), True)]  # LinearizationTable
    tifffile.imwrite(source, stored, photometric="cfa", metadata=None, extratags=tags() + extra)
    louder(source, tmp_path / "b.dng", 1)
    (old, before), (new, after) = (read_raw(tmp_path / name) for name in ("a.dng", "b.dng"))
    assert np.array_equal(before, table[stored])
    assert np.array_equal(after, before + 1)
    assert old.mosaic == new.mosaic


def test_a_compressed_dng_is_written_anew_with_the_sources_tags(tmp_path: Path) -> None:
    coded = imagecodecs.ljpeg_encode(codes(0), bitspersample=14)
    source = tmp_path / "a.dng"
    tifffile.imwrite(
        source, iter([coded]), shape=SIZE, dtype=np.uint16, rowsperstrip=SIZE[0],
        photometric="cfa", metadata=None, compression="jpeg", extratags=tags(),
    )  # fmt: skip
    louder(source, tmp_path / "b.dng", 5)
    (old, before), (new, after) = (read_raw(tmp_path / name) for name in ("a.dng", "b.dng"))
    assert np.array_equal(before, codes(0))
    assert np.array_equal(after, before + 5)
    assert (new.mosaic, new.noise, new.iso, new.tags.camera) == (
        old.mosaic, old.noise, old.iso, old.tags.camera,
    )  # fmt: skip
