"""An evaluation as tables for a terminal."""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

from f2rcli.cli.terminal.text import one_line
from f2rcli.evaluation.result import ClipResult, Evaluation, MetricFacts
from f2rcli.units import count

ARROWS = "↑↓"
BETTER = {"higher": f" {ARROWS[0]}", "lower": f" {ARROWS[1]}", "": ""}
MOST_CLIPS = 12  # that are listed one by one unless more is asked for
MOST_COLUMNS = 8  # of values; a clip that has more gets a row for each


class _Subject(NamedTuple):
    """Something that methods have values of: a clip, or the mean of several."""

    name: str
    group: str
    methods: list[str]
    value: Callable[[str, str], float]  # of a method and a metric
    seconds: Callable[[str], float | None]  # per frame, of a method
    failed: Collection[str] = ()  # methods
    style: str = ""

    def row(self, metric: MetricFacts) -> list[Text]:
        """The value that every method has of a metric, in bold where it is the best."""
        values = {name: self.value(name, metric.name) for name in self.methods}
        top = metric.best(values)
        best = None if top is None else shown(top, metric)
        return [_cell(value, metric, best) for value in values.values()]


def tables(evaluation: Evaluation, width: int, *, every_clip: bool = False) -> Iterator[Table]:
    """One table per group: its clips, then the mean of each method, then published rows. One per
    clip, with a row for every value, where headings would be cut in `width` characters."""
    for group in evaluation.groups:
        clips = [clip for clip in evaluation.clips if clip.group == group]
        columns = evaluation.metrics
        if len(clips) == 1 and len(columns) > MOST_COLUMNS:
            yield _turned(_of_clip(clips[0]), evaluation)
            continue
        listed = clips if every_clip or len(clips) <= MOST_CLIPS else []
        subjects = [_of_clip(clip) for clip in listed]
        if len(clips) > 1:
            subjects.append(_of_mean(evaluation, group, len(clips)))
        timed = any(evaluation.seconds_per_frame(m.name, group) for m in evaluation.methods)
        title = f"{group}: {count(len(clips), 'clip')}" if group else None
        table = _empty(columns, title, timed=timed)
        published = list(_published(evaluation, group))
        if _narrowest(table) > width and not published:
            yield from (_turned(subject, evaluation) for subject in subjects)
            continue
        for subject in subjects:
            for row in _rows(subject, columns, evaluation):
                table.add_row(*row[: len(table.columns)])
            table.add_section()
        for row in published:
            table.add_row(*row[: len(table.columns)], style="dim")
        yield table


def _of_clip(clip: ClipResult) -> _Subject:
    seconds = {result.method: result.seconds_per_frame for result in clip.methods}
    failed = {result.method for result in clip.methods if result.failed}
    return _Subject(clip.name, clip.group, list(seconds), clip.value, seconds.get, failed)


def _of_mean(evaluation: Evaluation, group: str, clips: int) -> _Subject:
    def mean(method: str, metric: str) -> float:
        return evaluation.mean(method, metric, group)

    names = [method.name for method in evaluation.methods]
    seconds = partial(evaluation.seconds_per_frame, group=group)
    return _Subject(f"mean of {clips}", group, names, mean, seconds, style="bold")


def _narrowest(table: Table) -> int:
    """The characters that a table takes at least if no word of a heading is cut."""
    return 1 + sum(3 + max(map(len, str(column.header).split())) for column in table.columns)


def _turned(subject: _Subject, evaluation: Evaluation) -> Table:
    """A row for every value, and a column for every method."""
    title = ": ".join(word for word in (subject.name, subject.group) if word)
    table = Table(title=one_line(title), title_justify="left", highlight=False)
    table.add_column("")
    for name in subject.methods:
        table.add_column(one_line(evaluation.method(name).title), justify="right", overflow="fold")
    for metric in evaluation.metrics:
        unit = f" ({metric.unit})" if metric.unit else ""
        heading = metric.title + unit + BETTER[metric.better]
        table.add_row(heading, *subject.row(metric))
    return table


def _empty(columns: Sequence[MetricFacts], title: str | None, *, timed: bool) -> Table:
    table = Table(title=title, title_justify="left", highlight=False)
    table.add_column("clip", overflow="fold")
    table.add_column("method", overflow="fold")
    for metric in columns:
        unit = f"\n{metric.unit}" if metric.unit else ""
        table.add_column(metric.title + BETTER[metric.better] + unit, justify="right")
    if timed:
        table.add_column("s/frame", justify="right")
    return table


def _rows(
    subject: _Subject, columns: Sequence[MetricFacts], evaluation: Evaluation
) -> Iterator[list[Text]]:
    values = [subject.row(column) for column in columns]
    for place, name in enumerate(subject.methods):
        cells = [row[place] for row in values]
        if name in subject.failed:
            cells = [Text("failed", style="red")] * len(cells)
        first = Text(one_line(subject.name) if place == 0 else "", style=subject.style)
        title = Text(one_line(evaluation.method(name).title))
        seconds = subject.seconds(name)
        yield [first, title, *cells, Text("" if seconds is None else f"{seconds:.3f}")]


def _published(evaluation: Evaluation, group: str) -> Iterator[list[Text]]:
    rows = [] if evaluation.benchmark is None else evaluation.benchmark.published
    for row in rows:
        if values := row.values.get(group):
            cells = [_cell(values.get(m.name, math.nan), m) for m in evaluation.metrics]
            yield [Text("published"), Text(row.title), *cells, Text("")]


def _cell(value: float, metric: MetricFacts, best: str | None = None) -> Text:
    """A value, in bold where it is the best as it is shown."""
    if math.isnan(value):
        return Text("-", style="dim")
    text = shown(value, metric)
    return Text(text, style="bold" if text == best else "")


def shown(value: float, metric: MetricFacts) -> str:
    """A value with the metric's digits; identical pictures have an infinite PSNR."""
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return f"{value:.{metric.digits}f}"
