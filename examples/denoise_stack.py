"""Denoise a microscopy stack from Python and look at it: the noise in the file's own units, and a
picture of before, after and what was taken out.

python examples/denoise_stack.py examples/calcium_noisy.tif clean.tif look.png
"""

import sys

import cv2
import numpy as np
import tifffile

import f2rcli


def main(source: str, target: str, picture: str) -> None:
    """Denoise `source` into `target`, lane by lane; draw the middle frame into `picture`."""
    _, report = f2rcli.denoise(source, target, return_report=True)
    print(f"lanes: {len(report.noise)}, {report.frames} frames in all")
    for noise in report.noise:
        print(noise)
        for gain, offset in zip(noise.gain, noise.offset, strict=True):
            print(f"{gain:.2f} codes per photo-electron, no light at code {offset:.1f}")
    draw(source, target, picture)


def draw(source: str, target: str, picture: str) -> None:
    """Before | after | difference of the first lane's middle frame, three times as large."""
    before, after = (tifffile.imread(path).astype(float) for path in (source, target))
    print(f"largest change of a frame's mean: {largest_drift(before, after):.3%}")
    middle = len(before) // 2
    low, high = np.percentile(before[middle], (1, 99.8))
    shown = [(stack[middle] - low) / (high - low) for stack in (before, after)]
    row = np.hstack([*shown, shown[0] - shown[1] + 0.5])
    codes = np.rint(255 * np.clip(row, 0, 1)).astype(np.uint8)
    cv2.imwrite(picture, cv2.resize(codes, None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST))


def largest_drift(before: np.ndarray, after: np.ndarray) -> float:  # type: ignore[type-arg]
    """How far the mean of any frame moved, as a share of it."""
    return float(np.abs(after.mean((1, 2)) / before.mean((1, 2)) - 1).max())


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:4])
