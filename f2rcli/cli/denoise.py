"""`f2r denoise`: parse, open both ends, call the library, report."""

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from f2rcli import __version__
from f2rcli.cli import options as opt
from f2rcli.cli.console import Console
from f2rcli.cli.engine import (
    Estimate,
    engine_words,
    estimated,
    loaded,
    noise_lines,
    other_model,
    remember,
    restored,
    say_notes,
    sigma_of,
)
from f2rcli.cli.options import Number, Text, files, part, result
from f2rcli.cli.progress import FrameMeter
from f2rcli.engine.settings import EngineSettings, changes_nothing, provenance_of
from f2rcli.errors import EXIT_DAMAGED, EXIT_OK, StaleError, UsageError
from f2rcli.frames import Frame
from f2rcli.io import (
    Reader,
    ReadOptions,
    Receipt,
    WriteOptions,
    WritePlan,
    default_target,
    is_clip,
    open_reader,
    open_writer,
    plan_output,
    unmarked_name,
)
from f2rcli.settings import clock, pairs
from f2rcli.system import most_memory
from f2rcli.units import count, duration
from f2rcli.window import LEAD_IN, LEAD_OUT

if TYPE_CHECKING:
    from f2rcli.engine.resuming import RunRecord
    from f2rcli.engine.stream import Engine

CLIPS = opt.CLIP.replace("Video, folder", "Videos, folders")


@opt.common(
    "model method weights fields frames axes series overwrite "
    "device threads precision tile json quiet help_all"
)
def denoise(
    ctx: typer.Context,
    source: Annotated[list[str], opt.argument("INPUT", CLIPS)],
    output: Annotated[Text, result("OUTPUT", "File or folder; - is stdout.", "--output -o")] = None,
    strength: Annotated[float, result("S", "1 removes the noise, less keeps grain; 0 to 4.")] = 1.0,
    chroma_strength: Annotated[Number, result("S", "The same for colour alone.")] = None,
    sigma: Annotated[
        Number, result("N", "The noise, of 255 (default: measured).", more=True)
    ] = None,
    adapt: Annotated[
        bool, result("", "Train on this clip first, if that gains.", "--adapt")
    ] = False,
    codec: Annotated[Text, result("NAME", "h264, hevc, av1, ffv1 ... (default: as INPUT).")] = None,
    crf: Annotated[Number, result("N", "Quality; lower is better, and larger.")] = None,
    audio_codec: Annotated[
        Text, result("NAME|none", "Encode sound, or drop it.", more=True)
    ] = None,
    encoder_opt: Annotated[
        list[str] | None,
        result("K=V", "Encoder options: preset=slow, pix_fmt=yuv420p10le.", more=True),
    ] = None,
    lossless: Annotated[bool, result("", "Encode as FFV1.", "--lossless")] = False,
    start: Annotated[Text, part("TIME", "Seconds or h:mm:ss.")] = None,
    end: Annotated[Text, part("TIME", "The same; excluded.")] = None,
    preview: Annotated[Text, part("TIME", "Only a still of that moment, before | after.")] = None,
    recursive: Annotated[bool, files("", "Folders with all below them.", "--recursive -r")] = False,
    jobs: Annotated[
        Text, files("N|CLUSTER", "Clips at once, or Dask: tcp://...", "--jobs -j")
    ] = None,
    shard: Annotated[Text, files("I/N", "The I-th of N parts of the clips.", more=True)] = None,
    dry_run: Annotated[bool, files("", "Say what it would do, and cost.", "--dry-run")] = False,
) -> int:
    """Denoise INPUT into OUTPUT, frame by frame, in constant memory.

      f2r denoise clip.mp4 -o clean.mp4            a video; its sound is kept
      f2r denoise takes/ -o clean/ -j 2            a folder of clips, two at a time
      f2r denoise stack.tif -o clean.tif --adapt   microscopy; fits the weights
    """  # fmt: skip
    console = opt.begin(ctx)
    engine = opt.settings(ctx, EngineSettings)
    span = {name: clock(name, text) for name, text in (("start", start), ("end", end))}
    read = opt.settings(ctx, ReadOptions, **span)
    encoding = dict(pairs("encoder_opt", encoder_opt or ()))
    if lossless and codec not in (None, "ffv1"):
        raise UsageError(f"codec={codec!r} and --lossless, which is FFV1.", hint="Leave out one.")
    write = opt.settings(
        ctx, WriteOptions, codec="ffv1" if lossless else codec,
        pix_fmt=encoding.pop("pix_fmt", None), encoder_options=tuple(encoding.items()),
        audio_codec=None if audio_codec == "none" else audio_codec, copy_only=audio_codec == "none",
    )  # fmt: skip
    job = opt.settings(
        ctx, Job, source=source[0], engine=engine, read=read, write=write,
        preview=clock("preview", preview), settings=opt.given(ctx, *SILENT),
    )  # fmt: skip
    job.check(json=console.json)
    console.flags |= {"copy_only": "--audio-codec none"}
    if _asks_for_several(source, job):
        from f2rcli.cli.several import denoise_all

        return denoise_all(job, source, console)
    return run_job(job, console)[0]


