"""`f2r eval`: how good denoised clips are, with a reference, with noise made here, or neither."""

import sys
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console as RichConsole

from f2rcli.cli.console import Console
from f2rcli.cli.eval_cases import EvalRequest, ask, plan_of, split
from f2rcli.cli.eval_table import tables
from f2rcli.cli.options import eval as eopt
from f2rcli.cli.options import shared as opt
from f2rcli.cli.progress import Meter
from f2rcli.errors import EXIT_BATCH, EXIT_DAMAGED, EXIT_OK, F2RError
from f2rcli.evaluation.plan import Plan
from f2rcli.evaluation.result import Evaluation
from f2rcli.io.atomic import write_file
from f2rcli.io.targets import check_target

if TYPE_CHECKING:
    from f2rcli.evaluation.base import Observer

WIDTH = 160  # columns of a table that does not go to a terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Where results go."""

    csv: str | None
    json: str | None
    report: str | None
    compare_video: str | None
    overwrite: bool

    def check(self, sources: list[Path]) -> None:
        """Raise for what could not be written at the end, before there is work to lose."""
        for option, target in (
            ("--csv", self.csv), ("--json", self.json), ("--report", self.report),
            ("--compare-video", self.compare_video),
        ):  # fmt: skip
            if target is None or (target == "-" and option in ("--csv", "--json")):
                continue
            if option == "--compare-video" and (Path(target).is_dir() or not Path(target).suffix):
                continue  # a folder, which is made if need be
            try:
                check_target(Path(target), sources, overwrite=self.overwrite)
            except F2RError as error:
                hint = (error.hint or "").replace("with -o", f"with {option}")
                raise type(error)(f"{option}: {error}", hint=hint) from error


def evaluate(
    ctx: typer.Context,
    inputs: eopt.Inputs = None,
    denoised: eopt.Denoised = None,
    clean: eopt.Clean = None,
    noisy: eopt.Noisy = None,
    benchmark: eopt.Benchmark = None,
    root: eopt.Root = None,
    noise: eopt.Noise = None,
    clipped: eopt.Clipped = True,
    seed: eopt.Seed = 0,
    methods: eopt.Methods = None,
    baselines: eopt.Baselines = None,
    metrics: eopt.Metrics = None,
    border: eopt.Border = 0,
    conversion: eopt.Conversion = "f2r",
    frames: eopt.Frames = None,
    axes: opt.Axes = None,
    strength: opt.Strength = 1.0,
    luma_strength: opt.LumaStrength = None,
    chroma_strength: opt.ChromaStrength = None,
    sigma: opt.Sigma = None,
    weights: opt.Weights = None,
    device: opt.Device = "auto",
    threads: opt.Threads = None,
    precision: opt.Precision = "auto",
    tile: opt.Tile = "auto",
    csv: eopt.CsvTo = None,
    json: eopt.JsonTo = None,
    report: eopt.ReportTo = None,
    compare_video: eopt.CompareTo = None,
    overwrite: eopt.Overwrite = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
    log_file: opt.LogFile = None,
    debug: opt.Debug = False,
    config: opt.Config = None,
) -> int:
    """Measure how good DENOISED clips are, or f2r itself, against clean clips or without any."""
    console: Console = ctx.obj
    console.configure(quiet=quiet, verbose=verbose, debug=debug, log_file=log_file)
    console.if_stopped = "no results were written."
    given = dict(ctx.params) | {"denoised": [*(inputs or []), *(denoised or [])]}
    sources = {name: ctx.get_parameter_source(name) for name in given}
    said = {name for name, source in sources.items() if source and source.name != "DEFAULT"}
    return evaluate_given(given, said, console)


