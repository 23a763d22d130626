"""How FITVNet is trained: on clean clips with made noise, or on noisy footage alone."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import torch

from f2rcli.errors import ConfigError, InputError
from f2rcli.frames import Space
from f2rcli.methods.fitvnet import LENGTH, Networks
from f2rcli.models.layers import channels_last
from f2rcli.noise.law import NoiseLaw
from f2rcli.noise.synthesis.synthetic import parse_noise
from f2rcli.training.footage.clips import Rendition
from f2rcli.training.footage.renditions import Renderer
from f2rcli.training.footage.split import Split, split
from f2rcli.training.footage.windows import Made, Recorrupted, Source
from f2rcli.training.loop.settings import TrainSettings
from f2rcli.training.methods.base import StageRun, TrainingContext
from f2rcli.training.methods.f2r.supervised import RENDITIONS, channels_of
from f2rcli.training.methods.fitvnet.stage import VARIANTS, Cost, JointStage, squared
from f2rcli.training.methods.losses import psnr_loss
from f2rcli.weights import Header

# `small` costs a quarter of `published`: 129 against 499 GMAC per megapixel of output.
SIZES: dict[str, dict[str, Any]] = {
    "small": {"image": {"width": 24}, "block": {"widths": (16, 16, 32, 64)}},
    "published": {"image": {"width": 48}, "block": {"widths": (30, 32, 64, 128)}},
}
STRIDE = 32  # crops are multiples of it: five halvings


@dataclass(frozen=True, slots=True)
class Plan:
    """A stage of a recipe."""

    name: str
    blocks: bool  # False: the image module alone
    steps: int
    batch: int
    crop: int
    lr: float
    cost: Cost = psnr_loss
    optimiser: Any = "muon"
    schedule: Any = "cosine"
    clip_grad: float | None = 1.0


# The image module alone first: it costs a fifth of a joint step, and the blocks learn little
# before its estimates are any good. The paper's alpha / e says the same in one stage.
OURS = (
    Plan("image", False, 4000, 16, 96, 1.5e-3),
    Plan("joint", True, 3000, 8, 96, 1e-3),
)
# Adam 1e-4, batch 16, 40 epochs of Vimeo-90K's 64,612 clips (methods.md 2.3)
PUBLISHED = (Plan("joint", True, 161_000, 16, 256, 1e-4, squared, "adam", "constant", None),)


class FITVNetRecipe:
    """See base.Recipe."""

    def __init__(self, material: TrainingContext) -> None:
        """Raises ConfigError for stages or clean frames there are not, or a start of other colours;
        what `split` raises."""
        self.material = material
        config = material.config
        name = config.chosen_variant or "jsn"
        self.variant = VARIANTS[name]
        if self.variant.clean and not config.clean:
            raise ConfigError(
                f"--variant {name}: needs clean clips.",
                hint="Pass --clean --synthetic NOISE, or take --variant jsn.",
            )
        self.header = self._header()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.networks = Networks(self.header.channels, self.header.config)
        channels_last(self.networks)
        if material.start is not None:
            material.start.fill(self.networks)
        plans = PUBLISHED if config.recipe == "published" else OURS
        self.plans = [plan for plan in plans if plan.blocks or self.variant.alpha]
        config.check_stages(self.names())
        parts = split(material.footage, config.held_out, LENGTH)
        self.learnt = [(p, p.learnt) for p in parts if len(p.learnt) >= LENGTH]
        self.held = [(p, p.shot[-LENGTH:]) for p in parts if p.held and len(p.shot) >= LENGTH]
        if not self.learnt or not self.held:
            raise InputError(
                f"{material.footage[0].name}: no shot of {LENGTH + 1} frames: {LENGTH} to learn "
                "from and one to judge by.",
                hint="Pass longer clips.",
            )

    def names(self) -> list[str]:
        """See Recipe."""
        return [plan.name for plan in self.plans]

    def stage_runs(self) -> Iterator[StageRun]:
        """See Recipe. A stage of no steps is left out."""
        with ExitStack() as open_:
            rendered = self._rendered(open_)
            for plan in map(self._as_asked, self.plans):
                if plan.steps:
                    stage = self._stage(plan, self._source(self.learnt, rendered))
                    stage.held_out = self._stage(plan, self._source(self.held, []))
                    stage.crop = stage.held_out.crop = min(stage.crop, stage.held_out.crop)
                    yield StageRun(stage, self._settings(plan))

    def _stage(self, plan: Plan, source: Source) -> JointStage:
        crop = min(plan.crop, source.side) // STRIDE * STRIDE
        if not crop:
            raise InputError(
                f"clips of less than {STRIDE} pixels are too small to train on.",
                hint="Pass larger ones.",
            )
        return JointStage(
            self.networks, source, self.variant, plan.name, plan.batch, crop, plan.blocks, plan.cost
        )

    def _as_asked(self, plan: Plan) -> Plan:
        asked = self.material.config.stage(plan.name)
        names = ("steps", "lr", "batch", "crop")
        changes = {name: getattr(asked, name) for name in names}
        return replace(plan, **{n: value for n, value in changes.items() if value is not None})

    def _source(self, parts: list[tuple[Split, range]], rendered: list[Rendition]) -> Source:
        """Windows of some frames of every shot."""
        footage, config = self.material.footage, self.material.config
        clips = [footage[part.clip].array[frames.start : frames.stop] for part, frames in parts]
        if config.clean:
            draw = parse_noise(config.synthetic or "gaussian").draw
            if not rendered:
                return Made(clips, draw, gray=config.space == Space.GRAY.value)
            return Made(clips, draw, rendered, gray=config.space == Space.GRAY.value)
        laws = [self._law(part.clip) for part, _ in parts]
        clipped = [bool(clip.min() >= 0 and clip.max() <= 1) for clip in clips]
        return Recorrupted(clips, laws, clipped)

    def _rendered(self, open_: ExitStack) -> list[Rendition]:
        """What cameras and codecs would have made of clean clips, where that was asked for."""
        material = self.material
        kinds = parse_noise(material.config.synthetic or "gaussian").rendered
        if not material.config.clean or not kinds:
            return []
        renderer = open_.enter_context(
            Renderer(
                material.footage, material.folder / "rendered", seed=material.config.seed,
                per_clip=RENDITIONS, kinds=kinds, jobs=material.jobs,
            )
        )  # fmt: skip
        renderer.wait(len(renderer.orders))
        made = [renderer.get(index) for index in range(renderer.count)]
        return [item for item in made if len(item.noisy) >= LENGTH]

    def _law(self, clip: int) -> NoiseLaw:
        return self.material.report(clip).law.first_channels(self.header.channels)

    def _settings(self, plan: Plan) -> TrainSettings:
        return self.material.settings(
            plan.steps, warmup=200, ema=0.998, lr=plan.lr, optimiser=plan.optimiser,
            schedule=plan.schedule, clip_grad=plan.clip_grad,
        )  # fmt: skip

    def _header(self) -> Header:
        material, config = self.material, self.material.config
        start, channels = material.start, channels_of(material)
        if start is None:
            return Header(
                method="fitvnet",
                space=material.space if channels == material.channels else Space.GRAY,
                channels=channels,
                length=LENGTH,
                config=SIZES[config.size] | {"hidden": self.variant.hidden},
                size=config.size,
                order={1: "Y", 3: "RGB"}.get(channels, "R G1 B G2"),
                sigma_range=(0.0, 80.0),
                trained_on="the user's footage",
            )
        if start.header.channels != channels:
            raise ConfigError(
                f"init: {start.name} is for {start.header.space.value}, "
                f"the clips are {material.space.value}.",
                hint=f"Take --init {material.space.value}, or leave it out.",
            )
        taught = start.header.config | {"hidden": self.variant.hidden}
        return replace(
            start.header, config=taught, trained_on=f"{start.name}, then the user's footage"
        )


def recipe(material: TrainingContext) -> FITVNetRecipe:
    """See recipes.load."""
    return FITVNetRecipe(material)
