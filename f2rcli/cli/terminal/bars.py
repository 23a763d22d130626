"""Progress bars of a terminal: one line a task, fitted to the width there is."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Self

from rich.console import OverflowMethod
from rich.progress import Progress, Task
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from f2rcli.cli.terminal.console import Console
from f2rcli.cli.terminal.text import encodable, one_line

Words = Sequence[tuple[int, str]]  # parts of a line with their rank: 0 stays longest
LONGEST, SHORTEST = 30, 6  # columns of a bar
LABEL = 8  # columns that a label has at least


class Bars(Progress):
    """Bars with a label and words (`Words`) each; nothing where no terminal is to show them."""

    def __init__(self, console: Console) -> None:
        hidden = console.quiet or console.events is not None or not console.live
        self.human = console.human  # Progress asks for its table before it knows its console
        super().__init__(console=console.human, disable=hidden)

    def stop(self) -> None:
        """Take the bars off; rich before 15 would print an empty line for hidden ones."""
        if not self.disable:
            super().stop()

    def make_tasks_table(self, tasks: Iterable[Task]) -> Table:
        """Label, bar and words of every task: the bar gives way first, then words, then labels."""
        shown = list(tasks)
        room = self.human.width - SHORTEST - LABEL - 2
        words = [fitted(task.fields["words"], room) for task in shown]
        names = [_name(task, self.human.encoding) for task in shown]
        most = max(map(len, words), default=0)
        label = max((name.cell_len for name in names), default=0)
        label = max(min(label, self.human.width - most - SHORTEST - 2), 0)
        bar = max(min(LONGEST, self.human.width - most - label - 2), 0)
        table = Table.grid(padding=(0, 1))
        for task, name, text in zip(shown, names, words, strict=True):
            name.truncate(label, pad=True)
            table.add_row(name, _bar(task, bar), Text(text, no_wrap=True))
        return table


def _name(task: Task, encoding: str) -> Text:
    """A task's label, made of characters that will be printed as they are."""
    ellipsis = encodable("\N{HORIZONTAL ELLIPSIS}", encoding)
    overflow: OverflowMethod = "ellipsis" if len(ellipsis) == 1 else "crop"
    return Text(encodable(one_line(task.description), encoding), no_wrap=True, overflow=overflow)


def _bar(task: Task, width: int) -> ProgressBar:
    return ProgressBar(
        total=task.total, completed=task.completed, width=width, pulse=task.total is None,
        animation_time=task.get_time(),
    )  # fmt: skip


def fitted(words: Words, room: int) -> str:
    """The parts joined by commas, those of the highest ranks left out until they fit."""
    kept = list(words)
    while len(text := joined(kept)) > room and len(kept) > 1:
        worst = max(kept, key=lambda word: word[0])
        if worst[0] == 0:
            break
        kept.remove(worst)
    return text


def joined(words: Words) -> str:
    """All parts in one line."""
    return ", ".join(part for _, part in words)


class BarMeter:
    """A meter: a context manager that shows its bars; elsewhere lines or events come when due."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console
        self.clock = clock
        self.reported = clock()
        self.bars = Bars(console)

    def due(self, seconds: float) -> bool:
        """Whether the last report is so long ago; then there is one now."""
        now = self.clock()
        late = now - self.reported >= seconds
        self.reported = now if late else self.reported
        return late

    def __enter__(self) -> Self:
        self.bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bars.stop()
