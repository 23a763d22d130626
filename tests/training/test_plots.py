"""The curve and the crops: readable files, and places that show what changed."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from f2rcli.errors import OutputError
from f2rcli.training.run.plots import draw_curve, find_places, write_crops


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
def test_any_curve_can_be_drawn_on_light_ground(curve, start, tmp_path: Path) -> None:
    path = draw_curve(curve, tmp_path / "curve.png", start=start, title="PSNR, dB")
    picture = cv2.imread(str(path))
    assert picture.shape == (440, 880, 3)
    assert np.median(picture) == 255
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 2


def test_crops_show_where_before_and_after_differ_most() -> None:
    before = np.full((200, 300, 3), 0.5, np.float32)
    after = before.copy()
    after[20:60, 200:240] += 0.3
    after[120:160, 30:70] += 0.2
    places = find_places(before, after, 40, 2)
    assert places == [(20, 200), (120, 30)]


def test_crops_do_not_overlap() -> None:
    rng = np.random.default_rng(0)
    before, after = rng.random((2, 150, 150, 1), dtype=np.float32)
    places = find_places(before, after, 40, 3)
    apart = [max(abs(a - c), abs(b - d)) for a, b in places for c, d in places if (a, b) != (c, d)]
    assert len(places) == 3
    assert min(apart) >= 40


@pytest.mark.parametrize(("channels", "size"), [(1, (60, 70)), (3, (300, 200))])
def test_crops_are_pictures_side_by_side(channels: int, size, tmp_path: Path) -> None:
    noisy, before, after = np.random.default_rng(0).random((3, *size, channels), dtype=np.float32)
    three = cv2.imread(str(write_crops(noisy, before, after, tmp_path)[0]))
    two = cv2.imread(str(write_crops(noisy, None, after, tmp_path)[0]))
    side = min(128, *size)
    assert three.shape[1] == 3 * 2 * side + 12
    assert two.shape[1] == 2 * 2 * side + 6


def test_a_folder_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"curve\.png: cannot be written"):
        draw_curve([], tmp_path / "none" / "curve.png", start=1.0, title="")
