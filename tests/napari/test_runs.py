"""The plug-in without napari: axes, previews, runs and the manifest."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from threading import Event

import numpy as np
import pytest

import f2rcli
from f2rcli.errors import CancelledError
from f2rcli.napari.runs import axes_of, difference, levels_of, preview, restored

MANIFEST = Path(f2rcli.__file__).parent / "napari" / "napari.yaml"


def counts(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).poisson(20, shape).astype(np.uint16)


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
    assert axes_of((9, 2, 5, 6), ("t", "z", "y", "x"), colour=False) == "TZYX"
    assert axes_of((9, 5, 6), ("axis 0", "axis 1", "axis 2"), colour=False) == "TYX"
    assert axes_of((9, 5, 6, 3), ("-3", "-2", "-1"), colour=True) == "TYXS"
    assert axes_of((2,) * 6, ("",) * 6, colour=False) == ""


@pytest.mark.parametrize("axes", ["TZYX", "ZTYX", "CZYX", "CPYX"])
def test_a_preview_is_the_frame_on_screen(axes: str) -> None:
    values = counts(9, 2, 8, 8) if axes[0] == "T" else counts(2, 9, 8, 8)
    at = (8, 1, 3, 3) if axes[0] == "T" else (1, 8, 3, 3)
    picture, report = preview(values, axes, at, strength=0)
    assert np.array_equal(picture, values[at[:2]])
    assert report.frames == (1 if "P" in axes else 7)


def test_a_run_tells_how_far_it_is_and_can_be_cancelled() -> None:
    values, told, stop = counts(6, 2, 8, 8), list[tuple[int, int]](), Event()
    how = {"strength": 0, "progress": lambda *far: told.append(far), "cancel": stop.is_set}
    clean, report = restored(values, "TZYX", **how)
    assert np.array_equal(clean, values)
    assert (told[-1], report.frames) == ((12, 12), 12)
    stop.set()
    with pytest.raises(CancelledError):
        restored(values, "TZYX", **how)


def test_the_manifest_is_found_and_names_the_widget() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["napari.manifest"] == {"f2rcli": "f2rcli.napari:napari.yaml"}
    text = MANIFEST.read_text(encoding="utf-8")
    names = [line.split(": ")[1] for line in text.splitlines() if "python_name" in line]
    assert names == ["f2rcli.napari.widget:DenoisePanel"]  # which needs Qt: see test_widget.py


def test_loading_needs_neither_torch_nor_qt() -> None:
    script = (
        "import sys, f2rcli.napari.runs\n"
        "print([n for n in ('torch', 'napari', 'qtpy') if n in sys.modules])\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment
    )
    assert done.stdout.strip() == "[]", done.stderr
