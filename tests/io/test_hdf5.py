"""HDF5 and NWB: arrays are chosen by their path, and keep what their file says."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from f2rcli.errors import InputError, UsageError
from f2rcli.io import default_target, open_reader
from f2rcli.io.base import ReadOptions
from f2rcli.io.microscopy.ome import as_stated
from tests.io.stacks import each_smoothed, movie, passed

h5py = pytest.importorskip("h5py")
MOVIE = movie((5, 12, 16))


def write(path: Path, arrays: dict[str, Any], **attributes: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, chunks=True).attrs.update(attributes)
    return path


def test_the_one_movie_of_a_file_is_found_and_written_along_time(tmp_path: Path) -> None:
    source = write(
        tmp_path / "a.h5", {"data/mov": MOVIE, "trace": np.zeros((9, 9)), "ids": np.arange(3)},
        element_size_um=[1.0, 0.4, 0.3], note="x",
    )  # fmt: skip
    target = default_target(source)
    assert target.name == "a_f2r.ome.tif"
    receipt = passed(source, target, change=True)
    assert receipt.dropped == ("attribute note", "ids", "trace")
    assert "axes TYX 5x12x16" in receipt.kept
    with tifffile.TiffFile(target) as file:
        assert file.series[0].axes == "TYX"
        np.testing.assert_array_equal(file.asarray(), each_smoothed(MOVIE))
        assert 'PhysicalSizeX="0.3"' in (file.ome_metadata or "")


def test_a_path_names_one_of_several_arrays(tmp_path: Path) -> None:
    source = write(tmp_path / "a.h5", {"one": MOVIE, "group/two": MOVIE[:3] + 1,
                                       "four": movie((2, 3, 12, 16))})  # fmt: skip
    target = tmp_path / "b.ome.tif"
    name = f"{source}:/group/two"
    assert default_target(name) == tmp_path / "a_f2r.ome.tif"
    passed(Path(name), target, change=True)
    np.testing.assert_array_equal(tifffile.imread(target), each_smoothed(MOVIE[:3] + 1))
    with pytest.raises(UsageError, match=r"'/four' .*'/group/two' .*'/one'"):
        open_reader(source)
    with pytest.raises(UsageError, match=r"series='/three': a\.h5 has"):
        open_reader(f"{source}:/three")
    with pytest.raises(UsageError, match="names an array already"):
        open_reader(name, ReadOptions(series="1"))
    with open_reader(f"{source}:/four", ReadOptions(axes="TPYX")) as reader:
        assert (len(reader.info.lanes), reader.info.frames) == (3, 6)


def test_a_picture_beside_movies_is_one_that_a_path_names(tmp_path: Path) -> None:
    source = write(tmp_path / "a.h5", {"one": MOVIE, "mean": MOVIE[0], "group/two": MOVIE,
                                       "rois/map": MOVIE[1]})  # fmt: skip
    with open_reader(source) as reader:
        assert reader.info.frames == 10  # of the two movies
    target = tmp_path / "b.ome.tif"
    receipt = passed(Path(f"{source}:/mean"), target, change=True)
    assert "axes YX 12x16" in receipt.kept
    assert {"series 1 /group/two", "rois"} <= set(receipt.dropped)
    assert "mean" not in receipt.dropped
    np.testing.assert_array_equal(tifffile.imread(target), each_smoothed(MOVIE[0]))
    with open_reader(f"{source}:/rois") as reader:  # a group that holds one
        assert reader.info.frames == 1
    with open_reader(source, ReadOptions(series="/mean")) as reader:
        assert reader.info.frames == 1


@pytest.mark.parametrize("order", ["CTYX", "XYCT"])
def test_labels_of_dimensions_name_the_axes(order: str, tmp_path: Path) -> None:
    array, target = movie((2, 3, 12, 16)), tmp_path / "b.ome.tif"
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        stored = array.transpose(["CTYX".index(axis) for axis in order])
        labelled = file.create_dataset("a", data=stored)
        for dimension, label in zip(labelled.dims, order.lower(), strict=True):
            dimension.label = label
    with open_reader(tmp_path / "a.hdf5") as reader:
        assert (len(reader.info.lanes), reader.info.frames) == (2, 6)
    passed(tmp_path / "a.hdf5", target, change=False)
    np.testing.assert_array_equal(tifffile.imread(target), array)


def test_whatever_lies_beside_a_movie_is_named_as_lost(tmp_path: Path) -> None:
    source = write(tmp_path / "a.h5", {"exp/run/mov": MOVIE, "exp/run/trace": np.zeros(9),
                                       "exp/roi/mask": np.zeros((12, 16), bool)})  # fmt: skip
    with h5py.File(source, "a") as file:
        file.attrs["who"] = file["exp"].attrs["gain"] = "x"
    receipt = passed(source, tmp_path / "b.ome.tif", change=False)
    assert receipt.dropped == ("exp/roi", "exp/run/trace", "attribute gain of exp", "attribute who")


def test_labels_may_be_words(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        labelled = file.create_dataset("a", data=MOVIE.transpose(1, 2, 0))
        for dimension, label in zip(labelled.dims, ("row", "Column", "time"), strict=True):
            dimension.label = label
    passed(tmp_path / "a.h5", tmp_path / "b.ome.tif", change=False)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.ome.tif"), MOVIE)


def test_nwb_imaging_keeps_rate_spacing_and_wavelengths(tmp_path: Path) -> None:
    ome_types = pytest.importorskip("ome_types")
    source, target = tmp_path / "a.nwb", tmp_path / "b.ome.tif"
    with h5py.File(source, "w") as file:
        file["session_start_time"] = "2023-01-02T03:04:05Z"
        series = file.create_group("acquisition/calcium")
        series.attrs["neurodata_type"] = "TwoPhotonSeries"
        series["data"] = MOVIE
        series["starting_time"] = 0.0
        series["starting_time"].attrs["rate"] = 30.0
        plane = file.create_group("general/optophysiology/plane")
        plane["grid_spacing"] = [2e-6, 1e-6]
        plane["grid_spacing"].attrs["unit"] = "meters"
        plane["excitation_lambda"] = 920.0
        channel = plane.create_group("GCaMP")
        channel.attrs["neurodata_type"] = "OpticalChannel"
        channel["emission_lambda"] = 510.0
        series["imaging_plane"] = h5py.SoftLink("/general/optophysiology/plane")
        file["processing/masks"] = np.zeros((4, 12, 16))
    receipt = passed(source, target, change=True)
    assert receipt.dropped == ("general", "processing")
    with tifffile.TiffFile(target) as file:
        ome = ome_types.from_xml(file.ome_metadata or "")
    pixels = ome.images[0].pixels
    assert (pixels.physical_size_y, pixels.physical_size_x) == pytest.approx((2, 1))
    assert pixels.time_increment == pytest.approx(1 / 30)
    (one,) = pixels.channels
    assert (one.name, one.emission_wavelength, one.excitation_wavelength) == ("GCaMP", 510, 920)


def test_nwb_keeps_measured_times_and_names_a_late_start(tmp_path: Path) -> None:
    source, target = tmp_path / "a.nwb", tmp_path / "b.ome.tif"
    stamps = np.cumsum(np.linspace(0.1, 0.4, len(MOVIE)))
    with h5py.File(source, "w") as file:
        series = file.create_group("acquisition/calcium")
        series.attrs["neurodata_type"] = "TwoPhotonSeries"
        series["data"], series["timestamps"] = MOVIE, stamps
    receipt = passed(source, target, change=True)
    assert "time of each picture" in receipt.kept
    with tifffile.TiffFile(target) as file:
        found = as_stated(file.ome_metadata or "", 0)
    assert [float(one["DeltaT"]) for one in found.planes] == pytest.approx(stamps)
    with h5py.File(source, "r+") as file:
        series = file["acquisition/calcium"]
        del series["timestamps"]
        series["starting_time"] = 12.5
        series["starting_time"].attrs["rate"] = 30.0
    assert passed(source, tmp_path / "c.ome.tif", change=True).dropped == ("starting_time",)


def test_nwb_volumes_have_depth_last(tmp_path: Path) -> None:
    source, target, array = tmp_path / "a.nwb", tmp_path / "b.ome.tif", movie((3, 12, 14, 2))
    with h5py.File(source, "w") as file:
        series = file.create_group("acquisition/volumes")
        series.attrs["neurodata_type"] = "TwoPhotonSeries"
        series["data"] = array
    passed(source, target, change=False)
    with tifffile.TiffFile(target) as file:
        assert file.series[0].axes == "TZYX"
        np.testing.assert_array_equal(file.asarray(), array.transpose(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("kind", "samples", "axes"),
    [
        ("ImageSeries", "u1", "TYXS"),
        ("ImageSeries", "u2", "TZYX"),
        ("TwoPhotonSeries", "u1", "TZYX"),
    ],
)
def test_nwb_pictures_of_colours_are_no_depth(
    kind: str, samples: str, axes: str, tmp_path: Path
) -> None:
    array = movie((4, 12, 14, 3), samples)
    with h5py.File(tmp_path / "a.nwb", "w") as file:
        series = file.create_group("acquisition/camera")
        series.attrs["neurodata_type"] = kind
        series["data"] = array
    passed(tmp_path / "a.nwb", tmp_path / "b.ome.tif", change=False)
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as file:
        assert file.series[0].axes == axes
        expected = array if axes == "TYXS" else array.transpose(0, 3, 1, 2)
        np.testing.assert_array_equal(file.asarray(), expected)


def test_files_without_pictures_and_other_files_are_refused_in_one_line(tmp_path: Path) -> None:
    write(tmp_path / "a.h5", {"trace": np.arange(9.0), "text": np.array([b"x"])})
    with pytest.raises(InputError, match="without arrays of pictures is not supported"):
        open_reader(tmp_path / "a.h5")
    (tmp_path / "b.h5").write_bytes(b"x" * 99)
    with pytest.raises(InputError, match=r"b\.h5: cannot be read"):
        open_reader(tmp_path / "b.h5")
    with pytest.raises(InputError, match=r"c\.h5: no such file"):
        open_reader(f"{tmp_path}/c.h5:/movie")


def test_a_group_of_one_array_may_stand_for_it(tmp_path: Path) -> None:
    source = write(tmp_path / "a.h5", {"one/data": MOVIE, "two/data": MOVIE[:3], "two/b": MOVIE})
    with open_reader(f"{source}:/one") as reader:
        assert reader.info.frames == 5
    with pytest.raises(UsageError, match=r"series='/two': a\.h5 has"):
        open_reader(f"{source}:/two")


@pytest.mark.parametrize(
    ("array", "what"),
    [(MOVIE.astype("i8"), "int64, too wide"), (MOVIE > 90, "bool, a binary mask"),
     (MOVIE.astype("c8"), "complex64, complex numbers")],
)  # fmt: skip
def test_samples_of_another_kind_are_named(array: Any, what: str, tmp_path: Path) -> None:
    source = write(tmp_path / "a.h5", {"trace": np.zeros(4), "mov": array})
    with pytest.raises(InputError, match=rf"a\.h5:/mov: samples are {what}"):
        open_reader(source)


@pytest.mark.parametrize("times", [np.full(5, np.nan), np.arange(3) / 10])
def test_times_that_fit_no_frames_are_named_as_lost(times: Any, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nwb", "w") as file:
        series = file.create_group("acquisition/mov")
        series.attrs["neurodata_type"] = "TwoPhotonSeries"
        series["data"], series["timestamps"] = MOVIE, times
    receipt = passed(tmp_path / "a.nwb", tmp_path / "b.ome.tif", change=False)
    assert "timestamps" in receipt.dropped
    assert "time of each picture" not in receipt.kept
