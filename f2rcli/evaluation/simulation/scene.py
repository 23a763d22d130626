"""A simulated scene: its light, what a camera recorded of it, and the truth about what is in it."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Floats


class Point(NamedTuple):
    """A point of light in one frame."""

    frame: int
    row: float
    column: float
    electrons: float

    def far(self, shape: tuple[int, ...]) -> Floats:
        """The square of every pixel's distance from it, (H, W)."""
        rows, columns = np.ogrid[: shape[0], : shape[1]]
        return np.asarray((rows - self.row) ** 2 + (columns - self.column) ** 2, np.float64)


@dataclass(frozen=True, slots=True)
class PointScene:
    """Points on an even background."""

    points: tuple[Point, ...]
    background: float  # electrons a pixel


@dataclass(frozen=True, slots=True)
class CellScene:
    """Cells that spike."""

    masks: tuple[NDArray[np.bool_], ...]  # (H, W)
    spikes: tuple[tuple[int, int], ...]  # cell and frame of those with no other spike near


@dataclass(frozen=True, slots=True)
class Scene:
    """A scene, and what is in it."""

    light: Floats  # (T, H, W) electrons
    codes: NDArray[np.uint16]  # (T, H, W) as recorded
    truth: PointScene | CellScene | None = None
