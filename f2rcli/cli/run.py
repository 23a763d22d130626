"""A run of `f2r denoise` on one clip: open both ends, call the library, report."""

import sys
from collections import deque
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from f2rcli import __version__, io
from f2rcli.cli.console import Console
from f2rcli.cli.engine import estimated, load, noise_words, other_model, remember, sigma_of, summary
from f2rcli.cli.progress import FrameMeter
from f2rcli.engine.settings import EngineSettings, changes_nothing, provenance_of
from f2rcli.errors import EXIT_DAMAGED, EXIT_OK, StaleError, UsageError
from f2rcli.frames import Frame
from f2rcli.io import Reader, ReadOptions, Receipt, WriteOptions, WritePlan
from f2rcli.io.files import check_target, record_folder
from f2rcli.system import most_memory
from f2rcli.units import count, duration
from f2rcli.window import LEAD_IN, LEAD_OUT, emptied

if TYPE_CHECKING:
    from f2rcli.engine.resuming import RunRecord
    from f2rcli.engine.stream import Engine


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
        preview, piped = self.preview is not None, self.output == "-"
        given = {"dry-run": self.dry_run, **asdict(self.read)}
        beside = [one for one in ("start", "end", "frames", "dry-run") if preview and given[one]]
        for wrong, clash, hint in (
            (self.adapt and self.engine.sigma is not None,  # held-out frames hold the real noise
             "--adapt --sigma: choose one; adapting measures the noise itself.",
             "For both: f2r train CLIP --adapt -o W.safetensors, then --weights."),
            (self.adapt and self.source == "-",
             "- --adapt: standard input can be read only once.", "Adapt to a file."),
            (bool(beside), f"--preview --{' --'.join(beside)}: choose one of them.", None),
            (preview and changes_nothing(self.engine),
             "--preview --strength 0: there is nothing to see.", "Leave one out."),
            (piped and json, "-o - --json: choose one of them.", "Write to a file."),
            (piped and preview, "-o - --preview: choose one of them.", "Write to a file."),
            (self.target == "-" and sys.stdout.isatty(),
             "-o -: standard output is a terminal.", "Pipe it: f2r denoise IN -o - | ..."),
        ):  # fmt: skip
            if wrong:
                raise UsageError(clash, hint=hint)

    @property
    def target(self) -> str:
        """The path of the result, or "-". A file goes into a folder that is there, as `cp` does."""
        named, codec = self.output, self.write.codec
        target = str(io.default_target(self.source, codec)) if named is None else named
        path = Path(target)
        store = path.suffix.lower() == ".zarr"  # a folder, and a file by name
        if path.is_dir() and Path(self.source).is_file() and not store:
            target = str(path / io.unmarked_name(self.source, codec))
        path = Path(target)
        if self.preview is None or path.suffix.lower() == ".png":
            return target
        return str(path.with_name(f"{path.stem}_preview.png"))


Done = tuple[int, Receipt | None]  # the exit code; no receipt: a dry run


def run_job(job: Job, console: Console) -> Done:
    """Run a job to its end; raises for one that fails."""
    span: dict[str, Any] = {} if job.preview is None else {"start": job.preview, "frames": 1}
    read = replace(job.read, lead=LEAD_IN, trail=LEAD_OUT, **span)
    try:
        with io.open_reader(job.source, read) as reader:
            return Run(job, read, reader, console).to_end()
    except StaleError:  # the record is removed by now
        console.remark("finished frames are of another clip or damaged: starting over")
        return run_job(job, console)


