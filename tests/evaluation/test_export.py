"""JSON and CSV hold every value, and nothing that their readers choke on."""

import csv
import io
import json
import math

from f2rcli.evaluation import result, tables

PSNR = result.MetricFacts(name="psnr", title="PSNR", unit="dB")


def evaluation() -> result.Evaluation:
    series = result.MetricSeries(
        frames={"all": (30.5, None, math.inf), "r": (31.0, 32.0, 33.0)},
        clip={"all": math.inf, "r": 32.0, "b": math.nan},
    )
    done = result.MethodResult(method="f2r", metrics={"psnr": series}, seconds_per_frame=0.5)
    clip = result.ClipResult(
        name='a, "b".mkv', width=4, height=2, frames=3, space="rgb", methods=(done,)
    )
    return result.Evaluation(
        kind="reference", metrics=(PSNR,), methods=(result.MethodFacts(name="f2r", title="f2r"),),
        clips=(clip,), settings={"seed": 0}, versions={"f2r": "1"},
    )  # fmt: skip


def refuse(word: str) -> float:
    raise AssertionError(f"{word} is no JSON")


def test_json_is_strict_and_tells_infinite_from_missing() -> None:
    text = json.dumps(tables.values(evaluation()), allow_nan=False)
    values = json.loads(text, parse_constant=refuse)
    assert values["format"] == tables.FORMAT
    measured = values["clips"][0]["methods"][0]["metrics"]["psnr"]
    assert measured["clip"] == {"all": "inf", "r": 32.0, "b": None}
    assert measured["frames"]["all"] == [30.5, None, "inf"]
    assert values["means"] == [
        {"group": "", "method": "f2r", "seconds_per_frame": 0.5, "values": {"psnr": "inf"}}
    ]


def test_csv_has_a_row_per_value_and_leaves_missing_ones_empty() -> None:
    rows = list(csv.DictReader(io.StringIO(tables.to_csv(evaluation()))))
    assert tuple(rows[0]) == tables.COLUMNS
    assert {row["clip"] for row in rows} == {'a, "b".mkv'}
    found = {(row["channel"], row["frame"]): row["value"] for row in rows}
    assert found == {
        ("all", "mean"): "inf", ("r", "mean"): "32", ("b", "mean"): "",
        ("all", "0"): "30.5", ("all", "2"): "inf",
        ("r", "0"): "31", ("r", "1"): "32", ("r", "2"): "33",
    }  # fmt: skip
