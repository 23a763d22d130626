"""What a method's training is made of: a recipe of stages, and the run that it is for."""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from statistics import fmean
from typing import Any, Generic, TypeVar, cast

import numpy as np
import torch
from torch import nn

from f2rcli import methods
from f2rcli.engine.device import Runner
from f2rcli.errors import InputError, UsageError
from f2rcli.methods.rgb import RgbMethod
from f2rcli.models.layers import channels_last
from f2rcli.noise.report import NoiseReport
from f2rcli.training.config import TrainConfig
from f2rcli.training.exams import LOUDER, SampleErrors, ValidationErrors, as_stored
from f2rcli.training.folder import OnEvent
from f2rcli.training.footage import Footage, is_clipped
from f2rcli.training.stage import Stage, StageSpec, placed, sample_rngs
from f2rcli.training.windows import Run, Sample, held_out_segments, split
from f2rcli.weights import Header, Weights
from f2rcli.window import Window, window_at

FROM_NOTHING = 3e-3  # peak of the learning rate
LEAST_CROP = 32  # pixels per side
LONG = 1.0  # seconds of a step; the first one is slower by less


S = TypeVar("S", bound=StageSpec)


@dataclass(frozen=True)
class TrainingContext:
    """Footage, noise, start and machine of a run."""

    config: TrainConfig
    footage: list[Footage]
    noise: list[NoiseReport]  # of each clip
    start: Weights | None  # None: from scratch
    device: torch.device
    precision: str
    report: OnEvent
    deadline: float = math.inf  # of this session, as time.monotonic() tells it

    @property
    def late(self) -> bool:
        return time.monotonic() >= self.deadline

    @property
    def rate(self) -> float:
        """Peak of the learning rate: networks from nothing gain by twice of what good weights bear
        (minutes on one clip, FITVNet and Blind2Sound: +0.7 and +1.0 dB, from weights -0.3, -0.1).
        """
        return FROM_NOTHING if self.start is None else FROM_NOTHING / 2

    @property
    def variance_error(self) -> float:
        """The share of its variance by which the clips' noise may have been measured wrong, the
        mean of all: twice the error of sigma that the reports state."""
        return 2 * fmean(report.confidence.percent for report in self.noise) / 100

    def header(self, length: int, networks: dict[str, Any], **own: Any) -> Header:
        """The header of what is trained: the start's, or one of networks of this configuration.

        Raises UsageError for a start of another method or of other colours.
        """
        start, clip = self.start, self.footage[0]
        if start is None:
            return Header(
                method=self.config.method, space=clip.layout.space, channels=clip.channels,
                length=length, config=networks, **{"trained_on": "the user's footage", **own},
            )  # fmt: skip
        if (other := start.header.method) != self.config.method:
            what = f"init={start.name!r}: for method {other}, not {self.config.method}."
            raise UsageError(what, hint="Pass init='scratch', or leave it out.")
        known = [start.header.space.value]
        if clip.packed is not None:
            known = start.header.config.get("layouts", ["pictures"])
        if clip.kind not in known:
            names = ", ".join(map(str, known))
            what = f"init={start.name!r}: for {names}, the clips are {clip.kind}."
            raise UsageError(what, hint="Leave it out, or pass other weights.")
        return replace(start.header, trained_on=f"{start.name}, then the user's footage")

    def fitting_crop(self, spec: StageSpec, side: int, step: int) -> int:
        """The stage's crop, or the largest multiple of `step` pixels that the clips can hold.

        side: pixels of the clips' shortest side. Raises InputError where that is below LEAST_CROP.
        """
        crop = min(spec.crop, side) // step * step
        if crop < LEAST_CROP:
            what = f"clips of less than {LEAST_CROP} pixels are too small to train on."
            raise InputError(what, hint="Pass larger ones.")
        return crop

    def build(self, make: Callable[[], nn.Module]) -> Any:
        """Networks drawn by the run's seed, or filled with the start's weights; channels last."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.seed)
            networks = make() if self.start is None else deepcopy(self.start.network(make))
        channels_last(networks)
        return networks


class Recipe(ABC, Generic[S]):
    networks: Any  # to train, filled with the start's weights
    header: Header  # that rebuilds them
    specs: Sequence[S]

    def __init__(self, context: TrainingContext) -> None:
        """Raises UsageError for a start of another method or of other colours; InputError for
        footage that the method cannot learn from."""
        self.context = context

    @abstractmethod
    def stage(self, spec: S, seconds: float = math.inf) -> Stage:
        """A stage with all that it learns from, which has so much time to be made."""

    def finished(self, spec: S) -> Stage:
        """The same of a stage that is at its end: it only has to hold its network."""
        return self.stage(spec)

    def tidy(self, spec: S) -> None:  # most leave nothing
        """Remove what a stage needed, once it is at its end."""

    def step_seconds(self, spec: S) -> float:
        """How long one step takes here, measured on the second one."""
        stage = self.stage(spec)
        rngs = sample_rngs((0,), range(spec.batch))
        return timed(self.context, stage, lambda: stage.draw(rngs))

    @abstractmethod
    def test_errors(self) -> ValidationErrors:
        """Errors on frames that are held out for a test, beside those that weights are chosen by;
        by the networks and the header as they are now, always of the same samples."""

    @abstractmethod
    def improves(self) -> bool:
        """Whether the validation frames are better restored by the networks as they are now than
        left as they are. Of several estimates the header gives out the one that serves them best
        from now on."""


class WindowStage(Stage):
    """A stage of a network that learns from windows of pictures."""

    network: Any
    places: Sequence[int] = (0,)  # frames of a window, counted from its first

    def __init__(
        self, network: nn.Module, source: Sequence[Run], spec: StageSpec, crop: int,
        exam: Callable[[], ValidationErrors],
    ) -> None:  # fmt: skip
        """spec: for stages that know more kinds than one."""
        self.network, self.source, self.crop, self.exam = network, source, crop, exam

    def draw(self, rngs: Sequence[np.random.Generator]) -> Sample:
        """Windows turned, flipped and reversed in time at random."""
        return Sample.beside([self.drawn(rng).turned(rng) for rng in rngs])

    def drawn(self, rng: np.random.Generator) -> Sample:
        run = self.source[int(rng.integers(len(self.source)))]
        return run.window(rng, self.places, self.crop)

    def validate(self) -> ValidationErrors:
        return self.exam()


class WindowRecipe(Recipe[S]):
    """Recipe of a method that learns from windows of pictures."""

    def __init__(
        self, context: TrainingContext, header: Header, stages: Callable[..., Stage], step: int
    ) -> None:
        """stages: makes a stage of networks, windows to learn from, spec, crop, which is a multiple
        of `step` pixels, and exam."""
        super().__init__(context)
        self.header, self._stages, self._step = header, stages, step
        self._kind = cast("type[RgbMethod]", methods.load(header.method))
        self.networks = context.build(lambda: self._kind.built(header))
        self.parts, length = split(context.footage), header.length
        self.learnt = [
            Run.of(context.footage[part.clip], part.learnt, context.noise[part.clip].law)
            for part in self.parts
            if len(part.learnt) >= length
        ]
        if not self.learnt:
            few = f"no shot of {length + 2} frames: {length} to learn from and two to hold out"
            raise InputError(f"{context.footage[0].name}: {few}.", hint="Pass longer clips.")

    def stage(self, spec: S, seconds: float = math.inf) -> Stage:
        side = min(min(run.array.shape[2:]) for run in self.learnt)
        crop = self.context.fitting_crop(spec, side, self._step)
        return self._stages(self.networks, self.learnt, spec, crop, lambda: self.exam(spec))

    def exam(self, spec: S) -> ValidationErrors:
        """On the validation frames, by what is trained."""
        return self.errors()[0]

    def test_errors(self) -> ValidationErrors:
        return self.errors(test=True)[0]

    def improves(self) -> bool:
        restored, left = self.errors()
        return restored.score < left.score

    @torch.no_grad()
    def errors(
        self, *, test: bool = False, alone: bool = False
    ) -> tuple[ValidationErrors, ValidationErrors]:
        """Errors of what `f2r denoise` does with the networks as they are, and of what it is shown:
        clean clips with their noise, or recorrupted frames, where the squared error to the other
        half differs from that to the clean frames by a constant, of blind networks too.

        alone: the error of the estimates that look at the frame alone.
        """
        method, wrong, restored, left = self._method(), self.context.variance_error, [], []
        for clip, sample, centre in self._held_out(1 if alone else method.length, test=test):
            known = self.context.footage[clip].clean is not None
            model = self.context.noise[clip].law.level.scaled(1.0 if known else LOUDER)
            shown, asked, _, cut = placed(method.networks, sample)
            assert asked is not None  # it is a pair
            method.forget()
            frames = [method.prepared(i, each[None]) for i, each in enumerate(shown)]
            window = Window.of(frames, centre)
            found = window.centre.coarse if alone else method.restored(window, model)
            noisy, target = shown[centre, None], asked[centre, None]
            left.append(SampleErrors((noisy - target).square()))
            if known:
                restored.append(SampleErrors((found - target).square()))
                continue
            at = partial(as_stored, found, cut[centre, None])
            restored.append(SampleErrors.of_pair(noisy, target, at, wrong))
        return ValidationErrors.of(restored), ValidationErrors.of(left)

    def _held_out(self, length: int, *, test: bool) -> Iterator[tuple[int, Sample, int]]:
        """Windows around held-out frames of clips, as they are examined, and the frame's place in
        each; always the same ones."""
        context, seed = self.context, self.context.config.seed
        held = held_out_segments(context.footage, self.parts, length, seed, test)
        rngs = np.random.default_rng([seed, 2 + test]).spawn(len(held))
        for segment, rng in zip(held, rngs, strict=True):
            clip, law = context.footage[segment.clip], context.noise[segment.clip].law
            noisy, clean = segment.read(clip, 1)
            clipped = is_clipped(clip, segment.frames)
            for place in segment.centres:
                window = window_at(range(len(noisy)), place, length)
                part = slice(window.items[0], window.items[-1] + 1)
                own = None if clean is None else clean[part]
                sample = Sample.of(noisy[part], own, law, clipped=clipped)
                yield segment.clip, sample.pair(law, window.items, rng), len(window.before)

    def _method(self) -> RgbMethod:
        """The method as it is with the networks' weights, in copies of them."""
        made = Weights(self.context.config.output, self.header, self.networks.state_dict())
        method = self._kind.of(made, Runner(self.context.device, self.context.precision, None))
        channels_last(method.networks.eval().to(self.context.device))
        return method


def timed(context: TrainingContext, stage: Stage, batch: Callable[[], Any]) -> float:
    """Seconds that one step of a stage takes, its second one if that is no long wait."""
    stage.network.to(context.device).train()
    taken = 0.0
    for _ in range(2):
        begun = time.monotonic()
        loss = stage.loss(placed(stage.network, batch()))
        loss.backward()  # type: ignore[no-untyped-call]  # torch's annotation
        float(loss.detach())  # waits for a device
        taken = time.monotonic() - begun
        if taken > LONG:
            break
    stage.network.zero_grad(set_to_none=True)
    return taken


def load_recipe(context: TrainingContext) -> Recipe[Any]:
    """The recipe of a run's method, as RECIPE in its file. Raises what that raises."""
    name = f"f2rcli.training.methods.{context.config.method}"
    recipe: Recipe[Any] = import_module(name).RECIPE(context)
    if (most := context.config.steps) is not None:
        recipe.specs = [replace(spec, steps=min(spec.steps, most)) for spec in recipe.specs]
    return recipe
