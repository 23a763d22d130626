"""The smaller copies of a picture that a pyramid holds, changed as the picture is."""

from typing import Any

import numpy as np

from f2rcli.frames import Plane
from f2rcli.io.tiff.library import DAMAGE, quiet_tifffile


def read_level(level: Any, place: int) -> Plane | None:
    """A picture of a level, which is a series of tifffile; None where it cannot be read."""
    try:
        with quiet_tifffile():
            small: Plane = level.pages[place].asarray(maxworkers=1)
            return small
    except DAMAGE:
        return None


def changed_level(level: Any, place: int, original: Plane, change: Plane) -> Plane | None:
    """A pyramid level's picture plus the change of its cells, within its dtype; None if it is no
    smaller copy. original, change: whole pictures (Y, X[, S])."""
    small = read_level(level, place)
    if small is None or not _smaller(small, change):
        return None
    moved = small + _of_cells(original, change, small)
    if small.dtype.kind != "f":
        limits = np.iinfo(small.dtype)
        moved = np.clip(np.rint(moved), limits.min, limits.max)
    changed: Plane = moved.astype(small.dtype)
    return changed


def _smaller(one: Plane, other: Plane) -> bool:
    """Whether a picture has no more rows and columns than another, and as many samples a pixel."""
    alike = one.ndim == other.ndim and one.shape[2:] == other.shape[2:] and one.size > 0
    return alike and all(a <= b for a, b in zip(one.shape, other.shape, strict=True))


def _of_cells(original: Plane, change: Plane, small: Plane) -> Plane:
    """The mean change of a level's cells; that of their first samples where it shows just them."""
    steps = [round(full / part) for full, part in zip(change.shape, small.shape[:2], strict=False)]
    first = tuple(
        slice(0, step * count, step) for step, count in zip(steps, small.shape, strict=False)
    )
    same = np.array_equal(original[first], small, equal_nan=small.dtype.kind == "f")
    moved: Plane = change[first] if same else averaged(change, small.shape)
    return moved


def averaged(change: Plane, shape: tuple[int, ...]) -> Any:
    """A change (H, W, ...) as means over the cells of a smaller grid (h, w, ...)."""
    height, width = shape[:2]
    rows, columns = (
        np.linspace(0, full, small, endpoint=False).astype(int)
        for full, small in zip(change.shape, (height, width), strict=False)
    )
    sums = np.add.reduceat(np.add.reduceat(change, rows, axis=0), columns, axis=1)
    heights = np.diff([*rows, change.shape[0]])
    widths = np.diff([*columns, change.shape[1]])
    cells = (heights[:, None] * widths[None]).astype(np.float64)
    return sums / cells.reshape(height, width, *[1] * (change.ndim - 2))
