"""Turns the state of a run into events for those who watch and rows for those who read later."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from f2rcli.training.loop.checkpoint import RunState
from f2rcli.training.loop.csv_log import CsvLog, Row
from f2rcli.training.loop.events import Event, EventKind, OnEvent
from f2rcli.training.loop.timing import Timing


class Reporter:
    """Speaks for one run; silent in all processes but the first."""

    def __init__(self, stage: str, folder: Path, timing: Timing, report: OnEvent | None) -> None:
        self.stage, self.folder, self.timing = stage, folder, timing
        self._report = report
        self._csv: CsvLog | None = None

    def open(self, step: int) -> None:
        """Open the files of a run that goes on at this step."""
        if self._report is not None:
            self._csv = CsvLog(self.folder, self.stage, step)

    def close(self) -> None:
        """Nothing is said after this."""
        if self._csv is not None:
            self._csv.close()

    def row(self, state: RunState, lr: float, score: float | None) -> None:
        """Log the steps since the last row, and a validation if there was one."""
        loss, norm = _means(state.pending)
        state.pending = []
        if self._csv is not None:
            seconds, setbacks = round(state.elapsed, 1), state.guard.setbacks
            self._csv.add(Row(state.step, seconds, lr, loss, norm, score, setbacks))
        kind = EventKind.LOG if score is None else EventKind.VALIDATED
        self.tell(kind, state, lr=lr, loss=loss, norm=norm, validation=score)

    def picture(self, step: int, picture: NDArray[np.uint8]) -> None:
        """A sample of what the network does, (H, W, 3) RGB."""
        if self._csv is not None:
            self._csv.picture(step, picture)

    def progress(self, state: RunState, lr: float, loss: float) -> None:
        """Count one more step; reported about once a second."""
        if self.timing.progress_due(state.step):
            self.tell(EventKind.PROGRESS, state, lr=lr, loss=loss)

    def setback(self, state: RunState, text: str) -> None:
        """The run stepped back to this state."""
        self.timing.jump(state.step)
        if self._csv is not None:
            self._csv.forget_after(state.step)
        self.tell(EventKind.SETBACK, state, text=text)

    def tell(self, kind: EventKind, state: RunState, **facts: Any) -> None:
        """An event of this kind, with further fields of it."""
        if self._report is None:
            return
        timing, over = self.timing, kind in (EventKind.SETBACK, EventKind.ENDED)
        pace: dict[str, Any] = {} if over else {"rate": timing.rate(), "eta": timing.eta()}
        event = Event(
            kind=kind, stage=self.stage, step=state.step, steps=timing.steps(), best=state.best,
            **pace, **facts,
        )  # fmt: skip
        self._report(event)


def _means(pending: list[tuple[float, float]]) -> tuple[float | None, float | None]:
    """Mean loss and gradient norm; norms that overflowed fp16 are left out."""
    losses = [loss for loss, _ in pending]
    norms = [norm for _, norm in pending if math.isfinite(norm)]
    return tuple(math.fsum(v) / len(v) if v else None for v in (losses, norms))  # type: ignore[return-value]  # two in, two out
