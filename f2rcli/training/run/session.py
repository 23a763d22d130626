"""A training run from footage to weights: decode, measure, train stage after stage, save."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch

from f2rcli import weights
from f2rcli.engine.device import choose_device, choose_precision, threads_for, use_threads
from f2rcli.errors import InputError
from f2rcli.noise.report import NoiseReport
from f2rcli.system.machine import processors
from f2rcli.training.footage.caveats import caveats
from f2rcli.training.footage.footage import Footage, open_footage
from f2rcli.training.footage.noise import measure_footage
from f2rcli.training.footage.objections import check_noise, objections, without_unfit
from f2rcli.training.loop.distributed import ALONE, ProcessGroup, joined, launched
from f2rcli.training.loop.events import Event, EventKind, OnEvent
from f2rcli.training.loop.trainer import Trainer
from f2rcli.training.methods.base import (
    OutOfTimeError,
    Recipe,
    Staged,
    StageRun,
    TrainingContext,
    load_recipe,
)
from f2rcli.training.methods.validation import error_reduction, is_significant
from f2rcli.training.run.clock import LATE, NO_STEP, NO_TIME, TIME_UP, seconds_of
from f2rcli.training.run.config import TrainConfig
from f2rcli.training.run.outcome import EARLIER, NOTHING_YET, Totals, TrainResult
from f2rcli.training.run.start import suited

ADAPT_FRAMES = 480  # of a file, in runs all over it: more than an adaptation sees
PREPARING = "preparing what the first stage learns from"  # which may take minutes
NOTHING_TO_GAIN = "nothing to gain: a few trial steps did not improve held-out frames"
# Standard errors by which a probe must lower the error. Where it was 2.1 to 2.9 the test frames did
# not confirm a gain after all stages (four clips); where they did it was 4.0 and more (docs).
PROBE_CERTAINTY = 3.0


def train(config: TrainConfig, report: OnEvent) -> TrainResult:
    """Run everything that `config` asks for, and write the weights to its output.

    Raises InputError for footage that teaches nothing (too short, no noise), WeightsError for a
    start that does not fit, and what opening footage and training raise.
    """
    started = time.monotonic()
    with ExitStack() as open_:
        device, group = choose_device(config.device), ALONE
        if launched():
            group, device = open_.enter_context(joined(device))
        use_threads(threads_for(config.threads))
        notes: list[str] = []
        context = gather(config, device, notes, report)
        context = replace(context, deadline=started + seconds_of(config))
        recipe = load_recipe(context)
        outcome = _train_stages(recipe, context, group, report)
        outcome.notes = notes + ([NO_STEP] if outcome.idle else outcome.notes)
    if group.first and outcome.written:
        state = {name: value.cpu() for name, value in recipe.networks.state_dict().items()}
        weights.save(Path(config.output), outcome.header or recipe.header, state)
    noise = next((r for r in context.noise if r is not None), None)
    return TrainResult(
        **vars(outcome), weights=Path(config.output), run=config.folder, noise=noise,
        seconds=time.monotonic() - started,
    )  # fmt: skip


def gather(
    config: TrainConfig, device: torch.device, notes: list[str], report: OnEvent
) -> TrainingContext:
    """Footage, its noise and the weights to start from."""

    def say(line: str) -> None:
        report(Event(kind=EventKind.LOG, stage="footage", step=0, steps=0, text=line))

    jobs = config.jobs or max(1, min(4, processors() - 1))
    footage = open_footage(
        [Path(item) for item in config.inputs],
        config.folder / "footage",
        budget=config.memory_bytes,
        jobs=jobs,
        report=say,
        frames=None if config.adapt is None else ADAPT_FRAMES,
        read=config.read,
        noisy=not config.inputs_are_clean,
    )
    _check_space(config, footage)
    precision = choose_precision(config.precision, device)
    begun = config.begun_from(footage[0].space)
    start = None if begun is None else weights.load(begun)
    noise: list[NoiseReport | None] = []
    if not config.inputs_are_clean:
        say("measuring the noise")
        footage, noise = measure_footage(footage, start, device, precision)
        check_noise(footage, noise)
        adapting = config.adapt is not None
        footage, noise = without_unfit(footage, noise, notes, adapting=adapting)
        notes += [] if adapting else caveats(footage, noise)  # adapting refuses what it cannot use
        for note in notes:
            say(f"note: {note}")
        if start is not None and not (adapting and objections(footage, noise)):
            start = suited(start, config)
    return TrainingContext(
        config, footage, noise, start, config.folder, device, precision, jobs, say
    )


def _check_space(config: TrainConfig, footage: list[Footage]) -> None:
    """Raise InputError for colours that the networks cannot have with these clips."""
    space = footage[0].space.value
    made = "bayer" if config.noise == "sensor" else "gray"  # of clean colour clips
    if config.space in ("auto", space) or (config.inputs_are_clean and config.space == made):
        return
    sensor = " noise='sensor' makes mosaics." if config.space == "bayer" else ""
    raise InputError(
        f"{footage[0].name}: {space}, not {config.space}.",
        hint=f"Pass space={space!r}, or leave it out.{sensor}",
    )


class _Start:
    """The weights that a run begins with, to go back to."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe, self.header = recipe, recipe.header
        self.before = recipe.test_errors()
        self.kept = {name: value.clone() for name, value in recipe.networks.state_dict().items()}

    def returned_unless_better(self, totals: Totals) -> None:
        """Put them back unless the test frames show that the networks as they are now are better.
        That nothing was gained is a normal end."""
        after = self.recipe.test_errors()
        totals.start_loss = totals.best_loss = self.before.score
        if is_significant(self.before, after):
            totals.best_loss, totals.fell = after.score, error_reduction(self.before, after)
            return
        self.put_back()
        totals.kept, totals.header, totals.notes = False, self.header, []

    def put_back(self) -> None:
        """The networks as they were."""
        self.recipe.networks.load_state_dict(self.kept)


