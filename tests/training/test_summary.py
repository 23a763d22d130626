"""The report: numbers that say what they are, and commands that can be typed."""

import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from f2rcli.training.config import TrainConfig
from f2rcli.training.summary import gain_db, summarise, use_command, verdict


@dataclass(frozen=True)
class Result:
    weights: Path
    run: Path
    start_loss: float = 0.02
    best_loss: float = 0.018
    kept: bool = True
    stopped: str = "end of schedule"
    noise: Any = None
    curve: list[tuple[int, float]] = field(default_factory=list)
    crops: list[Path] = field(default_factory=list)
    seconds: float = 61.0
    notes: list[str] = field(default_factory=list)


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    for name in ("my clip.mkv", "frames/001.png", "frames/002.png", "takes/one.mp4"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "my.run").mkdir()
    return TrainConfig(
        inputs=(str(tmp_path / "my clip.mkv"),), output=str(tmp_path / "my.safetensors")
    )


@pytest.fixture
def result(tmp_path: Path) -> Result:
    return Result(tmp_path / "my.safetensors", tmp_path / "my.run")


def test_a_tenth_of_the_error_is_ten_decibels() -> None:
    assert gain_db(0.1, 0.01) == pytest.approx(10)
    assert gain_db(0.1, 0.2) == pytest.approx(-3.0103)


@pytest.mark.parametrize("pair", [(math.nan, 1), (1, 0), (-1, 1), (math.inf, 1)])
def test_what_is_no_squared_error_has_no_decibels(pair) -> None:
    assert gain_db(*pair) is None


def test_the_page_shows_curve_crops_and_the_command(config, result, tmp_path) -> None:
    crops = [tmp_path / "my.run" / "crop_1.png"]
    summary = summarise(replace(result, crops=crops, stopped="time limit"), config)
    page = summary.page.read_text()
    assert "![crop_1](crop_1.png)" in page
    assert "![loss over steps](curve.png)" in page
    assert use_command(config) in page
    assert "f2r train --resume -o" in page
    assert "cannot be\npredicted by anyone" in page
    assert not any("/" in line.split("](")[1] for line in page.splitlines() if "](" in line)


def test_result_json_holds_no_nan(config, result, tmp_path) -> None:
    summarise(replace(result, start_loss=math.nan, curve=[(1, math.inf)]), config)
    facts = json.loads(
        (tmp_path / "my.run" / "result.json").read_text(), parse_constant=pytest.fail
    )
    assert facts["start_loss"] is None
    assert facts["curve"] == [[1, None]]
    assert facts["sha256"] is None


def test_nothing_gained_is_said_and_no_gain_is_claimed(result) -> None:
    words = verdict(replace(result, kept=False))
    assert "nothing better" in words
    assert "dB" not in words


def test_the_command_fits_what_was_trained_on(config, tmp_path) -> None:
    assert use_command(config).endswith("-o clean.mkv")
    assert f"'{tmp_path}/my clip.mkv'" in use_command(config)
    frames = replace(config, inputs=(str(tmp_path / "frames"),))
    assert " -o " not in use_command(frames)
    takes = replace(config, inputs=(str(tmp_path / "takes"),))
    assert f"{tmp_path}/takes/one.mp4" in use_command(takes)
