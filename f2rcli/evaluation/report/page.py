"""The page as a whole: one HTML file that carries everything and fetches nothing."""

import base64
import hashlib
from importlib.resources import files

from f2rcli.evaluation.report.clip import clip_box
from f2rcli.evaluation.report.markup import Child, Markup, join, tag
from f2rcli.evaluation.report.tables import facts_table, files_table, shown, summary_table
from f2rcli.evaluation.result import NOISY, Evaluation, MethodFacts

KINDS = {
    "reference": "Against a clean reference",
    "synthetic": "With noise made on the spot",
    "blind": "Without a reference",
}
OPEN = 1  # clips that are unfolded at first


def page(evaluation: Evaluation, title: str | None = None) -> str:
    """The report of an evaluation, or of a single run, as the text of an HTML file."""
    title = title or (evaluation.benchmark.title if evaluation.benchmark else "Evaluation")
    script = _asset("page.js")
    body = tag(
        "body",
        _header(evaluation, title),
        tag("main", _summary(evaluation), _clips(evaluation), _background(evaluation)),
        _footer(evaluation),
        tag("script", script),
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="generator", content=f"f2r {evaluation.versions.get('f2r', '')}"),
        tag("title", f"f2r: {title}, {_subject(evaluation)}"),
        tag("style", _asset("page.css")),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _asset(name: str) -> Markup:
    return Markup(files("f2rcli.evaluation.report").joinpath(name).read_text(encoding="utf-8"))


def _policy(script: str) -> str:
    """What browsers let the page do: run this very script, and fetch nothing."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def _subject(evaluation: Evaluation) -> str:
    names = [clip.name for clip in evaluation.clips]
    return names[0] if len(names) == 1 else f"{len(names)} clips"


def _header(evaluation: Evaluation, title: str) -> Markup:
    frames = sum(clip.frames for clip in evaluation.clips)
    noises = sorted({clip.noise_made for clip in evaluation.clips if clip.noise_made})
    words = [
        KINDS.get(evaluation.kind, evaluation.kind),
        _subject(evaluation),
        f"{frames} frames",
        *noises,
        evaluation.started.replace("T", " ").removesuffix("+00:00"),
    ]
    toggle = tag("button", "Dark", type="button", data_theme_toggle=True, hidden=True,
                 aria_label="Dark colours")  # fmt: skip
    text = tag("div", tag("h1", title), tag("p", " · ".join(w for w in words if w), class_="soft"))
    return tag("header", text, toggle)


def _summary(evaluation: Evaluation) -> Markup:
    benchmark = evaluation.benchmark
    notes = list(evaluation.notes)
    if benchmark is not None:
        notes = [*benchmark.protocol, *notes]
        if not benchmark.complete:
            notes.append("Not all of the benchmark was there: published rows do not compare.")
    return tag(
        "section",
        tag("h2", "Summary"),
        summary_table(evaluation),
        tag("ul", [tag("li", note) for note in notes], class_="notes") if notes else None,
        tag("details", tag("summary", "What the figures mean"), _definitions(evaluation)),
    )


def _definitions(evaluation: Evaluation) -> Markup:
    pairs = [(m.title, m.definition) for m in evaluation.metrics if m.definition]
    return tag("div", facts_table(pairs), class_="inside")


def _clips(evaluation: Evaluation) -> Markup:
    boxes = [
        clip_box(clip, evaluation, unfolded=place < OPEN)
        for place, clip in enumerate(evaluation.clips)
    ]
    hidden = sum(clip.pictures is None for clip in evaluation.clips)
    few = "To keep the page small, not every clip has its pictures here."
    note = tag("p", tag("small", few)) if 0 < hidden < len(evaluation.clips) else None
    return tag("section", tag("h2", "Clip by clip" if len(boxes) > 1 else "The clip"), note, boxes)


def _background(evaluation: Evaluation) -> Markup:
    run: list[tuple[str, Child]] = [
        ("Command", tag("code", evaluation.command) if evaluation.command else None),
        ("Machine", evaluation.machine),
        ("Started", evaluation.started),
        ("Took", f"{evaluation.seconds:.0f} s"),
    ]
    methods = [(m.title, _method(m)) for m in evaluation.methods if m.name != NOISY]
    parts = [
        ("Run", facts_table((name, value) for name, value in run if value)),
        ("Methods", facts_table(methods)),
        ("Settings", facts_table(evaluation.settings)),
        ("Versions", facts_table(evaluation.versions)),
        ("Files", files_table(evaluation.clips)),
    ]
    boxes = [
        tag("details", tag("summary", name), tag("div", table, class_="inside"))
        for name, table in parts
    ]
    return tag("section", tag("h2", "How this was measured"), boxes)


def _method(method: MethodFacts) -> Markup:
    """Everything that tells what ran: version, weights with their hash, settings."""
    facts: list[tuple[str, Child]] = [
        ("version", method.version),
        ("weights", method.weights),
        ("SHA-256", tag("code", method.weights_sha256) if method.weights_sha256 else None),
        *((name, shown(value)) for name, value in method.settings.items()),
    ]
    told = [(name, value) for name, value in facts if value]
    return join(
        [[f"{name} " if i == 0 else f"; {name} ", value] for i, (name, value) in enumerate(told)]
    )


def _footer(evaluation: Evaluation) -> Markup:
    version = evaluation.versions.get("f2r", "")
    words = (
        f"Written by f2r {version}. This page is one file: it fetches nothing and sends nothing."
    )
    return tag("footer", tag("p", words))
