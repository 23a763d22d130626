"""A file tells how it was made, and a run can be made like it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from f2rcli import __version__
from f2rcli.errors import EXIT_OK


def told(f2r: Callable[..., Any], path: Path) -> Any:
    done = f2r("info", path, "--json")
    assert done.code == EXIT_OK, done.err
    return json.loads(done.out.splitlines()[-1])["provenance"]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".nut", ".avi", ".apng"])
def test_a_video_tells_how_it_was_made(f2r: Callable[..., Any], clip: Path, suffix: str) -> None:
    out = clip.with_name(f"out{suffix}")
    assert f2r("denoise", clip, "-o", out, "--strength", "0.8", "--frames", 3).code == EXIT_OK
    facts = told(f2r, out)
    assert facts["f2r"] == __version__
    assert facts["settings"] == {"strength": 0.8}
    assert facts["noise"] == {"sigma8": [10, 12, 14]}  # the fake engine's
    assert (facts["weights"], facts["contract"]) == ("fake", True)
    made = next(line for line in f2r("info", out).out.splitlines() if line.startswith("made by"))
    assert made.startswith("made by   f2r")
    assert "sigma 10.0/12.0/14.0 of 255" in made
    assert str(clip.parent) not in json.dumps(facts)


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """A movie of two channels, as an array of HDF5."""
    h5py = pytest.importorskip("h5py")
    pytest.importorskip("zarr")
    path = tmp_path / "cells.h5"
    with h5py.File(path, "w") as file:
        movie = np.random.default_rng(0).integers(50, 200, (4, 2, 40, 48), dtype=np.uint16)
        file.create_dataset("movie", data=movie)
    return path


def read(path: Path) -> Any:
    zarr = pytest.importorskip("zarr")
    return tifffile.imread(path) if path.is_file() else zarr.open_group(path, mode="r")["0"][...]


def files(path: Path) -> dict[str, bytes]:
    """The bytes of a file, or of every file in a folder."""
    if path.is_file():
        return {"": path.read_bytes()}
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def test_other_readers_take_the_note_of_an_ome_tiff(f2r: Callable[..., Any], cells: Path) -> None:
    ome_types = pytest.importorskip("ome_types")
    out = cells.with_name("out.ome.tif")
    f2r("denoise", cells, "-o", out, "--axes", "TCYX")
    with tifffile.TiffFile(out) as file:
        assert file.series[0].axes == "TCYX"
        ome = ome_types.from_xml(file.ome_metadata or "")
    notes = ome.structured_annotations.comment_annotations
    (note,) = (one for one in notes if one.namespace == "f2r")
    assert json.loads(note.value) == told(f2r, out)
