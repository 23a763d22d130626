"""Noise of gray pictures keeps their single channel."""

import numpy as np
import pytest

from f2rcli.noise.synthesis.corruption import Law, luma


@pytest.mark.parametrize("blur", [0.0, 0.8])
def test_noise_of_a_gray_picture_has_its_shape(blur: float) -> None:
    clean = np.full((24, 32, 1), 0.5, np.float32)
    noisy = Law(0.0, 0.1, blur).add(clean, np.random.default_rng(0))
    assert noisy.shape == clean.shape
    assert 0.07 < (noisy - clean).std() < 0.13


def test_luma_of_gray_is_gray_and_of_white_is_white() -> None:
    assert luma(np.full((4, 4, 1), 0.3, np.float32)).max() == np.float32(0.3)
    assert luma(np.ones((4, 4, 3), np.float32)).shape == (4, 4, 1)
    assert luma(np.ones((4, 4, 3), np.float32)) == pytest.approx(1.0)
