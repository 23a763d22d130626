"""One training run from footage to weights: decode, measure, train stage after stage, save."""

import math
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from f2rcli import methods, weights
from f2rcli.engine.device import choose_device, choose_precision, use_threads
from f2rcli.engine.measuring import FRAMES, measure_pictures
from f2rcli.engine.tiles import Runner
from f2rcli.errors import InputError, WeightsError
from f2rcli.frames import Space
from f2rcli.models.layers import channels_last
from f2rcli.noise.report import NoiseReport
from f2rcli.training import recipes
from f2rcli.training.config import TrainConfig
from f2rcli.training.distributed import ALONE, Group, joined, launched
from f2rcli.training.events import Event, Kind
from f2rcli.training.footage import Footage, open_footage
from f2rcli.training.recipes import Course, Material, Recipe
from f2rcli.training.selfsup import Fall, fall, surely_better
from f2rcli.training.trainer import Trainer
from f2rcli.weights import Header

SHARED = (
    0.5  # correlation of channels from which noise counts as compressed (0.84 and more; texture
)
# that is not aligned well reads up to 0.25)
DEPENDENT = 0.2  # correlation of adjacent frames' noise from which nothing is adapted: texture that
# is not aligned well reads up to 0.15 where frames are independent (benchmarks/noise.py)
Report = Callable[[Event], None]


@dataclass(frozen=True)
class TrainResult:
    """What a run came to. Losses are half the log of the mean squared error to held-out targets."""

    weights: Path
    run: Path
    start_loss: float  # NaN where nothing was held out
    best_loss: float
    kept: bool  # False: nothing surely better was found, and the start's weights were written
    stopped: str
    noise: NoiseReport | None
    curve: list[tuple[int, float]]  # of the last stage
    crops: list[Path]
    seconds: float
    notes: list[str]
    fell: Fall | None = None  # of an adaptation's held-out squared error


def train(config: TrainConfig, report: Report) -> TrainResult:
    """Run everything that `config` asks for, and write the weights to its output.

    Raises InputError for footage that teaches nothing (too short, no noise), WeightsError for a
    start that does not fit, and what opening footage and training raise.
    """
    started = time.monotonic()
    with ExitStack() as open_:
        device, group = choose_device(config.device), ALONE
        if launched():
            group, device = open_.enter_context(joined(device))
        use_threads(config.threads)
        notes: list[str] = []
        material = gather(config, device, notes, report)
        recipe = recipes.load(material)
        run = _train_stages if config.adapt is None else adapt
        outcome = run(recipe, material, group, report, started)
        notes += outcome.notes
    if group.first:
        state = {name: value.cpu() for name, value in recipe.networks.state_dict().items()}
        weights.save(Path(config.output), outcome.header or recipe.header, state)
    noise = next((r for r in material.noise if r is not None), None)
    return TrainResult(
        Path(config.output), config.folder, outcome.start, outcome.best, outcome.kept,
        outcome.stopped, noise, outcome.curve, [], time.monotonic() - started, notes, outcome.fell,
    )  # fmt: skip


def gather(config: TrainConfig, device: torch.device, notes: list[str], report: Report) -> Material:
    """Footage, its noise and the weights to start from."""

    def say(line: str) -> None:
        report(Event(kind=Kind.LOG, stage="footage", step=0, steps=0, text=line))

    jobs = config.jobs or max(1, min(4, (os.cpu_count() or 2) - 1))
    footage = open_footage(
        [Path(item) for item in config.inputs],
        config.folder / "footage",
        budget=config.memory_bytes,
        jobs=jobs,
        report=say,
    )
    _check_space(config, footage)
    precision = choose_precision(config.precision, device)
    noise: list[NoiseReport | None] = []
    if not config.clean:
        say("measuring the noise")
        noise = measure_footage(config.method, footage, device, precision)
        _check_noise(footage, noise, notes)
    return Material(
        config, footage, noise, starting_weights(config, footage[0].space), config.folder,
        device, precision, jobs,
    )  # fmt: skip


def starting_weights(config: TrainConfig, space: Space) -> weights.Weights | None:
    """The weights that a run begins from; bundled ones for an adaptation; None from scratch."""
    if config.start is not None:
        return weights.load(config.start)
    if config.adapt is None:
        return None
    return weights.load(weights.choose(config.method, space))


def measure_footage(
    method: str, footage: list[Footage], device: torch.device, precision: str
) -> list[NoiseReport | None]:
    """The noise of every clip, by the bundled weights; None where there is too little to see."""
    found: list[NoiseReport | None] = []
    for clip in footage:
        shot = max(clip.shots, key=len, default=range(0))
        first = shot.start + max(len(shot) - FRAMES, 0) // 2
        stop = min(first + FRAMES, shot.stop)
        bundled = weights.load(_measuring_weights(method, clip.space))
        runner = Runner(device, precision, None)
        measurer = methods.load(bundled.header.method).from_weights(bundled, runner)
        channels_last(measurer.networks.eval().to(device))
        channels = bundled.header.channels
        pictures = [_tensor(clip.read(i), channels, device) for i in range(first, stop)]
        seen = measure_pictures(pictures, measurer)
        found.append(seen)
    return found


