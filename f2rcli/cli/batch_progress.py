"""How far a batch is: bars on a terminal, now and then a line elsewhere, or events."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from f2rcli.batch.work import Outcome, Task
from f2rcli.cli.console import Console
from f2rcli.cli.progress import span

LINE_EVERY = 30.0  # seconds between two lines about one clip


class BatchMeter:
    """A bar for all clips and one for each that is running. May be told from several threads."""

    def __init__(
        self, console: Console, total: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.console = console
        self.clock = clock
        self.total = total
        self.count = 0
        shown = console.human.is_terminal and not console.quiet and console.events is None
        self.bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[words]}", markup=False),
            console=console.human,
            disable=not shown,
        )
        self._all = self.bars.add_task("all clips", total=total, words=f"0/{total}")
        self._running: dict[str, TaskID] = {}
        self._said: dict[str, float] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        if not self.bars.disable:
            self.bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self.bars.disable:
            self.bars.stop()

    def progress(self, task: Task, event: dict[str, Any]) -> None:
        """A clip is further than before, by its process's own event."""
        with self._lock:
            if self.console.events is not None:
                values = {name: value for name, value in event.items() if name not in _HEAD}
                self.console.event("progress", place=task.place, **values)
            elif self.bars.disable:
                self._line(task, event)
            else:
                self._bar(task, event)

    def _line(self, task: Task, event: dict[str, Any]) -> None:
        now = self.clock()
        if now - self._said.setdefault(task.place, now) >= LINE_EVERY:
            self._said[task.place] = now
            self.console.note(f"{task.place}: {words(event)}")

    def _bar(self, task: Task, event: dict[str, Any]) -> None:
        if task.place not in self._running:
            self._running[task.place] = self.bars.add_task(task.place, total=None, words="")
        bar = self._running[task.place]
        self.bars.update(
            bar, total=event.get("total"), completed=event["frames"], words=words(event)
        )

    def ended(self, outcome: Outcome) -> int:
        """A clip has ended; returns how many have by now."""
        with self._lock:
            bar = self._running.pop(outcome.place, None)
            if bar is not None:
                self.bars.remove_task(bar)
            self.count += 1
            done = f"{self.count}/{self.total}"
            self.bars.update(self._all, completed=self.count, words=done)
            return self.count


_HEAD = ("event", "time")


def words(event: dict[str, Any]) -> str:
    """A clip's event of progress in a few words."""
    total = "" if event.get("total") is None else f"/{event['total']}"
    parts = [f"{event['frames']}{total} frames"]
    if event.get("fps"):
        parts.append(f"{event['fps']:.2f} frames/s")
    if event.get("eta") is not None:
        parts.append(f"ETA {span(event['eta'])}")
    return ", ".join(parts)
