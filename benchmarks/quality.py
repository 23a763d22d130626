"""Quality on clean clips with noise made on the spot, blind, through the command line.

    python benchmarks/quality.py CLIPS [--noise g20 ..., or MADE of noisy_clips.py] [--frames 8]
        [--times 1] [--only NAME] [--threads 1] [--options ...]

CLIPS is a folder of clean clips (MKV) that were kept out of training. Their noisy versions are
written to files (see noisy_clips.py), each goes through `f2r denoise --lossless`, and the file that
comes out is read back and compared with the clean frames: PSNR and SSIM of 8-bit RGB, mean over
frames, then over clips. The last table has the means of all noises.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from noisy_clips import Score, clean_clips, make_noisy, read, score

NOISES = ("g20", "g30", "g50", "pg", "corr30", "h264")


def measure(clip: Path, noise: str, arguments: argparse.Namespace, work: Path) -> dict[str, Score]:
    noisy = make_noisy(clip, noise, work, arguments.frames, arguments.times)
    done = work / f"{noisy.stem}.f2r.mkv"
    command = [sys.executable, "-m", "f2rcli", "denoise", noisy, "-o", done, "--lossless", "-q"]
    threads = ["--threads", str(arguments.threads)] if arguments.threads else []
    subprocess.run([*command, "--overwrite", *threads, *arguments.options], check=True)
    given = read(noisy)
    clean = read(clip, arguments.frames)[:, : given.shape[1], : given.shape[2]]
    clean = clean.repeat(len(given) // len(clean), 0)
    return {"noisy": score(given, clean), "f2r": score(read(done), clean)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path)
    parser.add_argument("--noise", nargs="+", default=list(NOISES))
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--times", type=int, default=1, help="that a picture comes, coded")
    parser.add_argument("--threads", type=int, help="of f2r denoise; default: all cores")
    parser.add_argument("--only", default="", help="clips whose name contains this")
    parser.add_argument(
        "--options", nargs=argparse.REMAINDER, default=[], help="passed to f2r denoise"
    )
    arguments = parser.parse_args()
    clips = clean_clips(arguments.clips, arguments.only)
    print("| noise | clip | noisy | f2r, as written to the file |\n|---|---|---|---|")
    means = {}
    with tempfile.TemporaryDirectory() as folder:
        for noise in arguments.noise:
            rows = [measure(clip, noise, arguments, Path(folder)) for clip in clips]
            for clip, row in zip(clips, rows, strict=True):
                print(_row(f"{noise} | {clip.stem}", row), flush=True)
            mean = {k: Score(*np.mean([row[k] for row in rows], axis=0)) for k in rows[0]}
            print(_row(f"{noise} | **mean of {len(rows)}**", mean), flush=True)
            means[noise] = mean
    print(summary(means, len(clips)))


def summary(means: dict[str, dict[str, Score]], clips: int) -> str:
    """A row per noise: the means of every estimate over the clips."""
    names = list(next(iter(means.values()), {}))
    lines = [f"\n| mean of {clips} clips | {' | '.join(names)} |", "|---" * (1 + len(names)) + "|"]
    return "\n".join([*lines, *(_row(noise, mean) for noise, mean in means.items())])


def _row(name: str, row: dict[str, Score]) -> str:
    return f"| {name} | {' | '.join(f'{s.psnr:.2f} / {s.ssim:.3f}' for s in row.values())} |"


if __name__ == "__main__":
    main()
