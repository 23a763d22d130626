"""f2r under torture: damaged files, kills at any moment, no room on the disk.

    python benchmarks/torture [--mutants 500] [--kinds usual] [--files FILE ... [--words=...]]
        [--cuts 99] [--kills 50] [--races 50] [--jobs denoise train ...] [--full 99] [--denied 99]
        [--space 4 1] [--seed 0] [--first 0] [--minutes 30] [--json OUT.json]

Mutants of small files of many kinds go through the whole command in forked children under limits of
time and memory; PyAV, tifffile, zarr or h5py alone count the frames of what went in and came out.
--kinds more: pictures, folders, camera raw, arrays, other containers, and beside a whole clip its
weights, fitted weights, and records of killed runs and trainings. --files:
yours. Kills fall at random moments of a run: what is at the target is whole, the input unchanged,
and the same command then gives the result of a run that nobody disturbed. --first goes on with a
seed where an earlier run ended. What is not as it should be stays in the temporary folder; exits 1
then.
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
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads do not survive a fork

import numpy as np
from children import WALL_SECONDS, Ended, command, forked
from judges import frames, lossless, ruined, untouched
from kills import SLOWEST, jobs, killed
from limits import denied, full, little_memory
from more import CLIP, in_cache, more, prepare
from mutants import mutant
from races import raced
from seeds import MEASURE, TELL, Seed, copied, given_files, usual

MEASURED = 4  # of so many mutants the noise of one is measured
LOADED = (
    "f2rcli.engine.stream", "f2rcli.methods.rgb_f2r", "f2rcli.training.session",
    "f2rcli.evaluation.run",
)  # fmt: skip

BAD = {
    "exit 70", "crash", "hang", "short, not reported", "left noisy, not reported", "no error line",
    "left behind", "broken", "other result", "ruined", "input changed", "cannot run",
}  # fmt: skip
KEPT = {*BAD, "done, damage reported in part"}  # what is worth a look afterwards
KINDS = {"usual": usual, "more": more}
ENDLESS = "does not say where it ends"  # the note of formats that cannot tell of a cut


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, usage="python benchmarks/torture [...]")
    parser.add_argument("--mutants", type=int, default=500)
    parser.add_argument(
        "--kinds", choices=KINDS, default="usual",
        help="of seeds: stacks and videos, or everything else",
    )  # fmt: skip
    parser.add_argument(
        "--files", type=Path, nargs="*", default=(), help="small files of yours instead of these"
    )
    parser.add_argument(
        "--words", default="", help="what is passed on with --files, such as --words='--series 1'"
    )
    parser.add_argument("--cuts", type=int, default=0, help="of every seed")
    parser.add_argument("--kills", type=int, default=50, help="of every job")
    parser.add_argument("--jobs", nargs="*", help="what is killed (default: everything)")
    parser.add_argument("--races", type=int, default=0, help="of two runs for one target, each job")
    parser.add_argument("--full", type=int, default=99, help="kinds that find no room")
    parser.add_argument("--denied", type=int, default=99, help="kinds that find no permission")
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
        if given.files:
            seeds = given_files(room, given.files, given.words.split())
        _warm_up()
        if given.kinds == "more":
            prepare(room)
        everything = {
            "mutants": _mutants(seeds, room, given),
            "cuts": _cuts(seeds, room, given),
            "kills": _kills(room, given),
            "races": _races(room, given),
            "disk full": full(seeds[: given.full], room),
            "no permission": denied(seeds[: given.denied], room),
            "address space": little_memory(room, given.space),
        }
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
        folder = copied(room / seed.name, room.parent / "work")
        path = _chosen(seed, folder, rng)
        data, how = mutant(path.read_bytes(), rng)
        path.write_bytes(data)
        measured = not number % MEASURED and not seed.wanted  # that result was made with TELL
        kind = _judged(seed, folder, MEASURE if measured else TELL)
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


def _cuts(seeds: list[Seed], room: Path, given: argparse.Namespace) -> Counter[tuple[str, str]]:
    """The first file of every seed cut off at as many places, evenly spread."""
    counts: Counter[tuple[str, str]] = Counter()
    count = given.cuts
    for seed in seeds if count else ():
        whole = frames(copied(room / seed.name, room.parent / "work") / seed.source, room)
        for part in range(1, count + 1):
            if time.monotonic() > given.until:
                print(f"cuts: ended at {seed.name}")
                return counts
            folder = copied(room / seed.name, room.parent / "work")
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
    """What the command makes of a damaged seed, in a word; whole: its frames, if known."""
    source, out = folder / seed.source, folder / seed.out
    before, listed = _digests(source), set(folder.iterdir())
    most = SLOWEST if seed.wanted else WALL_SECONDS  # what is damaged there may be made anew
    ended = command(seed.command(more), folder, ready=lambda: in_cache(folder), most=most)
    if ended.hung:
        return "hang"
    if ended.code == 70:
        return "exit 70"
    if ended.code < 0:
        return "crash"
    if _digests(source) != before:
        return "input changed"
    if set(folder.iterdir()) - listed - {out, folder / "cache"}:
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
        return "its end is not known" if ENDLESS in ended.words else "short, not reported"
    if source.name == CLIP and ruined(source, out, folder):
        return "ruined"
    same, changed = untouched(source, out, folder) if lossless(source) else (0, 0)
    if same and not changed:
        return "nothing removed"
    if same:
        return "left noisy, not reported" if ended.code == 0 else "done, damage reported in part"
    return "done" if ended.code == 0 else "done, damage reported"


def _kills(room: Path, given: argparse.Namespace) -> Counter[tuple[str, str]]:
    """As many kills of every command."""
    counts: Counter[tuple[str, str]] = Counter()
    source, lossless = room / "h264.mp4" / "in.mp4", room / "ffv1.mkv" / "in.mkv"
    for job in jobs(source, lossless) if given.kills and source.exists() else ():
        if job.name in (given.jobs or {job.name}):
            numbers = range(given.first, given.first + given.kills)
            found = killed(job, room.parent / "work", numbers, given)
            counts.update({(job.name, kind): count for kind, count in found.items()})
    return counts


def _races(room: Path, given: argparse.Namespace) -> Counter[tuple[str, str]]:
    """As many pairs of runs for one target, of every command that writes one."""
    counts: Counter[tuple[str, str]] = Counter()
    source = room / "h264.mp4" / "in.mp4"
    for job in jobs(source, source) if given.races and source.exists() else ():
        if job.name in ("denoise", "pictures", "eval"):
            numbers = range(given.first, given.first + given.races)
            found = raced(job, room.parent / "work", numbers, given)
            counts.update({(job.name, kind): count for kind, count in found.items()})
    return counts


def _digests(source: Path) -> list[str]:
    files = sorted(source.rglob("*")) if source.is_dir() else [source]
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()]


if __name__ == "__main__":
    sys.exit(main())
