"""Results are JSON: numbers that are not finite become null."""

import errno
import math
from pathlib import Path

import pytest

from f2rcli.cli.results import about_result, finite
from f2rcli.errors import OutputError
from f2rcli.io.disk_errors import disk_error


def test_nan_and_infinity_become_null_at_any_depth() -> None:
    values = {"a": [1.5, math.nan, (math.inf, 2)], "b": {"c": -math.inf, "d": "nan"}, "e": None}
    assert finite(values) == {
        "a": [1.5, None, [None, 2]], "b": {"c": None, "d": "nan"}, "e": None,
    }  # fmt: skip


def test_a_full_disk_names_the_option_of_the_file_that_did_not_fit() -> None:
    full = disk_error(Path("n.json"), OSError(errno.ENOSPC, "No space left on device"))
    refused = pytest.raises(OutputError, match=r"--json-file: n\.json: cannot be")
    with refused as caught, about_result("json_file"):
        raise full
    assert str(caught.value.hint).endswith("choose another folder with json_file=.")
