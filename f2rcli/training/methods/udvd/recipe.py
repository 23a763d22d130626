"""Training recipes of UDVD: noisy frames are their own targets, on many clips or one."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from f2rcli.errors import ConfigError, InputError
from f2rcli.models.udvd import UDVDNet, Widths
from f2rcli.noise.law import NoiseLaw
from f2rcli.noise.synthesis.spec import NoiseSpec
from f2rcli.training.footage.split import Windows, held_windows, split
from f2rcli.training.footage.windows import WindowSource
from f2rcli.training.methods.base import (
    Recipe,
    StageRun,
    StageSpec,
    TrainingContext,
    build_networks,
    overridden,
)
from f2rcli.training.methods.improvement import restores
from f2rcli.training.methods.udvd.stage import BlindStage
from f2rcli.training.methods.udvd.start import with_more_frames
from f2rcli.training.methods.validation import NO_ERRORS, ValidationErrors

# `small` costs 248 GMAC per megapixel of a stream and 461 of a training window, at 256x128 pixels;
# `published` 4495 and 8108 there (4371 and 7883 without the rows that are added on top).
SIZES: dict[str, dict[str, Any]] = {
    "small": {"widths": (8, 16, 48, 32, 16), "middle": 8, "last": 24, "radius": 3},
    "published": {"widths": tuple(Widths()), "middle": 32, "last": 96, "radius": 0},
}
CROP_STEP = 4  # crops are multiples of it: two halvings
LAWS_LOOKED_AT = 64  # of synthetic noise, for what a blind spot cannot remove


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindSpec(StageSpec):
    """A stage of a blind-spot network."""

    ema: float = 0.998
    mse_weight: float = 1.0  # see BlindStage


OURS = BlindSpec(name="train", steps=6000, lr=1.5e-3)
# Adam 1e-4, batch 32, crops of 128, 40 epochs, halved late: a cosine stands in
PUBLISHED = BlindSpec(
    name="train", steps=60_000, lr=1e-4, batch=32, crop=128, optimiser="adam", clip_grad=None,
    mse_weight=0.0,
)  # fmt: skip
# One clip, 32 epochs as published, ended early by its last frames
SINGLE = BlindSpec(name="adapt", steps=900, lr=1.5e-3, patience=8)
FROM_WEIGHTS = 4e-4  # rate of what goes on from weights that are good already
SINGLE_STEPS = 300  # of one clip, from such weights


class UDVDRecipe(Recipe):
    def __init__(self, context: TrainingContext) -> None:
        self.context = context = with_more_frames(context)
        config = context.config
        own = sizes(config.size, config.widths)
        own |= {"covariance": config.chosen_variant == "likelihood"}
        self.header = context.header(config.window, own)
        self.networks = build_networks(
            context, lambda: UDVDNet(self.header.channels, self.header.length, **self.header.config)
        )
        self.spec = self._spec()
        config.check_stages(self.names())
        if context.synthetic is not None:
            _check_pixelwise(context.synthetic)
        self.judged: Windows = []  # windows around the centres that are validated on
        self.learnt, self.held, self.test = self._sources()

    def _spec(self) -> BlindSpec:
        """The stage of the recipe; shorter and at a lower rate from weights that are good."""
        config = self.context.config
        if config.recipe == "published" and config.adapt is None:
            return PUBLISHED
        spec = OURS if config.adapt is None else SINGLE
        if self.context.start is None:
            return spec
        steps = SINGLE_STEPS if spec is SINGLE else spec.steps
        return replace(spec, lr=FROM_WEIGHTS, steps=steps)

    def names(self) -> list[str]:
        return [self.spec.name]

    def stage_runs(self) -> Iterator[StageRun]:
        (spec,) = overridden([self.spec], self.context.config)
        if not spec.steps:
            return
        settings = self.context.settings(spec)
        if self.context.config.adapt is not None:  # UDVD-S: one clip, ended early by its end
            every = min(settings.validate_every, max(1, spec.steps // 20))
            settings = replace(settings, validate_every=every)
        yield StageRun(self._stage(spec), settings)

    def test_errors(self) -> ValidationErrors:
        if self.test is None:
            return NO_ERRORS
        tested = BlindStage(self.networks, self.learnt, self.test, "test")
        return tested.validation_errors()

    def improves(self) -> bool:
        return restores(self.context, self.header, self.networks, self.judged)

    def _stage(self, spec: BlindSpec) -> BlindStage:
        crop = self.context.fitting_crop(spec, min(self.learnt.side, self.held.side), CROP_STEP)
        return BlindStage(
            self.networks, self.learnt, self.held, spec.name, spec.batch, crop,
            mse_weight=spec.mse_weight,
        )  # fmt: skip

    def _sources(self) -> tuple[WindowSource, WindowSource, WindowSource | None]:
        """Windows for training, and, from clips' last frames, for validation and test, if any."""
        context, length = self.context, self.header.length
        parts = split(context.footage, context.config.held_out)
        learnt = [(p.clip, p.learnt) for p in parts if len(p.learnt) >= length]
        # centres are held out; what is around them need not be
        held, test = held_windows(parts, length)
        if not learnt or not held:
            frames = max((len(part.shot) for part in parts), default=0)
            raise InputError(
                f"{context.footage[0].name}: {frames} frames in its longest shot, too few for "
                f"windows of {length} and frames that are held out.",
                hint="Pass longer clips, or a shorter length= (1, 3 or 5).",
            )
        self.judged = held
        sources = (context.windows(one, law=self._law) if one else None for one in (held, test))
        return context.windows(learnt, law=self._law), *sources  # type: ignore[return-value]  # held is not empty

    def _law(self, clip: int) -> NoiseLaw | None:
        if not self.header.config["covariance"]:
            return None
        hint = "Leave this clip out, or train without it: variant='mse'."
        return self.context.law(clip, hint)


def _check_pixelwise(noise: NoiseSpec) -> None:
    """Raise ConfigError for noise that is not independent from pixel to pixel."""
    rng = np.random.default_rng(0)
    laws = [noise.draw(rng) for _ in range(LAWS_LOOKED_AT)]
    if any(law is None or law.blur or law.shared for law in laws):
        raise ConfigError(
            f"noise={noise.name!r}: neighbouring pixels or channels would share noise, which "
            "a blind spot cannot tell from the picture.",
            hint="Choose gaussian:5-55 or poisson-gaussian, or both joined by +.",
        )


def sizes(name: str, widths: tuple[int, ...] | None) -> dict[str, Any]:
    """The widths of a named size, or the five numbers given. Raises ConfigError for other
    counts."""
    if widths is None:
        return SIZES[name]
    if len(widths) != len(Widths()):
        raise ConfigError(
            f"size={name!r}: UDVD has five widths.",
            hint="Encoders at 1/1, 1/2, 1/4, decoders at 1/2, 1/1: 8,16,48,32,16 is `small`.",
        )
    return {"widths": widths, "middle": max(widths[-1] // 2, 4), "last": widths[-1] * 3 // 2}


RECIPE = UDVDRecipe
