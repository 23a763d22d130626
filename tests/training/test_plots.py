"""The curve and the crops: readable files, and places that show what changed."""

import base64
import math
from itertools import islice
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from f2rcli.errors import OutputError
from f2rcli.evaluation.visuals.crops import highest
from f2rcli.training.run.plots import plot_curve, write_crops

SVG = "{http://www.w3.org/2000/svg}"


def embedded(path: Path) -> list[np.ndarray]:
    """The pictures in an SVG file."""
    links = [image.get("href", "") for image in ElementTree.parse(path).iter(SVG + "image")]
    files = [np.frombuffer(base64.b64decode(link.partition(",")[2]), np.uint8) for link in links]
    return [cv2.imdecode(file, cv2.IMREAD_UNCHANGED) for file in files]


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
    path = plot_curve(curve, tmp_path / "curve.svg", start=start, title="PSNR <dB>")
    words = [text.text for text in ElementTree.parse(path).iter(SVG + "text")]
    assert words[0] == "PSNR <dB>"
    assert "step" in words
    assert ("start" in words) == (start is not None)
    best = max((level for _, level in curve if math.isfinite(level)), default=None)
    assert any(f"best: {best or 0:.5g} at" in str(word) for word in words) == (best is not None)


def test_crops_show_where_before_and_after_differ_most() -> None:
    apart = np.zeros((200, 300), np.float32)
    apart[20:60, 200:240] = 0.3
    apart[120:160, 30:70] = 0.2
    assert [place for _, *place in islice(highest(apart, 40, 40), 2)] == [[20, 200], [120, 30]]


def test_crops_do_not_overlap() -> None:
    rng = np.random.default_rng(0)
    apart_by_chance = rng.random((150, 150), dtype=np.float32)
    places = [(top, left) for _, top, left in islice(highest(apart_by_chance, 40, 40), 3)]
    apart = [max(abs(a - c), abs(b - d)) for a, b in places for c, d in places if (a, b) != (c, d)]
    assert len(places) == 3
    assert min(apart) >= 40


@pytest.mark.parametrize(("channels", "size"), [(1, (60, 70)), (3, (300, 200))])
def test_crops_are_pictures_side_by_side(channels: int, size, tmp_path: Path) -> None:
    noisy, before, after = np.random.default_rng(0).random((3, *size, channels), dtype=np.float32)
    side = min(128, *size)
    for start, names in ((before, ["noisy", "before", "after"]), (None, ["noisy", "after"])):
        path = write_crops(noisy, start, after, tmp_path)[0]
        root = ElementTree.parse(path).getroot()
        assert [group.findtext("{*}text") for group in root.findall("{*}g")] == names
        assert {picture.get("width") for picture in root.iter(SVG + "image")} == {f"{2 * side}"}
        assert [p.shape[:2] for p in embedded(path)] == [(side, side)] * len(names)


def test_a_folder_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"curve\.svg: cannot be written"):
        plot_curve([], tmp_path / "none" / "curve.svg", start=1.0, title="")