class Run:
    """A job under way, on its clip."""

    def __init__(self, job: Job, read: ReadOptions, reader: Reader, console: Console) -> None:
        """read: the part of the clip that the reader gives."""
        self.job, self.reader, self.console, self.info = job, reader, console, reader.info
        if job.preview is None:
            self.plan = io.plan_output(reader, job.target, job.write)
        else:
            check_target(Path(job.target), reader.paths(), overwrite=job.write.overwrite)
            self.plan = WritePlan(
                target=job.target, container="images", encoder="png", pix_fmt="rgb24"
            )
        idle = changes_nothing(job.engine)  # a copy needs no networks, nor torch
        self.takes = None if idle else estimated(job.engine, self.info, read)
        self.engine: Engine | None = None

    def to_end(self) -> Done:
        """Tell what is to come, do it, tell what came of it."""
        info, console = self.info, self.console
        self._announce()
        frames = iter(self.reader)
        # An excerpt without any is refused before a wait; of a burst the first is a wait itself.
        looks = bool(self.job.read.begins) or not self.job.dry_run
        first = deque(islice(frames, int(looks)))
        if self.job.dry_run:
            self._print_plan()
            return EXIT_OK, None
        self._adapt()
        exact = info.frames is not None or self.job.preview is not None
        with FrameMeter(console, info.name, info.expected_frames, exact=exact) as meter:
            if self.takes is not None:
                meter.before = self.takes.before
                meter.stage("loading the networks")
                self.engine = load(self.job.engine, info, console)
                meter.shared = self.engine.weights.header.length // 2
                meter.stage("first frames and their noise")
            write = self._write if self.job.preview is None else self._preview
            receipt = write(meter.reading(chain(emptied(first), frames)), meter)
        return self._close(receipt)

    def _announce(self) -> None:
        """Before the wait: what is there, what it will take, and what cannot be kept."""
        info, job, plan, console = self.info, self.job, self.plan, self.console
        size, frames = f"{info.width}x{info.height}", info.expected_frames
        parts = [size, "frames not counted" if frames is None else count(frames)]
        parts += [duration(info.duration)] if info.duration else []
        # It is told with the plan, or with what an earlier run has left to do.
        later = job.dry_run or record_folder(Path(plan.target)).exists()
        takes = None if later else self.takes
        beside = " beside adapting" * job.adapt
        words = "" if takes is None else f"; {takes.words()}{beside}"
        console.note(f"{info.name}: {', '.join(parts)}{words}")
        if takes is not None and (other := other_model(job.engine, info)):
            console.note(other)
        notes = [*map(console.spelled, (*info.notes, *plan.notes))]
        console.event(
            "start", version=__version__, source=job.source, target=job.target, width=info.width,
            height=info.height, frames=info.frames, plan=_plan_values(plan),
            estimate=None if takes is None else takes.values(), notes=notes,
        )  # fmt: skip
        console.remark(*notes)
        if plan.dropped:
            console.warning(f"the output cannot hold: {'; '.join(plan.dropped)}.")

    def _print_plan(self) -> None:
        """--dry-run: the plan and its cost, on standard output unless that is the picture's."""
        rows = [f"output   {self.plan.summary()}"]
        rows += [f"keeps    {line}" for line in self.plan.kept]
        rows += [f"drops    {line}" for line in self.plan.dropped]
        settled = cost = None
        if self.takes is not None:
            engine = load(self.job.engine, self.info, self.console)
            cost, settled = self.takes.values(), engine.choices
            rows += [f"engine   {summary(engine)}", f"cost     {self.takes.words()}"]
        rows.append("nothing was written (--dry-run)")
        self.console.event("plan", plan=_plan_values(self.plan), engine=settled, cost=cost)
        say = self.console.note if self.job.target == "-" else self.console.rows
        say(*rows)

    def _adapt(self) -> None:
        """Take weights fitted to the clip, if it gains; says why not."""
        job, console = self.job, self.console
        if not job.adapt or self.takes is None:
            return
        from f2rcli.cli.train import StepMeter
        from f2rcli.training.adapt import Adaptation

        entry = Adaptation(job.engine, job.source, job.read)
        known = entry.known
        if not known:
            name = Path(job.source).name
            limit = "for a minute, two on one core"
            console.note(f"adapting to {name} {limit}; Ctrl-C leaves everything as it was")
            with StepMeter(console) as meter:
                entry.fit(meter)
        if entry.trouble is not None:
            console.warning(f"adapt: {entry.trouble}")
        if entry.reason is None:
            console.note(f"adapt: weights fitted to this clip: {entry.weights}")
        elif entry.reason != entry.trouble:
            console.note(f"adapt: {entry.reason}{' (cached)' if known else ''}")
        self.job = replace(job, engine=entry.applied())

    def _write(self, frames: Iterable[Frame], meter: FrameMeter) -> Receipt:
        before = most_memory()
        own = self.engine.provenance if self.engine else dict
        plan = replace(self.plan, provenance=provenance_of(self.job.settings, own))
        with io.open_writer(self.reader, plan) as writer:
            record = self._record(meter)
            with record or nullcontext():
                shown = None
                for frame in self._restored(frames, record):
                    writer.write(frame)
                    meter.copies += frame.planes is shown
                    shown = frame.planes
                    meter.advance()
                meter.finish()
                meter.stage("writing what is left, and verifying all of it")
                receipt = writer.finish()
                if record is not None:
                    record.finished = True
        if self.engine is not None:
            most = most_memory()  # of this process, so of another clip where it did not rise
            held = most if most != before else None
            known = self.engine.settings, self.info, meter, held, self.job.read
            self.console.remark(*remember(*known))
        return receipt

    def _preview(self, frames: Iterable[Frame], meter: FrameMeter) -> Receipt:
        """--preview: before | after of one frame, restored among its neighbours."""
        from f2rcli.io.pictures import write_preview

        own = (replace(frame, source=frame) for frame in frames)
        receipt = write_preview(self.reader, self._restored(own), self.plan.target, self.job.write)
        meter.advance()
        return receipt

    def _restored(self, frames: Iterable[Frame], log: "RunRecord | None" = None) -> Iterable[Frame]:
        """The frames as they are to be written."""
        if self.engine is None:
            return (frame for frame in frames if not frame.context)
        from f2rcli.engine.stream import denoise_stream

        frames, marks = (frames, None) if log is None else (log.reading(frames), log.marks)
        opening, deepens = self.reader.opening, self.plan.converts
        restored = denoise_stream(frames, self.info, self.engine, opening, marks, deepens=deepens)
        return restored if log is None else log.keeping(restored)

    def _record(self, meter: FrameMeter) -> "RunRecord | None":
        """The record of a run that alone writes its target, so that the same command goes on after
        a kill; None where it has none."""
        if self.engine is None or self.plan.target == "-":
            return None
        from f2rcli.engine.resuming import RunRecord, identity_of

        stopper, path = self.console.stopper, Path(self.plan.target)
        identity = identity_of(self.engine, self.job.read, self.info)
        record = RunRecord(path, self.engine, identity, self.console.remark)
        before = record.folder.exists()
        record.open()
        if before and self.takes is not None:
            frames = self.takes.frames and self.takes.frames - record.begun
            left = self.takes._replace(frames=frames)
            self.console.note(f"to go: {left.words()}")
            self.console.event("resume", finished=record.begun, estimate=left.values())
        record.stopped = lambda: stopper.error is not None
        record.stop, record.warn = stopper.check, self.console.warning
        stopper.patient = lambda: "finishing this frame" if record.can_keep else ""
        meter.replayed, meter.kept = record.begun, lambda: record.kept
        return record

    def _close(self, receipt: Receipt) -> Done:
        """After the run: the damage ledger, the receipt, and the exit code."""
        engine, ledger, console = self.engine, self.reader.ledger, self.console
        found: dict[str, Any] = {"sigma": None, "given_back": None, "notes": []}
        if engine is not None:
            console.remark(*engine.found.noted(self.info))
            for label, layout, model in engine.found.noises(self.info):
                of = f" of {label}" if label else ""
                console.note(f"noise{of}: {noise_words(model, layout.levels)}")
            found = {
                "sigma": sigma_of(engine.found.noise), "notes": engine.found.aside.lines(),
                "given_back": {"share": round(engine.contract.given_back, 4)},
            }  # fmt: skip
        if ledger.damaged:
            console.warning(f"{self.info.name} is damaged: {'; '.join(ledger.damage())}")
        console.remark(*ledger.remarks)
        if lost := ", ".join(receipt.lost):
            console.warning(f"the output lacks what it should have kept: {lost}.")
        code = EXIT_DAMAGED if ledger.damaged or receipt.lost else EXIT_OK
        console.event(
            "result", **asdict(receipt), damaged=ledger.damaged, ledger=ledger.lines(),
            exit_code=code, **found,
        )  # fmt: skip
        before = source_bytes(self.reader) if self.job.preview is None else None
        console.note(*receipt.lines(before))
        return code, receipt


def _plan_values(plan: WritePlan) -> dict[str, object]:
    names = ("container", "encoder", "pix_fmt", "crf", "preset", "options", "kept", "dropped")
    return {name: getattr(plan, name) for name in names}


def source_bytes(reader: Reader) -> int | None:
    """The size of what is read; None for pipes."""
    paths = reader.paths()
    whole = paths and all(path.is_file() for path in paths)
    return sum(path.stat().st_size for path in paths) if whole else None
