"""Batches drawn before the step that needs them."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self

import torch

Key = tuple[int, int]  # step, setbacks before it


class BatchPrefetcher:
    """Draws the next batches in threads; which ones they are depends on their keys alone."""

    def __init__(self, draw: Callable[[Key], Any], workers: int) -> None:
        self._draw = draw
        self._ahead = workers
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="draw")
        self._coming: dict[Key, Future[Any]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def take(self, step: int, setbacks: int) -> Any:
        """The batch of this step, while those of the steps after it are being drawn."""
        wanted = [(step + i, setbacks) for i in range(self._ahead + 1)]
        for key in self._coming.keys() - set(wanted):  # the run stepped back
            self._coming.pop(key).cancel()
        for key in wanted:
            if key not in self._coming:
                self._coming[key] = self._pool.submit(self._without_gradients, key)
        return self._coming.pop(wanted[0]).result()

    def _without_gradients(self, key: Key) -> Any:
        with torch.no_grad():  # a thread's own state
            return self._draw(key)
