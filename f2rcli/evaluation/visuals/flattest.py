"""Find the flattest square of a clip, to be shown enlarged and with its contrast stretched.

That makes patterns, tints and shifts of one or two codes visible.
"""

import math
from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli import yuv
from f2rcli.evaluation.frame_set import FloatPlane, FrameSet, luma
from f2rcli.evaluation.result import CLEAN, NOISY
from f2rcli.evaluation.visuals.images import FLAT, ReportImage, in_colour
from f2rcli.frames import Codes, Mosaic, Picture, Space, in_cells
from f2rcli.plots.images import encode

Cells = NDArray[np.float64]  # (rows, columns) of means over CELL x CELL pixels

SIDE = 64  # pixels of the square, a multiple of CELL
CELL = 8  # pixels whose mean is compared: noise averages away in them, texture of the picture stays
GAINS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
SPAN = 3.0  # standard deviations of the results that are shown before they clip
LOUDEST = 1.0  # the same of the noisy input, which may clip sooner
CHANGED = 1e-6  # mean squared change, of 1, below which nothing was done to a place


class Flattest:
    """Keeps the flattest changed square of a clip, from every side; unchanged bars show nothing."""

    def __init__(self) -> None:
        self.score = (True, math.inf)  # unchanged, structure: the lower the flatter
        self.frame = 0
        self.box = (0, 0, 0, 0)
        self.sides: dict[str, Picture] = {}  # in colour, (3, H, W), not clamped

    def look(self, frame: int, sides: Mapping[str, Picture], mosaic: Mosaic | None) -> None:
        """Look for a flatter one in a frame: every side (C, H, W) by method, not clamped."""
        found = _flattest(sides)
        if found is None or found[0] >= self.score:
            return
        self.score, top, left, rows, columns = found
        self.frame, self.box = frame, (left, top, columns, rows)
        part = (slice(None), slice(top, top + rows), slice(left, left + columns))
        self.sides = {
            name: np.nan_to_num(in_colour(picture[part], mosaic)) for name, picture in sides.items()
        }

    def images(self) -> list[ReportImage]:
        """Every side of it around the input's mean, all with one gain; lossless."""
        if not self.sides:
            return []
        base = self.sides.get(NOISY, next(iter(self.sides.values())))
        middle = base.mean((1, 2), np.float64)
        gain = _gain({name: _loudest(side) for name, side in self.sides.items()})
        return [
            ReportImage(
                kind=FLAT, frame=self.frame, method=name, box=self.box, gain=gain,
                data=encode(_stretched(side, middle, gain)),
                caption=f"mean {255 * luma(side).mean():.1f}, spread {_spread(side):.2f}",
            )
            for name, side in self.sides.items()
        ]  # fmt: skip


def unclamped(frame_set: FrameSet, shown: Mapping[str, Picture]) -> Mapping[str, Picture]:
    """The sides as their files have them, beyond black and white, or as shown unless all can be."""
    exact = {}
    for name, picture in shown.items():
        frame = frame_set.files.get(name)
        if frame is None or frame.layout.space is Space.BAYER or frame.layout.levels is not None:
            return shown
        exact[name] = yuv.to_rgb(frame)
        if exact[name].shape != picture.shape:
            return shown
    return exact


def _flattest(sides: Mapping[str, Picture]) -> tuple[tuple[bool, float], int, int, int, int] | None:
    """Score, top, left, rows and columns of a frame's flattest square; None for tiny frames."""
    base = sides.get(CLEAN, sides.get(NOISY))
    if base is None or min(base.shape[1:]) < CELL:
        return None
    structure = np.sum([_variance(_cells(plane)) for plane in base], axis=0)
    touched = _means(_cells(_change(sides))) > CHANGED
    wanted = touched if touched.any() else ~touched
    top, left = divmod(int(np.where(wanted, structure, np.inf).argmin()), structure.shape[1])
    score = (not touched.any(), float(structure[top, left]))
    rows, columns = (min(SIDE, side // CELL * CELL) for side in base.shape[1:])
    return score, CELL * top, CELL * left, rows, columns


def _cells(plane: FloatPlane) -> Cells:
    """Means over cells; what does not fill a cell is left out."""
    return np.asarray(np.nan_to_num(in_cells(plane, CELL)).astype(np.float64).mean((1, 3)))


def _variance(cells: Cells) -> Cells:
    """Of the cells of every square."""
    return np.asarray(np.maximum(_means(cells * cells) - _means(cells) ** 2, 0))


def _means(cells: Cells) -> Cells:
    """Means over every square that lies inside, by the cell at its upper left."""
    rows, columns = (min(SIDE // CELL, side) for side in cells.shape)
    means = cv2.boxFilter(cells, -1, (columns, rows), anchor=(0, 0))
    return np.asarray(means[: cells.shape[0] - rows + 1, : cells.shape[1] - columns + 1])


def _change(sides: Mapping[str, Picture]) -> FloatPlane:
    """Mean square over channels of what any method changed of the noisy input."""
    noisy = sides.get(NOISY)
    methods = [p for name, p in sides.items() if name not in (NOISY, CLEAN)]
    if noisy is None or not methods:
        return np.ones_like(luma(next(iter(sides.values()))))
    changes = [np.square(p - noisy).mean(0) for p in methods]
    return np.asarray(np.max(changes, axis=0), np.float32)


def _spread(side: Picture) -> float:
    """Standard deviation of brightness, in 8-bit codes."""
    return 255 * float(luma(side).std(dtype=np.float64))


def _loudest(side: Picture) -> float:
    """The largest standard deviation of a channel, in 8-bit codes."""
    return 255 * float(side.std((1, 2), dtype=np.float64).max())


def _gain(spreads: Mapping[str, float]) -> float:
    """What makes results fill the scale without drowning the input. spreads: in 8-bit codes."""
    limits = [
        128 / (LOUDEST if name == NOISY else SPAN) / max(spread, 1e-3)
        for name, spread in spreads.items()
    ]
    return max((gain for gain in GAINS if gain <= min(limits)), default=1)


def _stretched(side: Picture, middle: NDArray[np.float64], gain: float) -> Codes:
    """(H, W, 3) around mid-gray."""
    shown = 128 + 255 * gain * (side - middle[:, None, None])
    codes = np.clip(np.rint(shown), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(codes.transpose(1, 2, 0))
