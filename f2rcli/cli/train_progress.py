"""How far a training run is: a bar per stage on a terminal, plain lines elsewhere, or events."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from f2rcli.cli.console import Console
from f2rcli.cli.progress import EVENT_EVERY, LINE_EVERY, span
from f2rcli.training.loop.events import Event, EventKind

QUIET_KINDS = {EventKind.PROGRESS, EventKind.LOG, EventKind.SAVED}  # of no interest line by line
FIELDS = ("stage", "step", "steps", "text", "loss", "validation", "best", "lr", "norm", "rate",
          "eta")  # fmt: skip


class StepMeter:
    """Shows a run's events as they come; call it with each of them."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console
        self.clock = clock
        self.said = clock()
        self.stage = ""
        self.loss: float | None = None  # of the stage, as last heard of
        self.validation: float | None = None
        self.tasks: dict[str, TaskID] = {}
        shown = console.human.is_terminal and not console.quiet and console.events is None
        self.bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[words]}", markup=False),
            console=console.human,
            disable=not shown,
        )

    def __enter__(self) -> "StepMeter":
        if not self.bar.disable:
            self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if not self.bar.disable:
            self.bar.stop()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if not event.steps and event.kind is EventKind.LOG:  # work before the first step
            self.console.event("log", stage=event.stage, text=event.text)
            self.console.note(event.text)
            return
        if event.stage != self.stage:
            self.stage, self.loss, self.validation = event.stage, None, None
        self.loss = event.loss if event.loss is not None else self.loss
        if event.validation is not None:
            self.validation = event.validation
        if event.kind is EventKind.SETBACK:
            self.console.warning(str(event))
        elif self.console.events is not None:
            self._write(event)
        elif event.kind not in QUIET_KINDS:
            say = self.console.note if self.bar.disable else self.console.detail
            say(str(event))
        self._show(event)

    def _write(self, event: Event) -> None:
        """One JSON event: about one a second of progress, and all others."""
        now = self.clock()
        if event.kind is EventKind.PROGRESS and now - self.said < EVENT_EVERY:
            return
        self.said = now
        self.console.event(_name(event.kind), **_values(event))

    def _show(self, event: Event) -> None:
        if self.console.events is not None:
            return
        if not self.bar.disable:
            if event.stage not in self.tasks:
                self.tasks[event.stage] = self.bar.add_task(event.stage, words="starting")
            task = self.tasks[event.stage]
            self.bar.update(task, completed=event.step, total=event.steps, words=self.words(event))
        elif self.clock() - self.said >= LINE_EVERY:
            self.said = self.clock()
            self.console.note(f"{event.stage}: {self.words(event)}")

    def words(self, event: Event) -> str:
        """Where a stage is, as one line."""
        parts = [f"{event.step}/{event.steps} steps"]
        if event.rate:
            parts.append(f"{event.rate:.2f} steps/s")
        if event.eta is not None:
            parts.append(f"ETA {span(event.eta)}")
        if self.loss is not None:
            parts.append(f"loss {self.loss:.4f}")
        if self.validation is not None:
            parts.append(f"held out {self.validation:.4f}")
        return ", ".join(parts)


def _name(kind: EventKind) -> str:
    return "progress" if kind is EventKind.PROGRESS else kind.value


def _values(event: Event) -> dict[str, Any]:
    """An event's fields as JSON values: numbers that are not finite become null."""
    values = {name: getattr(event, name) for name in FIELDS}
    finite = float("inf")
    return {
        name: None if isinstance(value, float) and not abs(value) < finite else value
        for name, value in values.items()
    }
