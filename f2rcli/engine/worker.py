"""The different pictures of a stream, and two of them at a time: networks restore one in a thread
of their own while the next is read, its motion found, and the one before written.

Two threads that work on one picture each get further than two in one convolution: flow, colour and
the contract hardly use a second. Results come in order, and bytes are those of one thread.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import TypeVar

import numpy as np
import torch

from f2rcli.engine.device import use_threads
from f2rcli.engine.engine import Engine
from f2rcli.frames import ClipInfo, Frame, is_blank, same_samples
from f2rcli.samples.defects import SetAside, all_aside, put_back, searches

T = TypeVar("T")


class Worker:
    """Runs work in the caller's thread."""

    ahead = 0  # windows that may wait for networks: more than one would only hold more frames
    first_out = False  # whether one that is begun is finished before the next is begun

    def start(self, work: Callable[[], T]) -> Callable[[], T]:
        """Start a piece of work; what is returned gives its result once."""
        begun = [work()]
        return begun.pop

    def done(self, pieces: Iterable[Callable[[], T]]) -> Iterator[T]:
        """Results of the host's own pieces of work, one after the other."""
        return (piece() for piece in pieces)


HERE = Worker()


class DeviceWorker(Worker):
    """Starts work of a device, which goes on with it while its host writes the frame before and
    reads on; what the host does by itself is done in a thread beside, a frame ahead."""

    ahead = 1
    first_out = True

    def __init__(self, beside: ThreadPoolExecutor) -> None:
        self._beside = beside

    def done(self, pieces: Iterable[Callable[[], T]]) -> Iterator[T]:
        """See Worker. An error comes where its piece's result would, also that of asking for the
        piece."""
        source, waiting = iter(pieces), deque[Future[T]]()
        while True:
            try:
                waiting.append(self._beside.submit(next(source)))
            except StopIteration:
                break
            except Exception:
                for one in waiting:
                    yield one.result()
                raise
            if len(waiting) > 1:
                yield waiting.popleft().result()
        for one in waiting:
            yield one.result()


class ThreadWorker(Worker):
    """Runs work in a thread of its own, in order; both threads then share the engine's threads."""

    ahead = 1

    def __init__(self, worker: ThreadPoolExecutor, engine: Engine) -> None:
        self._worker = worker
        self._engine = engine

    def start(self, work: Callable[[], T]) -> Callable[[], T]:
        """See Worker; an error of the work comes where its result would."""
        if self._engine.lent is None:
            self._engine.lent = _half(self._engine)
            use_threads(self._engine.lent)
        begun = [self._worker.submit(work)]
        return lambda: begun.pop().result()  # pictures that are taken are let go


@contextmanager
def network_worker(engine: Engine) -> Iterator[Worker]:
    """A thread beside the caller's; the caller's own where the engine has only one thread, or works
    on a GPU, whose host looks ahead in a thread beside it unless results may not wait. However it
    ends, no work is left running."""
    on_device = engine.torch_device.type != "cpu" or engine.store.away
    if engine.prompt if on_device else engine.threads < 2:
        yield HERE
        return
    if on_device:
        with ThreadPoolExecutor(1, "f2r-frames") as beside:
            yield DeviceWorker(beside)
        return
    half = _half(engine)
    with ThreadPoolExecutor(1, "f2r-networks", torch.set_num_threads, (half,)) as worker:
        try:
            yield ThreadWorker(worker, engine)
        finally:
            worker.shutdown(wait=False, cancel_futures=True)
            engine.lent = None


def _half(engine: Engine) -> int:
    """The threads of each of two that work beside each other."""
    return max(engine.threads // 2, 1)


# --- The different pictures of a stream: fields, runs of frames with the same samples, and back --


Copies = list[Frame]  # every frame that shows one picture

LONGEST_REPEAT = 64  # copies of one picture that wait for the next; more start a shot of their own


def unique(frames: Iterable[Frame], worker: Worker = HERE) -> Iterator[Copies]:
    """Runs of frames with the same samples, as lists. A copy has its original's noise: it teaches
    nothing as a neighbour, and gets its original's result. So does a frame of a stack in which
    nothing was recorded, but that it comes back as stored: a channel may have been taken at every
    second time point. Invalid samples are set aside, by the worker."""
    run: list[Frame] = []
    for frame in worker.done(searches(frames)):
        if run and len(run) < LONGEST_REPEAT:
            same = same_samples(run[0], frame)
            if same or (frame.layout.levels is not None and is_blank(frame)):
                own = frame if same else all_aside(frame)
                run.append(replace(own, planes=run[0].planes))
                continue
        if run:
            yield run
        run = [frame]
    if run:
        yield run


def to_measure(frames: Iterable[Frame], info: ClipInfo) -> Iterator[Copies]:
    """The frames to measure noise on: runs of `unique`, first lane; one field if interlaced."""
    _, lane = next(groupby(frames, key=lambda frame: frame.lane), (0, iter(())))
    if info.interlaced and info.height >= 4:
        lane = map(partial(one_field, 0), lane)
    return unique(lane)


def wanted(copies: Copies) -> Iterator[Frame]:
    """The frames of a picture that are not context."""
    return (frame for frame in copies if not frame.context)


def given(copies: Copies, aside: SetAside) -> Iterator[Frame]:
    """The same of a restored picture, with what was set aside put back, and counted."""
    for frame in wanted(copies):
        aside.add(frame.aside)
        yield put_back(frame)


def one_field(parity: int, frame: Frame) -> Frame:
    """Every second row of a frame, starting with row `parity`: one of the two moments it holds."""
    return replace(frame, planes=tuple(plane[parity::2] for plane in frame.planes))


def woven(upper: Frame, lower: Frame) -> Frame:
    """A frame from its two fields."""
    planes = []
    for top, bottom in zip(upper.planes, lower.planes, strict=True):
        plane = np.empty((top.shape[0] + bottom.shape[0], top.shape[1]), top.dtype)
        plane[0::2], plane[1::2] = top, bottom
        planes.append(plane)
    return replace(upper, planes=tuple(planes))
