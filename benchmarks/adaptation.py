"""The gain of adapting to a clip: quality with the bundled weights and with adapted ones.

    python benchmarks/adaptation.py CLIPS [--noise g20 g30 g50 pg corr30 h264] [--frames 16]
        [--size PIXELS] [--only NAME] [--minutes 1] [--threads 1]

Every noisy clip, or the middle of it (`--size`), is denoised losslessly by `f2r denoise` without
and with `--adapt`; PSNR against the clean frames, over all pixels and channels of 8-bit RGB, mean
over frames. Weights are adapted anew for each clip (their cache is a temporary folder). The CPU
seconds are those that `--adapt` adds.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from noisy_clips import Clip, clean_clips, make_noisy, psnr, read, write
from quality import NOISES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("--noise", nargs="+", default=NOISES)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--size", type=int, help="pixels per side of the middle; else all")
    parser.add_argument("--only", nargs="+", default=[], help="parts of clips' names")
    parser.add_argument("--minutes", default="1")
    parser.add_argument("--threads", default="1")
    given = parser.parse_args()
    print(
        "| clip | noise | bundled | adapted | gain | CPU s | said |\n|---|---|---|---|---|---|---|"
    )
    gains: dict[str, list[float]] = {}
    for path in clean_clips(given.clips, *given.only):
        for noise in given.noise:
            before, after, seconds, said = compare(path, noise, given)
            gains.setdefault(noise, []).append(after - before)
            figures = f"{before:.2f} | {after:.2f} | {after - before:+.2f} | {seconds:.0f}"
            print(f"| {path.stem} | {noise} | {figures} | {said} |", flush=True)
    for noise, values in gains.items():
        print(f"{noise}: mean {np.mean(values):+.3f}, worst {min(values):+.3f} dB")
    every = [gain for values in gains.values() for gain in values]
    print(f"all: mean {np.mean(every):+.3f}, worst {min(every):+.3f} dB")


def compare(path: Path, noise: str, given: argparse.Namespace) -> tuple[float, float, float, str]:
    """PSNR with bundled and adapted weights, the CPU seconds of adapting, and what it said."""
    with tempfile.TemporaryDirectory() as folder:
        clip, clean = middle(path, Path(folder), given)
        noisy = make_noisy(clip, noise, Path(folder), given.frames)
        scores, spent, said = [], [], ""
        for options in ([], ["--adapt", "--adapt-minutes", given.minutes]):
            out = Path(folder) / f"out{len(options)}.mkv"
            started = os.times().children_user
            done = subprocess.run(
                [sys.executable, "-m", "f2rcli", "denoise", str(noisy), "-o", str(out),
                 "--lossless", "--threads", given.threads, *options],
                check=True, capture_output=True, text=True,
                env={**os.environ, "XDG_CACHE_HOME": folder},
            )  # fmt: skip
            spent.append(os.times().children_user - started)
            said = next((line for line in done.stderr.splitlines() if "adapt:" in line), said)
            restored = read(out, given.frames)
            height, width = restored.shape[1:3]
            scores.append(psnr(restored, clean[: len(restored), :height, :width]))
        return *scores, spent[1] - spent[0], said.removeprefix("adapt: ").replace(folder, "")


def middle(path: Path, folder: Path, given: argparse.Namespace) -> tuple[Path, Clip]:
    """A clean clip and its frames; of their middle alone a file in the folder, by the same name."""
    clean = read(path, given.frames)
    if given.size is None:
        return path, clean
    sides = [min(given.size, n) // 16 * 16 for n in clean.shape[1:3]]
    top, left = ((n - side) // 2 for n, side in zip(clean.shape[1:3], sides, strict=True))
    clean = clean[:, top : top + sides[0], left : left + sides[1]]
    write(folder / path.name, clean)
    return folder / path.name, clean


if __name__ == "__main__":
    main()
