"""Spectrum, channels and time: known noise is recognised, and drawn again as it was."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from f2rcli.noise.law import NoiseLaw
from f2rcli.noise.measurement.detail import roughness
from f2rcli.noise.measurement.independence import Residuals, Temporal, temporal_correlation
from f2rcli.noise.measurement.spectrum import Spectrum, SpectrumSamples, _high_lags, _kernel, _mixed
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


@pytest.mark.parametrize("width", [0.8, 1.3, 1.8])
def test_coarse_noise_is_drawn_again_as_coarse(width: float) -> None:
    """Lags that fall short let the law's noise hold less of the low frequencies, a fifth for film
    grain, and weights that keep those of the clip's own looked better than they are."""
    taps = torch.tensor(blur(width))
    kernels = spectrum_of(NoiseLaw(LEVEL, (blur(width),) * 3)).kernels()
    assert kernels is not None
    for lag in range(1, 6):
        expected = float((taps[:, lag:] * taps[:, :-lag]).sum())
        for kernel in kernels:
            found = torch.tensor(kernel)
            assert float((found[:, lag:] * found[:, :-lag]).sum()) == pytest.approx(
                expected, abs=0.03
            )
    low = [float(torch.tensor(kernel).sum()) ** 2 for kernel in kernels]  # power at frequency 0
    assert np.mean(low) == pytest.approx(float(taps.sum()) ** 2, rel=0.08)


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


Array = NDArray[np.float64]


def reference(first: Array, second: Array) -> Array:
    """Cross-spectra of patches under a Hann window, whose own autocorrelation is divided out. The
    patches' means were taken out, and with them as much of every lag as is missing between 8 and
    12 pixels; lags count in full up to 6 pixels, less beyond (Tukey), and nothing from 12 on."""
    line = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1, 33) / 33)
    window = np.outer(line, line)
    spectra = []
    for part in (first, second):
        mean = (part * window).sum((2, 3), keepdims=True) / window.sum()
        spectra.append(np.fft.fft2((part - mean) * window))
    lags = np.fft.ifft2((spectra[0] * spectra[1].conj()).real.mean(0)).real
    lags /= np.fft.ifft2(np.abs(np.fft.fft2(window)) ** 2).real
    far = np.minimum(np.arange(32), 32 - np.arange(32))
    distance = np.hypot(far[:, None], far)
    missing = np.minimum(lags[:, (distance >= 8) & (distance <= 12)].mean(1), 0)
    fall = np.clip((distance - 6) / 6, 0, 1)
    return np.asarray((lags - missing[:, None, None]) * (0.5 + 0.5 * np.cos(np.pi * fall)))


