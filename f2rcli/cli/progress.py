"""How far a run is: a bar on a terminal, a plain line every ten seconds elsewhere, or events."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TypeVar

from rich.progress import BarColumn, Progress, TextColumn

from f2rcli.cli.console import Console

T = TypeVar("T")

LINE_EVERY = 10.0  # seconds between plain lines
EVENT_EVERY = 1.0  # seconds between JSON events
MEMORY = 32  # frames the pace is measured over: long enough to be calm, short enough to be true


class Meter:
    """Counts finished frames and says so.

    total: frames to come; None, or one that turns out too small, means not known.
    exact: whether the total was counted rather than guessed from duration and rate.
    """

    def __init__(
        self,
        console: Console,
        label: str,
        total: int | None,
        *,
        exact: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.console = console
        self.label = label
        self.total = total
        self.exact = exact
        self.clock = clock
        self.done = 0
        self.finished = False
        self.sigma: float | None = None
        self.began = self.said = clock()
        self.ticks = deque([self.began], maxlen=MEMORY)
        self.bar = self._make_bar()
        self.task = self.bar.add_task(label, total=total, words="starting")

    def _make_bar(self) -> Progress:
        shown = self.console.human.is_terminal and not self.console.quiet
        return Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[words]}", markup=False),
            console=self.console.human,
            disable=not shown or self.console.events is not None,
        )

    def __enter__(self) -> "Meter":
        if not self.bar.disable:
            self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if not self.bar.disable:  # rich before 15 would print an empty line
            self.bar.stop()

    def advance(self, sigma: float | None = None) -> None:
        """One more frame is done; sigma is the estimated noise in 8-bit units, when known."""
        self.done += 1
        self.sigma = sigma
        if self.total is not None and self.done > self.total:
            self.total = None  # the container's count was wrong
        now = self.clock()
        self.ticks.append(now)
        self._show()
        every = LINE_EVERY if self.console.events is None else EVENT_EVERY
        if now - self.said >= every:
            self.said = now
            self.say()

    def counted(self, items: Iterable[T], sigma: Callable[[], float | None]) -> Iterator[T]:
        """The items, each counted when the next is asked for."""
        for item in items:
            yield item
            self.advance(sigma())

    def finish(self) -> None:
        """All frames are done: now the total is known."""
        self.total, self.exact, self.finished = self.done, True, True
        self._show()
        self.say()

    def _show(self) -> None:
        for task in self.bar.tasks:
            task.total = self.total  # update() would take None for "as before"
        self.bar.update(self.task, completed=self.done, words=self.words())

    def say(self) -> None:
        """One event or one plain line, unless the bar is there to be seen."""
        if self.console.events is not None:
            self.console.event("progress", **self.numbers())
        elif self.bar.disable:
            self.console.note(f"{self.label}: {self.words()}")

    @property
    def elapsed(self) -> float:
        """Seconds since the meter was made."""
        return self.clock() - self.began

    @property
    def pace(self) -> float | None:
        """Frames per second lately, at the end of the whole run; None before it can be known."""
        if self.finished:
            return self.done / self.elapsed if self.elapsed > 0 else None
        span = self.ticks[-1] - self.ticks[0]
        return (len(self.ticks) - 1) / span if span > 0 else None

    @property
    def eta(self) -> float | None:
        """Seconds to go; None when the count or the pace is not known, or nothing is to go."""
        pace = self.pace
        if self.total is None or self.finished or not pace:
            return None
        return (self.total - self.done) / pace

    def numbers(self) -> dict[str, int | float | None]:
        """Progress as values: frames, total, frames per second, seconds to go, sigma."""
        pace, eta = self.pace, self.eta
        return {
            "frames": self.done,
            "total": self.total,
            "exact": self.exact,
            "fps": None if pace is None else round(pace, 3),
            "eta": None if eta is None else round(eta, 1),
            "sigma": None if self.sigma is None else round(self.sigma, 2),
        }

    def words(self) -> str:
        """Progress as one line."""
        total = "" if self.total is None else f"/{'' if self.exact else '~'}{self.total}"
        parts = [f"{self.done}{total} frames"]
        if self.pace is not None:
            parts.append(f"{self.pace:.2f} frames/s")
        eta = self.eta
        parts.append(f"{span(self.elapsed)} elapsed" if eta is None else f"ETA {span(eta)}")
        if self.sigma is not None:
            parts.append(f"sigma {self.sigma:.1f}")
        return ", ".join(parts)


def span(seconds: float) -> str:
    """A length of time as h:mm:ss, or m:ss below an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
