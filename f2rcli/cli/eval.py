"""`f2r eval`: how good denoised clips are, with a reference, with noise made here, or neither."""

import json as formats
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console as RichConsole
from rich.table import Table
from rich.text import Text as Words

from f2rcli import methods as denoisers
from f2rcli.cli import options as opt
from f2rcli.cli.console import Console, plain
from f2rcli.cli.options import Text, check_result, command_typed, option, result, write_result
from f2rcli.cli.progress import FrameMeter
from f2rcli.engine.settings import EngineSettings
from f2rcli.errors import EXIT_BATCH, EXIT_DAMAGED, EXIT_OK, UsageError
from f2rcli.evaluation import benchmarks
from f2rcli.evaluation import metrics as metric_names
from f2rcli.evaluation.base import Plan
from f2rcli.evaluation.result import NOISY, BenchmarkFacts, Evaluation, MetricFacts
from f2rcli.evaluation.tables import NONE, TableRow, clip_rows, mean_rows
from f2rcli.io import ReadOptions
from f2rcli.settings import check_choice
from f2rcli.units import count

if TYPE_CHECKING:
    from f2rcli.evaluation.base import Case

BETTER = {"higher": " (more is better)", "lower": " (less is better)", "": ""}
MOST_CLIPS = 12  # that are listed one by one
WIDTH = 160  # columns of a table that does not go to a terminal
clips, ways = (partial(option, group) for group in ("Clips", "Noise, methods and metrics"))


def evaluate(
    ctx: typer.Context,
    denoised: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[LABEL=]DENOISED", show_default=False, help="Denoised clips, or folders."
        ),
    ] = None,
    clean: Annotated[Text, clips("PATH", "Clean clip or folder, to compare with.")] = None,
    noisy: Annotated[Text, clips("PATH", "What DENOISED was made of.")] = None,
    benchmark: Annotated[Text, clips("NAME", "davis, set8 or crvd, with its protocol.")] = None,
    root: Annotated[Text, clips("DIR", "Its files.")] = None,
    any_clips: Annotated[bool, clips("", "Whatever --root has.", "--any-clips", more=True)] = False,
    noise: Annotated[
        list[str] | None, ways("KIND:NUMBERS", "Added to clean clips: gaussian:30.")
    ] = None,
    seed: Annotated[int, ways("N", "Same seed, same noise.", more=True)] = 0,
    methods: Annotated[Text, ways("A,B,none", "Denoise noisy clips here; none: do not.")] = None,
    baselines: Annotated[Text, ways("A,B", "ffmpeg, opencv, or one of their filters.")] = None,
    metrics: Annotated[Text, ways("A,B|all", "psnr, ssim, ... (default: those that fit).")] = None,
    strength: Annotated[float, ways("S", "As for f2r denoise.", more=True)] = 1.0,
    weights: opt.Weights = None,
    frames: opt.Frames = None,
    axes: opt.Axes = None,
    series: opt.Series = None,
    csv: Annotated[Text, result("OUT.csv", "Every value as a table; - prints it.")] = None,
    report: Annotated[Text, result("OUT.html", "Page with tables, curves and pictures.")] = None,
    overwrite: opt.Overwrite = False,
    device: opt.Device = "auto",
    threads: opt.Threads = None,
    precision: opt.Precision = "auto",
    tile: opt.Tile = "auto",
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    help_all: opt.HelpAll = False,
) -> int:
    """Score DENOISED clips, or what f2r makes of noisy ones.

      f2r eval out.mp4 --noisy in.mp4                    without a clean version
      f2r eval out.mp4 --clean clean.mp4 --report r.html
      f2r eval --clean clips/ --noise gaussian:30 --baselines ffmpeg
    """  # fmt: skip
    console = opt.begin(ctx, json=json, quiet=quiet)
    console.if_stopped = "no results were written."
    sides = Sides(denoised or [], clean, noisy, noise or [], benchmark, root, any_clips)
    engine = EngineSettings(
        strength=strength, weights=weights, device=device, threads=threads, precision=precision,
        tile=tile,
    )  # fmt: skip
    plan = Plan(
        metrics=metric_names.check(_listed(metrics)), methods=_denoisers(methods, sides, engine),
        baselines=_listed(baselines), seed=seed, frames=frames, engine=engine,
    )  # fmt: skip
    sides.check()
    if csv == "-" and json:
        raise UsageError("--csv - --json: both want standard output.", hint="Name a file.")
    others = [*sides.denoised, clean, noisy, weights]
    check_result("--csv", None if csv == "-" else csv, [*others, report], overwrite=overwrite)
    check_result("--report", report, [*others, csv], overwrite=overwrite)
    about = None
    if benchmark is None:
        cases, remarks = sides.cases(ReadOptions(axes=axes, series=series, frames=frames))
        for line in remarks:
            console.warning(line)
    else:
        chosen = benchmarks.load(benchmark)
        cases = chosen.cases(Path(root or ""), tuple(noise or ()), frames, any_clips=any_clips)
        about = chosen.facts(cases, frames)
        plan = replace(
            plan, metrics=plan.metrics or chosen.metrics, clipped=chosen.clipped,
            frames=frames or chosen.frames,
        )  # fmt: skip
    found, damaged = _run(cases, about, plan, console, pictures=report is not None)
    _deliver(found, csv, report, console, overwrite=overwrite)
    if any(one.failed for clip in found.clips for one in clip.methods):
        return EXIT_BATCH
    return EXIT_DAMAGED if damaged else EXIT_OK


