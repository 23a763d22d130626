"""Clips on a Dask cluster: wait for its scheduler, check its workers, hand out the work.

A task lost with its worker is done again by another. The folders must be visible to every worker
under the same paths. Dask trusts whoever can reach its scheduler: use it in networks that you
trust.
"""

import contextlib
import importlib
import os
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from f2rcli import __version__
from f2rcli.batch.records import FOLDER
from f2rcli.batch.work import Outcome, Task, failure, process
from f2rcli.documents import parse_json, read_text
from f2rcli.errors import UsageError
from f2rcli.io.atomic import write_text

EXTRA = "pip install 'f2rcli[cluster]'"
TIMEOUT = 10  # seconds to reach a scheduler
SHOWN = 3  # workers that an error names

Tell = Callable[[str], None]


def check_address(address: str) -> None:
    """Raise UsageError for an invalid cluster address, or without Dask."""
    if not re.fullmatch(r"local:[1-9]\d*|(tcp|tls)://.+:\d+|.+\.json", address):
        raise UsageError(
            f"--cluster {address}: not a cluster.",
            hint="Write tcp://HOST:PORT of a scheduler, its scheduler file (a .json), or local:N "
            "for N workers here.",
        )
    scheduler_of(address)
    try:
        importlib.import_module("distributed")
    except ImportError as error:
        raise UsageError("--cluster: Dask is not installed.", hint=f"{EXTRA}") from error


