"""The parts of large frames that their noise is measured on, set together to small frames.

A law needs places of every brightness and without much texture, not all of a picture: four squares
tell as much of 1920x1080 as the whole, in an eighth of the time. Where squares meet, and where the
scene moves out of them, the measurement sees places that do not match, and leaves them out as ever.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Family, Frame, Plane, Singles, in_cells
from f2rcli.noise.measurement.bound import KNOT_PLACES
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.planes import picture_of

SIDE = 256  # pixels of a square
MOST_PIXELS = 4 * SIDE**2  # of the frames that are made; those that have no more are left alone
CELL = 16  # pixels: squares lie on its grid, as blocks of codecs and cells of mosaics do
BINS = 8  # of brightness
RAIL = 2 / 255  # of black or white: places there say little
LOOKED_AT = 3  # place of the frame that squares are chosen on, or the last one's
MEAN_OF = 8  # pixels per side: the noise is nearly gone from such means


class Square(NamedTuple):
    """A part of a frame, in pixels; multiples of CELL."""

    top: int
    left: int
    height: int
    width: int


def excerpts(frames: Sequence[Frame]) -> list[Frame]:
    """Frames of at most MOST_PIXELS, each made of the same four squares of a frame of the clip;
    small frames as they are. Only the first few decide which squares."""
    return list(map(excerpter(frames), frames))


def excerpter(frames: Sequence[Frame]) -> Callable[[Frame], Frame]:
    """A function that cuts such a frame from any frame of the clip that begins with these."""
    first = frames[0]
    step = 2 if first.layout.family is Family.BAYER else 1  # pixels of a mosaic in one of a plane
    height, width = first.height // step, first.width // step
    if height * width <= MOST_PIXELS or min(height, width) < 2 * CELL:
        return lambda frame: frame
    luma = picture_of(frames[min(LOOKED_AT, len(frames) - 1)]).luma
    squares = chosen_squares(luma[:height, :width])
    at = [Square(*(step * number for number in square)) for square in squares]
    return lambda frame: _of_squares(frame, at)


def cut_out(frame: Frame, part: Square) -> Frame:
    """A part of a frame, in pixels of its first plane."""
    planes: list[Plane] = []
    for index, plane in enumerate(frame.planes):
        x, y = frame.layout.log2_chroma if index in (1, 2) else (0, 0)
        planes += _cut(plane, [part], x, y)
    return replace(frame, planes=tuple(planes), aside=(), source=None)


def over_all(model: NoiseModel, part: Frame, whole: Frame) -> NoiseModel:
    """A law measured on a part of a frame, with its sigma over the whole frame's brightnesses."""
    levels = [_brightness(frame) for frame in (part, whole)]
    sigma = []
    for curve, old in zip(model.at_knots(), model.sigma, strict=True):
        powers = [np.square(np.interp(level, KNOT_PLACES, curve)).mean() for level in levels]
        sigma.append(old * float(powers[1] / max(powers[0], 1e-18)) ** 0.5)
    return replace(model, sigma=tuple(sigma))


def _brightness(frame: Frame) -> Singles:
    """The brightness of a frame at many places, in 0..1."""
    luma = picture_of(frame).luma
    size = max(luma.shape[1] // MEAN_OF, 1), max(luma.shape[0] // MEAN_OF, 1)
    return np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), np.float32).ravel()


def chosen_squares(luma: Singles) -> list[Square]:
    """Four squares of a picture (H, W) that show much of each brightness that it has, smooth as
    far as can be, one after the other. Means over cells choose: they know little of the noise."""
    cells = in_cells(luma, CELL)
    level = cells.mean((1, 3))
    worth = _smoothness(level) * (np.ptp(cells, axis=(1, 3)) > 0)
    worth *= (level > RAIL) & (level < 1 - RAIL)
    bins = np.searchsorted(np.quantile(level, np.linspace(0, 1, BINS + 1)[1:-1]), level)
    parts = np.stack([worth * (bins == index) for index in range(BINS)])
    high, wide = _size(*level.shape)
    had, found = np.zeros(BINS), []
    for _ in range(4):
        sums = _sums(parts, high, wide)
        gain = (np.sqrt(had[:, None, None] + sums) - np.sqrt(had)[:, None, None]).sum(0)
        top, left = (int(place) for place in np.unravel_index(gain.argmax(), gain.shape))
        had += sums[:, top, left]
        parts[:, top : top + high, left : left + wide] = 0
        found.append(Square(top * CELL, left * CELL, high * CELL, wide * CELL))
    return found


def _size(rows: int, columns: int) -> tuple[int, int]:
    """Height and width of a square in cells; narrow pictures have long ones."""
    side = SIDE // CELL
    high = min(side, rows)
    wide = min(side * side // high, columns)
    return min(side * side // wide, rows), wide


def _smoothness(level: Singles) -> Singles:
    """1 where means of cells (R, C) change as little as anywhere, towards 0 at edges."""
    down, across = np.gradient(level) if min(level.shape) > 1 else (level, level)
    steep = np.hypot(down, across)
    return np.asarray(1 / (1 + np.square(steep / max(float(np.median(steep)), 1e-4))), np.float32)


def _sums(parts: NDArray[np.float64], high: int, wide: int) -> NDArray[np.float64]:
    """Sums of planes (N, R, C) over windows: (N, R - high + 1, C - wide + 1)."""
    total = np.pad(parts.cumsum(1).cumsum(2), [(0, 0), (1, 0), (1, 0)])
    rows = total[:, high:] - total[:, :-high]
    return np.maximum(rows[:, :, wide:] - rows[:, :, :-wide], 0)


def _of_squares(frame: Frame, squares: Sequence[Square]) -> Frame:
    planes = []
    for index, plane in enumerate(frame.planes):
        x, y = frame.layout.log2_chroma if index in (1, 2) else (0, 0)
        cuts = list(_cut(plane, squares, x, y))
        planes.append(np.block([cuts[:2], cuts[2:]]))
    return replace(frame, planes=tuple(planes), aside=(), source=None)


def _cut(plane: Plane, squares: Sequence[Square], x: int, y: int) -> Iterator[Plane]:
    for top, left, height, width in squares:
        rows = slice(top >> y, (top + height) >> y)
        yield plane[rows, left >> x : (left + width) >> x]
