"""Worker processes that end with their work, with their parent, and never take it down."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar, cast

import cv2

from f2rcli.errors import F2RError

Item = TypeVar("Item")
Result = TypeVar("Result")

# Fresh interpreters: a forked copy of a process that runs threads (torch, OpenCV) may hang.
PROCESSES = multiprocessing.get_context("spawn")


def spread(
    function: Callable[[Item], Result], items: Sequence[Item], jobs: int
) -> Iterator[tuple[Item, Result | F2RError]]:
    """Call a function on every item in up to `jobs` processes; yield results as they come.

    An F2RError of the function is a result, in the order of completion; a worker that dies
    (killed for memory, say) gives one too, and the others go on. With one job or one item
    everything runs here. Leaving the iterator early ends the workers at once.
    """
    if min(jobs, len(items)) <= 1:
        for item in items:
            yield item, _attempt(function, item)
        return
    yield from _WorkerPool(function, items, jobs).results()


def _end_with_parent() -> None:
    """Leave Ctrl-C to the parent, and end when it ends, however it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.sentinel,), daemon=True).start()


def _follow(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def _attempt(function: Callable[[Item], Result], item: Item) -> Result | F2RError:
    try:
        return function(item)
    except F2RError as error:
        return error


def _serve(channel: "Connection[Any, Any]", function: Callable[[Any], Any]) -> None:
    _end_with_parent()
    cv2.setNumThreads(1)  # the other cores have workers of their own
    while True:
        try:
            item = channel.recv()
        except EOFError:
            return
        channel.send(_attempt(function, item))


class _WorkerPool(Generic[Item, Result]):
    """Workers, each at the other end of a pipe, each with one item at a time."""

    def __init__(
        self, function: Callable[[Item], Result], items: Sequence[Item], jobs: int
    ) -> None:
        self.function = function
        self.waiting = list(reversed(items))
        self.jobs = min(jobs, len(items))
        self.workers: dict[Connection[Any, Any], Any] = {}
        self.busy: dict[Connection[Any, Any], Item] = {}

    def results(self) -> Iterator[tuple[Item, Result | F2RError]]:
        """Items with their results as they come; no worker is left when the iterator ends."""
        try:
            for _ in range(self.jobs):
                self._hire()
            while self.busy:
                for ready in wait(list(self.busy)):
                    yield self._receive(cast("Connection[Any, Any]", ready))
        finally:
            for worker in self.workers.values():
                worker.kill()
            for channel in list(self.workers):
                self._dismiss(channel)

    def _receive(self, channel: "Connection[Any, Any]") -> tuple[Item, Result | F2RError]:
        item = self.busy.pop(channel)
        try:
            result = channel.recv()
        except (EOFError, ConnectionResetError):
            result = F2RError(
                f"a worker process died (exit code {self._dismiss(channel)}).",
                hint="It may have run out of memory: choose fewer jobs or smaller clips.",
            )
            if self.waiting:
                self._hire()
        else:
            self._give(channel)
        return item, result

    def _hire(self) -> None:
        ours, theirs = PROCESSES.Pipe()
        worker = PROCESSES.Process(target=_serve, args=(theirs, self.function), daemon=True)
        worker.start()
        theirs.close()  # or its end would never be noticed
        self.workers[ours] = worker
        self._give(ours)

    def _give(self, channel: "Connection[Any, Any]") -> None:
        if self.waiting:
            item = self.busy[channel] = self.waiting.pop()
            channel.send(item)

    def _dismiss(self, channel: "Connection[Any, Any]") -> int:
        worker = self.workers.pop(channel)
        channel.close()
        worker.join()
        return int(worker.exitcode)
