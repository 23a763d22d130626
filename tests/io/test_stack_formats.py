"""Makers' formats and HDF5 become OME-TIFF: their pictures, sizes, times and channels.

CZI and LIF are written byte by byte and read by their libraries; the ND2 is a real one.
"""

import json
import lzma
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from f2rcli.errors import F2RError, InputError, UsageError
from f2rcli.io import ReadOptions, WriteOptions, default_target, open_reader, plan_output
from tests.io.makers import write_czi, write_lif, write_lsm, write_stk
from tests.io.stacks import each_smoothed, movie, passed, write_kind

FILES = Path(__file__).parent / "files"
MOVIE = movie((5, 12, 16))
CZI_XML = """<ImageDocument><Metadata><Information><Image>
<AcquisitionDateAndTime>2016-02-12T09:41:02Z</AcquisitionDateAndTime>
<ComponentBitCount>14</ComponentBitCount><Dimensions><Channels><Channel Id="Channel:0"
Name="LED555"><ExcitationWavelength>553</ExcitationWavelength><EmissionWavelength>568
</EmissionWavelength><Color>#FFFF7E00</Color><ExposureTime>100000000</ExposureTime></Channel>
</Channels><T><Positions><List><Offsets>0 60 120 180 240 300 360</Offsets></List></Positions></T>
</Dimensions></Image></Information><Scaling><Items><Distance Id="X"><Value>9.06E-08</Value>
</Distance><Distance Id="Y"><Value>9.1E-08</Value></Distance></Items></Scaling></Metadata>
</ImageDocument>"""


def ome_of(path: Path) -> Any:
    """A file's OME-XML as a second reader understands it."""
    ome_types = pytest.importorskip("ome_types")
    with tifffile.TiffFile(path) as file:
        return ome_types.from_xml(file.ome_metadata or "")


@pytest.mark.parametrize(
    ("kind", "dtype", "samples"),
    [("plain", "u2", 1), ("zstd", "u2", 1), ("zstd", "u1", 3), ("short header", "u1", 1),
     ("halves", "u2", 1), ("halves", "u2", 3), ("zstd", "u1", 4)],
)  # fmt: skip
def test_any_packing_of_czi_is_read(kind: str, dtype: str, samples: int, tmp_path: Path) -> None:
    pytest.importorskip("czifile")
    array = np.stack([movie((7, 12, 16), dtype, seed=n) for n in range(samples)], axis=-1)
    source, target = tmp_path / "a.czi", tmp_path / "b.ome.tif"
    write_czi(source, array, kind)
    with open_reader(source) as reader:
        assert reader.info.frames == 7
    passed(source, target, change=False)
    found = tifffile.imread(target)
    if samples == 4:  # what czifile of 2026 takes for no alpha is opaque
        found, array = found[..., :3], array[..., :3]
    np.testing.assert_array_equal(found, np.squeeze(array))


def test_a_czi_keeps_sizes_times_channels_and_its_own_words(tmp_path: Path) -> None:
    pytest.importorskip("czifile")
    source, target = tmp_path / "a.czi", tmp_path / "b.ome.tif"
    write_czi(source, movie((7, 12, 16))[..., None], xml=CZI_XML)
    assert passed(source, target, change=True).frames == 7
    ome = ome_of(target)
    pixels = ome.images[0].pixels
    assert (pixels.physical_size_x, pixels.physical_size_y) == pytest.approx((0.0906, 0.091))
    assert (pixels.time_increment, pixels.significant_bits) == (60, 14)
    assert ome.images[0].acquisition_date.year == 2016
    (channel,) = pixels.channels
    waves = channel.excitation_wavelength, channel.emission_wavelength
    assert (channel.name, *waves) == ("LED555", 553, 568)
    assert channel.color.as_rgb_tuple()[:3] == (255, 126, 0)
    assert [plane.delta_t for plane in pixels.planes] == [60 * n for n in range(7)]
    assert {plane.exposure_time for plane in pixels.planes} == {0.1}
    notes = {one.namespace: one.value for one in ome.structured_annotations.comment_annotations}
    assert notes["f2r/source-metadata"] == CZI_XML


