"""Stacks read lane by lane, along time."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from f2rcli.defects import no_numbers, unreal_line
from f2rcli.errors import InputError, UsageError
from f2rcli.frames import ClipInfo, Family, Frame, Plane, PlaneLayout
from f2rcli.io.base import Ledger, Reader, ReadOptions
from f2rcli.io.tiff.axes import Lane, Series, in_time, lanes_of
from f2rcli.io.tiff.folder import open_stack
from f2rcli.io.tiff.levels import SAMPLED_FRAMES, LaneStatistics, measure_lane, without_stuck
from f2rcli.io.tiff.stack import Stack
from f2rcli.io.time_range import Span


@dataclass(frozen=True, slots=True)
class StackFrame:
    """The place that a frame came from and goes back to."""

    series: int
    picture: int
    sample: int | None
    statistics: LaneStatistics  # says which samples stay as they are stored


class StackReader(Reader):
    """A TIFF stack: every channel and every plane of depth is a lane, read along time."""

    def __init__(self, source: str, options: ReadOptions, stack: Stack | None = None) -> None:
        """stack: the files to read, if not TIFF."""
        self.source = Path(source)
        self.options = options
        self.ledger = Ledger()
        self.stack: Stack = stack or open_stack(source)
        self.notes: list[str] = []
        try:
            self._understand()
        except BaseException:
            self.stack.close()
            raise

    def _understand(self) -> None:
        """Order the pictures into lanes along time, and say what the clip is."""
        self.series = [self._understood(series) for series in self.stack.series]
        if self.stack.cut_off and not self.ledger.damaged:
            self._fault("its list of pages breaks off; pages may be missing")
        self.interval = self.stack.interval
        every = lanes_of(self.series)
        self.lanes = [lane for lane in map(self._cut, every) if lane.frames]
        self.whole = sum(len(lane.frames) for lane in self.lanes) == sum(
            len(lane.frames) for lane in every
        )
        if not self.lanes:
            raise InputError(
                f"{self.source.name}: no pictures are left to read.",
                hint="The file is truncated, or start= lies behind its end.",
            )
        self._by_lane: dict[int, LaneStatistics] = {}
        self.info = self._info()

    def _understood(self, series: Series) -> Series:
        timed, note = in_time(series, self.options.axes, self.stack.name)
        if note is not None:
            self._note(note)
        missing = series.frames - self.stack.present[series.number]
        if missing:
            self.ledger.missing_frames += missing
            there = f"{self.stack.present[series.number]} of {series.frames}"
            self._fault(f"truncated: {there} pictures of {series.words} are complete")
        if series.dtype.itemsize == 8:
            self._note("float64 samples: the noise is computed in float32")
        return timed

    def _fault(self, line: str) -> None:
        if self.options.strict:
            raise InputError(f"{self.stack.name}: {line}.")
        self.ledger.fault(line)

    def _note(self, line: str) -> None:
        if line not in self.notes:
            self.notes.append(line)

    def _cut(self, lane: Lane) -> Lane:
        """The lane without what is not asked for, and without what is not there."""
        span, present = Span.of(self.options), self.stack.present[lane.series]
        if self.interval is None and (span.start or span.end is not None):
            raise UsageError(
                f"{self.source.name}: does not state the time between frames.",
                hint="Pass frames= instead of start= and end=.",
            )
        step = self.interval or Fraction(0)
        taken: list[int] = []
        for number, frame in enumerate(lane.frames):
            if span.beyond(number * step, len(taken)):
                break
            if frame < present and not span.before(number * step):
                taken.append(frame)
        return replace(lane, frames=tuple(taken))

    def _info(self) -> ClipInfo:
        first = self.series[self.lanes[0].series]
        longest = max(len(lane.frames) for lane in self.lanes)
        if longest == 1:
            self._note("one frame per lane: no neighbours in time to use")
        if any(series.samples > 1 for series in self.series) and any(
            lane.sample is not None for lane in self.lanes
        ):
            self._note("the samples of a pixel are denoised separately, as channels")
        stated = self.interval
        frames = sum(len(lane.frames) for lane in self.lanes)
        layout = self._layout(0)
        for line in self._statistics(0).lines():
            self.ledger.remark(self._said(0, line))
        return ClipInfo(
            name=self.source.name,
            width=first.width,
            height=first.height,
            layout=layout,
            frames=frames,
            duration=None if stated is None else float(longest * stated),
            rate=None if stated is None else 1 / stated,
            time_base=stated or Fraction(1),
            notes=tuple(self.notes),
            lanes=tuple(lane.label for lane in self.lanes),
        )

    def _said(self, number: int, line: str) -> str:
        label = self.lanes[number].label
        return f"{label}: {line}" if label else line

    def _statistics(self, number: int) -> LaneStatistics:
        if number not in self._by_lane:
            lane = self.lanes[number]
            places = np.unique(
                np.linspace(0, len(lane.frames) - 1, SAMPLED_FRAMES).round().astype(int)
            )
            self._by_lane[number] = measure_lane([self._read(lane, int(place)) for place in places])
        return self._by_lane[number]

    def _layout(self, number: int) -> PlaneLayout:
        lane = self.lanes[number]
        series = self.series[lane.series]
        colour = lane.sample is None and series.samples > 1
        bits = 32 if series.dtype.kind == "f" else 8 * series.dtype.itemsize
        display = colour and series.dtype == np.uint8  # a picture for the eye, levels and all
        return PlaneLayout(
            family=Family.RGB if colour else Family.GRAY,
            bits=bits,
            alpha=colour and series.samples == 4,
            levels=(0.0, 255.0) if display else self._statistics(number).levels,
        )

    def _read(self, lane: Lane, number: int) -> Plane:
        """Frame `number` of a lane, (Y, X) or (Y, X, S)."""
        picture = self.stack.read(lane.series, lane.frames[number])
        return picture if lane.sample is None else np.ascontiguousarray(picture[..., lane.sample])

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames of the first lane in the order of time, then those of the next."""
        for number, lane in enumerate(self.lanes):
            layout, seen = self._layout(number), self._statistics(number)
            for line in seen.lines():
                self.ledger.remark(self._said(number, line))
            unreal = 0
            for index in range(len(lane.frames)):
                picture = self._read(lane, index)
                unreal += no_numbers(picture)
                planes = (picture,) if picture.ndim == 2 else tuple(np.moveaxis(picture, -1, 0))
                yield Frame(
                    planes=tuple(without_stuck(plane, seen.stuck) for plane in planes),
                    layout=layout, pts=index, duration=1, time_base=self.info.time_base,
                    source=StackFrame(lane.series, lane.frames[index], lane.sample, seen),
                    lane=number,
                )  # fmt: skip
            if unreal:
                self.ledger.remark(self._said(number, unreal_line(unreal)))
            del self._by_lane[number]

    def describe(self) -> list[dict[str, Any]]:
        """One dict per series."""
        return [
            {
                "index": series.number, "kind": "stack", "codec": self.stack.codec(series.number),
                "title": series.name, "axes": series.axes, "shape": series.shape,
                "samples": str(series.dtype), "container": self.stack.flavour,
                "lanes": sum(lane.series == series.number for lane in self.lanes),
                "pyramid": len(self.stack.levels(series.number)),
                "interval": None if self.interval is None else float(self.interval),
            }
            for series in self.series
        ]  # fmt: skip

    def paths(self) -> list[Path]:
        """Every file that is read."""
        return self.stack.paths

    def close(self) -> None:
        """Let go of the files."""
        self.stack.close()
