"""Every command and picture of docs/walkthrough.md, from the files beside this script.

python examples/walkthrough.py PICTURES [--only stack|raw] [--adapt]

Runs the commands one after another and prints what they say; PICTURES, a folder, gets the pictures.
`--adapt` also fits weights to the stack (minutes).
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import tifffile
from denoise_stack import draw, largest_drift
from numpy.typing import NDArray

HERE = Path(__file__).parent
STACK, BURST = HERE / "calcium_noisy.tif", HERE / "raw_burst"
INK, BEFORE, AFTER = (60, 60, 60), (190, 190, 190), (30, 90, 220)  # BGR
CROP, ZOOM = 100, 3  # pixels per side of the developed burst's part, and how large it is shown


def f2r(*arguments: object) -> None:
    """Run a command as a shell would, and show it."""
    words = [str(argument) for argument in arguments]
    print(f"\n$ f2r {' '.join(words)}", flush=True)
    subprocess.run([sys.executable, "-m", "f2rcli", *words], check=True)


def stack(work: Path, pictures: Path, *, adapt: bool) -> None:
    """The microscopy stack: looked at, denoised, checked."""
    clean = work / "clean.tif"
    f2r("info", STACK)
    f2r("denoise", STACK, "-o", clean, *(["--adapt"] if adapt else []))
    draw(str(STACK), str(clean), str(pictures / "walkthrough_stack.png"))
    before, after = (tifffile.imread(path).astype(float) for path in (STACK, clean))
    print(f"mean of a frame moved by at most {largest_drift(before, after):.3%}")
    row, column = brightest(after)
    parts = [s[:, row - 2 : row + 3, column - 2 : column + 3].mean((1, 2)) for s in (before, after)]
    print(f"5x5 pixels around row {row}, column {column}: frame by frame, their mean")
    cv2.imwrite(str(pictures / "walkthrough_trace.png"), plotted(*parts))


def brightest(movie: NDArray[np.float64]) -> tuple[int, int]:
    """Row and column, off the border, where a movie (T, H, W) changes most over time."""
    change = cv2.blur(movie.std(0), (5, 5))[4:-4, 4:-4]
    row, column = np.unravel_index(change.argmax(), change.shape)
    return int(row) + 4, int(column) + 4


def plotted(before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Two curves over frames on one scale, gray dots and a line, (H, W, 3) BGR codes."""
    height, width, left, edge = 220, 864, 60, 24
    canvas = np.full((height, width, 3), 255, np.uint8)
    low, high = min(before.min(), after.min()), max(before.max(), after.max())

    def places(values: NDArray[np.float64]) -> NDArray[np.int32]:
        x = np.linspace(left, width - edge, len(values))
        y = height - edge - (values - low) / (high - low) * (height - 2 * edge)
        return np.rint(np.stack([x, y], 1)).astype(np.int32)

    for value in (low, high):
        at = int(height - edge - (value - low) / (high - low) * (height - 2 * edge))
        cv2.putText(canvas, f"{value:.0f}", (8, at + 4), 0, 0.42, INK, 1, cv2.LINE_AA)
    cv2.polylines(canvas, [places(before)], False, BEFORE, 1, cv2.LINE_AA)
    for x, y in places(before):
        cv2.circle(canvas, (int(x), int(y)), 4, BEFORE, -1, cv2.LINE_AA)
    cv2.polylines(canvas, [places(after)], False, AFTER, 2, cv2.LINE_AA)
    return canvas


def raw(work: Path, pictures: Path) -> None:
    """The raw burst: denoised as mosaics, then developed twice in the same way."""
    f2r("info", BURST)
    f2r("denoise", BURST, "-o", work / "burst")
    developed = []
    for name, source in (("before", BURST), ("after", work / "burst")):
        target = work / f"{name}.tif"
        f2r("denoise", source, "-o", target, "--format", "developed", "--strength", "0", "-q")
        movie = tifffile.imread(target)
        developed.append(movie[len(movie) // 2].astype(np.float64))
    white = np.percentile(developed[0], 99.5)
    top, side = (int((size - CROP) // 2) for size in developed[0].shape[:2])
    parts = [picture[top : top + CROP, side : side + CROP] / white for picture in developed]
    codes = np.rint(255 * np.clip(np.hstack(parts), 0, 1)).astype(np.uint8)[..., ::-1]
    shown = cv2.resize(codes, None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_NEAREST)
    cv2.imwrite(str(pictures / "walkthrough_raw.png"), shown)


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--only", choices=["stack", "raw"])
    parser.add_argument("--adapt", action="store_true")
    given = parser.parse_args()
    given.pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        if given.only != "raw":
            stack(Path(folder), given.pictures, adapt=given.adapt)
        if given.only != "stack":
            raw(Path(folder), given.pictures)


if __name__ == "__main__":
    main()
