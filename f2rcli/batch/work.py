"""Process one clip of a batch: skip it if it is done, else run and record it.

The same function runs in a thread here and on a cluster's worker; what it takes and gives is
plain data.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any

from f2rcli.batch.child import COMMAND, Children, Ended, Listener
from f2rcli.batch.records import ClipRecord, Content, Records, content_of, stamp_of
from f2rcli.errors import EXIT_DAMAGED, EXIT_FAILURE, EXIT_INPUT, EXIT_OK
from f2rcli.io.atomic import remove_parts

SHARED = Children()  # of a cluster's worker, for as long as it lives


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One clip to be denoised; absolute paths."""

    output: str  # the output folder, which has the records
    source: str = ""
    target: str = ""
    place: str = ""  # of the target, below the output folder
    options: tuple[str, ...] = ()  # of the command, for the child
    settings: str = ""  # hash of those that change the result
    overwrite: bool = False
    keep_partial: bool = False
    command: tuple[str, ...] = ()  # that runs the child; empty: f2r as it is installed there


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of one clip."""

    source: str
    target: str
    place: str
    status: str  # done, damaged, skipped, failed, not run
    reason: str = ""  # of a failure; in one line
    hint: str = ""
    damaged: bool = False  # the result carries damage of the source, or lost a stream (--strict)
    exit_code: int = EXIT_OK
    frames: int | None = None
    seconds: float = 0.0  # of wall clock
    sigma: float | None = None  # 8-bit units
    bytes: int | None = None
    codec: str = ""
    warnings: tuple[str, ...] = ()
    where: str = ""  # the worker

    @property
    def failed(self) -> bool:
        return self.status == "failed"


def not_run(task: Task) -> Outcome:
    """The outcome of a task that was never begun."""
    return Outcome(source=task.source, target=task.target, place=task.place, status="not run")


def failure(task: Task, reason: str, hint: str = "", code: int = EXIT_FAILURE) -> Outcome:
    """The outcome of a task that failed before or beside its child."""
    return replace(not_run(task), status="failed", reason=reason, hint=hint, exit_code=code)


def run_here(
    tasks: Sequence[Task], jobs: int, listener: Callable[[Task, dict[str, Any]], None]
) -> Iterator[Outcome]:
    """Yield outcomes as they come; ending early ends the children. listener: gets a clip's progress
    events, from the thread that runs it."""
    children = Children()
    with ThreadPoolExecutor(jobs, thread_name_prefix="clip") as pool:
        waiting = [pool.submit(process, task, children, partial(listener, task)) for task in tasks]
        try:
            for future in as_completed(waiting):
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            children.stop()


def process(
    task: Task, children: Children | None = None, listener: Listener = lambda event: None
) -> Outcome:
    """Do a task unless it is done; never raises for what is wrong with one clip.

    listener: gets the child's progress events.

    Raises InterruptedError where `children` was stopped before this one began.
    """
    began = time.monotonic()
    children = children or SHARED
    records = Records(Path(task.output))
    try:
        with records.claimed(PurePath(task.place), children.stopped) as claim:
            outcome = _process(
                task, records, children.stopped,
                lambda words: children.run(task.command or COMMAND, words, claim, listener),
            )  # fmt: skip
    except InterruptedError:
        raise
    except OSError as error:  # of the claim: whatever else may fail is looked after below
        outcome = _unwritable(task, error)
    return replace(outcome, seconds=round(time.monotonic() - began, 3))


def _unwritable(task: Task, error: OSError) -> Outcome:
    what = f"{error.filename or task.place}: cannot be written: {error.strerror or error}."
    return failure(task, what, "Choose another folder with -o.")


def _process(
    task: Task, records: Records, stopped: threading.Event, run: Callable[[list[str]], Ended]
) -> Outcome:
    place = PurePath(task.place)
    known = records.find(place)
    try:
        content = content_of(Path(task.source), known.content if known else None, stopped)
    except InterruptedError:
        raise
    except OSError as error:
        name = Path(task.source).name
        what = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror
        return failure(task, f"{name}: {what}.", "Check the path.", EXIT_INPUT)
    verdict = _done_before(task, known, content) or _in_the_way(task, known, content)
    if verdict is not None:
        if verdict.status == "skipped" and known is not None:
            _finish(records, task, replace(known, content=content), verdict)
        return verdict
    record = ClipRecord(
        source=task.source, target=task.target, settings=task.settings, content=content,
        fresh=not os.path.lexists(task.target),
    )  # fmt: skip
    try:
        Path(task.target).parent.mkdir(parents=True, exist_ok=True)
        records.keep(place, record)
    except OSError as error:
        return _unwritable(task, error)
    arguments = ["denoise", "--json", *task.options, f"--output={task.target}", "--", task.source]
    ended = run(arguments)
    if ended.code < 0 and not task.keep_partial:  # it had no time to clean up
        remove_parts(Path(task.target))
    outcome = _outcome(task, ended)
    if outcome.failed:
        records.forget(place)
    else:
        _finish(records, task, record, outcome)
    return outcome


def _done_before(task: Task, known: ClipRecord | None, content: Content) -> Outcome | None:
    """The outcome of an earlier run, if what it made of these bytes is still there."""
    if known is None or not os.path.lexists(task.target):
        return None
    if (known.settings, known.content.digest) != (task.settings, content.digest):
        return None
    # An unfinished record with a target that was not there before: the run was killed between
    # the target's rename, which makes it whole at once, and the record's.
    if not (known.made == stamp_of(Path(task.target)) if known.finished else known.fresh):
        return None
    facts = {name: known.facts[name] for name in _KEPT if name in known.facts}
    return replace(not_run(task), status="skipped", **facts)


_KEPT = ("damaged", "exit_code", "frames", "sigma", "bytes", "codec")


def _in_the_way(task: Task, known: ClipRecord | None, content: Content) -> Outcome | None:
    """A failure where the target holds something that must not be replaced."""
    if task.overwrite or not os.path.lexists(task.target):
        return None
    name = Path(task.target).name
    if known is None or not known.finished:
        why = "already exists, and no record says that f2r finished it"
    elif known.content.digest != content.digest:
        why = "already exists, from other content of the input"
    elif known.settings != task.settings:
        why = "already exists, made with other settings"
    else:
        why = "was changed since f2r wrote it"
    return failure(task, f"{name}: {why}.", "Pass --overwrite, or another folder with -o.")


def _outcome(task: Task, ended: Ended) -> Outcome:
    sigma = ended.progress.get("sigma")
    base = replace(not_run(task), warnings=tuple(ended.warnings), exit_code=ended.code, sigma=sigma)
    if not ended.good:
        hint = str(ended.error.get("hint") or "")
        return replace(base, status="failed", reason=ended.reason(), hint=hint)
    damaged = ended.code == EXIT_DAMAGED
    facts = {n: ended.result[n] for n in ("frames", "bytes", "codec") if n in ended.result}
    return replace(base, status="damaged" if damaged else "done", damaged=damaged, **facts)


def _finish(records: Records, task: Task, record: ClipRecord, outcome: Outcome) -> None:
    """Remember a result; one that cannot be remembered is still a result."""
    with suppress(OSError):
        made = stamp_of(Path(task.target))
        facts = record.facts if outcome.status == "skipped" else asdict(outcome)
        finished = replace(record, finished=True, made=made, facts=facts)
        if finished != records.find(PurePath(task.place)):
            records.keep(PurePath(task.place), finished)
