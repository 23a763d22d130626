"""Progress of runs: a bar on a terminal, a line every ten seconds elsewhere, or events."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Self

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from f2rcli.cli.console import Console, Stopper, plain
from f2rcli.frames import Frame
from f2rcli.units import span

LINE_EVERY = 10.0  # seconds between plain lines
EVENT_EVERY = 1.0  # seconds between JSON events
MEMORY = 32  # frames the pace is measured over: long enough to be calm, short enough to be true
LABEL = 24  # columns of a name


class Meter:
    """Bars while a `with` lasts, for people at a terminal; elsewhere lines or events when due."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console, self.clock = console, clock
        self.began = self.reported = self.latest = clock()
        live = console.human.is_terminal and not console.human.is_dumb_terminal
        self.bars = Progress(
            TextColumn("{task.description}"), BarColumn(30 if console.human.width >= 100 else 10),
            _Words(console.stopper),
            TimeElapsedColumn(), console=console.human, transient=True,
            disable=console.quiet or console.json or not live,
        )  # fmt: skip

    def add(self, label: str) -> Task:
        """A new bar; the clock of the one before stops."""
        label = plain(label)
        label = label if len(label) <= LABEL else f"{label[: LABEL - 3].rstrip(' .')}..."
        if self.bars.task_ids:
            self.bars.stop_task(self.bars.task_ids[-1])
        self.bars.add_task(label.replace("[", r"\["), total=None, words="")
        return self.bars.tasks[-1]

    def show(self, bar: Task, done: int, total: int | None, words: str) -> None:
        bar.total = total  # update() would take None for "as before"
        self.bars.update(bar.id, completed=done, words=words)

    def due(self) -> bool:
        """Whether the last report is long ago; then there is one now."""
        now = self.clock()
        late = now - self.reported >= (EVENT_EVERY if self.console.json else LINE_EVERY)
        self.reported = now if late else self.reported
        return late

    def __enter__(self) -> Self:
        self.console.stopper.seen = not self.bars.disable
        self.bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.console.stopper.seen, self.console.stopper.patient = False, lambda: ""
        self.bars.stop()


class _Words(ProgressColumn):
    """What is done, or what a signal has begun to end."""

    def __init__(self, stopper: Stopper) -> None:
        super().__init__()
        self.stopper = stopper

    def render(self, task: Task) -> Text:
        stopping = self.stopper.words if task.stop_time is None else ""
        return Text(stopping or str(task.fields["words"]))


class FrameMeter(Meter):
    """Counts finished frames. total: frames to come, None (or too few) if unknown; exact: whether
    it was counted, not guessed from duration and rate."""

    def __init__(
        self, console: Console, label: str, total: int | None, *, exact: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        super().__init__(console, clock)
        self.label, self.total, self.exact = label, total, exact
        self.replayed = 0  # frames of an earlier run, which come first and say nothing of the pace
        self.kept: Callable[[], int] = lambda: self.done  # frames that a kill does not take
        self.done = self.copies = 0  # of these: frames that show the picture before once more
        self.before = self.led = 0  # frames that lead in, restored and not written: of them read
        self.said = -1  # frames done when the last line said so
        self.opening = 0.0  # seconds before the first frame of this run
        # Frames that share the first window beside its first, and the last: half a window. Nothing
        # is prepared for them, so they come 1.2 (full) to 1.7 times (lite) as fast as others.
        self.shared = 2
        self.first: list[float] = []  # when the first frame of this run was done, and these
        # Seconds of the last frame that came from an earlier run: one was prepared, and no more.
        self.preparing = 0.0
        self.ticks: deque[float] = deque(maxlen=MEMORY)  # when those after them were
        self.bar = self.add(label)

    def stage(self, words: str) -> None:
        """Say what is done before the first frame, and after the last."""
        self.show(self.bar, self.done, self.total, words)
        self.console.event("stage", stage=words)
        if self.bars.disable:
            self.console.note(f"{self.label}: {words}")

    def reading(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames of a clip; how far one is in those that lead in is told."""
        first = True
        for frame in frames:
            first = first and frame.context
            if first:
                self.led += 1
                if self.due() or not self.bars.disable:
                    total = max(self.before, self.led)
                    self.stage(f"{self.led} of {total} frames before the first one")
            yield frame

    def advance(self) -> None:
        if not self.console.stopper.patient():
            self.console.stopper.check()
        self.done += 1
        before, self.latest = self.latest, self.clock()
        if self.total is not None and self.done > self.total:
            self.total = None  # the container's count was wrong
        if 1 < self.done == self.replayed:
            self.preparing = self.latest - before
        if self.done >= self.replayed:
            if len(self.first) <= self.shared:
                self.first.append(self.latest)
            if len(self.first) > self.shared:
                self.ticks.append(self.latest)
            self.opening = self.opening or self.latest - self.began
        self.show(self.bar, self.done, self.total, self.words())
        if self.due():
            self.report()

    def finish(self) -> None:
        """All frames are done: now the total is known."""
        self.total, self.exact = self.done, True
        self.report()

    def report(self) -> None:
        """One event or one plain line, unless the bar is there to be seen."""
        self.console.event(
            "progress", frames=self.done, kept=self.kept(), total=self.total, exact=self.exact,
            fps=self.pace and round(self.pace, 3), eta=self.eta and round(self.eta, 1),
        )  # fmt: skip
        if self.bars.disable and self.said < self.done:
            self.said = self.done
            self.console.note(f"{self.label}: {self.words()}")

    @property
    def pace(self) -> float | None:
        """Frames per second lately; None before it can be known."""
        seconds = self.ticks[-1] - self.ticks[0] if self.ticks else 0.0
        return (len(self.ticks) - 1) / seconds if seconds > 0 else None

    @property
    def eta(self) -> float | None:
        """Seconds to go; None when the count or the pace is not known."""
        if self.total is None or not self.pace:
            return None
        left = self.total - self.done
        last = min(left, self.shared)
        quick = min((self.first[-1] - self.first[0]) / max(self.shared, 1), 1 / self.pace)
        return (left - last) / self.pace + last * max(quick - self.preparing, 0.0)

    def words(self) -> str:
        total = "" if self.total is None else f"/{'' if self.exact else '~'}{self.total}"
        parts = [f"{self.done}{total} frames"]
        if self.done < self.replayed:
            return f"{parts[0]}, finished before"
        if 0 < self.kept() < self.done:
            parts[0] += f" ({self.kept()} safe)"
        if self.pace is not None and self.console.human.width >= 60:
            parts.append(f"{self.pace:.2f} frames/s")
        if self.eta:
            parts.append(f"ETA {span(self.eta)}")
        return ", ".join(parts)
