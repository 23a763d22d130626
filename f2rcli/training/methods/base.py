"""Training recipes: stages, their settings and their data; `<method>/recipe.py` has one."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import nn

from f2rcli.errors import ConfigError, InputError
from f2rcli.frames import Space
from f2rcli.header import CHANNELS, Header
from f2rcli.models.layers import channels_last
from f2rcli.noise.law import NoiseLaw
from f2rcli.noise.report import NoiseReport
from f2rcli.noise.synthesis.spec import SENSOR, NoiseSpec, parse
from f2rcli.training.footage.footage import Footage
from f2rcli.training.footage.renditions import Rendition
from f2rcli.training.footage.windows import CleanClips, NoisyClips, WindowSource, is_clipped
from f2rcli.training.loop.settings import TrainSettings
from f2rcli.training.loop.stage import Stage
from f2rcli.training.methods.validation import ValidationErrors
from f2rcli.training.run.config import TrainConfig
from f2rcli.training.run.overrides import StageOverrides
from f2rcli.weights import Weights

ENDLESS = 200_000  # steps of a stage that follows the clock
LEAST_CROP = 32  # pixels per side
ORDERS = {Space.RGB: "RGB", Space.GRAY: "Y", Space.BAYER: "R G1 B G2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSpec(TrainSettings):
    """One stage of a recipe, before what a user changes of it."""

    name: str
    batch: int = 8
    crop: int = 96  # pixels per side
    warmup: int = 100  # steps at most
    share: float = 1.0  # of a run's minutes, beside the shares of its other stages


Spec = TypeVar("Spec", bound=StageSpec)


def overridden(specs: Sequence[Spec], config: TrainConfig) -> list[Spec]:
    """A recipe's stages with what the run asks for of each. Those whose steps and minutes it leaves
    open share what is left of its own minutes. Raises ConfigError if nothing is left."""
    asked = [config.stage(spec.name) for spec in specs]
    pairs = list(zip(specs, asked, strict=True))
    shares = [s.share if own.steps is own.minutes is None else 0.0 for s, own in pairs]
    minutes = [own.minutes for own in asked]
    if config.minutes is not None and any(shares):
        left = config.minutes - sum(own or 0.0 for own in minutes)
        if left <= 0:
            raise ConfigError(
                f"minutes={config.minutes:g}: stages with minutes of their own take all.",
                hint="Raise minutes=, or lower theirs: stages='NAME.minutes=N'.",
            )
        given = zip(minutes, shares, strict=True)
        minutes = [left * share / sum(shares) if share else own for own, share in given]
    return [_changed(s, own, clock) for (s, own), clock in zip(pairs, minutes, strict=True)]


def _changed(spec: Spec, asked: StageOverrides, minutes: float | None) -> Spec:
    changes = {name: getattr(asked, name) for name in ("steps", "lr", "batch", "crop")}
    changes["minutes"] = minutes
    if minutes is not None and asked.steps is None:
        changes["steps"] = ENDLESS
    return replace(spec, **{n: value for n, value in changes.items() if value is not None})


class OutOfTimeError(Exception):
    """The session's time is up before a stage has all that it learns from."""


