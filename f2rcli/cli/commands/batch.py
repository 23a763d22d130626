"""`f2r denoise` of several clips: find them, place them, run each in a process, report."""

import datetime
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import typer

from f2rcli import __version__
from f2rcli.batch.child import ALONE
from f2rcli.batch.cluster import check_address, run_on_cluster
from f2rcli.batch.records import Records, settings_hash
from f2rcli.batch.report import BatchReport, check_report, report_path
from f2rcli.batch.scan import Choice, Scan, scan
from f2rcli.batch.targets import Placed, check_output, place_all
from f2rcli.batch.work import Outcome, Task, not_run, run_here
from f2rcli.cli.options.denoise import BatchOptions
from f2rcli.cli.provenance import APART, given_options
from f2rcli.cli.terminal.batch_progress import BatchMeter
from f2rcli.cli.terminal.console import Console
from f2rcli.errors import EXIT_INPUT, EXIT_OK, InputError, UsageError
from f2rcli.io import is_clip
from f2rcli.system.machine import processors
from f2rcli.units import count

COMMAND: tuple[str, ...] = ()  # see Task.command


def asks_for_batch(sources: list[str], options: BatchOptions) -> bool:
    """Whether inputs or options mean several clips. Raises UsageError for --recursive of stdin."""
    given = options.given
    if sources == ["-"]:
        if given:
            raise UsageError(f"--{given[0]}: standard input is one clip.", hint="Leave it out.")
        return False
    folder = Path(sources[0])
    return bool(given) or len(sources) > 1 or (folder.is_dir() and _holds_clips(folder))


def _holds_clips(folder: Path) -> bool:
    """Whether a folder is not a clip, but may hold some; an empty one is a single bad clip."""
    try:
        return not is_clip(folder) and any(folder.iterdir())
    except OSError:
        return False


def run_batch(ctx: typer.Context, console: Console) -> int:
    """Denoise every clip named; returns the exit code. Raises UsageError or OutputError for what
    concerns them all, before any begins."""
    if ALONE in os.environ:  # children that start children would never end
        raise UsageError(
            f"{ctx.params['source'][0]}: expected one clip, found a folder of clips.",
            hint="It changed during the batch: run the same command again.",
        )
    batch = Batch.of(ctx.params, child_options(ctx))
    found = scan(batch.sources, batch.choice, avoid=batch.output)
    placed, remarks = place_all(found.clips, batch.output)
    for remark in (*found.remarks, *remarks):
        console.warning(remark)
    if not placed and not found.unreadable:
        raise InputError(
            f"{', '.join(batch.sources)}: no clips found.",
            hint="Check --pattern; --recursive includes subfolders.",
        )
    tasks = [batch.task(entry) for entry in placed][batch.part]
    if ctx.params["dry_run"]:
        return _print_plan(tasks, found, console)
    path = report_path(batch.output, batch.shard)
    check_report(path)
    Records(batch.output).prepare()
    console.event("start", version=__version__, clips=len(tasks), output=str(batch.output))
    return _run_all(batch, tasks, _unreadable(found, batch), path, console)


def _run_all(
    batch: "Batch", tasks: list[Task], lost: list[Outcome], path: Path, console: Console
) -> int:
    console.if_stopped = "finished clips are in place; the same command continues."
    outcomes: dict[str, Outcome] = {}
    began = _now()
    try:
        with BatchMeter(console, len(tasks)) as meter:
            for outcome in batch.run(tasks, meter):
                outcomes[outcome.place] = outcome
                _report_clip(outcome, meter.ended(outcome), len(tasks), console)
    finally:
        every = (*lost, *(outcomes.get(task.place, not_run(task)) for task in tasks))
        report = BatchReport(every, batch.values(began))
        if outcomes or lost or not tasks:  # else nothing began, and the error says why
            report.write(path)
            for line in report.table():
                console.note(line)
            facts = {"counts": report.counts, "exit_code": report.exit_code}
            console.event("result", report=str(path), **facts)
            console.note(f"{report.summary()}; report: {path}")
    return report.exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Several clips as asked for on the command line."""

    sources: tuple[str, ...]
    output: Path
    choice: Choice
    shared: Task  # of every clip, but for the clip itself
    shard: tuple[int, int] | None
    jobs: int
    cluster: str | None
    gpu: bool

    @classmethod
    def of(cls, given: Mapping[str, Any], options: Mapping[str, list[str]]) -> "Batch":
        """Raises UsageError where options clash."""
        if given["preview"] is not None:
            raise UsageError("--preview: is for one clip at a time.", hint="Name one clip.")
        sources, jobs = tuple(given["source"]), given["jobs"] or 1
        if given["cluster"] is not None:
            if given["jobs"]:
                raise UsageError(
                    "--jobs --cluster: choose one of them.", hint="A cluster has its own workers."
                )
            check_address(given["cluster"])
        output = _output(sources, given["output"])
        check_output(output, sources)
        kind, _, number = (given["cluster"] or "").partition(":")
        workers = int(number) if kind == "local" else jobs
        words = [word for part in options.values() for word in part]
        if workers > 1 and not given["threads"]:  # a fair share of the processors for every child
            words.append(f"--threads={max(1, processors() // workers)}")
        task = Task(
            output=str(output.absolute()), options=tuple(words), command=COMMAND,
            settings=settings_hash(options, given["weights"]),
            overwrite=bool(given["overwrite"]), keep_partial=bool(given["keep_partial"]),
        )  # fmt: skip
        return cls(
            sources=sources, output=output, shared=task, shard=shard_of(given["shard"]), jobs=jobs,
            choice=Choice(bool(given["recursive"]), tuple(given["pattern"] or ())),
            cluster=given["cluster"], gpu=str(given["device"]).startswith("cuda"),
        )  # fmt: skip

    @property
    def part(self) -> slice:
        """Which of the clips, in order, are this shard's."""
        return slice(None) if self.shard is None else slice(self.shard[0] - 1, None, self.shard[1])

    def task(self, entry: Placed) -> Task:
        """The task of one clip."""
        source, target = (str(path.absolute()) for path in (entry.source, entry.target))
        return replace(self.shared, source=source, target=target, place=entry.place.as_posix())

    def values(self, began: str) -> dict[str, Any]:
        """The report's facts of the run as a whole."""
        return {
            "f2r": __version__, "began": began, "ended": _now(), "inputs": list(self.sources),
            "output": str(self.output), "options": list(self.shared.options), "shard": self.shard,
        }  # fmt: skip

    def run(self, tasks: Sequence[Task], meter: BatchMeter) -> Iterator[Outcome]:
        """The outcomes as they come."""
        if self.cluster is None:
            return run_here(tasks, self.jobs, meter.progress)
        return run_on_cluster(tasks, self.cluster, gpu=self.gpu, tell=meter.console.note)


