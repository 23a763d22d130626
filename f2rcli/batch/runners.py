"""Clips at work on this machine, several at a time."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from typing import Any

from f2rcli.batch.child import Children
from f2rcli.batch.work import Outcome, Task, process


def run_here(
    tasks: Sequence[Task],
    jobs: int,
    listener: Callable[[Task, dict[str, Any]], None] = lambda task, event: None,
) -> Iterator[Outcome]:
    """Yield outcomes as they come. Whatever ends the iteration early ends the children too.

    listener: gets a clip's progress events, from the thread that runs it.
    """
    children = Children()
    with ThreadPoolExecutor(jobs, thread_name_prefix="clip") as pool:
        waiting = [pool.submit(process, task, children, partial(listener, task)) for task in tasks]
        try:
            for future in as_completed(waiting):
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            children.stop()
