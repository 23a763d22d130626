"""The report page: one HTML file that contains everything and fetches nothing."""

import base64
import hashlib
from functools import cache

from jinja2 import Environment
from markupsafe import Markup

from f2rcli.evaluation.report.clip import clip_values, labels
from f2rcli.evaluation.report.pictures import enlarged
from f2rcli.evaluation.report.tables import DASH, shown, summary_rows, timed
from f2rcli.evaluation.result import NOISY, Evaluation
from f2rcli.noise.plot import DECIBELS
from f2rcli.plots.images import VIRIDIS
from f2rcli.plots.svg import environment
from f2rcli.units import count

KINDS = {
    "reference": "Against a clean reference",
    "synthetic": "With noise made on the spot",
    "blind": "Without a reference",
}


def page(evaluation: Evaluation, title: str | None = None) -> str:
    """The report of an evaluation, or of a single run, as the text of an HTML file."""
    script = _templates().get_template("page.js").render()
    return _templates().get_template("page.html").render(
        evaluation=evaluation,
        title=title or (evaluation.benchmark.title if evaluation.benchmark else "Evaluation"),
        subject=_subject(evaluation),
        headline=_headline(evaluation),
        notes=_notes(evaluation),
        rows=list(summary_rows(evaluation)),
        timed=timed(evaluation),
        clips=[clip_values(clip, evaluation) for clip in evaluation.clips],
        methods=[method for method in evaluation.methods if method.name != NOISY],
        files=list(dict.fromkeys(file for clip in evaluation.clips for file in clip.files)),
        label=labels(evaluation),
        script=Markup(script),
        policy=_policy(script),
    )  # fmt: skip


@cache
def _templates() -> Environment:
    made = environment("f2rcli.evaluation.report")
    made.filters |= {"shown": shown, "enlarged": enlarged}
    made.globals |= {"DASH": DASH, "DECIBELS": DECIBELS, "VIRIDIS": VIRIDIS}
    return made


def _policy(script: str) -> str:
    """The content security policy: run this script and fetch nothing."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def _subject(evaluation: Evaluation) -> str:
    names = [clip.name for clip in evaluation.clips]
    return names[0] if len(names) == 1 else count(len(names), "clip")


def _headline(evaluation: Evaluation) -> list[str]:
    frames = sum(clip.frames for clip in evaluation.clips)
    noises = sorted({clip.noise_made for clip in evaluation.clips if clip.noise_made})
    words = [
        KINDS.get(evaluation.kind, evaluation.kind),
        _subject(evaluation),
        f"{frames} frames",
        *noises,
        evaluation.started.replace("T", " ").removesuffix("+00:00"),
    ]
    return [word for word in words if word]


def _notes(evaluation: Evaluation) -> list[str]:
    if evaluation.benchmark is None:
        return [*evaluation.notes]
    notes = [*evaluation.benchmark.protocol, *evaluation.notes]
    if not evaluation.benchmark.complete:
        notes.append("The benchmark is not complete: published rows are not comparable.")
    return notes