def _measuring_weights(method: str, space: Space) -> str:
    for name, kind in ((method, space), ("f2r", space), ("f2r", Space.RGB)):
        try:
            return weights.choose(name, kind)
        except WeightsError:
            continue
    raise WeightsError("no bundled weights to measure noise with.", hint="Reinstall f2r.")


def _tensor(picture: np.ndarray, channels: int, device: torch.device) -> Tensor:
    planes = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None].to(device)
    return planes.expand(-1, channels, -1, -1).contiguous()


def _check_space(config: TrainConfig, footage: list[Footage]) -> None:
    space = footage[0].space
    if config.space == "auto" or config.space == space.value or config.clean:
        return
    raise InputError(
        f"{footage[0].name}: {space.value}, not {config.space}.",
        hint=f"Pass --space {space.value}, or leave it out.",
    )


def _check_noise(footage: list[Footage], noise: list[NoiseReport | None], notes: list[str]) -> None:
    seen = [r for r in noise if r is not None]
    if not seen:
        raise InputError(
            f"{footage[0].name}: its noise cannot be measured: too few different frames, "
            "or too small ones.",
            hint="Pass a clip with four frames or more of one shot.",
        )
    if not any(report.noisy for report in seen):
        raise InputError(
            f"{footage[0].name}: no noise to speak of "
            f"(sigma {255 * max(seen[0].model.sigma):.2f} of 255): there is nothing to learn.",
            hint="Clean clips train with --clean --synthetic NOISE.",
        )
    dependent = [
        clip.name
        for clip, r in zip(footage, noise, strict=True)
        if r is not None and not r.independent
    ]
    if dependent:
        notes.append(
            f"the noise of {', '.join(dependent[:3])} is not independent from frame to frame: "
            "what is learnt from it keeps part of that noise"
        )


@dataclass
class Totals:
    """What the last stage that ran came to."""

    start: float = math.nan
    best: float = math.nan
    stopped: str = "finished"
    curve: list[tuple[int, float]] = field(default_factory=list)
    kept: bool = True  # False: the networks are as they were
    header: Header | None = None  # where it differs from the recipe's
    notes: list[str] = field(default_factory=list)
    fell: Fall | None = None


def adapt(
    recipe: Recipe, material: Material, group: Group, report: Report, started: float
) -> Totals:
    """Fit the start's weights to the footage; keep them where nothing is surely better.

    `fast` fits what networks are told of the noise, `full` trains them on the restored clip,
    noised afresh by its own law. Both are judged by frames that were held out.
    """
    refused = unfit(material)
    if refused is not None:
        return Totals(stopped="nothing to adapt to", kept=False, notes=[refused])
    course = recipe.adaptation()
    before = recipe.examined(course.stage)
    kept = {name: value.clone() for name, value in recipe.networks.state_dict().items()}
    if material.config.adapt == "fast":
        header = recipe.fitted(course.stage)
        notes = [] if header is None else [f"the noise level told is {header.level:g} of measured"]
        return Totals(
            before.score, before.score, kept=header is not None, header=header, notes=notes
        )
    totals = _train(course, material, group, report, started)
    after = recipe.examined(course.stage)
    if surely_better(before, after):
        totals.fell = fall(before, after)
        return totals
    recipe.networks.load_state_dict(kept)
    totals.kept, totals.best = False, totals.start
    return totals


def unfit(material: Material) -> str | None:
    """Why training on this footage alone would teach its noise; None where it would not.

    Compressed video has noise that its channels share and frames pass on. Sampling it afresh is
    not it, and what is learnt from that is a loss (DESIGN.md D11).
    """
    for clip, report in zip(material.footage, material.noise, strict=True):
        if report is None:
            return f"{clip.name}: its noise could not be measured well enough to adapt to"
        if report.spectrum is not None and report.spectrum.channels_share > SHARED:
            return (
                f"{clip.name}: its channels share their noise, as compression and cameras' own "
                "processing leave it; the bundled weights are trained on such noise"
            )
        compensated = report.temporal.compensated
        if compensated is not None and abs(compensated) > DEPENDENT:
            return (
                f"{clip.name}: its noise is not independent from frame to frame "
                f"(correlation {compensated:.2f}); the bundled weights are kept"
            )
    return None


def _train(
    course: Course, material: Material, group: Group, report: Report, started: float
) -> Totals:
    limit = material.config.time_limit_seconds
    left = None if limit is None else max(limit - (time.monotonic() - started), 1) / 60
    settings = replace(course.settings, time_limit=left, threads=material.config.threads)
    trainer = Trainer(course.stage, material.folder, settings, device=material.device, group=group)
    ended = trainer.run(report)
    start = ended.curve[0][1] if ended.curve else math.nan
    best = math.nan if ended.best is None else ended.best
    return Totals(start, best, ended.stopped, ended.curve)


def _train_stages(
    recipe: Recipe, material: Material, group: Group, report: Report, started: float
) -> Totals:
    """Train every stage in turn; the time limit is the whole session's."""
    totals = Totals()
    limit = material.config.time_limit_seconds
    courses = recipe.courses()
    while (course := next(courses, None)) is not None:
        if limit is not None and time.monotonic() - started >= limit:
            totals.stopped = "time limit"
            break
        totals = _train(course, material, group, report, started)
        if totals.stopped == "time limit":
            break
    return totals
