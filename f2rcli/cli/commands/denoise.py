"""`f2r denoise`: parse, open both ends, call the library, report."""

import sys
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import typer

from f2rcli import __version__
from f2rcli.cli.commands.adapt import adapted
from f2rcli.cli.commands.batch import asks_for_batch, run_batch
from f2rcli.cli.engine import (
    aside_lines,
    engine_values,
    engine_words,
    expected_frames,
    forecast,
    loaded,
    looked_at,
    noise_lines,
    returned_lines,
    returned_of,
    returned_values,
    say_notes,
    sigma_of,
)
from f2rcli.cli.options.denoise import BatchOptions, Job, Preview, Sources
from f2rcli.cli.options.derived import with_options
from f2rcli.cli.provenance import settings_given
from f2rcli.cli.running import denoised, pairs, recorded
from f2rcli.cli.terminal.console import Console
from f2rcli.cli.terminal.progress import RunMeter
from f2rcli.cli.terminal.receipts import Finished, source_bytes
from f2rcli.engine.provenance import provenance_of
from f2rcli.engine.strength import changes_nothing
from f2rcli.errors import EXIT_DAMAGED, EXIT_OK, StaleError, UsageError, WeightsError
from f2rcli.io import open_reader, open_writer, plan_output
from f2rcli.io.base import Reader, WriteOptions, WritePlan
from f2rcli.io.preview import write_preview
from f2rcli.window import LEAD_IN, LEAD_OUT

if TYPE_CHECKING:
    from f2rcli.engine.stream import Engine


@with_options
def denoise(
    *,
    ctx: typer.Context,
    source: Sources,
    several: BatchOptions,
    job: Job,
    preview: Preview = None,
    console: Console,
) -> int:
    """Denoise INPUT into OUTPUT, frame by frame, in constant memory.

    Several inputs, or a folder of clips, go into the folder OUTPUT, each in a process of its own.
    """
    batch = asks_for_batch(source, several)
    ends = ("clips", "clips") if batch else (source[0], job.output)
    given = settings_given(ctx)
    job = replace(job, source=ends[0], output=ends[1], preview=preview, settings=given)
    job.check(json=console.events is not None)  # of a batch: wrong options fail just once
    return run_batch(ctx, console) if batch else run_job(job, console)


def run_job(job: Job, console: Console) -> int:
    """Run a job to its end; returns the exit code of a run that finished."""
    try:
        return _run_job(job, console)
    except StaleError:  # the record is removed by now
        console.note("note: finished frames are of another clip or damaged: starting over")
        return _run_job(job, console)


def _run_job(job: Job, console: Console) -> int:
    if job.target == "-" and sys.stdout.isatty():
        raise UsageError(
            "-o -: standard output is a terminal.", hint="Pipe it: f2r denoise IN -o - | ..."
        )
    console.detail(f"f2r {__version__}: {asdict(job)}")
    with open_reader(job.source, replace(job.read, lead=LEAD_IN, trail=LEAD_OUT)) as reader:
        if job.adapt is not None and not job.dry_run and not changes_nothing(job.engine):
            if job.preview is None:
                plan_output(reader, job.target, job.write)  # what cannot be written fails first
            fitted = adapted(job.engine, job.adapt, job.source, job.read, console)
            job = replace(job, engine=fitted)
        if job.preview is not None:
            engine = None
            done = _preview(job, job.preview, reader, console)
        else:
            plan = plan_output(reader, job.target, job.write)
            _announce(job, reader, plan, console)
            engine = _engine(job, reader, console)
            if job.dry_run:
                _print_plan(job, reader, plan, engine, console)
                return EXIT_OK
            if job.write.provenance:
                plan = replace(plan, provenance=provenance_of(engine, job.settings))
            done = _restore(job, reader, plan, engine, console)
        return _close(job, reader, done, engine, console)


