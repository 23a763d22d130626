"""Report of a run: a page in the run folder and a few lines on the terminal."""

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Template

from f2rcli import methods
from f2rcli.io.atomic import write_text
from f2rcli.io.disk_errors import disk_errors
from f2rcli.training.footage.sources import clip_sources
from f2rcli.training.run.clock import NO_TIME
from f2rcli.training.run.config import TrainConfig
from f2rcli.training.run.folder import record_result
from f2rcli.training.run.plots import plot_curve

if TYPE_CHECKING:
    from f2rcli.noise.report import NoiseReport
    from f2rcli.training.run.outcome import TrainResult

REPORT = "report.md"
CURVE = "curve.svg"

CODES = 255


@dataclass(frozen=True, slots=True)
class Summary:
    """The result of a run, as lines for a terminal, as a page, and as JSON values."""

    lines: tuple[str, ...]
    page: Path
    values: dict[str, Any]


def summarise(result: "TrainResult", config: TrainConfig, crops: Sequence[Path] = ()) -> Summary:
    """Write report.md, curve.svg and result.json into the run folder; returns what they say. crops:
    pictures before and after. Raises OutputError; the weights are there all the same."""
    plot_curve(
        [(step, _figure(loss, config)) for step, loss in result.curve],
        result.run / CURVE,
        start=_figure(result.start_loss, config) if math.isfinite(result.start_loss) else None,
        title="minus the held-out loss"
        if config.inputs_are_clean
        else "PSNR against noisy held-out frames, dB",
    )
    page = result.run / REPORT
    with disk_errors(page):
        write_text(page, _page(result, config, crops))
    values = _values(result, config)
    record_result(result.run, Path(config.output), values)
    return Summary(tuple(_lines(result, config, page)), page, values)


def decibels(loss: float) -> float | None:
    """The PSNR, for a peak of 1, of half the natural log of a mean squared error."""
    return -20 / math.log(10) * loss if math.isfinite(loss) else None


def _figure(loss: float, config: TrainConfig) -> float:
    """Value of the curve: PSNR, or minus the loss on clean clips, whose sum has no PSNR."""
    level = decibels(loss)
    return math.nan if level is None else -loss if config.inputs_are_clean else level


def gain_db(result: "TrainResult") -> float | None:
    """Gain in PSNR from the start, in dB; None if either is unknown."""
    start, best = decibels(result.start_loss), decibels(result.best_loss)
    return None if start is None or best is None else best - start


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


def verdict(result: "TrainResult", config: TrainConfig) -> str:
    """One sentence that says, with numbers, if the run found better weights."""
    if result.idle:
        return "nothing learnt in this session"
    if not result.written:
        return "no weights: they would make the footage worse"
    if result.stopped == NO_TIME:
        return "not adapted, for lack of time: these are the weights that it began with"
    if not result.kept:
        return "no significant improvement over the starting weights, which are kept"
    start, best = decibels(result.start_loss), decibels(result.best_loss)
    if config.inputs_are_clean and best is not None:
        return f"loss on held-out clips: {result.start_loss:.4f} -> {result.best_loss:.4f}"
    if best is None:
        return "quality unknown: nothing was validated"
    name = "PSNR against noisy held-out frames"
    if start is None:
        return f"{name}: {best:.3f} dB"
    return f"{name}: {start:.3f} -> {best:.3f} dB ({best - start:+.3f}){_fallen(result)}"


def _fallen(result: "TrainResult") -> str:
    """Reduction of an adaptation's squared error, which needs no clean frames."""
    if result.fell is None:
        return ""
    mean, spread = (value * CODES**2 for value in result.fell[:2])
    return f"; squared error fell by {mean:.2f} +- {spread:.2f} of 8-bit codes (at 34 dB it is 26)"


def _lines(result: "TrainResult", config: TrainConfig, page: Path) -> list[str]:
    return [
        f"result   {verdict(result, config)}",
        *([f"noise    {noise_words(result.noise)}"] if result.noise is not None else []),
        *(f"note     {note}" for note in result.notes),
        *([f"weights  {config.output}"] if result.written else []),
        f"report   {page}",
        *([f"use      {use_command(config)}"] if result.written else []),
        *([] if _finished(result) else [f"resume   {resume_command(config)}"]),
    ]


def _finished(result: "TrainResult") -> bool:
    return "time" not in result.stopped


def _values(result: "TrainResult", config: TrainConfig) -> dict[str, Any]:
    def number(value: float) -> float | None:
        return value if math.isfinite(value) else None

    return {
        "weights": str(config.output) if result.written else None,
        "run": str(result.run),
        "kept": result.kept,
        "stopped": result.stopped,
        "start_loss": number(result.start_loss),
        "best_loss": number(result.best_loss),
        "start_db": None if config.inputs_are_clean else decibels(result.start_loss),
        "best_db": None if config.inputs_are_clean else decibels(result.best_loss),
        "gain_db": None if config.inputs_are_clean else gain_db(result),
        "noise": None if result.noise is None else result.noise.values(),
        "squared_error_fell": None if result.fell is None else result.fell[:2],
        "curve": [[step, number(loss)] for step, loss in result.curve],
        "seconds": round(result.seconds, 1),
        "notes": list(result.notes),
    }


def _page(result: "TrainResult", config: TrainConfig, crops: Sequence[Path]) -> str:
    text = files(__package__).joinpath(REPORT).read_text(encoding="utf-8")
    template = Template(text, trim_blocks=True, keep_trailing_newline=True)
    return template.render(
        name=Path(config.output).name,
        result=result,
        config=config,
        verdict=verdict(result, config),
        begun=_begun(config),
        noise=None if result.noise is None else noise_words(result.noise),
        use=use_command(config),
        resume=None if _finished(result) else resume_command(config),
        curve=CURVE,
        crops=[(path.stem, _beside(path, result.run)) for path in crops],
    )


def _begun(config: TrainConfig) -> str:
    if config.adapt is not None:
        return f", adapting ({config.adapt}) {config.init or 'the bundled weights'}"
    return ", from scratch" if config.init is None else f", from {config.init}"


def _beside(path: Path, folder: Path) -> str:
    """A path as a page in `folder` writes it."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def noise_words(noise: "NoiseReport") -> str:
    """Measured noise in one line."""
    levels = ", ".join(f"{level:.1f}" for level in noise.model.sigma8)
    sure = f"confidence {noise.confidence.word}, {noise.confidence.percent:.0f} %"
    said = (sentence.removesuffix(".") for sentence in noise.meaning())
    return f"sigma {levels} of 255 ({sure}); {'; '.join(said)}."
