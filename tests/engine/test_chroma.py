"""Colour noise that was left is smoothed away, edges of colour and of luma stay."""

from itertools import product

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from f2rcli.engine.contract.chroma import smoothed

LEFT = 0.01  # standard deviation of what a method left, of noise of 0.04


Real = NDArray[np.float32]


def reference(planes: list[Real], level: float) -> NDArray[np.float64]:
    """The mean of chroma over discs of 11 samples, each weighed by its distance (Gaussian of 11/3)
    and by how far it differs in either chroma, or by twice as much in luma."""
    luma, *chroma = planes
    rows, columns = chroma[0].shape
    guide = luma.reshape(rows, 2, columns, 2).mean((1, 3)) / 2
    joint = np.stack([guide, *chroma]).astype(np.float64)
    around = np.pad(joint, ((0, 0), (5, 5), (5, 5)), mode="symmetric")
    total, weights = np.zeros_like(joint), np.zeros((rows, columns))
    for y, x in product(range(11), repeat=2):
        far = (y - 5) ** 2 + (x - 5) ** 2
        if far <= 25:
            near = around[:, y : y + rows, x : x + columns]
            apart = np.abs(near - joint).sum(0)
            weight = np.exp(-far / (2 * (11 / 3) ** 2) - apart**2 / (2 * level**2))
            total, weights = total + weight * near, weights + weight
    return (total / weights)[1:]


def test_the_filter_is_the_bilateral_one_joint_with_luma() -> None:
    rng = np.random.default_rng(3)
    luma = (0.5 + 0.05 * rng.standard_normal((40, 60))).astype(np.float32)
    first, second = (0.02 * rng.standard_normal((2, 20, 30))).astype(np.float32)
    same, *found = smoothed([luma, first, second], [0.9, 0.03, 0.05])
    np.testing.assert_array_equal(same, luma)
    np.testing.assert_allclose(found, reference([luma, first, second], 0.04), atol=2e-5)


def planes(seed: int) -> list[Real]:
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


@pytest.mark.parametrize("before", [False, True])
def test_weights_below_the_range_of_normal_numbers_cost_no_time(
    before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bilateral filter beside faint noise took eight times as long for them."""
    real, seen = cv2.bilateralFilter, []

    def flushing() -> bool:
        return not bool(torch.tensor(2.0**-126).mul(0.5))

    def filtered(*given: object, **named: object) -> object:
        seen.append(flushing())
        return real(*given, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(cv2, "bilateralFilter", filtered)
    torch.set_flush_denormal(before)
    try:
        smoothed(planes(2), [0.04] * 3)
        assert flushing() is before
    finally:
        torch.set_flush_denormal(False)
    assert seen == [True]
