"""A training run from footage to weights: read, measure, train stage after stage, examine, write.

Weights are written where they restore held-out frames better than those frames are, and, of a run
that began with weights, better than these do.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from f2rcli import weights
from f2rcli.engine.device import choose_device, choose_precision, use_threads
from f2rcli.system import threads_for
from f2rcli.training.checks import fit_clips
from f2rcli.training.config import TrainConfig
from f2rcli.training.exams import error_reduction, is_significant
from f2rcli.training.folder import Event, OnEvent, TrainResult, said
from f2rcli.training.footage import open_footage
from f2rcli.training.loop import RunState, Trainer, is_finished
from f2rcli.training.methods.base import Recipe, TrainingContext, load_recipe
from f2rcli.training.noise import MEASURING, as_seen, measure_footage
from f2rcli.training.stage import StageSpec
from f2rcli.units import span
from f2rcli.weights import Estimate, Header

FOR_EXAMS = 0.1  # of the time, for the last exams
TIME_UP = "time limit"
EARLIER = {
    Estimate.COARSE: "the result is the single-frame estimate: stages 1 and 2 are not better yet",
    Estimate.ANCHOR: "the result is the estimate of stage 1: stage 2 is not better yet",
}


def train(config: TrainConfig, report: OnEvent, began: float | None = None) -> TrainResult:
    """Run everything that `config` asks for, and write the weights to its output if they are good.
    began: when the time that it may take did, as time.monotonic() tells it; None: now.

    Raises InputError for footage that teaches nothing (too short, no noise), WeightsError for a
    start that does not fit, and what opening footage and training raise.
    """
    started = time.monotonic() if began is None else began
    use_threads(threads_for(config.threads))
    result = TrainResult(config=config)
    deadline = started + (1 - FOR_EXAMS) * seconds_of(config)
    try:
        context = gather(config, result, _until(deadline, report))
    except _LateError:
        return _too_late(result)
    if result.written:
        recipe = load_recipe(replace(context, deadline=deadline, report=report))
        header = _trained(recipe, result, report)
        if result.written:
            state = {name: value.cpu() for name, value in recipe.networks.state_dict().items()}
            weights.save(result.weights, header, state)
    result.seconds = time.monotonic() - started
    return result


class _LateError(Exception):
    """The time is up before anything could be learnt."""


def _until(deadline: float, report: OnEvent) -> OnEvent:
    """What tells of events, and raises once it is past the deadline: what is read stays."""

    def told(event: Event) -> None:
        report(event)
        if time.monotonic() >= deadline:
            raise _LateError

    return told


def _too_late(result: TrainResult) -> TrainResult:
    result.why_not = (
        "the time limit came before the first step: f2r train --time-limit takes a longer one"
    )
    result.stopped, result.for_time = TIME_UP, True
    return result


def seconds_of(config: TrainConfig) -> float:
    """Seconds a session may take, infinite without a limit. To adapt, one core has twice two's."""
    asked = config.time_limit_seconds or math.inf
    return asked if config.time_limit else asked * 2 / min(2, torch.get_num_threads())


def gather(config: TrainConfig, result: TrainResult, report: OnEvent) -> TrainingContext:
    """Footage, its noise, the weights to start from. Notes, or why not to adapt, go to result."""
    device = choose_device(config.device)
    footage = open_footage(config, report)
    precision = choose_precision(config.precision, device)
    begun = config.begun_from(footage[0].layout.space)
    start = None if begun is None else weights.load(begun)
    report(said(MEASURING))
    measured = measure_footage(footage, report)
    shown, even = zip(*map(as_seen, footage, measured), strict=True)
    fit, noise, notes, result.why_not = fit_clips(shown, even, adapting=config.adapt)
    result.noise = measured[shown.index(fit[0])]
    result.notes += notes
    for note in notes:
        report(said(f"note: {note}"))
    return TrainingContext(config, fit, noise, start, device, precision, report)