# Options that say nothing of what a run makes of a clip.
SILENT = ("source", "output", "start", "end", "frames", "preview", "overwrite", "recursive", "jobs",
          "shard", "dry_run", "device", "threads", "tile", "json", "quiet", "help_all")  # fmt: skip


def _asks_for_several(sources: Sequence[str], job: "Job") -> bool:
    """Whether inputs or options mean several clips. Raises UsageError for options of stdin."""
    given = [name for name in ("recursive", "jobs", "shard") if getattr(job, name)]
    if list(sources) == ["-"]:
        if given:
            raise UsageError(f"--{given[0]}: standard input is one clip.", hint="Leave it out.")
        return False
    folder = Path(sources[0])
    try:
        holds = folder.is_dir() and not is_clip(folder) and any(folder.iterdir())
    except OSError:
        holds = False
    return bool(given) or len(sources) > 1 or holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One clip to denoise, or what several have in common."""

    source: str
    output: str | None
    engine: EngineSettings
    read: ReadOptions
    write: WriteOptions
    adapt: bool = False
    preview: float | None = None  # seconds: the still of that moment takes the output's place
    dry_run: bool = False
    recursive: bool = False  # of several
    jobs: str | None = None
    shard: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)  # as given, for the output's provenance

    def check(self, *, json: bool) -> None:
        """Raise UsageError for options that clash; json: standard output holds events."""
        if self.adapt and self.engine.sigma is not None:  # held-out frames hold the real noise
            raise UsageError(
                "--adapt --sigma: choose one; adapting measures the noise itself.",
                hint="For both: f2r train CLIP --adapt -o W.safetensors, then --weights.",
            )
        if self.adapt and self.source == "-":
            raise UsageError(
                "- --adapt: standard input can be read only once.", hint="Adapt to a file."
            )
        if self.preview is not None and self.dry_run:
            raise UsageError("--preview --dry-run: choose one of them.")
        if self.output == "-" and (json or self.preview is not None):
            other = "--json" if json else "--preview"
            raise UsageError(f"-o - {other}: choose one of them.", hint="Write to a file.")
        if self.target == "-" and sys.stdout.isatty():
            raise UsageError(
                "-o -: standard output is a terminal.", hint="Pipe it: f2r denoise IN -o - | ..."
            )

    @property
    def target(self) -> str:
        """The path of the result, or "-". A file goes into a folder that is there, as `cp` does."""
        target = str(default_target(self.source)) if self.output is None else self.output
        path = Path(target)
        store = path.suffix.lower() == ".zarr"  # a folder, and a file by name
        if path.is_dir() and Path(self.source).is_file() and not store:
            target = str(path / unmarked_name(self.source))
        path = Path(target)
        if self.preview is None or path.suffix.lower() == ".png":
            return target
        return str(path.with_name(f"{path.stem}_preview.png"))


Done = tuple[int, Receipt | None]  # the exit code; no receipt: a dry run


def run_job(job: Job, console: Console) -> Done:
    """Run a job to its end; raises for one that fails."""
    try:
        return _run_job(job, console)
    except StaleError:  # the record is removed by now
        console.note("note: finished frames are of another clip or damaged: starting over")
        return _run_job(job, console)


def _run_job(job: Job, console: Console) -> Done:
    read = job.read if job.preview is None else replace(
        job.read, start=job.preview, end=None, frames=1
    )  # fmt: skip
    read = replace(read, lead=LEAD_IN, trail=LEAD_OUT)
    with open_reader(job.source, read) as reader:
        plan = None if job.preview is not None else plan_output(reader, job.target, job.write)
        idle = changes_nothing(job.engine)
        info = reader.info
        takes = None if idle else estimated(job.engine, info, read)
        _announce(job, reader, plan, console, takes)
        if plan is not None and job.dry_run:
            _print_plan(job, reader, plan, console, takes)
            return EXIT_OK, None
        job = _adapted(job, console)
        total = 1 if plan is None else info.expected_frames
        exact = plan is None or info.frames is not None
        with FrameMeter(console, info.name, total, exact=exact) as meter:
            engine = None
            meter.before = 0 if takes is None else takes.before
            if not idle:  # a copy needs no networks, nor torch
                meter.stage("loading the networks")
                engine = loaded(job.engine, info, console.note)
                meter.stage("first frames and their noise")
            if plan is None:
                receipt = _preview(job, reader, engine, meter)
            else:
                plan = replace(plan, provenance=provenance_of(engine, job.settings))
                receipt = _restore(job, reader, plan, engine, meter)
        return _close(reader, receipt, engine, console)


def _announce(
    job: Job, reader: Reader, plan: WritePlan | None, console: Console, takes: Estimate | None
) -> None:
    """Before the wait: what is there, what it will take, and what cannot be kept."""
    info = reader.info
    frames = info.expected_frames
    parts = [
        f"{info.width}x{info.height}",
        "frames not counted" if frames is None else count(frames),
        *([duration(info.duration)] if info.duration else []),
    ]
    takes = None if job.dry_run else takes  # it is told with the plan
    words = "" if takes is None else f"; {takes.words()}"
    console.note(f"{info.name}: {', '.join(parts)}{words}")
    if takes is not None and (other := other_model(job.engine, info)):
        console.note(other)
    console.event(
        "start", version=__version__, source=job.source, target=job.target, width=info.width,
        height=info.height, frames=info.frames, estimate=None if takes is None else takes.values(),
        plan=None if plan is None else _plan_values(plan),
    )  # fmt: skip
    for note in (*info.notes, *(() if plan is None else plan.notes)):
        console.note(f"note: {note}")
    if plan is not None and plan.dropped:
        console.warning(f"the output cannot hold: {'; '.join(plan.dropped)}.")


def _plan_values(plan: WritePlan) -> dict[str, object]:
    names = ("container", "encoder", "pix_fmt", "crf", "preset", "options", "kept", "dropped")
    return {name: getattr(plan, name) for name in names}


def _adapted(job: Job, console: Console) -> Job:
    """The job with weights fitted to its clip, or unchanged if none are better; says why."""
    if not job.adapt or changes_nothing(job.engine):
        return job
    from f2rcli.cli.train import StepMeter
    from f2rcli.training.adapt import Adaptation

    entry = Adaptation(job.engine, job.source, job.read)
    known = entry.known
    if not known:
        console.note(f"adapting to {Path(job.source).name}; Ctrl-C leaves everything as it was")
        with StepMeter(console) as meter:
            entry.fit(meter)
    if entry.trouble is not None:
        console.warning(f"adapt: {entry.trouble}")
    if entry.reason is None:
        console.note(f"adapt: weights fitted to this clip: {entry.weights}")
    elif entry.reason != entry.trouble:
        console.note(f"adapt: {entry.reason}{' (cached)' if known else ''}")
    return replace(job, engine=entry.applied())


def _print_plan(
    job: Job, reader: Reader, plan: WritePlan, console: Console, takes: Estimate | None
) -> None:
    """--dry-run: the plan and its cost, on standard output unless that is the picture's."""
    rows = [f"output   {plan.summary()}"]
    rows += [f"keeps    {line}" for line in plan.kept]
    rows += [f"drops    {line}" for line in plan.dropped]
    settled = cost = None
    if takes is not None:
        engine = loaded(job.engine, reader.info, console.note)
        cost, settled = takes.values(), engine.choices
        rows += [f"engine   {engine_words(engine)}", f"cost     {takes.words()}"]
    rows.append("nothing was written (--dry-run)")
    console.event("plan", plan=_plan_values(plan), engine=settled, cost=cost)
    if job.target != "-":
        console.rows(rows)
    else:
        for row in rows:
            console.note(row)


