"""One training loop for every stage of every method.

Seeded, resumable at any step, ended by steps, time, patience or a signal; steps back when the
loss runs away; in one process or in several.
"""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from f2rcli.errors import WeightsError
from f2rcli.io.atomic import sweep
from f2rcli.system.signals import Interruption
from f2rcli.training.footage.prefetch import BatchPrefetcher, Key
from f2rcli.training.loop.checkpoint import LastGood, RunState, load_run, read, save_run, write
from f2rcli.training.loop.distributed import ALONE, ProcessGroup
from f2rcli.training.loop.events import EventKind, OnEvent
from f2rcli.training.loop.learner import fitting
from f2rcli.training.loop.optimiser_step import Clock, Gradient, OptimiserStep
from f2rcli.training.loop.reporter import Reporter
from f2rcli.training.loop.settings import TrainSettings
from f2rcli.training.loop.stage import Progressing, Stage, sample_rngs
from f2rcli.training.loop.timing import Timing

CPU = torch.device("cpu")


def is_finished(folder: Path, name: str, settings: TrainSettings) -> bool:
    """Whether a stage came to the end of its schedule in an earlier session: it draws no more."""
    last = _last(folder, name)
    return last.exists() and _progress(load_run(last)[0], settings) == 1


def _last(folder: Path, name: str) -> Path:
    return folder / f"{name}.last.safetensors"


def _progress(state: RunState, settings: TrainSettings) -> float:
    done = state.step / settings.steps
    if settings.minutes is not None:
        done = max(done, state.elapsed / (60 * settings.minutes))
    return min(1.0, done)


