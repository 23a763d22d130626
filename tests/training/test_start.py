"""What a run began with goes back into the networks unless held-out frames show a gain."""

from typing import Any

import numpy as np
import pytest
import torch

from f2rcli.training.methods.validation import NO_ERRORS, ValidationErrors
from f2rcli.training.run.outcome import Totals
from f2rcli.training.run.session import _probed, _Start

BLOCKS = np.random.default_rng(0).uniform(0.9, 1.1, (6, 6))


class Given:
    """A recipe whose held-out frames answer as they are told."""

    def __init__(self, *answers: ValidationErrors) -> None:
        self.answers = list(answers)
        self.networks, self.header = torch.nn.Linear(2, 2), "as it was"

    def test_errors(self) -> ValidationErrors:
        return self.answers.pop(0)

    validation_errors = test_errors

    def probe(self) -> str:
        return "a few steps"


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


@pytest.mark.parametrize(
    ("after", "stopped", "better"),
    [
        (0.5, "finished", True),
        (1.0, "finished", False),
        (2.0, "finished", False),
        (2.0, "time limit", True),  # the probe was cut short: it says nothing
    ],
)
def test_a_probe_ends_a_run_unless_the_error_falls(
    after: float, stopped: str, better: bool
) -> None:
    recipe: Any = Given(errors(1.0), errors(after))
    old = recipe.networks.weight.detach().clone()

    def train(course: str) -> Any:
        assert course == "a few steps"
        torch.nn.init.zeros_(recipe.networks.weight)
        return Totals(stopped=stopped)

    ended = _probed(recipe, train)  # type: ignore[arg-type]
    assert (ended is None) is better
    assert ended is None or (ended.kept, ended.start_loss) == (False, ended.best_loss)
    assert bool((recipe.networks.weight == old).all())
