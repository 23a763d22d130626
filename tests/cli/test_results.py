"""Results are JSON: numbers that are not finite become null."""

import math

from f2rcli.cli.results import finite


def test_nan_and_infinity_become_null_at_any_depth() -> None:
    values = {"a": [1.5, math.nan, (math.inf, 2)], "b": {"c": -math.inf, "d": "nan"}, "e": None}
    assert finite(values) == {
        "a": [1.5, None, [None, 2]], "b": {"c": None, "d": "nan"}, "e": None,
    }  # fmt: skip
