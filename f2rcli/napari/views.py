"""Lazy arrays, a block for every picture: Dask, which napari brings, computes what is looked at."""

from importlib import import_module
from threading import Lock
from typing import Any
from uuid import uuid4
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from f2rcli.io.stacks import Series, Stack

Array = NDArray[Any]
dask: Any = import_module("dask.array")  # without types


class Shared:
    """A stack that several views read, one at a time; closed when the last of them is gone."""

    def __init__(self, stack: Stack) -> None:
        self._stack, self._lock = stack, Lock()  # napari and a run read from threads of their own
        finalize(self, stack.close)

    def read(self, series: int, place: int) -> Array:
        """The picture at a place of a series."""
        with self._lock:
            return self._stack.read(series, place)


def series_view(
    shared: Shared, series: Series, channel: int | None = None, sample: int | None = None
) -> tuple[Any, str]:
    """A series as a Dask array and a letter for each of its axes; or one channel of it, or one
    sample of its pixels."""
    outer = [(letter, n) for letter, n in series.outer if channel is None or letter != "C"]
    inner = series.picture_shape if sample is None else series.picture_shape[:2]
    sizes = [n for _, n in series.outer]

    def picture(block_id: tuple[int, ...]) -> Array:
        at = dict(zip((letter for letter, _ in outer), block_id, strict=False))
        index = [at.get(letter, channel or 0) for letter, _ in series.outer]
        place = int(np.ravel_multi_index(index, sizes)) if index else 0
        whole = shared.read(series.number, place)
        taken = whole if sample is None else whole[..., sample]
        return taken[(np.newaxis,) * len(outer)]

    chunks = (*((1,) * n for _, n in outer), *((n,) for n in inner))
    nothing = np.empty((0,) * len(chunks), series.dtype)
    view = dask.map_blocks(
        picture, name=f"f2r-{uuid4().hex}", chunks=chunks, dtype=series.dtype, meta=nothing
    )
    return view, "".join(letter for letter, _ in outer) + ("YXS" if len(inner) == 3 else "YX")


def middle_of(view: Any, inner: int) -> Array:
    """The picture in the middle of a lazy array, whose last `inner` axes are a picture's."""
    return np.asarray(view[tuple(n // 2 for n in view.shape[: view.ndim - inner])])


class Computed:
    """Any array as NumPy gives its pictures: what is lazy elsewhere is computed here."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self.shape, self.dtype = tuple(source.shape), np.dtype(source.dtype)

    def __getitem__(self, key: Any) -> Array:
        return np.asarray(self._source[key])


def difference(source: Any, result: Any, *, colour: bool) -> Any:
    """The signal a run removed, lazily: the source minus its result, as float32; of colours the
    mean."""
    change = dask.asarray(source).astype(np.float64) - dask.asarray(result)
    return (change[..., :3].mean(-1) if colour else change).astype(np.float32)
