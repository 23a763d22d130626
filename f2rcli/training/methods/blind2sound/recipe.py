"""Training recipe of Blind2Sound: noisy frames alone, with real or synthetic noise."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from f2rcli.errors import ConfigError, InputError
from f2rcli.models.blind2sound import Blind2SoundNetworks
from f2rcli.training.footage.split import Windows, held_windows, split
from f2rcli.training.methods.base import (
    Recipe,
    StageRun,
    StageSpec,
    TrainingContext,
    build_networks,
    overridden,
)
from f2rcli.training.methods.blind2sound.stage import MaskedStage
from f2rcli.training.methods.gray_start import with_gray_start
from f2rcli.training.methods.improvement import restores
from f2rcli.training.methods.validation import NO_ERRORS, ValidationErrors

# `published` costs 285 GMAC per megapixel and pass, seventeen of them in a training step.
SIZES: dict[str, dict[str, dict[str, Any]]] = {
    "small": {
        "denoiser": {"width": 24, "wide": 48, "depth": 5},
        "estimator": {"widths": (16, 32, 64)},
    },
    "published": {
        "denoiser": {"width": 48, "wide": 96, "depth": 5},
        "estimator": {"widths": (64, 128, 256)},
    },
}
WHITE = frozenset({"gaussian", "poisson-gaussian"})  # kinds of noise that pixels do not share
STRIDE = 32  # crops are multiples of it: five halvings
# Pixels per side of a cell, and how many of its pixels are hidden in turn in every step. Smaller
# cells hide, and so teach, four times as many pixels a pass.
PUBLISHED_MASKS, OUR_MASKS = (4, 16), (2, 2)

OURS = StageSpec(name="denoise", steps=12_000, lr=1.5e-3, warmup=300)
PUBLISHED = StageSpec(  # arXiv 2303.05183 and its code
    name="denoise", steps=50_000, lr=1e-3, batch=4, crop=128, warmup=0, optimiser="adam",
    weight_decay=1e-8, clip_grad=10.0, schedule="halved", rates=(("estimator", 0.5),),
)  # fmt: skip


class Blind2SoundRecipe(Recipe):
    def __init__(self, context: TrainingContext) -> None:
        config = context.config
        self.context = context = with_gray_start(
            context, lambda own: Blind2SoundNetworks(1, **own), narrowed
        )
        self.header = context.header(1, SIZES[config.size])
        self.networks = build_networks(
            context, lambda: Blind2SoundNetworks(self.header.channels, **self.header.config)
        )
        config.check_stages(self.names())
        _check_independent(context)
        parts = split(context.footage, config.held_out)
        self.learnt = [(part.clip, part.learnt) for part in parts]
        self.held, self.test = held_windows(parts, 1)

    def names(self) -> list[str]:
        return [OURS.name]

    def stage_runs(self) -> Iterator[StageRun]:
        yield StageRun(self._stage(self.held), self.context.settings(self._spec()))

    def test_errors(self) -> ValidationErrors:
        return self._stage(self.test).validation_errors() if self.test else NO_ERRORS

    def improves(self) -> bool:
        return restores(self.context, self.header, self.networks, self.held)

    def _spec(self) -> StageSpec:
        config = self.context.config
        return overridden([PUBLISHED if config.recipe == "published" else OURS], config)[0]

    def _stage(self, held: Windows) -> MaskedStage:
        """A stage on what is learnt from, validated on these windows."""
        context, spec = self.context, self._spec()
        source = context.windows(self.learnt)
        crop = context.fitting_crop(spec, source.side, STRIDE)
        masks = PUBLISHED_MASKS if context.config.recipe == "published" else OUR_MASKS
        return MaskedStage(
            self.networks, source, context.windows(held), spec.name, spec.batch, crop, *masks
        )


def _check_independent(context: TrainingContext) -> None:
    """Raise for noise that neighbouring pixels share: it would be learnt as picture."""
    for part in context.synthetic.parts if context.synthetic is not None else ():
        if part.kind not in WHITE:
            raise ConfigError(
                f"noise={context.config.noise!r}: {part.kind} noise is not independent from pixel "
                "to pixel, which Blind2Sound relies on.",
                hint=f"Choose {' or '.join(sorted(WHITE))}, or both joined by +.",
            )
    for clip, report in zip(context.footage, context.noise, strict=False):
        if report is not None and not report.white:
            raise InputError(
                f"{clip.name}: its neighbouring pixels share noise, which a method that "
                "hides single pixels would learn as picture.",
                hint="Leave this clip out, or pass method='f2r'.",
            )


def narrowed(wide: Tensor, shape: torch.Size) -> Tensor:
    """A tensor of RGB weights as a gray network has it: what three equal channels make together,
    inputs summed and means averaged; its variance is that of the last channel."""
    if wide.shape == shape:
        return wide
    if wide.shape[0] != shape[0]:  # the denoiser's tail: three means, and a triangle row by row
        return torch.stack([wide[:3].mean(0), wide[-1]])
    return torch.cat([wide[:, :-3], wide[:, -3:].sum(1, keepdim=True)], 1)  # the picture is last


RECIPE = Blind2SoundRecipe
