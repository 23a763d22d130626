"""Pictures of a training run: the held-out curve, and crops before and after."""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.errors import OutputError

Picture = NDArray[np.float32]  # (H, W, C), 0 = black, 1 = white; C is 1 or 3 (RGB)
Canvas = NDArray[np.uint8]  # (H, W, 3), BGR as OpenCV has it
Place = tuple[int, int]  # row, column of a crop's upper left corner

WIDTH, HEIGHT = 880, 440
LEFT, RIGHT, TOP, BOTTOM = 96, 28, 44, 64  # margins around the axes, pixels
PAPER, INK, GRID, LINE, MARK = (
    (255, 255, 255), (60, 60, 60), (225, 225, 225), (168, 96, 24), (40, 40, 200),
)  # fmt: skip
FONT = cv2.FONT_HERSHEY_SIMPLEX
CROP = 128  # pixels per side
ZOOM = 2
GAP, HEADING = 6, 26  # pixels between pictures, and above them


def draw_curve(
    curve: Sequence[tuple[int, float]], path: Path, *, start: float | None, title: str
) -> Path:
    """A figure that should rise over the steps, as a PNG; the start is a dashed line.

    curve: (step, figure) in order; what is not finite is left out. Raises OutputError.
    """
    points = [(float(step), level) for step, level in curve if math.isfinite(level)]
    levels = [level for _, level in points] + ([] if start is None else [start])
    canvas: Canvas = np.full((HEIGHT, WIDTH, 3), PAPER, np.uint8)
    place = _Scale(
        _axis(0.0, max([step for step, _ in points], default=1.0)),
        _axis(min(levels, default=0.0), max(levels, default=1.0)),
    )
    _grid(canvas, place, title)
    if start is not None:
        _dashes(canvas, place.row(start))
        _text(canvas, "start", (WIDTH - RIGHT - 44, place.row(start) - 6), size=0.42)
    dots = [(place.column(step), place.row(level)) for step, level in points]
    for a, b in pairwise(dots):
        cv2.line(canvas, a, b, LINE, 2, cv2.LINE_AA)
    for dot in dots:
        cv2.circle(canvas, dot, 3, LINE, -1, cv2.LINE_AA)
    if points:
        step, level = max(points, key=lambda point: point[1])
        cv2.circle(canvas, (place.column(step), place.row(level)), 7, MARK, 2, cv2.LINE_AA)
        _text(canvas, f"best: {level:.5g} at step {step:.0f}", (LEFT, 28), colour=MARK)
    return write_png(path, canvas)


def write_crops(
    noisy: Picture, before: Picture | None, after: Picture, folder: Path, *, count: int = 3
) -> list[Path]:
    """`noisy | before | after` where before and after differ most, as PNGs; returns their paths.

    All (H, W, C) of one size. Without `before` (trained from scratch) it is left out, and `after`
    is held against the input. Raises OutputError.
    """
    against = noisy if before is None else before
    side = min(CROP, *after.shape[:2])
    named = {"noisy": noisy, "before": before, "after": after}
    shown = {name: picture for name, picture in named.items() if picture is not None}
    paths = []
    for number, (top, left) in enumerate(find_places(against, after, side, count), 1):
        crops = [picture[top : top + side, left : left + side] for picture in shown.values()]
        tiles = [_titled(name, crop) for name, crop in zip(shown, crops, strict=True)]
        paths.append(write_png(folder / f"crop_{number}.png", _beside(tiles)))
    return paths


