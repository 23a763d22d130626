"""Makers' own formats: through their libraries where these are installed, and stand-ins of them.

The stand-ins know the libraries' interfaces only; test_passport.py has what files say.
"""

import errno
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile

from f2rcli.errors import InputError, OutputError, UsageError
from f2rcli.io import default_target, open_reader, open_writer, plan_output
from f2rcli.io.base import ReadOptions, WriteOptions
from f2rcli.io.tiff.patch import PatchedFile
from tests.io.stacks import each_smoothed, movie, passed

ARRAY = movie((4, 3, 2, 16, 20))  # TZCYX


def write_zarr(path: Path, array: np.ndarray) -> None:  # type: ignore[type-arg]
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(str(path), mode="w")
    group.create_array("0", data=array, chunks=(1, 1, 1, 16, 20))
    axes = [
        {"name": "t", "type": "time", "unit": "second"},
        {"name": "z", "type": "space", "unit": "micrometer"},
        {"name": "c", "type": "channel"},
        {"name": "y", "type": "space", "unit": "micrometer"},
        {"name": "x", "type": "space", "unit": "micrometer"},
    ]
    scale = [{"type": "scale", "scale": [0.25, 0.8, 1.0, 0.3, 0.3]}]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["ome"] = {
        "version": "0.5", "multiscales": [{"name": "cells", "axes": axes, "datasets": datasets}]
    }  # fmt: skip


def opened() -> set[Path]:
    """Files that this process holds open, where the system tells."""
    numbers = Path("/proc/self/fd")
    return {one.resolve() for one in numbers.iterdir()} if numbers.is_dir() else set()


def test_ome_zarr_becomes_ome_tiff_with_its_axes_and_sizes(tmp_path: Path) -> None:
    source = tmp_path / "cells.zarr"
    write_zarr(source, ARRAY)
    target = default_target(source)
    assert target.name == "cells_f2r.ome.tif"
    with open_reader(source) as reader:
        assert len(reader.info.lanes) == 6
        assert float(reader.info.time_base) == 0.25
    passed(source, target, change=True)
    with tifffile.TiffFile(target) as file:
        assert file.series[0].axes == "TZCYX"
        np.testing.assert_array_equal(file.asarray(), each_smoothed(ARRAY))
        assert 'PhysicalSizeX="0.3"' in (file.ome_metadata or "")


def test_nothing_holds_the_file_open_when_it_is_done(tmp_path: Path) -> None:
    """Windows does not rename what is open."""
    source, target = tmp_path / "cells.zarr", tmp_path / "cells.ome.tif"
    write_zarr(source, ARRAY)
    with (
        open_reader(source) as reader,
        open_writer(reader, plan_output(reader, target, WriteOptions())) as writer,
    ):
        for frame in reader:
            writer.write(frame)
        writer.finish()
        assert target.resolve() not in opened()


def _without(source: Path, *chunks: str) -> None:
    """Delete chunks, named by their place: t/z/c."""
    for chunk in chunks:
        (source / "0" / "c" / chunk / "0" / "0").unlink()


def test_pictures_that_zarr_does_not_store_are_told_and_left_as_they_read(tmp_path: Path) -> None:
    source, target = tmp_path / "cells.zarr", tmp_path / "cells.ome.tif"
    write_zarr(source, ARRAY)
    _without(source, "1/0/0", "3/2/1")
    with (
        open_reader(source) as reader,
        open_writer(reader, plan_output(reader, target, WriteOptions())) as writer,
    ):
        for frame in reader:
            writer.write(frame)
        assert writer.finish().frames == 22
        promise, chunks = reader.ledger.lines()
    assert promise.endswith("promises 24 pictures, 22 were read")
    assert chunks == "2 chunks not stored; there samples are 0"
    kept = ARRAY.copy()
    kept[1, 0, 0] = kept[3, 2, 1] = 0
    np.testing.assert_array_equal(tifffile.imread(target), kept)
    with pytest.raises(InputError, match="22 were read"):
        open_reader(source, ReadOptions(strict=True))


