"""Files of several series, alike or not: one or all of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from f2rcli.errors import InputError, UsageError
from f2rcli.io import open_reader, plan_output
from f2rcli.io.base import ReadOptions, WriteOptions
from tests.io.stacks import each_smoothed, movie, passed, smoothed
from tests.io.test_passport import Lif, install, lif_image

CELLS, ANGLES, MAP = movie((4, 12, 14)), movie((3, 10, 16), seed=1), movie((20, 24), "u1")


@pytest.fixture
def unlike(tmp_path: Path) -> Path:
    """An OME-TIFF of a movie, a stack of angles and a picture of another type."""
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        form: dict[str, Any] = {"photometric": "minisblack"}
        step = {"TimeIncrement": 0.5, "TimeIncrementUnit": "s"}
        writer.write(CELLS, **form, metadata={"axes": "TYX", "Name": "cells", **step})
        writer.write(ANGLES, **form, metadata={"axes": "AYX", "Name": "angles"})
        writer.write(MAP, **form, metadata={"axes": "YX", "Name": "map"})
    return path


def stored(path: Path) -> list[Any]:
    with tifffile.TiffFile(path) as file:
        return [series.asarray() for series in file.series]


def test_unlike_series_are_listed_where_one_must_be_chosen(unlike: Path) -> None:
    with pytest.raises(UsageError, match=r"1 'cells' TYX 4x12x14, 2 'angles' AYX") as raised:
        open_reader(unlike)
    assert "series='all'" in str(raised.value.hint)
    with pytest.raises(UsageError, match=r"series='4': a\.ome\.tif has 1 'cells'"):
        open_reader(unlike, ReadOptions(series="4"))


@pytest.mark.parametrize("series", ["1", "cells", "CELLS"])
def test_one_series_changes_and_the_others_keep_their_samples(series: str, unlike: Path) -> None:
    target = unlike.with_name("b.ome.tif")
    with open_reader(unlike, ReadOptions(series=series)) as reader:
        assert (reader.info.frames, reader.info.lanes) == (4, ("",))
        assert float(reader.info.time_base) == 0.5
    passed(unlike, target, change=True, series=series)
    for found, expected in zip(stored(target), (each_smoothed(CELLS), ANGLES, MAP), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_axes_name_those_of_the_chosen_series(unlike: Path) -> None:
    with open_reader(unlike, ReadOptions(series="angles", axes="TYX")) as reader:
        assert (reader.info.frames, reader.info.width) == (3, 16)


def test_all_series_are_taken_whatever_their_axes(unlike: Path) -> None:
    target = unlike.with_name("b.ome.tif")
    with open_reader(unlike, ReadOptions(series="all")) as reader:
        assert reader.info.lanes == ("cells", *(f"angles, angle {n}" for n in (1, 2, 3)), "map")
        assert any("each picture is denoised separately" in note for note in reader.info.notes)
    passed(unlike, target, change=True, series="all")
    for found, before in zip(stored(target), (CELLS, ANGLES, MAP), strict=True):
        np.testing.assert_array_equal(found, each_smoothed(before))


def plain(path: Path, *written: tuple[Any, dict[str, Any]]) -> Path:
    """A TIFF file without a description, of pictures with their tags, in this order."""
    with tifffile.TiffWriter(path) as writer:
        for array, tags in written:
            pages = array if array.ndim == 3 and array.shape[-1] > 4 else [array]
            for page in pages:
                writer.write(page, metadata=None, contiguous=False, **tags)
    return path


THUMB, FLOATS = movie((8, 9), "u1"), movie((2, 12, 14), "f4")
REDUCED, MASK = {"subfiletype": 1}, {"subfiletype": 4}


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Pages without a description: a movie, another size amid it, and two of another type."""
    first, rest = (CELLS[:2], {}), (CELLS[2:], {})
    return plain(tmp_path / "a.tif", first, (MAP, {}), rest, (FLOATS, {}))


@pytest.mark.parametrize("series", [None, "all", "1", "2", "3"])
def test_pages_of_several_sizes_and_types_are_series(series: str | None, mixed: Path) -> None:
    target, taken = mixed.with_name("b.tif"), "123" if series in (None, "all") else series
    before = stored(mixed)
    assert [one.shape for one in before] == [CELLS.shape, MAP.shape, FLOATS.shape]
    passed(mixed, target, change=True, series=series)
    for number, (found, array) in enumerate(zip(stored(target), before, strict=True), 1):
        expected = each_smoothed(array) if str(number) in taken else array
        np.testing.assert_array_equal(found, expected)