def _trained(recipe: Recipe[Any], result: TrainResult, report: OnEvent) -> Header:
    """Train every stage in turn and examine what came of it; gives the networks' header."""
    context, config = recipe.context, recipe.context.config
    if not (config.adapt or context.late):
        for line in plan_lines(recipe):
            report(said(line))
    before = None if context.start is None else recipe.test_errors()
    if not _train_stages(recipe, result, report):
        _too_late(result)
        return recipe.header
    better = recipe.improves()
    if not better:
        what = "the result" if before is None else "what came of them"
        result.why_not = f"{what} is no better than the noisy frames yet: train for longer"
    elif recipe.header.estimate in EARLIER:
        result.notes.append(EARLIER[recipe.header.estimate])
    after = recipe.test_errors()
    result.best_db = after.decibels
    if before is not None:
        result.start_db = before.decibels
        if not is_significant(before, after):
            result.why_not = (
                "no significant improvement on held-out frames over the weights it began with"
            )
        else:
            result.fell = error_reduction(before, after)
    result.for_time = not result.written and result.stopped == TIME_UP
    return recipe.header


def _train_stages(recipe: Recipe[Any], result: TrainResult, report: OnEvent) -> bool:
    """Train every stage of which something is left, within its share of the time; returns whether
    there was time for a step."""
    context, learnt, left = recipe.context, False, _left(recipe)
    for spec in recipe.specs:
        if spec in left and context.late:
            result.stopped = TIME_UP
            break
        budget = _budget(spec, left[left.index(spec) :], context) if spec in left else math.inf
        trained = _train_stage(recipe, spec, budget, new=spec in left, report=report)
        learnt |= trained.step > 0
        result.curve += [(spec.name, step, level) for step, level in trained.curve]
        recipe.tidy(spec)
    return learnt


def _left(recipe: Recipe[Any]) -> list[Any]:
    """The stages of which something is left."""
    folder = recipe.context.config.folder
    return [s for s in recipe.specs if not is_finished(folder, s.name, for_good=True)]


def _train_stage(
    recipe: Recipe[Any], spec: StageSpec, budget: float, *, new: bool, report: OnEvent
) -> RunState:
    """Train a stage for so many seconds. A function of its own: what one stage learns from is gone
    before that of the next is made."""
    context, began = recipe.context, time.monotonic()
    stage = recipe.stage(spec, budget) if new else recipe.finished(spec)
    left = max(budget - (time.monotonic() - began), 1.0)
    settings = replace(spec, seed=context.config.seed, precision=context.precision)
    exams = 1 if spec is not recipe.specs[-1] else 3  # of the last, what comes after it as well
    how: dict[str, Any] = {"seconds": left, "exams": exams, "device": context.device}
    trainer = Trainer(stage, context.config.folder, settings, **how)
    trainer.run(report)
    return trainer.state


def _budget(spec: StageSpec, left: Sequence[StageSpec], context: TrainingContext) -> float:
    """Seconds for a stage: its share of the time until the deadline."""
    seconds = max(0.0, context.deadline - time.monotonic())
    return seconds * spec.share / sum(one.share for one in left)


def plan_lines(recipe: Recipe[Any]) -> list[str]:
    """What each stage costs on this machine, and what the time given will reach."""
    context, left = recipe.context, _left(recipe)
    if not left:
        return ["nothing is left to train: overwrite=True begins anew"]
    lines, total = list[str](), 0.0
    for spec in left:
        seconds = recipe.step_seconds(spec)
        budget, steps = _budget(spec, left, context), spec.steps
        if math.isfinite(budget):
            steps = min(steps, int(budget / seconds))
        total += steps * seconds
        about = "about" if steps == spec.steps else f"at most {steps} of"
        lines.append(f"stage {spec.name}: {about} {spec.steps} steps, {span(steps * seconds)}")
    limit = max(0.0, context.deadline - time.monotonic())
    whole = f"all stages: about {span(total)}, beside preparing what they learn from"
    if math.isfinite(limit):
        whole = (
            f"all stages: {span(limit)}, as the time limit leaves it, with preparation and exams"
        )
    return [*lines, whole]
