"""Two pictures of a stream at a time: networks restore one in a thread of their own while the next
is read, its motion found, and the one before written.

Two threads that work on one picture each get further than two in one convolution: flow, colour and
the contract hardly use a second. Results come in order, and bytes are those of one thread.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

from f2rcli.engine.device import use_threads
from f2rcli.engine.engine import Engine

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
        """See Worker. An error comes where its piece's result would, even of asking for it."""
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
    """A thread beside the caller's; the caller's own where the engine has only one, or a GPU, whose
    host looks ahead in a thread beside it unless results may not wait. No work is left running."""
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
