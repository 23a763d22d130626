"""One clip of a report: its values, curves over time, pictures and noise."""

import math
from collections.abc import Iterator

from f2rcli.evaluation.report.change import by_brightness, given_back
from f2rcli.evaluation.report.chart import Axes, Series, line_chart
from f2rcli.evaluation.report.markup import Child, Markup, join, tag
from f2rcli.evaluation.report.noise import noise_panel, spectra
from f2rcli.evaluation.report.tables import clip_table, number
from f2rcli.evaluation.report.views import Label, pictures
from f2rcli.evaluation.result import NOISY, WHOLE, ClipResult, Evaluation, MetricFacts, Values

POINTS = 60_000  # of all charts together; longer curves are averaged
LEAST_POINTS, MOST_POINTS = 60, 500  # of one curve
NOISY_HUE = 7
FLATTENED = 2.5  # times the height that methods need: then the noisy input is left out


def clip_box(clip: ClipResult, evaluation: Evaluation, *, unfolded: bool) -> Markup:
    facts = [
        f"{clip.width} x {clip.height}",
        f"{clip.frames} frames",
        clip.group,
        _headline(clip, evaluation),
    ]
    inside = tag(
        "div",
        clip_table(clip, evaluation) if _worth_a_table(clip, evaluation) else None,
        tag("ul", [tag("li", note) for note in clip.notes], class_="notes") if clip.notes else None,
        _charts(clip, evaluation),
        pictures(clip, labels(evaluation)),
        by_brightness(clip, labels(evaluation), hues(evaluation)),
        given_back(clip, labels(evaluation)),
        _noise(clip, evaluation),
        class_="inside",
    )
    words = tag("small", " · ".join(fact for fact in facts if fact))
    return tag("details", tag("summary", clip.name, words), inside, open=unfolded)


def _worth_a_table(clip: ClipResult, evaluation: Evaluation) -> bool:
    """Whether the clip's table says more than the summary does."""
    return len(evaluation.clips) > 1 or any(r.failed or r.notes for r in clip.methods)


def _headline(clip: ClipResult, evaluation: Evaluation) -> str:
    """The first metric of the first methods, for closed boxes."""
    if not evaluation.metrics or len(evaluation.clips) == 1:
        return ""
    metric = evaluation.metrics[0]
    values = []
    for result in clip.methods[:4]:
        value = number(clip.value(result.method, metric.name), metric.digits)
        values.append(f"{evaluation.method(result.method).title} {value}")
    return f"{metric.title}: {', '.join(values)}"


def labels(evaluation: Evaluation) -> Label:
    titles = {method.name: method.title for method in evaluation.methods}
    titles = {NOISY: "noisy", "": "reference"} | titles
    return lambda name: titles.get(name, name)


def _charts(clip: ClipResult, evaluation: Evaluation) -> Markup | None:
    """A chart per metric that has a value for every frame; all but one hidden by the script."""
    found = [
        (metric, lines) for metric in evaluation.metrics
        if (lines := list(_lines(clip, metric, evaluation)))
    ]  # fmt: skip
    if not found:
        return None
    first = max(found, key=lambda pair: len(pair[1]))[0]  # where most methods can be compared
    options = [
        tag("option", metric.title, value=metric.name, selected=metric is first)
        for metric, _ in found
    ]
    choice = tag(
        "label", "Over time: ", tag("select", options, data_metric=True, autocomplete="off")
    )
    charts = [tag("div", _chart(m, *_apart(lines)), data_metric_chart=m.name) for m, lines in found]
    return tag(
        "div", tag("div", choice, class_="bar", hidden=True), charts, data_charts=True
    )  # fmt: skip


def _chart(metric: MetricFacts, lines: list[Series], far: Series | None) -> Markup:
    direction = f"{metric.better} is better" if metric.better else ""
    away = f"{far.name} at {far.note}, off the chart" if far else ""
    unit = "; ".join(word for word in (metric.unit, direction, away) if word)
    axes = Axes(
        title=f"{metric.title} over time", x="frame", y=unit, digits=metric.digits, whole=True
    )
    return line_chart(lines, axes)


def _apart(lines: list[Series]) -> tuple[list[Series], Series | None]:
    """The curves to draw, and the noisy input's where it would flatten all the others."""
    others = [line for line in lines if line.hue != NOISY_HUE]
    if len(others) < 2 or len(others) == len(lines):
        return lines, None
    every, near = (
        [y for line in group for y in line.y if math.isfinite(y)] for group in (lines, others)
    )
    if max(every) - min(every) <= FLATTENED * (max(near) - min(near)):
        return lines, None
    return others, next(line for line in lines if line.hue == NOISY_HUE)


def _lines(clip: ClipResult, metric: MetricFacts, evaluation: Evaluation) -> Iterator[Series]:
    curves = max(1, len(evaluation.clips) * len(evaluation.methods) * len(evaluation.metrics))
    most = max(LEAST_POINTS, min(MOST_POINTS, POINTS // curves))
    colours = hues(evaluation)
    for result in clip.methods:
        series = result.of(metric.name)
        frames = () if series is None else series.frames.get(WHOLE, ())
        if series is None or sum(_known(value) for value in frames) < 2:
            continue
        x, y = thinned(frames, most)
        yield Series(
            name=evaluation.method(result.method).title, x=x, y=y, hue=colours[result.method],
            note=number(series.value, metric.digits),
        )  # fmt: skip


def hues(evaluation: Evaluation) -> dict[str, int]:
    """A colour per method, the same in every chart; grey is the noisy input's."""
    others = [method.name for method in evaluation.methods if method.name != NOISY]
    return {NOISY: NOISY_HUE} | {name: place % NOISY_HUE for place, name in enumerate(others)}


def thinned(values: Values, most: int) -> tuple[list[float], list[float]]:
    """Frames and values, at most `most`: neighbours are averaged where there are more."""
    width = math.ceil(len(values) / most)
    x, y = [], []
    for start in range(0, len(values), width):
        known = [v for v in values[start : start + width] if v is not None and math.isfinite(v)]
        x.append(start + (min(width, len(values) - start) - 1) / 2)
        y.append(sum(known) / len(known) if known else math.nan)
    return x, y


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _noise(clip: ClipResult, evaluation: Evaluation) -> Markup | None:
    """The noise of the input, and the spectra of what each method took out."""
    label = labels(evaluation)
    removed = [
        (f"Removed by {label(result.method)}", result.residual.spectrum)
        for result in clip.methods
        if result.residual is not None and result.residual.spectrum
    ]
    parts: list[Child] = []
    noise = clip.noise
    if noise is None and clip.pictures is not None:
        noise = clip.pictures.noise
    if noise is not None:
        parts += [tag("h3", "Noise of the input"), noise_panel(noise)]
    if removed:
        parts += [tag("h3", "Spectrum of what was taken out"), spectra(removed)]
    return join(parts) if parts else None
