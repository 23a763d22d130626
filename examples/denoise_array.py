"""Denoise an array from a notebook or a plug-in: options, progress, a way out, and a report.

python examples/denoise_array.py examples/calcium_noisy.tif
"""

import sys
import threading

import numpy as np
import tifffile

import f2rcli


def main(path: str) -> None:
    """Denoise a stack that lies in memory; look at one pixel's noise before and after."""
    movie = tifffile.imread(path)  # (T, H, W) uint16
    stop = threading.Event()  # a button of yours sets it; the run then raises CancelledError
    clean, report = f2rcli.denoise(
        movie,
        axes="TYX",
        progress=lambda done, total: print(f"\r{done} of {total} frames", end=""),
        cancel=stop.is_set,
        return_report=True,
    )
    print()
    print(report)
    for noise in report.noise:  # one entry per lane, in the units of the array
        for value in np.percentile(movie, (10, 50, 99)):
            print(f"around {value:.0f}: noise of {noise.at(value):.1f}")
    print(f"{clean.dtype} {clean.shape}, mean {movie.mean():.2f} -> {clean.mean():.2f}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1])
