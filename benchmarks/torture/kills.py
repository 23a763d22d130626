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
from f2rcli.training.methods import f2r as recipe

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SLOWEST = 600  # seconds, beside other work
SAME = "the same result"
# What a training of seconds is told: a method that makes footage better from its first step on.
TAUGHT = ("--noise", "gaussian:20", "--method", "blind2sound", "--steps", "3")


@dataclass(frozen=True)
class Job:
    """A command that is killed, and what is compared."""

    name: str
    source: Path
    words: tuple[str, ...]
    results: tuple[str, ...]  # files whose bytes are those of an undisturbed run
    again: tuple[str, ...] = ()  # the run after the kill, where that left something to resume
    left: tuple[str, ...] = ()  # what a killed run may leave for the next one
    ready: Callable[[], None] = lambda: None  # in the child, before the run


def record_at_once() -> None:
    """Runs keep a record from their first second on, else from their second minute."""
    record.FIRST, record.SHARE = -1.0, 1e9


def briefly() -> None:
    """Adaptation takes as few steps as it can: its files are what matters."""
    recipe.ADAPT_STEPS = 1


def jobs(source: Path, lossless: Path) -> list[Job]:
    """All that is killed; `source`: a small video, and `lossless` one that can be adapted to."""
    once, mkv = ("--threads", "1", "--overwrite"), ("-o", "out.mkv")
    plain = ("denoise", source.name)
    return [
        Job("denoise", source, (*plain, *mkv, *once), ("out.mkv",)),
        Job(
            "long denoise", source, (*plain, *mkv, *once), ("out.mkv",),
            left=(".out.mkv.resume",), ready=record_at_once,
        ),
        Job("pictures", source, (*plain, "-o", "out/%05d.png", *once), ("out/00008.png",)),
        Job(
            "batch", source, ("denoise", "clips", "-o", "out", "--jobs", "2"),
            ("out/a.mp4", "out/b.mp4"),
        ),
        Job(
            "adapt", lossless, ("denoise", lossless.name, *mkv, "--adapt", *once),
            ("out.mkv",), ready=briefly,
        ),
        Job(
            "train", source, ("train", source.name, "-o", "my.safetensors", *TAUGHT),
            ("my.safetensors",), left=("my.run",),
            again=("train", "--resume", "-o", "my.safetensors"),
        ),
        Job(
            "eval", source, ("eval", "--clean", source.name, "--noise", "gaussian:20", "--methods",
            "none", "--csv", "out.csv", "--overwrite"), ("out.csv",),
        ),
    ]  # fmt: skip


def killed(job: Job, work: Path, numbers: range, given: Namespace) -> Counter[str]:
    """How runs of a job end that are killed with signal after signal."""
    counts: Counter[str] = Counter()
    folder = begun(job, work)
    usual = _run(job, job.words, folder)
    reference, before = results(job, folder), _digest(job.source)
    settled = listed(folder)
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
        folder = begun(job, work)
        moment = usual.seconds * float(rng.random())
        ended = _run(job, job.words, folder, kill=(sort, moment))
        found = results(job, folder)
        whole = all(reference[name] == digest for name, digest in found.items())
        new = listed(folder) - settled
        left = {name for name in new if Path(name).parts[0] not in job.left}
        if job.again and found == reference:  # it was over: another run would refuse to replace it
            counts[SAME] += 1
            continue
        half_done = any((folder / name).exists() for name in job.left)
        again = _run(job, job.again if job.again and half_done else job.words, folder)
        kind = SAME
        if ended.hung or ended.code == 70:
            kind = "hang" if ended.hung else "exit 70"
        elif ended.code < 0 and ended.code != -signal.SIGKILL:
            kind = "crash"
        elif not whole:
            kind = "broken"
        elif sort != signal.SIGKILL and left and job.name not in ("train", "batch"):
            kind = "left behind"
        elif again.code or results(job, folder) != reference:
            kind = "other result"
        elif listed(folder) - settled:
            kind = "left behind"
        elif _digest(folder / job.source.name) != before:
            kind = "input changed"
        if ended.hung or ended.code == 70 or kind == "crash":
            print(ended.words[-2000:])
        if kind != SAME:
            print(f"{kind}: {job.name}, {sort.name} after {moment:.2f} s, seed {seed}, {number}:")
            print(
                f"  left {sorted(left)}, {sorted(listed(folder) - settled)}; {again.words[-500:]}"
            )
        counts[kind] += 1
    return counts


def begun(job: Job, work: Path) -> Path:
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    shutil.copy(job.source, work)
    if job.name == "batch":
        (work / "clips").mkdir()
        for name in ("a", "b"):
            shutil.copy(job.source, work / "clips" / f"{name}{job.source.suffix}")
    return work


def _run(
    job: Job, words: tuple[str, ...], folder: Path, kill: tuple[int, float] | None = None
) -> Ended:
    def ready() -> None:
        keep_cache_in(folder)
        job.ready()

    return command(list(words), folder, kill=kill, ready=ready, most=SLOWEST)


def keep_cache_in(folder: Path) -> None:
    """From now on this process keeps fitted weights in a folder."""
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")


def results(job: Job, folder: Path) -> dict[str, str]:
    return {name: _digest(folder / name) for name in job.results if (folder / name).exists()}


def listed(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder)) for path in folder.rglob("*")
        if not {"cache", ".f2r", "my.run"} & set(path.relative_to(folder).parts)
    }  # fmt: skip


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
