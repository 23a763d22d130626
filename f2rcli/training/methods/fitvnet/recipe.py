"""Training recipes of FITVNet: clean clips with synthetic noise, or noisy footage alone."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from f2rcli.errors import ConfigError, InputError
from f2rcli.methods.fitvnet import LENGTH, FITVNetNetworks
from f2rcli.noise.synthesis.spec import FOOTAGE, SENSOR
from f2rcli.training.footage.renditions import Rendition, render_all
from f2rcli.training.footage.split import held_windows, split
from f2rcli.training.footage.windows import WindowSource
from f2rcli.training.methods.base import (
    Recipe,
    StageRun,
    StageSpec,
    TrainingContext,
    build_networks,
    overridden,
)
from f2rcli.training.methods.fitvnet.stage import VARIANTS, JointStage
from f2rcli.training.methods.improvement import restores
from f2rcli.training.methods.losses import Loss, mse_loss, psnr_loss
from f2rcli.training.methods.validation import NO_ERRORS, ValidationErrors

# `small` costs a quarter of `published`: 129 against 499 GMAC per megapixel of output.
SIZES: dict[str, dict[str, Any]] = {
    "small": {"image": {"width": 24}, "block": {"widths": (16, 16, 32, 64)}, "aligned": True},
    "published": {"image": {"width": 48}, "block": {"widths": (30, 32, 64, 128)}},
}
STRIDE = 32  # crops are multiples of it: five halvings


@dataclass(frozen=True, slots=True, kw_only=True)
class JointSpec(StageSpec):
    """A stage of FITVNet."""

    blocks: bool  # False: the image module alone
    loss: Loss = psnr_loss
    warmup: int = 200
    ema: float = 0.998


# The image module alone first: it costs a fifth of a joint step, and the blocks learn little
# before its estimates are any good. The paper's alpha / e says the same in one stage.
OURS = (
    JointSpec(name="image", blocks=False, steps=4000, batch=16, lr=1.5e-3),
    JointSpec(name="joint", blocks=True, steps=3000, batch=8, lr=1e-3, share=2.0),
)
# Adam 1e-4, batch 16, 40 epochs of Vimeo-90K's 64,612 clips, as published
PUBLISHED = (
    JointSpec(
        name="joint", blocks=True, steps=161_000, batch=16, crop=256, lr=1e-4, loss=mse_loss,
        optimiser="adam", schedule="constant", clip_grad=None,
    ),
)  # fmt: skip


class FITVNetRecipe(Recipe):
    def __init__(self, context: TrainingContext) -> None:
        self.context = context
        config = context.config
        name = config.chosen_variant or "jsn"
        self.variant = VARIANTS[name]
        if self.variant.clean and not config.inputs_are_clean:
            raise ConfigError(
                f"variant={name!r}: needs clean clips.",
                hint="Pass inputs_are_clean=True and noise=, or variant='jsn'.",
            )
        for part in context.synthetic.parts if context.synthetic is not None else ():
            if part.kind in (FOOTAGE, SENSOR):
                raise ConfigError(
                    f"noise={config.noise!r}: only F2R learns from {part.kind}.",
                    hint="Pass method='f2r', or noise='gaussian:5-80+mixture'.",
                )
        hidden = {"hidden": True, "aligned": False} if self.variant.hidden else {"hidden": False}
        made = context.header(LENGTH, SIZES[config.size], sigma_range=(0.0, 80.0))
        self.header = replace(made, config=made.config | hidden)
        self.networks = build_networks(
            context, lambda: FITVNetNetworks(self.header.channels, self.header.config)
        )
        specs = PUBLISHED if config.recipe == "published" else OURS
        self.specs = [spec for spec in specs if spec.blocks or self.variant.alpha]
        config.check_stages(self.names())
        self.parts = split(context.footage, config.held_out)
        self.learnt = [(p.clip, p.learnt) for p in self.parts if len(p.learnt) >= LENGTH]
        self.held, self.test = held_windows(self.parts, LENGTH)
        if not self.learnt or not self.held:
            raise InputError(
                f"{context.footage[0].name}: no shot of {LENGTH + 1} frames: {LENGTH} to learn "
                "from and one to validate on.",
                hint="Pass longer clips.",
            )

    def names(self) -> list[str]:
        return [spec.name for spec in self.specs]

    def stage_runs(self) -> Iterator[StageRun]:
        context, rendered = self.context, self._rendered()
        for spec in overridden(self.specs, context.config):
            if spec.steps:
                stage = self._stage(spec, context.windows(self.learnt, rendered))
                # the image module sees nothing but held-out frames, the blocks what is around them
                held = self.held if spec.blocks else held_windows(self.parts, 1)[0]
                stage.held_out = self._stage(spec, context.windows(held))
                stage.crop = stage.held_out.crop = min(stage.crop, stage.held_out.crop)
                yield StageRun(stage, context.settings(spec))

    def test_errors(self) -> ValidationErrors:
        """Errors of the blocks' results."""
        if not self.test:
            return NO_ERRORS
        joint = next(s for s in overridden(self.specs, self.context.config) if s.blocks)
        return self._stage(joint, self.context.windows(self.test)).validation_errors()

    def improves(self) -> bool:
        return restores(self.context, self.header, self.networks, self.held)

    def _stage(self, spec: JointSpec, source: WindowSource) -> JointStage:
        crop = self.context.fitting_crop(spec, source.side, STRIDE)
        return JointStage(
            self.networks, source, self.variant, spec.name, spec.batch, crop, spec.blocks, spec.loss
        )

    def _rendered(self) -> list[Rendition]:
        """Renditions of the clean clips by cameras and codecs, if the noise asks for them."""
        context = self.context
        if context.synthetic is None:
            return []
        orders = render_all(
            context.footage, context.folder / "rendered", context.synthetic,
            seed=context.config.seed, jobs=context.jobs, report=context.report,
        )  # fmt: skip
        made = [order.load() for order in orders]
        return [item for item in made if len(item.noisy) >= LENGTH]


RECIPE = FITVNetRecipe
