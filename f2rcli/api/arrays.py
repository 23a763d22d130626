"""Whole arrays, lane by lane, through the functions that stacks in files go through."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np

from f2rcli.api.axes import Grid, Lane, Place
from f2rcli.api.options import Options
from f2rcli.api.pictures import copy_of, empty_like, mask_of, put, unmasked, values_of
from f2rcli.api.report import Report
from f2rcli.api.watch import Call
from f2rcli.engine.settings import changes_nothing
from f2rcli.frames import ClipInfo, Frame, Mask, Plane
from f2rcli.samples.defects import no_numbers, unreal_line
from f2rcli.samples.lanes import (
    LaneStatistics,
    lane_layout,
    measure_lane,
    picture_kept,
    planes_seen,
    surveyed,
)
from f2rcli.system import CancelCheck, load_torch, never_cancelled

TIME_BASE = Fraction(1)  # arrays say nothing of time, and nothing depends on it
UNKNOWN = LaneStatistics((0.0, 1.0))  # of a lane that nothing looks at


@dataclass(frozen=True, slots=True)
class Taken:
    """A picture as it was given, and where its result goes."""

    picture: Plane  # (H, W) or (H, W, S)
    mask: Mask | None
    place: Place
    statistics: LaneStatistics

    @classmethod
    def of(cls, stored: Any, grid: Grid, place: Place, statistics: LaneStatistics) -> "Taken":
        """The samples at a place of an array."""
        mask = mask_of(stored)
        mask = None if mask is None else grid.picture(mask)
        return cls(grid.picture(values_of(stored)), mask, place, statistics)

    def frame(self, number: int, lane: int = 0, *, context: bool = False) -> Frame:
        """The picture as the engine takes it."""
        samples = 1 if self.picture.ndim == 2 else self.picture.shape[2]
        seen = self.statistics
        return Frame(
            planes=planes_seen(unmasked(self.picture, self.mask), seen),
            stored=seen.stored(self.picture, self.mask),
            layout=lane_layout(self.picture.dtype, samples, seen.levels),
            pts=number, duration=1, time_base=TIME_BASE, source=self, lane=lane,
            index=number, context=context,
        )  # fmt: skip

    def kept(self, restored: Frame) -> Plane:
        """The restored picture, with what was masked or is no light as it was."""
        done = picture_kept(self.picture, restored.planes, self.statistics)
        if self.mask is not None:
            done[self.mask] = self.picture[self.mask]
        return done


def put_back(out: Any, restored: Frame, grid: Grid) -> None:
    """Write a restored picture to where `Taken` found it."""
    taken: Taken = restored.source
    put(out, taken.place, grid.stored(taken.kept(restored)))


@dataclass(frozen=True, slots=True)
class ArrayStack:
    """An array of any kind, and what its axes mean."""

    array: Any
    grid: Grid
    known: dict[str, LaneStatistics] = field(default_factory=dict)  # by lane
    check: CancelCheck = never_cancelled  # before every picture is read
    apart: bool = False  # pictures are copies, as results may be written over the array

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype of its pictures."""
        return values_of(self.array[self.grid.place(self.grid.lanes[0], 0)]).dtype

    def survey(self, lane: Lane, options: Options) -> LaneStatistics:
        """Statistics of a lane, from frames that are spread over it."""
        if lane.label not in self.known:
            stored, more = (
                self._stored(lane, surveyed(self.grid.frames, between=rest))
                for rest in (False, True)
            )
            self.known[lane.label] = statistics_of(stored, self.grid, options, more)
        return self.known[lane.label]

    def _stored(self, lane: Lane, numbers: Iterable[int]) -> Iterator[Any]:
        return (self.picture(lane, number) for number in numbers)

    def picture(self, lane: Lane, number: int) -> Any:
        """A picture of a lane, as stored in the array."""
        self.check()
        found = self.array[self.grid.place(lane, number)]
        return copy_of(found) if self.apart else found

    def frames(
        self, lane: int, seen: LaneStatistics, begin: int = 0, asked: range | None = None
    ) -> Iterator[Frame]:
        """A lane's frames, the first of them the `begin`th; those not asked for are context."""
        for index in range(self.grid.frames):
            place = self.grid.place(self.grid.lanes[lane], index)
            taken = Taken.of(self.picture(self.grid.lanes[lane], index), self.grid, place, seen)
            context = asked is not None and index not in asked
            yield taken.frame(begin + index, lane, context=context)


def statistics_of(
    stored: Iterable[Any], grid: Grid, options: Options, more: Iterable[Any] = ()
) -> LaneStatistics:
    """A lane's statistics from some of its pictures in arrays, and `more`, read one by one."""
    if changes_nothing(options):
        return UNKNOWN
    pictures = list(_pictures(stored, grid))
    found = measure_lane(pictures, _pictures(more, grid))
    return found if options.levels is None else replace(found, levels=options.levels)


def _pictures(stored: Iterable[Any], grid: Grid) -> Iterator[Plane]:
    for taken in (Taken.of(one, grid, (), UNKNOWN) for one in stored):
        yield unmasked(taken.picture, taken.mask)


def array_info(grid: Grid, dtype: np.dtype[Any]) -> ClipInfo:
    """The clip's facts, for the engine."""
    height, width = grid.size
    lanes = tuple(lane.label for lane in grid.lanes)
    return ClipInfo(
        name="array", width=width, height=height, frames=grid.frames * len(lanes), lanes=lanes,
        layout=lane_layout(dtype, grid.samples, UNKNOWN.levels),
        duration=None, rate=None, time_base=TIME_BASE,
    )  # fmt: skip


def denoise_array(stack: ArrayStack, call: Call, output: Any) -> Any:
    """An array like the one given, or `output`, with every picture restored."""
    load_torch()
    from f2rcli.engine.stream import denoise_stream, load_engine  # brings torch

    out = empty_like(stack.array) if output is None else output
    grid, options, watch, report = stack.grid, call.options, call.watch, call.report
    if 0 in grid.shape:
        return out
    watch.check()
    if grid.note:
        report.note(grid.note)
    info = array_info(grid, stack.dtype)
    engine = load_engine(options, info)
    engine.check = watch.own_check()
    frames = _frames(stack, options, report)
    restored = denoise_stream(frames, info, engine)
    for frame in watch.counted(restored, info.frames):
        put_back(out, frame, grid)
        report.frames += 1
    report.take_in(engine)
    report.take_lanes(engine, (lane.label for lane in grid.lanes))
    return out


def _frames(stack: ArrayStack, options: Options, report: Report) -> Iterator[Frame]:
    """The frames of the first lane in their order, then those of the next."""
    for number, lane in enumerate(stack.grid.lanes):
        seen = stack.survey(lane, options)
        before = f"{lane.label}: " if lane.label else ""
        for line in seen.lines():
            report.note(before + line)
        unreal = 0
        for frame in stack.frames(number, seen):
            unreal += no_numbers(frame.source.picture)
            yield frame
        if unreal:
            report.note(before + unreal_line(unreal))
