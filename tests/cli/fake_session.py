"""A training session that trains nothing."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from f2rcli import weights
from f2rcli.frames import Space
from f2rcli.header import Header
from f2rcli.training.loop.events import Event
from f2rcli.training.loop.events import EventKind as Kind
from f2rcli.training.run.config import TrainConfig

HEADER = Header(method="f2r", space=Space.RGB, channels=3, length=7, config={})


@dataclass
class Result:
    """What a session returns."""

    weights: Path
    run: Path
    start_loss: float = -1.956  # half the log of a mean squared error of 0.02
    best_loss: float = -2.009
    kept: bool = True
    idle: bool = False
    written: bool = True
    stopped: str = "end of schedule"
    noise: Any = None
    curve: list[tuple[int, float]] = field(default_factory=lambda: [(0, -1.956), (9, -2.009)])
    seconds: float = 61.0
    notes: list[str] = field(default_factory=lambda: ["a fake session"])
    fell: Any = None


@dataclass
class Session:
    """Stands in for f2rcli.training.run.session; remembers what it was asked."""

    asked: list[TrainConfig] = field(default_factory=list)
    error: BaseException | None = None
    changes: dict[str, Any] = field(default_factory=dict)

    def train(self, config: TrainConfig, report: Callable[[Event], None]) -> Result:
        self.asked.append(config)
        for step in range(0, 10, 3):
            report(Event(kind=Kind.PROGRESS, stage="anchor", step=step, steps=9, loss=math.nan))
        report(Event(kind=Kind.SETBACK, stage="anchor", step=9, steps=9, text="the loss rose"))
        report(Event(kind=Kind.VALIDATED, stage="anchor", step=9, steps=9, validation=0.018))
        if self.error is not None:
            raise self.error
        weights.save(Path(config.output), HEADER, {"a": torch.zeros(1)})
        return Result(Path(config.output), config.folder, **self.changes)
