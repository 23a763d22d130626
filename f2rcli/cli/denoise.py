"""`f2r denoise`: parse; denoise one clip, or find several, denoise each and remember it."""

import hashlib
import json
import os
import re
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from f2rcli import __version__, batch, io, weights
from f2rcli.batch import Clip, Outcome, Records
from f2rcli.cli import options as opt
from f2rcli.cli.app import ExitHandler
from f2rcli.cli.console import Console, plain
from f2rcli.cli.engine import Estimate, estimated
from f2rcli.cli.options import Number, Text, Texts, files, part, result
from f2rcli.cli.progress import Meter
from f2rcli.cli.run import Done, Job, run_job
from f2rcli.engine.settings import EngineSettings, changes_nothing
from f2rcli.errors import EXIT_DAMAGED, EXIT_OK, F2RError, UsageError
from f2rcli.io import ReadOptions, WriteOptions, open_reader
from f2rcli.io.formats import READABLE
from f2rcli.io.numbering import is_pattern
from f2rcli.settings import clock, pairs
from f2rcli.system import processors
from f2rcli.units import count, size, span

CLIPS = opt.CLIP.replace("Video, folder", "Videos, folders")
rare = partial(result, more=True)
LISTED = 200  # clips that are looked into before the first one
BEFORE, UNKNOWN = "done before", "cost not known"
Row = dict[str, Any]  # of a clip: what it takes, for programs


