"""The pictures of a run's page: a curve of any shape, and crops where it changed most."""

import math
from itertools import islice
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from f2rcli.errors import OutputError
from f2rcli.evaluation.pictures import highest
from f2rcli.training.run.plots import plot_curve, write_crops

SVG = "{http://www.w3.org/2000/svg}"


def words(path: Path) -> set[str]:
    """The texts of an SVG file."""
    return {"".join(text.itertext()) for text in ElementTree.parse(path).iter(SVG + "text")}


@pytest.mark.parametrize(
    ("curve", "start"),
    [
        ([(0, 18.41), (100, 18.52), (200, 18.5)], 18.41),
        ([], 18.41),
        ([(5, -2.5)], None),
        ([(0, 1.0), (1, math.inf)], 1.0),
        ([], None),
    ],
)
def test_any_curve_can_be_drawn(curve, start, tmp_path: Path) -> None:
    path = plot_curve(curve, tmp_path / "curve.svg", start=start, title="PSNR <dB> $5")
    said = words(path)
    assert {"PSNR <dB> $5", "step"} <= said
    assert ("start" in said) == (start is not None)
    best = max((level for _, level in curve if math.isfinite(level)), default=None)
    assert any(f"best: {best or 0:.5g} at" in word for word in said) == (best is not None)


def test_crops_show_where_before_and_after_differ_most() -> None:
    apart = np.zeros((200, 300), np.float32)
    apart[20:60, 200:240] = 0.3
    apart[120:160, 30:70] = 0.2
    assert [place for _, *place in islice(highest(apart, 40, 40), 2)] == [[20, 200], [120, 30]]


@pytest.mark.parametrize(("channels", "size"), [(1, (60, 70)), (3, (300, 200))])
def test_crops_are_pictures_side_by_side(channels: int, size, tmp_path: Path) -> None:
    noisy, before, after = np.random.default_rng(0).random((3, *size, channels), dtype=np.float32)
    for start, names in ((before, {"noisy", "before", "after"}), (None, {"noisy", "after"})):
        path = write_crops(noisy, start, after, tmp_path)[0]
        assert words(path) == names
        assert len(list(ElementTree.parse(path).iter(SVG + "image"))) == len(names)


def test_a_folder_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"curve\.svg: cannot be written"):
        plot_curve([], tmp_path / "none" / "curve.svg", start=1.0, title="")
