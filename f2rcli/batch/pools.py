"""Who denoises the clips: this process, several processes here, or the workers of a Dask cluster.

Each of them yields outcomes as they come; a clip that takes its process down fails alone.
"""

import importlib
import os
import re
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, connection, get_context, parent_process
from types import FrameType
from typing import Any

from f2rcli.batch.clips import Clip
from f2rcli.batch.records import Outcome, failure
from f2rcli.errors import EXIT_TERMINATED, UsageError

Work = Callable[[Clip], Outcome]  # picklable; raises nothing for what is wrong with one clip
TIMEOUT = 10  # seconds to reach a scheduler
DIED = "its process ended without a word; perhaps memory ran out."


def run_in_processes(clips: Sequence[Clip], work: Work, jobs: int) -> Iterator[Outcome]:
    """Several at a time. Of those that were under way when a process died, each is tried alone."""
    waiting, suspects = deque(clips), deque[Clip]()
    while waiting or suspects:
        alone = bool(suspects)
        source = deque([suspects.popleft()]) if alone else waiting
        running: dict[Future[Outcome], Clip] = {}
        try:
            with _pool(1 if alone else jobs) as pool:
                while source or running:
                    while source and len(running) < jobs:
                        future = pool.submit(work, source[0])  # may raise: then it still waits
                        running[future] = source.popleft()
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        yield future.result()
                        del running[future]
        except BrokenProcessPool:
            if alone or len(running) == 1:
                yield from (failure(clip, DIED) for clip in running.values())
            else:
                suspects.extend(running.values())


@contextmanager
def _pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that end with this one, and clean up when it is stopped."""
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_begin_worker)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in active_children():
            process.terminate()
        raise
    finally:
        pool.shutdown()


def _begin_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the parent
    signal.signal(signal.SIGTERM, _end_worker)
    threading.Thread(target=_watch_parent, name="parent", daemon=True).start()


def _end_worker(number: int, frame: FrameType | None) -> None:
    raise SystemExit(EXIT_TERMINATED)


def _watch_parent() -> None:
    """End this process, as SIGTERM does, once its parent is gone, even where that was killed."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)


def run_on_dask(clips: Sequence[Clip], work: Work, address: str) -> Iterator[Outcome]:
    """On a cluster, whose workers have f2r and see the same folders under the same paths.

    address: see `dask_library`. Dask trusts whoever can reach its scheduler: use it in networks
    that you trust. Raises UsageError where no scheduler answers.
    """
    with _client(dask_library(address), address) as client:
        # pure=False: a key of its own for every call, or Dask would give an old result
        clip_of = {client.submit(work, clip, pure=False): clip for clip in clips}
        lost: list[Clip] = []
        try:
            for future in importlib.import_module("distributed").as_completed(list(clip_of)):
                if type(future.exception()).__name__ == "KilledWorker":
                    lost.append(clip_of[future])
                else:
                    yield _gathered(future, clip_of[future])
            for clip in lost:  # Dask blames all that waited on a dying worker: each is tried alone
                yield _gathered(client.submit(work, clip, pure=False), clip)
        finally:
            client.cancel(list(clip_of))


def _gathered(future: Any, clip: Clip) -> Outcome:
    error = future.exception()
    if error is None:
        outcome: Outcome = future.result()
        return outcome
    return failure(clip, " ".join(f"lost by the cluster: {error}".split()), "Run it again.")


def dask_library(address: str) -> Any:
    """Dask's package for a cluster: tcp://HOST:PORT of a scheduler, its scheduler file (.json), or
    local:N for N workers here. Raises UsageError without it, or for anything else."""
    if not re.fullmatch(r"local:[1-9]\d*|(tcp|tls)://.+:\d+|.+\.json", address):
        raise UsageError(
            f"jobs={address!r}: neither a number nor a cluster.",
            hint="Write 4 for four processes; for Dask tcp://HOST:PORT or local:4.",
        )
    if address.endswith(".json") and not os.path.isfile(address):
        hint = f"Write it with: dask scheduler --scheduler-file {address}"
        raise UsageError(f"jobs={address!r}: is no scheduler file.", hint=hint)
    try:
        return importlib.import_module("distributed")
    except ImportError as error:
        hint = "pip install 'f2rcli[cluster]'"
        raise UsageError(f"jobs={address!r}: Dask is not installed.", hint=hint) from error


@contextmanager
def _client(distributed: Any, address: str) -> Iterator[Any]:
    kind, _, number = address.partition(":")
    how: dict[str, Any] = {"address": address}
    if kind == "local":
        how = {"n_workers": int(number), "threads_per_worker": 1}
        how["dashboard_address"] = "127.0.0.1:0"
    elif address.endswith(".json"):
        how = {"scheduler_file": address}
    try:
        client = distributed.Client(timeout=TIMEOUT, **how)
    except (OSError, TimeoutError, ValueError, KeyError) as error:
        what = f"jobs={address!r}: no scheduler answers there."
        raise UsageError(what, hint="Start one with: dask scheduler") from error
    with client:
        yield client
