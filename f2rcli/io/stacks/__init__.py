"""Stacks of microscopes: TIFF, ND2, CZI, LIF, HDF5 and OME-Zarr in, read lane by lane; TIFF and
OME-Zarr out, written anew, picture by picture, by the plan and the writer here."""

from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from fractions import Fraction
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from f2rcli.errors import InputError, OutputError, UsageError
from f2rcli.frames import ClipInfo, Frame, Plane
from f2rcli.io.base import Ledger, Reader, ReadOptions, WriteOptions, WritePlan, Writer
from f2rcli.io.files import PartFile, disk_errors, misread_error
from f2rcli.io.formats import ZARR
from f2rcli.io.numbering import results_in, tell_results
from f2rcli.io.sequence import MismatchError, first_readable, tell_missing
from f2rcli.io.stacks.output import StackOutput, as_written, kind_of_output
from f2rcli.io.stacks.stack import ALONE, UNNAMED, Lane, Series, in_time, lanes_of, listed_series
from f2rcli.io.stacks.tiff import default_target, holds, open_stack
from f2rcli.samples.defects import no_numbers, unreal_line
from f2rcli.samples.lanes import LaneStatistics, Taken, lane_layout, measure_lane, surveyed
from f2rcli.units import count

__all__ = ["default_target", "holds", "open_reader", "open_writer", "plan_output"]
READ_BACK = 64  # pictures of a series, evenly spread, that are compared once it is written


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
        self.interval = first.interval if timed else None
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
        every = self.stack.series
        unlike = len(self.chosen) > 1 and self.options.series is not None  # all of them
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
        promised = series.frames - series.unlisted
        self.ledger.promised(f"the file ({series.words})", promised, there, "picture")
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
            name=self.source.name, width=first.width, height=first.height, frames=sum(counts),
            layout=lane_layout(first.dtype, first.samples, seen.levels),
            duration=None if stated is None else float(max(counts) * stated),
            rate=None if stated is None else 1 / stated, time_base=stated or Fraction(1),
            notes=tuple(dict.fromkeys(self.notes)), lanes=tuple(one.label for one in self.lanes),
        )  # fmt: skip

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
        return [{
            "index": series.number, "kind": "stack", "codec": series.codec,
            "title": series.name, "axes": series.axes, "shape": series.shape,
            "samples": str(series.dtype), "container": self.stack.flavour,
            "lanes": sum(lane.series == series.number for lane in self.lanes),
            "pyramid": len(series.levels),
            "interval": float(series.interval or 0) or None,
        } for series in self.series]  # fmt: skip

    def paths(self) -> list[Path]:
        return self.stack.paths

    def close(self) -> None:
        self.stack.close()


# --- Writing --------------------------------------------------------------------------------------
def plan_output(reader: Reader, target: str, options: WriteOptions) -> WritePlan:
    path, zarr = Path(target), Path(target).suffix.lower() == ZARR
    if not isinstance(reader, StackReader):
        what = "OME-Zarr from stacks" if zarr else "TIFF stacks from TIFF stacks"
        hint = "Write a video, or numbered .png pictures."
        raise UsageError(f"{path.name}: f2r writes {what} only.", hint=hint)
    options.refuse_encoding("a stack, which is stored as its source is")
    if not reader.options.whole:
        hint = "Leave out start=, end= and frames=; --preview TIME shows a still."
        raise UsageError(f"{reader.info.name}: a stack can only be written whole.", hint=hint)
    kind = kind_of_output(reader.stack, path, overwrite=options.overwrite)
    outputs = [as_written(reader.stack, n, reader.series[n].axes) for n in reader.chosen]
    output = kind(reader.stack, outputs, path)
    left_out = [f"series {one.number + 1} {one.name}".rstrip() for one in reader.stack.series
                if one.number not in reader.chosen]  # fmt: skip
    return WritePlan(
        target=str(path), container=output.container, encoder=output.codec,
        pix_fmt=str(output.stored[0].dtype), kept=(output.words, *dict.fromkeys(output.kept)),
        dropped=(*left_out, *output.lost), notes=tuple(output.notes), detail=output,
    )  # fmt: skip


class StackWriter(Writer):
    """Writes the pictures of a stack as they come; what was there before is not touched."""

    reader: StackReader  # as the plan's maker saw to
    part: PartFile

    def __init__(self, reader: Reader, plan: WritePlan) -> None:
        super().__init__(reader, plan)
        self._output: StackOutput = plan.detail
        self._index = {
            (one.number, place): (number, index)
            for number, one in enumerate(self._output.outputs)
            for index, place in enumerate(one.places)
        }  # fmt: skip
        # Digests of what was written, by index, for each series.
        self._written: list[dict[int, bytes]] = [{} for _ in self._output.outputs]
        self.part = self._output.part(Path(plan.target), overwrite=plan.overwrite)

    def write(self, frame: Frame) -> None:
        with disk_errors(self.part.target):
            if not self.frames:
                self._output.begin(self.part.path, self.plan.provenance_text())
            taken: Taken = frame.source
            picture = taken.kept(frame)
            number, index = self._index[taken.place]
            self._written[number][index] = digest_of(picture)
            self._output.put(number, index, picture)
        self.frames += 1

    def _complete(self) -> tuple[str, ...]:
        read, target = self.reader.info.frames, self.part.target
        if self.frames + self.reader.skipped != read:
            what = f"{target.name}: {read} frames were read, but {self.frames} were written."
            raise OutputError(what, hint="Nothing was written to the target.")
        with disk_errors(target):
            self._output.close()
            return self._verified(target.name)

    def seconds(self) -> float:
        return self.reader.info.duration or 0.0

    def _verified(self, name: str) -> tuple[str, ...]:
        """Compare axes and some pictures of each series; what was compared, in words."""
        read, whole = 0, sum(map(len, self._written))
        with closing(open_stack(str(self.part.path))) as again:
            if [*map(_shape, again.series)] != [*map(_shape, self._output.stored)]:
                raise misread_error(name, "its axes differ when it is read back")
            for number, digests in enumerate(self._written):
                indices = sorted(digests)
                spread = np.linspace(0, len(indices) - 1, min(READ_BACK, len(indices))).round()
                for index in (indices[int(place)] for place in spread):
                    found = self._output.read(again, number, index)
                    if digest_of(found) != digests[index]:
                        what = f"picture {index + 1} differs when it is read back"
                        raise misread_error(name, what)
                    read += 1
        words = "each" if read == whole else f"{read} of them"
        return (f"{count(whole, 'picture')}, {words} read back",)

    def abandon(self) -> None:
        with suppress(OSError):  # a full disk refuses what is pending
            self._output.abandon()
        super().abandon()


def _shape(series: Series) -> tuple[str, tuple[int, ...]]:
    """Axes and sizes without those of one picture, which files do not name."""
    kept = [(a, n) for a, n in zip(series.axes, series.shape, strict=True) if n > 1 or a in "YX"]
    letters = "".join("T" if a in UNNAMED else a for a, _ in kept)
    return letters, tuple(n for _, n in kept)


def digest_of(picture: Plane) -> bytes:
    return blake2b(np.ascontiguousarray(picture).tobytes(), digest_size=16).digest()


open_reader, open_writer = StackReader, StackWriter
