"""Colour noise that was left is smoothed away, edges of colour and of luma stay."""

import numpy as np
from numpy.typing import NDArray

from f2rcli.engine.contract.chroma import smoothed

LEFT = 0.01  # standard deviation of what a method left, of noise of 0.04


def planes(seed: int) -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    chroma = np.zeros((2, 64, 96), np.float32)
    chroma[:, :, 48:] = 0.2
    chroma += LEFT * rng.standard_normal(chroma.shape).astype(np.float32)
    return [np.full((128, 192), 0.5, np.float32), *chroma]


def test_flat_colour_becomes_even_and_edges_stay_where_they_are() -> None:
    luma, *chroma = smoothed(planes(0), [0.04] * 3)
    assert (luma == 0.5).all()
    for plane in chroma:
        assert float(plane[:, 8:40].std()) < LEFT / 4
        assert abs(float(plane[:, 47].mean())) < 0.02
        assert abs(float(plane[:, 48].mean()) - 0.2) < 0.02


def test_colour_is_not_mixed_across_an_edge_of_luma() -> None:
    luma, first, second = planes(1)
    luma[:, :96] = 0.1
    first[:, 48:] -= np.float32(0.17)  # an edge of colour too faint to be seen by itself
    _, calm, _ = smoothed([luma, first, second], [0.04] * 3)
    step = float(calm[:, 48:52].mean() - calm[:, 44:48].mean())
    assert abs(step - 0.03) < 0.008


def test_without_noise_nothing_changes() -> None:
    before = planes(2)
    assert all((a == b).all() for a, b in zip(before, smoothed(before, [0.0] * 3), strict=True))