def evaluate_given(given: dict[str, Any], said: set[str], console: Console) -> int:
    """Evaluate what the options describe; `said` are those that were not left at their default.

    Returns the exit code.
    """
    plan = plan_of(given)
    targets = Targets(**{field.name: given[field.name] for field in fields(Targets)})
    sides = (given["clean"], given["noisy"], *(split(text)[1] for text in given["denoised"]))
    targets.check([Path(path) for path in sides if path])
    asked, plan = ask(given, plan, said)
    for line in asked.remarks:
        console.warning(line)
    found, damaged = _run(asked, plan, targets, console)
    _deliver(found, targets, console, every_clip=given["verbose"])
    if any(result.failed for clip in found.clips for result in clip.methods):
        return EXIT_BATCH
    return EXIT_DAMAGED if damaged else EXIT_OK


def _run(
    asked: EvalRequest, plan: Plan, targets: Targets, console: Console
) -> tuple[Evaluation, bool]:
    """Everything measured, and whether any input was damaged."""
    from f2rcli.evaluation.run import Run

    total = None if plan.frames is None else plan.frames * len(asked.cases)
    with ExitStack() as stack, Meter(console, "eval", total, exact=False) as meter:
        run = Run(
            plan, kind=asked.kind, baselines=asked.baselines,
            observers=_observers(asked, targets, stack), progress=lambda *_: meter.advance(),
        )  # fmt: skip
        clips = []
        for case in asked.cases:
            console.detail(f"{case.name} {case.group}".rstrip())
            clips.append(run.clip(case))
            for note in clips[-1].notes:
                console.note(f"note: {note}")
    found = run.evaluation(clips, command=_command(), benchmark=asked.benchmark)
    for note in found.notes:
        console.warning(note)
    for clip in clips:
        for result in clip.methods:
            for line in (*([result.failed] if result.failed else []), *result.notes):
                console.warning(f"{clip.name}: {result.method}: {line}")
    return found, run.damaged


def _observers(asked: EvalRequest, targets: Targets, stack: ExitStack) -> "list[Observer]":
    observers: list[Observer] = []
    if targets.report is not None:
        from f2rcli.evaluation.visuals.pictures import ReportPictures

        observers.append(ReportPictures(len(asked.cases)))
    if targets.compare_video is not None:
        from f2rcli.evaluation.visuals.split_screen import SplitScreen

        screen = SplitScreen(
            Path(targets.compare_video), clips=len(asked.cases), overwrite=targets.overwrite
        )
        observers.append(stack.enter_context(screen))
    return observers


def _command() -> str:
    """The command line, without folders that are nobody's business."""
    return " ".join(["f2r", *(Path(word).name if "/" in word else word for word in sys.argv[1:])])


def _deliver(found: Evaluation, targets: Targets, console: Console, *, every_clip: bool) -> None:
    """Write and print what was asked for."""
    from f2rcli.evaluation import export

    printed = False
    for target, written in ((targets.csv, export.to_csv), (targets.json, export.to_json)):
        if target == "-":
            console.data(written(found).rstrip())
            printed = True
        elif target is not None:
            write_file(Path(target), written(found).encode(), overwrite=targets.overwrite)
    if targets.report is not None:
        from f2rcli.evaluation.report import write_report

        write_report(found, Path(targets.report), overwrite=targets.overwrite)
    if printed or console.quiet:
        return
    out = RichConsole(file=sys.stdout, highlight=False)
    if not out.is_terminal:
        out.width = WIDTH
    for table in tables(found, every_clip=every_clip):
        out.print(table)
    for line in facts(found):
        out.print(line, markup=False, soft_wrap=True)


def facts(found: Evaluation) -> list[str]:
    """What a reader of the table must know, a line each."""
    said = []
    if found.kind == "synthetic":
        made = "8-bit, clipped" if found.settings["clipped"] else "unclipped float"
        said.append(
            f"noise: {made}, seed {found.settings['seed']} (compressed noise: 8-bit always)"
        )
    border, colours = found.settings["border"], found.settings["conversion"]
    said.append(f"border: {border} px left out; colours by {colours}; every clip weighs the same")
    if found.benchmark is not None:
        said += found.benchmark.protocol
        sources = dict.fromkeys(row.source for row in found.benchmark.published)
        said += [f"published: {source}" for source in sources]
        if not found.benchmark.complete:
            said.append("not all of the benchmark is there: published rows do not compare")
    return said
