"""An evaluation as JSON and CSV."""

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from f2rcli.evaluation.result import Evaluation

FORMAT = 1
COLUMNS = ("clip", "group", "method", "metric", "channel", "frame", "value")


def values(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation as JSON values: its fields but for pictures, with the series of a method by
    metric. An infinite value is the text "inf"; one that is missing is null."""
    found: dict[str, Any] = {"format": FORMAT, **_plain(evaluation)}
    for clip in found["clips"]:
        for result in clip["methods"]:
            result["metrics"] = {series.pop("metric"): series for series in result.pop("series")}
    return found | {"means": list(_means(evaluation))}


def _means(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    for group in evaluation.groups:
        for method in evaluation.methods:
            means = {
                m.name: evaluation.mean(method.name, m.name, group) for m in evaluation.metrics
            }
            yield {
                "group": group,
                "method": method.name,
                "seconds_per_frame": evaluation.seconds_per_frame(method.name, group),
                "values": _plain(means),
            }


def _plain(value: Any) -> Any:
    """The same in what JSON has: no dataclasses, no tuples, no infinity, no nan."""
    if is_dataclass(value):
        return {
            f.name: _plain(getattr(value, f.name)) for f in fields(value) if f.name != "pictures"
        }
    if hasattr(value, "items"):
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
