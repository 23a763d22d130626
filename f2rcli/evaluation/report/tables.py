"""The tables of a report: what was reached, with what, of which files."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from f2rcli.evaluation.report.markup import Child, Markup, tag
from f2rcli.evaluation.result import (
    NOISY,
    ClipResult,
    Evaluation,
    MethodFacts,
    MetricFacts,
)

DASH, INFINITE = "–", "∞"
ARROWS = {"higher": "↑", "lower": "↓"}
SPOKEN = {"higher": "higher is better", "lower": "lower is better"}


def number(value: float | None, digits: int) -> str:
    """A value for a cell: identical pictures have an infinite PSNR, a missing value a dash."""
    if value is None or math.isnan(value):
        return DASH
    if math.isinf(value):
        return INFINITE if value > 0 else f"-{INFINITE}"
    return f"{value:.{digits}f}"


def summary_table(evaluation: Evaluation) -> Markup:
    """Means over clips: a row per method, group by group, and rows that others published."""
    timed = any(evaluation.seconds_per_frame(m.name) is not None for m in evaluation.methods)
    rows: list[Markup] = []
    for group in evaluation.groups:
        if group:
            span = len(evaluation.metrics) + 1 + timed
            rows.append(tag("tr", tag("th", group, colspan=span, scope="rowgroup"), class_="group"))
        values = {
            method.name: [evaluation.mean(method.name, m.name, group) for m in evaluation.metrics]
            for method in evaluation.methods
        }
        best = _best(values, evaluation.metrics)
        for method in evaluation.methods:
            cells = _cells(values[method.name], evaluation.metrics, best)
            seconds = evaluation.seconds_per_frame(method.name, group)
            rows.append(_row(_method_words(method), cells, number(seconds, 3), timed=timed))
        rows += _published_rows(evaluation, group, timed=timed)
    return _scrolling(
        tag("thead", _head("Method", evaluation.metrics, timed=timed)),
        tag("tbody", rows),
        label="Summary: means over clips",
    )


def clip_table(clip: ClipResult, evaluation: Evaluation) -> Markup:
    """The values of one clip, a row per method."""
    values = {
        result.method: [clip.value(result.method, m.name) for m in evaluation.metrics]
        for result in clip.methods
    }
    best = _best(values, evaluation.metrics)
    rows = []
    for result in clip.methods:
        words: list[Child] = [evaluation.method(result.method).title]
        words += [tag("small", word) for word in ((result.failed or ""), *result.notes) if word]
        rows.append(_row(words, _cells(values[result.method], evaluation.metrics, best), "", False))
    return _scrolling(
        tag("thead", _head("Method", evaluation.metrics, timed=False)),
        tag("tbody", rows),
        label=f"Values of {clip.name}",
    )


def facts_table(facts: Mapping[str, Any] | Iterable[tuple[str, Child]]) -> Markup:
    """Names and values, one to a row."""
    pairs = facts.items() if isinstance(facts, Mapping) else facts
    rows = [
        tag("tr", tag("th", name, scope="row"), tag("td", shown(value))) for name, value in pairs
    ]
    return tag("table", tag("tbody", rows), class_="facts")


def shown(value: Any) -> Child:
    """A JSON value as a reader would write it."""
    match value:
        case Markup():
            return value
        case None:
            return DASH
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case Mapping():
            return ", ".join(f"{key} {shown(item)}" for key, item in value.items()) or DASH
        case list() | tuple():
            return ", ".join(str(shown(item)) for item in value) or DASH
    return str(value)


def files_table(clips: Sequence[ClipResult]) -> Markup:
    """Every file that was read, with its SHA-256."""
    rows = [
        tag(
            "tr",
            tag("td", file.role),
            tag("td", tag("code", file.path), tag("br"), tag("small", file.stored)),
            tag("td", tag("code", file.sha256 or DASH)),
        )
        for file in dict.fromkeys(file for clip in clips for file in clip.files)
    ]
    head = [tag("th", word, scope="col") for word in ("Role", "File", "SHA-256")]
    return tag(
        "table", tag("thead", tag("tr", head)), tag("tbody", rows), class_="facts files"
    )  # fmt: skip


def _head(first: str, metrics: Sequence[MetricFacts], *, timed: bool) -> Markup:
    cells = [tag("th", first, scope="col")]
    for metric in metrics:
        arrow = ARROWS.get(metric.better, "")
        sign = (
            tag(
                "span",
                f"\N{NO-BREAK SPACE}{arrow}",
                title=SPOKEN[metric.better],
                aria_hidden="true",
            )
            if arrow
            else None
        )
        unit = tag("small", metric.unit) if metric.unit else None
        cells.append(
            tag("th", metric.title, sign, unit, class_="n", scope="col", title=metric.definition)
        )
    if timed:
        cells.append(tag("th", "Time", tag("small", "s/frame"), class_="n", scope="col"))
    return tag("tr", cells)


def _row(
    words: Child, cells: Sequence[Markup], time: str, timed: bool, class_: str | None = None
) -> Markup:
    last = tag("td", time, class_="n") if timed else None
    return tag("tr", tag("th", words, scope="row"), cells, last, class_=class_)


def _cells(
    values: Sequence[float], metrics: Sequence[MetricFacts], best: Sequence[str | None]
) -> list[Markup]:
    words = [number(v, m.digits) for v, m in zip(values, metrics, strict=True)]
    return [
        tag("td", word, class_="n best" if word == top else "n")
        for word, top in zip(words, best, strict=True)
    ]


def _best(
    values: Mapping[str, Sequence[float]], metrics: Sequence[MetricFacts]
) -> list[str | None]:
    """Per metric, the best value as it is shown; None where none is better than another.

    Without a reference the noisy input is no rival: it has lost no detail and changed no colour.
    """
    tops: list[str | None] = []
    for place, metric in enumerate(metrics):
        rivals = [row[place] for name, row in values.items() if metric.reference or name != NOISY]
        column = [value for value in rivals if not math.isnan(value)]
        if len(column) < 2 or metric.better not in ARROWS:
            tops.append(None)
            continue
        top = max(column) if metric.better == "higher" else min(column)
        tops.append(number(top, metric.digits))
    return tops


def _method_words(method: MethodFacts) -> list[Child]:
    words = " ".join(word for word in (method.version, method.weights) if word)
    return [method.title, tag("small", words) if words else None]


def _published_rows(evaluation: Evaluation, group: str, *, timed: bool) -> list[Markup]:
    if evaluation.benchmark is None:
        return []
    rows = []
    for row in evaluation.benchmark.published:
        if group not in row.values:
            continue
        values = [row.values[group].get(metric.name) for metric in evaluation.metrics]
        cells = [
            tag("td", number(value, metric.digits), class_="n")
            for value, metric in zip(values, evaluation.metrics, strict=True)
        ]
        words = [row.title, tag("small", f"published: {row.source}")]
        rows.append(_row(words, cells, DASH, timed, class_="published"))
    return rows


def _scrolling(*parts: Child, label: str) -> Markup:
    """A table that scrolls by itself where the page is narrower."""
    table = tag("table", parts)
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=label)
