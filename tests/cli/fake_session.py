"""A training session that trains nothing."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from f2rcli import weights
from f2rcli.frames import Space
from f2rcli.header import Header
from f2rcli.training import TrainConfig, TrainResult
from f2rcli.training.events import Event
from f2rcli.training.events import EventKind as Kind

HEADER = Header(method="f2r", space=Space.RGB, channels=3, length=7, config={})


@dataclass
class Session:
    """Stands in for f2rcli.training.session; remembers what it was asked."""

    asked: list[TrainConfig] = field(default_factory=list)
    error: BaseException | None = None
    changes: dict[str, Any] = field(default_factory=dict)  # of the result

    def train(self, config: TrainConfig, report: Callable[[Event], None]) -> TrainResult:
        self.asked.append(config)
        for step in range(0, 10, 3):
            report(Event(kind=Kind.PROGRESS, stage="anchor", step=step, steps=9, loss=math.nan))
        report(Event(kind=Kind.SETBACK, stage="anchor", step=9, steps=9, text="the loss rose"))
        report(Event(kind=Kind.VALIDATED, stage="anchor", step=9, steps=9, validation=8.5))
        if self.error is not None:
            raise self.error
        known: dict[str, Any] = {
            "config": config, "start_db": 8.0, "best_db": 8.46, "seconds": 61.0,
            "curve": [("anchor", 0, 8.0), ("anchor", 9, 8.46)], "notes": ["a fake session"],
        }  # fmt: skip
        result = TrainResult(**(known | self.changes))
        if result.written:
            weights.save(result.weights, HEADER, {"a": torch.zeros(1)})
        return result
