"""How F2R is trained: on noisy footage alone, as published, or on clean clips with made noise."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from f2rcli.engine.tiles import Runner
from f2rcli.errors import ConfigError
from f2rcli.frames import Space
from f2rcli.methods.f2r import F2R, Networks
from f2rcli.models.layers import channels_last
from f2rcli.noise.law import NoiseLaw
from f2rcli.training.footage.split import Place, Split, exams, places, split
from f2rcli.training.loop.settings import TrainSettings
from f2rcli.training.loop.stage import Stage
from f2rcli.training.methods.base import StageRun, TrainingContext
from f2rcli.training.methods.f2r.self_supervised import Cost, PairStage, absolute, validation_errors
from f2rcli.training.methods.f2r.supervised import channels_of, clean_stage_runs
from f2rcli.training.methods.f2r.training_pairs import Excerpt, TargetKind, make_pairs
from f2rcli.training.methods.losses import psnr_loss
from f2rcli.training.methods.validation import ValidationErrors, is_significant
from f2rcli.weights import Header

# Channel widths of coarse, anchor and refiner; `small` costs 119 GMAC per megapixel of output.
SIZES: dict[str, dict[str, dict[str, Any]]] = {
    "small": {
        "coarse": {"widths": (32, 64, 128)},
        "anchor": {"widths": (24, 48, 96), "hidden": 12},
        "refiner": {"widths": (48, 64, 128), "embed": 20},
    },
    "base": {
        "coarse": {"widths": (64, 128, 256)},
        "anchor": {"widths": (48, 96, 192), "hidden": 24},
        "refiner": {"widths": (96, 128, 256), "embed": 48},
    },
}
EXAMS = 8  # held-out centres
LEAST_PIXELS, MOST_PIXELS = 200_000, 40_000_000  # of all centres of a stage
REPEATS = 6  # how often a stage may see a pixel before it would want others
BYTES_PER_PIXEL = 40  # of a lesson: three float16 pictures, and flows to six neighbours


@dataclass(frozen=True, slots=True)
class Plan:
    """A stage of a recipe on noisy footage."""

    name: str
    parts: tuple[str, ...]
    teachings: tuple[TargetKind, ...]
    steps: int
    lr: float
    cost: Cost = psnr_loss
    optimiser: Any = "muon"
    batch: int = 8
    crop: int = 96
    clip_grad: float | None = 1.0


BOTH = ("anchor", "refiner")
SCRATCH = (
    Plan("coarse", ("coarse",), (TargetKind.RECORRUPTED,), 4000, 1.5e-3),
    Plan("anchor", ("anchor",), (TargetKind.BLIND,), 2000, 1.5e-3),
    Plan("pseudo", ("refiner",), (TargetKind.PSEUDO,), 3000, 1.5e-3),
    Plan("recorruption", ("refiner",), (TargetKind.RECORRUPTED,), 2000, 5e-4),
)
TUNING = (
    Plan("anchor", ("anchor",), (TargetKind.BLIND,), 500, 3e-4),
    Plan("pseudo", ("refiner",), (TargetKind.RENOISED, TargetKind.PSEUDO), 500, 3e-4),
    Plan("recorruption", ("refiner",), (TargetKind.RECORRUPTED,), 500, 1e-4),
)
# The restored clip noised afresh teaches the clip's own noise and content at no risk of leaking;
# recorruption on a single clip made it worse wherever it was tried (benchmarks/ablation.md).
ADAPTATION = Plan("adapt", BOTH, (TargetKind.RENOISED,), 240, 3e-4)
ADAPT_VALIDATE = 40  # steps
LEVELS = (0.0, 0.5, 0.75, 1.25, 1.5)  # factors of the told noise level that `fast` tries
# arXiv 2603.10417, code: Adam 3e-4, batch 4, crops of 256, cosine to nothing; methods 1.7
PUBLISHED = (
    Plan("coarse", ("coarse",), (TargetKind.RECORRUPTED,), 4000, 1.5e-3),
    Plan("stage1", ("anchor",), (TargetKind.BLIND,), 50_000, 3e-4, absolute, "adam", 4, 256, None),
    Plan("stage2", ("refiner",), (TargetKind.PSEUDO,), 50_000, 3e-4, absolute, "adam", 4, 256, 0.1),
)


class F2RRecipe:
    """See base.Recipe."""

    def __init__(self, material: TrainingContext) -> None:
        """Raises ConfigError for stages that the recipe does not have, or a start of other
        colours; what `split` raises."""
        self.material = material
        config = material.config
        self.header = self._header()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)  # a resumed run begins its later stages as it would have
            self.networks = Networks(self.header.channels, self.header.config)
        channels_last(self.networks)
        if material.start is not None:
            material.start.fill(self.networks)
        self.plans = self._plans()
        config.check_stages(self.names())
        self.parts: list[Split] = []
        if not config.clean:
            self.parts = split(material.footage, config.held_out, self.header.length)

    def names(self) -> list[str]:
        """See Recipe."""
        if self.material.config.clean:
            return ["coarse", "fusion"]
        if self.material.config.adapt is not None:
            return [ADAPTATION.name]
        return [plan.name for plan in self.plans]

    def stage_runs(self) -> Iterator[StageRun]:
        """See Recipe. A stage of no steps is left out."""
        if self.material.config.clean:
            yield from clean_stage_runs(self.material, self.networks)
            return
        for plan in map(self._as_asked, self.plans):
            if plan.steps:
                yield StageRun(self.stage(plan), self._settings(plan))

    def adaptation(self) -> StageRun:
        """See Recipe."""
        plan = self._as_asked(ADAPTATION)
        every = min(ADAPT_VALIDATE, self.material.config.validate_every)
        return StageRun(self.stage(plan), replace(self._settings(plan), validate_every=every))

    def validation_errors(self, stage: Stage) -> ValidationErrors:
        """See Recipe."""
        assert isinstance(stage, PairStage)  # what `adaptation` gave
        found = validation_errors(stage)
        if found is None:
            raise ConfigError("nothing is held out, so nothing can be compared.")
        return found

    def fitted(self) -> tuple[ValidationErrors, Header | None]:
        """See Recipe: the factor of the told noise level that serves the held-out frames best."""
        before = best = self._at_level(1.0)
        header = None
        for factor in LEVELS:
            found = self._at_level(factor)
            if found.score < best.score and is_significant(before, found):
                best, header = found, replace(self.header, level=self.header.level * factor)
        return before, header

    def _at_level(self, factor: float) -> ValidationErrors:
        """What the networks make of the held-out frames, told `factor` times the level."""
        exam = self._exam(TargetKind.RECORRUPTED, factor)
        return self.validation_errors(PairStage(self.networks, [], exam, ADAPTATION.name))

    def _as_asked(self, plan: Plan) -> Plan:
        asked = self.material.config.stage(plan.name)
        names = ("steps", "lr", "batch", "crop")
        changes = {name: getattr(asked, name) for name in names}
        return replace(plan, **{n: value for n, value in changes.items() if value is not None})

    def stage(self, plan: Plan) -> PairStage:
        """A stage with its lessons, taken with the networks as they are now."""
        material, config = self.material, self.material.config
        rng = np.random.default_rng([config.seed, sum(plan.name.encode())])
        wanted = plan.steps * plan.batch * plan.crop**2 // REPEATS
        most = min(MOST_PIXELS, config.memory_bytes // BYTES_PER_PIXEL)
        pixels = min(max(wanted, LEAST_PIXELS), most)
        learnt = places(material.footage, self.parts, pixels, rng)
        learnt = learnt[: max(1, len(learnt) // len(plan.teachings))] * len(plan.teachings)
        kinds = [t for t in plan.teachings for _ in range(len(learnt) // len(plan.teachings))]
        kind = TargetKind.BLIND if plan.parts == ("anchor",) else TargetKind.RECORRUPTED
        with torch.inference_mode():
            excerpts = [self._excerpt(p, t, rng) for p, t in zip(learnt, kinds, strict=True)]
        return PairStage(
            self.networks, excerpts, self._exam(kind), plan.name, plan.batch, plan.crop,
            plan.parts, plan.cost,
        )  # fmt: skip

    def _exam(self, kind: TargetKind, level: float = 1.0) -> list[Excerpt]:
        """Held-out lessons, the same whenever they are taken with the same networks."""
        config = self.material.config
        held = exams(self.material.footage, self.parts, self.header.length, EXAMS, config.seed)
        rng = np.random.default_rng([config.seed, 2])
        with torch.inference_mode():
            return [self._excerpt(place, kind, rng, level) for place in held]

    def _excerpt(
        self, place: Place, teaching: TargetKind, rng: np.random.Generator, level: float = 1.0
    ) -> Excerpt:
        material = self.material
        runner = Runner(material.device, material.precision, None)
        method = F2R(self.networks.eval(), runner, self.header.length, level * self.header.level)
        pictures = place.read(material.footage)
        return make_pairs(method, pictures, place.centres, teaching, self._law(place.clip), rng)

    def _law(self, clip: int) -> NoiseLaw:
        return self.material.report(clip).law.first_channels(self.header.channels)

    def _settings(self, plan: Plan) -> TrainSettings:
        return self.material.settings(
            plan.steps, warmup=100, ema=0.999, lr=plan.lr, optimiser=plan.optimiser,
            clip_grad=plan.clip_grad,
        )  # fmt: skip

    def _plans(self) -> tuple[Plan, ...]:
        plans = PUBLISHED if self.material.config.recipe == "published" else SCRATCH
        if self.material.start is None:
            return plans
        return PUBLISHED[1:] if plans is PUBLISHED else TUNING

    def _header(self) -> Header:
        material, config = self.material, self.material.config
        start = material.start
        if start is not None:
            if start.header.channels != channels_of(material):
                raise ConfigError(
                    f"init: {start.name} is for {start.header.space.value}, "
                    f"the clips are {material.space.value}.",
                    hint=f"Take --init {material.space.value}, or leave it out.",
                )
            return replace(start.header, trained_on=f"{start.name}, then the user's footage")
        channels = channels_of(material)
        return Header(
            method="f2r",
            space=material.space if channels == material.channels else Space.GRAY,
            channels=channels,
            length=config.window,
            config=sizes(config.size, config.widths),
            size=config.size if config.size in SIZES else "custom",
            order="RGB" if channels == 3 else "Y",
            trained_on="the user's footage",
        )


def sizes(name: str, widths: tuple[int, ...] | None) -> dict[str, Any]:
    """The networks' widths: of a size by name, or in proportion to the refiner's `widths`."""
    if widths is None:
        return SIZES[name]
    half = tuple(max(8, width // 2) for width in widths)
    return {
        "coarse": {"widths": widths},
        "anchor": {"widths": half, "hidden": max(8, half[0] // 2)},
        "refiner": {"widths": widths, "embed": max(8, half[0])},
    }


def recipe(material: TrainingContext) -> F2RRecipe:
    """See recipes.load."""
    return F2RRecipe(material)
