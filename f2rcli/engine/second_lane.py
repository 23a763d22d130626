"""Two frames at a time: networks restore one in a thread of their own while the next is read, its
motion found, and the one before written.

Two threads that work on one picture each get further than two in one convolution: flow, colour and
the contract hardly use a second. Results come in order, and bytes are those of one thread.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import cv2
import torch

from f2rcli.engine.engine import Engine

T = TypeVar("T")

AHEAD = 1  # windows that wait for networks: more would only hold more frames


class Lane:
    """Where work is done that may wait: at once when its result is asked for."""

    ahead = 0  # pieces of work that may wait at a time

    def start(self, work: Callable[[], T]) -> Callable[[], T]:
        """Begin with a piece of work; what is returned gives its result, or raises its error."""
        return work


class SecondLane(Lane):
    """In a thread of its own, one piece after the other. From the first on, both threads together
    use as many threads as one had."""

    ahead = AHEAD

    def __init__(self, worker: ThreadPoolExecutor, threads: int) -> None:
        self._worker = worker
        self._threads = threads
        self._begun = False

    def start(self, work: Callable[[], T]) -> Callable[[], T]:
        """See Lane."""
        if not self._begun:
            self._begun = True
            _use(max(self._threads // 2, 1))
        return self._worker.submit(work).result


@contextmanager
def second_lane(engine: Engine) -> Iterator[Lane]:
    """A lane beside the caller's own thread; just the caller's where the engine has one thread
    only, or works on a GPU. Whatever ends it, no work goes on after it."""
    if engine.threads < 2 or engine.torch_device.type != "cpu" or engine.resident is not None:
        yield Lane()
        return
    with ThreadPoolExecutor(1, "f2r-networks") as worker:
        try:
            yield SecondLane(worker, engine.threads)
        finally:
            worker.shutdown(wait=False, cancel_futures=True)
            _use(engine.threads)


def _use(threads: int) -> None:
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
