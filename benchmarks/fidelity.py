"""The picture contract: what a denoiser may never do to a picture, through the command line.

    python benchmarks/fidelity.py CLIPS [--only patches light ...] [--table FILE] [--work DIR]
        [--f2r "f2r"]

CLIPS is a folder of clean clips (.mkv) kept out of training; they are halved and cut to 256x192.
The ten cases and their bars are those of tests/fidelity/cases.py, which the tests run small. Every
case writes a source whose truth is known, runs `f2r denoise SOURCE -o OUT --lossless`, and compares
the decoded samples with the truth in the file's own codes. About ten minutes of one core. Prints a
line per figure and writes them as a Markdown table; exit code 1 where a bar is missed.
"""

import argparse
import shlex
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the cases belong to the tests

from tests.fidelity import cases, footage  # found by the path above
from tests.fidelity.footage import Clip

GRAIN = 15, 23  # sigma and seed of the noise that excerpts are cut from


def bench_on(clips: Path, work: Path, program: list[str]) -> cases.Bench:
    """A bench of full size on a folder of clips."""
    size = cases.Size()

    @cache
    def clean(frames: int) -> dict[str, Clip]:
        return footage.halved(clips, frames, size.height, size.width)

    def grainy(frames: int) -> Clip:
        return footage.noisy(list(clean(frames).values())[-1], *GRAIN)

    def run(arguments: list[str]) -> int:
        done = subprocess.run(
            [*program, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        if done.returncode:
            sys.stderr.write(done.stderr)
        return done.returncode

    return cases.Bench(work=work, run=run, clips=clean, grainy=grainy, size=size)


def measured(bench: cases.Bench, names: list[str]) -> list[cases.Row]:
    """The figures of some cases, printed as they come."""
    rows = []
    for name in names:
        for row in cases.CASES[name](bench):
            print(row, flush=True)
            rows.append(row)
    return rows


def table(rows: list[cases.Row]) -> str:
    """A Markdown table of figures beside their bars; figures that fall short are bold."""
    lines = ["| case | figure | clip | found | bar |", "|---|---|---|---|---|"]
    for row in rows:
        found = f"{row.figure:.3g}" if abs(row.figure) < 10 else f"{row.figure:.1f}"
        shown = found if row.held else f"**{found}**"
        lines.append(f"| {row.case} | {row.what} | {row.clip} | {shown} | {row.bar} |")
    return "\n".join([*lines, "", summary(rows)]) + "\n"


def summary(rows: list[cases.Row]) -> str:
    """How many bars are held."""
    return f"{sum(row.held for row in rows)} of {len(rows)} bars held."


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path, help="folder of clean clips")
    parser.add_argument("--only", nargs="+", choices=list(cases.CASES), default=list(cases.CASES))
    parser.add_argument("--table", type=Path, help="write a Markdown table")
    parser.add_argument("--work", type=Path, help="keep sources and results here")
    parser.add_argument(
        "--f2r", default=f"{sys.executable} -m f2rcli", help="the program, with its first words"
    )
    arguments = parser.parse_args()
    if not any(arguments.clips.glob("*.mkv")):
        parser.error(f"{arguments.clips}: no .mkv files in it")
    work = arguments.work or Path(tempfile.mkdtemp(prefix="fidelity-"))
    work.mkdir(parents=True, exist_ok=True)
    bench = bench_on(arguments.clips, work, shlex.split(arguments.f2r))
    rows = measured(bench, arguments.only)
    print(summary(rows))
    if arguments.table is not None:
        arguments.table.write_text(table(rows), encoding="utf-8")
    return int(not all(row.held for row in rows))


if __name__ == "__main__":
    sys.exit(main())
