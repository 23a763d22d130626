"""A run that steps back takes nothing along of the steps it takes again."""

import csv
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from f2rcli.training.loop import divergence
from f2rcli.training.loop.events import Event, EventKind
from f2rcli.training.loop.settings import TrainSettings
from f2rcli.training.loop.trainer import Trainer


def test_losses_of_steps_that_are_taken_again_are_in_no_row(
    toy: ModuleType, tmp_path: Path, one_thread: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(divergence, "REFRESH", 100)
    settings = TrainSettings(
        steps=300, warmup=0, schedule="constant", lr=3e-3, precision="fp32", ema=0.9,
        log_every=40, validate_every=1000,
    )  # fmt: skip
    stage = toy.Toy(held_out=False)
    trainer = Trainer(stage, tmp_path, settings)
    honest, events = stage.loss, list[Event]()

    def loss(batch: Any) -> torch.Tensor:
        spike = trainer.state.step >= 250 and all(e.kind is not EventKind.SETBACK for e in events)
        return honest(batch) * (100 if spike else 1)

    monkeypatch.setattr(stage, "loss", loss)
    trainer.run(events.append)
    (setback,) = [event for event in events if event.kind is EventKind.SETBACK]
    assert setback.step == 200
    with (tmp_path / "toy.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [40, 80, 120, 160, 200, 240, 280, 300][: len(rows)]
    losses = {int(row["step"]): float(row["loss"]) for row in rows}
    # 240 was written, dropped and written again, without the spikes after 250.
    assert max(losses[step] for step in (240, 280)) < 2 * losses[160]
    assert {int(row["step"]): row["setbacks"] for row in rows}[240] == "1"
