"""Arrays that compute a picture when somebody looks at it: what napari and the engine index.

A view has a shape, a dtype and places, as an array has, and gives NumPy arrays.
"""

from abc import ABC, abstractmethod
from itertools import product
from threading import Lock
from typing import Any
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from f2rcli.io.stacks import Series, Stack

Array = NDArray[Any]


class View(ABC):
    """An array (..., Y, X) or (..., Y, X, S), made picture by picture."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    inner = 2  # axes of a picture

    @abstractmethod
    def picture(self, at: tuple[int, ...]) -> Array:
        """The picture at a place along the outer axes."""

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of samples."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Array:
        """Samples at integers, slices, lists of outer axes, and anywhere inside; or IndexError."""
        keys = _whole(key, self.ndim)
        outer = keys[: self.ndim - self.inner]
        taken = [np.arange(n)[k] for k, n in zip(outer, self.shape, strict=False)]
        pictures = [
            self.picture(tuple(map(int, at)))[keys[len(outer) :]]
            for at in product(*map(np.atleast_1d, taken))
        ]
        lengths = [length for one in taken for length in one.shape]
        if not pictures:
            nothing: Array = np.empty(self.shape, self.dtype)[keys]
            return nothing
        return np.stack(pictures).reshape((*lengths, *pictures[0].shape))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        whole = self[...]
        return whole if dtype is None else whole.astype(dtype, copy=False)


def _whole(key: Any, count: int) -> tuple[Any, ...]:
    """A key with an entry for each axis."""
    keys = key if isinstance(key, tuple) else (key,)
    dots = next((i for i, one in enumerate(keys) if one is Ellipsis), len(keys))
    before, after = keys[:dots], keys[dots + 1 :]
    lacking = count - len(before) - len(after)
    if lacking < 0:
        raise IndexError(f"{len(before) + len(after)} indices for {count} axes")
    return (*before, *(slice(None) for _ in range(lacking)), *after)


class Shared:
    """A stack that several views read, one at a time; closed when the last of them is gone."""

    def __init__(self, stack: Stack) -> None:
        self._stack, self._lock = stack, Lock()  # napari and a run read from threads of their own
        finalize(self, stack.close)

    def read(self, series: int, place: int) -> Array:
        with self._lock:
            return self._stack.read(series, place)


class SeriesView(View):
    """A series of a file in the order of its axes; or one channel, or one sample of its pixels."""

    def __init__(
        self, shared: Shared, series: Series, channel: int | None = None, sample: int | None = None
    ) -> None:
        self._shared, self._series = shared, series
        self.channel, self.sample = channel, sample
        self._fixed = {} if channel is None else {"C": channel}
        self._free = [(a, n) for a, n in series.outer if a not in self._fixed]
        inner = series.picture_shape if sample is None else series.picture_shape[:2]
        self.inner, self.dtype = len(inner), series.dtype
        self.shape = (*(n for _, n in self._free), *inner)

    @property
    def axes(self) -> str:
        """A letter per axis, slowest first."""
        return "".join(a for a, _ in self._free) + ("YXS" if self.inner == 3 else "YX")

    def picture(self, at: tuple[int, ...]) -> Array:
        known = self._fixed | dict(zip((a for a, _ in self._free), at, strict=True))
        outer = self._series.outer
        index = [known[letter] for letter, _ in outer]
        place = int(np.ravel_multi_index(index, [n for _, n in outer])) if outer else 0
        whole = self._shared.read(self._series.number, place)
        return whole if self.sample is None else whole[..., self.sample]


class Computed(View):
    """Any array as NumPy gives its pictures: what is lazy elsewhere is computed here."""

    def __init__(self, source: Any, inner: int) -> None:
        self._source, self.inner = source, inner
        self.shape, self.dtype = tuple(source.shape), np.dtype(source.dtype)

    def picture(self, at: tuple[int, ...]) -> Array:
        return np.asarray(self._source[at])


class Difference(View):
    """The signal a run removed: the source minus its result, as float32; of colours the mean."""

    def __init__(self, source: Any, result: Any, inner: int) -> None:
        self._source, self._result = Computed(source, inner), Computed(result, inner)
        self.shape = self._source.shape[: self._source.ndim - inner + 2]
        self.dtype = np.dtype(np.float32)

    def picture(self, at: tuple[int, ...]) -> Array:
        before, after = (one.picture(at).astype(np.float64) for one in (self._source, self._result))
        change = before - after
        return (change if change.ndim == 2 else change[..., :3].mean(-1)).astype(np.float32)
