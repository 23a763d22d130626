"""What a run began with goes back into the networks unless the test frames show a gain."""

from typing import Any

import numpy as np
import pytest
import torch

from f2rcli.training.methods.validation import NO_ERRORS, ValidationErrors
from f2rcli.training.run.session import Totals, _Start

BLOCKS = np.random.default_rng(0).uniform(0.9, 1.1, (6, 6))


class Given:
    """A recipe whose test frames answer as they are told."""

    def __init__(self, *answers: ValidationErrors) -> None:
        self.answers = list(answers)
        self.networks, self.header = torch.nn.Linear(2, 2), "as it was"

    def test_errors(self) -> ValidationErrors:
        return self.answers.pop(0)


def errors(scale: float) -> ValidationErrors:
    return ValidationErrors(float(np.log(scale)) / 2, (scale * BLOCKS,))


@pytest.mark.parametrize(
    ("before", "after", "better"),
    [
        (errors(1.0), errors(0.5), True),
        (errors(1.0), errors(1.0), False),
        (errors(1.0), errors(2.0), False),
        (NO_ERRORS, NO_ERRORS, False),
    ],
)
def test_weights_go_back_unless_the_test_frames_show_that_they_are_better(
    before: ValidationErrors, after: ValidationErrors, better: bool
) -> None:
    recipe: Any = Given(before, after)
    start, totals = _Start(recipe), Totals(header="trained")  # type: ignore[arg-type]
    old = recipe.networks.weight.detach().clone()
    with torch.no_grad():
        recipe.networks.weight += 1
    start.returned_unless_better(totals)
    assert totals.kept is better
    assert bool((recipe.networks.weight == old).all()) is not better
    assert totals.header == ("trained" if better else "as it was")
    assert (totals.fell is not None) is better
    assert totals.start_loss == pytest.approx(before.score, nan_ok=True)
    assert totals.best_loss == pytest.approx((after if better else before).score, nan_ok=True)
