"""The law of synthetic noise."""

import numpy as np
import pytest

from f2rcli.noise.synthesis.law import Law


@pytest.mark.parametrize("blur", [0.0, 0.8])
def test_noise_of_a_gray_picture_has_its_shape(blur: float) -> None:
    clean = np.full((24, 32, 1), 0.5, np.float32)
    noisy = Law(0.0, 0.1, blur).add(clean, np.random.default_rng(0))
    assert noisy.shape == clean.shape
    assert 0.07 < (noisy - clean).std() < 0.13


@pytest.mark.parametrize("law", [Law(0, 0.1, 0), Law(0.02, 0.03, 0), Law(0, 0.1, 0.9)])
def test_noise_has_the_level_its_law_states(law: Law) -> None:
    clean = np.full((400, 400, 3), 0.4, np.float32)
    error = law.add(clean, np.random.default_rng(0)) - clean
    assert error.std() == pytest.approx(law.level(clean).mean(), rel=0.02)


def test_blurred_noise_is_correlated() -> None:
    rng = np.random.default_rng(0)
    blurred = Law(0, 1, 0.8).sample((300, 300, 3), rng)
    assert np.corrcoef(blurred[:, 1:].ravel(), blurred[:, :-1].ravel())[0, 1] == pytest.approx(
        0.68, abs=0.03
    )
