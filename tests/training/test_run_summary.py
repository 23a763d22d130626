"""The report: numbers that say what they are, and commands that can be typed."""

import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from f2rcli.noise.model import NoiseModel
from f2rcli.training.methods import trainable
from f2rcli.training.methods.validation import ErrorReduction
from f2rcli.training.run.clock import NO_TIME
from f2rcli.training.run.config import TrainConfig
from f2rcli.training.run.report import decibels, gain_db, summarise, use_command, verdict


@dataclass(frozen=True)
class Result:
    weights: Path
    run: Path
    start_loss: float = 0.5 * math.log(0.02)
    best_loss: float = 0.5 * math.log(0.018)
    kept: bool = True
    idle: bool = False
    written: bool = True
    stopped: str = "end of schedule"
    noise: Any = None
    curve: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 61.0
    notes: list[str] = field(default_factory=list)
    fell: Any = None


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


def test_a_tenth_of_the_error_is_ten_decibels(result) -> None:
    losses = {"start_loss": 0.5 * math.log(0.1), "best_loss": 0.5 * math.log(0.01)}
    assert gain_db(replace(result, **losses)) == pytest.approx(10)
    assert decibels(0.5 * math.log(0.001)) == pytest.approx(30)


@pytest.mark.parametrize("pair", [(math.nan, 1), (1, math.inf)])
def test_what_is_not_known_has_no_decibels(result, pair) -> None:
    assert gain_db(replace(result, start_loss=pair[0], best_loss=pair[1])) is None


def test_the_verdict_says_what_the_figure_is_measured_against(result, config) -> None:
    assert verdict(result, config) == (
        "PSNR against noisy held-out frames: 16.990 -> 17.447 dB (+0.458)"
    )
    clean = replace(config, inputs_are_clean=True, noise="gaussian:5")
    assert verdict(result, clean) == "loss on held-out clips: -1.9560 -> -2.0087"
    assert verdict(replace(result, start_loss=math.nan), config) == (
        "PSNR against noisy held-out frames: 17.447 dB"
    )
    assert "quality unknown" in verdict(replace(result, best_loss=math.nan), config)


def test_an_adaptation_says_by_how_much_the_error_fell(result, config) -> None:
    """In codes, with its error; what a wrong noise model may add has been taken into account."""
    fell = ErrorReduction(30 / 255**2, 2 / 255**2, doubt=1 / 255**2)
    summary = summarise(replace(result, fell=fell), config)
    assert "squared error fell by 30.00 +- 2.00 of 8-bit codes" in summary.lines[0]
    assert summary.values["squared_error_fell"] == (fell.mean, fell.spread)


def test_a_session_without_a_step_promises_nothing(result, config) -> None:
    summary = summarise(replace(result, idle=True, written=False), config)
    assert summary.lines[0] == "result   nothing learnt in this session"
    assert not any(line.startswith(("weights", "use")) for line in summary.lines)
    assert "## Use" not in summary.page.read_text()


def test_weights_that_were_not_written_are_not_offered(result, config) -> None:
    stopped = replace(result, written=False, stopped="time limit")
    summary = summarise(stopped, config)
    assert summary.lines[0] == "result   no weights: they would make the footage worse"
    assert not any(line.startswith(("weights", "use")) for line in summary.lines)
    assert summary.lines[-1].startswith("resume   f2r train --resume")
    assert summary.values["weights"] is None


def test_the_page_tells_the_noise_in_words_and_the_json_in_numbers(config, result) -> None:
    noise = SimpleNamespace(
        model=NoiseModel.gaussian(20 / 255, 3),
        confidence=SimpleNamespace(word="high", percent=4.0),
        meaning=lambda: ("white.", "independent."),
        values=lambda: {"sigma8": [20, 20, 20]},
    )
    summary = summarise(replace(result, noise=noise), config)
    assert (
        "Noise: sigma 20.0, 20.0, 20.0 of 255 (confidence high, 4 %); white; independent."
        in summary.page.read_text()
    )
    assert summary.values["noise"]["sigma8"] == pytest.approx([20, 20, 20])


def test_the_page_shows_curve_crops_and_the_command(config, result, tmp_path) -> None:
    crops = [tmp_path / "my.run" / "crop_1.svg"]
    summary = summarise(replace(result, stopped="time limit"), config, crops)
    page = summary.page.read_text()
    assert "![crop_1](crop_1.svg)" in page
    assert "![the figure over steps](curve.svg)" in page
    assert use_command(config) in page
    assert "f2r train --resume -o" in page
    assert "No estimate can predict" in page
    assert not any("/" in line.split("](")[1] for line in page.splitlines() if "](" in line)


def test_result_json_holds_no_nan(config, result, tmp_path) -> None:
    summarise(replace(result, start_loss=math.nan, curve=[(1, math.inf)]), config)
    facts = json.loads(
        (tmp_path / "my.run" / "result.json").read_text(), parse_constant=pytest.fail
    )
    assert facts["start_loss"] is None
    assert facts["curve"] == [[1, None]]
    assert facts["sha256"] is None


def test_nothing_gained_is_said_and_no_gain_is_claimed(result, config) -> None:
    words = verdict(replace(result, kept=False), config)
    assert "no significant improvement" in words
    assert "dB" not in words


def test_a_session_without_a_step_does_not_claim_to_have_looked_for_a_gain(result, config) -> None:
    words = verdict(replace(result, kept=False, stopped=NO_TIME), config)
    assert words == "not adapted, for lack of time: these are the weights that it began with"


def test_crops_are_mentioned_where_there_are_some(config, result, tmp_path) -> None:
    crops = [tmp_path / "my.run" / "crop_1.svg"]
    assert "Look at the crops" in summarise(result, config, crops).page.read_text()
    assert "Look at" not in summarise(result, config).page.read_text()


def test_the_command_fits_what_was_trained_on(config, tmp_path) -> None:
    assert use_command(config).endswith("-o clean.mkv")
    assert f"'{tmp_path}/my clip.mkv'" in use_command(config)
    frames = replace(config, inputs=(str(tmp_path / "frames"),))
    assert " -o " not in use_command(frames)
    takes = replace(config, inputs=(str(tmp_path / "takes"),))
    assert f"{tmp_path}/takes/one.mp4" in use_command(takes)


def test_the_command_names_a_method_that_is_not_the_default(config) -> None:
    assert "--method" not in use_command(config)
    other = next(name for name in trainable() if name != config.method)
    assert f"--method {other} --weights" in use_command(replace(config, method=other))