def patches(seed: int = 0) -> tuple[Array, Array]:
    """Residuals of coloured noise that channels share a part of, with noise of their own."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((20, 3, 33, 34))
    noise[:, 1] += 0.8 * noise[:, 0]
    noise = noise[..., 1:, 1:-1] + 0.6 * noise[..., :-1, 1:-1] - 0.4 * noise[..., 1:, 2:]
    first, second = (noise + 0.3 * rng.standard_normal(noise.shape) for _ in range(2))
    return first, second


@pytest.mark.parametrize("white", [True, False])
def test_the_spectrum_is_the_definitions(white: bool) -> None:
    first, second = patches()
    samples = SpectrumSamples(
        [torch.from_numpy(first[:9]), torch.from_numpy(first[9:])],
        [torch.from_numpy(second[:9]), torch.from_numpy(second[9:])],
    )
    found = samples.spectrum(white=white)
    assert found is not None
    lags = reference(first, second)
    power = np.fft.fft2(lags).real
    np.testing.assert_allclose(found.power, power / power.mean((1, 2), keepdims=True), atol=1e-7)
    one, two = first, second
    if white:
        one, two = (
            (p[..., 1:, 1:] - p[..., :-1, 1:] - p[..., 1:, :-1] + p[..., :-1, :-1]) / 2
            for p in (first, second)
        )
        y, x = np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32), indexing="ij")
        high = np.hypot(x, y) > 0.25
        waves = [np.ones(high.sum()), *(2 * np.cos(2 * np.pi * f[high]) for f in (x, y))]
        fits = [np.linalg.lstsq(np.stack(waves, 1), p[high], rcond=None)[0] for p in power]
        rho_x, rho_y = ([fit[i] / fit[0] for fit in fits] for i in (1, 2))
    else:
        rho_x = [lag[0, 1] / lag[0, 0] for lag in lags]
        rho_y = [lag[1, 0] / lag[0, 0] for lag in lags]
    np.testing.assert_allclose(found.rho_x, rho_x, rtol=1e-6)
    np.testing.assert_allclose(found.rho_y, rho_y, rtol=1e-6)
    flat = [part.transpose(1, 0, 2, 3).reshape(3, -1) for part in (one, two)]
    shared = (flat[0] @ flat[1].T + flat[1] @ flat[0].T) / 2
    scale = np.sqrt(np.diag(shared))
    np.testing.assert_allclose(found.mixed, shared / np.outer(scale, scale), atol=1e-6)
    apart = found.mixed[~np.eye(3, dtype=bool)]
    assert found.channels_share == pytest.approx(apart.mean())
    if not white:
        kernels = found.kernels()
        assert kernels is not None
        for taps, spectrum in zip(kernels, found.power, strict=True):
            whole = np.fft.fftshift(np.fft.ifft2(np.sqrt(np.maximum(spectrum, 0))).real)
            part = whole[11:22, 11:22]
            np.testing.assert_allclose(taps, part / np.sqrt((part**2).sum()), rtol=1e-6)


def test_patches_are_the_flattest_quarter_with_room_to_black_and_white() -> None:
    """In units of the noise; a mean of two anchors says how bright a place is."""
    rng = torch.Generator().manual_seed(0)
    noisy, first, second = (0.5 + 0.02 * torch.randn(1, 3, 128, 128, generator=rng) for _ in "abc")
    rank = torch.rand(1, 1, 128, 128, generator=rng) / 10
    places = [(16 * i, 16 * j) for i in range(7) for j in range(7)]
    rough = torch.zeros(1, 1, 128, 128)
    rough[..., 64:, :] = 0.5
    for part in (first, second):
        part[..., :40, :40] -= 0.45  # nearer to black than two deviations of 0.1
    law = NoiseModel((0.04,) * 3, (0.02,) * 3, (0.1,) * 3)
    samples = SpectrumSamples()
    samples.add(noisy, first, second, rank + rough, law)
    assert samples.count == 12  # of 49
    level = ((0.04 * (first + second) / 2).clamp(0) + 0.0004).sqrt()
    grade = [
        float((rank + rough)[0, 0, y : y + 32, x : x + 32].mean()) + 10 * (y < 40 and x < 40)
        for y, x in places
    ]
    chosen = [places[i] for i in np.argsort(grade)[:12]]
    for found, (y, x) in zip(samples.second[0], chosen, strict=True):
        wanted = ((noisy - second) / level)[0, :, y : y + 32, x : x + 32]
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize(("level", "room"), [(0.19, False), (0.21, True)])
@pytest.mark.parametrize("white", [False, True])
def test_patches_have_room_for_two_deviations(level: float, room: bool, white: bool) -> None:
    """The flattest lie at the left, whose residuals are above zero."""
    left = torch.arange(224) < 96
    light = torch.where(left, 1 - level if white else level, 0.5).expand(1, 1, 96, 224)
    noisy = light + torch.where(left, 0.01, -0.01)
    samples = SpectrumSamples()
    rank = torch.where(left, 0.0, 1.0).expand(1, 1, 96, 224)
    samples.add(noisy, light, light, rank, NoiseModel.gaussian(0.1, 1))
    assert samples.count == 16
    assert (samples.first[0] > 0).all() == room
    assert (samples.first[0] > 0).any() == room


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


@pytest.mark.parametrize("white", [True, False])
def test_the_spectrum_of_a_channel_without_noise_is_none(white: bool) -> None:
    first, second = (torch.from_numpy(one) for one in patches())
    for part in (first, second):
        part[:, 1] = 0
    found = SpectrumSamples([first], [second]).spectrum(white=white)
    assert found is not None
    assert (found.power[1] == 0).all()
    assert (found.rho_x[1], found.rho_y[1]) == (0, 0)


@pytest.mark.parametrize("count", [3, 4])
def test_four_patches_tell_a_spectrum(count: int) -> None:
    first, second = (torch.from_numpy(one[:count]) for one in patches())
    found = SpectrumSamples([first], [second]).spectrum(white=False)
    assert (found is not None) == (count == 4)


def test_channels_whose_products_contradict_each_other_share_what_is_nearest() -> None:
    """No correlation is more than one, and no noise has a negative power in any direction."""
    rng = torch.Generator().manual_seed(3)
    first, second = (torch.randn(1, 3, 2, 3, generator=rng) for _ in "ab")
    one, two = (part[0].flatten(1).double().numpy() for part in (first, second))
    shared = (one @ two.T + two @ one.T) / 12
    scale = np.sqrt(np.maximum(np.diag(shared), 1e-12))
    told = np.clip(shared / np.outer(scale, scale), -1, 1)
    assert (np.abs(shared) > np.outer(scale, scale)).any()
    power, ways = np.linalg.eigh(told)
    nearest = sum(p * np.outer(way, way) for p, way in zip(power, ways.T, strict=True) if p > 0)
    size = np.sqrt(np.diag(nearest))
    np.testing.assert_allclose(_mixed(first, second), nearest / np.outer(size, size), atol=1e-9)


def test_what_channels_share_is_the_mean_of_pairs_and_mixes_them_again() -> None:
    mixed = np.array([[1, 0.04, 0.1], [0.04, 1, 0.3], [0.1, 0.3, 1]])
    found = Spectrum(np.ones((3, 32, 32)), (0.0,) * 3, (0.0,) * 3, mixed)
    assert found.channels_share == pytest.approx(0.44 / 3)
    root = np.array(found.mixing())
    np.testing.assert_allclose(root @ root.T, mixed, atol=2e-3)
    np.testing.assert_allclose(np.square(root).sum(1), 1)
    same = Spectrum(np.ones((3, 32, 32)), (0.0,) * 3, (0.0,) * 3, np.ones((3, 3)))
    np.testing.assert_allclose(np.array(same.mixing()), 3**-0.5, rtol=1e-6)
    alone = Spectrum(np.ones((1, 32, 32)), (0.0,), (0.0,), np.eye(1))
    assert alone.channels_share == 0
    assert alone.mixing() is None
    for share, told in ((0.049, False), (0.05, True), (-0.05, True)):
        mixed = np.eye(2) * (1 - share) + share
        pair = Spectrum(np.ones((2, 32, 32)), (0.0,) * 2, (0.0,) * 2, mixed)
        assert (pair.mixing() is not None) == told
        assert pair.channels_share == pytest.approx(share)


def test_a_filter_has_the_power_of_its_spectrum_where_there_is_some() -> None:
    """Of a wave and its neighbours, which chance makes less than nothing elsewhere."""
    power = np.full((32, 32), -0.5)
    power[0, 4] = power[0, -4] = 9.0
    taps = np.array(_kernel(power))
    assert np.square(taps).sum() == pytest.approx(1)
    wave = np.cos(2 * np.pi * np.arange(-5, 6) / 8)
    np.testing.assert_allclose(taps, np.broadcast_to(wave, taps.shape) * taps[5, 5], atol=1e-9)


def test_where_a_law_has_no_noise_residuals_are_still_numbers() -> None:
    samples, light = SpectrumSamples(), torch.full((1, 1, 64, 64), 0.5)
    samples.add(light + 1e-3, light, light, light, NoiseModel.gaussian(0.0, 1))
    torch.testing.assert_close(samples.first[0], torch.full((4, 1, 32, 32), 1e3), rtol=1e-3, atol=0)


@pytest.mark.parametrize(("size", "count"), [((31, 400), 0), ((32, 80), 4), ((96, 240), 17)])
def test_a_quarter_of_the_patches_is_kept_or_four(size: tuple[int, int], count: int) -> None:
    """Of 96 x 240 pixels there are 5 x 14; of many no more than 64."""
    noisy, first, second = (torch.rand(1, 1, *size) for _ in "abc")
    samples = SpectrumSamples()
    samples.add(noisy, first, second, noisy, NoiseModel.gaussian(0.1, 1))
    assert samples.count == count
    large = torch.rand(1, 1, 336, 336)  # 20 x 20
    samples.add(large, large, large, large, NoiseModel.gaussian(0.1, 1))
    assert samples.count == count + 64


@pytest.mark.parametrize("seed", range(8))
def test_correlations_of_channels_are_those_of_some_noise_however_loud(seed: int) -> None:
    """Of a few samples they would often contradict each other."""
    rng = torch.Generator().manual_seed(seed)
    shared = torch.randn(1, 4, 1, 5, generator=rng)
    first, second = (shared + torch.randn(1, 4, 1, 5, generator=rng) / 2 for _ in "ab")
    mixed = _mixed(first, second)
    np.testing.assert_allclose(np.diag(mixed), 1)
    np.testing.assert_allclose(mixed, mixed.T)
    assert np.linalg.eigvalsh(mixed).min() > -1e-9
    np.testing.assert_allclose(_mixed(first / 100, second / 100), mixed, atol=1e-6)


@pytest.mark.parametrize(("rho", "white"), [(0.049, True), (0.05, False), (-0.05, False)])
@pytest.mark.parametrize("place", range(4))
def test_noise_is_white_where_no_neighbours_share_a_twentieth(
    rho: float, white: bool, place: int
) -> None:
    rhos = [0.0] * 4
    rhos[place] = rho
    found = Spectrum(np.ones((2, 32, 32)), tuple(rhos[:2]), tuple(rhos[2:]), np.eye(2))
    assert found.white == white
    assert (found.kernels() is None) == white
    assert found.whitened().white


@pytest.mark.parametrize(("base", "known"), [(2.0, True), (0.0, False), (-2.0, False)])
def test_lags_by_high_frequencies_are_those_of_their_cosines(base: float, known: bool) -> None:
    """Whatever lies below them; none where there is no noise."""
    line = 2 * np.pi * np.fft.fftfreq(32)
    power = base * (1 + 0.4 * np.cos(line) + 0.2 * np.cos(line)[:, None])
    power += 9 * (np.abs(line) < 0.5) * (np.abs(line) < 0.5)[:, None]
    assert _high_lags(power) == pytest.approx((0.2, 0.1) if known else (0, 0))
