"""An evaluation as tables of a row per method, with what they rest on; as JSON; and as CSV."""

import csv
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

from f2rcli.evaluation.result import ClipResult, Evaluation

NONE = "-"  # a value that there is not


class TableRow(NamedTuple):
    """A row of a table: of a method, or one that others published."""

    title: str
    notes: tuple[str, ...]
    cells: tuple[tuple[str, bool], ...]  # per metric: a value, and whether it is the best
    time: str = NONE
    published: bool = False


def number(value: float | None, digits: int) -> str:
    """A value for a cell: identical pictures have an infinite PSNR."""
    return NONE if value is None or math.isnan(value) else f"{value:.{digits}f}"


def mean_rows(evaluation: Evaluation, group: str) -> list[TableRow]:
    """Means over a group's clips, a row per method, and what others published."""
    metrics = evaluation.metrics
    rows = _rows(
        evaluation,
        {m.name: (m.version, m.weights) for m in evaluation.methods},
        lambda method, metric: evaluation.mean(method, metric, group),
        lambda method: evaluation.seconds_per_frame(method, group),
    )
    for row in evaluation.benchmark.published if evaluation.benchmark else ():
        if group in row.values:
            found = [number(row.values[group].get(m.name), m.digits) for m in metrics]
            told = tuple((cell, False) for cell in found)
            rows.append(TableRow(row.title, (f"published: {row.source}",), told, published=True))
    return rows


def clip_rows(clip: ClipResult, evaluation: Evaluation) -> list[TableRow]:
    """The values of one clip, a row per method."""
    seconds = {result.method: result.seconds_per_frame for result in clip.methods}
    notes = {result.method: (result.failed or "", *result.notes) for result in clip.methods}
    return _rows(evaluation, notes, clip.value, seconds.get)


def _rows(
    evaluation: Evaluation, notes: Mapping[str, Sequence[str]],
    value: Callable[[str, str], float], seconds: Callable[[str], float | None],
) -> list[TableRow]:  # fmt: skip
    """A row per method that has notes: its value per metric, whether that is best, and its time."""
    rows = []
    for method, told in notes.items():
        cells = []
        for metric in evaluation.metrics:
            cell = number(value(method, metric.name), metric.digits)
            top = metric.best({name: value(name, metric.name) for name in notes})
            cells.append((cell, top is not None and cell == number(top, metric.digits)))
        title, words = evaluation.method(method).title, tuple(filter(None, told))
        rows.append(TableRow(title, words, tuple(cells), number(seconds(method), 3)))
    return rows


def conditions(evaluation: Evaluation) -> list[str]:
    """What the tables rest on, a line each."""
    lines, settings, benchmark = [], evaluation.settings, evaluation.benchmark
    if evaluation.kind == "synthetic":
        made = "8-bit, clipped" if settings["clipped"] else "unclipped float"
        lines.append(f"noise: {made}, seed {settings['seed']} (compressed noise: 8-bit always)")
    if benchmark is not None:
        lines += benchmark.protocol
        most = settings["frames"]
        lines += [f"here at most {most} frames of each"] if most else []
        sources = dict.fromkeys(row.source for row in benchmark.published)
        lines += [f"published: {source}" for source in sources]
        if benchmark.published and not benchmark.complete:
            lines.append("The benchmark is not complete: published rows are not comparable.")
    return lines


# --- For programs --------------------------------------------------------------------------------


FORMAT = 1
COLUMNS = ("clip", "group", "method", "metric", "channel", "frame", "value")


def values(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation as JSON values: its fields but for pictures, and means. An infinite value is
    the text "inf"; one that is missing is null."""
    return {"format": FORMAT, **_plain(evaluation), "means": list(_means(evaluation))}


def _means(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    metrics = [metric.name for metric in evaluation.metrics]
    for group in evaluation.groups:
        for name in (method.name for method in evaluation.methods):
            took = evaluation.seconds_per_frame(name, group)
            means = _plain({m: evaluation.mean(name, m, group) for m in metrics})
            yield {"group": group, "method": name, "seconds_per_frame": took, "values": means}


def _plain(value: Any) -> Any:
    """The same in what JSON has: no dataclasses, no tuples, no infinity, no nan."""
    if is_dataclass(value):
        names = (f.name for f in fields(value))
        return {name: _plain(getattr(value, name)) for name in names if name != "pictures"}
    if hasattr(value, "items"):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value


def to_csv(evaluation: Evaluation) -> str:
    """A row for every clip, method, metric, channel and frame; `frame` is "mean" for the clip's
    value. Missing values are left empty, infinite ones are inf."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_values(evaluation))
    return out.getvalue()


def _values(evaluation: Evaluation) -> Iterator[tuple[str, ...]]:
    for clip in evaluation.clips:
        for result in clip.methods:
            for metric, series in result.metrics.items():
                begin = (clip.name, clip.group, result.method, metric)
                for channel, value in series.clip.items():
                    yield (*begin, channel, "mean", _cell(value))
                for channel, frames in series.frames.items():
                    for index, measured in enumerate(frames):
                        if measured is not None:
                            yield (*begin, channel, str(index), _cell(measured))


def _cell(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.9g}"
