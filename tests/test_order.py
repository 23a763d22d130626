"""Sorting whole arrays gives what NumPy's selections give, to the last bit."""

import numpy as np
import pytest

from f2rcli.order import median, quantile


def drawn(count: int, kind: type[np.floating]) -> np.ndarray:
    return np.random.default_rng(count).normal(size=count).astype(kind)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 2, 5, 1000, 4567])
def test_quantiles_and_medians_are_numpys(count: int, kind: type[np.floating]) -> None:
    values = drawn(count, kind)
    for share in (0.0, 0.002, 0.05, 0.5, 0.77, 1.0):
        assert quantile(values, share) == np.quantile(values, share)
    assert median(values) == np.median(values)
    assert median(values).dtype == np.median(values).dtype


@pytest.mark.parametrize("values", [np.empty(0, np.float32), np.float32([1, np.nan])])
def test_of_none_and_of_nan_there_is_no_quantile(values: np.ndarray) -> None:
    assert np.isnan([quantile(values, 0.5), median(values)]).all()
