"""The plug-in within napari, off screen; needs napari and Qt (extra `napari`)."""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import f2rcli

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of napari's own modules
    pytest.importorskip("napari", reason="the extra `napari` is not installed")
    pytest.importorskip("qtpy.QtWidgets", reason="no Qt is installed", exc_type=ImportError)
    from napari.components import ViewerModel
    from npe2 import PluginManifest
    from qtpy.QtCore import QEventLoop
    from qtpy.QtWidgets import QApplication

    from f2rcli.napari.widget import PREVIEW, DenoisePanel
pytestmark = pytest.mark.filterwarnings("default")

KEPT: list[object] = []  # Qt aborts where Python's collector frees widgets at a moment of its own
MANIFEST = Path(f2rcli.__file__).parent / "napari" / "napari.yaml"


@pytest.fixture(scope="module")
def application() -> Any:
    return QApplication.instance() or QApplication([])


@pytest.fixture
def viewer() -> ViewerModel:
    movie = np.random.default_rng(0).poisson(20, (9, 2, 32, 40)).astype(np.uint16)
    made = ViewerModel()
    made.add_image(
        movie, name="cells", scale=(0.1, 2, 0.5, 0.5), units=("s", "µm", "µm", "µm"),
        axis_labels=("t", "z", "y", "x"),
    )  # fmt: skip
    return made


@pytest.fixture
def panel(application: Any, viewer: ViewerModel) -> Iterator[DenoisePanel]:
    made = DenoisePanel(viewer)
    made.layer.choices = lambda _: [one for one in viewer.layers if one.ndim > 2]
    made.layer.value = viewer.layers["cells"]
    KEPT.append((made, viewer))
    yield made
    until_done(made)


def until_done(panel: DenoisePanel) -> None:
    while panel.worker is not None:
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)


def test_the_manifest_is_npe2s() -> None:
    manifest = PluginManifest.from_file(MANIFEST)
    assert manifest.name == "f2rcli"
    manifest.validate_imports()


def test_a_run_adds_the_result_and_what_was_taken_away(viewer, panel) -> None:
    assert panel.axes.value == "TZYX"
    panel.strength.value = 0.5
    panel.denoise()
    assert panel.cancel.enabled
    assert not panel.start.enabled
    until_done(panel)
    clean, change = viewer.layers["cells denoised"], viewer.layers["cells difference"]
    source = viewer.layers["cells"]
    assert np.array_equal(clean.data, f2rcli.denoise(source.data, axes="TZYX", strength=0.5))
    assert np.array_equal(change.data[3, 1], source.data[3, 1] - clean.data[3, 1].astype("f4"))
    assert np.array_equal(clean.scale, source.scale)
    assert clean.units == source.units
    assert panel.bar.value == panel.bar.max == 18
    assert panel.noise.value.startswith("noise of z 1: ")
    assert panel.start.enabled


def test_a_preview_lies_where_the_frame_lies_and_is_replaced(viewer, panel) -> None:
    panel.strength.value = 0
    for frame in (4, 8):
        viewer.dims.set_point(0, frame * 0.1)
        panel.show_preview()
        until_done(panel)
        source = viewer.layers["cells"]
        depth = round(viewer.dims.point[1] / 2)
        assert np.array_equal(viewer.layers[PREVIEW].data, source.data[frame, depth])
    assert np.array_equal(viewer.layers[PREVIEW].scale, (0.5, 0.5))
    assert len(viewer.layers) == 2


def test_a_layer_that_is_turned_and_moved_is_covered_by_its_result(viewer, panel) -> None:
    source = viewer.layers["cells"]
    source.rotate, source.shear, source.translate = 30, [0, 0, 0, 0, 0, 0.2], (0, 0, 3, 4)
    source.affine = np.array([[1.1, 0.1, 5], [0, 0.9, 6], [0, 0, 1]])
    panel.strength.value = 0
    panel.show_preview()
    until_done(panel)
    panel.denoise()
    until_done(panel)
    place = (0.2, 2, 7, 9)
    expected = source.world_to_data(place)
    for name in ("cells denoised", "cells difference"):
        np.testing.assert_allclose(viewer.layers[name].world_to_data(place), expected)
    np.testing.assert_allclose(viewer.layers[PREVIEW].world_to_data(place), expected[-2:])


def test_a_run_can_be_cancelled(viewer, panel) -> None:
    panel.denoise()
    panel.cancel.native.click()
    until_done(panel)
    assert panel.noise.value == "cancelled"
    assert len(viewer.layers) == 1


def test_what_cannot_be_done_is_one_line(viewer, panel) -> None:
    panel.axes.value = "TY"
    panel.denoise()
    until_done(panel)
    assert "each axis needs its own letter" in panel.noise.value
    assert len(viewer.layers) == 1
