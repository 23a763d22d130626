"""Frames one by one: as iterables give them, and as a live source pushes them."""

import queue
import threading
import weakref
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Self, Unpack

from f2rcli.api.arrays import (
    Grid,
    Taken,
    array_info,
    check_alike,
    copy_of,
    empty_like,
    kind_of,
    letters_of,
    put,
    put_back,
    statistics_of,
    unmasked,
    values_of,
)
from f2rcli.api.call import Keywords, LaneNoise, Options, Report, refuse_series
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
        """first: its first frame; check: see `Call.own_check`. Raises InputError or UsageError."""
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


# --- Live: push a frame, get back those that are ready -------------------------------------------


_END = object()


class Denoiser:
    """Denoise a live sequence: `push` takes a frame and returns those that are ready.

    Frames are NumPy arrays, masked ones too, or torch tensors (H, W) or (H, W, 3 or 4), or of any
    other axes with `axes`, all alike; results are of the same type, dtype and device, in order, one
    for each. The keywords are those of `denoise`; levels are those of the first six frames, hot
    pixels are looked for again in every 33, and frames of a few photons are not summed. The first
    results come once a window, and the six frames for the noise measurement, are full; from then on
    each push gives one, `latency` frames behind. Frames that repeat the one before wait with it, 64
    at most. `flush` returns the rest and ends the sequence; the next push begins another, with the
    same networks. Not for several threads at once.
    """

    def __init__(self, **options: Unpack[Keywords]) -> None:
        self._options = Options.of(options)
        refuse_series(self._options)
        self._clip: FrameSequence | None = None
        self._line: _Line | None = None

    def push(self, frame: Any) -> list[Any]:
        """Take the next frame; returns those that are ready, oldest first. Raises InputError for a
        frame unlike the first one, which ends the sequence."""
        if self._line is None:
            self._begin(frame)
        return self._given(frame)

    def flush(self) -> list[Any]:
        """End the sequence; returns the frames that are left."""
        return [] if self._line is None else self._given(_END)

    @property
    def latency(self) -> int | None:
        """The delay of results in frames: half a window, and one frame more to see repeats. None
        before the first push, 0 at strength 0."""
        if self._clip is None:
            return None
        still = changes_nothing(self._options)
        return 0 if still else self._clip.engines[0].weights.header.length // 2 + 1

    @property
    def noise(self) -> tuple[LaneNoise, ...]:
        """The noise of every lane, in the arrays' own units; empty at first."""
        return () if self._clip is None else self._clip.noise

    def close(self) -> None:
        """Discard the frames that are held. May be called more than once."""
        if self._line is not None:
            self._line.leave()
            self._line = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_line", None) is not None:
            self.close()

    def _begin(self, frame: Any) -> None:
        if self._clip is not None and self._clip.fits(frame):
            self._clip.begin_again()
        else:
            self._clip = FrameSequence(frame, self._options)
        self._line = _Line(self._clip)

    def _given(self, item: Any) -> list[Any]:
        if self._line is None:
            return []
        try:
            ready = self._line.give(item)
        except BaseException:
            self.close()
            raise
        if item is _END:
            self._line = None
        return ready


class _Line:
    """The stream, which asks for frames, in a thread of its own, fed by one who has them.

    Only one of the two threads works at any time: what comes out when depends on the frames
    alone.
    """

    def __init__(self, clip: FrameSequence) -> None:
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._turns: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._ready: list[Any] = []
        thread = threading.Thread(target=self._work, args=(clip,), name="f2r", daemon=True)
        # Python may not end under it: a thread that is stopped amid torch aborts the process.
        self._ending = weakref.finalize(self, _ended, thread, self._inbox)
        thread.start()
        self._wait()

    def give(self, item: Any) -> list[Any]:
        """Pass on a frame or the end, and wait until the stream wants the next."""
        self._inbox.put(item)
        self._wait()
        ready, self._ready[:] = list(self._ready), []
        return ready

    def leave(self) -> None:
        """End the thread without its results."""
        self._inbox.put(None)

    def _wait(self) -> None:
        error = self._turns.get()
        if error is not None:
            raise error

    def _arriving(self) -> Iterator[Any]:
        while True:
            self._turns.put(None)
            item = self._inbox.get()
            if item is None:
                raise _LeftError
            if item is _END:
                return
            yield item

    def _work(self, clip: FrameSequence) -> None:
        with ExitStack() as ending:
            ending.push(self._relay)
            for picture in clip.restored(self._arriving()):
                self._ready.append(picture)

    def _relay(self, kind: object, error: BaseException | None, trace: object) -> bool:
        """Hand the end of the work, or what ended it, to the one who waits for its turn."""
        if not isinstance(error, _LeftError):
            self._turns.put(error)  # raised again where the frame was pushed
        return True


def _ended(thread: threading.Thread, inbox: queue.SimpleQueue[Any]) -> None:
    """Let a line's thread leave, and wait for it."""
    inbox.put(None)
    if thread is not threading.current_thread():
        thread.join()


class _LeftError(Exception):
    """Nobody waits for the results any more."""