def test_a_lif_keeps_sizes_times_channels_and_its_own_words(tmp_path: Path) -> None:
    pytest.importorskip("liffile")
    source, target, array = tmp_path / "a.lif", tmp_path / "b.ome.tif", movie((7, 2, 12, 16))
    write_lif(source, array)
    with open_reader(source) as reader:
        assert reader.info.lanes == ("channel 1", "channel 2")
        assert float(reader.info.time_base) == 0.5
    passed(source, target, change=True)
    np.testing.assert_array_equal(tifffile.imread(target), each_smoothed(array))
    pixels = ome_of(target).images[0].pixels
    assert (pixels.physical_size_x, pixels.physical_size_y) == pytest.approx((0.2, 0.3))
    assert (pixels.time_increment, pixels.significant_bits) == (0.5, 12)
    assert [one.name for one in pixels.channels] == ["GFP", "RFP"]
    assert pixels.channels[1].color.as_rgb_tuple()[:3] == (255, 0, 0)
    y, z = (f'DimID="{axis}"'.encode("utf-16-le") for axis in (2, 3))
    (tmp_path / "c.lif").write_bytes(source.read_bytes().replace(y, z))  # XZT
    with pytest.raises(InputError, match=r"without pictures of rows and columns \(Y, X\)"):
        open_reader(tmp_path / "c.lif")
    zarr = pytest.importorskip("zarr")
    passed(source, tmp_path / "b.zarr", change=False)
    group = zarr.open_group(str(tmp_path / "b.zarr"), mode="r")
    np.testing.assert_array_equal(group["0"][...], array)
    assert "<ImageDescription>" in group.attrs["f2r/source-metadata"]
    assert [one["label"] for one in group.attrs["omero"]["channels"]] == ["GFP", "RFP"]


def test_a_real_nd2_keeps_all_that_its_library_says(tmp_path: Path) -> None:
    nd2 = pytest.importorskip("nd2")
    source, target = tmp_path / "cluster.nd2", tmp_path / "b.ome.tif"
    source.write_bytes(lzma.decompress((FILES / "cluster.nd2.xz").read_bytes()))
    with open_reader(source) as reader:
        assert (len(reader.info.lanes), reader.info.frames) == (6, 60)  # along depth
        assert reader.info.notes
    receipt = passed(source, target, change=False)
    assert "its own metadata in whole, as a comment" in receipt.kept
    with nd2.ND2File(source) as file:
        np.testing.assert_array_equal(tifffile.imread(target), file.asarray())
        expected = file.ome_metadata()
    found, before = ome_of(target), expected.images[0].pixels
    pixels = found.images[0].pixels
    for name in ("physical_size_x", "physical_size_z", "significant_bits", "size_t", "size_c"):
        assert getattr(pixels, name) == getattr(before, name)
    for name in ("the_z", "the_c", "delta_t", "exposure_time", "position_x", "position_z"):
        stated = [[getattr(one, name) for one in each.planes] for each in (pixels, before)]
        assert stated[0] == stated[1]
    for name in ("name", "color", "emission_wavelength", "excitation_wavelength"):
        stated = [[getattr(one, name) for one in each.channels] for each in (pixels, before)]
        assert stated[0] == stated[1]
    (note,) = found.structured_annotations.comment_annotations
    assert expected.instruments[0].id in note.value
    assert found.images[0].acquisition_date == expected.images[0].acquisition_date
    assert pixels.time_increment == pytest.approx(10.6, rel=0.01)


@pytest.mark.parametrize(
    ("suffix", "package"), [(".nd2", "nd2"), (".lif", "liffile"), (".czi", "czifile"),
                            (".h5", "h5py")]
)  # fmt: skip
def test_what_a_library_refuses_is_one_line(suffix: str, package: str, tmp_path: Path) -> None:
    pytest.importorskip(package)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"not a microscope's file" * 99)
    with pytest.raises(InputError, match=rf"a\{suffix}: cannot be decoded"):
        open_reader(path)
    with pytest.raises(InputError, match="No such file"):
        open_reader(tmp_path / f"none{suffix}")


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nd2", None)
    path = tmp_path / "a.nd2"
    path.write_bytes(b"x")
    with pytest.raises(InputError, match="package nd2") as raised:
        open_reader(path)
    assert "pip install nd2" in str(raised.value.hint)


