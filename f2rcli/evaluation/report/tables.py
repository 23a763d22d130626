"""Tables of a report: values of every method, and published ones."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from f2rcli.evaluation.result import ClipResult, Evaluation, MetricFacts

DASH, INFINITE = "–", "∞"


class TableRow(NamedTuple):
    """A row of a table: of a method, of one that others published, or the heading of a group."""

    title: str
    notes: tuple[str, ...] = ()
    cells: tuple[str, ...] = ()  # a value per metric
    best: tuple[str | None, ...] = ()  # the best value per metric, as it is shown
    time: str = DASH
    kind: str = ""  # "", published or group


def number(value: float | None, digits: int) -> str:
    """A value for a cell: identical pictures have an infinite PSNR, a missing value a dash."""
    if value is None or math.isnan(value):
        return DASH
    if math.isinf(value):
        return INFINITE if value > 0 else f"-{INFINITE}"
    return f"{value:.{digits}f}"


def timed(evaluation: Evaluation) -> bool:
    """Whether any method was timed."""
    return any(evaluation.seconds_per_frame(m.name) is not None for m in evaluation.methods)


def summary_rows(evaluation: Evaluation) -> Iterator[TableRow]:
    """Means over clips: a row per method, group by group, and rows that others published."""
    columns = evaluation.columns()
    metrics = [column.facts for column in columns]
    for group in evaluation.groups:
        if group:
            yield TableRow(group, kind="group")
        values = {
            method.name: [
                evaluation.mean(method.name, m.name, group, channel) for m, channel in columns
            ]
            for method in evaluation.methods
        }
        best = _best(values, metrics)
        for method in evaluation.methods:
            words = " ".join(word for word in (method.version, method.weights) if word)
            seconds = number(evaluation.seconds_per_frame(method.name, group), 3)
            cells = _cells(values[method.name], metrics)
            yield TableRow(method.title, (words,) if words else (), cells, best, seconds)
        yield from _published(evaluation, metrics, group)


def clip_rows(clip: ClipResult, evaluation: Evaluation) -> Iterator[TableRow]:
    """The values of one clip, a row per method."""
    columns = evaluation.columns()
    metrics = [column.facts for column in columns]
    values = {
        result.method: [clip.value(result.method, m.name, channel) for m, channel in columns]
        for result in clip.methods
    }
    best = _best(values, metrics)
    for result in clip.methods:
        notes = tuple(word for word in (result.failed or "", *result.notes) if word)
        cells = _cells(values[result.method], metrics)
        yield TableRow(evaluation.method(result.method).title, notes, cells, best)


def shown(value: Any) -> str:
    """A JSON value as a reader would write it."""
    match value:
        case None:
            return DASH
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case Mapping():
            return ", ".join(f"{key} {shown(item)}" for key, item in value.items()) or DASH
        case list() | tuple():
            return ", ".join(shown(item) for item in value) or DASH
    return str(value)


def _cells(values: Sequence[float | None], metrics: Sequence[MetricFacts]) -> tuple[str, ...]:
    return tuple(number(v, m.digits) for v, m in zip(values, metrics, strict=True))


def _best(
    values: Mapping[str, Sequence[float]], metrics: Sequence[MetricFacts]
) -> tuple[str | None, ...]:
    """Per metric, the best value as it is shown; None where none is better than another."""
    tops: list[str | None] = []
    for place, metric in enumerate(metrics):
        top = metric.best({name: row[place] for name, row in values.items()})
        tops.append(None if top is None else number(top, metric.digits))
    return tuple(tops)


def _published(
    evaluation: Evaluation, metrics: Sequence[MetricFacts], group: str
) -> Iterator[TableRow]:
    for row in evaluation.benchmark.published if evaluation.benchmark else ():
        if group in row.values:
            values = [row.values[group].get(metric.name) for metric in metrics]
            cells = _cells(values, metrics)
            yield TableRow(row.title, (f"published: {row.source}",), cells, kind="published")
