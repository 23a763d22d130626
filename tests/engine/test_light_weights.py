"""Light noise and unclipped noise go through weights of their own, heavy clipped noise does not."""

import pytest

from f2rcli import weights
from f2rcli.engine.stream import denoise_stream
from tests.engine.conftest import engine_for, info_of, noisy_clip

pytestmark = pytest.mark.skipif(not weights.available(), reason="no weights are bundled")


def used(sigma: float, **settings: object) -> str:
    """The weights that a clip with noise of `sigma`, clipped to RGB codes, went through."""
    frames = noisy_clip(6, sigma=sigma)
    engine = engine_for(frames, **settings)
    list(denoise_stream(frames, info_of(frames), engine))
    assert engine.weights_sha256 == weights.manifest()[engine.weights_name]["sha256"]
    return engine.weights_name


def test_the_measured_noise_chooses_the_weights() -> None:
    assert used(3) == "f2r-rgb-light"
    assert used(30) == "f2r-rgb-small"


def test_weights_that_are_named_are_used_whatever_the_noise() -> None:
    assert used(3, weights="f2r-rgb-small") == "f2r-rgb-small"
    assert used(30, weights="f2r-rgb-light") == "f2r-rgb-light"
