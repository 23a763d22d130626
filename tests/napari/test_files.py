"""The plug-in without napari: stacks as layers, views, axes, previews and the manifest."""

import os
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import tifffile

import f2rcli
from f2rcli.errors import CancelledError, UsageError
from f2rcli.io import formats
from f2rcli.io.stacks import Series
from f2rcli.napari.files import (
    LayerRun,
    Progress,
    axes_of,
    difference,
    get_reader,
    levels_of,
    near,
    series_view,
)
from tests.io.makers import write_lsm

MANIFEST = Path(f2rcli.__file__).parent / "napari" / "napari.yaml"


def counts(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).poisson(20, shape).astype(np.uint16)


@pytest.fixture
def movie(tmp_path: Path) -> tuple[str, np.ndarray]:
    """An OME-TIFF of two channels with sizes, names and a colour."""
    path, values = tmp_path / "cells.ome.tif", counts(5, 2, 12, 16)
    tifffile.imwrite(path, values, metadata={
        "axes": "TCYX", "PhysicalSizeX": 250, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.25,
        "PhysicalSizeYUnit": "µm", "TimeIncrement": 100, "TimeIncrementUnit": "ms",
        "Channel": {"Name": ["GFP", "RFP"], "Color": [0x00FF00FF, -16776961]},
    })  # fmt: skip
    return str(path), values


def test_channels_become_layers_with_scale_names_and_colours(movie) -> None:
    path, values = movie
    green, red = get_reader(path)(path)
    assert [layer[1]["name"] for layer in (green, red)] == ["cells GFP", "cells RFP"]
    assert np.array_equal(np.asarray(green[0]), values[:, 0])
    assert np.array_equal(np.asarray(red[0]), values[:, 1])
    assert green[1]["scale"] == pytest.approx((0.1, 0.25, 0.25))
    assert green[1]["units"] == ("s", "µm", "µm")
    assert green[1]["axis_labels"] == ("t", "y", "x")
    assert (green[1]["colormap"], red[1]["colormap"]) == ("#00ff00", "#ff0000")
    assert green[1]["contrast_limits"] == (values[2, 0].min(), values[2, 0].max())
    assert red[2] == "image"


def test_scales_without_a_unit_keep_their_proportion(tmp_path: Path) -> None:
    path = str(tmp_path / "a.ome.tif")
    tifffile.imwrite(path, counts(3, 8, 9), metadata={
        "axes": "ZYX", "PhysicalSizeZ": 4.0, "PhysicalSizeZUnit": "reference frame",
        "PhysicalSizeY": 0.5, "PhysicalSizeYUnit": "pixel",
    })  # fmt: skip
    [(_, how, _)] = get_reader(path)(path)
    assert (how["scale"], how["units"]) == ((4.0, 0.5, 1.0), ("pixel",) * 3)


def test_an_lsm_has_its_sizes_and_a_hyperstack_its_colours(tmp_path: Path) -> None:
    lsm, hyper = str(tmp_path / "a.lsm"), str(tmp_path / "b.tif")
    write_lsm(Path(lsm), counts(3, 2, 3, 16, 20))
    ramp = np.arange(256, dtype=np.uint8)
    tables = [np.stack([ramp, 0 * ramp, 0 * ramp]), np.stack([0 * ramp, ramp, ramp])]
    tifffile.imwrite(hyper, counts(3, 2, 8, 9), imagej=True, resolution=(4, 4), metadata={
        "axes": "TCYX", "unit": "nm", "finterval": 50.0, "tunit": "ms", "LUTs": tables,
    })  # fmt: skip
    (_, how, _), *_ = get_reader(lsm)(lsm)
    assert how["scale"] == pytest.approx((0.25, 0.5, 0.1, 0.1))
    layers = get_reader(hyper)(hyper)
    assert [one[1]["colormap"] for one in layers] == ["#ff0000", "#00ffff"]
    assert layers[0][1]["scale"] == pytest.approx((0.05, 0.00025, 0.00025))


def test_colours_are_one_layer_and_plain_pages_are_time(tmp_path: Path) -> None:
    rgb, plain = tmp_path / "rgb.tif", tmp_path / "plain.tif"
    tifffile.imwrite(rgb, counts(4, 8, 9, 3).astype("u1"), photometric="rgb")
    tifffile.imwrite(plain, counts(4, 8, 9), photometric="minisblack", metadata=None)
    [(colours, how, _)] = get_reader(str(rgb))(str(rgb))
    assert (colours.shape, how["rgb"], how["metadata"]) == ((4, 8, 9, 3), True, {"axes": "TYXS"})
    [(_, how, _)] = get_reader([str(plain)])([str(plain)])
    assert (how["axis_labels"], how["units"]) == (("t", "y", "x"), ("pixel",) * 3)


