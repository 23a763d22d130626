"""What f2r makes of patterns that flow takes for something else: clean ones may not change.

    python benchmarks/gratings.py [--patterns moire knit ...] [--sigmas 0 3] [--frames 8]

Rings of two and a half pixels whose centre moves, a knit that sways and the colours of a plaid that
pans, drawn at 256x160. Printed for each pattern, with noise of every sigma: sigma of R, G and B
as f2r tells it, and PSNR of luma, Cb and Cr against the clean clip, of the input and of
the output (78: the same).
"""

import argparse
import tempfile
from collections.abc import Callable
from itertools import product
from pathlib import Path

import cv2
import numpy as np
from compression import Codec, Planes, denoised, encoded, psnr
from numpy.typing import NDArray

ROWS, COLUMNS = np.indices((160, 256)).astype(np.float64)
Real = NDArray[np.float64]


def moire(time: int) -> list[Real]:
    """Luma and both colours, of 0 to 255."""
    return [128 + 90 * np.sin(2.5 * np.hypot(COLUMNS - 100 - 1.1 * time, ROWS - 80)), *gray()]


def knit(time: int) -> list[Real]:
    across = COLUMNS + 2 * np.sin(ROWS / 30 + 0.5 * time)
    down = ROWS + 2 * np.cos(COLUMNS / 25 + 0.4 * time)
    stitch = np.sin(down * np.pi / 2 + np.abs(across % 5 - 2.5))
    return [105 + 50 * np.sin(across * 2 * np.pi / 5) * stitch, *gray()]


def plaid(time: int) -> list[Real]:
    across, down = COLUMNS + 1.1 * time, ROWS - 0.7 * time
    cross, along = np.sin(across * 2 * np.pi / 5.3), np.sin(down * 2 * np.pi / 6.7)
    return [120 + 40 * cross + 30 * along, 128 + 40 * cross, 128 + 40 * along]


def gray() -> list[Real]:
    """No colours."""
    return [np.full(ROWS.shape, 128.0)] * 2


PATTERNS: dict[str, Callable[[int], list[Real]]] = {f.__name__: f for f in (moire, knit, plaid)}


def main() -> None:
    """Print a row for every pattern and sigma."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--patterns", nargs="+", choices=PATTERNS, default=list(PATTERNS))
    parser.add_argument("--sigmas", nargs="+", type=float, default=[0.0, 3.0])
    parser.add_argument("--frames", type=int, default=8)
    given = parser.parse_args()
    print("| pattern | sigma | found | in | out |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, sigma in product(given.patterns, given.sigmas):
            clean = [filmed(PATTERNS[name](time)) for time in range(given.frames)]
            print(f"| {name} | {sigma:g} | {row(clean, sigma, Path(folder))} |", flush=True)


def filmed(planes: list[Real]) -> Planes:
    """As a file of 4:2:0 holds it, in whole codes."""
    luma, *colours = planes
    small = [cv2.resize(one, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for one in colours]
    return [np.rint(one) for one in (16 + luma * 219 / 255, *small)]


def row(clean: list[Planes], sigma: float, folder: Path) -> str:
    """Sigmas, and PSNR before and after, as cells of a table."""
    rng = np.random.default_rng(1)
    given = [[(p + rng.normal(0, sigma, p.shape)).clip(1, 254) for p in f] for f in clean]
    path = folder / "pattern.mkv"
    before = encoded(given, Codec("ffv1", {}), path)
    after, engine = denoised(path)
    found = () if engine.noise is None else engine.noise.sigma8
    cells = (found, psnr(before, clean), psnr(after, clean))
    return " | ".join(", ".join(f"{value:.1f}" for value in cell) for cell in cells)


if __name__ == "__main__":
    main()
