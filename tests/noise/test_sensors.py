"""Lanes of one sensor share a law; those of different sensors do not."""

import numpy as np
import pytest

from f2rcli.noise.measurement.bound import Bound
from f2rcli.noise.model import KNOTS, NoiseModel
from f2rcli.noise.sensors import LaneLaw, of_one_sensor, sensors_of

ZERO = 98.0


def told(gain: float, light: float, error: float = 0.3, off: float = 0.0) -> LaneLaw:
    """A lane of so many electrons whose gain is read `off` too high."""
    return LaneLaw(100 + gain * light, gain**2 * light + 16, gain + off, error)


def test_lanes_that_agree_share_a_law_that_is_surer_than_each() -> None:
    lanes = [told(8, light, off=off) for light, off in ((5, 0.4), (20, -0.5), (60, 0.3))]
    ((law, members),) = sensors_of(lanes)
    assert members == {0, 1, 2}
    gain, zero = law.line
    assert abs(gain - 8) < min(abs(lane.gain - 8) for lane in lanes)
    assert zero == pytest.approx(ZERO, abs=1)
    alone = np.hypot(0.3, 0.05 * 8)
    assert np.linalg.inv(law.information)[0, 0] ** 0.5 < alone / 3**0.5  # levels tell as well


def test_a_lane_of_even_light_joins_those_that_have_seen_a_line() -> None:
    even = LaneLaw(100 + 8 * 2, 8 * 8 * 2 + 16)
    ((_, members),) = sensors_of([told(8, 20), even, told(8, 50)])
    assert members == {0, 1, 2}
    assert sensors_of([even, even]) == []


def test_other_gains_and_other_variances_are_other_sensors() -> None:
    found = sensors_of([told(gain, light) for gain in (8, 11) for light in (10, 20, 40)])
    assert [members for _, members in found] == [{3, 4, 5}, {0, 1, 2}]  # the surest first
    for (law, _), gain in zip(found, (11, 8), strict=True):
        assert law.line[0] == pytest.approx(gain, rel=0.02)
    noisier = told(8, 20)._replace(level=1.4 * told(8, 20).level)
    assert sensors_of([told(8, 20), noisier]) == []


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ((1.0, 1.0, 0.7, 0.9), (1.0, 1.0, 0.9, 0.9)),  # no less than the next
        ((0.8, 0.8, 0.8, 0.8), (0.8, 0.8, 0.8, 0.8)),
        ((0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0)),
    ],
)
def test_the_colours_of_a_mosaic_have_one_gain(
    given: tuple[float, ...], wanted: tuple[float, ...]
) -> None:
    model = NoiseModel((0.002,), (0.001,), (0.02,))
    bounds = [Bound((0.1, 0.2 + 0.1 * n), (0.02, 0.03), (9, 9)) for n in range(4)]
    rows = [np.full(KNOTS, factor) for factor in given]
    same = of_one_sensor(rows, [model] * 4, bounds)
    np.testing.assert_allclose([row[0] for row in same], wanted)


def test_a_colour_with_more_gain_keeps_its_own_law_as_do_the_others() -> None:
    """Some cameras multiply red and blue before they store them."""
    models = [NoiseModel((gain,), (0.001,), (0.02,)) for gain in (0.004, 0.002, 0.003, 0.002)]
    bounds = [Bound((0.1, 0.3), (0.02, 0.03), (9, 9))] * 4
    for row in of_one_sensor([np.full(KNOTS, 0.9)] * 4, models, bounds):
        np.testing.assert_allclose(row, 0.9)