@opt.common(" ".join(opt.COMMON))
def denoise(
    ctx: typer.Context,
    source: Annotated[list[str], opt.argument("INPUT", CLIPS)],
    output: Annotated[Text, result("OUTPUT", "File or folder; - is stdout.", "--output -o")] = None,
    strength: Annotated[float, result("S", "1 removes the noise, less keeps grain; 0 to 4.")] = 1.0,
    chroma_strength: Annotated[Number, result("S", "The same for colour alone.")] = None,
    sigma: Annotated[Number, rare("N", "The noise, of 255 (default: measured).")] = None,
    adapt: Annotated[bool, result("", "Train on this clip first, if it gains.", "--adapt")] = False,
    codec: Annotated[Text, result("NAME", "h264, hevc, av1, ffv1 ... (default: as INPUT).")] = None,
    crf: Annotated[Number, result("N", "Quality; lower is better, and larger.")] = None,
    audio_codec: Annotated[Text, rare("NAME|none", "Encode sound, or drop it.")] = None,
    encoder_opt: Annotated[
        Texts, rare("K=V", "Encoder options: preset=slow, pix_fmt=yuv420p10le.")
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
    console.flags |= {
        "copy_only": "--audio-codec none", "codec": "--lossless" if lossless else "--codec",
        "encoder_options": "--encoder-opt", "pix_fmt": "--encoder-opt pix_fmt",
    }  # fmt: skip
    if _asks_for_several(source, job):
        return denoise_all(job, source, console)
    return run_job(job, console)[0]


# Options that say nothing of what a run makes of a clip.
SILENT = ("source", "output", "start", "end", "frames", "preview", "overwrite", "recursive", "jobs",
          "shard", "dry_run", "device", "threads", "tile", "json", "quiet", "help_all")  # fmt: skip


def _asks_for_several(sources: Sequence[str], job: Job) -> bool:
    """Whether inputs or options mean several clips. Raises UsageError for options of stdin."""
    given = [name for name in ("recursive", "jobs", "shard") if getattr(job, name)]
    if list(sources) == ["-"]:
        if given:
            raise UsageError(f"--{given[0]}: standard input is one clip.", hint="Leave it out.")
        return False
    if given or len(sources) > 1:
        return True
    folder, output = Path(sources[0]), job.output or ""
    whole = is_pattern(output) or Path(output).suffix.lower() in READABLE or output == "-"
    is_clip = io.is_clip if whole or job.preview is not None else batch.is_one_clip
    with suppress(OSError):
        return folder.is_dir() and not is_clip(folder) and any(folder.iterdir())
    return False


# --- Several clips: found, denoised each, remembered -------------------------------------------


def denoise_all(job: Job, sources: Sequence[str], say: Console) -> int:
    """Denoise every clip; returns the exit code. Raises what concerns all before any begins."""
    if job.preview is not None:
        raise UsageError("--preview: is for one clip at a time.", hint="Name one clip.")
    part = _part(job.shard)
    cluster = not (job.jobs or "1").isdigit()
    at_once = 1 if cluster else int(job.jobs or 1)  # how many a cluster does nobody knows here
    if cluster:
        batch.dask_library(str(job.jobs))
    elif at_once < 1:
        raise UsageError("--jobs 0: must be 1 or more.")
    output = _output(sources, job.output)
    every, remarks = batch.find_clips(sources, output, job.write.codec, recursive=job.recursive)
    say.warning(*remarks)
    clips, records = every[part], Records(str(output.absolute()), settings_hash(job))
    if job.dry_run:
        return _print_plans(*_costs(job, clips, records), say)
    records.prepare()
    estimate: dict[str, Any] = {}
    costs: dict[str, float] = {
        c.place: os.path.getsize(c.source) for c in clips if os.path.exists(c.source)
    }
    if len(clips) <= LISTED:  # looking into more would be a wait of its own
        rows, words, estimate = _costs(job, clips, records)
        unknown = any(row["seconds"] is None and row["state"] == UNKNOWN for row in rows)
        if estimate["seconds"] and not unknown:
            costs = {c.place: row["seconds"] or 0 for c, row in zip(clips, rows, strict=True)}
        say.note(words)
    say.event("start", version=__version__, clips=len(clips), output=str(output), estimate=estimate)
    say.if_stopped = "finished clips are in place; the same command continues."
    began, started, outcomes = datetime.now(UTC), time.monotonic(), dict[str, Outcome]()
    try:  # several at a time have no bars of their own
        with Meter(say if cluster or at_once > 1 else Console(quiet=True)) as meter:
            meter.add(count(len(clips), "clip") + f", {at_once} at a time" * (at_once > 1))
            for outcome in _outcomes(job, clips, records, say):
                outcomes[outcome.place] = outcome
                now = time.monotonic() - started
                left = _time_left(costs, outcomes, now, min(at_once, len(clips)))
                _tell(outcome, len(outcomes), len(clips), left, say)
    finally:
        ends = [outcomes.get(clip.place) or Outcome.of(clip, "not run") for clip in clips]
        stamp = partial(datetime.isoformat, timespec="seconds")
        times = {"began": stamp(began), "ended": stamp(datetime.now(UTC))}
        facts = {"f2r": __version__, **times, "inputs": list(sources), "settings": job.settings}
        shard = f"-{job.shard.replace('/', '-of-')}" if job.shard else ""
        path = records.report(ends, facts, f"report{shard}.json")
        say.event("result", report=path, exit_code=batch.exit_code(ends))
        for one in ends:  # again, as much may have been said since
            if one.status not in ("done", "skipped", "not run"):
                say.note(f"{one.place}: {one.status}{f': {one.reason}' if one.reason else ''}")
        say.note(f"{count(len(ends), 'clip')}: {batch.summary(ends)}; report: {path}")
    return batch.exit_code(ends)


def settings_hash(job: Job) -> str:
    """The SHA-256 of every option that changes a result, and of the weights' bytes."""
    engine = replace(job.engine, device="auto", threads=None, tile="auto")
    write = replace(job.write, overwrite=False)
    facts = [asdict(one) for one in (engine, job.read, write)]
    facts += [{"adapt": job.adapt, "weights": weights.mark(job.engine.weights)}]
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def _outcomes(job: Job, clips: Sequence[Clip], records: Records, say: Console) -> Iterator[Outcome]:
    jobs = job.jobs or "1"
    if jobs == "1":
        return map(partial(denoise_clip, job, records, say=say), clips)
    if not jobs.isdigit():
        return batch.run_on_dask(clips, partial(denoise_clip, job, records), jobs)
    threads = job.engine.threads or max(1, processors() // int(jobs))  # a fair share for each
    shared = replace(job, engine=replace(job.engine, threads=threads))
    return batch.run_in_processes(clips, partial(denoise_clip, shared, records), int(jobs))


def denoise_clip(job: Job, records: Records, clip: Clip, *, say: Console | None = None) -> Outcome:
    """Denoise one clip unless it is done; raises for nothing but a signal that ends the batch.

    say: of this process, where clips are denoised one by one; else nothing is shown.
    """
    began = time.monotonic()
    known = records.settled(clip, overwrite=job.write.overwrite)
    if known is not None:
        return known
    voice = ClipConsole(clip, say or Console(quiet=True))
    ending, done = ExitHandler(voice), list[Done]()
    with ending:
        records.begin(clip)
        one = replace(job, source=clip.source, output=clip.target)
        if Path(clip.target).exists():
            one = replace(one, write=replace(one.write, overwrite=True))
        done.append(run_job(one, voice))
    if not done:
        voice.stopper.check()
    code, receipt = done[0] if done else (ending.code, None)
    status = "damaged" if code == EXIT_DAMAGED else "done"
    outcome = Outcome.of(
        clip, "failed" if receipt is None else status, exit_code=code, reason=voice.reason,
        hint=voice.hint, seconds=round(time.monotonic() - began, 3),
        frames=receipt and receipt.frames, bytes=receipt and receipt.bytes,
        warnings=tuple(voice.problems),
    )  # fmt: skip
    with suppress(OSError):  # one that cannot be remembered is still a result
        records.finish(clip, outcome)
    return outcome


class ClipConsole(Console):
    """The voice of one clip of a batch: its bar and its events are the batch's, its warnings and
    its end are kept for the outcome."""

    def __init__(self, clip: Clip, every: Console) -> None:
        super().__init__(every.stopper)
        self.clip, self.every, self.reason, self.hint = clip, every, "", ""
        self.problems: list[str] = []  # the warnings so far
        self.quiet, self.json, self.flags = every.quiet, every.json, every.flags

    def note(self, *lines: str) -> None:
        """Nothing: what is said of every clip would hide what is said of a few."""

    def warning(self, *texts: str) -> None:
        self.problems += map(self.spelled, texts)

    def event(self, kind: str, /, **fields: Any) -> None:
        if kind in ("stage", "progress"):
            self.every.event(kind, place=self.clip.place, **fields)

    def error(self, message: str, *, hint: str | None, exit_code: int) -> None:
        self.reason, self.hint = (plain(self.spelled(text or "")) for text in (message, hint))


def _time_left(
    costs: dict[str, float], ended: dict[str, Outcome], elapsed: float, jobs: int
) -> float | None:
    """Seconds to go, by what the clips that were denoised were to take, or by their bytes; None
    before one was. Others of those that are denoised at once are partly done by now."""
    made = [one for one in ended.values() if one.status in ("done", "damaged")]
    done = sum(costs.get(one.place, 0) for one in made)
    rest = sum(cost for place, cost in costs.items() if place not in ended)
    taken = sum(one.seconds for one in made) / jobs if jobs > 1 else elapsed
    return max(taken * (done + rest) / done - elapsed, 0.0) if done else None


def _tell(outcome: Outcome, number: int, total: int, left: float | None, console: Console) -> None:
    console.event("clip", count=number, total=total, eta=left, **asdict(outcome))
    head = f"[{number}/{total}] {outcome.place}: {outcome.status}"
    if outcome.status == "failed":
        console.warning(f"{head}: {outcome.reason} {outcome.hint}".rstrip())
        return
    frames = "" if outcome.frames is None else f", {count(outcome.frames)}"
    rest = f"; about {span(left)} to go" if left else ""
    console.note(f"{head}{frames}, {outcome.seconds:.1f} s{rest}")
    console.note(*map("  {}".format, outcome.warnings))


def _costs(job: Job, clips: Sequence[Clip], records: Records) -> tuple[list[Row], str, Row]:
    """What every clip that is not done takes here, and all of them, in words and values."""
    rows, takes = list[Row](), list[Estimate]()
    for clip in clips:
        known = records.settled(clip, overwrite=job.write.overwrite)
        state = UNKNOWN if known is None else known.reason or BEFORE
        rows.append(row := Row(source=clip.source, target=clip.target, seconds=None, state=state))
        if known is not None:
            continue
        try:
            with open_reader(clip.source, job.read) as reader:
                if not changes_nothing(job.engine):
                    takes.append(estimated(job.engine, reader.info, job.read))
                    row["seconds"] = takes[-1].whole
        except F2RError as error:
            row["state"] = str(error)
    whole = sum(row["seconds"] or 0.0 for row in rows)
    most = max((one.peak_bytes for one in takes), default=0)
    about = "roughly" if any(one.rough for one in takes) else "about"
    words = f", {about} {span(whole)} one after the other and {size(most)} of memory here"
    before = sum(row["state"] == BEFORE for row in rows)
    told = count(len(clips), "clip") + f", {before} {BEFORE}" * bool(before) + words * bool(takes)
    return rows, told, {"seconds": whole or None, "peak_bytes": most or None}


def _print_plans(rows: list[Row], words: str, values: Row, console: Console) -> int:
    """--dry-run: which clip goes where, and what it takes here."""
    console.event("plan", clips=rows, **values)
    for row in rows:
        cost = span(row["seconds"]) if row["seconds"] else row["state"]
        console.rows(f"{row['source']} -> {row['target']}  {cost}")
    console.rows(words, "nothing was written (--dry-run)")
    return EXIT_OK


def _part(shard: str | None) -> slice:
    """Which of the clips, in order, are a shard's: `2/8`."""
    match = re.fullmatch(r"(\d+)/(\d+)", (shard or "1/1").strip())
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"--shard {shard}: not I/N.", hint="The parts of eight are 1/8 to 8/8.")
    return slice(int(match[1]) - 1, None, int(match[2]))


def _output(sources: Sequence[str], named: str | None) -> Path:
    if named == "-":
        raise UsageError("-o -: standard output holds one clip.", hint="Name a folder with -o.")
    if named is not None:
        return Path(named)
    folder = Path(sources[0]).resolve()
    if len(sources) == 1 and folder.is_dir():
        return folder.parent / f"{folder.name}_f2r"
    last, hint = sources[-1], "Name a folder with -o."
    if len(sources) == 2 and not os.path.isdir(last):  # as ffmpeg and cp name their output
        as_output = shlex.join(["f2r", "denoise", sources[0], "-o", last])
        if not os.path.exists(last):
            raise UsageError(f"{last}: there is no such input.", hint=f"To write it: {as_output}")
        hint = f"Name a folder with -o; to write {last}: {as_output} -y"
    raise UsageError("no output folder.", hint=hint)
