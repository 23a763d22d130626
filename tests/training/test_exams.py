"""Whether an error fell for sure, and what held-out errors are in dB."""

import math

import numpy as np
import pytest
import torch

from f2rcli.noise.model import NoiseModel
from f2rcli.noise.spectrum import NoiseLaw
from f2rcli.training.exams import SampleErrors, ValidationErrors, error_reduction, is_significant
from f2rcli.training.windows import Sample

SIGMA = 0.1


def errors(scale: float, seed: int = 0, samples: int = 4, size: int = 192) -> ValidationErrors:
    """Squared errors of white errors of so many codes, on clean targets."""
    generator = torch.Generator().manual_seed(seed)
    drawn = [torch.randn(1, 3, size, size, generator=generator) for _ in range(samples)]
    return ValidationErrors.of([SampleErrors((scale / 255 * one).square()) for one in drawn])


def test_psnr_is_that_of_the_formula() -> None:
    found = errors(5.0)
    assert found.decibels == pytest.approx(20 * math.log10(255 / 5), abs=0.02)
    assert found.score == pytest.approx(math.log(5 / 255), abs=0.003)


def test_the_gain_is_told_without_a_clean_frame() -> None:
    """An estimate that leaves a tenth of the noise's power, on pairs with independent noise."""
    torch.manual_seed(0)
    clean = 0.5 + 0.2 * torch.sin(torch.arange(256.0) / 9).expand(1, 3, 256, 256)
    noisy = clean + SIGMA * torch.randn_like(clean)
    law = NoiseLaw(NoiseModel.gaussian(SIGMA, 3))
    sample = Sample.of(noisy, None, law, clipped=False)
    shown, asked, *_ = sample.pair(law, [0], np.random.default_rng(0))
    noise = SampleErrors.of_pair(shown, asked, lambda share: shown, 0.0).noise
    assert noise.shown == pytest.approx(1.25 * SIGMA**2, rel=0.03)
    assert noise.target == pytest.approx(5 * SIGMA**2, rel=0.03)
    power = float((shown - clean).square().mean())
    estimate = clean + math.sqrt(0.1 * power) * torch.randn_like(clean)
    for guess, gain, near in ((estimate, 10, 1), (shown, 0, 0.3)):
        one = SampleErrors.of_pair(shown, asked, lambda share, guess=guess: guess, 0.0)
        assert ValidationErrors.of([one]).decibels == pytest.approx(gain, abs=near)


def test_a_fall_is_certain_only_beyond_its_spread() -> None:
    before = errors(10.0)
    assert is_significant(before, errors(9.0, seed=1))
    assert not is_significant(before, errors(10.0, seed=1))
    assert not is_significant(before, errors(11.0, seed=1))
    fell = error_reduction(before, errors(9.0, seed=1))
    assert 255**2 * fell.mean == pytest.approx(100 - 81, rel=0.05)


def test_of_few_areas_nothing_is_certain() -> None:
    assert not is_significant(errors(10.0, samples=1, size=48), errors(1.0, samples=1, size=48))


def test_a_doubt_about_the_noise_counts_against_a_gain() -> None:
    before, after = errors(10.0), errors(9.0, seed=1)
    gained = error_reduction(before, after).mean
    doubtful = [e._replace(doubts=(sign * gained,) * 4) for e, sign in ((before, 1), (after, 0))]
    assert not is_significant(*doubtful)
