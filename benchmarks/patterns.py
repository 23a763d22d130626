"""Drawn scenes that look like noise, for sigma.py: none of them was seen by what measures it.

*Walls* that repeat with a pitch of their own (lamps on which a picture moves, facades, shelves of
books, siding, shutters, corrugated iron, keyboards, screens whose rows or columns are dark by
turns), before a camera that stands, pans, shakes or comes nearer. *Sheets* (letters, tables, sheet
music, bar codes, bricks, keys) before a hand-held one. *Gratings* that flow takes for something
else: rings whose centre moves, a knit that sways, the colours of a plaid that pans. All in 4:2:0,
seven or eight frames.
"""

from collections.abc import Callable, Iterator
from itertools import product

import cv2
import numpy as np
from compression import Planes
from numpy.typing import NDArray

Real = NDArray[np.float64]


def scenes(groups: list[str], draws: int) -> Iterator[tuple[str, str, list[Planes]]]:
    """Group, name and clean frames of every scene; draws: of walls."""
    for draw in range(draws if "walls" in groups else 0):
        wall, motion = WALLS[draw % len(WALLS)], LOOKS[draw // len(WALLS) % len(LOOKS)]
        yield "walls", f"{wall.__name__} {motion}", wall_filmed(wall, motion, draw)
    for name, motion in product(SHEETS, MOTIONS) if "sheets" in groups else ():
        yield "sheets", f"{name} {motion}", sheet_filmed(SHEETS[name], motion)
    for grating in GRATINGS if "gratings" in groups else ():
        yield "gratings", grating.__name__, [grating_filmed(grating(t)) for t in range(8)]


def in_colour(luma: Real) -> Planes:
    """A gray picture in 4:2:0."""
    half = luma.shape[0] // 2, luma.shape[1] // 2
    return [luma, np.full(half, 128.0), np.full(half, 128.0)]


WALL, FRAMES, AROUND = (192, 256), 7, 20
LOOKS = ("still", "across", "down", "shake", "zoom", "diagonal")


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
    size = WALL[0] + 80, WALL[1] + 80
    soft = cv2.GaussianBlur(rng.standard_normal(size), (0, 0), 9)
    edges = cv2.GaussianBlur((rng.standard_normal(size) > 1.2).astype(float), (0, 0), 2)
    big = soft / soft.std() + edges / edges.std() / 2
    shown = []
    for time in range(FRAMES):
        move = np.array([[1, 0, -time * speed - 5], [0, 1, -time * 0.4 - 5]])
        shown.append((120 + 40 * cv2.warpAffine(big, move, (WALL[1], WALL[0]))).clip(5, 250))
    return shown


def lamps(wall: Wall, y: Real, x: Real, film: Real) -> Real:
    """Round, each of one tone of the picture."""
    v, u = wall.cells(y, x)
    row = ((np.floor(v) + 0.5 - wall.start[1]) * wall.down - AROUND).clip(0, WALL[0] - 1)
    column = ((np.floor(u) + 0.5 - wall.start[0]) * wall.across - AROUND).clip(0, WALL[1] - 1)
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


def wall_filmed(draw: Draw, motion: str, seed: int, finer: int = 3) -> list[Planes]:
    """Such a wall; `finer` samples a pixel and way."""
    rng = np.random.default_rng((0, seed))
    wall, (looks, away) = Wall(rng), camera(motion, rng)
    rows, columns = np.indices(WALL).astype(float)
    shown, steps = [], (np.arange(finer) + 0.5) / finer - 0.5
    for time, ((down, right), far) in enumerate(zip(looks, away, strict=True)):
        luma = np.zeros(WALL)
        for i, j in product(steps, steps):
            y = (rows + i - WALL[0] / 2) * far + WALL[0] / 2 + down + AROUND
            x = (columns + j - WALL[1] / 2) * far + WALL[1] / 2 + right + AROUND
            luma += draw(wall, y, x, wall.film[time]) / finer**2
        shown.append(in_colour(cv2.GaussianBlur(luma, (0, 0), 0.5).clip(16, 235)))
    return shown


SHEET, FINER, MARGIN = (288, 384), 4, 20
Sheet = NDArray[np.uint8]
Place = tuple[float, float, float, float]  # rows, columns, zoom, turn (degrees)

MOTIONS: dict[str, Callable[[int], Place]] = {
    "tremble": lambda t: (0.3 * np.cos(1.7 * t), 0.3 * np.sin(2.1 * t), 1, 0),
    "shake": lambda t: (1.2 * np.cos(1.7 * t), 1.2 * np.sin(2.1 * t), 1, 0),
    "pan": lambda t: (0.4 * t, 1.3 * t, 1, 0),
    "zoom": lambda t: (0, 0, 1 + 0.012 * t, 0),
    "turn": lambda t: (0, 0, 1, 0.4 * np.sin(1.3 * t)),
}


def sheet_filmed(draw: Callable[[Sheet, np.random.Generator], None], motion: str) -> list[Planes]:
    """A sheet, drawn FINER times as large and shown by area averaging, so that thin lines share
    their light among rows as they do on a sensor."""
    height, width = (FINER * (side + 2 * MARGIN) for side in SHEET)
    sheet = np.full((height, width), 230, np.uint8)
    draw(sheet, np.random.default_rng(5))
    soft = cv2.GaussianBlur(sheet.astype(np.float32) / 255, (0, 0), 1.8)
    shown = []
    for time in range(FRAMES):
        down, across, zoom, turn = MOTIONS[motion](time)
        move = cv2.getRotationMatrix2D((width / 2, height / 2), turn, zoom)
        move[:, 2] += np.array([FINER * across, FINER * down])
        moved = cv2.warpAffine(soft, move, (width, height), borderMode=cv2.BORDER_REFLECT)
        small = cv2.resize(moved, None, fx=1 / FINER, fy=1 / FINER, interpolation=cv2.INTER_AREA)
        shown.append(in_colour(np.rint(16 + 219.0 * small[MARGIN:-MARGIN, MARGIN:-MARGIN])))
    return shown


def letters(sheet: Sheet, rng: np.random.Generator) -> None:
    """Lines of words that nearly touch."""
    written(sheet, rng, 1.0, 36, 2)


def news(sheet: Sheet, rng: np.random.Generator) -> None:
    """Small letters in four columns."""
    for left in range(60, sheet.shape[1] - 400, 420):
        written(sheet[:, left : left + 380], rng, 0.8, 34, 1)


def written(sheet: Sheet, rng: np.random.Generator, size: float, apart: int, thick: int) -> None:
    """Fill with words of random letters."""
    font = cv2.FONT_HERSHEY_DUPLEX
    for row in range(apart, sheet.shape[0], apart):
        column = 8
        while column < sheet.shape[1]:
            word = "".join(chr(97 + letter) for letter in rng.integers(0, 26, rng.integers(2, 9)))
            part = np.ascontiguousarray(sheet)
            cv2.putText(part, word, (column, row), font, size, 30, thick, cv2.LINE_AA)
            sheet[:] = part
            column += cv2.getTextSize(word, font, size, thick)[0][0] + int(14 * size)


def table(sheet: Sheet, rng: np.random.Generator) -> None:
    """Ruled thinly, and filled in."""
    written(sheet, rng, 0.8, 44, 1)
    sheet[16::44], sheet[17::44], sheet[:, 60::200], sheet[:, 61::200] = 76, 76, 76, 76


def music(sheet: Sheet, rng: np.random.Generator) -> None:
    """Staves with notes."""
    for top in range(60, sheet.shape[0] - 100, 200):
        for line in range(5):
            sheet[top + 22 * line : top + 22 * line + 2] = 51
        for column in range(60, sheet.shape[1] - 60, 60):
            centre = column, top + int(rng.integers(0, 88))
            cv2.ellipse(sheet, centre, (13, 9), -20, 0, 360, 25, -1)


def barcode(sheet: Sheet, rng: np.random.Generator) -> None:
    """Bars across the whole sheet."""
    row = 60
    while row < sheet.shape[0] - 60:
        thick, gap = rng.integers(6, 30, 2)
        sheet[row : row + thick, 100:-100] = 25
        row += int(thick + gap)


def bricks(sheet: Sheet, rng: np.random.Generator) -> None:
    """A wall."""
    sheet[:] = 190
    for course, top in enumerate(range(0, sheet.shape[0], 40)):
        for left in range(-60 * (course % 2), sheet.shape[1], 120):
            shade = int(rng.integers(90, 115))
            cv2.rectangle(sheet, (left + 4, top + 4), (left + 114, top + 34), shade, -1)


def keyboard(sheet: Sheet, rng: np.random.Generator) -> None:
    """A keyboard."""
    sheet[:] = 38
    for top, left in product(range(10, sheet.shape[0], 110), range(10, sheet.shape[1], 100)):
        cv2.rectangle(sheet, (left, top), (left + 84, top + 92), 76, -1)
        name = chr(65 + rng.integers(26))
        cv2.putText(sheet, name, (left + 20, top + 60), cv2.FONT_HERSHEY_DUPLEX, 1.4, 230, 3)


SHEETS = {f.__name__: f for f in (letters, news, table, music, barcode, bricks, keyboard)}


ROWS, COLUMNS = np.indices((160, 256)).astype(np.float64)


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


def grating_filmed(planes: list[Real]) -> Planes:
    """As a file of 4:2:0 holds it, in whole codes."""
    luma, *colours = planes
    small = [cv2.resize(one, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for one in colours]
    return [np.rint(one) for one in (16 + luma * 219 / 255, *small)]


GRATINGS = moire, knit, plaid
