"""`f2r eval`: how good denoised clips are, with a reference, with noise made here, or neither."""

import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console as RichConsole
from rich.table import Table
from rich.text import Text as Words

from f2rcli import methods as denoisers
from f2rcli.cli import options as opt
from f2rcli.cli.console import Console, plain
from f2rcli.cli.options import Text, Texts, argument, option, result
from f2rcli.cli.progress import FrameMeter
from f2rcli.engine.settings import EngineSettings
from f2rcli.errors import EXIT_BATCH, EXIT_DAMAGED, EXIT_OK
from f2rcli.evaluation import benchmarks, tables
from f2rcli.evaluation.base import Case, Comparison, Plan
from f2rcli.evaluation.result import NOISY, BenchmarkFacts, Evaluation, MetricFacts
from f2rcli.io import ReadOptions
from f2rcli.units import count

BETTER = {"higher": " (more is better)", "lower": " (less is better)", "": ""}
MOST_CLIPS = 12  # that are listed one by one
WIDTH = 160  # columns of a table that does not go to a terminal
clips, ways = (partial(option, group) for group in ("Clips", "Noise, methods and metrics"))


@opt.common("weights frames axes series overwrite device threads precision tile quiet")
def evaluate(
    ctx: typer.Context,
    denoised: Annotated[Texts, argument("[LABEL=]DENOISED", "Denoised clips, or folders.")] = None,
    clean: Annotated[Text, clips("PATH", "Clean clip or folder, to compare with.")] = None,
    noisy: Annotated[Text, clips("PATH", "What DENOISED was made of.")] = None,
    benchmark: Annotated[Text, clips("NAME", "davis, set8 or crvd, with its protocol.")] = None,
    root: Annotated[Text, clips("DIR", "Its files.")] = None,
    any_clips: Annotated[bool, clips("", "Whatever --root has.", "--any-clips", more=True)] = False,
    noise: Annotated[Texts, ways("KIND:NUMBERS", "Added to clean clips: gaussian:30.")] = None,
    seed: Annotated[int, ways("N", "Same seed, same noise.", more=True)] = 0,
    methods: Annotated[Text, ways("A,B,none", "Denoise noisy clips here; none: do not.")] = None,
    baselines: Annotated[Text, ways("A,B", "ffmpeg, opencv, or one of their filters.")] = None,
    metrics: Annotated[Text, ways("A,B|all", "psnr, ssim, ... (default: those that fit).")] = None,
    strength: Annotated[float, ways("S", "As for f2r denoise.", more=True)] = 1.0,
    csv: Annotated[Text, result("OUT.csv", "Every value as a table.")] = None,
    report: Annotated[Text, result("OUT.html", "Page with tables, curves and pictures.")] = None,
) -> int:
    """Score DENOISED clips, or what f2r makes of noisy ones.

      f2r eval out.mp4 --noisy in.mp4                    without a clean version
      f2r eval out.mp4 --clean clean.mp4 --report r.html
      f2r eval --clean clips/ --noise gaussian:30 --baselines ffmpeg
    """  # fmt: skip
    console = opt.begin(ctx)
    sides = opt.settings(ctx, Comparison, denoised=tuple(denoised or ()), noise=tuple(noise or ()))
    here = (NOISY, denoisers.DEFAULT) if methods is None and not denoised else _listed(methods)
    plan = opt.settings(
        ctx, Plan, metrics=_listed(metrics), methods=here, baselines=_listed(baselines),
        engine=opt.settings(ctx, EngineSettings),
    )  # fmt: skip
    opt.check_results(ctx, [*sides.denoised, clean, noisy, plan.engine.weights], "csv", "report")
    about = None
    if benchmark is None:
        cases, remarks = sides.cases(opt.settings(ctx, ReadOptions))
        console.warning(*remarks)
    else:
        chosen = benchmarks.load(benchmark)
        cases = chosen.cases(Path(root or ""), sides.noise, plan.frames, any_clips=any_clips)
        about = chosen.facts(cases, plan.frames)
        plan = replace(
            plan, metrics=plan.metrics or chosen.metrics, clipped=chosen.clipped,
            frames=plan.frames or chosen.frames,
        )  # fmt: skip
    found, damaged = _run(cases, about, plan, console, pictures=report is not None)
    if csv is not None:
        opt.write_result(ctx, "csv", "results", tables.to_csv(found).encode())
    if report is not None:
        from f2rcli.evaluation.report import page

        opt.write_result(ctx, "report", "report", page(found).encode("utf-8", "replace"))
    if console.json:
        console.event("evaluation", **tables.values(found))
    else:  # even where the run is to be quiet: they are its result
        print_tables(found)
    if any(one.failed for clip in found.clips for one in clip.methods):
        return EXIT_BATCH
    return EXIT_DAMAGED if damaged else EXIT_OK


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


def _run(
    cases: list[Case], about: BenchmarkFacts | None, plan: Plan, console: Console, *, pictures: bool
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
            baselines=baselines.find(plan.baselines), progress=meter.advance,
        )  # fmt: skip
        meter.stage("opening the clips")
        clips = []
        for case in cases:
            meter.label = f"{case.name} {case.group}".rstrip()
            clips.append(run.clip(case))
            told = {note for clip in clips[:-1] for note in clip.notes}
            console.remark(*(note for note in clips[-1].notes if note not in told))
    typed = (re.sub(r"[^=]*/(?!$)", "", word) for word in sys.argv[1:])  # no private paths
    found = run.evaluation(clips, command=" ".join(["f2r", *typed]), benchmark=about)
    console.warning(*found.notes)
    for clip in clips:
        for one in clip.methods:
            for line in (*([one.failed] if one.failed else []), *one.notes):
                console.warning(f"{clip.name}: {one.method}: {line}")
    return found, run.damaged


def print_tables(found: Evaluation) -> None:
    """Print a table for every clip of a few, and for the mean of several with what was published,
    and what they rest on, on standard output."""
    out = RichConsole(file=sys.stdout, highlight=False)
    if not out.is_terminal:
        out.width = WIDTH
    for group in found.groups:
        clips = [clip for clip in found.clips if clip.group == group]
        for clip in clips if len(clips) <= MOST_CLIPS else []:
            out.print(_table(group, clip.name, tables.clip_rows(clip, found), found.metrics))
        if len(clips) > 1:
            name = f"mean of {count(len(clips), 'clip')}"
            out.print(_table(group, name, tables.mean_rows(found, group), found.metrics))
    benchmark = [] if found.benchmark is None else [found.benchmark.title]
    for line in (*benchmark, *tables.conditions(found)):
        out.print(plain(line), markup=False, soft_wrap=True)


def _table(
    group: str, name: str, rows: Sequence[tables.TableRow], metrics: Sequence[MetricFacts]
) -> Table:
    title = plain(": ".join(word for word in (group, name) if word))
    table = Table(title=title, title_justify="left", highlight=False)
    timed = any(row.time != tables.NONE for row in rows)
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
