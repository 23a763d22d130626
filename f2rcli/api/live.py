"""Frames one by one: as iterables give them, and as a live source pushes them."""

import queue
import threading
import weakref
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from itertools import chain, islice, starmap
from typing import Any, Unpack

import f2rcli.api.arrays as arrays
from f2rcli.api.call import Keywords, LaneNoise, Options
from f2rcli.engine.settings import changes_nothing
from f2rcli.errors import CancelledError, InputError, UsageError
from f2rcli.samples.lanes import Arriving, LaneStatistics, Taken, lane_layout
from f2rcli.system import CancelCheck, load_torch, never_cancelled
from f2rcli.window import emptied

OPENING = 6  # frames that levels are measured on: as many as the noise is


class FrameSequence:
    """A sequence of frames that are alike, with its engine."""

    def __init__(self, first: Any, options: Options, check: CancelCheck = never_cancelled) -> None:
        """first: its first frame; check: see `Call.own_check`. Raises InputError or UsageError."""
        load_torch()
        from f2rcli.engine.stream import load_engine  # brings torch

        self.first, self.options = first, options
        self.dtype = arrays.values_of(first).dtype
        self.grid = arrays.Grid.of(tuple(first.shape), options.axes, frame=True)
        if (count := len(self.grid.lanes)) > 1:
            what = f"frames of shape {tuple(first.shape)}: {count} pictures each."
            hint = "Pass an array of them, or each channel and depth by itself."
            raise UsageError(what, hint=hint)
        self.place = self.grid.place(self.grid.lanes[0], 0)
        self.info = arrays.array_info(self.grid, self.dtype)
        self.engine = load_engine(options, self.info)
        self.engine.threads = 1  # a second one would delay each result by a frame
        self.engine.prompt, self.engine.check = True, check

    def restored(self, frames: Iterable[Any]) -> Generator[Any]:
        """Yield one restored frame per input frame, in order, holding one window of them."""
        alike = self._checked(frames)
        if changes_nothing(self.options):
            yield from alike
            return
        from f2rcli.engine.stream import denoise_stream

        opening = deque(islice(alike, OPENING))
        shown = (frame[self.place] for frame in opening)
        seen = arrays.statistics_of(shown, self.grid, self.options)
        layout = lane_layout(self.dtype, self.grid.samples, seen.levels)
        self.info = replace(self.info, layout=layout)
        arriving = Arriving(seen)
        self._note(seen)
        taken = (
            self._taken(frame, arriving).frame(pts=number, time_base=arrays.TIME_BASE, index=number)
            for number, frame in enumerate(chain(emptied(opening), alike))
        )
        for done in denoise_stream(taken, self.info, self.engine):
            out = arrays.empty_like(self.first)
            arrays.put_back(out, done, self.grid)
            yield out

    def _taken(self, frame: Any, arriving: Arriving) -> Taken:
        """A frame's samples, by the statistics that it belongs to."""
        before, picture = arriving.seen, self.grid.in_order(arrays.values_of(frame[self.place]))
        if arriving.add(picture) and arriving.seen.defects.size > before.defects.size:
            self._note(arriving.seen)
        return Taken(picture, arriving.seen, self.place)

    def _note(self, seen: LaneStatistics) -> None:
        for line in seen.lines():
            self.engine.found.note(line)

    def _checked(self, frames: Iterable[Any]) -> Iterator[Any]:
        for number, frame in enumerate(frames):
            arrays.values_of(frame)  # raises for what is none
            kinds = [f"{tuple(one.shape)} {one.dtype}" for one in (frame, self.first)]
            if kinds[0] != kinds[1]:
                what = f"frame {number}: is {kinds[0]}, the first was {kinds[1]}."
                raise InputError(what, hint="A clip has one size and dtype.")
            yield arrays.copy_of(frame)  # cameras fill one buffer again and again


# --- Live: push a frame, get back those that are ready -------------------------------------------


_END = object()


class Denoiser(AbstractContextManager["Denoiser"]):
    """Denoise a live sequence: `push` takes a frame and returns those that are ready.

    Frames are NumPy arrays or torch tensors (H, W) or (H, W, 3 or 4), or pictures of other axes
    with `axes`, all alike; results are of the same type, dtype and device, in order, one for each.
    Of several channels each wants a denoiser. The keywords are those of `denoise`; levels are those
    of the first six frames, hot pixels are looked for again in every 33, and frames of a few
    photons are not summed. The first results come once a window, and the six frames for the noise
    measurement, are full; from then on each push gives one, `latency` frames behind. Frames that
    repeat the one before wait with it, 64 at most. `flush` returns the rest and ends the sequence;
    the next push begins another. Not for several threads at once.
    """

    _clip: FrameSequence | None = None
    _line: "_Line | None" = None  # between sequences, and where options were refused

    def __init__(self, **options: Unpack[Keywords]) -> None:
        self._options = Options.of(options, files=False)

    def push(self, frame: Any) -> list[Any]:
        """Take the next frame; returns those that are ready, oldest first. Raises InputError for a
        frame unlike the first one, which ends the sequence."""
        if self._line is None:
            self._clip = FrameSequence(frame, self._options)
            self._line = _Line(self._clip)
        return self._given(self._line, frame)

    def flush(self) -> list[Any]:
        """End the sequence; returns the frames that are left."""
        return [] if self._line is None else self._given(self._line, _END)

    @property
    def latency(self) -> int | None:
        """The delay of results in frames: half a window, one frame more to see repeats, and those
        that offsets of rows or columns are told by, once some are found. None before the first
        push, 0 at strength 0."""
        if self._clip is None:
            return None
        if changes_nothing(self._options):
            return 0
        from f2rcli.engine.rows import FOLLOWING

        engine = self._clip.engine
        lines = FOLLOWING if engine.found.lines else 0
        return engine.weights.header.length // 2 + 1 + lines

    @property
    def noise(self) -> tuple[LaneNoise, ...]:
        """The noise, in the arrays' own units; empty at first."""
        found = self._clip and self._clip.engine.found.noises(self._clip.info)
        return tuple(starmap(LaneNoise.of, found or ()))

    def close(self) -> None:
        """Discard the frames that are held. May be called more than once."""
        if self._line is not None:
            self._line.leave()
            self._line = None

    def __exit__(self, *error: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def _given(self, line: "_Line", item: Any) -> list[Any]:
        try:
            ready = line.give(item)
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
                raise CancelledError("nobody waits for the results any more.")
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
        if not isinstance(error, CancelledError):
            self._turns.put(error)  # raised again where the frame was pushed
        return True


def _ended(thread: threading.Thread, inbox: queue.SimpleQueue[Any]) -> None:
    """Let a line's thread leave, and wait for it."""
    inbox.put(None)
    if thread is not threading.current_thread():
        thread.join()
