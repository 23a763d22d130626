"""The benchmark of measured quantities measures what it says."""

import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
if not BENCHMARKS.is_dir():
    pytest.skip("the benchmarks are not part of this copy", allow_module_level=True)
sys.path.insert(0, str(BENCHMARKS))

import quantities  # noqa: E402  # found by the path above

PLACE = np.array([20.3, 18.7])


def test_light_and_width_of_a_point_are_found() -> None:
    picture = 500 * quantities.spot(40, *PLACE, 1.3)
    light, width = quantities.light_and_width(picture, PLACE)
    assert light == pytest.approx(500, rel=0.01)
    assert width == pytest.approx(np.hypot(1.3, 1 / np.sqrt(12)), rel=0.03)


def test_only_points_away_from_the_true_ones_are_false() -> None:
    picture = 500 * (quantities.spot(40, *PLACE, 1.3) + quantities.spot(40, 8, 30, 1.3))
    assert quantities.false_positives(picture, PLACE[None], 100) == 1
    assert quantities.false_positives(picture, np.array([PLACE, (8, 30)]), 100) == 0


def test_the_camera_stores_what_was_counted() -> None:
    light = np.full((4, 64, 64), 10.0)
    codes = quantities.recorded(light, np.random.default_rng(0))
    assert quantities.electrons(codes).mean() == pytest.approx(10, rel=0.02)
    variance = codes.astype(float).var()
    assert variance == pytest.approx(64 * 10 + 16, rel=0.05)
