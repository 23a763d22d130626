"""`f2r eval`: how good denoised clips are, with a reference, with noise made here, or neither."""

import json
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.console import Console as RichConsole

from f2rcli.cli.eval_cases import EvalRequest, plan_of, request
from f2rcli.cli.options import eval as eopt
from f2rcli.cli.options import shared as opt
from f2rcli.cli.options.derived import Fields, with_options
from f2rcli.cli.results import about_result, check_result, command_typed
from f2rcli.cli.terminal.console import Console
from f2rcli.cli.terminal.eval_table import ARROWS, tables
from f2rcli.cli.terminal.progress import RunMeter
from f2rcli.cli.terminal.text import encodable, one_line
from f2rcli.engine.settings import EngineSettings
from f2rcli.errors import EXIT_BATCH, EXIT_DAMAGED, EXIT_OK, UsageError
from f2rcli.evaluation.plan import Plan
from f2rcli.evaluation.result import Evaluation
from f2rcli.io.atomic import write_file

if TYPE_CHECKING:
    from f2rcli.evaluation.base import Observer

WIDTH = 160  # columns of a table that does not go to a terminal


@with_options
def evaluate(
    *,
    inputs: eopt.Inputs = None,
    options: eopt.EvalOptions,
    read: opt.StackOptions,
    engine: Annotated[EngineSettings, Fields(without=("method",))],
    targets: eopt.Targets,
    console: Console,
) -> int:
    """Score DENOISED clips, or what f2r makes of noisy ones, with or without clean clips."""
    console.if_stopped = "no results were written."
    options = replace(options, denoised=[*(inputs or []), *(options.denoised or [])])
    plan = plan_of(options, engine)
    _check_targets(targets, console)
    asked, plan = request(options, read, plan)
    for line in asked.remarks:
        console.warning(line)
    found, damaged = _run(asked, plan, targets, console)
    _deliver(found, targets, console)
    if any(result.failed for clip in found.clips for result in clip.methods):
        return EXIT_BATCH
    return EXIT_DAMAGED if damaged else EXIT_OK


def _check_targets(targets: eopt.Targets, console: Console) -> None:
    """Raise for what could not be written at the end, before there is work to lose."""
    if targets.csv == "-" and console.events is not None:
        raise UsageError(
            "--csv - --json: both want standard output.", hint="Write one of them to a file."
        )
    for name in ("csv", "json_file", "report"):
        target = getattr(targets, name)
        if target is None or (target == "-" and name == "csv"):
            continue
        check_result(name, target, overwrite=targets.overwrite)


def _run(
    asked: EvalRequest, plan: Plan, targets: eopt.Targets, console: Console
) -> tuple[Evaluation, bool]:
    """Everything measured, and whether any input was damaged."""
    from f2rcli.evaluation.run import Evaluator

    total = None if plan.frames is None else plan.frames * len(asked.cases)
    with RunMeter(console, "eval", total, exact=False) as meter:
        run = Evaluator(
            plan, kind=asked.kind, baselines=asked.baselines,
            observers=_observers(asked, targets), progress=lambda *_: meter.advance(),
        )  # fmt: skip
        clips = []
        for case in asked.cases:
            console.detail(f"{case.name} {case.group}".rstrip())
            clips.append(run.clip(case))
            for note in clips[-1].notes:
                console.note(f"note: {note}")
    found = run.evaluation(clips, command=command_typed(), benchmark=asked.benchmark)
    for note in found.notes:
        console.warning(note)
    for clip in clips:
        for result in clip.methods:
            for line in (*([result.failed] if result.failed else []), *result.notes):
                console.warning(f"{clip.name}: {result.method}: {line}")
    return found, run.damaged


def _observers(asked: EvalRequest, targets: eopt.Targets) -> "list[Observer]":
    observers: list[Observer] = []
    if targets.report is not None:
        from f2rcli.evaluation.pictures import ReportPictures

        observers.append(ReportPictures(len(asked.cases)))
    return observers


def _deliver(found: Evaluation, targets: eopt.Targets, console: Console) -> None:
    from f2rcli.evaluation import export

    for name, written in (("csv", export.to_csv), ("json_file", export.to_json)):
        target = getattr(targets, name)
        if target not in (None, "-"):
            with about_result(name):
                write_file(Path(target), written(found).encode(), overwrite=targets.overwrite)
            console.note(f"results: {target}")
    if targets.report is not None:
        from f2rcli.evaluation.report import write_report

        with about_result("report"):
            write_report(found, Path(targets.report), overwrite=targets.overwrite)
    if console.events is not None:
        console.event("evaluation", **json.loads(export.to_json(found)))
    elif targets.csv == "-":
        console.data(export.to_csv(found).rstrip())
    elif not console.quiet:
        print_tables(found, console)
        if targets.report is not None:
            console.data(f"report: {targets.report}")


def print_tables(found: Evaluation, console: Console) -> None:
    """Print the tables and what they rest on, on standard output."""
    out = RichConsole(file=sys.stdout, highlight=False)
    if not out.is_terminal:
        out.width = WIDTH
    known = encodable(ARROWS, out.encoding) == ARROWS
    for table in tables(found, out.width, every_clip=console.verbose):
        with out.capture() if not known else nullcontext() as captured:
            out.print(table)
        if captured is not None:  # escapes of six characters would break the columns
            sys.stdout.write(captured.get().translate(str.maketrans(ARROWS, "^v")))
    for line in facts(found):
        out.print(one_line(line), markup=False, soft_wrap=True)


def facts(found: Evaluation) -> list[str]:
    """The conditions of the table, a line each."""
    lines, settings = [], found.settings
    if found.kind == "synthetic":
        made = "8-bit, clipped" if settings["clipped"] else "unclipped float"
        lines.append(f"noise: {made}, seed {settings['seed']} (compressed noise: 8-bit always)")
    if found.benchmark is not None:
        lines.append(found.benchmark.title)
        lines += found.benchmark.protocol
        most = settings["frames"]
        lines += [f"here at most {most} frames of each"] if most else []
        sources = dict.fromkeys(row.source for row in found.benchmark.published)
        lines += [f"published: {source}" for source in sources]
        if found.benchmark.published and not found.benchmark.complete:
            lines.append("the benchmark is not complete: published rows are not comparable")
    return lines
