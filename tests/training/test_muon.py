"""Muon: what an update is, and that it learns."""

import sys
from inspect import unwrap

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from f2rcli.training.loop.muon import Muon, orthogonalised


@settings(max_examples=10)
@given(rows=st.integers(2, 48), columns=st.integers(2, 96), seed=st.integers(0, 99))
def test_singular_values_of_an_update_are_about_one(rows: int, columns: int, seed: int) -> None:
    matrix = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    values = torch.linalg.svdvals(orthogonalised(matrix))
    strong = torch.linalg.svdvals(matrix) > 0.02 * matrix.norm()
    assert values.max() < 1.35
    assert values[strong].min() > 0.3


def test_an_update_turns_with_its_gradient() -> None:
    matrix = torch.randn(8, 20, generator=torch.Generator().manual_seed(0))
    turn, _ = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(1)))
    torch.testing.assert_close(
        orthogonalised(turn @ matrix), turn @ orthogonalised(matrix), atol=0.06, rtol=0
    )


def test_it_learns_a_convolution_and_its_bias() -> None:
    torch.manual_seed(0)
    truth, learner = (torch.nn.Conv2d(3, 4, 3) for _ in range(2))
    optimiser = Muon(learner.parameters(), lr=0.02)
    for step in range(100):
        optimiser.param_groups[0]["lr"] = 0.02 * (1 - step / 100)
        x = torch.randn(8, 3, 12, 12)
        loss = (learner(x) - truth(x).detach()).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.02  # it starts at about 0.3


def test_a_run_waits_for_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's own methods import it when they are first called: half of what a run begins with."""
    for name in ("add_param_group", "zero_grad"):
        first_called = unwrap(getattr(torch.optim.Optimizer, name))
        monkeypatch.delattr(first_called, "__dynamo_disable", raising=False)
    monkeypatch.setitem(sys.modules, "torch._dynamo", None)
    optimiser = Muon([torch.nn.Parameter(torch.zeros(2))])
    optimiser.zero_grad()
    optimiser.step()
