"""Stacks read lane by lane, along time or depth."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from f2rcli.errors import InputError, UsageError
from f2rcli.frames import ClipInfo, Frame, Plane
from f2rcli.io.base import Ledger, Reader, ReadOptions
from f2rcli.io.numbering import results_in, tell_results
from f2rcli.io.sequence import MismatchError, first_readable, tell_missing
from f2rcli.io.stacks.stack import ALL, ALONE, Lane, Series, in_time, lanes_of, listed_series
from f2rcli.io.stacks.tiff import open_stack
from f2rcli.samples.defects import no_numbers, unreal_line
from f2rcli.samples.lanes import LaneStatistics, Taken, lane_layout, measure_lane, surveyed


class StackReader(Reader):
    """A stack, read lane by lane."""

    format = "stacks"

    def __init__(self, source: str, options: ReadOptions) -> None:
        self.source = Path(source)
        self.options = options
        self.ledger = Ledger(name=self.source.name)
        self.stack = open_stack(source)
        self.provenance = self.stack.provenance
        self.notes: list[str] = []
        self.skipped = 0  # frames of `info.frames` that could not be decoded
        self._unread: set[tuple[int, int]] = set()  # their series and places
        try:
            self._understand()
        except BaseException:
            self.stack.close()
            raise

    def _understand(self) -> None:
        if self.stack.misfit and self.options.axes is None:
            raise InputError(
                f"{self.stack.name}: truncated or damaged: {self.stack.misfit}.",
                hint="Copy it again, or name the axes of the rest: axes='TYX' is a movie.",
            )
        for line in filter(None, (self.stack.misfit, self.stack.broken)):
            self.ledger.fault(line)
        self.chosen = self.stack.chosen(self.options.series)
        self.series = [self._understood(series) if series.number in self.chosen else series
                       for series in self.stack.series]  # fmt: skip
        self.notes += (*self.stack.remarks, *tell_results(results_in(self.source)))
        tell_missing(self.ledger, list(self.stack.counted))
        first = self.series[self.chosen[0]]
        timed = first.sequence == "T"
        self.interval = self.stack.interval(first.number) if timed else None
        if len({self.series[number].samples for number in self.chosen}) > 1:
            listed = listed_series(self.series)
            raise UsageError(f"{self.source.name}: gray and colour are no one clip: {listed}.",
                             hint="Choose one with series=.")  # fmt: skip
        every = lanes_of([self.series[number] for number in self.chosen])
        # Lanes without what is not there, and the places in them that are asked for.
        asked = [(lane, places) for lane, places in map(self._asked, every) if places]
        self.lanes, self.asked = [lane for lane, _ in asked], [places for _, places in asked]
        if not self.lanes:
            hint = "The file is truncated, or start= lies behind its end."
            raise InputError(f"{self.source.name}: no pictures are left to read.", hint=hint)
        self._first = self._statistics(self.lanes[0])  # others are measured in their turn
        self.info = self._info()

    def _understood(self, series: Series) -> Series:
        """The series with its axes named; what is said of it. Raises InputError, UsageError."""
        every, wanted = self.stack.series, self.options.series
        unlike = len(every) > 1 and wanted is not None and wanted.casefold() == ALL
        try:
            self.stack.check(series.number)
            timed, note = in_time(series, self.options.axes, self.stack.name, unlike=unlike)
        except (InputError, UsageError) as error:
            if len(self.chosen) == 1:
                raise
            hint = f"Choose one of them: series=1 to {len(every)}"
            hint += "; or series='all'." if isinstance(error, UsageError) else "."
            listed = f"{error} Its series: {listed_series(every)}."
            raise type(error)(listed, hint=hint) from error
        note = note or timed.sequence_note
        self.notes += [note] if note else []
        there = series.frames - len(series.absent)
        self.ledger.promised(f"the file ({series.words})", series.frames, there, "picture")
        if series.dtype.itemsize == 8:
            self.notes.append("float64 samples: the noise is computed in float32")
        return timed

    def _asked(self, lane: Lane) -> tuple[Lane, range]:
        """The lane without what is not there, and the places in it that are asked for."""
        span, absent = self.options, self.series[lane.series].absent
        if self.interval is None and (span.start or span.end is not None):
            raise UsageError(
                f"{self.source.name}: does not state the time between frames.",
                hint="Leave out start= and end=; a preview shows its first frame, 0.",
            )
        step = self.interval or Fraction(0)
        there = {f: number * step for number, f in enumerate(lane.frames) if f not in absent}
        return replace(lane, frames=tuple(there)), span.places([*there.values()])

    def _info(self) -> ClipInfo:
        first = self.series[self.lanes[0].series]
        counts = [len(places) for places in self.asked]
        if max(len(lane.frames) for lane in self.lanes) == 1 and ALONE not in self.notes:
            self.notes.append("one frame per lane: no neighbours to use")
        stated, seen = self.interval, self._first
        self._remark(0, *seen.lines())
        return ClipInfo(
            name=self.source.name,
            width=first.width,
            height=first.height,
            layout=lane_layout(first.dtype, first.samples, seen.levels),
            frames=sum(counts),
            duration=None if stated is None else float(max(counts) * stated),
            rate=None if stated is None else 1 / stated,
            time_base=stated or Fraction(1),
            notes=tuple(dict.fromkeys(self.notes)),
            lanes=tuple(lane.label for lane in self.lanes),
        )

    def _remark(self, number: int, *lines: str) -> None:
        """Remarks on a lane."""
        label = self.lanes[number].label
        self.ledger.remark(*(f"{label}: {line}" if label else line for line in lines))

    def _statistics(self, lane: Lane) -> LaneStatistics:
        few, more = (surveyed(len(lane.frames), between=rest) for rest in (False, True))
        shown = list(self._pictures(lane, few)) or [
            first_readable(lane.frames, partial(self.stack.read, lane.series))
        ]
        return measure_lane(shown, self._pictures(lane, more))

    def _pictures(self, lane: Lane, places: list[int]) -> Iterator[Plane]:
        """Those that can be read of the pictures at some places of a lane."""
        return (one for place in places if (one := self._picture(lane, place)) is not None)

    def _picture(self, lane: Lane, number: int) -> Plane | None:
        """Frame `number` of a lane; None, and a line in the ledger, where it cannot be decoded."""
        try:
            return self.stack.read(lane.series, lane.frames[number])
        except InputError as error:
            if isinstance(error, MismatchError):
                raise
            place = lane.series, lane.frames[number]
            if place not in self._unread:
                self._unread.add(place)
                self.ledger.fault(f"{str(error).rstrip('.')}; {self.stack.unread}")
            return None

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames of the first lane in their order, then those of the next."""
        lead, trail = self.options.lead, self.options.trail
        for number, (lane, asked) in enumerate(zip(self.lanes, self.asked, strict=True)):
            seen = self._statistics(lane) if number else self._first
            self._remark(number, *seen.lines())
            unreal, end = 0, min(asked.stop + trail, len(lane.frames))
            for index in range(max(asked.start - lead, 0), end):
                picture, context = self._picture(lane, index), index not in asked
                if picture is None:
                    self.skipped += not context
                    continue
                unreal += no_numbers(picture)
                frame = Taken(picture, seen, (lane.series, lane.frames[index])).frame(
                    pts=index - asked.start, duration=1, time_base=self.info.time_base, lane=number
                )
                yield replace(frame, index=index, context=context)
            if unreal:
                self._remark(number, unreal_line(unreal))

    def describe(self) -> list[dict[str, Any]]:
        return [
            {
                "index": series.number, "kind": "stack", "codec": series.codec,
                "title": series.name, "axes": series.axes, "shape": series.shape,
                "samples": str(series.dtype), "container": self.stack.flavour,
                "lanes": sum(lane.series == series.number for lane in self.lanes),
                "pyramid": len(series.levels),
                "interval": float(self.stack.interval(series.number) or 0) or None,
            }
            for series in self.series
        ]  # fmt: skip

    def paths(self) -> list[Path]:
        return self.stack.paths

    def close(self) -> None:
        self.stack.close()