@dataclass(frozen=True)
class TrainingContext:
    """Footage, noise, start and machine of a run."""

    config: TrainConfig
    footage: list[Footage]
    noise: list[NoiseReport | None]  # of each clip; empty for clean clips
    start: Weights | None  # None: from scratch
    folder: Path
    device: torch.device
    precision: str
    jobs: int
    report: Callable[[str], None] = field(default=lambda line: None)
    deadline: float = math.inf  # of this session, as time.monotonic() tells it

    def check_time(self) -> None:
        """Raise OutOfTimeError past the deadline."""
        if time.monotonic() >= self.deadline:
            raise OutOfTimeError

    @cached_property
    def synthetic(self) -> NoiseSpec | None:
        """The noise to add to clean clips; None for noisy ones."""
        if self.config.noise is None:
            return None
        return parse(self.config.noise, training=True)

    @property
    def space(self) -> Space:
        """Colour space of the networks: that of the clips, or what clean clips are made into."""
        if self.synthetic is not None and any(p.kind == SENSOR for p in self.synthetic.parts):
            return Space.BAYER
        if self.synthetic is not None and self.config.space == Space.GRAY.value:
            return Space.GRAY
        return self.footage[0].space

    @property
    def channels(self) -> int:
        """Number of channels of the networks."""
        return CHANNELS[self.space]

    @property
    def gray(self) -> bool:
        """True if the networks see the clips' luma."""
        return self.space is Space.GRAY

    @property
    def variance_error(self) -> float:
        """The share of its variance by which the clips' noise may have been measured wrong, the
        mean of all: twice the error of sigma that the reports state."""
        known = [report.confidence.percent for report in self.noise if report is not None]
        return 2 * sum(known) / len(known) / 100 if known else 0.0

    def law(self, clip: int, hint: str = "Leave this clip out.") -> NoiseLaw:
        """The measured law of a clip's noise. Raises InputError, with the hint, without one."""
        found = self.noise[clip]
        if found is None:
            raise InputError(
                f"{self.footage[clip].name}: its noise cannot be measured: "
                "too few different frames, or too small ones.",
                hint=hint,
            )
        return found.law.first_channels(self.channels)

    def windows(
        self,
        parts: list[tuple[int, range]],
        rendered: list[Rendition] | None = None,
        *,
        law: Callable[[int], NoiseLaw | None] | None = None,
    ) -> WindowSource:
        """Windows from some frames of some clips, with the run's synthetic noise if it has any.

        law: of a noisy clip; its measured one unless given.
        """
        clips = [self.footage[clip].array[frames.start : frames.stop] for clip, frames in parts]
        if self.synthetic is not None:
            return CleanClips(clips, self.synthetic.draw, rendered or (), gray=self.gray)
        laws = [(law or self.law)(clip) for clip, _ in parts]
        return NoisyClips(clips, laws, [is_clipped(clip) for clip in clips])

    def settings(self, spec: StageSpec) -> TrainSettings:
        """A stage's settings: the run's and its own; short stages warm up and average over less."""
        own: dict[str, Any] = {f.name: getattr(spec, f.name) for f in fields(TrainSettings)}
        own["warmup"] = min(spec.warmup, max(1, spec.steps // 10))
        own["ema"] = min(spec.ema, 1 - 10 / max(spec.steps, 20))
        own["betas"] = (0.9, 0.999) if spec.optimiser == "adam" else (0.9, 0.99)
        for name in ("seed", "log_every", "validate_every"):
            own[name] = getattr(self.config, name)
        return TrainSettings(**own | {"precision": self.precision})

    def header(self, length: int, config: dict[str, Any], **own: Any) -> Header:
        """The header of what is trained: the start's, or one of networks of this configuration.

        Raises ConfigError for a start of another method, of other colours or of another size.
        """
        start = self.start
        if start is None:
            return Header(
                method=self.config.method,
                space=self.space,
                channels=self.channels,
                length=length,
                config=config,
                size=self.config.size if self.config.widths is None else "custom",
                order=ORDERS[self.space],
                trained_on="the user's footage",
                **own,
            )
        if start.header.method != self.config.method:
            raise ConfigError(
                f"init={start.name!r}: for method {start.header.method}, not {self.config.method}.",
                hint="Pass init='scratch', or leave it out.",
            )
        if start.header.channels != self.channels:
            raise ConfigError(
                f"init={start.name!r}: for {start.header.space.value}, "
                f"the clips are {self.space.value}.",
                hint=f"Pass init={self.space.value!r}, or leave it out.",
            )
        for name, default in (("size", "small"), ("length", None)):
            asked, there = getattr(self.config, name), getattr(start.header, name)
            if asked not in (default, there) and there != "custom":
                raise ConfigError(
                    f"init={start.name!r}: has {name} {there}, not {asked}.",
                    hint=f"Leave {name}= out, or pass init='scratch'.",
                )
        return replace(start.header, trained_on=f"{start.name}, then the user's footage")

    def fitting_crop(self, spec: StageSpec, side: int, step: int) -> int:
        """The stage's crop, or the largest multiple of `step` pixels that the clips can hold.

        side: pixels of the clips' shortest side. Raises InputError where that is below LEAST_CROP.
        """
        crop = min(spec.crop, side) // step * step
        if crop < LEAST_CROP:
            raise InputError(
                f"clips of less than {LEAST_CROP} pixels are too small to train on.",
                hint="Pass larger ones.",
            )
        return crop


@dataclass(frozen=True)
class StageRun:
    """A stage with its settings."""

    stage: Stage
    settings: TrainSettings


class Recipe(Protocol):
    """Training recipe of one method."""

    networks: nn.Module  # to train, filled with the start's weights
    header: Header  # that rebuilds them

    def __init__(self, context: TrainingContext) -> None:
        """Raises ConfigError for what the method cannot do, or a start of another method or of
        other colours; InputError for footage that it cannot learn from."""

    def names(self) -> list[str]:
        """The stages of the recipe that was asked for, in order."""

    def stage_runs(self) -> Iterator[StageRun]:
        """Yield stages lazily, each built after the one before is trained; none without steps."""

    def test_errors(self) -> ValidationErrors:
        """Errors on frames that are held out for a test, beside those that weights are chosen by;
        by the networks and the header as they are now, always of the same samples. No errors where
        nothing is left for a test."""

    def improves(self) -> bool:
        """Whether the validation frames of noisy footage are better restored by the networks as
        they are now than left as they are. Of several estimates the header gives out the one that
        serves them best from now on."""


@runtime_checkable
class Staged(Recipe, Protocol):
    """A recipe whose estimates come one after the other, so that a run may end before the last; a
    few steps tell whether weights have anything to gain."""

    def validation_errors(self) -> ValidationErrors:
        """As `test_errors`, on the frames that weights are chosen by."""

    def probe(self) -> StageRun:
        """A few steps of the last stage, after which the latest weights are left."""


def load_recipe(context: TrainingContext) -> Recipe:
    """The recipe of a run's method, as RECIPE in its folder. Raises what that raises."""
    name = f"f2rcli.training.methods.{context.config.method}.recipe"
    recipe: Recipe = import_module(name).RECIPE(context)
    return recipe


def build_networks(context: TrainingContext, make: Callable[[], nn.Module]) -> Any:
    """Networks drawn by the run's seed, or filled with the start's weights; channels last."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(context.config.seed)
        networks = make()
    channels_last(networks)
    if context.start is not None:
        context.start.fill(networks)
    return networks
