"""`f2r denoise`: parse, open both ends, call the library, report."""

import sys
from dataclasses import asdict, dataclass, replace
from dataclasses import fields as fields_of
from typing import TYPE_CHECKING, Any

import typer

from f2rcli import __version__, methods
from f2rcli.cli.commands.adapt import adapted, check_adapt
from f2rcli.cli.commands.batch import asks_for_batch, run_batch
from f2rcli.cli.console import Console
from f2rcli.cli.forecast import expected_frames, forecast
from f2rcli.cli.options import batch as bopt
from f2rcli.cli.options import checks
from f2rcli.cli.options import shared as opt
from f2rcli.cli.options.engine import (
    EngineChoice,
    aside_lines,
    engine_values,
    engine_words,
    noise_lines,
    returned_lines,
    returned_of,
    returned_values,
    say_notes,
    sigma_of,
)
from f2rcli.cli.preview import pairs, preview_target, write_preview
from f2rcli.cli.progress import Meter
from f2rcli.cli.run_report import RunReport
from f2rcli.errors import EXIT_DAMAGED, EXIT_OK, F2RError, UsageError, WeightsError
from f2rcli.frames import ClipInfo
from f2rcli.io import default_target, open_reader, open_writer, plan_output
from f2rcli.io.base import Reader, ReadOptions, Receipt, WriteOptions, WritePlan
from f2rcli.window import LEAD_IN, LEAD_OUT

if TYPE_CHECKING:
    from f2rcli.engine.stream import Engine


def denoise(
    ctx: typer.Context,
    source: bopt.Sources,
    output: opt.Output = None,
    recursive: bopt.Recursive = False,
    pattern: bopt.Pattern = None,
    jobs: bopt.Jobs = None,
    shard: bopt.Shard = None,
    cluster: bopt.Cluster = None,
    strength: opt.Strength = 1.0,
    luma_strength: opt.LumaStrength = None,
    chroma_strength: opt.ChromaStrength = None,
    sigma: opt.Sigma = None,
    method: opt.Method = methods.DEFAULT,
    weights: opt.Weights = None,
    adapt: opt.Adapt = None,
    fields: opt.Fields = "auto",
    axes: opt.Axes = None,
    start: opt.Start = None,
    end: opt.End = None,
    frames: opt.Frames = None,
    preview: opt.Preview = None,
    report: opt.ReportTo = None,
    device: opt.Device = "auto",
    threads: opt.Threads = None,
    precision: opt.Precision = "auto",
    tile: opt.Tile = "auto",
    codec: opt.Codec = None,
    crf: opt.Crf = None,
    preset: opt.Preset = None,
    pix_fmt: opt.PixFmt = None,
    encoder_opt: opt.EncoderOpt = None,
    lossless: opt.Lossless = False,
    format: opt.Format = None,
    demosaic: opt.Demosaic = False,
    overwrite: opt.Overwrite = False,
    dry_run: opt.DryRun = False,
    strict: opt.Strict = False,
    keep_partial: opt.KeepPartial = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
    log_file: opt.LogFile = None,
    debug: opt.Debug = False,
    config: opt.Config = None,
) -> int:
    """Denoise INPUT into OUTPUT, frame by frame, in constant memory.

    Several inputs, or a folder of clips, go into the folder OUTPUT, each in a process of its own.
    """
    console: Console = ctx.obj
    console.configure(json=json, quiet=quiet, verbose=verbose, debug=debug, log_file=log_file)
    if asks_for_batch(ctx.params):
        Job.of(ctx.params | {"source": "clips", "output": "clips"})  # wrong options fail just once
        return run_batch(ctx, console)
    return run_job(Job.of(ctx.params | {"source": source[0]}), console)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One `f2r denoise`, as asked for."""

    source: str
    output: str | None
    engine: EngineChoice
    adapt: str | None = None
    read: ReadOptions
    write: WriteOptions
    preview: int | None = None
    report: str | None = None
    dry_run: bool = False

    @classmethod
    def of(cls, given: dict[str, Any]) -> "Job":
        """The job that the command's options describe; raises UsageError where they clash."""
        span = (given["start"], given["end"], given["frames"], given["fields"])
        options = checks.pairs(given["encoder_opt"])
        job = cls(
            source=given["source"],
            output=given["output"],
            engine=EngineChoice(**_named(EngineChoice, given)),
            adapt=given["adapt"],
            read=checks.read_options(*span, axes=given["axes"], strict=given["strict"]),
            write=WriteOptions(**_named(WriteOptions, given), encoder_options=options),
            preview=given["preview"],
            report=given["report"],
            dry_run=given["dry_run"],
        )
        if job.adapt is not None:
            check_adapt(job.adapt, job.source)
        if job.preview is not None and job.dry_run:
            raise UsageError("--preview --dry-run: choose one of them.")
        if job.report is not None and (job.preview is not None or job.write.demosaic):
            clash = "--preview" if job.preview is not None else "--demosaic"
            raise UsageError(
                f"--report {clash}: a report compares the input with the whole output of its kind.",
                hint="Choose one of them.",
            )
        if job.target == "-" and given["json"]:
            raise UsageError(
                "-o - --json: both want standard output.",
                hint="Write to a file, or use --log-file.",
            )
        return job

    @property
    def page(self) -> RunReport | None:
        """What --report asks for."""
        if self.report is None:
            return None
        return RunReport(
            page=self.report, source=self.source, target=self.target, read=self.read,
            overwrite=self.write.overwrite,
        )  # fmt: skip

    @property
    def target(self) -> str:
        """Where the result goes: a path, or "-"."""
        full = str(default_target(self.source)) if self.output is None else self.output
        return full if self.preview is None else preview_target(self.output, full, self.preview)


