"""Machines with no room on the disk, no permission, or little memory."""

import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from children import Ended, command, forked, limit_space, obey_permissions
from judges import frames
from kills import SLOWEST
from seeds import MEASURE, Seed, copied, film

Counts = Counter[tuple[str, str]]


def full(seeds: list[Seed], room: Path) -> Counts:
    """Every kind of seed with no room for its result."""
    counts: Counts = Counter()
    for seed in seeds:
        for most in (700, 2000, 5000):  # bytes; the words need some too
            folder = copied(room / seed.name, room.parent / "work")
            listed = set(folder.iterdir())
            ended = command(seed.command(MEASURE), folder, room=most)
            left = set(folder.iterdir()) - listed
            counts[f"{most} B", "it fits" if ended.code in (0, 4) else _refused(ended, left)] += 1
    return counts


def denied(seeds: list[Seed], room: Path) -> Counts:
    """Every kind of seed in a folder that may not be written, and one that may not be read."""
    counts: Counts = Counter()
    for seed in seeds:
        for what, mode in (("folder", 0o555), ("input", 0o000)):
            folder = copied(room / seed.name, room.parent / "work")
            closed, listed = (
                folder if what == "folder" else folder / seed.source,
                set(folder.iterdir()),
            )
            before = closed.stat().st_mode & 0o777
            closed.chmod(mode)
            ended = command(seed.command(MEASURE), folder, ready=obey_permissions)
            closed.chmod(before)
            kind = _refused(ended, set(folder.iterdir()) - listed)
            if kind != "clean error":
                print(f"{kind}: {seed.name}, {what}: {ended.words[-500:]}", file=sys.stderr)
            counts[what, kind] += 1
    return counts


def _refused(ended: Ended, left: set[Path]) -> str:
    """How a run ended that could not but fail, in a word."""
    if ended.hung:
        return "hang"
    if ended.code == 70 or ended.code < 0:
        return "exit 70" if ended.code == 70 else "crash"
    if left:
        return "left behind"
    errors = [line for line in ended.words.splitlines() if line.startswith("error: ")]
    return "clean error" if ended.code in (1, 2, 3) and len(errors) == 1 else "no error line"


def little_memory(room: Path, spaces: Sequence[float]) -> Counts:
    """Two frames of 1920x1080 in so many GiB of addresses: done, or too little is said to be so."""
    counts: Counts = Counter()
    for space in spaces:
        folder = room.parent / "work"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        forked(lambda at=folder / "film.y4m": film(at), folder)
        words = ["denoise", "film.y4m", "-o", "out.mkv", "--frames", "2", "--threads", "1"]
        ended = command(words, folder, ready=lambda most=space: limit_space(most), most=SLOWEST)
        out = folder / "out.mkv"
        kind = _refused(ended, {out} if out.exists() else set())
        if ended.code == 0:
            kind = "done" if frames(out, folder) == 2 else "short, not reported"
        elif kind == "clean error" and "error: not enough memory." not in ended.words.splitlines():
            kind = "no error line"
        if kind not in ("done", "clean error"):
            print(f"{kind} in {space} GiB: {ended.words[-500:]}", file=sys.stderr)
        counts[f"{space:g} GiB", kind] += 1
    return counts
