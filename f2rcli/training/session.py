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
from f2rcli.training.recipes import Material, Recipe
from f2rcli.training.trainer import Trainer

MEASURED_CLIPS = 64  # more than that share the mean of these
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
        outcome = _train_stages(recipe, material, group, report, started)
    if group.first:
        state = {name: value.cpu() for name, value in recipe.networks.state_dict().items()}
        weights.save(Path(config.output), recipe.header, state)
    noise = next((r for r in material.noise if r is not None), None)
    return TrainResult(
        Path(config.output), config.folder, outcome.start, outcome.best, True, outcome.stopped,
        noise, outcome.curve, [], time.monotonic() - started, notes,
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
class _Totals:
    """What the last stage that ran came to."""

    start: float = math.nan
    best: float = math.nan
    stopped: str = "finished"
    curve: list[tuple[int, float]] = field(default_factory=list)


def _train_stages(
    recipe: Recipe, material: Material, group: Group, report: Report, started: float
) -> _Totals:
    """Train every stage in turn; the time limit is the whole session's."""
    config, totals = material.config, _Totals()
    limit = config.time_limit_seconds
    courses = recipe.courses()
    while (course := next(courses, None)) is not None:
        left = None if limit is None else (limit - (time.monotonic() - started)) / 60
        if left is not None and left <= 0:
            totals.stopped = "time limit"
            break
        settings = replace(course.settings, time_limit=left, threads=config.threads)
        trainer = Trainer(
            course.stage, material.folder, settings, device=material.device, group=group
        )
        ended = trainer.run(report)
        totals.curve = ended.curve
        totals.start = ended.curve[0][1] if ended.curve else math.nan
        totals.best = math.nan if ended.best is None else ended.best
        totals.stopped = ended.stopped
        if ended.stopped == "time limit":
            break
    return totals
