"""What may be called a gain: on frames that neither taught nor chose, beyond chance."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from f2rcli.training.methods.validation import (
    ErrorReduction,
    ValidationErrors,
    error_reduction,
    is_significant,
)


def errors(blocks: NDArray[np.float64]) -> ValidationErrors:
    return ValidationErrors(0.0, (blocks,))


def test_errors_are_means_over_blocks_and_the_score_half_a_logarithm() -> None:
    square = torch.full((1, 3, 64, 96), 0.04)
    square[..., 32:, :] = 0.09
    found = ValidationErrors.of([square])
    assert found.score == pytest.approx(0.5 * np.log(0.065))
    assert found.errors[0] == pytest.approx(np.array([[0.04] * 3, [0.09] * 3]))


def test_a_gain_that_blocks_share_is_less_certain_than_one_they_have_each() -> None:
    rng = np.random.default_rng(0)
    each = rng.normal(0.1, 1.0, (32, 32))
    shared = np.repeat(np.repeat(rng.normal(0.1, 1.0, (8, 8)), 4, 0), 4, 1)
    before = np.full((32, 32), 10.0)
    lone, joint = (error_reduction(errors(before), errors(before - g)) for g in (each, shared))
    assert lone.spread == pytest.approx(1 / 32, rel=0.25)
    assert joint.spread == pytest.approx(1 / 8, rel=0.35)


def test_chance_is_hardly_ever_called_a_gain() -> None:
    rng = np.random.default_rng(1)
    before = np.full((16, 16), 10.0)
    called = [
        is_significant(errors(before), errors(before - rng.normal(0, 1, before.shape)))
        for _ in range(200)
    ]
    assert np.mean(called) < 0.06
    assert is_significant(errors(before), errors(before - rng.normal(0.3, 1, before.shape)))


def test_one_noisy_clip_does_not_speak_for_all() -> None:
    loud, quiet = np.full((8, 8), 100.0), np.full((8, 8), 1.0)
    before = ValidationErrors(0.0, (loud, quiet, quiet))
    after = ValidationErrors(0.0, (loud - 0.5, quiet + 0.05, quiet + 0.05))
    assert error_reduction(before, after).mean < 0
    assert not is_significant(before, after)


def test_without_test_frames_nothing_is_claimed() -> None:
    nothing = ValidationErrors(float("nan"), ())
    assert not is_significant(nothing, nothing)
    few = np.full((1, 2), 4.0)
    assert error_reduction(errors(few), errors(few / 2)) == ErrorReduction(2.0, float("inf"))


def test_what_a_wrong_noise_model_may_add_is_no_gain() -> None:
    rng = np.random.default_rng(1)
    blocks = np.full((16, 16), 10.0)
    lower = blocks - rng.normal(1, 1, blocks.shape)

    def told(doubt: float, errors: NDArray[np.float64]) -> ValidationErrors:
        return ValidationErrors(0.0, (errors,), (doubt,))

    assert is_significant(told(3.0, blocks), told(3.0, lower))
    for before, after in ((3.0, 2.1), (2.1, 3.0)):
        found = error_reduction(told(before, blocks), told(after, lower))
        assert found.doubt == pytest.approx(0.9)
        assert not is_significant(told(before, blocks), told(after, lower))
    assert is_significant(told(3.0, blocks), errors(lower))  # nobody has looked