@dataclass(frozen=True, slots=True)
class Sides:
    """What is compared with what."""

    denoised: list[str]
    clean: str | None
    noisy: str | None
    noise: list[str]
    benchmark: str | None
    root: str | None
    any_clips: bool

    def check(self) -> None:
        """Raise UsageError for sides that do not make an evaluation."""
        clean, noisy, denoised, own = self.clean, self.noisy, self.denoised, self.benchmark
        given = bool(clean or noisy or denoised)
        for wrong, message, hint in (
            ((own is None) != (self.root is None), "--benchmark and --root: go together.",
             "Pass both."),
            (self.any_clips and own is None, "--any-clips: says which clips a --benchmark takes.",
             "Leave it out."),
            (own is not None and given, "--benchmark: names its own clips.",
             "Leave --clean, --noisy and DENOISED out."),
            (self.noise and own is None and (clean is None or noisy or denoised),
             "--noise: is made on clean clips, for methods that run here.",
             "Pass --clean, and neither --noisy nor DENOISED."),
            (own is None and not self.noise and not denoised and noisy is None,
             "nothing to evaluate.", "f2r eval DENOISED --clean CLEAN, f2r eval --clean CLEAN "
             "--noise gaussian:30, or f2r eval DENOISED --noisy NOISY."),
            (denoised and clean is None and noisy is None,
             f"{next(iter(denoised), '')}: nothing to compare it with.",
             "Pass --clean or --noisy, or both."),
        ):  # fmt: skip
            if wrong:
                raise UsageError(message, hint=hint)

    def cases(self, read: ReadOptions) -> "tuple[list[Case], list[str]]":
        """The cases that are no benchmark's, and remarks. Raises InputError for no match."""
        from f2rcli.evaluation.pairing import paired
        from f2rcli.noise.synthesis.spec import parse  # brings codecs

        noises = [parse(text) for text in self.noise]
        named = {"clean": self.clean, "noisy": self.noisy}
        sides = {word: Path(path) for word, path in named.items() if path is not None}
        return paired(sides | self._labelled(), read, noises)

    def _labelled(self) -> dict[str, Path]:
        """The denoised sides by label; without one by their own name."""
        sides: dict[str, Path] = {}
        for text in self.denoised:
            label, _, path = text.partition("=")
            taken = ("clean", "noisy", NOISY, *sides)
            if not (label and path) or Path(text).exists():
                own, path = Path(text).resolve().stem, text
                label = own if own not in taken else f"{own} ({len(sides) + 2})"
            if label in taken:
                raise UsageError(
                    f"{text}: the label {label} is taken.",
                    hint="Write LABEL=PATH with another label.",
                )
            sides[label] = Path(path)
        return sides


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


def _denoisers(text: str | None, sides: Sides, engine: EngineSettings) -> tuple[str, ...]:
    """The methods that run here. Raises UsageError for unknown ones, or weights of several."""
    names = _listed(text)
    if text is None and not sides.denoised:
        names = (NOISY, denoisers.DEFAULT)
    for name in names:
        check_choice("methods", name, [*denoisers.available(), NOISY])
    made = [name for name in names if name != NOISY]
    if engine.weights is not None and len(made) != 1:
        raise UsageError(
            f"--weights {engine.weights}: for which of {', '.join(made) or 'no'} methods?",
            hint="Pass one method with --methods.",
        )
    return names


