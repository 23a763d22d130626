"""One clip of a report: its facts, curves over time, and spectra."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from f2rcli.evaluation.report.change import by_brightness, given_back
from f2rcli.evaluation.report.pictures import Label, pictures
from f2rcli.evaluation.report.tables import clip_rows, number
from f2rcli.evaluation.result import (
    CLEAN,
    NOISY,
    WHOLE,
    ClipResult,
    Evaluation,
    FrameValues,
    MetricFacts,
    NumberRows,
)
from f2rcli.noise.plot import level_chart, spectrum_picture
from f2rcli.plots.chart import GREY, Axes, Chart, Curve
from f2rcli.plots.images import encode

POINTS = 60_000  # of all charts together; longer curves are averaged
LEAST_POINTS, MOST_POINTS = 60, 500  # of one curve
FLATTENED = 2.5  # times the height that methods need: then the noisy input is left out


class MetricChart(NamedTuple):
    """The curves of one metric over time."""

    metric: MetricFacts
    chart: Chart


class SpectrumPicture(NamedTuple):
    """A power spectrum as a picture."""

    title: str
    data: bytes  # PNG
    size: tuple[int, int]  # width and height
    words: str


def clip_values(clip: ClipResult, evaluation: Evaluation) -> dict[str, Any]:
    """The values of a clip's template."""
    label, colours = labels(evaluation), hues(evaluation)
    charts = list(_charts(clip, evaluation))
    # else the summary says as much
    tabled = len(evaluation.clips) > 1 or any(r.failed or r.notes for r in clip.methods)
    return {
        "clip": clip,
        "facts": _facts(clip, evaluation),
        "rows": list(clip_rows(clip, evaluation)) if tabled else [],
        "charts": charts,
        # where most methods can be compared
        "first": max(charts, key=lambda found: len(found.chart.curves)).metric if charts else None,
        "pictures": pictures(clip, label),
        "change": by_brightness(clip, label, colours),
        "given_back": given_back(clip, label),
        "noise": _noise(clip),
        "removed": [
            spectrum(f"Removed by {label(result.method)}", result.residual.spectrum)
            for result in clip.methods
            if result.residual is not None and result.residual.spectrum
        ],
    }


def labels(evaluation: Evaluation) -> Label:
    """A function from a method's name to its title."""
    titles = {NOISY: "noisy", CLEAN: "reference"}
    titles |= {method.name: method.title for method in evaluation.methods}
    return lambda name: titles.get(name, name)


def hues(evaluation: Evaluation) -> dict[str, int]:
    """A colour per method, the same in every chart; gray is the noisy input's."""
    others = [method.name for method in evaluation.methods if method.name != NOISY]
    return {NOISY: GREY} | {name: place % GREY for place, name in enumerate(others)}


def thinned(values: FrameValues, most: int) -> tuple[list[float], list[float]]:
    """Frames and values, at most `most`: neighbours are averaged where there are more."""
    width = math.ceil(len(values) / most)
    x, y = [], []
    for start in range(0, len(values), width):
        known = [v for v in values[start : start + width] if v is not None and math.isfinite(v)]
        x.append(start + (min(width, len(values) - start) - 1) / 2)
        y.append(sum(known) / len(known) if known else math.nan)
    return x, y


def spectrum(title: str, power: NumberRows) -> SpectrumPicture:
    """A power spectrum (H, W), mean 1, zero frequency first."""
    picture = spectrum_picture(power)
    return SpectrumPicture(title, encode(picture), picture.shape[1::-1], _balance(power))


def _facts(clip: ClipResult, evaluation: Evaluation) -> list[str]:
    facts = [f"{clip.width} x {clip.height}", f"{clip.frames} frames", clip.group]
    return [fact for fact in (*facts, _headline(clip, evaluation)) if fact]


def _headline(clip: ClipResult, evaluation: Evaluation) -> str:
    """The first metric of the first methods, for closed boxes."""
    if not evaluation.metrics or len(evaluation.clips) == 1:
        return ""
    metric = evaluation.metrics[0]
    values = [
        f"{evaluation.method(result.method).title} "
        f"{number(clip.value(result.method, metric.name), metric.digits)}"
        for result in clip.methods[:4]
    ]
    return f"{metric.title}: {', '.join(values)}"


def _charts(clip: ClipResult, evaluation: Evaluation) -> Iterator[MetricChart]:
    """A chart per metric that has a value for every frame."""
    for metric in evaluation.metrics:
        lines = list(_lines(clip, metric, evaluation))
        if lines:
            yield MetricChart(metric, _chart(metric, *_apart(lines)))


def _chart(metric: MetricFacts, lines: list[Curve], far: Curve | None) -> Chart:
    direction = f"{metric.better} is better" if metric.better else ""
    away = f"{far.name} at {far.note}, off the chart" if far else ""
    unit = "; ".join(word for word in (metric.unit, direction, away) if word)
    title = f"{metric.title} over time"
    return Chart(lines, Axes(title=title, x="frame", y=unit, digits=metric.digits, whole=True))


def _apart(lines: list[Curve]) -> tuple[list[Curve], Curve | None]:
    """The curves to draw, and the noisy input's where it would flatten all the others."""
    others = [line for line in lines if line.hue != GREY]
    if len(others) < 2 or len(others) == len(lines):
        return lines, None
    every, near = (
        [y for line in group for y in line.y if math.isfinite(y)] for group in (lines, others)
    )
    if max(every) - min(every) <= FLATTENED * (max(near) - min(near)):
        return lines, None
    return others, next(line for line in lines if line.hue == GREY)


def _lines(clip: ClipResult, metric: MetricFacts, evaluation: Evaluation) -> Iterator[Curve]:
    curves = max(1, len(evaluation.clips) * len(evaluation.methods) * len(evaluation.metrics))
    most = max(LEAST_POINTS, min(MOST_POINTS, POINTS // curves))
    colours = hues(evaluation)
    for result in clip.methods:
        series = result.of(metric.name)
        frames = () if series is None else series.frames.get(WHOLE, ())
        known = [value for value in frames if value is not None and math.isfinite(value)]
        if series is None or len(known) < 2:
            continue
        x, y = thinned(frames, most)
        yield Curve(
            name=evaluation.method(result.method).title, x=x, y=y, hue=colours[result.method],
            note=number(series.value, metric.digits),
        )  # fmt: skip


def _noise(clip: ClipResult) -> dict[str, Any] | None:
    """The noise of the input: its facts, and its plots where it has them."""
    values = clip.noise
    if values is None and clip.pictures is not None:
        values = clip.pictures.noise
    if values is None:
        return None
    power = values.get("power_spectrum")
    return {
        "sigma": sum(values["sigma8"]) / len(values["sigma8"]),
        "confidence": values.get("confidence"),
        "meaning": values.get("meaning", ()),
        "chart": level_chart(values) if power and values.get("law") else None,
        "spectrum": spectrum("Noise of the input", np.mean(power, axis=0).tolist())
        if power
        else None,
    }


def _balance(power: NumberRows) -> str:
    """A spectrum in words: how the slow half compares with the fast one."""
    centred = np.fft.fftshift(np.asarray(power, np.float64))
    rows, columns = (2 * np.fft.fftshift(np.fft.fftfreq(size)) for size in centred.shape)
    radius = np.hypot(rows[:, None], columns[None])
    slow, fast = centred[(radius > 0) & (radius < 0.5)].mean(), centred[radius >= 0.5].mean()
    if min(slow, fast) <= 0:
        return "no power on one side"
    return f"low frequencies {10 * np.log10(slow / fast):+.1f} dB against high ones"