def _probed(recipe: Staged, train: Callable[[StageRun], Totals]) -> Totals | None:
    """The outcome of a run where a few steps do not lower the validation error for sure; None where
    they do, or where there was no time for them. The networks stay as they are."""
    before = recipe.validation_errors()
    kept = {name: value.clone() for name, value in recipe.networks.state_dict().items()}
    probed = train(recipe.probe())
    after = recipe.validation_errors()
    recipe.networks.load_state_dict(kept)
    if probed.stopped == TIME_UP or is_significant(before, after, PROBE_CERTAINTY):
        return None
    return Totals(
        start_loss=before.score, best_loss=before.score, stopped="nothing to gain", kept=False,
        notes=[NOTHING_TO_GAIN],
    )  # fmt: skip


def _without_time(config: TrainConfig) -> Totals:
    """The outcome of an adaptation that made no step: the weights stay as they were."""
    note = LATE if config.time_limit is None else NO_STEP
    return Totals(stopped=NO_TIME, kept=False, notes=[note])


def _late(context: TrainingContext, group: ProcessGroup) -> bool:
    """Whether it is past the deadline, in any process of a group."""
    late = torch.full((1,), float(time.monotonic() >= context.deadline), device=context.device)
    group.sum_([late])
    return bool(late)


def _prepared(
    stage_runs: Iterator[StageRun], context: TrainingContext, group: ProcessGroup
) -> StageRun | None:
    """The next stage with all that it learns from; None after the last. Raises OutOfTimeError past
    the deadline, in every process of a group if in one."""
    course, late = None, torch.zeros(1, device=context.device)
    try:
        if (course := next(stage_runs, None)) is not None:
            context.check_time()
    except OutOfTimeError:
        late += 1
    group.sum_([late])
    if late:
        raise OutOfTimeError
    return course


def _train(
    course: StageRun, context: TrainingContext, group: ProcessGroup, report: OnEvent
) -> Totals:
    seconds = max(context.deadline - time.monotonic(), 1)
    limit = seconds / 60 if math.isfinite(seconds) else None
    settings = replace(course.settings, time_limit=limit, threads=context.config.threads)
    trainer = Trainer(course.stage, context.folder, settings, device=context.device, group=group)
    before = trainer.step
    stopped, state = trainer.run(report), trainer.state
    start = state.curve[0][1] if state.curve else math.nan
    best = math.nan if state.best is None else state.best
    return Totals(
        start_loss=start, best_loss=best, stopped=stopped, curve=state.curve,
        learnt=trainer.step > before,
    )  # fmt: skip


def _train_stages(
    recipe: Recipe, context: TrainingContext, group: ProcessGroup, report: OnEvent
) -> Totals:
    """Train every stage in turn; the time limit is the whole session's.

    However that ends, the result is no worse than what it began with: the best of the estimates,
    or the start. Nothing is adapted to noise that would teach itself, nor for long where a short
    probe gains nothing.
    """
    totals, adapting = Totals(learnt=False), context.config.adapt is not None
    if adapting and (refused := objections(context.footage, context.noise)):  # of all, or of none
        return Totals(stopped="nothing to adapt to", kept=False, notes=refused[:1])
    noisy = not context.config.inputs_are_clean

    def trained(course: StageRun) -> Totals:
        return _train(course, context, group, report)

    if adapting and isinstance(recipe, Staged):
        if not _late(context, group) and (ended := _probed(recipe, trained)):
            return ended
        if _late(context, group):
            return _without_time(context.config)
    start = _Start(recipe) if context.start else None
    stage_runs = recipe.stage_runs()
    report(Event(kind=EventKind.LOG, stage="footage", step=0, steps=0, text=PREPARING))
    try:
        while (course := _prepared(stage_runs, context, group)) is not None:
            learnt, totals = totals.learnt, trained(course)
            totals.learnt |= learnt
            if totals.stopped == TIME_UP:
                break
    except OutOfTimeError:
        totals.stopped = TIME_UP
    if adapting and totals.idle and start is not None:
        start.put_back()
        return _without_time(context.config)
    if noisy:
        better = recipe.improves()
        totals.worthless = not better and start is None
        totals.notes += [] if better else [NOTHING_YET]
        if better and recipe.header.estimate in EARLIER:
            totals.notes.append(EARLIER[recipe.header.estimate])
    if start is not None and (noisy or start.before.errors):
        start.returned_unless_better(totals)
    return totals