def _named(kind: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Those of the given options that are fields of a dataclass."""
    return {field.name: given[field.name] for field in fields_of(kind) if field.name in given}


def run_job(job: Job, console: Console) -> int:
    """Run a job to its end; returns the exit code of a run that finished."""
    if job.target == "-" and sys.stdout.isatty():
        raise UsageError(
            "-o -: standard output is a terminal.", hint="Pipe it: f2r denoise IN -o - | ..."
        )
    console.detail(f"f2r {__version__}: {asdict(job)}")
    page, trouble = job.page, None
    if page is not None:
        page.check()
    with open_reader(job.source, replace(job.read, lead=LEAD_IN, trail=LEAD_OUT)) as reader:
        if job.adapt is not None and not job.dry_run:
            if job.preview is None:
                plan_output(reader, job.target, job.write)  # what cannot be written fails first
            fitted = adapted(job.engine, job.adapt, job.source, job.read, console)
            job = replace(job, engine=fitted)
        if job.preview is not None:
            engine = None
            receipt = _preview(job, job.preview, reader, console)
        else:
            plan = plan_output(reader, job.target, job.write)
            _announce(job, reader, plan, console)
            engine = _engine(job, reader, console)
            if job.dry_run:
                _print_plan(job, reader, plan, engine, console)
                return EXIT_OK
            receipt = _restore(job, reader, plan, engine, console)
            trouble = None if page is None else _reported(page, job, reader.info, engine, console)
        code = _close(job, reader, receipt, engine, console)
    if trouble is not None:
        raise trouble
    return code


def _announce(job: Job, reader: Reader, plan: WritePlan, console: Console) -> None:
    """Before the run: what will be written, what was assumed, and what cannot be kept."""
    info = reader.info
    console.event(
        "start",
        version=__version__,
        source=job.source,
        target=job.target,
        width=info.width,
        height=info.height,
        frames=info.frames,
        plan=_plan_values(plan),
    )
    console.detail(f"plan: {plan.summary()}")
    for stream in reader.describe():
        console.detail(f"stream: {stream}")
    for note in (*info.notes, *plan.notes):
        console.note(f"note: {note}")
    if plan.dropped:
        console.warning(f"the output cannot hold: {'; '.join(plan.dropped)}.")


def _plan_values(plan: WritePlan) -> dict[str, object]:
    names = ("container", "encoder", "pix_fmt", "crf", "preset", "options", "kept", "dropped")
    return {name: getattr(plan, name) for name in names}


def _engine(job: Job, reader: Reader, console: Console) -> "Engine | None":
    """The engine; None at strength 0 for a clip that no bundled weights fit: none are needed."""
    try:
        return job.engine.load(reader.info, console)
    except WeightsError:
        if not job.engine.changes_nothing or job.engine.weights is not None:
            raise
        return None


def _print_plan(
    job: Job, reader: Reader, plan: WritePlan, engine: "Engine | None", console: Console
) -> None:
    """--dry-run: the plan and its cost, on standard output unless that is the picture's."""
    cost = None if engine is None else forecast(engine, reader.info)
    if console.events is not None:
        settled = None if engine is None else engine_values(engine)
        values = {"engine": settled, "cost": None if cost is None else cost.values()}
        console.event("plan", plan=_plan_values(plan), **values)
        return
    say = console.note if job.target == "-" else console.data
    say(f"output   {plan.summary()}")
    for line in plan.kept:
        say(f"keeps    {line}")
    for line in plan.dropped:
        say(f"drops    {line}")
    if engine is not None and cost is not None:
        say(f"engine   {engine_words(engine)}")
        say(f"cost     {cost.words()}")
    say("nothing was written (--dry-run)")


def _restore(
    job: Job, reader: Reader, plan: WritePlan, engine: "Engine | None", console: Console
) -> Receipt:
    """The run itself."""
    from f2rcli.engine.stream import denoise_stream  # brings torch

    total, exact = expected_frames(reader.info)
    restored = (
        (frame for frame in reader if not frame.context)
        if engine is None
        else denoise_stream(reader, reader.info, engine, reader.opening)
    )
    with (
        open_writer(reader, plan) as writer,
        Meter(console, reader.info.name, total, exact=exact) as meter,
    ):
        for frame in restored:
            writer.write(frame)
            meter.advance(None if engine is None else sigma_of(engine))
        meter.finish()
        receipt = writer.finish()
    if engine is not None:
        say_notes(engine, console)
    for line in noise_lines(reader.info, engine):
        console.note(line)
    return receipt


def _reported(
    page: RunReport, job: Job, info: ClipInfo, engine: "Engine | None", console: Console
) -> F2RError | None:
    """Write the page; what kept it from being written, for when the run itself has been told of."""
    try:
        page.write(job.engine, info, engine, console)
    except F2RError as error:
        return error
    return None


def _preview(job: Job, count: int, reader: Reader, console: Console) -> Receipt:
    """--preview: before | after of the first `count` frames of the span."""
    if replace(job.write, overwrite=False, keep_partial=False) != WriteOptions():
        console.warning("--preview has an encoding of its own; the codec options are not used.")
    engine = job.engine.load(reader.info, console)
    with Meter(console, reader.info.name, count) as meter:
        shown = meter.counted(pairs(reader, engine, count), lambda: sigma_of(engine))
        return write_preview(reader, shown, job.target, count, job.write)


def _close(
    job: Job, reader: Reader, receipt: Receipt, engine: "Engine | None", console: Console
) -> int:
    """After the run: the damage ledger, the receipt, and the exit code."""
    ledger, returned = reader.ledger, returned_of(engine)
    lines = ledger.lines()
    if ledger.damaged:
        listed = "".join(f"\n  {line}" for line in lines)
        console.warning(f"{reader.info.name} is damaged; damage ledger:{listed}")
    else:
        for line in lines:
            console.note(f"note: {line}")
    incomplete = ledger.damaged or (job.read.strict and bool(receipt.dropped))
    code = EXIT_DAMAGED if incomplete else EXIT_OK
    console.event(
        "result", **asdict(receipt), damaged=ledger.damaged, ledger=lines,
        returned=returned_values(returned), exit_code=code,
        notes=[*returned_lines(returned), *aside_lines(engine)],
    )  # fmt: skip
    console.note(receipt.line())
    for line in returned_lines(returned):
        console.note(line)
    return code
