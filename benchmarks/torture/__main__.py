"""f2r under torture: damaged files, kills at any moment, no room on the disk.

    python benchmarks/torture [--mutants 500] [--cuts 99] [--kills 50] [--jobs denoise train ...]
        [--full 99] [--seed 0] [--first 0] [--minutes 30] [--json OUT.json]

Mutants of small files of many kinds go through the whole command in forked children under limits of
time and memory; PyAV or tifffile alone count the frames of what went in and came out. Kills fall at
random moments of a run: what is at the target is whole, the input unchanged, and the same command
then gives the result of a run that nobody disturbed. --first goes on with a seed where an earlier
run ended. Exits 1 where anything is not as it should be.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from importlib import import_module
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads do not survive a fork

import numpy as np
from children import command, forked
from judges import STACKS, frames, untouched
from kills import jobs, killed
from mutants import mutant
from seeds import make

MEASURED = 4  # of so many mutants the noise of one is measured
LOADED = ("f2rcli.engine.stream", "f2rcli.methods.f2r")

BAD = {
    "exit 70", "crash", "hang", "short, untold", "left noisy, untold", "no error line",
    "left behind", "broken", "other result", "input changed", "cannot run",
}  # fmt: skip
ENDLESS = "does not say where it ends"  # the note of formats that cannot tell of a cut


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, usage="python benchmarks/torture [...]")
    parser.add_argument("--mutants", type=int, default=500)
    parser.add_argument("--cuts", type=int, default=0, help="of every seed")
    parser.add_argument("--kills", type=int, default=50, help="of every job")
    parser.add_argument("--jobs", nargs="*", help="what is killed (default: everything)")
    parser.add_argument("--full", type=int, default=99, help="kinds that find no room")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="mutant and kill to begin with")
    parser.add_argument(
        "--minutes", type=float, default=1e9, help="end then, and say how far it went"
    )
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    given.until = time.monotonic() + 60 * given.minutes
    with tempfile.TemporaryDirectory(prefix="f2r-torture-") as temporary:
        room = Path(temporary)
        (room / "seeds").mkdir()
        forked(lambda: make(room / "seeds"), room / "seeds")  # encoders leave threads
        seeds = sorted((room / "seeds").iterdir())
        video = next(seed for seed in seeds if seed.name == "h264.mp4")
        _warm_up()
        found = _mutants(seeds, room / "work", given)
        cut = _cuts(seeds, room / "work", given)
        kills = _kills(video, room / "work", given)
        full = _full(seeds[: given.full], room / "work")
    for title, counts in (("mutants", found), ("cuts", cut), ("kills", kills), ("no room", full)):
        _print(title, counts)
    everything = {"mutants": found, "cuts": cut, "kills": kills, "no room": full}
    if given.json:
        plain = {title: {" ".join(k): n for k, n in c.items()} for title, c in everything.items()}
        given.json.write_text(json.dumps(plain, indent=1))
    return int(any(kind in BAD for counts in everything.values() for _, kind in counts))


def _warm_up() -> None:
    """Load here what every child needs. Nothing is run: a fork copies one thread only, and
    children would wait for the others for ever."""
    for name in LOADED:
        import_module(name)
    tasks = Path("/proc/self/task")
    if tasks.is_dir() and len(list(tasks.iterdir())) > 1:
        raise RuntimeError("loading started threads")


def _print(title: str, counts: Counter[tuple[str, str]]) -> None:
    columns = sorted({of for of, _ in counts})
    print(f"\n| {title} | {' | '.join(columns)} | all |")
    print("|---|" + "---|" * (len(columns) + 1))
    for kind in sorted({kind for _, kind in counts}, key=lambda kind: (kind in BAD, kind)):
        row = [counts[(of, kind)] for of in columns]
        print(f"| {kind} | {' | '.join(map(str, row))} | {sum(row)} |")


def _fresh(work: Path) -> Path:
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    return work


def _mutants(seeds: list[Path], work: Path, given: argparse.Namespace) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    seed = given.seed
    for number in range(given.first, given.first + given.mutants):
        if time.monotonic() > given.until:
            print(f"mutants: go on with --seed {seed} --first {number}")
            break
        rng = np.random.default_rng((seed, number))
        source = seeds[number % len(seeds)]
        data, how = mutant(source.read_bytes(), rng)
        folder = _fresh(work)
        damaged = folder / f"in{''.join(source.suffixes)}"
        damaged.write_bytes(data)
        kind = _judged(damaged, folder, measured=not number % MEASURED)
        counts["TIFF" if source.suffix in STACKS else source.suffix[1:], kind] += 1
        if kind in BAD:
            print(f"{kind}: mutant {number} of {source.name} ({how})", file=sys.stderr)
            kept = (
                Path(tempfile.gettempdir()) / f"torture-{seed}-{number}{''.join(source.suffixes)}"
            )
            kept.write_bytes(data)
    return counts


def _cuts(seeds: list[Path], work: Path, given: argparse.Namespace) -> Counter[tuple[str, str]]:
    """Every seed cut off at as many places, evenly spread."""
    counts: Counter[tuple[str, str]] = Counter()
    count = given.cuts
    for source in seeds if count else ():
        data = source.read_bytes()
        whole = frames(source, _fresh(work))
        for part in range(1, count + 1):
            if time.monotonic() > given.until:
                print(f"cuts: ended at {source.name}")
                return counts
            folder = _fresh(work)
            damaged = folder / f"in{''.join(source.suffixes)}"
            length = len(data) * part // (count + 1)
            damaged.write_bytes(data[:length])
            kind = _judged(damaged, folder, whole, measured=False)
            counts["TIFF" if source.suffix in STACKS else source.suffix[1:], kind] += 1
            if kind in BAD:
                print(f"{kind}: {source.name} cut after {length} bytes", file=sys.stderr)
    return counts


def _judged(damaged: Path, folder: Path, whole: int | None = None, *, measured: bool = True) -> str:
    """What the command makes of one file, in a word; whole: frames that it should have, where
    that is known; measured: its noise, which takes longer than telling it."""
    out = folder / ("out.tif" if damaged.suffix in STACKS else "out.mkv")
    before = _digest(damaged)
    words = ["denoise", damaged.name, "-o", out.name, "--threads", "1"]
    ended = command(words if measured else [*words, "--sigma", "8"], folder)
    if ended.hung:
        return "hang"
    if ended.code == 70:
        return "exit 70"
    if ended.code < 0:
        return "crash"
    if _digest(damaged) != before:
        return "input changed"
    if {path.name for path in folder.iterdir()} - {damaged.name, out.name}:
        return "left behind"
    errors = [line for line in ended.words.splitlines() if line.startswith("error: ")]
    if ended.code not in (0, 4):
        return "clean error" if len(errors) == 1 and not out.exists() else "no error line"
    found, wanted = frames(out, folder), whole or frames(damaged, folder)
    if not found:
        return "broken"
    if ended.code == 0 and found < (wanted or 0):
        return "its end is not known" if ENDLESS in ended.words else "short, untold"
    noisy = damaged.suffix in STACKS and untouched(damaged, out, folder)
    if noisy:
        return "left noisy, untold" if ended.code == 0 else "done, told in part"
    return "done" if ended.code == 0 else "done, damage told"


def _kills(source: Path, work: Path, given: argparse.Namespace) -> Counter[tuple[str, str]]:
    """As many kills of every command."""
    counts: Counter[tuple[str, str]] = Counter()
    for job in jobs(source):
        if given.kills and job.name in (given.jobs or {job.name}):
            numbers = range(given.first, given.first + given.kills)
            found = killed(job, source, work, numbers, given)
            counts.update({(job.name, kind): count for kind, count in found.items()})
    return counts


def _full(seeds: list[Path], work: Path) -> Counter[tuple[str, str]]:
    """Every kind of seed with no room for its result."""
    counts: Counter[tuple[str, str]] = Counter()
    for source in seeds:
        for room in (700, 2000, 5000):  # bytes; the words need some too
            folder = _fresh(work)
            shutil.copy(source, folder)
            words = ["denoise", source.name, "--threads", "1"]
            ended = command(words, folder, room=room)
            errors = [line for line in ended.words.splitlines() if line.startswith("error: ")]
            left = {path.name for path in folder.iterdir()} - {source.name}
            kind = "clean error" if ended.code == 1 and len(errors) == 1 else "no error line"
            if ended.code in (0, 4):
                kind = "it fits"
            elif ended.code == 70 or ended.code < 0:
                kind = "exit 70" if ended.code == 70 else "crash"
            elif left:
                kind = "left behind"
            counts[f"{room} B", kind] += 1
    return counts


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