def _restore(
    job: Job, reader: Reader, plan: WritePlan, engine: "Engine | None", meter: FrameMeter
) -> Receipt:
    meter.shared = meter.shared if engine is None else engine.weights.header.length // 2
    before = most_memory()
    with open_writer(reader, plan) as writer:
        record = _record(job, plan, reader, engine, meter)
        with record or nullcontext():
            for frame in _frames(meter.reading(reader), reader, engine, record):
                writer.write(frame)
                meter.advance()
            meter.finish()
            receipt = writer.finish()
            if record is not None:
                record.finished = True
    if engine is not None:
        most = most_memory()  # of this process, so of another clip where it did not rise
        remember(engine.settings, reader.info, meter, most if most != before else None)
    return receipt


def _record(
    job: Job, plan: WritePlan, reader: Reader, engine: "Engine | None", meter: FrameMeter
) -> "RunRecord | None":
    """The record of a run that alone writes its target, so that the same command goes on after a
    kill; None where it has none."""
    if engine is None or plan.target == "-":
        return None
    from f2rcli.engine.resuming import RunRecord, identity_of  # brings torch

    identity, console = identity_of(engine, job.read, reader.info), meter.console
    record = RunRecord(
        Path(plan.target), engine, identity, meter.total, lambda line: console.note(f"note: {line}")
    )
    engine.found.marks = record.open()
    record.stopped = lambda: console.stopper.error is not None
    record.stop = console.stopper.check
    console.stopper.patient = lambda: "finishing this frame" if record.can_keep else ""
    meter.replayed, meter.kept = record.begun, lambda: record.kept
    return record