def _output(sources: tuple[str, ...], named: str | None) -> Path:
    if named == "-":
        raise UsageError("-o -: standard output holds one clip.", hint="Name a folder with -o.")
    if named is not None:
        return Path(named)
    folder = Path(sources[0])
    if len(sources) == 1 and folder.is_dir():
        resolved = folder.resolve()
        return resolved.with_name(f"{resolved.name}_f2r")
    raise UsageError("several inputs, and no output folder.", hint="Name a folder with -o.")


def shard_of(text: str | None) -> tuple[int, int] | None:
    """`2/8` as (2, 8); raises UsageError for anything else."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"--shard {text}: not I/N.", hint="The parts of eight are 1/8 to 8/8.")
    return int(match[1]), int(match[2])


def child_options(ctx: typer.Context) -> dict[str, list[str]]:
    """Words that give a child the options off their default, by parameter, unless it has them."""
    words: dict[str, list[str]] = {}
    for param, value in given_options(ctx, APART):
        flag = max(param.opts, key=len)
        values = value if isinstance(value, list | tuple) else [value]
        if param.name == "weights" and Path(str(value)).is_file():
            values = [Path(str(value)).absolute()]  # a cluster's workers run elsewhere
        words[param.name] = [f"{flag}={item}" for item in values]
        if getattr(param, "is_flag", False):
            words[param.name] = [flag if value else max(param.secondary_opts, key=len)]
    return words


def _unreadable(found: Scan, batch: Batch) -> list[Outcome]:
    """Unreadable folders, as failures; the first shard has them."""
    if batch.shard is not None and batch.shard[0] != 1:
        return []
    return [
        Outcome(
            source=str(path), target="", place=str(path), status="failed",
            reason=f"{path}: cannot be read: {why}.", exit_code=EXIT_INPUT,
        )
        for path, why in found.unreadable
    ]  # fmt: skip


def _print_plan(tasks: list[Task], found: Scan, console: Console) -> int:
    """--dry-run: which clip goes where."""
    for path, why in found.unreadable:
        console.warning(f"{path}: cannot be read: {why}.")
    if console.events is not None:
        clips = [{"source": task.source, "target": task.target} for task in tasks]
        console.event("plan", clips=clips)
        return EXIT_OK
    console.rows(f"{task.source} -> {task.target}" for task in tasks)
    console.rows([f"{len(tasks)} clips; nothing was written (--dry-run)"])
    return EXIT_OK


def _report_clip(outcome: Outcome, number: int, total: int, console: Console) -> None:
    console.event("clip", count=number, total=total, **asdict(outcome))
    head = f"[{number}/{total}] {outcome.place}: {outcome.status}"
    if outcome.failed:
        reason = outcome.reason.replace("error: ", "")
        console.warning(f"{head}: {reason}{f' {outcome.hint}' if outcome.hint else ''}")
        return
    frames = "" if outcome.frames is None else f", {count(outcome.frames)}"
    console.note(f"{head}{frames}, {outcome.seconds:.1f} s")
    for warning in outcome.warnings:
        console.detail(f"  {warning}")


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
