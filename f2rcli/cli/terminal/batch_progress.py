"""Progress of a batch: bars on a terminal, occasional lines elsewhere, or events."""

import threading
import time
from collections.abc import Callable
from typing import Any

from rich.progress import TaskID

from f2rcli.batch.work import Outcome, Task
from f2rcli.cli.terminal.bars import BarMeter, Words, joined
from f2rcli.cli.terminal.console import Console
from f2rcli.units import span

LINE_EVERY = 30.0  # seconds between two lines about one clip


class BatchMeter(BarMeter):
    """A bar for all clips and one for each running one. Threads may report at the same time."""

    def __init__(
        self, console: Console, total: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(console, clock)
        self.total = total
        self.count = 0
        self._all = self.bars.add_task("all clips", total=total, words=[(0, f"0/{total}")])
        self._running: dict[str, TaskID] = {}
        self._shown: dict[str, float] = {}
        self._lock = threading.Lock()

    def progress(self, task: Task, event: dict[str, Any]) -> None:
        """A clip is further than before, by its process's own event."""
        with self._lock:
            if self.console.events is not None:
                values = {k: value for k, value in event.items() if k not in ("event", "time")}
                self.console.event("progress", place=task.place, **values)
            elif self.bars.disable:
                self._line(task, event)
            else:
                self._bar(task, event)

    def _line(self, task: Task, event: dict[str, Any]) -> None:
        now = self.clock()
        if now - self._shown.setdefault(task.place, now) >= LINE_EVERY:
            self._shown[task.place] = now
            self.console.note(f"{task.place}: {joined(parts(event))}")

    def _bar(self, task: Task, event: dict[str, Any]) -> None:
        if task.place not in self._running:
            self._running[task.place] = self.bars.add_task(task.place, total=None, words=[])
        bar = self._running[task.place]
        self.bars.update(
            bar, total=event.get("total"), completed=event["frames"], words=parts(event)
        )

    def ended(self, outcome: Outcome) -> int:
        """A clip has ended; returns how many have by now."""
        with self._lock:
            bar = self._running.pop(outcome.place, None)
            if bar is not None:
                self.bars.remove_task(bar)
            self.count += 1
            done = f"{self.count}/{self.total}"
            self.bars.update(self._all, completed=self.count, words=[(0, done)])
            return self.count


def parts(event: dict[str, Any]) -> Words:
    """A clip's progress event in words."""
    total = "" if event.get("total") is None else f"/{event['total']}"
    found = [(0, f"{event['frames']}{total} frames")]
    if event.get("fps"):
        found.append((1, f"{event['fps']:.2f} frames/s"))
    if event.get("eta") is not None:
        found.append((0, f"ETA {span(event['eta'])}"))
    return found
