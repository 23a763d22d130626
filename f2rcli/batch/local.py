"""Clips on this machine, several at a time: a thread waits for each child process."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from f2rcli.batch.child import Children
from f2rcli.batch.work import Outcome, Task, process


def run_here(tasks: Sequence[Task], jobs: int) -> Iterator[Outcome]:
    """Yield outcomes as they come. Whatever ends the iteration early ends the children too."""
    children = Children()
    with ThreadPoolExecutor(jobs, thread_name_prefix="clip") as pool:
        waiting = [pool.submit(process, task, children) for task in tasks]
        try:
            for future in as_completed(waiting):
                yield future.result()
        finally:
            children.stop()
            pool.shutdown(wait=True, cancel_futures=True)
