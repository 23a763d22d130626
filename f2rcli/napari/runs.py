"""The widget's work on a layer: its axes, a preview, a whole run; needs neither napari nor Qt."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray

from f2rcli import api
from f2rcli.api.arrays import Grid
from f2rcli.api.call import Report
from f2rcli.window import window_at

Array = NDArray[Any]

AROUND = 3  # frames on either side of a previewed one: what the networks look at
NAMED = {2: "YX", 3: "TYX", 4: "TZYX", 5: "TCZYX"}  # taken for axes without names


@dataclass(slots=True)
class Progress:
    """A run's progress so far; written by its thread, read by the window's."""

    done: int = 0
    total: int = 0

    def __call__(self, done: int, total: int | None) -> None:
        self.done, self.total = done, total or 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRun:
    """A layer's data and what is asked for. Raises UsageError for axes that do not fit."""

    data: Any  # any array (..., Y, X), or (..., Y, X, S) in colour
    axes: str
    strength: float = 1.0
    colour: bool = False

    def __post_init__(self) -> None:
        Grid.of(tuple(self.data.shape), self.axes)

    def whole(self, progress: Progress, stop: Event) -> tuple[Array, Report]:
        """All of it, restored. Raises CancelledError once `stop` is set."""
        return self._denoised(self.data, self.axes, progress, stop)

    def preview(self, shown: Sequence[int], stop: Event) -> tuple[Array, Report]:
        """The picture shown at these places along all axes, restored among its neighbours. Its
        noise is measured on these alone, so a whole run may differ a little."""
        outer = [letter for letter in self.axes.upper() if letter not in "YXS"]
        key: list[int | slice] = list(shown[: len(outer)])
        axes = "YXS" if self.colour else "YX"
        grid = Grid.of(tuple(self.data.shape), self.axes)
        if grid.along not in grid.axes:
            return self._denoised(self.data[tuple(key)], axes, Progress(), stop)
        place = outer.index(grid.along)
        first, last = near(shown[place], self.data.shape[place])
        key[place] = slice(first, last)
        clean, report = self._denoised(self.data[tuple(key)], f"T{axes}", Progress(), stop)
        return clean[shown[place] - first], report

    def _denoised(
        self, data: Any, axes: str, progress: Progress, stop: Event
    ) -> tuple[Array, Report]:
        done: tuple[Array, Report] = api.denoise(
            data, axes=axes, strength=self.strength, progress=progress, cancel=stop.is_set,
            return_report=True,
        )  # fmt: skip
        return done


def near(frame: int, frames: int) -> tuple[int, int]:
    """First and end of the frames that a preview takes: 2 AROUND + 1, or all if fewer."""
    window = window_at(range(frames), frame, 2 * AROUND + 1).items
    return window[0], window[-1] + 1


def axes_of(shape: Sequence[int], labels: Sequence[str], *, colour: bool) -> str:
    """The axes proposed for a layer, by napari's labels, which have none for colours."""
    tail = "S" if colour else ""
    count = len(shape) - len(tail)
    letters = "".join(label.upper() for label in labels if len(label) == 1 and label.isalpha())
    if len(set(letters)) == count and letters.endswith("YX"):
        return letters + tail
    return NAMED.get(count, "") + tail


def levels_of(difference: Array) -> tuple[float, float]:
    """Black and white for a picture of what was taken away: four deviations around zero."""
    spread = 4 * float(np.nanstd(difference)) or 1.0
    return -spread, spread


def difference(source: Any, result: Any, *, colour: bool) -> Any:
    """What a run removed, lazily: the source minus its result, float32; of colours the mean."""
    dask: Any = import_module("dask.array")
    change = dask.asarray(source).astype(np.float64) - dask.asarray(result)
    return (change[..., :3].mean(-1) if colour else change).astype(np.float32)
