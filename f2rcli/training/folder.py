"""The folder of a training run: its files, and the options it began with; and what a run says."""

import json
import math
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from f2rcli import methods
from f2rcli.errors import F2RError, OutputError, UsageError
from f2rcli.evaluation.plots import Curve, draw_curves, new_figure, saved
from f2rcli.io.files import check_target, disk_errors, file_digest, locked, write_text
from f2rcli.settings import read_table
from f2rcli.training.config import TrainConfig, clip_sources, read_config
from f2rcli.units import span

if TYPE_CHECKING:
    from f2rcli.noise.report import NoiseReport
    from f2rcli.training.exams import ErrorReduction


CONFIG, RESULT = "run.json", "result.json"
# What may differ between a run and its continuation, because the result does not depend on it
# (threads and device change sums in their last bits, and a resumed run may have moved).
MAY_CHANGE = {"output", "run", "resume", "overwrite", "time_limit", "threads", "device"}
ELSEWHERE = "name another folder with run="
MADE_HERE = {".json", ".csv", ".png", ".safetensors", ".part"}  # by a run


def resumed(folder: Path, asked: dict[str, Any]) -> TrainConfig:
    """The run in `folder` with what was asked for now, for check_run. Raises UsageError if none."""
    if not (folder / CONFIG).is_file():
        what = f"resume=True: {folder} is not a run folder."
        raise UsageError(what, hint="Name the run's folder with run=, or its output with output=.")
    return replace(read_config(folder / CONFIG), **{**asked, "run": str(folder), "resume": True})


def check_run(config: TrainConfig) -> None:
    """Raise for a run that cannot begin or must not, before anything is touched or loaded.

    InputError for clips that are not there, UsageError or OutputError for the other paths and the
    noise, UsageError for a continuation that is another run.
    """
    output, folder = Path(config.output), config.folder
    sources = [file for clip in clip_sources(config.inputs) for file in clip.files]
    if config.init is not None:
        sources.append(Path(config.init))
    if config.noise is not None:
        from f2rcli.noise.synthesis.spec import parse  # brings codecs

        parse(config.noise)
    known = read_table(folder / RESULT).get("sha256")  # of what this run wrote
    ours = config.resume and output.is_file() and known == file_digest(output)
    check_target(output, sources, overwrite=config.overwrite or ours)
    if config.resume:
        _check_same(config)
    elif (folder / CONFIG).exists():
        if not config.overwrite:
            state = "a finished run" if (folder / RESULT).exists() else "an unfinished run"
            what = f"{folder}: holds {state}."
            raise OutputError(what, hint="resume=True continues it, overwrite=True starts afresh.")
        read_config(folder / CONFIG)  # a folder of others is not emptied
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        what = f"{folder}: already exists and is not a run folder."
        raise OutputError(what, hint="Name another with run=.")


@contextmanager
def running(config: TrainConfig) -> Iterator[Path]:
    """Hold the run folder, with what was asked for written into it; gives its path. A run that
    fails before there is anything to continue from leaves no folder.

    Raises what check_run raises, and OutputError when the folder cannot be written or another
    process trains in it.
    """
    check_run(config)
    folder = config.folder
    begins = not (folder / CONFIG).exists()
    hint = "Wait for it, or name another folder with run=."
    busy = OutputError(f"{folder}: another f2r train is using it.", hint=hint)
    with ExitStack() as held:
        with disk_errors(folder, ELSEWHERE):
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(locked(folder / ".run.lock", busy))
        try:
            if config.overwrite and not config.resume:
                _empty(folder, keep=[config.output, *config.inputs, config.init or ""])
            with disk_errors(folder / CONFIG, ELSEWHERE):
                write_text(folder / CONFIG, config.to_json())
            yield folder
        except F2RError:
            if begins and not any(folder.rglob("*.safetensors")):
                shutil.rmtree(folder, ignore_errors=True)
            raise