def test_what_is_no_stack_is_left_to_others(tmp_path: Path) -> None:
    assert get_reader("clip.mp4") is None
    assert get_reader(["a.tif", "b.png"]) is None
    assert get_reader([]) is None
    assert get_reader("cells.czi") is not None


def test_only_pictures_that_are_looked_at_are_read() -> None:
    class Counting:
        def __init__(self) -> None:
            self.asked: list[int] = []

        def read(self, series: int, place: int) -> np.ndarray:
            self.asked.append(place)
            return np.full((5, 6), place)

    shared = Counting()
    series = Series(
        number=0, name="", axes="TCZYX", shape=(3, 2, 4, 5, 6), dtype=np.dtype(np.uint16)
    )
    view, axes = series_view(shared, series, channel=1)
    assert (axes, view.shape) == ("TZYX", (3, 4, 5, 6))
    assert shared.asked == []
    assert np.asarray(view[2, 3]).max() == (2 * 2 + 1) * 4 + 3
    assert shared.asked == [23]


def test_the_difference_is_what_was_taken_away() -> None:
    before = counts(3, 4, 5)
    after = before + np.uint16(2)
    change = difference(before, after, colour=False)
    assert np.array_equal(np.asarray(change), np.full((3, 4, 5), -2, np.float32))
    colours = np.stack([before, before + 3, before + 6], axis=-1).astype(np.uint16)
    gray = difference(colours, colours - np.array([1, 2, 3], np.uint16), colour=True)
    assert np.array_equal(np.asarray(gray[0]), np.full((4, 5), 2, np.float32))
    assert levels_of(np.zeros((2, 2))) == (-1, 1)


def test_axes_are_proposed_from_what_is_known() -> None:
    assert axes_of((9, 5, 6), ("t", "y", "x"), "ZYX", colour=False) == "ZYX"
    assert axes_of((9, 2, 5, 6), ("t", "z", "y", "x"), None, colour=False) == "TZYX"
    assert axes_of((9, 5, 6), ("axis 0", "axis 1", "axis 2"), None, colour=False) == "TYX"
    assert axes_of((9, 5, 6, 3), ("-3", "-2", "-1"), None, colour=True) == "TYXS"
    assert axes_of((2,) * 6, ("",) * 6, None, colour=False) == ""


def test_a_preview_takes_a_window_around_the_frame() -> None:
    assert near(0, 20) == (0, 7)
    assert near(10, 20) == (7, 14)
    assert near(19, 20) == (13, 20)
    assert near(1, 3) == (0, 3)


@pytest.mark.parametrize("axes", ["TZYX", "ZTYX", "CZYX", "CPYX"])
def test_a_preview_is_the_frame_on_screen(axes: str) -> None:
    values = counts(9, 2, 8, 8) if axes[0] == "T" else counts(2, 9, 8, 8)
    at = (8, 1, 3, 3) if axes[0] == "T" else (1, 8, 3, 3)
    run = LayerRun(data=values, axes=axes, strength=0)
    picture, report = run.preview(at, Event())
    assert np.array_equal(picture, values[at[:2]])
    assert report.frames == (1 if "P" in axes else 7)


def test_a_run_tells_how_far_it_is_and_can_be_cancelled() -> None:
    values, progress, stop = counts(6, 2, 8, 8), Progress(), Event()
    clean, report = LayerRun(data=values, axes="TZYX", strength=0).whole(progress, stop)
    assert np.array_equal(clean, values)
    assert (progress.done, progress.total, report.frames) == (12, 12, 12)
    stop.set()
    with pytest.raises(CancelledError):
        LayerRun(data=values, axes="TZYX", strength=0).whole(progress, stop)


def test_axes_that_do_not_fit_are_refused_at_once() -> None:
    with pytest.raises(UsageError, match="each axis needs its own letter"):
        LayerRun(data=counts(3, 4, 5), axes="TY")


def test_the_manifest_names_what_is_there() -> None:
    text = MANIFEST.read_text(encoding="utf-8")
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["napari.manifest"] == {"f2rcli": "f2rcli.napari:napari.yaml"}
    names = [line.split(": ")[1] for line in text.splitlines() if "python_name" in line]
    assert len(names) == 2
    for module, name in (one.split(":") for one in names):
        if module != "f2rcli.napari.widget":  # needs Qt: see test_widget.py
            assert callable(getattr(import_module(module), name))
    patterns = [line.split('"*')[1][:-1] for line in text.splitlines() if '"*' in line]
    assert all(get_reader(f"a{suffix}") is not None for suffix in patterns)
    assert set(patterns) == formats.STACKS


def test_reading_needs_neither_torch_nor_qt() -> None:
    script = (
        "import sys, f2rcli.napari.files, f2rcli.napari.files\n"
        "print([n for n in ('torch', 'napari', 'qtpy') if n in sys.modules])\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment
    )
    assert done.stdout.strip() == "[]", done.stderr
