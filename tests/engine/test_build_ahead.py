"""Networks that are ready before a clip is known, for processes that are forked."""

import pytest
import torch

from f2rcli import weights
from f2rcli.engine import loading
from f2rcli.errors import WeightsError
from f2rcli.weights import Weights
from tests.engine.conftest import engine_for, noisy_clip


@pytest.fixture(autouse=True)
def read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here they are read by what is tested."""
    monkeypatch.setattr(weights, "_kept", {})
    loading.build_ahead()
    torch.set_num_threads(2)


def test_an_engine_finds_its_networks_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Weights, "_filled")
    engine = engine_for(noisy_clip(1), device="cpu")
    for kind in weights.KINDS:
        engine.new_method(kinds=[kind])
    engine.new_method()


def test_a_file_that_was_damaged_since_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "file_digest", lambda path: "another")
    with pytest.raises(WeightsError, match="damaged"):
        weights.load("f2r-rgb-small")
