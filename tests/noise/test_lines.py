"""Row noise, bands and column noise are found where they are, and nowhere else."""

import cv2
import numpy as np
import pytest

from f2rcli.noise.measurement.blocks import Picture
from f2rcli.noise.measurement.lines import LineNoise, Lines, find_lines
from tests.noise.line_scenes import (
    COUNT,
    SIZE,
    bands,
    column_offsets,
    row_offsets,
    scene,
    white,
)

JOINED = [True] * (COUNT - 1)


def found(pictures: np.ndarray, joined: list[bool] = JOINED) -> LineNoise | None:
    codes = np.rint(np.clip(pictures, 0, 1) * 255).astype(np.float32) / 255
    lines = find_lines([Picture([one], one) for one in codes], joined, [(0,)])
    return None if lines is None else lines.groups[0]


@pytest.mark.parametrize("sigma8", [1.5, 6.0])
def test_the_offsets_of_rows_are_measured(sigma8: float) -> None:
    one = found(scene() + white(5) + row_offsets(sigma8))
    assert one is not None
    assert 255 * one.rows == pytest.approx(sigma8, rel=0.25)
    assert not one.columns


def test_bands_that_move_are_found() -> None:
    one = found(scene() + white(5) + bands(5))
    assert one is not None
    assert 255 * one.bands == pytest.approx(5, rel=0.4)


def test_columns_that_stay_are_found_where_the_scene_moves() -> None:
    one = found(scene() + white(5) + column_offsets(4))
    assert one is not None
    assert 255 * one.columns == pytest.approx(4, rel=0.3)
    assert not one.rows
    assert not one.bands


def test_columns_that_stay_look_like_a_scene_that_stays() -> None:
    assert found(scene(speed=(0, 0)) + white(5) + column_offsets(4)) is None


def flickering() -> np.ndarray:
    light = np.random.default_rng(4).normal(1, 0.1, (COUNT, 1, 1))
    return scene() * light * np.linspace(0.7, 1, SIZE[0])[:, None]


def letterboxed() -> np.ndarray:
    picture = scene() + white(8)
    picture[:, :16], picture[:, -16:] = 0, 0
    return picture


def woven() -> np.ndarray:
    """Two moments in every frame."""
    picture = scene(2 * COUNT)
    return np.where(np.arange(SIZE[0])[:, None] % 2, picture[1::2], picture[::2]) + white(3)


def blinds() -> np.ndarray:
    """Stripes across the whole width that shake."""
    shake = np.random.default_rng(5).normal(0, 0.7, (COUNT, 1, 1))
    return 0.5 + 0.3 * np.sin(2 * np.pi * (np.arange(SIZE[0])[:, None] + shake) / 7) + white(4)


def streaks() -> np.ndarray:
    """Noise that neighbours in a row share."""
    noise = [cv2.GaussianBlur(one, (0, 0), sigmaX=5, sigmaY=0.01) for one in white(40)]
    return scene() + np.stack(noise)


CLEAN = {
    "clean": scene,
    "still": lambda: scene(speed=(0, 0)),
    "white noise": lambda: scene() + white(20),
    "flat": lambda: 0.5 + white(5),
    "flicker": lambda: flickering() + white(4),
    "fade": lambda: scene() * np.linspace(1, 0.3, COUNT)[:, None, None] + white(4),
    "letterbox": letterboxed,
    "interlaced": woven,
    "blinds": blinds,
    "streaks": streaks,
    "rows that stay": lambda: scene(speed=(0, 0)) + row_offsets(6, 1) + white(4),
    "dark": lambda: 0.01 * scene() + white(4),
}


@pytest.mark.parametrize("name", CLEAN)
def test_nothing_else_is_taken_for_lines(name: str) -> None:
    assert found(CLEAN[name]()) is None


def test_frames_are_not_compared_across_a_cut() -> None:
    other = np.concatenate([scene(3), scene(3, seed=9)])
    assert found(other + row_offsets(6), [True, True, False, True, True]) is not None
    assert found(other + row_offsets(6), [True, False, True, False, True]) is None


def test_few_frames_and_small_ones_say_nothing() -> None:
    striped = scene() + row_offsets(6)
    assert found(striped[:3], JOINED[:2]) is None
    assert found(striped[:, :32], JOINED) is None


def test_colours_share_their_offsets_or_have_their_own() -> None:
    clean = scene()[:, None] + np.stack([white(4, seed=s) for s in (11, 12, 13)], 1)
    own = np.stack([row_offsets(5, seed=s) for s in (21, 22, 23)], 1)
    for offsets, expected in ((own[:, :1], [(0, 1, 2)]), (own, [(0,), (1,), (2,)])):
        pictures = (clean + offsets).astype(np.float32)
        seen = [Picture(list(one), one.mean(0)) for one in pictures]
        lines = find_lines(seen, JOINED, [(0, 1, 2)])
        assert lines is not None
        assert [one.planes for one in lines.groups] == expected


def test_what_was_found_is_named() -> None:
    rows, columns = (LineNoise((0,), *of) for of in ((6 / 255, 1 / 255, 0.0), (0.0, 0.0, 3 / 255)))
    assert Lines((rows,)).words() == "row noise 6.0 of 255 (standard deviations)"
    both = Lines((rows, columns))
    assert both.words() == "row noise 6.0, column noise 3.0 of 255 (standard deviations)"
    assert both.values()[0]["rows8"] == pytest.approx(6)
