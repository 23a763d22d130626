"""Progress of a run: a bar on a terminal, a line every ten seconds elsewhere, or events."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from f2rcli.cli.terminal.bars import BarMeter, Words, joined
from f2rcli.cli.terminal.console import Console
from f2rcli.units import span

T = TypeVar("T")

LINE_EVERY = 10.0  # seconds between plain lines
EVENT_EVERY = 1.0  # seconds between JSON events
MEMORY = 32  # frames the pace is measured over: long enough to be calm, short enough to be true


class RunMeter(BarMeter):
    """Counts finished frames and shows the count. total: frames to come, None (or too few) if
    unknown; exact: whether it was counted, not guessed from duration and rate."""

    def __init__(
        self,
        console: Console,
        label: str,
        total: int | None,
        *,
        exact: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(console, clock)
        self.label = label
        self.total = total
        self.exact = exact
        self.done = 0
        self.finished = False
        self.sigma: float | None = None
        self.began = self.reported
        self.ticks: deque[float] = deque(maxlen=MEMORY)  # when frames were done
        self.task = self.bars.add_task(label, total=total, words=[(0, "starting")])

    def advance(self, sigma: float | None = None) -> None:
        """Count one more frame; sigma is the estimated noise in 8-bit units, when known."""
        self.done += 1
        self.sigma = sigma
        if self.total is not None and self.done > self.total:
            self.total = None  # the container's count was wrong
        self.ticks.append(self.clock())
        self._show()
        if self.due(LINE_EVERY if self.console.events is None else EVENT_EVERY):
            self.report()

    def counted(self, items: Iterable[T], sigma: Callable[[], float | None]) -> Iterator[T]:
        """The items, each counted when the next is asked for."""
        for item in items:
            yield item
            self.advance(sigma())

    def finish(self) -> None:
        """All frames are done: now the total is known."""
        self.total, self.exact, self.finished = self.done, True, True
        self._show()
        self.report()

    def _show(self) -> None:
        for task in self.bars.tasks:
            task.total = self.total  # update() would take None for "as before"
        self.bars.update(self.task, completed=self.done, words=self.parts())

    def report(self) -> None:
        """One event or one plain line, unless the bar is there to be seen."""
        if self.console.events is not None:
            self.console.event("progress", **self.numbers())
        elif self.bars.disable:
            self.console.note(f"{self.label}: {joined(self.parts())}")

    @property
    def elapsed(self) -> float:
        """Seconds since the meter was made."""
        return self.clock() - self.began

    @property
    def pace(self) -> float | None:
        """Frames per second lately, at the end of the whole run; None before it can be known."""
        if self.finished:
            return self.done / self.elapsed if self.elapsed > 0 else None
        seconds = self.ticks[-1] - self.ticks[0] if self.ticks else 0.0
        return (len(self.ticks) - 1) / seconds if seconds > 0 else None

    @property
    def eta(self) -> float | None:
        """Seconds to go; None when the count or the pace is not known, or nothing is to go."""
        pace = self.pace
        if self.total is None or self.finished or not pace:
            return None
        return (self.total - self.done) / pace

    def numbers(self) -> dict[str, int | float | None]:
        """Progress as values: frames, total, frames per second, seconds to go, sigma."""
        measured = {"fps": (self.pace, 3), "eta": (self.eta, 1), "sigma": (self.sigma, 2)}
        return {"frames": self.done, "total": self.total, "exact": self.exact} | {
            name: None if value is None else round(value, digits)
            for name, (value, digits) in measured.items()
        }

    def parts(self) -> Words:
        """Progress in words."""
        total = "" if self.total is None else f"/{'' if self.exact else '~'}{self.total}"
        parts = [(0, f"{self.done}{total} frames")]
        if self.pace is not None:
            parts.append((1, f"{self.pace:.2f} frames/s"))
        eta = self.eta
        parts.append((0, f"{span(self.elapsed)} elapsed" if eta is None else f"ETA {span(eta)}"))
        if self.sigma is not None:
            parts.append((2, f"sigma {self.sigma:.1f}"))
        return parts
