"""The flattest square of a clip, enlarged and with its contrast stretched: patterns, tints and
shifts of a code or two, which no eye sees at one to one, are seen there."""

import math
from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli import yuv
from f2rcli.evaluation.moment import Moment, Picture, Plane, luma
from f2rcli.evaluation.result import NOISY
from f2rcli.evaluation.shots import CLEAN, FLAT, Codes, Shot, encode, in_colour
from f2rcli.frames import Mosaic, Space

SIDE = 64  # pixels of the square
CELL = 8  # pixels whose mean is compared: noise averages away in them, texture of the picture stays
GAINS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
SPAN = 3.0  # standard deviations of the results that are shown before they clip
LOUDEST = 1.0  # the same of the noisy input, which may clip sooner
CHANGED = 1e-6  # mean squared change, of 1, below which nothing was done to a place


class Flattest:
    """Keeps the flattest square of a clip in which anything was changed, as every side has it.

    Black bars that were left alone would be flatter than anything, and show nothing.
    """

    def __init__(self) -> None:
        self.score = (True, math.inf)  # unchanged, structure: the lower the flatter
        self.frame = 0
        self.box = (0, 0, 0, 0)
        self.sides: dict[str, Picture] = {}  # in colour, (3, H, W), not clamped

    def look(self, moment: Moment, shown: Mapping[str, Picture], mosaic: Mosaic | None) -> None:
        """Look for a flatter one in a frame: every side (C, H, W) by method."""
        found = _flattest(shown)
        if found is None or found[0] >= self.score:
            return
        self.score, top, left, rows, columns = found
        self.frame, self.box = moment.index, (left, top, columns, rows)
        part = (slice(None), slice(top, top + rows), slice(left, left + columns))
        self.sides = {
            name: np.nan_to_num(in_colour(picture[part], mosaic))
            for name, picture in unclamped(moment, shown).items()
        }

    def shots(self) -> list[Shot]:
        """Every side of it around the input's mean, all with one gain; lossless."""
        if not self.sides:
            return []
        base = self.sides.get(NOISY, next(iter(self.sides.values())))
        middle = base.mean((1, 2), np.float64)
        gain = _gain({name: 255 * _spread(side) for name, side in self.sides.items()})
        return [
            Shot(
                kind=FLAT, frame=self.frame, method=name, box=self.box, gain=gain,
                data=encode(_stretched(side, middle, gain)),
                caption=f"mean {255 * luma(side).mean():.1f}, spread {255 * _spread(side):.2f}",
            )
            for name, side in self.sides.items()
        ]  # fmt: skip


def unclamped(moment: Moment, shown: Mapping[str, Picture]) -> Mapping[str, Picture]:
    """The sides as their files have them, beyond black and white too; as they are shown where
    that is not possible for all of them."""
    exact = {}
    for name, picture in shown.items():
        frame = moment.files.get(name)
        if frame is None or frame.layout.space is Space.BAYER or frame.layout.levels is not None:
            return shown
        exact[name] = yuv.to_rgb(frame)
        if exact[name].shape != picture.shape:
            return shown
    return exact


def _flattest(
    shown: Mapping[str, Picture],
) -> tuple[tuple[bool, float], int, int, int, int] | None:
    """Score, top, left, rows and columns of a frame's flattest square; None for tiny frames."""
    base = shown.get(CLEAN, shown.get(NOISY))
    if base is None:
        return None
    cells = _cells(luma(base))
    if not cells.size:
        return None
    rows, columns = (min(SIDE // CELL, side) for side in cells.shape)
    mean, square = (_means(values, rows, columns) for values in (cells, cells * cells))
    structure = np.maximum(square - mean * mean, 0)
    touched = _means(_cells(_change(shown)), rows, columns) > CHANGED
    wanted = touched if touched.any() else ~touched
    top, left = divmod(int(np.where(wanted, structure, np.inf).argmin()), structure.shape[1])
    score = (not touched.any(), float(structure[top, left]))
    return score, CELL * top, CELL * left, CELL * rows, CELL * columns


def _cells(plane: Plane) -> Plane:
    """Means over cells; what does not fill a cell is left out."""
    rows, columns = (side // CELL for side in plane.shape)
    whole = np.nan_to_num(plane[: rows * CELL, : columns * CELL])
    means: Plane = whole.reshape(rows, CELL, columns, CELL).mean((1, 3))
    return means


def _means(cells: Plane, rows: int, columns: int) -> NDArray[np.float64]:
    """Means over every window of cells that lies inside."""
    means = cv2.boxFilter(cells.astype(np.float64), -1, (columns, rows), anchor=(0, 0))
    inside = means[: cells.shape[0] - rows + 1, : cells.shape[1] - columns + 1]
    return np.asarray(inside, np.float64)


def _change(shown: Mapping[str, Picture]) -> Plane:
    """Mean square over channels of what any method changed of the noisy input."""
    noisy = shown.get(NOISY)
    methods = [p for name, p in shown.items() if name not in (NOISY, CLEAN)]
    if noisy is None or not methods:
        return np.ones_like(luma(next(iter(shown.values()))))
    changes = [np.square(p - noisy).mean(0) for p in methods]
    return np.asarray(np.max(changes, axis=0), np.float32)


def _spread(side: Picture) -> float:
    """Standard deviation of brightness."""
    return float(luma(side).std(dtype=np.float64))


def _gain(spreads: Mapping[str, float]) -> float:
    """What makes results fill the scale without drowning the input. spreads: in 8-bit codes."""
    limits = [
        128 / (LOUDEST if name == NOISY else SPAN) / max(spread, 1e-3)
        for name, spread in spreads.items()
    ]
    return max((gain for gain in GAINS if gain <= min(limits)), default=1)


def _stretched(side: Picture, middle: NDArray[np.float64], gain: float) -> Codes:
    """(H, W, 3) around mid-grey."""
    shown = 128 + 255 * gain * (side - middle[:, None, None])
    codes = np.clip(np.rint(shown), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(codes.transpose(1, 2, 0))
