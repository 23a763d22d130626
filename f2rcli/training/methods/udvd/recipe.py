"""How UDVD is trained: on noisy frames, which are its own targets; on many clips or on one."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from f2rcli.errors import ConfigError, InputError
from f2rcli.frames import Space
from f2rcli.methods.udvd import build
from f2rcli.models.layers import channels_last
from f2rcli.models.udvd import Widths
from f2rcli.noise.law import NoiseLaw
from f2rcli.noise.synthesis.synthetic import Synthetic, parse_noise
from f2rcli.training.footage.split import split
from f2rcli.training.loop.settings import TrainSettings
from f2rcli.training.loop.stage import Stage
from f2rcli.training.methods.base import StageRun, TrainingContext
from f2rcli.training.methods.f2r.supervised import channels_of
from f2rcli.training.methods.udvd.stage import BlindStage, Footage, Noised, Source
from f2rcli.training.methods.validation import ValidationErrors
from f2rcli.weights import Header

# `small` costs 248 GMAC per megapixel of a stream and 461 of a training window, at 256x128 pixels;
# `published` 4495 and 8108 there (4371 and 7883 without the rows that are added on top).
SIZES: dict[str, dict[str, Any]] = {
    "small": {"widths": (8, 16, 48, 32, 16), "middle": 8, "last": 24},
    "published": {"widths": tuple(Widths()), "middle": 32, "last": 96},
}
CROP_STEP = 4  # crops are multiples of it: two halvings
LAWS_LOOKED_AT = 64  # of made noise, for what a blind spot cannot remove


@dataclass(frozen=True, slots=True)
class Plan:
    """A stage of a recipe."""

    name: str
    steps: int
    lr: float
    batch: int = 8
    crop: int = 96
    optimiser: Any = "muon"
    schedule: Any = "cosine"
    clip_grad: float | None = 1.0
    patience: int | None = None  # validations
    mse_weight: float = 1.0  # see BlindStage


OURS = Plan("train", 6000, 1.5e-3)
# Adam 1e-4, batch 32, crops of 128, 40 epochs, halved late (methods.md 3.3): a cosine stands in
PUBLISHED = Plan("train", 60_000, 1e-4, 32, 128, "adam", clip_grad=None, mse_weight=0.0)
# One clip, 32 epochs (methods.md 3.3), ended early by its last frames
SINGLE = Plan("adapt", 900, 1.5e-3, patience=8)
FROM_WEIGHTS = 4e-4  # rate of what goes on from weights that are good already
SINGLE_STEPS = 300  # of one clip, from such weights


class UDVDRecipe:
    """See recipes.Adaptable."""

    def __init__(self, material: TrainingContext) -> None:
        """Raises ConfigError for stages, widths or noise that cannot be, or a start of other
        colours; InputError for shots that are too short."""
        self.material = material
        config = material.config
        self.header = self._header()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.networks = build(self.header.channels, self.header.length, self.header.config)
        channels_last(self.networks)
        if material.start is not None:
            material.start.fill(self.networks)
        self.plan = PUBLISHED if config.recipe == "published" else OURS
        if config.adapt is not None:
            self.plan = SINGLE
        if material.start is not None and self.plan is not PUBLISHED:
            steps = SINGLE_STEPS if self.plan is SINGLE else self.plan.steps
            self.plan = replace(self.plan, lr=FROM_WEIGHTS, steps=steps)
        config.check_stages(self.names())
        self.learnt, self.held = self._sources()

    def names(self) -> list[str]:
        """See Recipe."""
        return [self.plan.name]

    def stage_runs(self) -> Iterator[StageRun]:
        """See Recipe."""
        plan = self._as_asked()
        if plan.steps:
            yield StageRun(self._stage(plan), self._settings(plan))

    def adaptation(self) -> StageRun:
        """See Adaptable: UDVD-S, one clip with flips and time reversal, judged by its end."""
        plan = self._as_asked()
        settings = self._settings(plan)
        every = min(settings.validate_every, max(1, plan.steps // 20))
        return StageRun(self._stage(plan), replace(settings, validate_every=every))

    def validation_errors(self, stage: Stage) -> ValidationErrors:
        """See Adaptable."""
        assert isinstance(stage, BlindStage)  # what `adaptation` gave
        return stage.validation_errors()

    def _as_asked(self) -> Plan:
        asked = self.material.config.stage(self.plan.name)
        changes = {name: getattr(asked, name) for name in ("steps", "lr", "batch", "crop")}
        return replace(self.plan, **{n: v for n, v in changes.items() if v is not None})

    def _stage(self, plan: Plan) -> BlindStage:
        crop = min(plan.crop, self.learnt.side, self.held.side) // CROP_STEP * CROP_STEP
        if crop < 32:
            raise InputError(
                "clips of less than 32 pixels are too small to train on.", hint="Pass larger ones."
            )
        return BlindStage(
            self.networks,
            self.learnt,
            self.held,
            plan.name,
            plan.batch,
            crop,
            mse_weight=plan.mse_weight,
        )

    def _sources(self) -> tuple[Source, Source]:
        """What is learnt from, and what is held out: the last frames of every clip."""
        material, length = self.material, self.header.length
        parts = split(material.footage, material.config.held_out, length)
        learnt = [(p.clip, p.learnt) for p in parts if len(p.learnt) >= length]
        # centres are held out; what is around them need not be
        held = [
            (p.clip, p.shot[max(p.held.start - p.shot.start - length // 2, 0) :])
            for p in parts
            if p.held and len(p.shot) >= length
        ]
        held = [(clip, frames) for clip, frames in held if len(frames) >= length]
        if not learnt or not held:
            frames = max((len(part.shot) for part in parts), default=0)
            raise InputError(
                f"{material.footage[0].name}: {frames} frames in its longest shot, too few for "
                f"windows of {length} and frames that are held out.",
                hint="Pass longer clips, or a shorter --length (1, 3 or 5).",
            )
        return self._source(learnt), self._source(held)

    def _source(self, parts: list[tuple[int, range]]) -> Source:
        footage, config = self.material.footage, self.material.config
        clips = [footage[clip].array[frames.start : frames.stop] for clip, frames in parts]
        if config.clean:
            draw = _pixelwise(parse_noise(config.synthetic or "gaussian")).draw
            gray = config.space == Space.GRAY.value
            return Noised([*clips], draw, gray=gray)
        needed = bool(self.header.config["covariance"])
        return Footage(clips, [self._law(clip) if needed else None for clip, _ in parts])

    def _law(self, clip: int) -> NoiseLaw:
        hint = "Leave this clip out, or train without it: --variant mse."
        return self.material.report(clip, hint).law.first_channels(self.header.channels)

    def _settings(self, plan: Plan) -> TrainSettings:
        return self.material.settings(
            plan.steps, warmup=100, ema=0.998, lr=plan.lr, optimiser=plan.optimiser,
            schedule=plan.schedule, clip_grad=plan.clip_grad, patience=plan.patience,
        )  # fmt: skip

    def _header(self) -> Header:
        material, config = self.material, self.material.config
        start, channels = material.start, channels_of(material)
        if start is not None:
            return self._continued(start.header, start.name, channels)
        variant = config.chosen_variant or "likelihood"
        return Header(
            method="udvd",
            space=material.space if channels == material.channels else Space.GRAY,
            channels=channels,
            length=config.window,
            config=sizes(config.size, config.widths) | {"covariance": variant == "likelihood"},
            size=config.size if config.size in SIZES else "custom",
            order={1: "Y", 3: "RGB"}.get(channels, "R G1 B G2"),
            trained_on="the user's footage",
        )

    def _continued(self, header: Header, name: str, channels: int) -> Header:
        space = self.material.space.value
        if header.method != "udvd":
            raise ConfigError(
                f"init: {name} is for method {header.method}, not udvd.",
                hint="Take --init scratch, or leave it out.",
            )
        if header.channels != channels:
            raise ConfigError(
                f"init: {name} is for {header.space.value}, the clips are {space}.",
                hint="Take --init scratch, or leave it out.",
            )
        return replace(header, trained_on=f"{name}, then the user's footage")


def _pixelwise(noise: Synthetic) -> Synthetic:
    """The noise, if it is independent from pixel to pixel. Raises ConfigError."""
    rng = np.random.default_rng(0)
    laws = [noise.draw(rng) for _ in range(LAWS_LOOKED_AT)]
    if any(law is None or law.blur or law.shared for law in laws):
        raise ConfigError(
            f"--synthetic {noise.text}: neighbouring pixels or channels would share noise, which "
            "a blind spot cannot tell from the picture.",
            hint="Take gaussian:5-55 or poisson-gaussian, joined by +.",
        )
    return noise


def sizes(name: str, widths: tuple[int, ...] | None) -> dict[str, Any]:
    """The networks' widths: of a size by name, or the five numbers of a blind U-Net.

    Raises ConfigError for other than five numbers.
    """
    if widths is None:
        return SIZES[name]
    if len(widths) != len(Widths()):
        raise ConfigError(
            f"size = {name}: UDVD has five widths.",
            hint="Encoders at 1/1, 1/2, 1/4, decoders at 1/2, 1/1: 8,16,48,32,16 is `small`.",
        )
    return {"widths": widths, "middle": max(widths[-1] // 2, 4), "last": widths[-1] * 3 // 2}


def recipe(material: TrainingContext) -> UDVDRecipe:
    """See recipes.load."""
    return UDVDRecipe(material)
