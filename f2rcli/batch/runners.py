"""Clips at work: several at a time on this machine, or on a Dask cluster.

On a cluster a task lost with its worker is done again by another. The folders must be visible to
every worker under the same paths. Dask trusts whoever can reach its scheduler: use it in networks
that you trust.
"""

import contextlib
import importlib
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from functools import partial
from typing import Any

from f2rcli.batch.child import Children
from f2rcli.batch.work import Outcome, Task, failure, process
from f2rcli.errors import UsageError

EXTRA = "pip install 'f2rcli[cluster]'"
TIMEOUT = 10  # seconds to reach a scheduler


def check_address(address: str) -> None:
    """Raise UsageError for what is neither a scheduler's address nor local:N, or without Dask."""
    if not re.fullmatch(r"local:[1-9]\d*|(tcp|tls)://.+:\d+", address):
        raise UsageError(
            f"--cluster {address}: not a cluster.",
            hint="Write tcp://HOST:PORT of a scheduler, or local:N for N workers here.",
        )
    try:
        importlib.import_module("distributed")
    except ImportError as error:
        raise UsageError("--cluster: Dask is not installed.", hint=f"{EXTRA}") from error


def run_on_cluster(tasks: Sequence[Task], address: str, *, gpu: bool) -> Iterator[Outcome]:
    """Yield outcomes as they come. gpu: each task takes one of its worker's resource GPU.

    Raises UsageError for a scheduler that does not answer or has no worker that could do it.
    """
    distributed = importlib.import_module("distributed")
    with _client(distributed, address, gpu=gpu) as client:
        resources = _resources(client, address, gpu=gpu)
        by_key = {}
        futures = []
        for task in tasks:
            # pure=False: a key of its own for every call, or Dask would give an old result
            future = client.submit(on_worker, task, pure=False, resources=resources)
            by_key[future.key] = task
            futures.append(future)
        try:
            for future in distributed.as_completed(futures):
                yield _outcome(future, by_key[future.key])
        finally:
            client.cancel([future for future in futures if not future.done()])


def on_worker(task: Task) -> Outcome:
    """`process` on a worker; says which one."""
    worker = importlib.import_module("distributed").get_worker()
    return replace(process(task), where=str(worker.address))


def _outcome(future: Any, task: Task) -> Outcome:
    if future.status == "finished":
        outcome: Outcome = future.result()
        return outcome
    error = future.exception() if future.status == "error" else None
    if type(error).__name__ == "KilledWorker":
        return failure(task, "every worker that took it died.", "See the workers' logs.")
    return failure(task, f"lost by the cluster ({future.status}): {error}", "Run it again.")


@contextlib.contextmanager
def _client(distributed: Any, address: str, *, gpu: bool) -> Iterator[Any]:
    kind, _, count = address.partition(":")
    with contextlib.ExitStack() as stack:
        if kind == "local":
            cluster = distributed.LocalCluster(
                n_workers=int(count), threads_per_worker=1, processes=True, dashboard_address=None,
                resources={"GPU": 1} if gpu else None,
            )  # fmt: skip
            stack.enter_context(cluster)
            yield stack.enter_context(distributed.Client(cluster))
            return
        try:
            client = distributed.Client(address, timeout=TIMEOUT)
        except (OSError, TimeoutError) as error:
            raise UsageError(
                f"--cluster {address}: no scheduler answers there.",
                hint="Start one with: dask scheduler",
            ) from error
        yield stack.enter_context(client)


def _resources(client: Any, address: str, *, gpu: bool) -> dict[str, float]:
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    if not workers:
        raise UsageError(
            f"--cluster {address}: it has no workers.", hint=f"Start some: dask worker {address}"
        )
    offering = [worker for worker in workers if worker.get("resources", {}).get("GPU")]
    if gpu and not offering:
        raise UsageError(
            "--device cuda: no worker of the cluster offers a GPU.",
            hint='Start workers with: dask worker --resources "GPU=1"',
        )
    return {"GPU": 1.0} if gpu or len(offering) == len(workers) else {}


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