def _frames(
    frames: Iterable[Frame], reader: Reader, engine: "Engine | None", record: "RunRecord | None"
) -> Iterable[Frame]:
    if engine is None:
        return (frame for frame in frames if not frame.context)
    if record is None:
        return restored(reader, frames, engine)
    return record.keeping(restored(reader, record.reading(frames), engine))


def _preview(job: Job, reader: Reader, engine: "Engine | None", meter: FrameMeter) -> Receipt:
    """--preview: before | after of one frame, restored among its neighbours."""
    if engine is None:
        raise UsageError("--preview --strength 0: there is nothing to see.", hint="Leave one out.")
    from f2rcli.io.pictures import write_preview

    own = (replace(frame, source=frame) for frame in meter.reading(reader))
    receipt = write_preview(reader, restored(reader, own, engine), job.target, job.write)
    meter.advance()
    return receipt


def _close(reader: Reader, receipt: Receipt, engine: "Engine | None", console: Console) -> Done:
    """After the run: the damage ledger, the receipt, and the exit code."""
    ledger, lines = reader.ledger, reader.ledger.lines()
    found: dict[str, Any] = {"sigma": None, "given_back": None, "notes": []}
    if engine is not None:
        say_notes(engine, console.note)
        for line in noise_lines(reader.info, engine):
            console.note(line)
        found = {
            "sigma": sigma_of(engine.found.noise), "notes": engine.found.aside.lines(),
            "given_back": {"share": round(engine.contract.returned.share, 4)},
        }  # fmt: skip
    if ledger.damaged:
        console.warning(f"{reader.info.name} is damaged: {'; '.join(lines)}")
    else:
        for line in lines:
            console.note(f"note: {line}")
    if receipt.lost:
        console.warning(f"the output lacks what it should have kept: {', '.join(receipt.lost)}.")
    code = EXIT_DAMAGED if ledger.damaged or receipt.lost else EXIT_OK
    console.event(
        "result", **asdict(receipt), damaged=ledger.damaged, ledger=lines, exit_code=code, **found
    )
    for line in receipt.lines(source_bytes(reader)):
        console.note(line)
    return code, receipt


def source_bytes(reader: Reader) -> int | None:
    """The size of what is read; None for pipes."""
    paths = reader.paths()
    if not paths or not all(path.is_file() for path in paths):
        return None
    return sum(os.path.getsize(path) for path in paths)
