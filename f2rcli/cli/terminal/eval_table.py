"""An evaluation as tables for a terminal."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from rich.table import Table
from rich.text import Text

from f2rcli.cli.terminal.text import one_line
from f2rcli.evaluation.result import ClipResult, Column, Evaluation, MetricFacts

ARROWS = "↑↓"
BETTER = {"higher": f" {ARROWS[0]}", "lower": f" {ARROWS[1]}", "": ""}
MOST_CLIPS = 12  # that are listed one by one unless more is asked for
MOST_COLUMNS = 8  # of values; a clip that has more gets a row for each

Value = Callable[[str, str, str], float]  # of a method, a metric and a channel


def tables(evaluation: Evaluation, width: int, *, every_clip: bool = False) -> Iterator[Table]:
    """One table per group: its clips, then the mean of each method, then published rows. One per
    clip, with a row for every value, where headings would be cut in `width` characters."""
    for group in evaluation.groups:
        clips = [clip for clip in evaluation.clips if clip.group == group]
        listed = clips if every_clip or len(clips) <= MOST_CLIPS else []
        if len(clips) == 1 and len(evaluation.columns(group)) > MOST_COLUMNS:
            yield _turned_clip(clips[0], evaluation)
            continue
        timed = any(evaluation.seconds_per_frame(m.name, group) for m in evaluation.methods)
        counted = "1 clip" if len(clips) == 1 else f"{len(clips)} clips"
        title = f"{group}: {counted}" if group else None
        columns = evaluation.columns(group)
        table = _empty(columns, title, timed=timed)
        published = list(_published(evaluation, group))
        if _narrowest(table) > width and not published:
            yield from (_turned_clip(clip, evaluation) for clip in listed)
            if len(clips) > 1:
                yield _turned_mean(evaluation, group, len(clips))
            continue
        for clip in listed:
            for row in _clip_rows(clip, columns, evaluation):
                table.add_row(*row[: len(table.columns)])
            table.add_section()
        if len(clips) > 1:
            for row in _mean_rows(evaluation, columns, group, len(clips)):
                table.add_row(*row[: len(table.columns)])
            table.add_section()
        for row in published:
            table.add_row(*row[: len(table.columns)], style="dim")
        yield table


def _narrowest(table: Table) -> int:
    """The characters that a table takes at least if no word of a heading is cut."""
    return 1 + sum(3 + max(map(len, str(column.header).split())) for column in table.columns)


def _turned_clip(clip: ClipResult, evaluation: Evaluation) -> Table:
    title = ": ".join(word for word in (clip.name, clip.group) if word)
    names = [result.method for result in clip.methods]
    return _turned(title, names, clip.value, evaluation, clip.group)


def _turned_mean(evaluation: Evaluation, group: str, count: int) -> Table:
    title = ": ".join(word for word in (f"mean of {count}", group) if word)
    names = [method.name for method in evaluation.methods]
    return _turned(title, names, partial(_mean, evaluation, group), evaluation, group)


def _turned(
    title: str, names: list[str], value: Value, evaluation: Evaluation, group: str
) -> Table:
    """A row for every value, and a column for every method."""
    table = Table(title=one_line(title), title_justify="left", highlight=False)
    table.add_column("")
    for name in names:
        table.add_column(one_line(evaluation.method(name).title), justify="right", overflow="fold")
    for metric, channel in evaluation.columns(group):
        unit = f" ({metric.unit})" if metric.unit else ""
        values = [value(name, metric.name, channel) for name in names]
        heading = metric.title + unit + BETTER[metric.better]
        table.add_row(heading, *(_cell(value, metric, values) for value in values))
    return table


def _mean(evaluation: Evaluation, group: str, name: str, metric: str, channel: str) -> float:
    return evaluation.mean(name, metric, group, channel)


def _empty(columns: Sequence[Column], title: str | None, *, timed: bool) -> Table:
    table = Table(title=title, title_justify="left", highlight=False)
    table.add_column("clip", overflow="fold")
    table.add_column("method", overflow="fold")
    for metric, _ in columns:
        unit = f"\n{metric.unit}" if metric.unit else ""
        table.add_column(metric.title + BETTER[metric.better] + unit, justify="right")
    if timed:
        table.add_column("s/frame", justify="right")
    return table


def _clip_rows(
    clip: ClipResult, columns: Sequence[Column], evaluation: Evaluation
) -> Iterator[list[Text]]:
    titles = {method.name: method.title for method in evaluation.methods}
    names = [result.method for result in clip.methods]
    for place, result in enumerate(clip.methods):
        cells = _cells(columns, result.method, names, clip.value)
        if result.failed:
            cells = [Text("failed", style="red")] * len(cells)
        first = Text(one_line(clip.name) if place == 0 else "")
        title = Text(one_line(titles[result.method]))
        yield [first, title, *cells, _seconds(result.seconds_per_frame)]


def _mean_rows(
    evaluation: Evaluation, columns: Sequence[Column], group: str, count: int
) -> Iterator[list[Text]]:
    names = [method.name for method in evaluation.methods]
    for place, method in enumerate(evaluation.methods):
        cells = _cells(columns, method.name, names, partial(_mean, evaluation, group))
        first = Text(f"mean of {count}" if place == 0 else "", style="bold")
        seconds = _seconds(evaluation.seconds_per_frame(method.name, group))
        yield [first, Text(one_line(method.title)), *cells, seconds]


def _published(evaluation: Evaluation, group: str) -> Iterator[list[Text]]:
    rows = [] if evaluation.benchmark is None else evaluation.benchmark.published
    for row in rows:
        if values := row.values.get(group):
            cells = [_cell(values.get(m.name, math.nan), m, []) for m in evaluation.metrics]
            yield [Text("published"), Text(row.title), *cells, Text("")]


def _cells(columns: Sequence[Column], method: str, others: list[str], value: Value) -> list[Text]:
    """A method's value of every metric, beside those of the others."""
    return [
        _cell(value(method, m.name, channel), m, [value(n, m.name, channel) for n in others])
        for m, channel in columns
    ]


def _cell(value: float, metric: MetricFacts, beside: list[float]) -> Text:
    """A value, in bold where it is the best of those beside it."""
    if math.isnan(value):
        return Text("-", style="dim")
    known = [other for other in beside if not math.isnan(other)]
    best = {"higher": max, "lower": min}.get(metric.better)
    bold = best is not None and len(known) > 1 and value == best(known)
    return Text(shown(value, metric), style="bold" if bold else "")


def shown(value: float, metric: MetricFacts) -> str:
    """A value with the metric's digits; identical pictures have an infinite PSNR."""
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return f"{value:.{metric.digits}f}"


def _seconds(value: float | None) -> Text:
    return Text("" if value is None else f"{value:.3f}")