def find_places(before: Picture, after: Picture, side: int, count: int) -> list[Place]:
    """Upper left corners of the squares that differ most, which do not overlap."""
    apart = np.abs(after - before).mean(-1)
    mean = cv2.boxFilter(apart, -1, (side, side), anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
    score = mean[: apart.shape[0] - side + 1, : apart.shape[1] - side + 1].copy()
    places: list[Place] = []
    while len(places) < count and score.max() >= 0:
        row, column = (int(at) for at in np.unravel_index(int(score.argmax()), score.shape))
        places.append((row, column))
        score[max(0, row - side + 1) : row + side, max(0, column - side + 1) : column + side] = -1
    return places


def write_png(path: Path, canvas: Canvas) -> Path:
    """Write a BGR picture; raises OutputError."""
    done, data = cv2.imencode(".png", canvas)
    if not done:
        raise OutputError(f"{path.name}: cannot be drawn.")
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise OutputError(f"{path.name}: cannot be written: {error.strerror}.") from error
    return path


class _Scale:
    """Where values lie on the canvas."""

    def __init__(self, steps: list[float], levels: list[float]) -> None:
        self.steps, self.levels = steps, levels

    def column(self, step: float) -> int:
        share = (step - self.steps[0]) / (self.steps[-1] - self.steps[0])
        return round(LEFT + share * (WIDTH - LEFT - RIGHT))

    def row(self, level: float) -> int:
        share = (level - self.levels[0]) / (self.levels[-1] - self.levels[0])
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM))


def _axis(low: float, high: float) -> list[float]:
    """Round tick values that reach from `low` or below to `high` or above; at least two."""
    span = (high - low) or abs(high) or 1.0
    rough = span / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= rough * 0.999)
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    return [tick * step for tick in range(first, last + 1)]


def _grid(canvas: Canvas, place: _Scale, title: str) -> None:
    floor, roof = HEIGHT - BOTTOM, TOP
    for tick in place.steps:
        column = place.column(tick)
        cv2.line(canvas, (column, roof), (column, floor), GRID, 1)
        _text(canvas, f"{tick:g}", (column, floor + 20), size=0.42, centred=True)
    for tick in place.levels:
        row = place.row(tick)
        cv2.line(canvas, (LEFT, row), (WIDTH - RIGHT, row), GRID, 1)
        label = f"{tick:.6g}"
        _text(canvas, label, (LEFT - 8 - _breadth(label, 0.42), row + 4), size=0.42)
    cv2.rectangle(canvas, (LEFT, roof), (WIDTH - RIGHT, floor), INK, 1)
    _text(canvas, "step", ((LEFT + WIDTH - RIGHT) // 2, HEIGHT - 16), centred=True)
    _text(canvas, title, (WIDTH - RIGHT - _breadth(title, 0.5), 28))


def _dashes(canvas: Canvas, row: int) -> None:
    for column in range(LEFT, WIDTH - RIGHT, 12):
        cv2.line(canvas, (column, row), (min(column + 6, WIDTH - RIGHT), row), INK, 1)


def _breadth(text: str, size: float) -> int:
    return int(cv2.getTextSize(text, FONT, size, 1)[0][0])


def _text(
    canvas: Canvas,
    text: str,
    at: tuple[int, int],
    *,
    size: float = 0.5,
    colour: tuple[int, int, int] = INK,
    centred: bool = False,
) -> None:
    column = at[0] - _breadth(text, size) // 2 if centred else at[0]
    cv2.putText(canvas, text, (column, at[1]), FONT, size, colour, 1, cv2.LINE_AA)


def _titled(name: str, crop: Picture) -> Canvas:
    """A crop, enlarged without smoothing, with its name above."""
    codes = np.rint(np.clip(crop, 0, 1) * 255).astype(np.uint8)
    colour = np.repeat(codes, 3, axis=2) if codes.shape[2] == 1 else codes[..., ::-1]
    large = colour.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)
    heading: Canvas = np.full((HEADING, large.shape[1], 3), PAPER, np.uint8)
    _text(heading, name, (2, HEADING - 8))
    return np.ascontiguousarray(np.concatenate([heading, large]))


def _beside(tiles: list[Canvas]) -> Canvas:
    gap: Canvas = np.full((tiles[0].shape[0], GAP, 3), PAPER, np.uint8)
    row: list[Canvas] = []
    for tile in tiles:
        row += [tile, gap] if tile is not tiles[-1] else [tile]
    return np.concatenate(row, axis=1)
