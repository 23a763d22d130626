"""The widget's work on a layer: its axes, a preview, a whole run; needs neither napari nor Qt."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from f2rcli import api
from f2rcli.api.arrays import Grid
from f2rcli.api.call import Report
from f2rcli.window import window_at

Array = NDArray[Any]

WINDOW = 7  # frames that a preview takes: what the networks look at
NAMED = {2: "YX", 3: "TYX", 4: "TZYX", 5: "TCZYX"}  # taken for axes without names


def restored(data: Any, axes: str, **how: Any) -> tuple[Array, Report]:
    """A layer's data (..., Y, X), or (..., Y, X, S) in colour, all of it restored. how: options of
    `denoise`, and what that raises."""
    done: tuple[Array, Report] = api.denoise(data, axes=axes, return_report=True, **how)
    return done


def preview(data: Any, axes: str, shown: Sequence[int], **how: Any) -> tuple[Array, Report]:
    """The picture shown at these places along all axes, restored among its neighbours. Its noise is
    measured on these alone, so a whole run may differ a little."""
    grid, axes = Grid.of(tuple(data.shape), axes), axes.upper()
    outer = [letter for letter in axes if letter not in "YXS"]
    inner, key = axes[len(outer) :], list[int | slice](shown[: len(outer)])
    if grid.along not in outer:
        return restored(data[tuple(key)], inner, **how)
    place = outer.index(grid.along)
    frames = window_at(range(data.shape[place]), shown[place], WINDOW).items
    key[place] = slice(frames[0], frames[-1] + 1)
    clean, report = restored(data[tuple(key)], f"T{inner}", **how)
    return clean[shown[place] - frames[0]], report


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
