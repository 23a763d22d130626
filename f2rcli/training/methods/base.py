"""Recipes: which stages a method is trained in, and on what; `<method>/recipe.py` has one."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

from f2rcli.errors import InputError, UsageError
from f2rcli.frames import Space
from f2rcli.noise.report import NoiseReport
from f2rcli.training.footage.footage import Footage
from f2rcli.training.loop.settings import TrainSettings
from f2rcli.training.loop.stage import Stage
from f2rcli.training.methods import trainable
from f2rcli.training.methods.validation import ValidationErrors
from f2rcli.training.run.config import TrainConfig
from f2rcli.weights import Header, Weights


@dataclass(frozen=True)
class TrainingContext:
    """What a run has to learn from, and with."""

    config: TrainConfig
    footage: list[Footage]
    noise: list[NoiseReport | None]  # of each clip; empty for clean clips
    start: Weights | None  # None: from scratch
    folder: Path
    device: torch.device
    precision: str
    jobs: int

    @property
    def space(self) -> Space:
        """What the clips' channels mean."""
        return self.footage[0].space

    @property
    def channels(self) -> int:
        return self.footage[0].channels

    def report(self, clip: int, hint: str = "Leave this clip out.") -> NoiseReport:
        """The noise of a clip. Raises InputError, with the hint, where it could not be measured."""
        found = self.noise[clip]
        if found is None:
            raise InputError(
                f"{self.footage[clip].name}: its noise cannot be measured: "
                "too few different frames, or too small ones.",
                hint=hint,
            )
        return found

    def settings(self, steps: int, *, warmup: int, ema: float, **own: Any) -> TrainSettings:
        """A stage's settings: what the run was asked for, and what is the stage's own.

        warmup and ema are the most of each: short stages warm up and remember for less.
        """
        return TrainSettings(
            steps=steps,
            warmup=min(warmup, max(1, steps // 10)),
            ema=min(ema, 1 - 10 / max(steps, 20)),
            betas=(0.9, 0.999) if own.get("optimiser") == "adam" else (0.9, 0.99),
            seed=self.config.seed,
            precision=self.precision,  # type: ignore[arg-type]  # one of the three words
            log_every=self.config.log_every,
            validate_every=self.config.validate_every,
            **own,
        )


@dataclass(frozen=True)
class StageRun:
    """A stage with its settings."""

    stage: Stage
    settings: TrainSettings


class Recipe(Protocol):
    """How one method is trained."""

    @property
    def networks(self) -> nn.Module:
        """What is trained, filled with the start's weights."""
        ...

    @property
    def header(self) -> Header:
        """The header that rebuilds the networks."""
        ...

    def names(self) -> list[str]:
        """The stages of the recipe that was asked for, in order."""
        ...

    def stage_runs(self) -> Iterator[StageRun]:
        """The stages, each prepared when it is asked for, that is with what came before trained."""
        ...


@runtime_checkable
class Adaptable(Recipe, Protocol):
    """A recipe whose method offers `--adapt full`."""

    def adaptation(self) -> StageRun:
        """The one stage that fits the start's weights to a clip."""
        ...

    def validation_errors(self, stage: Stage) -> ValidationErrors:
        """The held-out errors of the adaptation's stage, with the networks as they are now."""
        ...


@runtime_checkable
class Fittable(Recipe, Protocol):
    """A recipe whose method offers `--adapt fast`."""

    def fitted(self) -> tuple[ValidationErrors, Header | None]:
        """The held-out errors as they are, and the header with what can be fitted without
        training; None where nothing is surely better."""
        ...


def load_recipe(material: TrainingContext) -> Recipe:
    """The recipe of a run's method. Raises UsageError for a method that has none."""
    method = material.config.method
    if method not in trainable():
        raise UsageError(f"--method {method}: this method cannot be trained.")
    recipe: Recipe = import_module(f"f2rcli.training.methods.{method}.recipe").recipe(material)
    return recipe
