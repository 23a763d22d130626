"""f2r under torture: damaged files, kills at any moment, no room on the disk.

    python benchmarks/torture [--mutants 500] [--kinds usual] [--cuts 99] [--kills 50]
        [--jobs denoise train ...] [--full 99] [--space 4 1] [--seed 0] [--first 0] [--minutes 30]
        [--json OUT.json]

Mutants of small files of many kinds go through the whole command in forked children under limits of
time and memory; PyAV, tifffile, zarr or h5py alone count the frames of what went in and came out.
--kinds more: pictures, folders, camera raw, arrays, other containers, and beside a whole clip its
weights, run file, provenance and the record of a killed run. Kills fall at random moments of a run:
what is at the target is whole, the input unchanged, and the same command then gives the result of a
run that nobody disturbed. --first goes on with a seed where an earlier run ended. What is not as it
should be stays in the temporary folder; exits 1 then.
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
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads do not survive a fork

import numpy as np
from children import Ended, command, forked, limit_space
from judges import frames, lossless, ruined, untouched
from kills import SLOWEST, jobs, killed
from more import CLIP, more, prepare
from mutants import mutant
from seeds import MEASURE, TELL, Seed, film, usual

MEASURED = 4  # of so many mutants the noise of one is measured
LOADED = ("f2rcli.engine.stream", "f2rcli.methods.f2r")

BAD = {
    "exit 70", "crash", "hang", "short, untold", "left noisy, untold", "no error line",
    "left behind", "broken", "other result", "ruined", "input changed", "cannot run",
}  # fmt: skip
KEPT = {*BAD, "done, told in part"}  # what is worth a look afterwards
KINDS = {"usual": usual, "more": more}
ENDLESS = "does not say where it ends"  # the note of formats that cannot tell of a cut


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, usage="python benchmarks/torture [...]")
    parser.add_argument("--mutants", type=int, default=500)
    parser.add_argument(
        "--kinds", choices=KINDS, default="usual",
        help="of seeds: stacks and videos, or everything else",
    )  # fmt: skip
    parser.add_argument("--cuts", type=int, default=0, help="of every seed")
    parser.add_argument("--kills", type=int, default=50, help="of every job")
    parser.add_argument("--jobs", nargs="*", help="what is killed (default: everything)")
    parser.add_argument("--full", type=int, default=99, help="kinds that find no room")
    parser.add_argument(
        "--space", type=float, nargs="*", default=(), help="GiB of addresses for a 1080p film"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="mutant and kill to begin with")
    parser.add_argument(
        "--minutes", type=float, default=1e9, help="end then, and say how far it went"
    )
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    given.until = time.monotonic() + 60 * given.minutes
    with tempfile.TemporaryDirectory(prefix="f2r-torture-") as temporary:
        room = Path(temporary) / "seeds"
        room.mkdir()
        seeds = _seeds(room, given.kinds)
        _warm_up()
        if given.kinds == "more":
            prepare(room)
        found = _mutants(seeds, room, given)
        cut = _cuts(seeds, room, given)
        kills = _kills(room, given)
        full = _full(seeds[: given.full], room)
        space = _film(room, given.space)
    everything = {
        "mutants": found, "cuts": cut, "kills": kills, "no room": full, "address space": space,
    }  # fmt: skip
    for title, counts in everything.items():
        if counts:
            _print(title, counts)
    if given.json:
        plain = {title: {" ".join(k): n for k, n in c.items()} for title, c in everything.items()}
        given.json.write_text(json.dumps(plain, indent=1))
    return int(any(kind in BAD for counts in everything.values() for _, kind in counts))


def _seeds(room: Path, kinds: str) -> list[Seed]:
    """Made in a child: encoders leave threads."""
    made = room / "seeds.json"

    def make() -> int:
        made.write_text(json.dumps([asdict(seed) for seed in KINDS[kinds](room)]))
        return 0

    forked(make, room)
    return [Seed(**facts) for facts in json.loads(made.read_text())]


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


def _mutants(seeds: list[Seed], room: Path, given: argparse.Namespace) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for number in range(given.first, given.first + given.mutants):
        if time.monotonic() > given.until:
            print(f"mutants: go on with --seed {given.seed} --first {number}")
            break
        rng = np.random.default_rng((given.seed, number))
        seed = seeds[number % len(seeds)]
        folder = _copied(room / seed.name, room.parent / "work")
        path = _chosen(seed, folder, rng)
        data, how = mutant(path.read_bytes(), rng)
        path.write_bytes(data)
        kind = _judged(seed, folder, MEASURE if not number % MEASURED else TELL)
        counts[seed.kind, kind] += 1
        if kind in KEPT:
            at = Path(tempfile.gettempdir()) / f"torture-{given.seed}-{number}"
            print(f"{kind}: mutant {number} of {seed.name} ({how}), {at}", file=sys.stderr)
            shutil.rmtree(at, ignore_errors=True)
            shutil.copytree(folder, at)
    return counts


def _chosen(seed: Seed, folder: Path, rng: np.random.Generator) -> Path:
    """A file to damage."""
    files = sorted(path for path in folder.glob(seed.harmed) if path.is_file())
    return files[rng.integers(len(files)) if len(files) > 1 else 0]


def _copied(whole: Path, work: Path) -> Path:
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(whole, work)
    return work


def _cuts(seeds: list[Seed], room: Path, given: argparse.Namespace) -> Counter[tuple[str, str]]:
    """The first file of every seed cut off at as many places, evenly spread."""
    counts: Counter[tuple[str, str]] = Counter()
    count = given.cuts
    for seed in seeds if count else ():
        whole = frames(_copied(room / seed.name, room.parent / "work") / seed.source, room)
        for part in range(1, count + 1):
            if time.monotonic() > given.until:
                print(f"cuts: ended at {seed.name}")
                return counts
            folder = _copied(room / seed.name, room.parent / "work")
            path = _chosen(seed, folder, np.random.default_rng(part))
            data = path.read_bytes()
            length = len(data) * part // (count + 1)
            path.write_bytes(data[:length])
            kind = _judged(seed, folder, TELL, whole)
            counts[seed.kind, kind] += 1
            if kind in KEPT:
                print(f"{kind}: {seed.name} cut after {length} bytes", file=sys.stderr)
    return counts


def _judged(seed: Seed, folder: Path, more: tuple[str, ...], whole: int | None = None) -> str:
    """What the command makes of a damaged seed, in a word; whole: frames that it should have,
    where that is known."""
    source, out = folder / seed.source, folder / seed.out
    before, listed = _digests(source), set(folder.iterdir())
    ended = command(seed.command(more), folder)
    if ended.hung:
        return "hang"
    if ended.code == 70:
        return "exit 70"
    if ended.code < 0:
        return "crash"
    if _digests(source) != before:
        return "input changed"
    if set(folder.iterdir()) - listed - {out}:
        return "left behind"
    if ended.code not in (0, 4):
        errors = [line for line in ended.words.splitlines() if line.startswith("error: ")]
        return "clean error" if len(errors) == 1 and not out.exists() else "no error line"
    if seed.wanted:
        same = out.read_bytes() == (folder / seed.wanted).read_bytes()
        return "the same result" if same else "other result"
    return _compared(source, out, folder, ended, whole)


def _compared(source: Path, out: Path, folder: Path, ended: Ended, whole: int | None) -> str:
    """What is to be said of a result, in a word."""
    found, wanted = frames(out, folder), whole or frames(source, folder)
    if not found:
        return "broken"
    if ended.code == 0 and found < (wanted or 0):
        return "its end is not known" if ENDLESS in ended.words else "short, untold"
    if source.name == CLIP and ruined(source, out, folder):
        return "ruined"
    same, changed = untouched(source, out, folder) if lossless(source) else (0, 0)
    if same and not changed:
        return "nothing removed"
    if same:
        return "left noisy, untold" if ended.code == 0 else "done, told in part"
    return "done" if ended.code == 0 else "done, damage told"


def _kills(room: Path, given: argparse.Namespace) -> Counter[tuple[str, str]]:
    """As many kills of every command."""
    counts: Counter[tuple[str, str]] = Counter()
    source = room / "h264.mp4" / "in.mp4"
    for job in jobs(source) if given.kills and source.exists() else ():
        if job.name in (given.jobs or {job.name}):
            numbers = range(given.first, given.first + given.kills)
            found = killed(job, source, room.parent / "work", numbers, given)
            counts.update({(job.name, kind): count for kind, count in found.items()})
    return counts


def _full(seeds: list[Seed], room: Path) -> Counter[tuple[str, str]]:
    """Every kind of seed with no room for its result."""
    counts: Counter[tuple[str, str]] = Counter()
    for seed in seeds:
        for most in (700, 2000, 5000):  # bytes; the words need some too
            folder = _copied(room / seed.name, room.parent / "work")
            listed = set(folder.iterdir())
            ended = command(seed.command(MEASURE), folder, room=most)
            errors = [line for line in ended.words.splitlines() if line.startswith("error: ")]
            kind = "clean error" if ended.code == 1 and len(errors) == 1 else "no error line"
            if ended.code in (0, 4):
                kind = "it fits"
            elif ended.code == 70 or ended.code < 0:
                kind = "exit 70" if ended.code == 70 else "crash"
            elif set(folder.iterdir()) - listed:
                kind = "left behind"
            counts[f"{most} B", kind] += 1
    return counts


def _film(room: Path, spaces: Sequence[float]) -> Counter[tuple[str, str]]:
    """Two frames of 1920x1080 in so many GiB of addresses: done, or too little is said to be so."""
    counts: Counter[tuple[str, str]] = Counter()
    for space in spaces:
        folder = room.parent / "work"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        forked(lambda at=folder / "film.y4m": film(at), folder)
        words = ["denoise", "film.y4m", "-o", "out.mkv", "--frames", "2", "--threads", "1"]
        ended = command(words, folder, ready=lambda most=space: limit_space(most), most=SLOWEST)
        errors = [line for line in ended.words.splitlines() if line.startswith("error: ")]
        kind = {70: "exit 70"}.get(ended.code, "crash" if ended.code < 0 else "no error line")
        if ended.hung:
            kind = "hang"
        elif ended.code == 0:
            kind = "done" if frames(folder / "out.mkv", folder) == 2 else "short, untold"
        elif errors == ["error: not enough memory."] and not (folder / "out.mkv").exists():
            kind = "clean error"
        if kind not in ("done", "clean error"):
            print(f"{kind} in {space} GiB: {ended.words[-500:]}", file=sys.stderr)
        counts[f"{space:g} GiB", kind] += 1
    return counts


def _digests(source: Path) -> list[str]:
    files = sorted(source.rglob("*")) if source.is_dir() else [source]
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()]


if __name__ == "__main__":
    sys.exit(main())
