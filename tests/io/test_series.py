"""Files of several series, alike or not: one or all of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from f2rcli.errors import UsageError
from f2rcli.io import open_reader
from f2rcli.io.base import ReadOptions
from tests.io.stacks import each_smoothed, movie, passed
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
        assert any("each picture is denoised by itself" in note for note in reader.info.notes)
    passed(unlike, target, change=True, series="all")
    for found, before in zip(stored(target), (CELLS, ANGLES, MAP), strict=True):
        np.testing.assert_array_equal(found, each_smoothed(before))


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
