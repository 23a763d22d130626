"""The report: one self-contained HTML page per evaluation, which fetches nothing."""

import base64
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from f2rcli.evaluation.pictures import CROP, ERROR, FRAME, REMOVED
from f2rcli.evaluation.result import CLEAN, MOVED, NOISY, WHOLE, ClipResult, Evaluation, MetricFacts
from f2rcli.evaluation.tables import clip_rows, mean_rows
from f2rcli.io.files import write_file
from f2rcli.noise.report import draw_levels
from f2rcli.plots import GREY, Curve, data_uri, draw_curves, draw_spectrum, new_figure, saved
from f2rcli.units import count

Label = Callable[[str], str]  # a method's name in words

BENT = 1.0  # codes up to which the axis of changes is linear
PLANE_COLOURS = {"Y": GREY, "Cb": "#0b62c4", "Cr": "#b0203a", "gray": GREY}
PLANE_COLOURS |= {"R": "#b0203a", "G": "#0f7b5f", "B": "#0b62c4"}
KINDS = {
    "reference": "Against a clean reference",
    "synthetic": "With noise made on the spot",
    "blind": "Without a reference",
}


def write_report(evaluation: Evaluation, path: Path, *, overwrite: bool = False) -> None:
    """Write an evaluation as one HTML page, atomically; at most about 8 MB. Raises OutputError."""
    write_file(path, page(evaluation).encode("utf-8", "replace"), overwrite=overwrite)


def page(evaluation: Evaluation) -> str:
    """The report of an evaluation as the text of an HTML file."""
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
        notes=_notes(evaluation),
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
    made.filters |= {"uri": data_uri, "shown": shown}
    return made


def _headline(evaluation: Evaluation) -> list[str]:
    frames = sum(clip.frames for clip in evaluation.clips)
    noises = sorted({clip.noise_made for clip in evaluation.clips if clip.noise_made})
    started = evaluation.started.replace("T", " ").removesuffix("+00:00")
    words = [KINDS.get(evaluation.kind, evaluation.kind), f"{frames} frames", *noises, started]
    return [word for word in words if word]


def _notes(evaluation: Evaluation) -> list[str]:
    if evaluation.benchmark is None:
        return [*evaluation.notes]
    notes = [*evaluation.benchmark.protocol, *evaluation.notes]
    if not evaluation.benchmark.complete:
        notes.append("The benchmark is not complete: published rows are not comparable.")
    return notes


def shown(value: Any) -> str:
    """A JSON value as a reader would write it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _clip(clip: ClipResult, evaluation: Evaluation) -> dict[str, Any]:
    """The values of a clip's part of the template."""
    titles = {NOISY: "noisy", CLEAN: "reference"}
    titles |= {m.name: m.title for m in evaluation.methods if m.name != NOISY}
    label: Label = lambda name: titles.get(name, name)  # noqa: E731
    several = len(evaluation.clips) > 1 or any(r.failed or r.notes for r in clip.methods)
    change = [(result.method, result.change) for result in clip.methods if result.change]
    return {
        "clip": clip,
        "label": label,
        "facts": [f"{clip.width} x {clip.height}", f"{clip.frames} frames", clip.group],
        "rows": clip_rows(clip, evaluation) if several else [],
        "over_time": _over_time(clip, evaluation, label),
        "change": _change_words(change, label),
        "change_chart": _change_chart(clip, label),
        "noise": clip.noise,
        "noise_chart": _noise_chart(clip, label),
        **_pictures(clip, label),
    }


def _pictures(clip: ClipResult, label: Label) -> dict[str, Any]:
    """Everything that was kept of a clip; nothing if that is nothing."""
    if clip.pictures is None:
        return {"frames": [], "crops": [], "maps": []}
    frames, crops = clip.pictures.of(FRAME), clip.pictures.of(CROP)
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
        "crops": [[*each] for _, each in groupby(crops, key=lambda one: (one.frame, one.box))],
        "maps": [
            (clip.pictures.of(REMOVED), "What was taken out",
             "Noisy minus denoised around mid-gray: it should look like noise alone. Edges and "
             "texture that can be recognised are detail that was lost, a tint is colour that was "
             "changed."),
            (clip.pictures.of(ERROR), "What is still wrong",
             "Denoised minus reference around mid-gray: plain gray is perfect."),
        ],
    }  # fmt: skip


