"""Files as napari's layers: f2r's own readers, with scales, units, names and colours.

A layer is (data, keywords of napari's `Image`, "image"); its data are read when they are shown.
"""

from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from f2rcli.io.stacks import UNNAMED, Facts, Metadata, Series, Stack, colour_of, open_stack, reads
from f2rcli.napari.views import Shared, middle_of, series_view

Layer = tuple[Any, dict[str, Any], str]

MOST_CHANNELS = 16  # more of them are an axis, not layers


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[Layer]] | None:
    """The function that reads a path; None where f2r does not read it as a stack."""
    paths = [path] if isinstance(path, str) else path
    known = all(map(reads, paths))
    return read_layers if paths and known else None


def read_layers(path: str | list[str]) -> list[Layer]:
    """The layers of files: one per series and channel. Raises InputError."""
    paths = [path] if isinstance(path, str) else path
    return [layer for one in paths for layer in layers_of(open_stack(one))]


def layers_of(stack: Stack) -> Iterator[Layer]:
    """The layers of an open stack."""
    shared = Shared(stack)
    for series in (stack.series[number] for number in stack.chosen(None)):
        title = Path(stack.name).name.split(".")[0]
        title += f" {series.name or series.number + 1}" if len(stack.series) > 1 else ""
        metadata = stack.metadata(series.number)
        for channel, sample, word in _channels(series):
            count = dict(series.outer).get("C", 1)
            known = len(metadata.channels) == count <= MOST_CHANNELS
            facts = metadata.channels[channel or 0] if known else {}
            name = f"{title} {facts.get('Name') or word}".strip()
            data, axes = series_view(shared, series, channel, sample)
            yield data, _keywords(data, axes, series, metadata, facts, name), "image"


def _channels(series: Series) -> Iterator[tuple[int | None, int | None, str]]:
    """Each channel, or each sample that is no colour, and a word for it."""
    count = dict(series.outer).get("C", 1)
    channels = range(count) if 1 < count <= MOST_CHANNELS else [None]
    samples = range(series.samples) if series.samples > 1 and not series.colour else [None]
    for channel, sample in product(channels, samples):
        places = {"channel": channel, "sample": sample}
        words = [f"{word} {place + 1}" for word, place in places.items() if place is not None]
        yield channel, sample, " ".join(words)


def _keywords(
    data: Any, axes: str, series: Series, metadata: Metadata, facts: Facts, name: str
) -> dict[str, Any]:
    axes = time_named(axes)
    known = axes[:-1] if series.colour else axes
    steps = [step_of(metadata, axis) for axis in known]
    keywords: dict[str, Any] = {
        "name": name,
        "scale": tuple(step for step, _ in steps),
        "units": tuple(unit for _, unit in steps),
        "axis_labels": tuple(known.lower()),
        "rgb": series.colour,
        "metadata": {"axes": axes},
    }
    if series.colour:
        return keywords
    colour = _colour(facts)
    return keywords | {"contrast_limits": _limits(data)} | (
        {"colormap": colour, "blending": "additive"} if colour else {}
    )  # fmt: skip


def time_named(axes: str) -> str:
    """The letters with T for an only axis that a file does not name, as `f2r denoise` takes it."""
    outer = [letter for letter in axes if letter not in "YXS"]
    return axes.replace(outer[0], "T") if len(outer) == 1 and outer[0] in UNNAMED else axes


def step_of(metadata: Metadata, axis: str) -> tuple[float, str]:
    """The step along an axis and its unit: µm, s, or pixels where the file has none."""
    if axis == "T":
        return (1.0, "pixel") if not metadata.interval else (metadata.interval, "s")
    if axis in metadata.sizes:
        return metadata.sizes[axis], "µm"
    return metadata.relative.get(axis, 1.0), "pixel"


def _colour(facts: Facts) -> str | None:
    """`#rrggbb` of a channel; None for white and for none."""
    colour = colour_of(facts)
    return None if colour in (None, "ffffff") else f"#{colour}"


def _limits(data: Any) -> tuple[float, float]:
    """Black and white of a channel as shown at first: the range of its middle picture."""
    middle = middle_of(data, 2)
    real = middle[np.isfinite(middle)]
    low, high = (float(real.min()), float(real.max())) if real.size else (0.0, 1.0)
    return (low, high) if high > low else (low, low + 1.0)
