"""Noise models by the formula: Poisson-Gaussian lines, curves, where light begins, and blends."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from f2rcli.noise import model as model_room
from f2rcli.noise import spectrum

NoiseLaw = spectrum.NoiseLaw
KNOTS = model_room.KNOTS
NoiseModel = model_room.NoiseModel
blend = model_room.blend

LINE = NoiseModel((0.01, 0.02, 0.03), (0.02, 0.0, 0.05), (0.08, 0.1, 0.12), 70)
DARK = NoiseModel((0.02, 0.03), (0.01, 0.02), (0.1, 0.2), 5, dark=(0.25, 0.125))
CURVE = tuple(0.01 + 0.002 * i**1.5 for i in range(KNOTS))
BENT = NoiseModel((0.0,), (0.05,), (0.06,), 9, (CURVE,))


def signals(channels: int) -> Tensor:
    places = torch.tensor([-0.2, 0.0, 0.1, 0.25, 0.26, 0.53, 0.97, 1.0, 1.3])
    return places.view(1, 1, 3, 3).expand(2, channels, 3, 3)


def variance_of(model: NoiseModel, channel: int, signal: float) -> float:
    """Foi's line, counted from where light begins; the signal ends at black and white."""
    light = min(max(signal, 0.0), 1.0) - (model.dark[channel] if model.dark else 0.0)
    return model.gain[channel] * max(light, 0.0) + model.read[channel] ** 2


@pytest.mark.parametrize("model", [LINE, DARK])
def test_variance_is_a_line_from_where_light_begins(model: NoiseModel) -> None:
    signal = signals(len(model.gain))
    level = model.level(signal)
    for place in np.ndindex(*signal.shape):
        wanted = variance_of(model, place[1], float(signal[place]))
        assert float(level[place]) == pytest.approx(math.sqrt(wanted), rel=1e-5)


def test_a_curve_is_linear_between_its_knots_and_held_beyond_them() -> None:
    signal = signals(1)
    wanted = np.interp(signal.numpy().clip(0, 1), np.arange(KNOTS) / (KNOTS - 1), CURVE)
    np.testing.assert_allclose(BENT.level(signal), wanted, rtol=1e-5)


def test_every_channel_has_its_own_curve() -> None:
    other = tuple(2 * sigma for sigma in CURVE)
    model = NoiseModel((0.0,) * 2, (0.0,) * 2, (0.1,) * 2, curve=(CURVE, other))
    signal = torch.rand(1, 2, 4, 5)
    signal[:, 1] = signal[:, 0]
    level = model.level(signal)
    torch.testing.assert_close(level[:, 1], 2 * level[:, 0])
    assert torch.equal(level, model.level(signal[:, :1]))


@pytest.mark.parametrize("model", [LINE, DARK])
def test_a_line_can_be_had_at_the_knots(model: NoiseModel) -> None:
    for channel, curve in enumerate(model.at_knots()):
        wanted = [math.sqrt(variance_of(model, channel, i / (KNOTS - 1))) for i in range(KNOTS)]
        assert curve == pytest.approx(wanted)
    assert BENT.at_knots() == (CURVE,)


def test_gaussian_noise_is_the_same_everywhere_and_known_in_codes() -> None:
    model = NoiseModel.gaussian(0.1, 3)
    assert (model.gain, model.read, model.sigma) == ((0.0,) * 3, (0.1,) * 3, (0.1,) * 3)
    assert model.sigma8 == pytest.approx((25.5,) * 3)
    assert (model.samples, model.curve, model.pedestal) == (0, None, (0.0,) * 3)
    assert DARK.pedestal == (0.25, 0.125)


@pytest.mark.parametrize("model", [LINE, DARK, BENT])
def test_a_scaled_model_is_stronger_in_every_part(model: NoiseModel) -> None:
    signal, scaled = signals(len(model.gain)), model.scaled(3)
    torch.testing.assert_close(scaled.level(signal), 3 * model.level(signal))
    assert scaled.sigma == pytest.approx([3 * sigma for sigma in model.sigma])
    assert (scaled.samples, scaled.dark) == (model.samples, model.dark)


