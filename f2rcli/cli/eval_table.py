"""An evaluation as tables for a terminal."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

from f2rcli.cli.console import plain
from f2rcli.evaluation.result import ClipResult, Evaluation, MetricFacts
from f2rcli.units import count

BETTER = {"higher": " (more is better)", "lower": " (less is better)", "": ""}
MOST_CLIPS = 12  # that are listed one by one


class _Subject(NamedTuple):
    """Something that methods have values of: a clip, or the mean of several."""

    name: str
    methods: list[str]
    value: Callable[[str, str], float]  # of a method and a metric
    seconds: Callable[[str], float | None]  # per frame, of a method

    def cells(self, metric: MetricFacts) -> list[Text]:
        """The value that every method has of a metric, in bold where it is the best."""
        values = {name: self.value(name, metric.name) for name in self.methods}
        top = metric.best(values)
        best = None if top is None else shown(top, metric)
        words = [shown(value, metric) for value in values.values()]
        return [Text(word, style="bold" if word == best else "") for word in words]


def tables(evaluation: Evaluation) -> Iterator[Table]:
    """A table for every clip, and for the mean of several: a row for each metric, a column for each
    method; those of a benchmark have the published rows beside the mean."""
    for group in evaluation.groups:
        clips = [clip for clip in evaluation.clips if clip.group == group]
        for clip in clips if len(clips) <= MOST_CLIPS else []:
            yield _table(_of_clip(clip), group, evaluation)
        if len(clips) > 1:
            yield _table(_of_mean(evaluation, group, len(clips)), group, evaluation)


def _of_clip(clip: ClipResult) -> _Subject:
    seconds = {result.method: result.seconds_per_frame for result in clip.methods}
    return _Subject(clip.name, list(seconds), clip.value, seconds.get)


def _of_mean(evaluation: Evaluation, group: str, clips: int) -> _Subject:
    return _Subject(
        f"mean of {count(clips, 'clip')}",
        [method.name for method in evaluation.methods],
        lambda method, metric: evaluation.mean(method, metric, group),
        lambda method: evaluation.seconds_per_frame(method, group),
    )


def _table(subject: _Subject, group: str, evaluation: Evaluation) -> Table:
    title = ": ".join(word for word in (group, subject.name) if word)
    table = Table(title=plain(title), title_justify="left", highlight=False)
    table.add_column("", overflow="fold")
    for name in subject.methods:
        title = plain(evaluation.method(name).title)
        table.add_column(Text(title), justify="right", overflow="fold")
    published = [] if evaluation.benchmark is None else evaluation.benchmark.published
    mean = subject.name.startswith("mean of")
    told = [row for row in published if mean and row.values.get(group)]
    for row in told:
        table.add_column(Text(f"{row.title}, published"), justify="right", style="dim")
    for metric in evaluation.metrics:
        unit = f" {metric.unit}" if metric.unit else ""
        cells = subject.cells(metric)
        cells += [Text(shown(r.values[group].get(metric.name, math.nan), metric)) for r in told]
        table.add_row(f"{metric.title}{unit}{BETTER[metric.better]}", *cells)
    seconds = [subject.seconds(name) for name in subject.methods]
    if any(seconds):
        cells = [Text("" if one is None else f"{one:.3f}") for one in seconds]
        table.add_row("seconds per frame", *cells)
    return table


def shown(value: float, metric: MetricFacts) -> str:
    """A value with the metric's digits; identical pictures have an infinite PSNR."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return f"{value:.{metric.digits}f}"