def _run(
    cases: "list[Case]",
    benchmark: BenchmarkFacts | None,
    plan: Plan,
    console: Console,
    *,
    pictures: bool,
) -> tuple[Evaluation, bool]:
    """Everything measured, and whether any input was damaged."""
    from f2rcli.evaluation import baselines
    from f2rcli.evaluation.pictures import ReportPictures
    from f2rcli.evaluation.run import Evaluator

    made, clean = (any(getattr(case, side) for case in cases) for side in ("noise", "reference"))
    kept = ReportPictures(len(cases)) if pictures else None
    total = None if plan.frames is None else plan.frames * len(cases)
    with FrameMeter(console, "eval", total, exact=False) as meter:
        run = Evaluator(
            plan, kind="synthetic" if made else "reference" if clean else "blind", pictures=kept,
            baselines=baselines.find(plan.baselines), progress=lambda: meter.advance(),
        )  # fmt: skip
        meter.stage("opening the clips")
        clips = []
        for case in cases:
            meter.label = f"{case.name} {case.group}".rstrip()
            clips.append(run.clip(case))
            for note in clips[-1].notes:
                console.note(f"note: {note}")
    found = run.evaluation(clips, command=command_typed(), benchmark=benchmark)
    for note in found.notes:
        console.warning(note)
    for clip in clips:
        for one in clip.methods:
            for line in (*([one.failed] if one.failed else []), *one.notes):
                console.warning(f"{clip.name}: {one.method}: {line}")
    return found, run.damaged


def _deliver(
    found: Evaluation, csv: str | None, report: str | None, console: Console, *, overwrite: bool
) -> None:
    """Write the files, and print the tables even where the run was to be quiet: they are the
    result."""
    from f2rcli.evaluation import export

    if csv not in (None, "-"):
        write_result("--csv", str(csv), export.to_csv(found).encode(), overwrite=overwrite)
        console.note(f"results: {csv}")
    if report is not None:
        from f2rcli.evaluation.report import write_report

        write_report(found, Path(report), overwrite=overwrite)
    if console.json:
        console.event("evaluation", **formats.loads(export.to_json(found)))
    elif csv == "-":
        console.data(export.to_csv(found).rstrip())
    else:
        print_tables(found)
    if report is not None:
        console.note(f"report: {report}")


def print_tables(found: Evaluation) -> None:
    """Print the tables and what they rest on, on standard output."""
    out = RichConsole(file=sys.stdout, highlight=False)
    if not out.is_terminal:
        out.width = WIDTH
    for table in tables(found):
        out.print(table)
    for line in facts(found):
        out.print(plain(line), markup=False, soft_wrap=True)


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


def tables(found: Evaluation) -> Iterator[Table]:
    """A table for every clip of a few, and for the mean of several, with what was published."""
    for group in found.groups:
        clips = [clip for clip in found.clips if clip.group == group]
        for clip in clips if len(clips) <= MOST_CLIPS else []:
            yield _table(group, clip.name, clip_rows(clip, found), found.metrics)
        if len(clips) > 1:
            name = f"mean of {count(len(clips), 'clip')}"
            yield _table(group, name, mean_rows(found, group), found.metrics)


def _table(
    group: str, name: str, rows: Sequence[TableRow], metrics: Sequence[MetricFacts]
) -> Table:
    title = plain(": ".join(word for word in (group, name) if word))
    table = Table(title=title, title_justify="left", highlight=False)
    timed = any(row.time != NONE for row in rows)
    table.add_column("", overflow="fold")
    for metric in metrics:
        words = f"{metric.title}{metric.unit and f' {metric.unit}'}{BETTER[metric.better]}"
        table.add_column(Words(words), justify="right", overflow="fold")
    if timed:
        table.add_column("seconds per frame", justify="right")
    for row in rows:
        cells = [Words(cell, style="bold" if best else "") for cell, best in row.cells]
        title = plain(row.title) + (", published" if row.published else "")
        more = [row.time] if timed else []
        table.add_row(Words(title), *cells, *more, style="dim" if row.published else None)
    return table
