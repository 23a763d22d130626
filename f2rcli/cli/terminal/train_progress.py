"""Progress of a training run: a bar per stage on a terminal, plain lines elsewhere, or events."""

import time
from collections.abc import Callable

from rich.progress import TaskID

from f2rcli.cli.results import finite
from f2rcli.cli.terminal.bars import BarMeter, Words, joined
from f2rcli.cli.terminal.console import Console
from f2rcli.cli.terminal.progress import EVENT_EVERY, LINE_EVERY
from f2rcli.training.events import Event, EventKind
from f2rcli.units import span

QUIET_KINDS = {EventKind.PROGRESS, EventKind.LOG, EventKind.SAVED}  # of no interest line by line
FIELDS = ("stage", "step", "steps", "text", "loss", "validation", "best", "lr", "norm", "rate",
          "eta")  # fmt: skip


class StepMeter(BarMeter):
    """Shows a run's events as they come; call it with each of them."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(console, clock)
        self.stage = ""
        self.loss: float | None = None  # of the stage, the latest one known
        self.validation: float | None = None
        self.tasks: dict[str, TaskID] = {}

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if not event.steps and event.kind is EventKind.LOG:  # work before the first step
            self.console.event("log", stage=event.stage, text=event.text)
            self.console.note(event.text)
            return
        if event.stage != self.stage:
            self.stage, self.loss, self.validation = event.stage, None, None
        self.loss = self.loss if event.loss is None else event.loss
        self.validation = self.validation if event.validation is None else event.validation
        if event.kind is EventKind.SETBACK:
            self.console.warning(str(event))
        elif self.console.events is not None:
            self._write(event)
        elif event.kind not in QUIET_KINDS:
            say = self.console.note if self.bars.disable else self.console.detail
            say(str(event))
        self._show(event)

    def _write(self, event: Event) -> None:
        """One JSON event: about one a second of progress, and all others."""
        if self.due(EVENT_EVERY if event.kind is EventKind.PROGRESS else 0):
            values = finite({name: getattr(event, name) for name in FIELDS})
            self.console.event(event.kind.value, **values)

    def _show(self, event: Event) -> None:
        if self.console.events is not None:
            return
        if not self.bars.disable:
            if event.stage not in self.tasks:
                self.tasks[event.stage] = self.bars.add_task(event.stage, words=[(0, "starting")])
            task = self.tasks[event.stage]
            self.bars.update(task, completed=event.step, total=event.steps, words=self.parts(event))
        elif self.due(LINE_EVERY):
            self.console.note(f"{event.stage}: {joined(self.parts(event))}")

    def parts(self, event: Event) -> Words:
        """A stage's progress in words."""
        parts = [(0, f"{event.step}/{event.steps} steps")]
        if event.rate:
            parts.append((2, f"{event.rate:.2f} steps/s"))
        if event.eta is not None:
            parts.append((0, f"ETA {span(event.eta)}"))
        if self.loss is not None:
            parts.append((1, f"loss {self.loss:.4f}"))
        if self.validation is not None:
            parts.append((3, f"held out {self.validation:.2f} dB"))
        return parts