def test_another_fill_value_is_written(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    source, target = tmp_path / "cells.zarr", tmp_path / "cells.ome.tif"
    write_zarr(source, ARRAY)
    meta = json.loads((source / "0" / "zarr.json").read_text())
    (source / "0" / "zarr.json").write_text(json.dumps(meta | {"fill_value": 7}))
    _without(source, "0/0/0")
    passed(source, target, change=False)
    assert (tifffile.imread(target)[0, 0, 0] == 7).all()
    assert zarr.open_group(str(source))["0"].fill_value == 7


def test_a_disk_that_is_full_to_the_last_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a file has pending is refused once more when it is closed."""
    source, target = tmp_path / "cells.zarr", tmp_path / "out" / "cells.ome.tif"
    write_zarr(source, ARRAY)
    target.parent.mkdir()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(PatchedFile, "_write", full)
    monkeypatch.setattr(PatchedFile, "close", full)
    with open_reader(source) as reader:
        writer = open_writer(reader, plan_output(reader, target, WriteOptions()))
        frame = next(iter(reader))
        with pytest.raises(OutputError, match="disk is full"), writer:
            writer.write(replace(frame, planes=(frame.planes[0] + 1,)))
    assert list(target.parent.iterdir()) == []


class FakeNd2:
    """As much of nd2.ND2File as is used; frames in the order of the microscope's loops."""

    def __init__(self, path: Path) -> None:
        self.sizes = {"T": 4, "P": 2, "Z": 3, "C": 2, "Y": 16, "X": 20}
        self.dtype = ARRAY.dtype
        self.loop_indices = [
            {"T": t, "P": p, "Z": z} for t in range(4) for p in range(2) for z in range(3)
        ]

    def read_frame(self, index: int) -> Any:
        at = self.loop_indices[index]
        return ARRAY[at["T"], at["Z"]] + at["P"]

    def voxel_size(self) -> Any:
        return SimpleNamespace(x=0.2, y=0.2, z=1.0)

    def close(self) -> None:
        pass


class FakeLif:
    """As much of liffile.LifFile as is used."""

    def __init__(self, path: Path) -> None:
        def frame(**where: int) -> Any:
            return ARRAY[where["T"], where["Z"], where["C"]]

        sizes = {"C": 2, "T": 4, "Z": 3, "Y": 16, "X": 20}
        self.images = [SimpleNamespace(name="one", sizes=sizes, dtype=ARRAY.dtype, frame=frame)]

    def close(self) -> None:
        pass


class FakeCzi:
    """As much of czifile.CziFile as is used."""

    def __init__(self, path: Path) -> None:
        self.axes, self.shape, self.start = "TCZYX0", (4, 2, 3, 16, 20, 1), (5, 0, 0, 0, 0, 0)
        self.dtype = ARRAY.dtype
        self.filtered_subblock_directory = [
            self._entry(t, c, z) for t in range(4) for c in range(2) for z in range(3)
        ]

    @staticmethod
    def _entry(t: int, c: int, z: int) -> Any:
        part = SimpleNamespace(data=lambda resize: ARRAY[t, z, c][None, None, None, ..., None])
        return SimpleNamespace(
            start=(5 + t, c, z, 0, 0, 0), shape=(1, 1, 1, 16, 20, 1),
            stored_shape=(1, 1, 1, 16, 20, 1), data_segment=lambda: part, compression=0,
        )  # fmt: skip

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("suffix", "package", "name", "fake", "axes"),
    [
        (".nd2", "nd2", "ND2File", FakeNd2, "TZCYX"),
        (".lif", "liffile", "LifFile", FakeLif, "CTZYX"),
        (".czi", "czifile", "CziFile", FakeCzi, "TZCYX"),
    ],
)
def test_pictures_find_their_axes_through_the_libraries_interfaces(
    suffix: str, package: str, name: str, fake: Any, axes: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    library = ModuleType(package)
    setattr(library, name, fake)
    monkeypatch.setitem(sys.modules, package, library)
    source, target = tmp_path / f"a{suffix}", tmp_path / "a.ome.tif"
    source.write_bytes(b"x")
    passed(source, target, change=True)
    order = ["TZC".index(a) for a in axes[:3]]
    with tifffile.TiffFile(target) as file:
        assert len(file.series) == (2 if suffix == ".nd2" else 1)
        for position, series in enumerate(file.series):
            expected = (ARRAY + position).transpose(*order, 3, 4)
            assert series.axes == axes
            np.testing.assert_array_equal(series.asarray(), each_smoothed(expected))


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nd2", None)
    path = tmp_path / "a.nd2"
    path.write_bytes(b"x")
    with pytest.raises(InputError, match="package nd2") as raised:
        open_reader(path)
    assert "f2rcli[microscopy]" in str(raised.value.hint)


@pytest.mark.parametrize(
    ("suffix", "package"), [(".nd2", "nd2"), (".lif", "liffile"), (".czi", "czifile")]
)
def test_what_a_library_refuses_is_one_line(suffix: str, package: str, tmp_path: Path) -> None:
    pytest.importorskip(package)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"not a microscope's file" * 99)
    with pytest.raises(InputError, match=rf"a\{suffix}: cannot be read"):
        open_reader(path)
    with pytest.raises(InputError, match="no such file"):
        open_reader(tmp_path / f"none{suffix}")


class OwnError(Exception):
    """As libraries have them: of no kind that Python knows."""


@pytest.mark.parametrize(
    "error", [OwnError("no such segment"), ElementTree.ParseError("no XML"), EOFError("short")]
)
def test_whatever_a_library_raises_on_damage_is_one_line(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(path: Path) -> None:
        raise error

    library = ModuleType("liffile")
    vars(library).update(LifFile=opened, OwnError=OwnError)
    monkeypatch.setitem(sys.modules, "liffile", library)
    (tmp_path / "a.lif").write_bytes(b"x")
    with pytest.raises(InputError, match=rf"a\.lif: cannot be read \({error}\)"):
        open_reader(tmp_path / "a.lif")


def test_attachments_that_cannot_be_read_are_lost_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Damaged(FakeCzi):
        def attachments(self) -> None:
            raise OwnError

        def metadata(self) -> str:
            return "<ImageDocument><Metadata/></ImageDocument>"

    library = ModuleType("czifile")
    vars(library).update(CziFile=Damaged)
    monkeypatch.setitem(sys.modules, "czifile", library)
    (tmp_path / "a.czi").write_bytes(b"x")
    with open_reader(tmp_path / "a.czi") as reader:
        plan = plan_output(reader, tmp_path / "a.ome.tif")
    assert "attachment that cannot be read" in plan.dropped


def test_other_formats_are_written_as_tiff_only(tmp_path: Path) -> None:
    source = tmp_path / "cells.zarr"
    write_zarr(source, ARRAY)
    with open_reader(source) as reader, pytest.raises(UsageError, match="becomes OME-TIFF"):
        plan_output(reader, tmp_path / "o.mkv", WriteOptions())
