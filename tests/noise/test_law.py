"""Laws of noise: what is drawn has the level, spectrum and channels that the law states."""

from dataclasses import replace

import pytest
import torch

from f2rcli.noise import model
from f2rcli.noise import spectrum as law_room

NoiseLaw = law_room.NoiseLaw
NoiseModel = model.NoiseModel

BLUR = torch.tensor([0.05, 0.25, 0.4, 0.25, 0.05])
MIXING = ((0.9, 0.3, 0.3), (0.3, 0.9, 0.3), (0.3, 0.3, 0.9))


def kernel() -> tuple[tuple[float, ...], ...]:
    taps = BLUR[:, None] * BLUR[None]
    return tuple(map(tuple, (taps / taps.square().sum().sqrt()).tolist()))


def mixing() -> tuple[tuple[float, ...], ...]:
    rows = torch.tensor(MIXING)
    return tuple(map(tuple, (rows / rows.square().sum(1, keepdim=True).sqrt()).tolist()))


def coloured(level: NoiseModel) -> NoiseLaw:
    return NoiseLaw(level, (kernel(),) * 3, mixing())


def seeded(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def lag(noise: torch.Tensor) -> float:
    return float((noise[..., 1:] * noise[..., :-1]).mean() / noise.square().mean())


@pytest.mark.parametrize("white", [True, False])
def test_a_sample_has_the_laws_level_at_every_brightness(white: bool) -> None:
    level = NoiseModel((0.01, 0.02, 0.0), (0.02, 0.0, 0.05), (0.0,) * 3)
    law = NoiseLaw(level) if white else coloured(level)
    for brightness in (0.1, 0.8):
        signal = torch.full((2, 3, 256, 256), brightness)
        noise = law.sample(signal, seeded())
        assert noise.shape == signal.shape
        wanted = level.level(signal)[0, :, 0, 0]
        torch.testing.assert_close(noise.std(dim=(0, 2, 3)), wanted, rtol=0.03, atol=0)
        assert noise.mean(dim=(0, 2, 3)).abs().max() < 0.03 * wanted.max()


def test_a_curve_is_followed_between_its_knots() -> None:
    curve = tuple(0.01 + 0.09 * i / 16 for i in range(17))
    law = NoiseLaw(NoiseModel((0.0,), (0.05,), (0.05,), curve=(curve,)))
    signal = torch.tensor([0.0, 0.25, 0.53, 1.0]).view(1, 1, 1, 4)
    torch.testing.assert_close(law.level.level(signal), 0.01 + 0.09 * signal)
    torch.testing.assert_close(law.level.scaled(2).level(signal), 2 * law.level.level(signal))
    assert law.level.level(signal).square()[0, 0, 0, 3].item() == pytest.approx(0.01)


def test_a_level_alone_is_white() -> None:
    law = NoiseLaw(NoiseModel.gaussian(0.1, 3))
    noise = law.sample(torch.zeros(1, 3, 256, 256), seeded())
    assert noise.std().item() == pytest.approx(0.1, rel=0.02)
    assert abs(lag(noise)) < 0.02


def test_the_same_seed_gives_the_same_noise_and_scaling_scales_it() -> None:
    law, signal = coloured(NoiseModel.gaussian(0.1, 3)), torch.zeros(1, 3, 16, 20)
    once = law.sample(signal, seeded(3))
    torch.testing.assert_close(law.sample(signal, seeded(3)), once, rtol=0, atol=0)
    louder = replace(law, level=law.level.scaled(3))
    torch.testing.assert_close(louder.sample(signal, seeded(3)), 3 * once)


def test_where_light_begins_counts() -> None:
    level = NoiseModel((0.02,), (0.01,), (0.05,), dark=(0.25,))
    law = NoiseLaw(level)
    spread = law.sample(torch.tensor([0.2, 0.5]).view(1, 1, 2, 1).expand(1, 1, 2, 40_000)).std(-1)
    expected = [0.01, (0.02 * 0.25 + 0.01**2) ** 0.5]
    assert spread.flatten().tolist() == pytest.approx(expected, rel=0.03)
