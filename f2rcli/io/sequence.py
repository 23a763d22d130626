"""Clips of pictures that are read one by one, of which damaged ones are held; and what comes after
an excerpt of any clip."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from f2rcli.errors import InputError
from f2rcli.frames import ClipInfo, Frame, PlaneLayout, same_samples
from f2rcli.io.base import Ledger, Reader, ReadOptions
from f2rcli.io.numbering import missing_numbers, results_in, tell_results
from f2rcli.units import count, duration

RATE = Fraction(25)  # frames per second, where files state no rate of their own

T = TypeVar("T")
Item = TypeVar("Item")


class MismatchError(InputError):
    """A picture that does not belong to the clip: another size, format or camera. Not damage."""


def mismatch(name: str, own: str, others: str) -> MismatchError:
    each = f"name the files (*{Path(name).suffix}), each of which is one then"
    hint = f"A clip has one size, kind and setting: put the others elsewhere, or {each}."
    return MismatchError(f"{name}: {own}, the pictures before are {others}.", hint=hint)


class SequenceReader(Reader):
    """One picture per file of `every`; a subclass knows how to read one."""

    def __init__(
        self, source: str, options: ReadOptions, every: list[Path], rate: Fraction = RATE
    ) -> None:
        """every: the files of the whole clip. Raises InputError where none are asked for."""
        self.source = Path(source)
        self.options = options
        self.ledger = Ledger(name=self.source.name)
        self.every = every
        self.rate = rate
        self.asked = options.places([place / rate for place in range(len(every))])
        if not self.asked:
            long = duration(float(len(every) / rate))
            what = f"{self.source.name}: has only {count(len(every))}, {long}."
            raise InputError(what, hint="Name an earlier time.")
        self.files = every[self.asked.start : self.asked.stop]

    def _info(
        self, width: int, height: int, layout: PlaneLayout, notes: list[str], **more: Any
    ) -> ClipInfo:
        frames, rate = len(self.files), self.rate
        notes = [*notes, *tell_results(results_in(self.source))]
        return ClipInfo(
            name=self.source.name, width=width, height=height, layout=layout, notes=tuple(notes),
            frames=frames, duration=float(frames / rate), rate=rate, time_base=1 / rate, **more,
        )  # fmt: skip

    def paths(self) -> list[Path]:
        return list(self.files)

    @abstractmethod
    def _read(self, index: int) -> Frame:
        """Planes, layout and source of a picture. Raises InputError for damage."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield the pictures; one that is damaged is held."""
        yield from self._context(max(0, self.asked.start - self.options.lead), self.asked.start)
        last: Frame | None = None
        for index in self.asked:
            try:
                last = self._read(index)
            except InputError as error:
                if isinstance(error, MismatchError):
                    raise
                self.ledger.fault(str(error).rstrip("."))
                self.ledger.held += 1
                last = replace(last or first_readable(self.asked, self._read), held=True)
            yield self._timed(last, index)
        assert last is not None  # some are asked for
        rest = self._context(self.asked.stop, len(self.every))
        yield from trailing(rest, last, self.options.trail)

    def opening(self) -> Iterator[Frame]:
        return self._context(0, len(self.every) if self.asked.start else 0)

    def _context(self, start: int, stop: int) -> Iterator[Frame]:
        """Pictures of the whole clip that are not to be written; damaged ones are left out."""
        for index in range(start, stop):
            with suppress(InputError):
                yield replace(self._timed(self._read(index), index), context=True)

    def _timed(self, frame: Frame, index: int) -> Frame:
        pts = index - self.asked.start
        return replace(frame, pts=pts, duration=1, time_base=1 / self.rate, index=index)


def first_readable(items: Iterable[Item], read: Callable[[Item], T]) -> T:
    """The first undamaged item. Raises the first error where there is none."""
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
    ledger.promised("the numbering", promised, len(files), "file", detail=f"{first}{are} missing")


_SEARCHED = 16  # frames looked at for each different one after an excerpt


def trailing(frames: Iterable[Frame], last: Frame, count: int) -> Iterator[Frame]:
    """Up to `count` different frames after an excerpt's `last`; no still is waited out."""
    for frame in islice(frames, _SEARCHED * count):
        if not same_samples(last, frame):
            yield frame
            last, count = frame, count - 1
        if not count:
            return
