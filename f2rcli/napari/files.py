"""Stacks as napari's layers, and the widget's work on them; needs neither napari nor Qt.

A layer is (data, keywords of napari's `Image`, "image"). Its data are a Dask array with a block for
every picture, which is read when it is looked at.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from threading import Event, Lock
from typing import Any
from uuid import uuid4
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from f2rcli import api
from f2rcli.api.arrays import Grid
from f2rcli.api.call import Report
from f2rcli.io import source_format
from f2rcli.io.stacks import UNNAMED, Facts, Metadata, Series, Stack, colour_of, open_stack
from f2rcli.window import window_at

Array = NDArray[Any]
Layer = tuple[Any, dict[str, Any], str]

MOST_CHANNELS = 16  # more of them are an axis, not layers


class Shared:
    """A stack that several views read, one at a time; closed when the last of them is gone."""

    def __init__(self, stack: Stack) -> None:
        self._stack, self._lock = stack, Lock()  # napari and a run read from threads of their own
        finalize(self, stack.close)

    def read(self, series: int, place: int) -> Array:
        """The picture at a place of a series."""
        with self._lock:
            return self._stack.read(series, place)


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[Layer]] | None:
    """The function that reads a path; None where f2r does not read it as a stack."""
    paths = [path] if isinstance(path, str) else path
    stacks = paths and all(source_format(one) == "stacks" for one in paths)
    return read_layers if stacks else None


def read_layers(path: str | list[str]) -> list[Layer]:
    """The layers of files: one per series and channel. Raises InputError."""
    paths = [path] if isinstance(path, str) else path
    return [layer for one in paths for layer in _layers(open_stack(one))]


def _layers(stack: Stack) -> Iterator[Layer]:
    shared = Shared(stack)
    for series in (stack.series[number] for number in stack.chosen(None)):
        title = Path(stack.name).name.split(".")[0]
        title += f" {series.name or series.number + 1}" if len(stack.series) > 1 else ""
        metadata, count = stack.metadata(series.number), dict(series.outer).get("C", 1)
        channels = range(count) if 1 < count <= MOST_CHANNELS else [None]
        for channel in channels:
            known = len(metadata.channels) == count <= MOST_CHANNELS
            facts = metadata.channels[channel or 0] if known else {}
            word = "" if channel is None else f"channel {channel + 1}"
            name = f"{title} {facts.get('Name') or word}".strip()
            data, axes = series_view(shared, series, channel)
            yield data, _keywords(data, axes, series, metadata, facts, name), "image"


def series_view(shared: Any, series: Series, channel: int | None = None) -> tuple[Any, str]:
    """A series as a Dask array and a letter for each of its axes; or one channel of it."""
    letters, inner = "".join(letter for letter, _ in series.outer), series.picture_shape
    places: Array = np.arange(series.frames).reshape([n for _, n in series.outer])
    if channel is not None:
        places, letters = places.take(channel, letters.index("C")), letters.replace("C", "")

    def picture(block_id: tuple[int, ...]) -> Array:
        whole = shared.read(series.number, int(places[block_id[: places.ndim]]))
        one: Array = whole[(np.newaxis,) * places.ndim]
        return one

    chunks = (*((1,) * n for n in places.shape), *((n,) for n in inner))
    nothing = np.empty((0,) * len(chunks), series.dtype)
    view = import_module("dask.array").map_blocks(
        picture, name=f"f2r-{uuid4().hex}", chunks=chunks, dtype=series.dtype, meta=nothing
    )
    return view, letters + ("YXS" if len(inner) == 3 else "YX")


def _keywords(
    data: Any, axes: str, series: Series, metadata: Metadata, facts: Facts, name: str
) -> dict[str, Any]:
    outer = [letter for letter in axes if letter not in "YXS"]
    if len(outer) == 1 and outer[0] in UNNAMED:  # is time, as `f2r denoise` takes it
        axes = axes.replace(outer[0], "T")
    known = axes[:-1] if series.colour else axes
    steps = [_step(metadata, axis) for axis in known]
    keywords: dict[str, Any] = {
        "name": name, "axis_labels": tuple(known.lower()), "rgb": series.colour,
        "scale": tuple(step for step, _ in steps), "units": tuple(unit for _, unit in steps),
        "metadata": {"axes": axes},
    }  # fmt: skip
    if not series.colour:
        keywords["contrast_limits"] = _limits(data)
        colour = colour_of(facts)
        if colour not in (None, "ffffff"):
            keywords |= {"colormap": f"#{colour}", "blending": "additive"}
    return keywords


def _step(metadata: Metadata, axis: str) -> tuple[float, str]:
    """The step along an axis and its unit: µm, s, or pixels where the file has none."""
    if axis == "T":
        return (1.0, "pixel") if not metadata.interval else (metadata.interval, "s")
    if axis in metadata.sizes:
        return metadata.sizes[axis], "µm"
    return metadata.relative.get(axis, 1.0), "pixel"


def middle_of(view: Any) -> Array:
    """The picture in the middle of a lazy array, whose last two axes are a picture's."""
    return np.asarray(view[tuple(n // 2 for n in view.shape[:-2])])


def _limits(data: Any) -> tuple[float, float]:
    """Black and white of a channel as shown at first: the range of its middle picture."""
    middle = middle_of(data)
    real = middle[np.isfinite(middle)]
    low, high = (float(real.min()), float(real.max())) if real.size else (0.0, 1.0)
    return (low, high) if high > low else (low, low + 1.0)


# --- The widget's work on a layer: its axes, a preview of one frame, and a whole run -------------


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


def axes_of(shape: Sequence[int], labels: Sequence[str], known: str | None, *, colour: bool) -> str:
    """The axes proposed for a layer: `known` to f2r's reader, or by napari's labels, without
    colours."""
    tail = "S" if colour else ""
    count = len(shape) - len(tail)
    if known is not None and len(known) == len(shape):
        return known
    letters = "".join(label.upper() for label in labels if len(label) == 1 and label.isalpha())
    if len(set(letters)) == count and letters.endswith("YX"):
        return letters + tail
    return NAMED.get(count, "") + tail


def words_of(report: Report) -> str:
    """The noise law of each lane, and what a user should know, one a line."""
    lines = [str(noise) for noise in report.noise] or ["noise: not measured"]
    return "\n".join([*lines, *report.notes])


def levels_of(difference: Array) -> tuple[float, float]:
    """Black and white for a picture of what was taken away: four deviations around zero."""
    spread = 4 * float(np.nanstd(difference)) or 1.0
    return -spread, spread


def difference(source: Any, result: Any, *, colour: bool) -> Any:
    """The signal a run removed, lazily: the source minus its result, as float32; of colours the
    mean."""
    dask: Any = import_module("dask.array")
    change = dask.asarray(source).astype(np.float64) - dask.asarray(result)
    return (change[..., :3].mean(-1) if colour else change).astype(np.float32)
