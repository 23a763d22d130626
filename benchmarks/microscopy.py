"""Restored stacks against a clean one, beside simple filters: the table in docs/microscopy.md.

python benchmarks/microscopy.py NOISY.tif CLEAN.tif [--scale 8] [RESTORED.tif ...]

The peak is the 99.9th percentile minus the minimum of the clean stack. The median difference is
subtracted first, since a camera's offset is not an error. The Gaussian filter is the best of a
grid, chosen with the clean stack: an upper bound.
"""

import argparse

import numpy as np
import tifffile
from scipy.ndimage import uniform_filter1d
from simulated import best_gaussian, psnr


def main() -> None:
    """Print a row for each stack and filter."""
    parser = argparse.ArgumentParser()
    parser.add_argument("noisy")
    parser.add_argument("clean")
    parser.add_argument("restored", nargs="*")
    parser.add_argument("--scale", type=float, default=8, help="of the clean stack's codes")
    given = parser.parse_args()
    noisy = tifffile.imread(given.noisy).astype(np.float64)
    clean = tifffile.imread(given.clean).astype(np.float64) / given.scale

    def row(name: str, stack: np.ndarray) -> None:  # type: ignore[type-arg]
        drift = np.abs(stack.mean((1, 2)) / noisy.mean((1, 2)) - 1).max()
        reached = psnr(stack - np.median(stack - clean), clean)
        print(f"{name:40} {reached:6.2f} dB   mean of a frame moved {drift:.3%}")

    row("noisy", noisy)
    row("mean of 5 frames", uniform_filter1d(noisy, 5, axis=0))
    row(
        "best 3-D Gaussian, picked by the truth",
        best_gaussian(noisy, clean + noisy.mean() - clean.mean()),
    )
    for path in given.restored:
        row(path, tifffile.imread(path).astype(np.float64))


if __name__ == "__main__":
    main()
