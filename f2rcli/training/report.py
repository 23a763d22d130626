"""The report of a run: result.json and one plot in its folder, a few lines on the terminal."""

import math
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from f2rcli import methods
from f2rcli.io.files import disk_errors
from f2rcli.training.config import TrainConfig
from f2rcli.training.folder import record_result
from f2rcli.training.sources import clip_sources

if TYPE_CHECKING:
    from f2rcli.noise.report import NoiseReport
    from f2rcli.training.session import TrainResult

CURVE = "curve.png"
CODES = 255
GAIN, PSNR = "gain over the noisy frames", "PSNR"


@dataclass(frozen=True, slots=True)
class Summary:
    """The result of a run, as lines for a terminal and as JSON values."""

    lines: tuple[str, ...]
    values: dict[str, Any]


def summarise(result: "TrainResult") -> Summary:
    """Write the curve and result.json into the run folder; returns what they say. Raises
    OutputError; the weights are there all the same."""
    config = result.config
    if result.curve:
        plot_curve(result, config.folder / CURVE)
    values = _values(result)
    record_result(config.folder, Path(config.output), values)
    return Summary(tuple(_lines(result)), values)


def plot_curve(result: "TrainResult", path: Path) -> None:
    """Held-out dB over the steps of all stages in a row, as PNG. Raises OutputError."""
    from matplotlib.figure import Figure  # takes a second, and only a picture needs it

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes, before = figure.subplots(), 0
    for stage in dict.fromkeys(name for name, _, _ in result.curve):
        points = [(step, level) for name, step, level in result.curve if name == stage]
        axes.plot([before + step for step, _ in points], [y for _, y in points], ".-", label=stage)
        before += points[-1][0]
    axes.set(xlabel="step", ylabel=f"{measure(result.config)}, dB", title="held-out frames")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    with disk_errors(path, "name another folder with run="):
        figure.savefig(path, dpi=130)


def measure(config: TrainConfig) -> str:
    """What decibels are of."""
    return PSNR if config.clean else GAIN


def use_command(config: TrainConfig) -> str:
    """The command that denoises the first clip with the new weights."""
    clip = next(iter(clip_sources(config.inputs)), None)
    which = [] if config.method == methods.DEFAULT else ["--method", config.method]
    which += ["--weights", config.output]
    if clip is None:
        return shlex.join(["f2r", "denoise", "CLIP", *which])
    words = ["f2r", "denoise", clip.source, *which]
    words += [] if config.axes is None else ["--axes", config.axes]
    words += [] if config.series is None else ["--series", config.series]
    single = clip.files == (Path(clip.source),)  # pictures are written beside the input without -o
    return shlex.join([*words, "-o", f"clean{Path(clip.source).suffix}"] if single else words)


def resume_command(config: TrainConfig) -> str:
    """The command that goes on with a run."""
    words = ["f2r", "train", "--resume", "-o", config.output]
    return shlex.join(words if config.run is None else [*words, "--run", config.run])


def verdict(result: "TrainResult") -> str:
    """One sentence that says, with numbers, what the run reached on frames it never saw."""
    name, config = measure(result.config), result.config
    if not math.isfinite(result.best_db):
        few = "the clips are too short to keep frames for a test"
        return f"not measured: {few if result.curve else 'nothing was trained'}"
    best = f"{result.best_db:.2f} dB"
    if math.isfinite(result.start_db):
        gained = result.best_db - result.start_db
        best = f"{result.start_db:.2f} -> {best} ({gained:+.2f})"
    else:
        best += "" if config.clean else f" ({word(result.best_db)})"
    more = ""
    if result.fell is not None:
        mean, spread = (value * CODES**2 for value in result.fell[:2])
        more = f"; squared error fell by {mean:.2f} +- {spread:.2f} of 8-bit codes"
    return f"{name} on held-out frames: {best}{more}"


def word(gain: float) -> str:
    """What a gain is worth: 8 dB is what a single-frame denoiser takes off ordinary noise; half the
    noise, which is 6 dB, is seen at once; 3 dB is hardly worth the detail it costs."""
    return "good" if gain >= 8 else "fair" if gain >= 6 else "little" if gain >= 3 else "too little"


def _lines(result: "TrainResult") -> list[str]:
    config, unfinished = result.config, result.stopped == "time limit"
    return [
        f"result   {verdict(result)}",
        *([f"noise    {noise_words(result.noise)}"] if result.noise is not None else []),
        *(f"note     {note}" for note in result.notes),
        *([f"curve    {config.folder / CURVE}"] if result.curve else []),
        *([f"resume   {resume_command(config)}"] if unfinished else []),
        *([f"use      {use_command(config)}"] if result.written else []),
        f"weights  {config.output if result.written else f'none written: {result.why_not}'}",
    ]


def _values(result: "TrainResult") -> dict[str, Any]:
    def number(value: float) -> float | None:
        return value if math.isfinite(value) else None

    return {
        "weights": str(result.weights) if result.written else None,
        "why_not": result.why_not,
        "run": str(result.config.folder),
        "stopped": result.stopped,
        "measure": measure(result.config),
        "start_db": number(result.start_db),
        "best_db": number(result.best_db),
        "noise": None if result.noise is None else result.noise.values(),
        "squared_error_fell": None if result.fell is None else result.fell[:2],
        "curve": [[stage, step, number(level)] for stage, step, level in result.curve],
        "seconds": round(result.seconds, 1),
        "notes": list(result.notes),
    }


def noise_words(noise: "NoiseReport") -> str:
    """Measured noise in one line."""
    levels = ", ".join(f"{level:.1f}" for level in noise.model.sigma8)
    sure = f"confidence {noise.confidence.word}, {noise.confidence.percent:.0f} %"
    said = (sentence.removesuffix(".") for sentence in noise.meaning())
    return f"sigma {levels} of 255 ({sure}); {'; '.join(said)}."
