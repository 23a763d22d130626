"""Frames one by one, as iterables give them: lanes go through the engine side by side."""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from f2rcli.api.arrays import Taken, array_info, put_back, statistics_of
from f2rcli.api.axes import Grid, letters_of
from f2rcli.api.options import Options
from f2rcli.api.pictures import (
    check_alike,
    copy_of,
    empty_like,
    kind_of,
    put,
    unmasked,
    values_of,
)
from f2rcli.api.report import LaneNoise, Report
from f2rcli.engine.settings import changes_nothing
from f2rcli.frames import Frame, PlaneLayout
from f2rcli.samples.lanes import Arriving, LaneStatistics, lane_layout
from f2rcli.system import CancelCheck, load_torch, never_cancelled
from f2rcli.window import emptied, tee_releasing

if TYPE_CHECKING:
    from f2rcli.engine.stream import Engine

OPENING = 6  # frames that levels are measured on: as many as the noise is


class FrameSequence:
    """A sequence of frames that are alike, with an engine for each of its lanes."""

    def __init__(self, first: Any, options: Options, check: CancelCheck = never_cancelled) -> None:
        """first: its first frame; check: see `Watch.own_check`. Raises InputError or UsageError."""
        load_torch()
        from f2rcli.engine.stream import load_engine  # brings torch

        self.first, self.options = first, options
        self.dtype = values_of(first).dtype
        named = letters_of(first.dims) if kind_of(first) == "xarray" else None
        self.grid = Grid.of(tuple(first.shape), options.axes or named, frame=True)
        self.lanes = self.grid.lanes
        loaded = load_engine(options, array_info(self.grid, self.dtype))
        loaded.threads = 1  # a second one would delay each result by a frame
        loaded.prompt, loaded.check = True, check
        self.engines: list[Engine] = [loaded, *(loaded.another() for _ in self.lanes[1:])]
        self.layouts: list[PlaneLayout] = []  # of the lanes, once their levels are known

    def fits(self, frame: Any) -> bool:
        """Whether another sequence that begins with this frame needs nothing new."""
        return type(frame) is type(self.first) and (
            (tuple(frame.shape), frame.dtype) == (tuple(self.first.shape), self.first.dtype)
        )

    def begin_again(self) -> None:
        """Forget what is known of the noise; the networks stay."""
        self.engines = [engine.another() for engine in self.engines]
        self.layouts = []

    @property
    def noise(self) -> tuple[LaneNoise, ...]:
        """The noise of every lane that is known by now."""
        known = zip(self.lanes, self.layouts, self.engines, strict=False)
        return tuple(
            LaneNoise.of(lane.label, layout, engine.found.noise)
            for lane, layout, engine in known
            if engine.found.noise is not None
        )

    def tell(self, report: Report) -> None:
        """Update a report with what the engines have found so far."""
        for engine in self.engines:
            report.take_in(engine)
        report.noise = self.noise

    def restored(self, frames: Iterable[Any]) -> Generator[Any]:
        """Yield one restored frame per input frame, in order, holding one window of them."""
        alike = self._checked(frames)
        if changes_nothing(self.options):
            for frame in alike:
                yield self._put_together(frame, [None] * len(self.lanes))
            return
        opening = deque(islice(alike, OPENING))
        places = [self.grid.place(lane, 0) for lane in self.lanes]
        known = [
            statistics_of((frame[place] for frame in opening), self.grid, self.options)
            for place in places
        ]
        for lane, seen in enumerate(known):
            self._note(lane, seen)
        self.layouts = [lane_layout(self.dtype, self.grid.samples, seen.levels) for seen in known]
        yield from self._streamed(chain(emptied(opening), alike), known)

    def _streamed(self, frames: Iterator[Any], known: list[LaneStatistics]) -> Iterator[Any]:
        from f2rcli.engine.stream import denoise_stream

        waiting: dict[int, Any] = {}
        branches = tee_releasing(enumerate(frames), len(self.lanes))

        def taken(branch: Iterator[tuple[int, Any]], lane: int) -> Iterator[Frame]:
            place, arriving = self.grid.place(self.lanes[lane], 0), Arriving(known[lane])
            for number, frame in branch:
                waiting[number] = frame
                one, before = Taken.of(frame[place], self.grid, place, arriving.seen), arriving.seen
                if arriving.add(unmasked(one.picture, one.mask)):
                    one = replace(one, statistics=arriving.seen)
                    if arriving.seen.defects.size > before.defects.size:
                        self._note(lane, arriving.seen)
                yield one.frame(number)

        info = array_info(self.grid, self.dtype)
        streams = [
            denoise_stream(taken(branch, lane), info, self.engines[lane])
            for lane, branch in enumerate(branches)
        ]
        for done in zip(*streams, strict=True):
            yield self._put_together(waiting.pop(done[0].pts), list(done))

    def _note(self, lane: int, seen: LaneStatistics) -> None:
        label = self.lanes[lane].label
        for line in seen.lines():
            self.engines[lane].found.note(f"{label}: {line}" if label else line)

    def _put_together(self, frame: Any, lanes: list[Frame | None]) -> Any:
        """A frame of the kind that was given, from its restored lanes; None: as they were."""
        out = empty_like(frame)
        put(out, (...,), values_of(frame))
        for restored in lanes:
            if restored is not None:
                put_back(out, restored, self.grid)
        return out

    def _checked(self, frames: Iterable[Any]) -> Iterator[Any]:
        for number, frame in enumerate(frames):
            check_alike(frame, self.first, number)
            yield copy_of(frame)  # cameras fill one buffer again and again
