"""What the noise of adjacent frames has in common: edges and little evidence."""

import numpy as np
import pytest
import torch

from f2rcli.noise.measurement.independence import (
    Residuals,
    Temporal,
    _correlation,
    _fetched,
    _mean,
    temporal_correlation,
)


def normal(count: int, *shape: int, seed: int = 0) -> list[torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return [torch.randn(*shape, generator=rng) for _ in range(count)]


@pytest.mark.parametrize(
    ("one", "other", "independent"),
    [(None, None, None), (0.09, None, True), (None, -0.11, False), (0.05, -0.09, True),
     (-0.11, 0.0, False)],
)  # fmt: skip
def test_noise_is_independent_of_which_a_tenth_is_shared_at_most(
    one: float | None, other: float | None, independent: bool | None
) -> None:
    assert Temporal(one, other).independent is independent


def test_covariance_is_over_the_variance_that_frames_have_of_their_own() -> None:
    """That of two estimates of each, whose errors are not in it."""
    own, shared = normal(2, 1, 2, 90, 90), normal(1, 1, 2, 90, 90, seed=1)[0]
    errors = normal(4, 1, 2, 90, 90, seed=2)
    one, other = (Residuals(n + shared + e, n + shared + f)
                  for n, e, f in zip(own, errors[:2], errors[2:], strict=True))  # fmt: skip
    everywhere = torch.ones(1, 1, 90, 90, dtype=torch.bool)
    found = _correlation(one, other, everywhere)
    assert found == pytest.approx(0.5, abs=0.03)  # half of the variance
    nothing = Residuals(0 * own[0], 0 * own[0])
    assert _correlation(nothing, nothing, everywhere) == 0
    few = Residuals(own[0], 0 * own[0])  # what is shared has no variance of its own
    assert _correlation(few, few, everywhere) == pytest.approx(1 / 4e-3, rel=0.05)


@pytest.mark.parametrize(("count", "told"), [(1999, False), (2000, True)])
def test_two_thousand_places_tell_a_mean_without_its_ends(count: int, told: bool) -> None:
    product = normal(1, 1, 2, 50, 50)[0]
    chosen = torch.arange(2500).reshape(1, 1, 50, 50) < count
    found = _mean(product, chosen)
    assert (found is not None) == told
    if told:
        values = product[chosen.expand_as(product)].numpy()
        low, high = np.quantile(values, (0.002, 0.998))
        wanted = values[(values >= low) & (values <= high)].mean()
        assert found == pytest.approx(wanted, abs=1e-4)


def test_samples_come_from_the_nearest_pixel_and_stay_at_the_border() -> None:
    picture = normal(1, 1, 2, 12, 15)[0]
    flow = np.random.default_rng(0).uniform(-6, 6, (12, 15, 2)).astype(np.float32)
    found = _fetched(picture, flow)
    for row, column in np.ndindex(12, 15):
        x, y = np.rint([column, row] + flow[row, column]).astype(int)
        there = picture[0, :, np.clip(y, 0, 11), np.clip(x, 0, 14)]
        assert torch.equal(found[0, :, row, column], there)
    gray = _fetched(picture[:, :1], flow)
    assert torch.equal(gray, found[:, :1])


@pytest.mark.parametrize(("speed", "told"), [((0.8, 0.55), False), ((0.8, 0.65), True)])
def test_a_fixed_pattern_is_told_where_more_than_a_pixel_moves(
    speed: tuple[float, float], told: bool
) -> None:
    one, two = (Residuals(n, n) for n in normal(2, 1, 1, 60, 60))
    flat = torch.ones(1, 1, 60, 60, dtype=torch.bool)
    flow = np.full((60, 60, 2), speed, np.float32)
    found = temporal_correlation(one, two, flow, flat)
    assert (found.fixed is not None) == told
    assert found.compensated is not None
    flat[..., 32:] = False  # 58 x 31
    assert temporal_correlation(one, two, flow, flat) == Temporal(None, None)


def test_of_two_million_samples_every_other_one_tells_what_lies_far_out() -> None:
    """The outermost 0.2 % at either end are left out, by at most as many as a million."""
    values = torch.linspace(0, 1, 2**21)
    values[1::2] = 100
    found = _mean(values.reshape(1, 1, 1, -1), torch.ones(1, 1, 1, 2**21, dtype=torch.bool))
    assert found == pytest.approx(0.5, abs=1e-3)