def test_what_is_added_is_of_the_level_and_the_seeds() -> None:
    clean = torch.full((1, 3, 256, 256), 0.5)
    noise = NoiseLaw(LINE).sample(clean, torch.Generator().manual_seed(2))
    for channel in range(3):
        wanted = math.sqrt(variance_of(LINE, channel, 0.5))
        assert float(noise[:, channel].std()) == pytest.approx(wanted, rel=0.02)
        assert abs(float(noise[:, channel].mean())) < 0.02 * wanted
    drawn = torch.randn(clean.shape, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(noise, drawn * LINE.level(clean))
    again = NoiseLaw(LINE).sample(clean, torch.Generator().manual_seed(2))
    assert torch.equal(noise, again)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_blend_lies_by_its_share_between_the_variances(share: float) -> None:
    """Everywhere, read noise alone included: half-way from 0.1 to 0.3 is 0.2236, not 0.2."""
    line = NoiseModel((0.04,), (0.01,), (0.1,), 3)
    for old, new in ((line, BENT), (BENT, line), (line, NoiseModel.gaussian(0.3, 1))):
        both = blend(old, new, np.array([share]))
        assert both.curve is not None
        for place, (a, b) in enumerate(zip(old.at_knots()[0], new.at_knots()[0], strict=True)):
            wanted = (1 - share) * a**2 + share * b**2
            assert both.curve[0][place] ** 2 == pytest.approx(wanted)
        expected = (1 - share) * old.sigma[0] ** 2 + share * new.sigma[0] ** 2
        assert both.sigma[0] ** 2 == pytest.approx(expected)
        assert both.samples == old.samples + new.samples


def test_a_law_speaks_in_the_codes_of_its_file() -> None:
    """Standard deviations where light begins, at a half and three quarters, the variance's line."""
    model = NoiseModel((0.02, 0.04), (0.01, 0.01), (0.2, 0.2))
    levels = [4000 * sum((g * p + 1e-4) ** 0.5 for g in (0.02, 0.04)) / 2 for p in (0.5, 0.75)]
    told = ", ".join(f"{level:.3g} at {at}" for level, at in zip(levels, (2100, 3100), strict=True))
    assert model.in_codes((100.0, 4100.0)) == f"sigma {told}; variance 120 x (code - 86.67)"
    lit = NoiseModel((0.02,), (0.0,), (0.1,), dark=(0.25,))
    assert lit.in_codes((0.0, 1000.0)).endswith("; variance 20 x (code - 250)")
    sure = replace(lit, unsure=0.05).scaled(2)
    assert sure.in_codes((0.0, 1000.0)).endswith("; variance 80 +- 4 x (code - 250)")
    bare = NoiseModel((0.02,), (0.0,), (0.1,))
    assert bare.in_codes((0.0, 1000.0)).endswith("; variance 20 x (code - 0)")
    assert lit.in_codes((0.0, 1000.0)).startswith("sigma 40.4 at 332, 70.7 at 500, 100 at 750;")
    known = replace(lit, read=(0.004,), dark=(0.252,))  # three deviations above 0.25 lie beyond it
    assert known.in_codes((0.0, 1000.0)).startswith("sigma 4 at 252, 70.5 at 500, 99.9 at 750;")
    assert NoiseModel.gaussian(0.1, 1).in_codes((0.0, 10.0)) == "sigma 1 at 5, 1 at 7.5"
    assert NoiseModel.gaussian(0, 1).in_codes((32767.0, 163838.0)) == "sigma 0"  # 65535 alone
    narrow = NoiseModel.gaussian(0.05, 1).in_codes((-35.999, 66.0))
    assert narrow == "sigma 5.1 at 5, 5.1 at 15, 5.1 at 41"
    bent = NoiseModel((0.5,), (0.0,), (0.1,), curve=((0.0,) * 8 + (0.3,) * 9,))
    assert bent.in_codes((0.0, 1.0)) == "sigma 0 at 0.25, 0.3 at 0.5, 0.3 at 0.75"


def test_curves_have_the_seventeen_knots_that_files_hold() -> None:
    assert KNOTS == 17
    assert len(LINE.at_knots()[0]) == 17