def test_a_bug_in_f2r_is_not_called_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a library has another interface than f2r calls."""
    czifile = pytest.importorskip("czifile")
    write_czi(tmp_path / "a.czi", MOVIE[..., None])

    class Another:
        def __init__(self, path: Path) -> None:
            pass

    monkeypatch.setattr(czifile, "CziFile", Another)
    with pytest.raises(AttributeError):
        open_reader(tmp_path / "a.czi")


def test_damage_inside_a_file_of_a_maker_costs_its_pictures(tmp_path: Path) -> None:
    pytest.importorskip("czifile")
    source = tmp_path / "a.czi"
    write_czi(source, MOVIE[..., None], "zstd")
    data = bytearray(source.read_bytes())
    start = data.index(b"\x28\xb5\x2f\xfd")  # the first frame of Zstandard
    data[start : start + 40] = bytes(40)
    source.write_bytes(data)
    with open_reader(source) as reader:
        assert len(list(reader)) == 4
        assert "picture 1: cannot be decoded" in " ".join(reader.ledger.damage())


# Constructors of libraries leave files open that they give up on.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", [".czi", ".lif", ".h5", ".lsm", ".stk", "imagej tzcyx",
                                  "ome tczyx", "tiles deflate predictor", "rgb"])  # fmt: skip
def test_random_damage_ends_in_errors_of_ours(kind: str, tmp_path: Path) -> None:
    path = tmp_path / (f"a{kind}" if kind[0] == "." else "a.tif")
    made = {
        ".czi": lambda: write_czi(path, MOVIE[..., None], "zstd", CZI_XML),
        ".lif": lambda: write_lif(path, movie((3, 2, 12, 16))),
        ".h5": lambda: write(path, {"one": MOVIE}, element_size_um=[1.0, 0.4, 0.3]),
        ".lsm": lambda: write_lsm(path, movie((3, 2, 3, 16, 20))),
        ".stk": lambda: write_stk(path, MOVIE, 0, [0, 100, 200, 300, 400]),
    }
    made.get(kind, lambda: write_kind(kind, path))()
    whole, rng = path.read_bytes(), np.random.default_rng(1)
    for cut in (False, True) * 30:
        data = bytearray(whole[: rng.integers(1, len(whole)) if cut else None])
        for place in rng.integers(0, min(len(data), 4000), 6):
            data[place] = rng.integers(0, 256)
        path.write_bytes(data)
        try:
            with open_reader(path) as reader:
                plan_output(reader, tmp_path / "o.ome.tif")
                assert all(frame.planes[0].size for frame in reader)
        except F2RError:
            pass


@pytest.mark.parametrize("suffix", [".oir", ".dm4", ".npy", ".zip"])
def test_other_microscopes_files_are_unsupported_not_no_video(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"x" * 99)
    with pytest.raises(InputError, match=r"f2r does not read") as raised:
        open_reader(path)
    assert ("OME-TIFF" in str(raised.value.hint)) == (suffix != ".zip")


# --- HDF5, and NWB in it -------------------------------------------------------------------------


def write(path: Path, arrays: dict[str, Any], **attributes: Any) -> Path:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, chunks=True).attrs.update(attributes)
    return path


def write_nwb(path: Path, data: Any, kind: str = "TwoPhotonSeries", **more: Any) -> Path:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        series = file.create_group("acquisition/calcium")
        series.attrs["neurodata_type"] = kind
        series["data"] = data
        for name, value in more.items():
            series[name] = value
    return path


def test_the_one_movie_of_a_file_is_found_and_written_along_time(tmp_path: Path) -> None:
    source = write(
        tmp_path / "a.h5", {"data/mov": MOVIE, "trace": np.zeros((9, 9)), "ids": np.arange(3)},
        element_size_um=[1.0, 0.4, 0.3], note="x",
    )  # fmt: skip
    target = default_target(source)
    assert target.name == "a_f2r.ome.tif"
    assert "axes TYX 5x12x16" in passed(source, target, change=True).kept
    with tifffile.TiffFile(target) as file:
        assert file.series[0].axes == "TYX"
        np.testing.assert_array_equal(file.asarray(), each_smoothed(MOVIE))
    ome = ome_of(target)
    assert ome.images[0].pixels.physical_size_x == 0.3
    (note,) = ome.structured_annotations.comment_annotations
    assert "/data/mov note: x" in note.value


def test_a_path_names_one_of_several_arrays(tmp_path: Path) -> None:
    source = write(tmp_path / "a.h5", {"one": MOVIE, "group/two": MOVIE[:3] + 1, "mean": MOVIE[0],
                                       "four": movie((2, 3, 12, 16))})  # fmt: skip
    with open_reader(source, ReadOptions(series="/group/two")) as reader:
        found = [frame.planes[0] for frame in reader]
    np.testing.assert_array_equal(found, MOVIE[:3] + 1)
    with pytest.raises(UsageError, match=r"'/four' .*'/group/two' .*'/one'"):
        open_reader(source)
    with pytest.raises(UsageError, match=r"series='/three': a\.h5 has 1 '/four'"):
        open_reader(source, ReadOptions(series="/three"))
    with open_reader(source, ReadOptions(series="/four", axes="TPYX")) as reader:
        assert (len(reader.info.lanes), reader.info.frames) == (3, 6)


@pytest.mark.parametrize(
    ("shape", "named", "kept"),
    [((2, 3, 4, 12, 16), "TZCYX", "TZCYX 2x3x4x12x16"), ((1, 3, 12, 16), "TZYX", "ZYX 3x12x16")],
)
def test_axes_are_written_as_they_were_named(shape: Any, named: str, kept: str, tmp_path: Path):
    """Those of one picture may be named with the others."""
    source = write(tmp_path / "a.h5", {"a": movie(shape)})
    with open_reader(source, ReadOptions(axes=named)) as reader:
        assert f"axes {kept}" in plan_output(reader, tmp_path / "b.ome.tif").kept


def test_moments_and_views_of_bigdataviewer_are_movies(tmp_path: Path) -> None:
    """Their samples are unsigned; arrays 1 and up are smaller copies."""
    movies, target = movie((2, 3, 2, 12, 16)) + np.uint16(40000), tmp_path / "b.ome.tif"
    arrays = {f"t{t:05}/s{s:02}/{n}/cells": movies[s, t, :, :: n + 1].view("i2")
              for s in range(2) for t in range(3) for n in range(2)}  # fmt: skip
    passed(write(tmp_path / "a.h5", arrays), target, change=True)
    with tifffile.TiffFile(target) as file:
        assert [series.axes for series in file.series] == ["TZYX", "TZYX"]
        for series, before in zip(file.series, movies, strict=True):
            np.testing.assert_array_equal(series.asarray(), each_smoothed(before))


@pytest.mark.parametrize(
    ("labels", "order"),
    [("ctyx", (0, 1, 2, 3)), ("xyct", (3, 2, 0, 1)),
     (("channel", "time", "row", "Column"), (0, 1, 2, 3)), ("", (1, 2, 3, 0))],
)  # fmt: skip
def test_labels_of_dimensions_name_the_axes(labels: Any, order: Any, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    array, target = movie((2, 3, 12, 16)), tmp_path / "b.ome.tif"
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        labelled = file.create_dataset("a", data=array.transpose(order))
        for dimension, label in zip(labelled.dims, labels, strict=bool(labels)):
            dimension.label = label
        if not labels:  # ilastik says it in an attribute
            labelled.attrs["axistags"] = json.dumps({"axes": [{"key": key} for key in "tyxc"]})
    with open_reader(tmp_path / "a.hdf5") as reader:
        assert (len(reader.info.lanes), reader.info.frames) == (2, 6)
    passed(tmp_path / "a.hdf5", target, change=False)
    expected = array if labels else array.swapaxes(0, 1)
    np.testing.assert_array_equal(tifffile.imread(target), expected)


def test_nwb_imaging_is_found_among_masks_with_its_rate(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    source, target = write_nwb(tmp_path / "a.nwb", MOVIE, starting_time=0.0), tmp_path / "b.ome.tif"
    with h5py.File(source, "r+") as file:
        file["acquisition/calcium/starting_time"].attrs["rate"] = 30.0
        file["processing/masks"] = np.zeros((4, 12, 16))
    passed(source, target, change=True)
    np.testing.assert_array_equal(tifffile.imread(target), each_smoothed(MOVIE))
    assert ome_of(target).images[0].pixels.time_increment == pytest.approx(1 / 30)


@pytest.mark.parametrize(
    ("kind", "shape", "samples", "axes"),
    [("TwoPhotonSeries", (3, 12, 14, 2), "u2", "TZYX"), ("ImageSeries", (4, 12, 14, 3), "u1",
     "TYXS"), ("ImageSeries", (4, 12, 14, 3), "u2", "TZYX")],
)  # fmt: skip
def test_nwb_has_depth_last(kind: str, shape: Any, samples: str, axes: str, tmp_path: Path) -> None:
    array = movie(shape, samples)
    passed(write_nwb(tmp_path / "a.nwb", array, kind), tmp_path / "b.ome.tif", change=False)
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as file:
        assert file.series[0].axes == axes
        expected = array if axes == "TYXS" else array.transpose(0, 3, 1, 2)
        np.testing.assert_array_equal(file.asarray(), expected)


@pytest.mark.parametrize(
    ("array", "what"),
    [(MOVIE.astype("i8"), "a.h5:/mov: samples are int64, too wide"),
     (MOVIE > 90, "a.h5:/mov: samples are bool, a binary mask"),
     (MOVIE.astype("c8"), "a.h5:/mov: samples are complex64, complex numbers"),
     (np.arange(9.0), "without arrays of pictures is not supported")],
)  # fmt: skip
def test_what_is_no_picture_is_named(array: Any, what: str, tmp_path: Path) -> None:
    source = write(tmp_path / "a.h5", {"trace": np.zeros(4), "mov": array})
    with pytest.raises(InputError, match=what):
        open_reader(source)


def test_other_formats_are_written_as_ome_alone(tmp_path: Path) -> None:
    source = write(tmp_path / "a.h5", {"one": MOVIE.astype("f2")})
    with open_reader(source) as reader:
        with pytest.raises(UsageError, match="written as OME-TIFF or OME-Zarr"):
            plan_output(reader, tmp_path / "o.mkv", WriteOptions())
        with pytest.raises(UsageError, match="OME-TIFF has no floats of 16 bits"):
            plan_output(reader, tmp_path / "o.ome.tif", WriteOptions())


# --- FITS ----------------------------------------------------------------------------------------


def test_fits_opens_where_astropy_is_installed(tmp_path: Path) -> None:
    fits = pytest.importorskip("astropy.io.fits")
    source, target = tmp_path / "a.fits", tmp_path / "b.ome.tif"
    fits.writeto(source, MOVIE)
    with open_reader(source) as reader:
        assert reader.info.frames == 5
    passed(source, target, change=True)
    np.testing.assert_array_equal(tifffile.imread(target), each_smoothed(MOVIE))
    fits.writeto(tmp_path / "c.fit", MOVIE[0], fits.Header([("BAYERPAT", "RGGB")]))
    with pytest.raises(InputError, match="colour mosaic is not supported"):
        open_reader(tmp_path / "c.fit")


def test_a_library_may_make_a_logger_of_its_own(tmp_path: Path) -> None:
    """As astropy does: it cannot be imported once a plain one of its name is there."""
    (tmp_path / "astropy" / "io").mkdir(parents=True)
    (tmp_path / "astropy" / "__init__.py").write_text(
        "import logging\nassert 'astropy' not in logging.root.manager.loggerDict"
    )
    (tmp_path / "astropy" / "io" / "fits.py").write_text("def open(path):\n    return []")
    (tmp_path / "a.fit").write_bytes(b"SIMPLE")
    done = subprocess.run(
        [sys.executable, "-m", "f2rcli", "info", tmp_path / "a.fit"], text=True,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
    )  # fmt: skip
    assert "a.fit: holds no pictures." in done.stderr


def test_fits_names_the_missing_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "astropy.io.fits", None)
    (tmp_path / "a.fit").write_bytes(b"SIMPLE  =                    T" + bytes(5000))
    with pytest.raises(InputError, match="package astropy") as raised:
        open_reader(tmp_path / "a.fit")
    assert raised.value.hint == "Install it: pip install astropy."
