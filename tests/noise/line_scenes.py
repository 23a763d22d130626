"""Small moving scenes with known offsets of rows and columns, and what looks like them."""

from collections.abc import Callable

import cv2
import numpy as np

SIZE = 96, 144
COUNT = 6


def scene(count: int = COUNT, speed: tuple[int, int] = (1, 2), seed: int = 7) -> np.ndarray:
    """A soft picture with edges that pans by `speed` (rows, columns) a frame: (T, H, W), 0..1."""
    rng = np.random.default_rng(seed)
    big = SIZE[0] + count * abs(speed[0]), SIZE[1] + count * abs(speed[1])
    field = cv2.GaussianBlur(rng.normal(0, 1, big).astype(np.float32), (0, 0), 4)
    field = 0.5 + 0.12 * field / field.std()
    field[big[0] // 3 : big[0] // 2, big[1] // 4 : big[1] // 2] += 0.2
    return np.stack(
        [
            field[t * speed[0] :, t * speed[1] :][: SIZE[0], : SIZE[1]]
            for t in range(count)
        ]
    )  # fmt: skip


def white(sigma8: float, count: int = COUNT, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sigma8 / 255, (count, *SIZE))


def row_offsets(sigma8: float, count: int = COUNT, seed: int = 2) -> np.ndarray:
    """(T, H, 1): new in every frame."""
    return np.random.default_rng(seed).normal(0, sigma8 / 255, (count, SIZE[0], 1))


def column_offsets(sigma8: float, seed: int = 3) -> np.ndarray:
    """(1, 1, W): the same in every frame."""
    return np.random.default_rng(seed).normal(0, sigma8 / 255, (1, 1, SIZE[1]))


ROWS, COLUMNS = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)


def blinds(period: float, places: np.ndarray) -> np.ndarray:
    """Slats before a room that stays."""
    waves = np.cos(2 * np.pi * (ROWS + places[:, None, None]) / period)
    slats = 1 / (1 + np.exp(-8 * waves))
    return np.asarray(0.6 * scene(speed=(0, 0)) * (1 - slats) + slats * 0.75)


def shelves() -> np.ndarray:
    """Boards before the same room, no two as thick, that slide by."""
    edges = np.sort(np.random.default_rng(8).uniform(0, 150, 55))
    places = 30 + ROWS[:, 0] + 0.7 * np.arange(COUNT)[:, None]
    boards = np.searchsorted(edges, places) % 2 == 0
    return np.where(boards[..., None], 0.75, 0.6 * scene(speed=(0, 0)))


def knitwear() -> np.ndarray:
    """Stitches of seven by six pixels, moved by a row a frame."""
    rows = ROWS + np.arange(COUNT)[:, None, None]
    stitch = np.cos(2 * np.pi * (rows + 2 * np.abs(COLUMNS % 7 - 3.5)) / 6)
    light = 0.08 * np.sin(COLUMNS / 50 + rows / 70)
    return np.asarray(0.5 + 0.14 * np.cos(2 * np.pi * COLUMNS / 7) * stitch + light)


def strobe() -> np.ndarray:
    """Every other frame is dark."""
    return scene(speed=(0, 0)) * np.where(np.arange(COUNT) % 2, 0.3, 1.0)[:, None, None]


def posts() -> np.ndarray:
    """Posts that pass before a still scene."""
    near = np.isin(COLUMNS[0] + 3 * np.arange(COUNT)[:, None, None], np.arange(9, 250, 23))
    return np.where(near, 0.1, scene(speed=(0, 0)))


# What is no line of a sensor: each made of COUNT frames.
SCENES: dict[str, Callable[[], np.ndarray]] = {
    "nothing": lambda: scene(),
    "blinds": lambda: blinds(9, 0.5 * np.arange(COUNT)),
    "fine blinds": lambda: blinds(4.5, 0.3 * np.arange(COUNT)),
    "blinds that sway": lambda: blinds(9, 2 * np.sin(1.3 * np.arange(COUNT))),
    "shelves": shelves,
    "knitwear": knitwear,
    "wall of lamps": lambda: np.where((COLUMNS % 4 < 3) & (ROWS % 4 < 3), scene(), 0.07),
    "strobe": strobe,
    "posts": posts,
    "fence": lambda: 0.5 + 0.3 * (COLUMNS % 9 < 3) + 0 * scene(),
    "layers": lambda: scene(speed=(0, 0)) + cv2.GaussianBlur(row_offsets(26, 1)[0], (0, 0), 1),
    "text": lambda: scene(speed=(0, 0)) + 0.4 * (np.indices(SIZE).sum(0) % 7 < 2) * (COLUMNS > 70),
}