def _check_same(config: TrainConfig) -> None:
    stored, now = read_config(config.folder / CONFIG).located, config.located
    names = [f.name for f in fields(TrainConfig) if f.name not in MAY_CHANGE]
    changed = [name for name in names if getattr(stored, name) != getattr(now, name)]
    if changed:
        values = {name: getattr(stored, name) for name in changed}
        told = {n: "other" if isinstance(value, tuple) else value for n, value in values.items()}
        before = ", ".join(f"{name} ({value} then)" for name, value in told.items())
        what = f"resume=True: settings differ from those the run began with: {before}."
        raise UsageError(what, hint="Leave them out to continue, or start another run with run=.")


def _empty(folder: Path, keep: list[str]) -> None:
    """Remove what a run put into its folder: checkpoints would be gone on from."""
    kept = {Path(path).absolute() for path in keep}
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.suffix == ".pairs" and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        if path.suffix in MADE_HERE and path.is_file() and path.absolute() not in kept:
            path.unlink()


# --- What a run says on its way ------------------------------------------------------------------


class EventKind(StrEnum):
    PROGRESS = "progress"  # of every step; for bars
    LOG = "log"  # a line of text, or a row of the CSV
    VALIDATED = "validated"
    SAVED = "saved"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Progress of a run: a line of text for people, numbers for bars and programs."""

    kind: EventKind
    stage: str
    step: int
    steps: int  # of the whole schedule; an estimate where it follows the clock; 0: unknown
    text: str = ""  # what happened, for every kind but progress
    loss: float | None = None  # of the latest step, or the mean since the last row
    validation: float | None = None  # dB of the held-out frames; see `exams.ValidationErrors`
    best: float | None = None  # highest validation so far
    lr: float = 0.0
    norm: float | None = None  # mean gradient norm before clipping
    rate: float = 0.0  # steps per second
    eta: float | None = None  # seconds to the end of the stage

    @property
    def words(self) -> str:
        """How far its stage is, and how good."""
        parts = [f"{self.step}/{self.steps} steps"]
        if self.eta is not None:
            parts.append(f"ETA {span(self.eta)}")
        held_out = self.best if self.validation is None else self.validation
        if held_out is not None:
            most = abs(held_out - MOST_GAIN) < 1e-4  # all that noisy targets tell
            parts.append(f"held out {held_out:.2f} dB{' or more' * most}")
        return ", ".join(parts)

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.stage, self.words, self.text)))


OnEvent = Callable[[Event], None]


def said(text: str) -> Event:
    """A line of text before the first step."""
    return Event(kind=EventKind.LOG, stage="footage", step=0, steps=0, text=text)


# --- What a run says at its end: result.json and one plot in its folder, lines on the terminal ---


CURVE = "curve.png"
CODES = 255
GAIN, PSNR = "gain over the noisy frames", "PSNR"
MOST_GAIN = 20.0  # dB; see LEAST_LEFT of exams.py, which brings torch
MISREAD = 0.01  # of sigma: to that white noise of ten filmed clips is read, at 10 of 255


@dataclass(kw_only=True)
class TrainResult:
    config: TrainConfig
    why_not: str | None = None  # why no weights were written
    for_time: bool = False  # whether that is for lack of time: another run may write some
    stopped: str = "finished"
    start_db: float = math.nan  # of the weights it began with, on test frames
    best_db: float = math.nan  # of what was trained, on them
    fell: "ErrorReduction | None" = None  # of their squared error
    curve: list[tuple[str, int, float]] = field(default_factory=list)  # stage, step, dB
    noise: "NoiseReport | None" = None  # of the first clip
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def weights(self) -> Path:
        return Path(self.config.output)

    @property
    def written(self) -> bool:
        return self.why_not is None


def summarise(result: TrainResult) -> tuple[list[str], dict[str, Any]]:
    """Write the curve and result.json into the run folder; returns what they say, as lines for a
    terminal and as JSON values. Raises OutputError; the weights are there all the same."""
    folder, output = result.config.folder, Path(result.config.output)
    if result.curve:
        plot_curve(result, folder / CURVE)
    values = _values(result)
    digest = file_digest(output) if output.is_file() else None
    table = {**values, "output": str(output.absolute()), "sha256": digest}
    with disk_errors(folder / RESULT, ELSEWHERE):
        write_text(folder / RESULT, json.dumps(table, indent=2) + "\n")
    return _lines(result), values


def plot_curve(result: TrainResult, path: Path) -> None:
    """Held-out dB over the steps of all stages in a row, as PNG. Raises OutputError."""
    curves, before = list[Curve](), 0
    for stage in dict.fromkeys(name for name, _, _ in result.curve):
        steps, levels = zip(*((s, y) for name, s, y in result.curve if name == stage), strict=True)
        curves.append(Curve(name=stage, x=[before + step for step in steps], y=levels))
        before += steps[-1]
    figure, (axes,) = new_figure(7, 4)
    decibels = f"{measure(result.config)}, dB"
    draw_curves(axes, curves, title="held-out frames", x="step", y=decibels)
    with disk_errors(path, ELSEWHERE):
        path.write_bytes(saved(figure))


def measure(config: TrainConfig) -> str:
    """What decibels are of."""
    return PSNR if config.clean else GAIN


def use_command(config: TrainConfig) -> str:
    """The command that denoises the first clip with the new weights."""
    clip = clip_sources(config.inputs)[0]
    words = ["f2r", "denoise", clip.source]
    words += [] if config.method == methods.DEFAULT else ["--method", config.method]
    words += ["--weights", config.output]
    words += [] if config.axes is None else ["--axes", config.axes]
    words += [] if config.series is None else ["--series", config.series]
    single = clip.files == (Path(clip.source),)  # pictures are written beside the input without -o
    return shlex.join([*words, "-o", f"clean{Path(clip.source).suffix}"] if single else words)


def resume_command(config: TrainConfig) -> str:
    words = ["f2r", "train", "--resume", "-o", config.output]
    return shlex.join(words if config.run is None else [*words, "--run", config.run])


def verdict(result: TrainResult) -> str:
    """One sentence that says, with numbers, what the run reached on frames it never saw."""
    name, config = measure(result.config), result.config
    if not math.isfinite(result.best_db):
        return "not measured: nothing learnt"
    best = f"{result.best_db:.2f} dB"
    if not config.clean and result.best_db > MOST_GAIN - 0.005:
        best = f"{MOST_GAIN:.0f} dB or more, which is all that noisy targets tell"
    elif math.isfinite(result.start_db):
        gained = result.best_db - result.start_db
        best = f"{result.start_db:.2f} -> {best} ({gained:+.2f})"
    elif not config.clean:
        best += f" ({word(result.best_db)})"
    more = ""
    if not config.clean:  # the noise as measured was taken from the error
        least = -10 * math.log10(10 ** (-result.best_db / 10) + 2 * MISREAD)
        more = f"; {least:.1f} if sigma is {100 * MISREAD:.0f} % lower than measured"
    if result.fell is not None:
        mean, spread = (value * CODES**2 for value in result.fell[:2])
        more += f"; squared error fell by {mean:.2f} +- {spread:.2f} of 8-bit codes"
    return f"{name} on held-out frames: {best}{more}"


def word(gain: float) -> str:
    """What a gain is worth: 8 dB is what a single-frame denoiser takes off ordinary noise; half the
    noise, which is 6 dB, is seen at once; 3 dB is hardly worth the detail it costs."""
    return "good" if gain >= 8 else "fair" if gain >= 6 else "little" if gain >= 3 else "too little"


def _lines(result: TrainResult) -> list[str]:
    config, unfinished = result.config, result.stopped == "time limit"
    return [
        f"result   {verdict(result)}",
        *([f"noise    {noise_words(result.noise)}"] if result.noise else []),
        *(f"note     {note}" for note in result.notes),
        *([f"curve    {config.folder / CURVE}"] if result.curve else []),
        *([f"resume   {resume_command(config)}"] if unfinished else []),
        *([f"use      {use_command(config)}"] if result.written else []),
        f"weights  {config.output if result.written else f'none written: {result.why_not}'}",
    ]


def _values(result: TrainResult) -> dict[str, Any]:
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
    """Measured noise in one line, of a stack in its own units."""
    sure = f"confidence {noise.confidence.word}, {noise.confidence.percent:.0f} %"
    said = (sentence.removesuffix(".") for sentence in noise.meaning())
    return f"{noise.model.words(noise.levels)} ({sure}); {'; '.join(said)}."