def _over_time(clip: ClipResult, evaluation: Evaluation, label: Label) -> bytes | None:
    """A chart of every metric that has values frame by frame; PNG."""
    charts = [(m, lines) for m in evaluation.metrics if (lines := [*_lines(clip, m, label)])]
    if not charts:
        return None
    figure, each = new_figure(10, 2.6 * len(charts), rows=len(charts))
    for axes, (metric, lines) in zip(each, charts, strict=True):
        way = f"{metric.better} is better" if metric.better else ""
        unit = "; ".join(word for word in (metric.unit, way) if word)
        draw_curves(axes, lines, title=f"{metric.title} over time", x="frame", y=unit)
    return saved(figure)


def _lines(clip: ClipResult, metric: MetricFacts, label: Label) -> Iterator[Curve]:
    for result in clip.methods:
        series = result.of(metric.name)
        values = () if series is None else series.frames.get(WHOLE, ())
        y = [math.nan if value is None else value for value in values]
        if sum(map(math.isfinite, y)) > 1:
            colour = GREY if result.method == NOISY else None
            yield Curve(name=label(result.method), x=range(len(y)), y=y, colour=colour)


def _change_words(found: Sequence[tuple[str, Any]], label: Label) -> list[str]:
    """Whether any brightness moved by more than half a code, a sentence per method."""
    words = []
    for method, planes in found:
        base = "noisy input" if planes[0].against == NOISY else "reference"
        moved = [(plane.name, plane.moved) for plane in planes if plane.moved is not None]
        said = ", ".join(f"{p} by {by:+.1f} where luma is {at:.0f}" for p, (at, by) in moved)
        words.append(
            f"{label(method)}: moved by more than half a code from the {base}: {said}."
            if said
            else f"{label(method)}: no brightness moved by more than half a code from the {base}."
        )
    return words


def _change_chart(clip: ClipResult, label: Label) -> bytes | None:
    """A chart per plane of the mean change by brightness, with one method's spread; PNG."""
    found = [(result.method, result.change) for result in clip.methods if result.change]
    if not found:
        return None
    names = [plane.name for plane in found[0][1]]
    figure, each = new_figure(3.4 * len(names), 3, columns=len(names))
    for axes, name in zip(each, names, strict=True):
        lines = [
            Curve(
                name=label(method), x=plane.brightness, y=plane.mean,
                colour=PLANE_COLOURS.get(name) if len(found) == 1 else None,
                spread=plane.spread if len(found) == 1 else (),
            )
            for method, planes in found for plane in planes if plane.name == name
        ]  # fmt: skip
        draw_curves(axes, lines, title=name, x="luma, codes", y="codes")
        axes.set_yscale("symlog", linthresh=BENT)
        for limit in (-MOVED, MOVED):
            axes.axhline(limit, color="gray", linestyle="--", linewidth=0.8)
    return saved(figure)


def _noise_chart(clip: ClipResult, label: Label) -> bytes | None:
    """The input's noise by brightness and its spectrum, and those of what was taken out; PNG."""
    noise = clip.noise if clip.noise and clip.noise.get("law") else None
    power = None if noise is None else noise.get("power_spectrum")
    spectra = [("Noise of the input", np.mean(power, axis=0))] if power else []
    spectra += [
        (f"Removed by {label(result.method)}", np.asarray(result.residual))
        for result in clip.methods
        if result.residual
    ]
    shown_at = len(spectra) + (noise is not None)
    if not shown_at:
        return None
    rows = math.ceil(shown_at / 3)
    figure, places = new_figure(11, 3.2 * rows, rows, min(3, shown_at))
    if noise is not None:
        draw_levels(places.pop(0), noise, "Noise over brightness")
    for axes, (title, spectrum) in zip(places, spectra, strict=False):
        draw_spectrum(axes, spectrum, title)
    for axes in places[len(spectra) :]:
        axes.set_axis_off()
    return saved(figure)
