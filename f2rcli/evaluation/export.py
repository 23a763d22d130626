"""An evaluation as JSON and CSV; docs/eval.md has the schema."""

import csv
import io
import json
import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from f2rcli.evaluation.result import ClipResult, Evaluation, MethodResult

FORMAT = 1
# Fields that are written as they are.
RUN = (
    "kind", "started", "seconds", "command", "versions", "machine", "settings", "notes", "metrics",
    "methods", "benchmark",
)  # fmt: skip
CLIP = (
    "name", "group", "width", "height", "frames", "space", "rate", "noise_made", "files", "noise",
    "notes",
)  # fmt: skip
METHOD = ("method", "failed", "seconds_per_frame", "notes", "residual", "change")
COLUMNS = ("clip", "group", "method", "metric", "channel", "frame", "value")


def to_json(evaluation: Evaluation) -> str:
    """Everything but pictures. An infinite value is the text "inf"; one that is missing is null."""
    return json.dumps(values(evaluation), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def values(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation as JSON values."""
    return {
        "format": FORMAT,
        **_facts(evaluation, RUN),
        "seconds": round(evaluation.seconds, 3),
        "means": list(_means(evaluation)),
        "clips": [_clip(clip) for clip in evaluation.clips],
    }


def _facts(facts: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: _plain(getattr(facts, name)) for name in names}


def _means(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    for group in evaluation.groups:
        for method in evaluation.methods:
            yield {
                "group": group,
                "method": method.name,
                "seconds_per_frame": evaluation.seconds_per_frame(method.name, group),
                "values": {
                    metric.name: _plain(evaluation.mean(method.name, metric.name, group))
                    for metric in evaluation.metrics
                },
            }


def _clip(clip: ClipResult) -> dict[str, Any]:
    return _facts(clip, CLIP) | {"methods": [_method(result) for result in clip.methods]}


def _method(result: MethodResult) -> dict[str, Any]:
    return {
        **_facts(result, METHOD),
        "noise_left": _plain(result.noise),
        "metrics": {
            series.metric: {"clip": _plain(series.clip), "frames": _plain(series.frames)}
            for series in result.series
        },
    }


def _plain(value: Any) -> Any:
    """The same in what JSON has: no dataclasses, no tuples, no infinity, no nan."""
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value


def to_csv(evaluation: Evaluation) -> str:
    """A row for every clip, method, metric, channel and frame; `frame` is "mean" for the clip's
    value. Missing values are left empty, infinite ones are inf."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_rows(evaluation))
    return out.getvalue()


def _rows(evaluation: Evaluation) -> Iterator[tuple[str, ...]]:
    for clip in evaluation.clips:
        for result in clip.methods:
            for series in result.series:
                begin = (clip.name, clip.group, result.method, series.metric)
                for channel, value in series.clip.items():
                    yield (*begin, channel, "mean", _cell(value))
                for channel, frames in series.frames.items():
                    for index, measured in enumerate(frames):
                        if measured is not None:
                            yield (*begin, channel, str(index), _cell(measured))


def _cell(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.9g}"
