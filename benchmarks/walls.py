"""What f2r takes for line noise in walls that repeat: clean ones have none.

    python benchmarks/walls.py [--draws 120] [--seed 0] [--sigma 0]

Walls of lamps on which a picture moves, facades, shelves of books, siding, shutters, corrugated
iron, keyboards, and screens whose rows or columns are dark by turns, each with a pitch of its own
(2 to 14 pixels), stand still or are filmed by a camera that pans, shakes or comes nearer: 7 frames
of 256x192. Printed for every draw in which lines were found: these, and the PSNR of luma against
the clean clip, of the input and of the output; then their number.
"""

import argparse
import tempfile
from collections.abc import Callable
from itertools import product
from pathlib import Path

import cv2
import numpy as np
from compression import Codec, Planes, denoised, encoded
from numpy.typing import NDArray
from sheets import psnr

from f2rcli.engine.rows import lines_of
from f2rcli.io import open_reader

HEIGHT, WIDTH, FRAMES, FINER, AROUND = 192, 256, 7, 3, 20
Real = NDArray[np.float64]
ROWS, COLUMNS = np.indices((HEIGHT, WIDTH)).astype(float)

MOTIONS = ("still", "across", "down", "shake", "zoom", "diagonal")


class Wall:
    """What one draw shows, in codes: its pitch, its tones, and a picture that moves on it."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.down = rng.uniform(2, 14)
        self.across = self.down if rng.random() < 0.6 else rng.uniform(2, 14)
        self.open = rng.uniform(0.2, 0.7)  # share of a cell
        self.start = rng.uniform(0, 9, 2)
        self.tones = rng.uniform(40, 220, 400)
        self.windows = rng.uniform(40, 220, (200, 200))
        self.film = _film(rng.uniform(0, 4), rng)

    def cells(self, y: Real, x: Real) -> tuple[Real, Real]:
        """Places in units of the pitch."""
        return y / self.down + self.start[1], x / self.across + self.start[0]


def _film(speed: float, rng: np.random.Generator) -> list[Real]:
    size = HEIGHT + 80, WIDTH + 80
    soft = cv2.GaussianBlur(rng.standard_normal(size), (0, 0), 9)
    edges = cv2.GaussianBlur((rng.standard_normal(size) > 1.2).astype(float), (0, 0), 2)
    big = soft / soft.std() + edges / edges.std() / 2
    shown = []
    for time in range(FRAMES):
        move = np.array([[1, 0, -time * speed - 5], [0, 1, -time * 0.4 - 5]])
        shown.append((120 + 40 * cv2.warpAffine(big, move, (WIDTH, HEIGHT))).clip(5, 250))
    return shown


def lamps(wall: Wall, y: Real, x: Real, film: Real) -> Real:
    """Round, each of one tone of the picture."""
    v, u = wall.cells(y, x)
    row = ((np.floor(v) + 0.5 - wall.start[1]) * wall.down - AROUND).clip(0, HEIGHT - 1)
    column = ((np.floor(u) + 0.5 - wall.start[0]) * wall.across - AROUND).clip(0, WIDTH - 1)
    lit = np.square(u % 1 - 0.5) + np.square(v % 1 - 0.5) < wall.open**2
    return 16 + lit * film[row.astype(int), column.astype(int)]


def facade(wall: Wall, y: Real, x: Real, film: Real) -> Real:
    """Windows, each as bright as its room."""
    v, u = wall.cells(y, x)
    tones = wall.windows[np.floor(v).astype(int) % 200, np.floor(u).astype(int) % 200]
    return np.where((u % 1 < wall.open) & (v % 1 < wall.open + 0.2), tones, 130)


def slats(wall: Wall, y: Real, x: Real, film: Real) -> Real:
    """A shutter that mirrors a little of what passes."""
    v, _ = wall.cells(y, x)
    return 60 + 120 * (v % 1 < wall.open) + 0.3 * (film - 120)


def keys(wall: Wall, y: Real, x: Real, film: Real) -> Real:
    """Of unlike brightness, with gaps between them."""
    v, u = wall.cells(y, x)
    tones = wall.windows[np.floor(v).astype(int) % 200, np.floor(u).astype(int) % 200]
    return np.where((u % 1 > 0.15) & (v % 1 > 0.15), 90 + 0.6 * (tones - 90), 40)


def boards(wall: Wall, y: Real, x: Real, film: Real) -> Real:
    """Siding."""
    v, _ = wall.cells(y, x)
    return wall.tones[np.floor(v).astype(int) % 400] + 20 * np.sin(x / 9 + np.floor(v))


def books(wall: Wall, y: Real, x: Real, film: Real) -> Real:
    """On a shelf."""
    _, u = wall.cells(y, x)
    return wall.tones[np.floor(u).astype(int) % 400] + 20 * np.sin(y / 9 + np.floor(u))


def stripes(wall: Wall, y: Real, x: Real, film: Real) -> Real:
    """Upright, under light that passes."""
    _, u = wall.cells(y, x)
    return wall.tones[np.floor(u).astype(int) % 400] * film / 140


def iron(wall: Wall, y: Real, x: Real, film: Real) -> Real:
    """Corrugated."""
    _, u = wall.cells(y, x)
    return 130 + 60 * np.cos(2 * np.pi * u) + 0.4 * (film - 120)


def scanned(wall: Wall, y: Real, x: Real, film: Real) -> Real:
    """A screen whose rows are dark by turns."""
    v, _ = wall.cells(y, x)
    return film * (0.55 + 0.45 * (np.floor(2 * v) % 2))


def grille(wall: Wall, y: Real, x: Real, film: Real) -> Real:
    """A screen whose columns are."""
    _, u = wall.cells(y, x)
    return film * (0.6 + 0.4 * (np.floor(2 * u) % 2))


Draw = Callable[[Wall, Real, Real, Real], Real]
WALLS: tuple[Draw, ...] = (
    lamps, facade, stripes, books, boards, slats, iron, keys, scanned, grille,
)  # fmt: skip


def camera(motion: str, rng: np.random.Generator) -> tuple[Real, Real]:
    """Where it looks in each frame (rows, columns), and how far away."""
    time, speed = np.arange(FRAMES, dtype=float), rng.uniform(0.3, 3)
    ways = {"across": (0, speed), "down": (speed, 0), "diagonal": (0.6 * speed, speed)}
    away = 1 + 0.004 * rng.uniform(0.5, 3) * time if motion == "zoom" else np.ones(FRAMES)
    if motion == "shake":
        return rng.normal(0, rng.choice([0.3, 0.8, 1.5]), (FRAMES, 2)), away
    return time[:, None] * ways.get(motion, (0, 0)), away


def filmed(draw: Draw, motion: str, sigma: float, rng: np.random.Generator) -> list[Planes]:
    """Such a wall, in 4:2:0, with noise in all planes; FINER samples a pixel and way."""
    wall, (looks, away) = Wall(rng), camera(motion, rng)
    shown, steps = [], (np.arange(FINER) + 0.5) / FINER - 0.5
    for time, ((down, right), far) in enumerate(zip(looks, away, strict=True)):
        luma = np.zeros((HEIGHT, WIDTH))
        for i, j in product(steps, steps):
            y = (ROWS + i - HEIGHT / 2) * far + HEIGHT / 2 + down + AROUND
            x = (COLUMNS + j - WIDTH / 2) * far + WIDTH / 2 + right + AROUND
            luma += draw(wall, y, x, wall.film[time]) / FINER**2
        planes = [cv2.GaussianBlur(luma, (0, 0), 0.5).clip(16, 235)]
        planes += [np.full((HEIGHT // 2, WIDTH // 2), 128.0)] * 2
        shown.append([plane + rng.normal(0, sigma, plane.shape) for plane in planes])
    return shown


def main() -> None:
    """Print a row for every draw in which lines were found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--draws", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sigma", type=float, default=0.0)
    given = parser.parse_args()
    print("| draw | wall | motion | found | in | out |\n|---|---|---|---|---|---|")
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wall.mkv"
        for draw in range(given.draws):
            wall, motion = WALLS[draw % len(WALLS)], MOTIONS[draw // len(WALLS) % len(MOTIONS)]
            noisy, clean = (
                filmed(wall, motion, sigma, np.random.default_rng((given.seed, draw)))
                for sigma in (given.sigma, 0)
            )
            before = encoded([[p.clip(1, 254) for p in f] for f in noisy], Codec("ffv1", {}), path)
            with open_reader(path) as reader:
                lines = lines_of(list(reader))
            if lines is None:
                continue
            count += 1
            after, _ = denoised(path)
            row = f"{draw} | {wall.__name__} | {motion} | {lines.words()}"
            print(f"| {row} | {psnr(before, clean):.1f} | {psnr(after, clean):.1f} |", flush=True)
    print(f"lines in {count} of {given.draws}")


if __name__ == "__main__":
    main()
