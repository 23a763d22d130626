"""Counts of single events lie on few values that are far apart."""

import numpy as np
import pytest

from f2rcli.noise.photons.counting import APART, FEW, LOOKED_AT, counts_events


def on(*codes: float, each: int = 100) -> np.ndarray:
    """So many samples on each of these codes, of 255."""
    return np.repeat(np.array(codes, float) / 255, each)


def test_sixteen_values_are_few() -> None:
    assert FEW == 16
    assert counts_events(on(*range(0, 240, 15)))
    assert not counts_events(on(*range(0, 255, 15)))


@pytest.mark.parametrize(
    ("codes", "are"),
    [((0, 12), True), ((0, 11), False), ((122, 133), False), ((0, 12, 40), True),
     ((40, 0, 29), False), ((7,), False), ((0, 0.4), False), ((), False)],
)  # fmt: skip
def test_the_nearest_two_of_several_are_twelve_apart(codes: tuple[float, ...], are: bool) -> None:
    assert APART == 12
    assert counts_events(on(*codes)) == are


def test_beyond_black_and_white_all_is_black_and_white() -> None:
    assert counts_events(on(-90, 60))
    assert not counts_events(on(-90, -20, 0))
    assert counts_events(on(200, 300))
    assert not counts_events(on(255, 300, 500))


@pytest.mark.parametrize(("strays", "are"), [(10, True), (11, False)])
def test_one_sample_in_a_hundred_may_lie_elsewhere(strays: int, are: bool) -> None:
    samples = on(20, 60, 100, 140, each=250)
    samples[:strays] = 21 / 255
    assert counts_events(samples.reshape(20, 50)) == are


def test_of_many_samples_some_are_looked_at() -> None:
    samples = np.random.default_rng(0).random(2 * LOOKED_AT).astype(np.float32)
    samples[::2] = np.resize(np.float32([0.2, 0.6]), LOOKED_AT)
    assert counts_events(samples)
    assert not counts_events(samples[1:])