def test_pages_that_are_unlike_are_listed(mixed: Path) -> None:
    with open_reader(mixed) as reader:
        assert [row["shape"] for row in reader.describe()] == [(4, 12, 14), (20, 24), (2, 12, 14)]
        assert [row["samples"] for row in reader.describe()] == ["uint16", "uint8", "float32"]
        told = "pages of 3 kinds: 1 IYX 4x12x14, 2 YX 20x24, 3 IYX 2x12x14"
        assert reader.ledger.remarks == [told]
    with pytest.raises(UsageError, match=r"series='4': a\.tif has 1 IYX 4x12x14, 2 YX 20x24"):
        open_reader(mixed, ReadOptions(series="4"))


def test_the_plan_is_about_the_chosen_series(mixed: Path) -> None:
    with open_reader(mixed, ReadOptions(series="3")) as reader:
        plan = plan_output(reader, mixed.with_name("b.tif"), WriteOptions())
    assert plan.pix_fmt == "float32"
    assert "axes IYX 2x12x14" in plan.kept


@pytest.mark.parametrize("first", [True, False])
def test_a_thumbnail_stays_as_it_is_unless_it_is_chosen(first: bool, tmp_path: Path) -> None:
    parts = [(THUMB, REDUCED), (CELLS, {})]
    source, target = plain(tmp_path / "a.tif", *(parts if first else parts[::-1])), tmp_path / "b"
    passed(source, target.with_suffix(".tif"), change=True)
    found = sorted(stored(target.with_suffix(".tif")), key=lambda one: int(one.size))
    np.testing.assert_array_equal(found[0], THUMB)
    np.testing.assert_array_equal(found[1], each_smoothed(CELLS))
    number = "1" if first else "2"
    passed(source, target.with_suffix(".tiff"), change=True, series=number)
    found = sorted(stored(target.with_suffix(".tiff")), key=lambda one: int(one.size))
    np.testing.assert_array_equal(found[0], smoothed(THUMB))
    np.testing.assert_array_equal(found[1], CELLS)


def test_a_file_of_small_copies_alone_is_denoised(tmp_path: Path) -> None:
    source = plain(tmp_path / "a.tif", (CELLS, REDUCED))
    passed(source, tmp_path / "b.tif", change=True)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), each_smoothed(CELLS))


def test_a_series_that_is_no_picture_stands_in_the_way_of_no_other(tmp_path: Path) -> None:
    mask = MAP > 100
    source = plain(tmp_path / "a.tif", (CELLS, {}), (mask, MASK), (mask[:9], {}))
    target = tmp_path / "b.tif"
    with pytest.raises(InputError, match=r"series 3: samples are bool, a binary mask") as raised:
        open_reader(source)
    assert "series=1" in str(raised.value.hint)
    with pytest.raises(InputError, match="a binary mask"):
        open_reader(source, ReadOptions(series="2"))
    passed(source, target, change=True, series="1")
    for found, expected in zip(stored(target), (each_smoothed(CELLS), mask, mask[:9]), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_levels_in_subifds_of_plain_pages_follow_their_picture(tmp_path: Path) -> None:
    source, target = tmp_path / "a.tif", tmp_path / "b.tif"
    large = movie((3, 64, 48))
    small = large.reshape(3, 32, 2, 24, 2).mean(axis=(2, 4)).astype("u2")
    with tifffile.TiffWriter(source) as writer:
        for one, level in zip(large, small, strict=True):
            writer.write(one, subifds=1, metadata=None, contiguous=False)
            writer.write(level, metadata=None, contiguous=False, **REDUCED)
        writer.write(MAP, metadata=None)
    receipt = passed(source, target, change=True)
    assert "pyramid, each level changed alike" in receipt.kept
    with tifffile.TiffFile(target) as file:
        movie_series, other = file.series
        np.testing.assert_array_equal(movie_series.asarray(), each_smoothed(large))
        change = (each_smoothed(large).astype(float) - large).reshape(3, 32, 2, 24, 2)
        expected = np.rint(small + change.mean(axis=(2, 4)))
        np.testing.assert_array_equal(movie_series.levels[1].asarray(), expected)
        np.testing.assert_array_equal(other.asarray(), smoothed(MAP))


def test_a_chosen_series_of_another_format_is_the_only_one_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Two(Lif):
        images = (
            lif_image("z", {"Z": 3, "Y": 8, "X": 9}, {}),
            lif_image("t", {"T": 3, "Y": 10, "X": 9}, {"T": np.arange(3) * 2.0}),
        )

    source, target = install(tmp_path, monkeypatch, "liffile", Two), tmp_path / "b.ome.tif"
    receipt = passed(source, target, change=False, series="t")
    assert "series 1 z" in receipt.dropped
    with tifffile.TiffFile(target) as file:
        assert [(one.name, one.axes) for one in file.series] == [("t", "TYX")]
        np.testing.assert_array_equal(file.asarray(), Two.images[1].array)
