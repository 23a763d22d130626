"""Clips of pictures that are read one by one: damaged ones are held, all have the same duration."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

from f2rcli.errors import InputError
from f2rcli.frames import Frame
from f2rcli.io.base import Ledger, Reader, ReadOptions
from f2rcli.io.numbering import missing_numbers
from f2rcli.io.time_range import TimeRange, excerpt_range, trailing
from f2rcli.units import count

RATE = Fraction(25)  # frames per second, where files state no rate of their own

T = TypeVar("T")
Item = TypeVar("Item")


class MismatchError(InputError):
    """A picture that does not belong to the clip: another size, format or camera. Not damage."""


class SequenceReader(Reader):
    """One picture per item of `every`; a subclass knows what the items are."""

    recalled = 0  # pictures before the lead-in of an excerpt that are read too (`Frame.recalled`)

    def __init__(
        self, source: str, options: ReadOptions, every: Sequence[object], rate: Fraction = RATE
    ) -> None:
        """every: the items of the whole clip. Raises InputError where none are asked for."""
        self.source = Path(source)
        self.options = options
        self.ledger = Ledger(name=self.source.name)
        self.every = every
        self.rate = rate
        self.asked = excerpt_range(len(every), TimeRange.of(options), rate)
        if not self.asked:
            raise InputError(
                f"{self.source.name}: has only {len(every)} frames, {len(every) / rate:.2f} s.",
                hint="Pass an earlier start=.",
            )

    @abstractmethod
    def _read(self, index: int) -> Frame:
        """Planes, layout and source of a picture. Raises InputError for damage."""

    @abstractmethod
    def _named(self, frame: Frame, index: int) -> Frame:
        """The frame, as it stands in for the damaged picture `index`."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield the pictures; one that is damaged is held."""
        lead = max(0, self.asked.start - self.options.lead)
        if self.options.lead:
            for frame in self._context(max(0, lead - self.recalled), lead):
                yield replace(frame, recalled=True)
        yield from self._context(lead, self.asked.start)
        last: Frame | None = None
        for index in self.asked:
            try:
                last = self._read(index)
            except InputError as error:
                if isinstance(error, MismatchError):
                    raise
                self.ledger.fault(str(error))
                self.ledger.held += 1
                last = replace(
                    self._named(last or first_readable(self.asked, self._read), index), held=True
                )
            yield self._timed(last, index)
        assert last is not None  # some are asked for
        yield from trailing(
            self._context(self.asked.stop, len(self.every)), last, self.options.trail
        )

    def opening(self) -> Iterator[Frame]:
        return self._context(0, len(self.every) if self.asked.start else 0)

    def _context(self, start: int, stop: int) -> Iterator[Frame]:
        """Pictures of the whole clip that are not to be written; damaged ones are left out."""
        for index in range(start, stop):
            try:
                yield replace(self._timed(self._read(index), index), context=True)
            except InputError:
                continue

    def _timed(self, frame: Frame, index: int) -> Frame:
        pts = index - self.asked.start
        return replace(frame, pts=pts, duration=1, time_base=1 / self.rate, index=index)


def first_readable(items: Iterable[Item], read: Callable[[Item], T]) -> T:
    """Read the first undamaged item. Raises the first error where there is none."""
    refused: InputError | None = None
    for item in items:
        try:
            return read(item)
        except InputError as error:
            refused = refused or error
    raise refused or InputError("holds no pictures.")


def tell_missing(ledger: Ledger, files: list[Path]) -> None:
    """Record files that the numbers of the others promise."""
    missing, first = missing_numbers(files)
    are = f" and {count(missing - 1, 'other')} are" if missing > 1 else " is"
    promised = len(files) + missing
    ledger.promised(
        "the numbering", promised, len(files), "file", detail=f"{first}{are} missing"
    )  # fmt: skip
