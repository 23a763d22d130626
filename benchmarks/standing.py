"""Rows and columns of a sensor that stay: how much of them is left in clips, and what is taken for
them in clips that have none. Nothing is denoised.

    python benchmarks/standing.py CLIP ... [--offsets 5 13] [--noise 2.5] [--frames 12]

Clips become gray, 8 bits, 400x600 pixels of their middle at most, with white noise, as they move
and as their first picture alone. Offsets and noise are standard deviations in codes. Printed: the
share of the offsets that is left, in percent (the root mean square of means of rows or columns,
without that of the frame), 100 where they are not found; and what is found in the same frames
without offsets, without any noise, and with noise that stays, which should be nothing.
"""

import argparse
from itertools import product
from pathlib import Path

import numpy as np
from noisy_clips import read
from numpy.typing import NDArray
from sensor_defects import KINDS, shown, stored, uneven

from f2rcli.engine.noise.lines import LineRemover, lines_of

Floats = NDArray[np.float64]

MOST = 400, 600
OPENING = 6  # frames, as `f2r denoise` looks at


def main() -> None:
    """Print a row for every clip."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--offsets", type=float, nargs="+", default=[5, 13])
    parser.add_argument("--noise", type=float, default=2.5)
    parser.add_argument("--frames", type=int, default=12)
    given = parser.parse_args()
    kinds = list(product(("columns", "rows"), given.offsets))
    print(f"| clip | frames |{''.join(f' {kind} {size:g} |' for kind, size in kinds)} without |")
    for path in given.clips:
        moving = _middle(read(path, given.frames).mean(-1) / 255)
        for name, clean in (("moving", moving), ("still", np.repeat(moving[:1], given.frames, 0))):
            rng = np.random.default_rng(1)
            noisy = clean + given.noise / 255 * rng.standard_normal(clean.shape)
            cells = [f"{100 * left(noisy, size / 255, kind, rng):.0f}" for kind, size in kinds]
            grain = clean + given.noise / 255 * rng.standard_normal(clean.shape[1:])
            found = [one for some in (noisy, clean, grain) for one in _found(some)]
            print(f"| {path.stem} | {name} | {' | '.join(cells)} | {len(found)} |", flush=True)


def left(noisy: Floats, sigma: float, kind: str, rng: np.random.Generator) -> float:
    """The share of offsets that is left."""
    along = 1 if kind == "columns" else 2
    size = noisy.shape[2] if along == 1 else noisy.shape[1]
    offsets = sigma * rng.standard_normal((1, 1, size) if along == 1 else (1, size, 1))
    plain, spoiled = (stored(KINDS["gray"], one) for one in (noisy, noisy + offsets))
    lines = lines_of(spoiled[:OPENING])
    done = spoiled if lines is None else LineRemover(lines).alone(spoiled)
    good, before, after = (shown(KINDS["gray"], one) for one in (plain, spoiled, done))
    return uneven(after - good, along) / uneven(before - good, along)


def _found(pictures: Floats) -> list[str]:
    lines = lines_of(stored(KINDS["gray"], pictures[:OPENING]))
    return [] if lines is None or not lines.standing else [lines.words()]


def _middle(pictures: Floats) -> Floats:
    top, start = (
        max(size - most, 0) // 2 for size, most in zip(pictures.shape[1:], MOST, strict=True)
    )
    return pictures[:, top : top + MOST[0], start : start + MOST[1]]


if __name__ == "__main__":
    main()
