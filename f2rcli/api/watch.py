"""A caller's hold on a run in progress: progress and cancellation."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from threading import Event
from typing import TypeVar

from f2rcli.api.options import Options
from f2rcli.api.report import Report
from f2rcli.errors import CancelledError, UsageError

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
                f"progress={self.progress!r}: neither True, False nor a function.",
                hint="A function gets the frames done and their total, which may be None.",
            )
        if self.cancel is not None and not callable(self.cancel):
            event = isinstance(self.cancel, Event)
            raise UsageError(
                f"cancel={self.cancel!r}: not a function.",
                hint=f"Pass {'event.is_set' if event else 'one that returns True to end the run'}.",
            )

    def check(self) -> None:
        """Raise CancelledError if the caller wants no more."""
        if self.cancel is not None and self.cancel():
            raise CancelledError("cancelled: cancel() returned True.")

    def reading(self, items: Iterable[T]) -> Iterator[T]:
        """The items, as long as the caller wants them."""
        for item in items:
            self.check()
            yield item

    def counted(self, items: Iterable[T], total: int | None) -> Iterator[T]:
        """The results, with what the caller asked to see of them."""
        if self.progress is True:
            from tqdm.auto import tqdm  # looks for a notebook when it is imported

            items = tqdm(items, total=total, unit="frame")
        for done, item in enumerate(items, start=1):
            self.check()
            yield item
            if callable(self.progress):
                self.progress(done, total)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of `denoise`."""

    watch: Watch
    options: Options
    adapt: str | None
    report: Report = field(default_factory=Report)
