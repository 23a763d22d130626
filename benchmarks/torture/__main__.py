"""f2r under torture: damaged files, kills at any moment, no room on the disk.

    python benchmarks/torture [--mutants 500] [--kills 50] [--full 99] [--seed 0] [--json OUT.json]

Mutants of small files of many kinds go through the whole command in forked children under limits of
time and memory; PyAV or tifffile alone count the frames of what went in and came out. Kills fall at
random moments of a run: what is at the target is whole, the input unchanged, and the same command
then gives the result of a run that nobody disturbed. Exits 1 where anything is not as it should be.
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from importlib import import_module
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads do not survive a fork

import numpy as np
from children import command, forked
from judges import STACKS, frames, untouched
from mutants import mutant
from seeds import make

LOADED = ("f2rcli.engine.stream", "f2rcli.methods.f2r")

BAD = {
    "exit 70", "crash", "hang", "short, untold", "left noisy, untold", "no error line",
    "left behind", "broken", "other result", "input changed",
}  # fmt: skip
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, usage="python benchmarks/torture [...]")
    parser.add_argument("--mutants", type=int, default=500)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--full", type=int, default=99, help="kinds that find no room")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="f2r-torture-") as temporary:
        room = Path(temporary)
        (room / "seeds").mkdir()
        forked(lambda: make(room / "seeds"), room / "seeds")  # encoders leave threads
        seeds = sorted((room / "seeds").iterdir())
        video = next(seed for seed in seeds if seed.name == "h264.mp4")
        _warm_up()
        found = _mutants(seeds, room / "work", given.mutants, given.seed)
        killed = _kills(video, room / "work", given.kills, given.seed)
        full = _full(seeds[: given.full], room / "work")
    for title, counts in (("mutants", found), ("kills", killed), ("no room", full)):
        _print(title, counts)
    everything = {"mutants": found, "kills": killed, "no room": full}
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


def _mutants(seeds: list[Path], work: Path, count: int, seed: int) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        source = seeds[number % len(seeds)]
        data, how = mutant(source.read_bytes(), rng)
        folder = _fresh(work)
        damaged = folder / f"in{''.join(source.suffixes)}"
        damaged.write_bytes(data)
        kind = _judged(damaged, folder)
        counts["TIFF" if source.suffix in STACKS else source.suffix[1:], kind] += 1
        if kind in BAD:
            print(f"{kind}: mutant {number} of {source.name} ({how})", file=sys.stderr)
            kept = (
                Path(tempfile.gettempdir()) / f"torture-{seed}-{number}{''.join(source.suffixes)}"
            )
            kept.write_bytes(data)
    return counts


def _judged(damaged: Path, folder: Path) -> str:
    """What the command makes of one file, in a word."""
    out = folder / ("out.tif" if damaged.suffix in STACKS else "out.mkv")
    before = _digest(damaged)
    ended = command(["denoise", damaged.name, "-o", out.name, "--threads", "1"], folder)
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
    found, wanted = frames(out, folder), frames(damaged, folder)
    if not found:
        return "broken"
    if ended.code == 0 and found < (wanted or 0):
        return "short, untold"
    noisy = damaged.suffix in STACKS and untouched(damaged, out, folder)
    if noisy:
        return "left noisy, untold" if ended.code == 0 else "done, told in part"
    return "done" if ended.code == 0 else "done, damage told"


def _kills(source: Path, work: Path, count: int, seed: int) -> Counter[tuple[str, str]]:
    """Runs of one clip, each killed once, then repeated."""
    counts: Counter[tuple[str, str]] = Counter()
    words = ["denoise", source.name, "-o", "out.mkv", "--threads", "1", "--overwrite"]
    folder = _fresh(work)
    shutil.copy(source, folder)
    usual = command(words, folder)
    reference, untouched = _digest(folder / "out.mkv"), _digest(source)
    for number in range(count):
        rng = np.random.default_rng((seed, 1, number))
        number_of_signal = SIGNALS[number % len(SIGNALS)]
        folder = _fresh(work)
        shutil.copy(source, folder)
        command(words, folder, kill=(number_of_signal, usual.seconds * float(rng.random())))
        out, name = folder / "out.mkv", signal.Signals(number_of_signal).name
        left = {path.name for path in folder.iterdir()} - {source.name, "out.mkv"}
        whole = not out.exists() or _digest(out) == reference
        again = command(words, folder)
        if not whole:
            kind = "broken"
        elif left and number_of_signal != signal.SIGKILL:
            kind = "left behind"
        elif again.code or _digest(out) != reference:
            kind = "other result"
        elif {path.name for path in folder.iterdir()} != {source.name, "out.mkv"}:
            kind = "left behind"
        else:
            kind = "input changed" if _digest(folder / source.name) != untouched else "as ever"
        counts[name, kind] += 1
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