def _announce(job: Job, reader: Reader, plan: WritePlan, console: Console) -> None:
    """Before the run: print the plan, the assumptions, and the streams that cannot be kept."""
    info = reader.info
    facts = {name: getattr(info, name) for name in ("width", "height", "frames")}
    ends = {"source": job.source, "target": job.target}
    console.event("start", version=__version__, **ends, **facts, plan=_plan_values(plan))
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
        return loaded(job.engine, reader.info, console)
    except WeightsError:
        if not changes_nothing(job.engine) or job.engine.weights is not None:
            raise
        return None


def _print_plan(
    job: Job, reader: Reader, plan: WritePlan, engine: "Engine | None", console: Console
) -> None:
    """--dry-run: the plan and its cost, on standard output unless that is the picture's."""
    rows = [f"output   {plan.summary()}"]
    rows += [f"keeps    {line}" for line in plan.kept]
    rows += [f"drops    {line}" for line in plan.dropped]
    settled = cost = None
    if engine is not None:
        method = None if changes_nothing(engine.settings) else looked_at(engine, reader)[1]
        words, cost = forecast(engine, reader.info, method)
        settled = engine_values(engine)
        rows += [f"engine   {engine_words(engine)}", f"cost     {words}"]
    rows.append("nothing was written (--dry-run)")
    if console.events is not None:
        console.event("plan", plan=_plan_values(plan), engine=settled, cost=cost)
    elif job.target != "-":
        console.rows(rows)
    else:
        for row in rows:
            console.note(row)


def _restore(
    job: Job, reader: Reader, plan: WritePlan, engine: "Engine | None", console: Console
) -> Finished:
    total, exact = expected_frames(reader.info)
    with (
        open_writer(reader, plan) as writer,
        recorded(job, plan, reader, engine, console) as record,
        RunMeter(console, reader.info.name, total, exact=exact) as meter,
    ):
        for frame in denoised(reader, engine, record):
            writer.write(frame)
            meter.advance(sigma_of(engine))
        meter.finish()
        receipt = writer.finish()
        if record is not None:
            record.finished = True
    if engine is not None:
        say_notes(engine, console)
    for line in noise_lines(reader.info, engine):
        console.note(line)
    part = (job.read.start, job.read.end, job.read.frames)
    return Finished(receipt, meter.elapsed, source_bytes(reader) if not any(part) else None)


def _preview(job: Job, count: int, reader: Reader, console: Console) -> Finished:
    """--preview: before | after of the first `count` frames of the span."""
    if replace(job.write, overwrite=False, keep_partial=False, provenance=True) != WriteOptions():
        console.warning("--preview has an encoding of its own; the codec options are not used.")
    engine = loaded(job.engine, reader.info, console)
    with RunMeter(console, reader.info.name, count) as meter:
        shown = meter.counted(pairs(reader, engine, count), lambda: sigma_of(engine))
        receipt = write_preview(reader, shown, job.target, job.write)
    return Finished(receipt, meter.elapsed)


def _close(
    job: Job, reader: Reader, done: Finished, engine: "Engine | None", console: Console
) -> int:
    """After the run: the damage ledger, the receipt, and the exit code."""
    ledger, lines = reader.ledger, reader.ledger.lines()
    back = returned_lines(engine, reader.info)
    if ledger.damaged:
        listed = "".join(f"\n  {line}" for line in lines)
        console.warning(f"{reader.info.name} is damaged; damage ledger:{listed}")
    else:
        for line in lines:
            console.note(f"note: {line}")
    lost = done.receipt.lost
    if lost:
        console.warning(f"the output lacks what it should have kept: {', '.join(lost)}.")
    incomplete = ledger.damaged or bool(lost) or (job.read.strict and bool(done.receipt.dropped))
    code = EXIT_DAMAGED if incomplete else EXIT_OK
    console.event(
        "result", **asdict(done.receipt), source_bytes=done.source_bytes,
        elapsed=round(done.seconds, 3), damaged=ledger.damaged, ledger=lines,
        given_back=returned_values(returned_of(engine)), exit_code=code,
        notes=[*back, *aside_lines(engine)],
    )  # fmt: skip
    for line in (*done.lines(), *back):
        console.note(line)
    return code
