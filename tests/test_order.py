"""Sorting whole arrays gives what NumPy's selections give, to the last bit."""

import numpy as np
import pytest

from f2rcli.order import median, places, quantile, quantiles, rising


def drawn(count: int, kind: type[np.floating] = np.float32, *, ties: bool = False) -> np.ndarray:
    values = np.random.default_rng(count).normal(size=count)
    return np.round(values, int(not ties) * 9 + 1).astype(kind)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 2, 5, 1000, 4567])
def test_quantiles_and_medians_are_numpys(count: int, kind: type[np.floating]) -> None:
    values = drawn(count, kind)
    for share in (0.0, 0.002, 0.05, 0.5, 0.77, 1.0):
        assert quantile(values, share) == np.quantile(values, share)
    assert quantiles(values, (0.002, 0.998)) == list(np.quantile(values, [0.002, 0.998]))
    assert median(values) == np.median(values)
    assert median(values).dtype == np.median(values).dtype


@pytest.mark.parametrize("values", [np.empty(0, np.float32), np.float32([1, np.nan])])
def test_of_none_and_of_nan_there_is_no_quantile(values: np.ndarray) -> None:
    assert np.isnan([quantile(values, 0.5), *quantiles(values, (0.1,)), median(values)]).all()


@pytest.mark.parametrize("ties", [False, True])
def test_equal_values_keep_their_order(ties: bool) -> None:
    values = np.append(drawn(3000, ties=ties), np.float32([0.0, -0.0, 0.0]))
    np.testing.assert_array_equal(rising(values), np.argsort(values, kind="stable"))


@pytest.mark.parametrize("power", [0, 1, 8])
def test_places_in_a_table_are_numpys(power: int) -> None:
    values = np.abs(drawn(5000)) ** power
    values[:7] = 0, 1e-30, 1e30, values[9], values[9], values[20], values[30]
    table = np.quantile(values, np.linspace(0, 1, 257)).astype(np.float32)
    np.testing.assert_array_equal(places(table, values), np.searchsorted(table, values))