def scheduler_of(address: str) -> str:
    """The address that a scheduler file holds; any other address as it is. Raises UsageError."""
    if not address.endswith(".json"):
        return address
    try:
        return str(parse_json(read_text(Path(address)))["address"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        why, how = "is not a scheduler file", "Write it with"
        if isinstance(error, FileNotFoundError):
            why, how = "there is no such file", "A scheduler writes it"
        hint = f"{how}: dask scheduler --scheduler-file {address}"
        raise UsageError(f"--cluster {address}: {why}.", hint=hint) from error


def run_on_cluster(
    tasks: Sequence[Task], address: str, *, gpu: bool, tell: Tell = lambda line: None
) -> Iterator[Outcome]:
    """Yield outcomes as they come. gpu: each task takes one of its worker's resource GPU; tell:
    gets a line when there is something to wait for. Raises UsageError for a silent scheduler and
    unfit workers."""
    distributed = importlib.import_module("distributed")
    with _client(distributed, address, gpu=gpu) as client, needed(tasks) as needs:
        _await_workers(client, address, tell)
        _check_workers(client, needs)
        resources, brief = _resources(client, gpu=gpu), replace(needs, sources=())
        by_key: dict[str, Task] = {}
        unfit: set[str] = set()

        def submit(task: Task, **where: Any) -> Any:
            # pure=False: a key of its own for every call, or Dask would give an old result
            future = client.submit(on_worker, task, brief, pure=False, resources=resources, **where)
            by_key[future.key] = task
            return future

        waiting = distributed.as_completed([submit(task) for task in tasks])
        suspects: list[Task] = []
        alone: set[str] = set()  # places of those that had their workers to themselves
        try:
            for future in waiting:
                task = by_key[future.key]
                outcome = _outcome(future, task)
                if outcome.status == UNFIT:
                    unfit.add(outcome.where)
                    fit = [worker for worker in _workers(client) if worker not in unfit]
                    if fit:
                        waiting.add(submit(task, workers=fit))
                    else:
                        yield replace(outcome, status="failed")
                elif outcome.reason == DIED and task.place not in alone:
                    suspects.append(task)
                else:
                    yield outcome
                if waiting.count() or not suspects:
                    continue
                task = suspects.pop(0)
                if not suspects and not alone:
                    yield failure(task, DIED, LOGS)
                    continue
                if not alone:
                    tell(f"{len(suspects) + 1} clips lost their workers: each is tried alone")
                alone.add(task.place)
                waiting.add(submit(task))
        finally:
            client.cancel([future for future in waiting.futures if not future.done()])


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """The requirements for a worker."""

    version: str  # of f2r
    mark: str  # a file in the output folder, written by the command
    secret: str  # its content
    sources: tuple[tuple[str, int], ...]  # a clip of each folder, and its size (-1: a folder)


@contextlib.contextmanager
def needed(tasks: Sequence[Task]) -> Iterator[Needs]:
    """The requirements of these tasks for workers; the mark is there meanwhile."""
    if not tasks:
        yield Needs(version=__version__, mark="", secret="", sources=())
        return
    secret = secrets.token_hex(16)
    mark = Path(tasks[0].output) / FOLDER / f"seen-{secret[:8]}"
    mark.parent.mkdir(parents=True, exist_ok=True)
    write_text(mark, secret)
    first = {str(Path(task.source).parent): task.source for task in reversed(tasks)}
    sources = tuple((source, size_of(source)) for source in sorted(first.values()))
    try:
        yield Needs(version=__version__, mark=str(mark), secret=secret, sources=sources)
    finally:
        mark.unlink(missing_ok=True)


def probe(needs: Needs) -> str:
    """The requirements this process lacks, in words; "" for nothing."""
    if __version__ != needs.version:
        return f"has f2r {__version__}, this is {needs.version}"
    if not needs.mark:
        return ""
    folder = Path(needs.mark).parent
    try:
        seen = Path(needs.mark).read_text()
    except OSError as error:
        return f"does not see {folder.parent} ({error.strerror})"
    if seen != needs.secret:
        return f"sees another {folder.parent}"
    if not os.access(folder, os.W_OK):
        return f"may not write in {folder.parent}"
    unseen = (source for source, size in needs.sources if size_of(source) != size)
    return next((f"does not see {source} as it is here" for source in unseen), "")


def size_of(path: str) -> int:
    """Bytes of a file; -1 for a folder, -2 where nothing is to be seen."""
    try:
        return -1 if os.path.isdir(path) else os.path.getsize(path)
    except OSError:
        return -2


UNFIT = "unfit"  # status of a task that a worker sent back untouched
# Dask blames all that a dying worker has, so a clip that only waited there has the same reason.
DIED, LOGS = "every worker that took it died.", "See the workers' logs."


def on_worker(task: Task, needs: Needs) -> Outcome:
    """`process` on a worker that meets the `needs`: each checks itself, as any may join later."""
    where = str(importlib.import_module("distributed").get_worker().address)
    lacking = probe(needs)
    if lacking:
        reason = f"worker {where}: {lacking}."
        return replace(failure(task, reason, HINT), status=UNFIT, where=where)
    return replace(process(task), where=where)


HINT = "Start workers in the environment of this command, on machines that see the same folders."


def _outcome(future: Any, task: Task) -> Outcome:
    if future.status == "finished":
        outcome: Outcome = future.result()
        return outcome
    if future.status in ("cancelled", "lost"):
        return failure(task, "the scheduler went away, or cancelled it.", "See its log.")
    error = future.exception()
    if type(error).__name__ == "KilledWorker":
        return failure(task, DIED, LOGS)
    return failure(task, f"lost by the cluster: {error}", "Run it again.")


@contextlib.contextmanager
def _client(distributed: Any, address: str, *, gpu: bool) -> Iterator[Any]:
    kind, _, count = address.partition(":")
    if kind == "local":
        cluster = distributed.LocalCluster(
            n_workers=int(count), threads_per_worker=1, processes=True,
            dashboard_address="127.0.0.1:0",  # None would be port 8787, open to all
            resources={"GPU": 1} if gpu else None,
        )  # fmt: skip
        with cluster, distributed.Client(cluster) as client:
            yield client
        return
    try:
        client = distributed.Client(scheduler_of(address), timeout=TIMEOUT)
    except (OSError, TimeoutError) as error:
        what = f"--cluster {address}: no scheduler answers there."
        raise UsageError(what, hint="Start one with: dask scheduler") from error
    with client:
        yield client


def _workers(client: Any) -> Any:
    """The scheduler's facts about each worker, by address."""
    return client.scheduler_info(n_workers=-1)["workers"]


def _await_workers(client: Any, address: str, tell: Tell) -> None:
    """Return once there is a worker. Raises UsageError where the scheduler goes away before."""
    if _workers(client):
        return
    call = client.submit(os.getpid, pure=False)  # clusters that adapt start workers for work only
    tell(f"{address}: no workers yet; waiting for the first (Ctrl-C ends this)")
    try:
        call.result()
    except CancelledError as error:
        what = f"--cluster {address}: the scheduler went away."
        raise UsageError(what, hint="See its log.") from error


def _check_workers(client: Any, needs: Needs) -> None:
    """Raise UsageError for workers that could not denoise a clip, before any clip is sent."""
    found = client.run(_portable(), asdict(needs), on_error="return")
    lacking = [(where, _words(answer)) for where, answer in sorted(found.items()) if answer]
    if not lacking:
        return
    named = "; ".join(f"worker {where}: {words}" for where, words in lacking[:SHOWN])
    more = f" and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else ""
    raise UsageError(f"--cluster: {named}{more}.", hint=HINT)


def _words(answer: Any) -> str:
    """The requirements a worker lacks; an exception in one line."""
    if isinstance(answer, str):
        return answer
    return " ".join(f"{type(answer).__name__}: {answer}".split())[:200]


def _portable() -> Callable[[dict[str, Any]], str]:
    """`probe` for workers that may have no f2r, or another one: it travels whole, not by name."""

    def look(plain: dict[str, Any]) -> str:
        try:
            import f2rcli
        except ImportError:
            return "has no f2r"
        if f2rcli.__version__ != plain["version"]:
            return f"has f2r {f2rcli.__version__}, this is {plain['version']}"
        from f2rcli.batch.cluster import Needs, probe

        return probe(Needs(**plain))

    return look


def _resources(client: Any, *, gpu: bool) -> dict[str, float]:
    workers = _workers(client).values()
    offering = [worker for worker in workers if worker.get("resources", {}).get("GPU")]
    if gpu and not offering:
        raise UsageError(
            "--device cuda: no worker of the cluster offers a GPU.",
            hint='Start workers with: dask worker --resources "GPU=1"',
        )
    return {"GPU": 1.0} if gpu or len(offering) == len(workers) else {}
