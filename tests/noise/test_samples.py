"""Noise: laws that have the variance they state, and estimates that find it again."""

import numpy as np
import pytest
import torch

from f2rcli.noise.counting import counts_events
from f2rcli.noise.law import NoiseLaw
from f2rcli.noise.measurement.detail import single_frame_sigma
from f2rcli.noise.measurement.samples import Bands, NoiseSamples
from f2rcli.noise.model import NoiseModel, blend


def smooth_picture(height: int = 160, width: int = 200) -> torch.Tensor:
    rows = torch.linspace(0.15, 0.85, height)[:, None]
    columns = torch.linspace(-0.1, 0.1, width)[None]
    return (rows + columns).expand(1, 3, height, width).clone()


def seeded(number: int) -> torch.Generator:
    return torch.Generator().manual_seed(number)


@pytest.mark.parametrize("signal", [0.1, 0.5, 0.9])
def test_poisson_gaussian_noise_has_the_variance_of_its_law(signal: float) -> None:
    model = NoiseModel((0.02,) * 3, (0.03,) * 3, (0.1,) * 3)
    clean = torch.full((1, 3, 200, 200), signal)
    error = NoiseLaw(model).sample(clean, seeded(1))
    expected = 0.02 * signal + 0.03**2
    assert error.var().item() == pytest.approx(expected, rel=0.03)
    assert model.level(clean).square()[0, 0, 0, 0].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("sigma", [5, 20, 50])
def test_two_independent_anchors_find_white_noise_within_three_percent(sigma: float) -> None:
    truth, clean = NoiseModel.gaussian(sigma / 255, 3), smooth_picture()
    noisy, first, second = (clean + NoiseLaw(truth).sample(clean, seeded(i)) for i in range(3))
    samples = NoiseSamples.empty(3)
    samples.add(noisy, clean + (first - clean) / 2, clean + (second - clean) / 2)
    model = samples.model()
    assert model is not None
    assert model.sigma8 == pytest.approx((sigma,) * 3, rel=0.03)


def test_signal_dependence_is_found() -> None:
    truth, clean = NoiseModel((0.01,) * 3, (0.02,) * 3, (0.0,) * 3), smooth_picture(320, 400)
    samples = NoiseSamples.empty(3)
    for number in range(4):
        samples.add(clean + NoiseLaw(truth).sample(clean, seeded(number)), clean, clean)
    model = samples.model()
    assert model is not None
    assert model.gain == pytest.approx((0.01,) * 3, rel=0.15)
    assert np.square(model.read) == pytest.approx((0.0004,) * 3, abs=3e-4)


def test_whether_noise_is_white_is_not_decided_by_a_rounding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fine, samples = (30 / 255) ** 2, NoiseSamples.empty(3)
    monkeypatch.setattr(NoiseSamples, "count", 100_000)
    for shared in (0.0, 0.3, 0.9):
        monkeypatch.setattr(samples, "shared", lambda _, shared=shared: shared)
        found = []
        for step in range(400):
            bands = Bands((1 + step / 1000) * fine, fine, 0.965 * fine)
            monkeypatch.setattr(samples, "bands", lambda _, bands=bands: bands)
            monkeypatch.setattr(samples, "excesses", lambda _, bands=bands: [bands.excess])
            found.append(samples.shape())
        assert found[0] == 1.0
        assert found[-1] == pytest.approx(1.399)
        assert np.abs(np.diff(found)).max() < 0.02  # of variance, for a thousandth of it
    for finest in (0.9, 0.99):
        bands = Bands(1.01 * fine, fine, finest * fine)
        monkeypatch.setattr(samples, "bands", lambda _, bands=bands: bands)
        monkeypatch.setattr(samples, "excesses", lambda _, bands=bands: [bands.excess])
        assert samples.shape() == pytest.approx(1.01 if finest == 0.9 else 1.0)


def test_too_little_evidence_is_no_model() -> None:
    samples = NoiseSamples.empty(3)
    small = torch.rand(1, 3, 8, 8)
    samples.add(small, small, small)
    assert samples.model() is None


def test_electrons_counted_one_by_one_are_not_noise_cut_off_at_black() -> None:
    """Undoing a clipping that never was, their noise read 93 codes instead of 51."""
    clean = smooth_picture(320, 400) / 3
    generator = np.random.default_rng(0)
    samples = NoiseSamples.empty(3)
    for _ in range(2):
        counts = torch.from_numpy(generator.poisson(6 * clean.numpy()) / 6)
        samples.add(counts.float().clamp(0, 1), clean, clean)
    model = samples.model()
    assert samples.counted
    assert not samples.cut_off
    assert model is not None
    assert model.sigma == pytest.approx((float(clean.mean() / 6) ** 0.5,) * 3, rel=0.1)


@pytest.mark.parametrize("bits", [5, 8])
def test_coarse_codes_are_not_counts(bits: int) -> None:
    noisy = (smooth_picture() + 0.03 * torch.randn(1, 3, 160, 200)).clamp(0, 1)
    steps = 2**bits - 1
    assert not counts_events(((noisy * steps).round() / steps).numpy())
    assert not counts_events(np.zeros((4, 4)))
    assert not counts_events((np.arange(64) % 6 / 255).reshape(8, 8))  # dark, not counted


def test_a_scaled_model_is_that_much_stronger_everywhere() -> None:
    model = NoiseModel((0.01,), (0.02,), (0.05,)).scaled(2)
    clean = torch.linspace(0, 1, 5).view(1, 1, 1, 5)
    base = NoiseModel((0.01,), (0.02,), (0.05,)).level(clean)
    torch.testing.assert_close(model.level(clean), 2 * base)


def test_blending_moves_by_its_share_of_variance() -> None:
    old, new = NoiseModel.gaussian(0.1, 1), NoiseModel.gaussian(0.2, 1)
    assert blend(old, new, 0.5).sigma[0] ** 2 == pytest.approx((0.01 + 0.04) / 2)


def test_one_frame_gives_a_rough_sigma() -> None:
    clean = smooth_picture()
    noisy = clean + NoiseLaw(NoiseModel.gaussian(0.1, 3)).sample(clean, seeded(3))
    assert single_frame_sigma(noisy) == pytest.approx(0.1, rel=0.05)
    assert single_frame_sigma(torch.zeros(1, 3, 1, 1)) == 0
