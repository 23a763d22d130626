"""Progress and cancellation of a run, for its caller."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from threading import Event, get_ident
from typing import TypeVar

from f2rcli.api.options import Options
from f2rcli.api.report import Report
from f2rcli.errors import CancelledError, UsageError, shown
from f2rcli.system import CancelCheck

T = TypeVar("T")
Progress = bool | Callable[[int, int | None], object]
Cancel = Callable[[], bool] | None


@dataclass(frozen=True, slots=True)
class Watch:
    """Progress and cancellation of one call. Raises UsageError for what cannot be called."""

    progress: Progress = False
    cancel: Cancel = None

    def __post_init__(self) -> None:
        if not isinstance(self.progress, bool) and not callable(self.progress):
            raise UsageError(
                f"progress={shown(self.progress)}: neither True, False nor a function.",
                hint="A function gets the frames done and their total, which may be None.",
            )
        if self.cancel is not None and not callable(self.cancel):
            event = isinstance(self.cancel, Event)
            raise UsageError(
                f"cancel={shown(self.cancel)}: not a function.",
                hint=f"Pass {'event.is_set' if event else 'one that returns True to end the run'}.",
            )

    def check(self) -> None:
        """Raise CancelledError if the caller has cancelled."""
        if self.cancel is not None and self.cancel():
            raise CancelledError("cancelled: cancel() returned True.")

    def reading(self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items until the caller cancels."""
        for item in items:
            self.check()
            yield item

    def own_check(self) -> CancelCheck:
        """`check`, in this thread alone: the caller's function may not be made for others."""
        own = get_ident()

        def check() -> None:
            if get_ident() == own:
                self.check()

        return check

    def counted(self, items: Generator[T], total: int | None) -> Iterator[T]:
        """Yield the results, reporting progress to the caller. They end with this, however it ends:
        an error that somebody keeps would keep their threads too."""
        shown: Iterable[T] = items
        if self.progress is True:
            from rich.console import Console
            from rich.progress import track

            shown = track(items, "f2r", total=total, console=Console(stderr=True))
        with closing(items):
            for done, item in enumerate(shown, start=1):
                self.check()
                yield item
                if callable(self.progress):
                    self.progress(done, total)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of `denoise`."""

    watch: Watch
    options: Options
    adapt: bool | float  # whether weights are fitted first; minutes of training
    report: Report = field(default_factory=Report)
