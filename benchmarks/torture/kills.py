"""Runs of every command, each killed once at a random moment, then repeated."""

import hashlib
import os
import shutil
import signal
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from children import Ended, command

from f2rcli.engine.resuming import record

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SLOWEST = 600  # seconds, beside other work


@dataclass(frozen=True)
class Job:
    """A command that is killed, and what is compared."""

    name: str
    words: tuple[str, ...]
    results: tuple[str, ...]  # files whose bytes are those of an undisturbed run
    again: tuple[str, ...] = ()  # the run after the kill, where that left something to resume
    left: tuple[str, ...] = ()  # what a killed run may leave for the next one
    ready: Callable[[], None] = lambda: None  # in the child, before the run


def _record_at_once() -> None:
    """Runs keep a record from their first second on, else from their second minute."""
    record.FIRST, record.SHARE = -1.0, 1e9


def jobs(source: Path) -> list[Job]:
    """All that is killed; `source`: a small video."""
    name, once = source.name, ("--threads", "1", "--overwrite")
    short = [
        f"{stage}.{setting}" for stage in ("coarse", "fusion")
        for setting in ("steps=3", "crop=32", "batch=2")
    ]  # fmt: skip
    taught = ("--inputs-are-clean", "--noise", "gaussian:20", "--recipe", "supervised")
    stages = tuple(word for setting in short for word in ("--stage", setting))
    return [
        Job("denoise", ("denoise", name, "-o", "out.mkv", *once), ("out.mkv",)),
        Job(
            "long denoise", ("denoise", name, "-o", "out.mkv", *once), ("out.mkv",),
            left=(".out.mkv.resume",), ready=_record_at_once,
        ),
        Job("pictures", ("denoise", name, "-o", "out/%05d.png", *once), ("out/00008.png",)),
        Job("batch", ("denoise", "clips", "-o", "out", "--jobs", "2"), ("out/a.mp4", "out/b.mp4")),
        Job("adapt", ("denoise", name, "-o", "out.mkv", "--adapt", "fast", *once), ("out.mkv",)),
        Job(
            "train", ("train", name, "-o", "my.safetensors", *taught, *stages),
            ("my.safetensors",), left=("my.run",),
            again=("train", "--resume", "-o", "my.safetensors"),
        ),
        Job(
            "eval", ("eval", "--clean", name, "--noise", "gaussian:20", "--methods", "none",
            "--csv", "out.csv", "--overwrite"), ("out.csv",),
        ),
    ]  # fmt: skip


def killed(job: Job, source: Path, work: Path, numbers: range, given: Namespace) -> Counter[str]:
    """How runs of a job end that are killed with signal after signal."""
    counts: Counter[str] = Counter()
    folder = _begun(job, source, work)
    usual = _run(job, job.words, folder)
    reference, before = _results(job, folder), _digest(source)
    settled = _listed(folder)
    if usual.code or not reference:
        counts["cannot run"] += 1
        print(usual.words[-2000:])
        return counts
    seed = given.seed
    for number in numbers:
        if time.monotonic() > given.until:
            print(f"kills of {job.name}: go on with --seed {seed} --first {number}")
            break
        rng = np.random.default_rng((seed, 1, number))
        sort = SIGNALS[number % len(SIGNALS)]
        folder = _begun(job, source, work)
        moment = usual.seconds * float(rng.random())
        _run(job, job.words, folder, kill=(sort, moment))
        found = _results(job, folder)
        whole = all(reference[name] == digest for name, digest in found.items())
        new = _listed(folder) - settled
        left = {name for name in new if Path(name).parts[0] not in job.left}
        if job.again and found == reference:  # it was over: another run would refuse to replace it
            counts["as ever"] += 1
            continue
        begun = any((folder / name).exists() for name in job.left)
        again = _run(job, job.again if job.again and begun else job.words, folder)
        kind = "as ever"
        if not whole:
            kind = "broken"
        elif sort != signal.SIGKILL and left and job.name not in ("train", "batch"):
            kind = "left behind"
        elif again.code or _results(job, folder) != reference:
            kind = "other result"
        elif _listed(folder) - settled:
            kind = "left behind"
        elif _digest(folder / source.name) != before:
            kind = "input changed"
        if kind != "as ever":
            print(f"{kind}: {job.name}, {sort.name} after {moment:.2f} s, seed {seed}, {number}:")
            print(
                f"  left {sorted(left)}, {sorted(_listed(folder) - settled)}; {again.words[-500:]}"
            )
        counts[kind] += 1
    return counts


def _begun(job: Job, source: Path, work: Path) -> Path:
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    shutil.copy(source, work)
    if job.name == "batch":
        (work / "clips").mkdir()
        for name in ("a", "b"):
            shutil.copy(source, work / "clips" / f"{name}{source.suffix}")
    return work


def _run(
    job: Job, words: tuple[str, ...], folder: Path, kill: tuple[int, float] | None = None
) -> Ended:
    def ready() -> None:
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        job.ready()

    return command(list(words), folder, kill=kill, ready=ready, most=SLOWEST)


def _results(job: Job, folder: Path) -> dict[str, str]:
    return {name: _digest(folder / name) for name in job.results if (folder / name).exists()}


def _listed(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder)) for path in folder.rglob("*")
        if not {"cache", ".f2r", "my.run"} & set(path.relative_to(folder).parts)
    }  # fmt: skip


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
