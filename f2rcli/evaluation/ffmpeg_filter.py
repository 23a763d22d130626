"""Frames through a filter of an FFmpeg program, by pipes."""

import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue

import numpy as np

from f2rcli.errors import F2RError
from f2rcli.evaluation.clips.eight_bit import EightBitPlanes, from_eight_bit, to_eight_bit
from f2rcli.frames import Frame

LEAVE_OUT = "Leave it out of baselines=."


def filtered(frames: Iterable[Frame], program: str, name: str, options: str) -> Iterator[Frame]:
    """Every frame through a filter of an FFmpeg program that gives one for one. Raises F2RError."""
    waiting: deque[Frame] = deque()
    pipe: _Pipe | None = None
    try:
        for frame in frames:
            plain = to_eight_bit(frame)
            pipe = _Pipe(program, f"{name}={options}", plain) if pipe is None else pipe
            waiting.append(frame)
            pipe.put(plain)
            for done in pipe.taken():
                yield from_eight_bit(done, waiting.popleft())
        for done in pipe.rest() if pipe is not None else ():
            yield from_eight_bit(done, waiting.popleft())
        if waiting and pipe is not None:
            raise F2RError(f"FFmpeg's {name} failed: {pipe.complaint()}.", hint=LEAVE_OUT)
    except BrokenPipeError as error:
        why = "" if pipe is None else pipe.complaint()
        raise F2RError(f"FFmpeg's {name} failed: {why}.", hint=LEAVE_OUT) from error
    finally:
        if pipe is not None:
            pipe.close()


class _Pipe:
    """A running FFmpeg program: planes go in, planes come out as they are ready.

    Frames are asked for and written by the caller's own thread, so that whoever makes them is
    never called from two; only the program's output is read by another.
    """

    def __init__(self, program: str, filters: str, like: EightBitPlanes) -> None:
        height, width = like.planes[0].shape
        raw = ["-f", "rawvideo", "-pix_fmt", like.pix_fmt]
        source = [*raw, "-s", f"{width}x{height}", "-r", "25", "-i", "-"]
        self.like = like
        self.log = tempfile.TemporaryFile()  # noqa: SIM115  # closed by close()
        self.process = subprocess.Popen(
            [program, "-v", "error", *source, "-vf", filters, *raw, "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
        )
        assert self.process.stdin is not None  # both were asked for
        assert self.process.stdout is not None
        self.input, self.output = self.process.stdin, self.process.stdout
        self.ready: SimpleQueue[EightBitPlanes] = SimpleQueue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        sizes = [plane.shape for plane in self.like.planes]
        while True:
            read = [self.output.read(rows * columns) for rows, columns in sizes]
            if len(read[-1]) < sizes[-1][0] * sizes[-1][1]:
                return
            planes = tuple(
                np.frombuffer(data, np.uint8).reshape(size)
                for data, size in zip(read, sizes, strict=True)
            )
            self.ready.put(EightBitPlanes(planes, self.like.pix_fmt))

    def put(self, plain: EightBitPlanes) -> None:
        """Write a picture. Raises BrokenPipeError where the program has ended."""
        for plane in plain.planes:
            self.input.write(plane.data.cast("B"))

    def taken(self) -> Iterator[EightBitPlanes]:
        """The frames that are ready."""
        while True:
            try:
                yield self.ready.get_nowait()
            except Empty:
                return

    def rest(self) -> Iterator[EightBitPlanes]:
        """Everything that is still to come: nothing more is written."""
        self.input.close()
        self.reader.join()
        yield from self.taken()

    def complaint(self) -> str:
        """The last line that the program wrote about itself."""
        self.process.wait()
        self.log.seek(0)
        lines = self.log.read().decode(errors="replace").strip().splitlines()
        return lines[-1].rstrip(".") if lines else "frames are missing"

    def close(self) -> None:
        """End the program, whether or not it was done."""
        self.process.kill()
        self.process.wait()
        self.reader.join()
        for end in (self.input, self.output):
            with suppress(BrokenPipeError):
                end.close()
        self.log.close()
