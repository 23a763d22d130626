"""The gain of adapting to a clip: quality with the bundled weights and with adapted ones.

    python benchmarks/adaptation.py CLIPS [--noise g30 pg corr30 h264] [--frames 16]
        [--only NAME] [--level full] [--threads 1]

Every noisy clip is denoised losslessly by `f2r denoise` without and with `--adapt`; PSNR against
the clean frames, over all pixels and channels of 8-bit RGB, mean over frames. Weights are
adapted anew for each clip (their cache is a temporary folder).
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from noisy_clips import clean_clips, make_noisy, read, score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("--noise", nargs="+", default=["g30", "pg", "corr30", "h264"])
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--only", nargs="+", default=[], help="parts of clips' names")
    parser.add_argument("--level", default="full")
    parser.add_argument("--threads", default="1")
    given = parser.parse_args()
    print("| clip | noise | bundled | adapted | gain | CPU s |\n|---|---|---|---|---|---|")
    gains: dict[str, list[float]] = {}
    for path in clean_clips(given.clips, *given.only):
        for noise in given.noise:
            before, after, seconds = compare(path, noise, given)
            gains.setdefault(noise, []).append(after - before)
            gain = f"{after - before:+.2f}"
            print(
                f"| {path.stem} | {noise} | {before:.2f} | {after:.2f} | {gain} | {seconds:.0f} |",
                flush=True,
            )
    for noise, values in gains.items():
        print(f"{noise}: mean {np.mean(values):+.3f}, worst {min(values):+.3f} dB")


def compare(path: Path, noise: str, given: argparse.Namespace) -> tuple[float, float, float]:
    """PSNR with bundled weights and adapted ones, and the CPU seconds that adapting took."""
    clean = read(path, given.frames)
    with tempfile.TemporaryDirectory() as folder:
        noisy = make_noisy(path, noise, Path(folder), given.frames)
        scores, spent = [], []
        for options in ([], ["--adapt", given.level]):
            out = Path(folder) / f"out{len(options)}.mkv"
            started = os.times().children_user
            subprocess.run(
                [sys.executable, "-m", "f2rcli", "denoise", str(noisy), "-o", str(out),
                 "--lossless", "--quiet", "--threads", given.threads, *options],
                check=True, env={**os.environ, "XDG_CACHE_HOME": folder},
            )  # fmt: skip
            spent.append(os.times().children_user - started)
            done = read(out, given.frames)
            height, width = done.shape[1:3]
            cut = clean[: len(done), :height, :width]
            scores.append(score(done, cut).psnr)
        return scores[0], scores[1], spent[1] - spent[0]


if __name__ == "__main__":
    main()
