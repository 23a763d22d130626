"""Spectrum, channels and time: known noise is recognised, and drawn again as it was."""

import pytest
import torch

from f2rcli.noise.law import NoiseLaw
from f2rcli.noise.measurement.independence import Temporal, temporal_correlation
from f2rcli.noise.measurement.samples import roughness
from f2rcli.noise.measurement.spectrum import Spectrum, SpectrumSamples
from f2rcli.noise.model import NoiseModel

LEVEL = NoiseModel.gaussian(0.1, 3)


def blur(width: float) -> tuple[tuple[float, ...], ...]:
    place = torch.arange(-4, 5, dtype=torch.float64)
    taps = torch.exp(-0.5 * (place / width) ** 2)
    taps = taps[:, None] * taps[None]
    return tuple(map(tuple, (taps / taps.square().sum().sqrt()).tolist()))


def spectrum_of(law: NoiseLaw, *, white: bool = False) -> Spectrum:
    clean, generator = torch.full((1, 3, 320, 320), 0.5), torch.Generator().manual_seed(0)
    samples = SpectrumSamples()
    for _ in range(2):
        first, second = (clean + law.sample(clean, generator) / 2 for _ in range(2))
        rank = roughness(first, second)
        samples.add(law.add(clean, generator), first, second, rank, law.level)
    spectrum = samples.spectrum(white=white)
    assert spectrum is not None
    return spectrum


@pytest.mark.parametrize("white", [True, False])
def test_white_noise_is_called_white(white: bool) -> None:
    spectrum = spectrum_of(NoiseLaw(LEVEL), white=white)
    assert spectrum.white
    assert spectrum.kernels() is None
    assert spectrum.mixing() is None


@pytest.mark.parametrize("width", [0.5, 0.8, 1.2])
def test_blurred_noise_is_found_and_drawn_again_with_the_same_lag(width: float) -> None:
    spectrum = spectrum_of(NoiseLaw(LEVEL, (blur(width),) * 3))
    taps = torch.tensor(blur(width))
    expected = float((taps[:, 1:] * taps[:, :-1]).sum() / taps.square().sum())
    assert spectrum.rho_x == pytest.approx((expected,) * 3, abs=0.03)
    assert spectrum.rho_y == pytest.approx((expected,) * 3, abs=0.03)
    again = NoiseLaw(LEVEL, spectrum.kernels()).unit(torch.zeros(2, 3, 200, 200))
    assert again.var().item() == pytest.approx(1, rel=0.03)
    drawn = (again[..., 1:] * again[..., :-1]).mean() / again.var()
    assert drawn.item() == pytest.approx(expected, abs=0.05)


def test_shared_channels_are_found_and_mixed_again() -> None:
    rows = torch.tensor([[1.0, 0.5, 0.5], [0.5, 1.0, 0.5], [0.5, 0.5, 1.0]])
    rows = rows / rows.square().sum(1, keepdim=True).sqrt()
    spectrum = spectrum_of(NoiseLaw(LEVEL, None, tuple(map(tuple, rows.tolist()))))
    mixing = spectrum.mixing()
    assert mixing is not None
    found = torch.tensor(mixing)
    torch.testing.assert_close(found @ found.T, rows @ rows.T, rtol=0, atol=0.04)


def test_pictures_smaller_than_a_patch_have_no_spectrum() -> None:
    samples, small = SpectrumSamples(), torch.rand(1, 3, 20, 300)
    samples.add(small, small, small, small[:, :1], LEVEL)
    assert samples.spectrum(white=False) is None


def residuals(shared: float) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    one, two = (torch.randn(1, 3, 120, 120, generator=generator) for _ in range(2))
    return one, shared * one + (1 - shared**2) ** 0.5 * two


@pytest.mark.parametrize("shared", [0.0, 0.4])
def test_what_stays_at_its_pixel_is_a_fixed_pattern(shared: float) -> None:
    earlier, later = residuals(shared)
    speed = torch.full((1, 1, 120, 120), 3.0)
    moved = later.roll(3, 3)
    found = temporal_correlation(earlier, later, moved, speed, speed > 0)
    assert found.fixed == pytest.approx(shared, abs=0.03)
    assert found.compensated == pytest.approx(0, abs=0.03)
    assert found.independent is (shared == 0)


def test_without_motion_a_fixed_pattern_is_not_claimed() -> None:
    earlier, later = residuals(0.4)
    still = torch.zeros(1, 1, 120, 120)
    found = temporal_correlation(earlier, later, later, still, still == 0)
    assert found.fixed is None
    assert found.compensated == pytest.approx(0.4, abs=0.03)


def test_nothing_known_is_not_called_independent() -> None:
    assert Temporal(None, None).independent is None
