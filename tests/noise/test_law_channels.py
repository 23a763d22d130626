"""Laws whose channels are not alike: mixing that is not symmetric, a filter for every channel."""

import pytest
import torch

from f2rcli.noise import model
from f2rcli.noise import spectrum as law_room

NoiseLaw = law_room.NoiseLaw
NoiseModel = model.NoiseModel

# Rows of unit energy; green takes half of red's noise, red nothing of green's.
MIXING = ((1.0, 0.0, 0.0), (0.6, 0.8, 0.0), (0.0, 0.28, 0.96))


def kernel(row: bool) -> tuple[tuple[float, ...], ...]:
    """Three equal taps along a row or a column, of unit energy, in a square of three."""
    taps = torch.zeros(3, 3)
    taps[(1, slice(None)) if row else (slice(None), 1)] = 3**-0.5
    return tuple(map(tuple, taps.tolist()))


ALONG, DOWN = kernel(True), kernel(False)
IDENTITY = ((0.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 0.0))
LEVEL = NoiseModel((0.0, 0.0, 0.0), (0.1, 0.2, 0.4), (0.1, 0.2, 0.4), 6)


def drawn(law: NoiseLaw, seed: int = 0, size: int = 192) -> torch.Tensor:
    noise = law.sample(torch.full((2, 3, size, size), 0.5), torch.Generator().manual_seed(seed))
    assert noise.shape == (2, 3, size, size)
    return noise


def lags(noise: torch.Tensor) -> tuple[float, float]:
    """Correlation with the neighbour along the row and down the column."""
    power = noise.square().mean()
    along = (noise[..., 1:] * noise[..., :-1]).mean() / power
    return float(along), float((noise[..., 1:, :] * noise[..., :-1, :]).mean() / power)


def test_a_channel_takes_what_its_row_of_the_mixing_says() -> None:
    """The covariance of mixed white noise is M M^T, of its transpose M^T M: they differ here."""
    law = NoiseLaw(NoiseModel.gaussian(1.0, 3), mixing=MIXING)
    rows = torch.tensor(MIXING)
    covariance = torch.cov(drawn(law).transpose(0, 1).flatten(1))
    torch.testing.assert_close(covariance, rows @ rows.T, rtol=0, atol=0.02)
    assert not torch.allclose(rows @ rows.T, rows.T @ rows, atol=0.2)


def test_mixing_comes_after_the_filters_and_before_the_level() -> None:
    law = NoiseLaw(LEVEL, (ALONG, DOWN, IDENTITY), MIXING)
    noise = drawn(law)
    assert lags(noise[:, 0]) == pytest.approx((2 / 3, 0), abs=0.02)
    # Green: 0.36 of its variance from red's filter along rows, 0.64 from its own down columns.
    assert lags(noise[:, 1]) == pytest.approx((0.36 * 2 / 3, 0.64 * 2 / 3), abs=0.02)
    assert lags(noise[:, 2]) == pytest.approx((0, 0.28**2 * 2 / 3), abs=0.02)
    for channel, sigma in enumerate(LEVEL.read):
        assert float(noise[:, channel].std()) == pytest.approx(sigma, rel=0.02)


def test_a_larger_filter_needs_a_wider_rim_and_gives_the_same_size() -> None:
    wide = torch.zeros(5, 5)
    wide[2] = 5**-0.5
    law = NoiseLaw(LEVEL, (tuple(map(tuple, wide.tolist())),) * 3)
    noise = drawn(law)
    assert lags(noise[:, 1])[0] == pytest.approx(0.8, abs=0.02)
    edge = noise[..., 0].std() / noise[..., 96].std()
    assert float(edge) == pytest.approx(1, abs=0.1)


def test_a_sample_is_one_of_unit_noise_times_its_level() -> None:
    law_parts = (ALONG, DOWN, IDENTITY), MIXING
    law, signal = NoiseLaw(LEVEL, *law_parts), torch.rand(1, 3, 8, 9)
    seeded = [torch.Generator().manual_seed(4) for _ in range(2)]
    unit = NoiseLaw(NoiseModel.gaussian(1.0, 3), *law_parts).sample(signal, seeded[0])
    torch.testing.assert_close(law.sample(signal, seeded[1]), unit * LEVEL.level(signal))


def test_json_keeps_which_channel_is_which() -> None:
    law = NoiseLaw(LEVEL, (ALONG, DOWN, IDENTITY), MIXING)
    values = law.values()
    assert values["mixing"] == [list(row) for row in MIXING]
    assert values["kernels"][1] == [list(row) for row in DOWN]
    assert (values["samples"], values["dark"]) == (6, (0.0, 0.0, 0.0))
    assert values["curve"] == LEVEL.at_knots()
