"""The shipped weights are read once."""

import pytest


@pytest.fixture(autouse=True)
def _read_once(weights_read_once: None) -> None:
    pass
