"""What looks like lines of a sensor and is the scene: blinds, knitwear, walls of lamps."""

import cv2
import numpy as np
import pytest

from f2rcli.noise.measurement.blocks import FramePlanes
from f2rcli.noise.measurement.lines import Lines, find_lines

SIZE = 144, 192
COUNT = 6
ROWS, COLUMNS = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)


def found(pictures: np.ndarray, sigma8: float) -> Lines | None:
    """Of pictures (T, H, W), 0..1, with noise in them."""
    noisy = pictures + np.random.default_rng(1).normal(0, sigma8 / 255, pictures.shape)
    codes = np.rint(np.clip(noisy, 0, 1) * 255).astype(np.float32) / 255
    frames = [FramePlanes([one], one) for one in codes]
    return find_lines(frames, [True] * (COUNT - 1), [(0,)])


def film(step: tuple[int, int] = (0, 0)) -> np.ndarray:
    """A soft picture that pans by so many rows and columns a frame."""
    big = SIZE[0] + COUNT * step[0], SIZE[1] + COUNT * step[1]
    soft = cv2.GaussianBlur(np.random.default_rng(11).normal(0, 1, big), (0, 0), 8)
    soft = 0.5 + 0.18 * soft / soft.std()
    soft[big[0] // 3 : big[0] // 2, big[1] // 4 : big[1] // 2] += 0.2
    moved = [soft[t * step[0] :, t * step[1] :][: SIZE[0], : SIZE[1]] for t in range(COUNT)]
    return np.asarray(np.stack(moved).clip(0.08, 0.9))


def blinds(period: float, places: np.ndarray) -> np.ndarray:
    """Slats before a room that stays."""
    waves = np.cos(2 * np.pi * (ROWS + places[:, None, None]) / period)
    slats = 1 / (1 + np.exp(-8 * waves))
    return np.asarray(0.6 * film() * (1 - slats) + slats * 0.75)


def shelves() -> np.ndarray:
    """Boards before the same room, no two as thick, that slide by."""
    edges = np.sort(np.random.default_rng(8).uniform(0, 220, 80))
    places = 30 + ROWS[:, 0] + 0.7 * np.arange(COUNT)[:, None]
    boards = np.searchsorted(edges, places) % 2 == 0
    return np.where(boards[..., None], 0.75, 0.6 * film())


def knitwear() -> np.ndarray:
    """Stitches of seven by six pixels, moved by a row a frame."""
    rows, columns = np.mgrid[:192, :256].astype(float)
    rows = rows + np.arange(COUNT)[:, None, None]
    stitch = np.cos(2 * np.pi * (rows + 2 * np.abs(columns % 7 - 3.5)) / 6)
    light = 0.08 * np.sin(columns / 50 + rows / 70)
    return np.asarray(0.5 + 0.14 * np.cos(2 * np.pi * columns / 7) * stitch + light)


def wall_of_lamps() -> np.ndarray:
    """Film on lamps of three pixels with dark lines between them."""
    return np.where((COLUMNS % 4 < 3) & (ROWS % 4 < 3), film((1, 2)), 0.07)


SCENES = {
    "blinds": lambda: blinds(9, 0.5 * np.arange(COUNT)),
    "fine blinds": lambda: blinds(4.5, 0.3 * np.arange(COUNT)),
    "blinds that sway": lambda: blinds(9, 2 * np.sin(1.3 * np.arange(COUNT))),
    "shelves": shelves,
    "knitwear": knitwear,
    "wall of lamps": wall_of_lamps,
}


@pytest.mark.parametrize("name", SCENES)
def test_stripes_of_a_scene_are_no_lines_of_its_sensor(name: str) -> None:
    assert found(SCENES[name](), 2) is None


@pytest.mark.parametrize("kind", ["rows", "columns"])
def test_lines_of_the_sensor_are_still_found(kind: str) -> None:
    """The same film without stripes."""
    rng = np.random.default_rng(5)
    shape = (COUNT, SIZE[0], 1) if kind == "rows" else (1, 1, SIZE[1])
    lines = found(film((1, 2)) + rng.normal(0, 4 / 255, shape), 2)
    assert lines is not None
    assert 255 * lines.strongest(kind) == pytest.approx(4, rel=0.25)
