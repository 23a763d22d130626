"""What points lost, by class: means and spreads as a loop over points finds them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from f2rcli.engine.contract.losses import Losses, losses_of, values_of

Floats = NDArray[np.float64]

MIDDLE = np.array([2.0, 1.0, 0.2])  # heights of the profiles where points are brightest


def drawn(seed: int, count: int, mean: float, spread: float, noise: float) -> tuple[Floats, Floats]:
    """Losses of points as three profiles, of a spread of their own, and the noise in each."""
    rng = np.random.default_rng(seed)
    covariance = noise**2 * (np.eye(3) + 0.3)
    lost = np.array([mean, -0.1, 0.05]) + spread * rng.standard_normal((count, 3))
    lost += rng.multivariate_normal(np.zeros(3), covariance, count)
    return lost, np.broadcast_to(covariance, (count, 3, 3))


def reference(lost: Floats, noise: Floats) -> tuple[Floats, Floats]:
    """The mean, and what losses differ by beyond their noise and what chance adds to that."""
    count = len(lost)
    mean, covariance = lost.mean(0), noise.mean(0)
    spread = sum(np.outer(one - mean, one - mean) for one in lost) / count
    values, vectors = np.linalg.eigh(spread - (1 + (2 / count) ** 0.5) * covariance)
    differ = sum(max(v, 0) * np.outer(e, e) for v, e in zip(values, vectors.T, strict=True))
    error = MIDDLE @ (covariance + differ) @ MIDDLE / count
    sure = mean @ MIDDLE > 2 * error**0.5
    return (mean, differ) if sure else (np.zeros(3), np.zeros((3, 3)))


@pytest.mark.parametrize("count", [2, 7, 40])
def test_each_class_has_the_mean_and_the_spread_of_its_points(count: int) -> None:
    """Taken in mixed, and in two goes."""
    losses = Losses.none(5, 3)
    kinds = [(0.5, 0.2, 0.1), (0.4, 0.0, 0.15), (-0.4, 0.3, 0.1), (0.02, 0.3, 0.2)]
    drawings = [drawn(i, count, *kind) for i, kind in enumerate(kinds)]
    classes = np.repeat(np.arange(4), count)
    order = np.random.default_rng(9).permutation(4 * count)
    lost, noise = (np.concatenate([d[i] for d in drawings]) for i in (0, 1))
    for some in (order[:count], order[count:]):
        losses.add(classes[some], lost[some], noise[some])
    mean, differ = losses.prior(MIDDLE)
    for index, drawing in enumerate(drawings):
        wanted = reference(*drawing)
        np.testing.assert_allclose(mean[index], wanted[0], atol=1e-12)
        np.testing.assert_allclose(differ[index], wanted[1], atol=1e-12)
    assert mean[0].any()  # the first loses, the third wins light, and nobody knows the fifth
    assert not mean[2].any()
    assert not mean[4].any()
    assert not differ[4].any()


@pytest.mark.parametrize(("errors", "believed"), [(1.9, False), (2.1, True)])
def test_a_loss_of_two_standard_errors_is_believed(errors: float, believed: bool) -> None:
    """Of nine points in noise of one, whose mean has an error of a third."""
    losses = Losses.none(1, 1)
    losses.add(np.zeros(9, np.intp), np.full((9, 1), errors / 3), np.ones((9, 1, 1)))
    assert losses.prior(np.ones(1))[0].any() == believed


def test_points_that_lose_nothing_at_all_get_nothing() -> None:
    losses = Losses.none(1, 1)
    losses.add(np.zeros(3, np.intp), np.zeros((3, 1)), np.zeros((3, 1, 1)))
    assert not any(part.any() for part in losses.prior(np.ones(1)))


def test_losses_come_back_from_their_values() -> None:
    losses = Losses.none(2, 3)
    losses.add(np.array([1, 1]), *drawn(0, 2, 0.3, 0.1, 0.1))
    back = losses_of(values_of({4: losses}))
    assert list(back) == [4]
    for name, sums in vars(losses).items():
        np.testing.assert_array_equal(getattr(back[4], name), sums)