class Trainer:
    """Trains a stage's network; its run folder holds everything needed to go on after a kill.

    One session: make it, `run` it. Made anew on the same folder it goes on from the checkpoint.
    """

    def __init__(
        self,
        stage: Stage,
        folder: Path,
        settings: TrainSettings,
        *,
        device: torch.device = CPU,
        group: ProcessGroup = ALONE,
    ) -> None:
        """Raises DeviceError for fp16 without CUDA, ConfigError for more processes than samples,
        WeightsError for a checkpoint that is damaged or of another network."""
        self.stage, self.folder, self.settings = stage, folder, settings
        self.device, self.group = device, group
        self.stepper = OptimiserStep(stage, settings, device, group)
        self.learner = self.stepper.learner
        self.state = RunState()
        self._good: LastGood | None = None
        self._last = _last(folder, stage.name)
        self._best = folder / f"{stage.name}.best.safetensors"
        sweep(folder)  # a killed run may have left half a checkpoint
        if self._last.exists():
            self._resume()
        self._timing = Timing(settings, self.state.step, self.state.elapsed)
        self._reporter = Reporter(stage.name, folder, self._timing, None)

    @property
    def step(self) -> int:
        """Updates so far."""
        return self.state.step

    def progress(self) -> float:
        """Completed share of the schedule, 0..1."""
        return _progress(self.state, self.settings)

    def rate(self) -> float:
        """The learning rate of the next update."""
        settings = self.settings
        rate = settings.lr * self.state.guard.factor(self.step)
        if self.step < settings.warmup:
            rate *= (self.step + 1) / settings.warmup
        if settings.schedule == "constant":
            return rate
        if settings.schedule == "halved":
            return rate * 0.5 ** min(int(5 * self.progress()), 4)
        return rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * self.progress())))

    def run(self, report: OnEvent) -> str:
        """Train until the schedule, the patience or the time limit ends; returns which of them:
        "finished", "patience" or "time limit". What was reached is in `state`.

        Leaves the best weights in the network: the averaged ones with the lowest validation, or
        the latest averaged ones where nothing is held out. A signal ends the run after the step
        in hand, once that is saved, and is then passed on to whoever listened before. Raises
        TrainingError when stepping back does not help, OutputError when a file cannot be written.
        """
        self._start(report)
        try:
            with Interruption() as interruption:
                with BatchPrefetcher(self._draw, self.settings.workers) as batches:
                    stopped = self._loop(batches, interruption)
                self._finish(stopped)
        finally:
            self._reporter.close()
        if stopped == "interrupted":  # by a signal to another process
            raise KeyboardInterrupt
        return stopped

    def use_best(self) -> None:
        """Put the averaged weights of the lowest validation, or the latest, into the network."""
        self.learner.use(self.learner.average)
        if self.state.best is not None and self.group.first:
            _, stored = read(self._best)
            self.learner.use([stored[f"average/{name}"] for name in self.learner.names])
        self.group.take_from_first_(self.learner.parameters)

    def save(self) -> None:
        """Write everything needed to go on, atomically."""
        if self.group.first:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.state.scaler = self.stepper.scaler.state_dict()
            self.state.optimiser = self.settings.optimiser
            good = self._good or LastGood(self.state, {})
            save_run(self._last, self.state, self.learner.tensors(), good)

    def _start(self, report: OnEvent) -> None:
        settings, group, state = self.settings, self.group, self.state
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        group.check_same_step(state.step, self.device)
        group.take_from_first_([*self.learner.parameters, *self.learner.average])
        if self._good is None:
            self._good = LastGood.of(state, self.learner.tensors())
        if group.first:
            self.folder.mkdir(parents=True, exist_ok=True)
            text = json.dumps(asdict(settings), indent=2)
            (self.folder / f"{self.stage.name}.settings.json").write_text(text + "\n")
        self._timing = Timing(settings, state.step, state.elapsed)
        speaks = report if group.first else None
        self._reporter = Reporter(self.stage.name, self.folder, self._timing, speaks)
        begun = state.step or state.curve  # a run killed before its first checkpoint begins anew
        self._reporter.open(state.step if begun else -1)
        self.learner.network.train()

    def _loop(self, batches: BatchPrefetcher, interruption: Interruption) -> str:
        """Update after update; returns why there are no more."""
        state, settings = self.state, self.settings
        if not state.curve:
            self._validate()
        while self.progress() < 1:
            if settings.patience is not None and state.stale >= settings.patience:
                return "patience"
            batch = batches.take(state.step, state.guard.setbacks)
            self._seed()
            if isinstance(self.stage, Progressing):
                self.stage.progress = self.progress()
            clock = Clock(self._timing.elapsed(), self._timing.overdue())
            found = self.stepper.gradient(batch, clock, interrupted=interruption.signal is not None)
            self._learn(found)
            if found.interrupted or found.clock.overdue:
                return "interrupted" if found.interrupted else "time limit"
            if self._timing.save_due():
                self.save()
                self._reporter.tell(EventKind.SAVED, state, text="saved")
        return "finished"

    def _finish(self, stopped: str) -> None:
        """Save; then see to it that the weights as they are now are compared with the best."""
        self.save()
        state = self.state
        if stopped != "interrupted":
            # Not part of what was saved: a session more or less must not change the run.
            if state.curve and state.curve[-1][0] != state.step:
                self._validate()
            self.use_best()
        self._reporter.tell(EventKind.ENDED, state, text=stopped)

    def _learn(self, found: Gradient) -> None:
        """Apply a gradient and look after the run, or step back if this is where it went wrong."""
        state, settings = self.state, self.settings
        state.elapsed = found.clock.elapsed
        norm = 0.0 if self.stepper.overflowed(found.norm) else found.norm
        reason = state.guard.failed(state.step, found.loss, norm)
        if reason is not None:
            self._step_back(reason)
            return
        decay = min(settings.ema, (1 + state.step) / (10 + state.step))
        self.stepper.apply(found.norm, self.rate(), decay)
        state.step += 1
        state.pending.append((found.loss, found.norm))
        self._reporter.progress(state, self.rate(), found.loss)
        if state.step % settings.validate_every == 0 or self.progress() == 1:
            self._validate()
        elif state.step % settings.log_every == 0:
            self._reporter.row(state, self.rate(), None)
        if self._good is not None and state.guard.due(state.step):
            state.scaler = self.stepper.scaler.state_dict()
            self._good.refresh(state, self.learner.tensors())

    def _step_back(self, reason: str) -> None:
        """Go on from the last good state, more carefully and with other data."""
        good, at, state = self._good, self.state.step, self.state
        assert good is not None  # since the run began
        back = good.state.copy()
        state.guard.step_back(back.guard, back.step, at, reason)
        self.learner.restore(good.tensors)
        state.step, state.pending = back.step, back.pending
        state.curve = [point for point in state.curve if point[0] <= back.step]
        if back.scaler:
            self.stepper.scaler.load_state_dict(back.scaler)
        slow = f"{state.guard.factor(back.step):g} of the rate until step {state.guard.calm_until}"
        text = f"{reason} at step {at}: back to step {back.step}, with other data and {slow}"
        self._reporter.setback(state, text)

    def _validate(self) -> None:
        """Measure the averaged weights on what was held out; keep them when they are the best."""
        state, score, picture = self.state, None, None
        if self.group.first:
            with self.learner.averaged(), self.stepper.autocast():
                score, picture = self.stage.validate(), self.stage.sample()
            if score is not None and math.isnan(score):
                score = math.inf  # as bad as can be
        shared = torch.tensor([math.nan if score is None else score], dtype=torch.float64)
        shared = shared.to(self.device)
        self.group.take_from_first_([shared])
        score = None if math.isnan(float(shared)) else float(shared)
        if picture is not None:
            self._reporter.picture(state.step, picture)
        if score is not None:
            state.curve.append((state.step, score))
            self._compare(score)
        if score is not None or state.pending:
            self._reporter.row(state, self.rate(), score)

    def _compare(self, score: float) -> None:
        state = self.state
        if state.best is not None and score >= state.best:
            state.stale += 1
            return
        state.best, state.best_step, state.stale = score, state.step, 0
        if self.group.first:
            average = zip(self.learner.names, self.learner.average, strict=True)
            header = json.dumps({"step": state.step, "validation": score})
            # In one piece: the file format keeps several in no particular order.
            write(self._best, {f"average/{name}": mean for name, mean in average}, {"run": header})

    def _draw(self, key: Key) -> Any:
        step, setbacks = key
        return self.stage.draw(
            sample_rngs((self.settings.seed, step, setbacks), self.stepper.places)
        )

    def _seed(self) -> None:
        """For networks that draw from torch's own generator (dropout): a resumed run repeats it."""
        key = [self.settings.seed, self.step, self.state.guard.setbacks, self.group.rank]
        torch.manual_seed(int(np.random.default_rng(key).integers(2**63)))

    def _resume(self) -> None:
        state, tensors, good = load_run(self._last)
        for name, own in self.learner.tensors().items():
            if name not in tensors or tensors[name].shape != own.shape:
                raise WeightsError(
                    f"{self._last}: holds no {name!r} of shape {tuple(own.shape)}: "
                    "it is of another network.",
                    hint="Choose another run folder, or the settings this run began with.",
                )
        now = self.settings.optimiser
        if good is not None:
            good.tensors = fitting(good.tensors, state.optimiser, now)
        self.learner.restore(fitting(tensors, state.optimiser, now))
        if state.scaler:
            self.stepper.scaler.load_state_dict(state.scaler)
        self.state, self._good = state, good
