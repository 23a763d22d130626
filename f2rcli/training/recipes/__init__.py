"""Recipes: which stages a method is trained in, and on what. One file per method, found by name."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Protocol

import torch
from torch import nn

from f2rcli.errors import UsageError
from f2rcli.frames import Space
from f2rcli.noise.report import NoiseReport
from f2rcli.training.config import TrainConfig
from f2rcli.training.footage import Footage
from f2rcli.training.selfsup import Examined
from f2rcli.training.settings import TrainSettings
from f2rcli.training.stage import Stage
from f2rcli.weights import Header, Weights


@dataclass(frozen=True)
class Material:
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


@dataclass(frozen=True)
class Course:
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

    def adaptation(self) -> Course:
        """The one stage that fits the start's weights to a clip."""
        ...

    def fitted(self, stage: Stage) -> Header | None:
        """The header with what can be fitted without training, where it is surely better."""
        ...

    def examined(self, stage: Stage) -> Examined:
        """The held-out errors of the adaptation's stage, with the networks as they are now."""
        ...

    def courses(self) -> Iterator[Course]:
        """The stages, each prepared when it is asked for, that is with what came before trained."""
        ...


def load(material: Material) -> Recipe:
    """The recipe of a run's method. Raises UsageError for a method that has none."""
    method = material.config.method
    if method not in {module.name for module in iter_modules(__path__)}:
        raise UsageError(f"--method {method}: this method cannot be trained.")
    recipe: Recipe = import_module(f"f2rcli.training.recipes.{method}").recipe(material)
    return recipe
