"""Defects that a review found, each mended: those whose tests have no better place."""

import resource
from pathlib import Path

import numpy as np
import pytest
import tifffile

from f2rcli import weights
from f2rcli.cli.app import run
from f2rcli.errors import EXIT_FAILURE, EXIT_OK
from f2rcli.io.tifffiles import unreadable

needs_weights = pytest.mark.skipif(not weights.available(), reason="no weights are bundled")


@needs_weights
@pytest.mark.parametrize("value", [777, 65535])
def test_a_constant_picture_stays_what_it_is(tmp_path: Path, value: int) -> None:
    pages = np.full((3, 40, 48), value, np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="minisblack")
    words = ["denoise", tmp_path / "a.tif", "-o", tmp_path / "b.tif", "-q"]
    assert run([str(word) for word in words]) == EXIT_OK
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), pages)


def test_a_full_disk_ends_an_ome_tiff_in_one_line_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w", zarr_format=2)
    group.create_array("0", data=np.arange(6 * 40 * 48, dtype=np.uint16).reshape(6, 40, 48))
    axes = [{"name": "t", "type": "time"}, *({"name": n, "type": "space"} for n in "yx")]
    scale = [{"type": "scale", "scale": [1, 1, 1]}]
    data = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs.update({"multiscales": [{"version": "0.4", "axes": axes, "datasets": data}]})
    words = ["denoise", tmp_path / "a.zarr", "-o", tmp_path / "o.ome.tif", "--strength", "0"]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
    try:
        code = run([str(word) for word in words])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == EXIT_FAILURE
    (line,) = [one for one in capsys.readouterr().err.splitlines() if one.startswith("error: ")]
    assert "o.ome.tif: cannot be written" in line
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]


def test_too_little_memory_is_not_called_damage() -> None:
    error = unreadable("a.tif", MemoryError())
    assert str(error) == "a.tif: does not fit into memory."
    assert error.hint is not None
    assert "damaged" not in error.hint
