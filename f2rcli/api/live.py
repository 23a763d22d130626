"""Live denoising: push a frame, get back those that are ready."""

import queue
import threading
import weakref
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Self, Unpack

from f2rcli.api.frames import FrameSequence
from f2rcli.api.options import Keywords, Options, refuse_series
from f2rcli.api.report import LaneNoise
from f2rcli.engine.settings import changes_nothing

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
