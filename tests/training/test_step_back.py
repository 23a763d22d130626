"""A run whose loss spikes steps back, and takes nothing along of the steps it takes again."""

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
    monkeypatch.setattr(divergence, "REFRESH", 50)
    settings = TrainSettings(
        steps=150, warmup=0, schedule="constant", lr=3e-3, precision="fp32", ema=0.9,
        log_every=20, validate_every=1000,
    )  # fmt: skip
    stage = toy.Toy(held_out=False)
    trainer = Trainer(stage, tmp_path, settings)
    honest, events = stage.loss, list[Event]()

    def loss(batch: Any) -> torch.Tensor:
        spike = trainer.state.step >= 125 and all(e.kind is not EventKind.SETBACK for e in events)
        return honest(batch) * (100 if spike else 1)

    monkeypatch.setattr(stage, "loss", loss)
    trainer.run(events.append)
    (setback,) = [event for event in events if event.kind is EventKind.SETBACK]
    assert setback.step == 100
    assert "rose" in setback.text
    assert trainer.rate() == pytest.approx(0.5 * settings.lr)  # for a while
    with (tmp_path / "toy.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [20, 40, 60, 80, 100, 120, 140, 150][: len(rows)]
    losses = {int(row["step"]): float(row["loss"]) for row in rows}
    # 120 was written, dropped and written again, without the spikes after 125.
    assert max(losses[step] for step in (120, 140)) < 2 * losses[80]
    assert {int(row["step"]): row["setbacks"] for row in rows}[120] == "1"
