"""Spectrum, channels and time: known noise is recognised, and drawn again as it was."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from f2rcli.noise.law import NoiseLaw
from f2rcli.noise.measurement.detail import roughness
from f2rcli.noise.measurement.independence import Residuals, Temporal, temporal_correlation
from f2rcli.noise.measurement.spectrum import Spectrum, SpectrumSamples, _mixed
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
        samples.add(clean + law.sample(clean, generator), first, second, rank, law.level)
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
    unit = NoiseLaw(NoiseModel.gaussian(1.0, 3), spectrum.kernels())
    again = unit.sample(torch.zeros(2, 3, 200, 200))
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


def test_a_channel_without_noise_shares_none() -> None:
    seen = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    seen[:, 1] = 0
    mixed = _mixed(seen, seen)
    assert np.isfinite(mixed).all()
    np.testing.assert_allclose(np.diag(mixed), 1)
    np.testing.assert_allclose(mixed[1, [0, 2]], 0, atol=1e-9)


def test_pictures_smaller_than_a_patch_have_no_spectrum() -> None:
    samples, small = SpectrumSamples(), torch.rand(1, 3, 20, 300)
    samples.add(small, small, small, small[:, :1], LEVEL)
    assert samples.spectrum(white=False) is None


def residuals(shared: float) -> tuple[Residuals, Residuals]:
    """Of two frames, against anchors without noise."""
    generator = torch.Generator().manual_seed(1)
    one, two = (torch.randn(1, 3, 120, 120, generator=generator) for _ in range(2))
    other = shared * one + (1 - shared**2) ** 0.5 * two
    return Residuals(one, one), Residuals(other, other)


def motion(x: float, y: float) -> NDArray[np.float32]:
    return np.full((120, 120, 2), (x, y), np.float32)


EVERYWHERE = torch.ones(1, 1, 120, 120, dtype=torch.bool)


@pytest.mark.parametrize("shared", [0.0, 0.4])
def test_what_stays_at_its_pixel_is_a_fixed_pattern(shared: float) -> None:
    earlier, later = residuals(shared)
    found = temporal_correlation(earlier, later, motion(-3, 0), EVERYWHERE)
    assert found.fixed == pytest.approx(shared, abs=0.03)
    assert found.compensated == pytest.approx(0, abs=0.03)
    assert found.independent is (shared == 0)


@pytest.mark.parametrize("shared", [0.0, 0.4])
def test_what_follows_the_scene_is_a_temporal_filter(shared: float) -> None:
    earlier, later = residuals(shared)
    moved = Residuals(*(part.roll((2, -3), (2, 3)) for part in later))
    found = temporal_correlation(earlier, moved, motion(-3, 2), EVERYWHERE)
    assert found.compensated == pytest.approx(shared, abs=0.03)
    assert found.fixed == pytest.approx(0, abs=0.03)


def test_without_motion_a_fixed_pattern_is_not_claimed() -> None:
    earlier, later = residuals(0.4)
    found = temporal_correlation(earlier, later, motion(0, 0), EVERYWHERE)
    assert found.fixed is None
    assert found.compensated == pytest.approx(0.4, abs=0.03)


def test_texture_that_anchors_miss_is_not_noise_that_frames_share() -> None:
    place = torch.arange(120.0)
    missed = 2 * torch.sin(0.4 * place)[:, None] * torch.sin(0.3 * place)[None]  # of the noise
    earlier, later = (Residuals(*(part + missed for part in one)) for one in residuals(0.0))
    found = temporal_correlation(earlier, later, motion(0, 0), EVERYWHERE)
    assert found.compensated == pytest.approx(0, abs=0.05)


def test_what_two_anchors_of_a_frame_err_by_is_not_its_own_noise() -> None:
    (earlier, _), (later, _) = residuals(0.4)
    generator = torch.Generator().manual_seed(2)
    apart = (torch.randn(4, *earlier.shape, generator=generator)).unbind()
    found = temporal_correlation(
        Residuals(earlier + apart[0], earlier + apart[1]),
        Residuals(later + apart[2], later + apart[3]), motion(0, 0), EVERYWHERE,
    )  # fmt: skip
    assert found.compensated == pytest.approx(0.4, abs=0.05)


def test_nothing_known_is_not_called_independent() -> None:
    assert Temporal(None, None).independent is None
