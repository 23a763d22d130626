"""How much of the colour variation of still things is left: of grass, leaves, cloth.

    python benchmarks/still_colour.py CLIPS [--models full lite] [--frames 12] [--chroma 8]

CLIPS is a folder of clean clips (MKV). The middle of each gets white noise, of sigma 6 in luma and
8 in Cb and Cr, and is denoised. Printed: the standard deviation of Cb and Cr within patches of
16x16 samples from the fifth frame on, over the clean one: median and least tenth of patches that
stand still (luma changes by less than 2 codes a frame) and vary by 2 to 9 codes themselves.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # clips are written by the tests

import f2rcli
from tests.fidelity import footage

SIDE = 16  # of a patch, in samples of chroma
Planes = list[NDArray[np.float64]]  # (T, H, W): Y, Cb, Cr of a clip


def main() -> None:
    """Print a row for every clip."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("--models", nargs="+", default=["full", "lite"])
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--chroma", type=float, default=8.0)
    given = parser.parse_args()
    print("| clip | patches |", " | ".join(given.models), "|")
    for path in sorted(given.clips.glob("*.mkv")):
        clean = footage.cut(footage.read(path, given.frames), 240, 320)
        cells = []
        with tempfile.TemporaryDirectory() as folder:
            noisy = footage.noisy(clean, (6.0, given.chroma, given.chroma), seed=0)
            source = footage.write(Path(folder) / "noisy.mkv", noisy)
            for model in given.models:
                done = f2rcli.denoise(str(source), f"{folder}/{model}.mkv", model=model)
                left = kept(footage.stacked(clean), footage.stacked(footage.read(Path(done))))
                cells.append(f"{np.median(left):.2f}, {np.quantile(left, 0.1):.2f}" if left else "")
        print(f"| {path.stem} | {len(left)} |", " | ".join(cells), "|", flush=True)


def kept(clean: Planes, done: Planes) -> list[float]:
    """What is left of the standard deviation in each still patch."""
    moves, found = np.abs(np.diff(clean[0], axis=0)).mean(0), []
    for own, other in zip(clean[1:], done[1:], strict=True):
        for top, left in np.ndindex(*(n // SIDE for n in own.shape[1:])):
            rows, columns = (slice(SIDE * n, SIDE * (n + 1)) for n in (top, left))
            luma = moves[2 * rows.start : 2 * rows.stop, 2 * columns.start : 2 * columns.stop]
            before, after = (x[4:, rows, columns].std((1, 2)).mean() for x in (own, other))
            if luma.mean() < 2 and 2 < before < 9:
                found.append(float(after / before))
    return found


if __name__ == "__main__":
    main()
