"""The tables of an evaluation, as the page and the command show them: a row per method; and what
they rest on."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

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
    """A row per method that has notes, of its value per metric, which may be the best as it is
    shown, and its time."""
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
