"""Clips on this machine, several at a time: a thread waits for each child process."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from typing import Any

from f2rcli.batch.child import Children
from f2rcli.batch.work import Outcome, Task, process


def run_here(
    tasks: Sequence[Task],
    jobs: int,
    tell: Callable[[Task, dict[str, Any]], None] = lambda task, event: None,
) -> Iterator[Outcome]:
    """Yield outcomes as they come. Whatever ends the iteration early ends the children too.

    tell: gets a clip's events of progress, from whichever thread looks after it.
    """
    children = Children()
    with ThreadPoolExecutor(jobs, thread_name_prefix="clip") as pool:
        waiting = [pool.submit(process, task, children, partial(tell, task)) for task in tasks]
        try:
            for future in as_completed(waiting):
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            children.stop()
