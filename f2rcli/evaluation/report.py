"""The report: one self-contained HTML page per evaluation, which fetches nothing."""

import base64
import hashlib
import json
import math
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from f2rcli.evaluation import plots
from f2rcli.evaluation.pictures import ERROR, FRAME, REMOVED
from f2rcli.evaluation.result import CLEAN, NOISY, WHOLE, ClipResult, Evaluation, MetricFacts
from f2rcli.evaluation.tables import clip_rows, conditions, mean_rows
from f2rcli.units import count

Label = Callable[[str], str]  # a method's name in words

KINDS = {
    "reference": "Against a clean reference",
    "synthetic": "With noise made on the spot",
    "blind": "Without a reference",
}


def page(evaluation: Evaluation) -> str:
    """The report of an evaluation as the text of an HTML file, at most about 8 MB."""
    script = _environment().get_template("report.js").render()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    benchmark = evaluation.benchmark
    names = [clip.name for clip in evaluation.clips]
    files = (file for clip in evaluation.clips for file in clip.files)
    return _environment().get_template("report.html").render(
        evaluation=evaluation,
        title=benchmark.title if benchmark else "Evaluation",
        subject=names[0] if len(names) == 1 else count(len(names), "clip"),
        headline=_headline(evaluation),
        notes=[*conditions(evaluation), *evaluation.notes],
        groups=[(group, mean_rows(evaluation, group)) for group in evaluation.groups],
        clips=[_clip(clip, evaluation) for clip in evaluation.clips],
        methods=[method for method in evaluation.methods if method.name != NOISY],
        files=list(dict.fromkeys(files)),
        script=Markup(script),
        policy="default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
    )  # fmt: skip


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("f2rcli.evaluation"), autoescape=True, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    made.filters |= {"uri": plots.data_uri, "shown": shown}
    return made


def _headline(evaluation: Evaluation) -> list[str]:
    frames = sum(clip.frames for clip in evaluation.clips)
    noises = sorted({clip.noise_made for clip in evaluation.clips if clip.noise_made})
    started = evaluation.started.replace("T", " ").removesuffix("+00:00")
    words = [KINDS.get(evaluation.kind, evaluation.kind), f"{frames} frames", *noises, started]
    return [word for word in words if word]


def shown(value: Any) -> str:
    """A JSON value as a reader would write it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _clip(clip: ClipResult, evaluation: Evaluation) -> dict[str, Any]:
    """The values of a clip's part of the template."""
    titles = {NOISY: "noisy", CLEAN: "reference"}
    titles |= {m.name: m.title for m in evaluation.methods if m.name != NOISY}
    label: Label = lambda name: titles.get(name, name)  # noqa: E731
    several = len(evaluation.clips) > 1 or any(r.failed or r.notes for r in clip.methods)
    return {
        "clip": clip,
        "label": label,
        "facts": [f"{clip.width} x {clip.height}", f"{clip.frames} frames", clip.group],
        "rows": clip_rows(clip, evaluation) if several else [],
        "over_time": _over_time(clip, evaluation, label),
        "noise": clip.noise,
        "noise_chart": plots.noise_plot(clip.noise, clip.name) if clip.noise else None,
        **_pictures(clip, label),
    }


def _pictures(clip: ClipResult, label: Label) -> dict[str, Any]:
    frames, removed, errors = (
        [image for image in clip.pictures if image.kind == kind] for kind in (FRAME, REMOVED, ERROR)
    )
    sides = list(dict.fromkeys(image.method for image in frames))
    made = [side for side in sides if side not in (NOISY, CLEAN)]
    left = NOISY if NOISY in sides else made[0] if made else CLEAN
    right = next((side for side in made if side != left), sides[-1] if sides else CLEAN)
    return {
        "frames": frames,
        "sides": [(side, label(side)) for side in sides],
        "numbers": [(f"{n}", f"{n}") for n in dict.fromkeys(image.frame for image in frames)],
        "left": left,
        "right": right,
        "maps": [
            (removed, "What was taken out",
             "Noisy minus denoised around mid-gray: it should look like noise alone. Edges and "
             "texture that can be recognised are detail that was lost, a tint is colour that was "
             "changed."),
            (errors, "What is still wrong",
             "Denoised minus reference around mid-gray: plain gray is perfect."),
        ],
    }  # fmt: skip


def _over_time(clip: ClipResult, evaluation: Evaluation, label: Label) -> bytes | None:
    """A chart of every metric that has values frame by frame; PNG."""
    charts = [(m, lines) for m in evaluation.metrics if (lines := [*_lines(clip, m, label)])]
    if not charts:
        return None
    figure, each = plots.new_figure(10, 2.6 * len(charts), rows=len(charts))
    for axes, (metric, lines) in zip(each, charts, strict=True):
        way = f"{metric.better} is better" if metric.better else ""
        unit = "; ".join(word for word in (metric.unit, way) if word)
        plots.draw_curves(axes, lines, title=f"{metric.title} over time", x="frame", y=unit)
    return plots.saved(figure)


def _lines(clip: ClipResult, metric: MetricFacts, label: Label) -> Iterator[plots.Curve]:
    for result in clip.methods:
        series = result.metrics.get(metric.name)
        values = () if series is None else series.frames.get(WHOLE, ())
        y = [math.nan if value is None else value for value in values]
        if sum(map(math.isfinite, y)) > 1:
            colour = plots.GREY if result.method == NOISY else None
            yield plots.Curve(name=label(result.method), x=range(len(y)), y=y, colour=colour)
