"""Motion fields: a network whose filters are known, over several crops; and where nothing is."""

from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from f2rcli.evaluation import explain
from f2rcli.evaluation.motion_field import INNER, MotionField, motion_field
from f2rcli.evaluation.visuals.explain_plot import plot_field
from f2rcli.window import Window

SHARES = (0.2, 0.5, 0.25, 0.005, 0.0)  # of five frames
SPEED = (2, -1)  # x, y in pixels a frame


def blurred(picture: Tensor) -> Tensor:
    """Means over 5x5 pixels; zeros beyond the border."""
    return functional.avg_pool2d(picture, 5, 1, 2)


def shifted_means(engine, window, noise) -> Tensor:
    """Blurred frames, each as far to the side as the scene has moved, weighed by SHARES."""
    items = (*window.before, window.centre, *window.after)
    apart = [(i - window.centre[0]) for i, _ in items]
    moved = [
        torch.roll(blurred(p), (-d * SPEED[1], -d * SPEED[0]), (2, 3))
        for d, (_, p) in zip(apart, items, strict=True)
    ]
    return sum(w * picture for w, picture in zip(SHARES, moved, strict=True))


@pytest.fixture
def known(monkeypatch) -> MotionField:
    monkeypatch.setattr(explain, "traceable", shifted_means)
    items = [(7 + i, torch.rand(1, 3, 72, INNER + 60)) for i in range(5)]
    return motion_field(None, Window.of(items, 2), 20, None)


def test_a_grid_covers_the_frame_in_rows(known: MotionField) -> None:
    width = len(range(10, INNER + 60, 20))
    assert len(known.pixels) == width * 4
    assert known.pixels[0].tolist() == [10, 10]
    assert known.pixels[1].tolist() == [30, 10]
    assert known.pixels[width].tolist() == [10, 30]
    assert known.frame == 9
    assert known.frames == (7, 8, 9, 10, 11)
    assert known.picture.shape == (72, INNER + 60, 3)


def test_filters_give_their_share_and_move_with_the_scene(known: MotionField) -> None:
    inside = (np.abs(known.pixels - [INNER / 2 + 30, 36]) < [INNER / 2 + 20, 26]).all(1)
    assert inside.sum() == 18
    shares, motion = known.shares[inside], known.motion[inside]
    np.testing.assert_allclose(shares, np.broadcast_to(SHARES, shares.shape), atol=1e-5)
    np.testing.assert_allclose(
        motion[:, :2], np.broadcast_to(SPEED, motion[:, :2].shape), atol=1e-4
    )
    np.testing.assert_allclose(known.medians[:2], [SPEED, SPEED], atol=1e-4)


def test_a_frame_that_gives_next_to_nothing_shows_no_motion(known: MotionField) -> None:
    assert np.isnan(known.motion[:, 2:]).all()
    assert np.isnan(known.medians[2:]).all()


def test_a_crop_s_border_is_seen_by_no_pixel(known: MotionField) -> None:
    """Pixels on either side of where two crops meet have the same filters."""
    row = known.pixels[:, 1] == 30
    np.testing.assert_allclose(known.shares[row][3:-3].std(0), 0, atol=1e-6)


def test_arrows_are_drawn_where_motion_is_known(known: MotionField) -> None:
    drawn = ElementTree.fromstring(plot_field(known, "pan <1>.mkv"))
    assert len(drawn.findall(".//{*}image")) == 4
    finite = np.isfinite(known.motion).all(-1).sum()
    lines = drawn.findall(".//{*}line")
    assert len(lines) == finite > 0
    first = {name: float(lines[0].get(name)) for name in ("x1", "x2", "y1", "y2")}
    assert first["x2"] > first["x1"]
    assert first["y2"] < first["y1"]
    assert first["x2"] - first["x1"] == pytest.approx(-2 * (first["y2"] - first["y1"]), rel=1e-3)
    assert len(drawn.findall(".//{*}svg//{*}line")) == finite  # which cuts them off at the edge
    words = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert words[0] == "pan <1>.mkv: motion around frame 9"
