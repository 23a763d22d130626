"""Training recipes of F2R: noisy footage alone, as published, or clean clips made noisy."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from f2rcli.engine.tiles import Runner
from f2rcli.engine.worker import at_once
from f2rcli.header import Estimate
from f2rcli.methods.f2r import F2R, F2RNetworks
from f2rcli.training.footage.split import Segment, Split, draw_segments, held_out_segments, split
from f2rcli.training.loop.trainer import is_finished
from f2rcli.training.methods.base import (
    Staged,
    StageRun,
    StageSpec,
    TrainingContext,
    build_networks,
    overridden,
)
from f2rcli.training.methods.f2r.excerpts import Excerpt
from f2rcli.training.methods.f2r.gray_start import narrowed
from f2rcli.training.methods.f2r.self_supervised import PairStage, errors_of, served
from f2rcli.training.methods.f2r.supervised import supervised_stages
from f2rcli.training.methods.f2r.training_pairs import TargetKind, make_pairs
from f2rcli.training.methods.gray_start import with_gray_start
from f2rcli.training.methods.losses import Loss, l1_loss, psnr_loss
from f2rcli.training.methods.validation import NO_ERRORS, ValidationErrors

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
HELD_OUT_CENTRES = 8  # held-out centres
LEAST_PIXELS, MOST_PIXELS = 200_000, 40_000_000  # of all centres of a stage
# That training pairs are made for, of a stage that follows the clock
CLOCKED_STEPS, STEPS_PER_MINUTE = 3000, 400
REPEATS = 6  # how often a stage may see a pixel before it would want others
BYTES_PER_PIXEL = 40  # of a training pair: three float16 pictures, and flows to six neighbours
Piece = tuple[Segment, TargetKind]  # that pairs are made of


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSpec(StageSpec):
    """A stage of a recipe on noisy footage."""

    part: str  # what is trained, see `PairStage`
    targets: tuple[TargetKind, ...]
    loss: Loss = psnr_loss


COARSE = PairSpec(
    name="coarse", part="coarse", targets=(TargetKind.EVEN,), steps=4000, lr=1.5e-3, share=0.25,
)  # fmt: skip
ANCHOR = PairSpec(
    name="anchor", part="anchor", targets=(TargetKind.BLIND,), steps=2000, lr=1.5e-3, share=0.4,
)  # fmt: skip
PSEUDO = PairSpec(
    name="pseudo", part="refiner", targets=(TargetKind.PSEUDO,), steps=3000, lr=1.5e-3, share=0.25,
)  # fmt: skip
RECORRUPTION = PairSpec(
    name="recorruption", part="refiner", targets=(TargetKind.RECORRUPTED,), steps=2000, lr=5e-4,
    share=0.1,
)  # fmt: skip
SCRATCH = (COARSE, ANCHOR, PSEUDO, RECORRUPTION)
# With several clips, once stage 2 is worth more than its teachers, all three learn anew from what
# it restores, as if that were clean (iterative data refinement: Zhang et al., CVPR 2022). A single
# clip has no other scenes to learn them from.
FIRST = replace(COARSE, steps=2000, batch=16, share=0.12)
SCRATCH_OF_CLIPS = (
    FIRST,
    replace(ANCHOR, steps=1500, share=0.16),
    replace(PSEUDO, steps=1500, share=0.14),
    replace(FIRST, name="second-coarse", targets=(TargetKind.RENOISED,), steps=3000, share=0.16),
    PairSpec(
        name="fusion", part="fusion", targets=(TargetKind.RENOISED,), steps=5000, lr=1.5e-3,
        share=0.38,
    ),
    replace(RECORRUPTION, steps=1000, share=0.04),
)  # fmt: skip
TUNING = (
    replace(ANCHOR, steps=500, lr=3e-4),
    replace(PSEUDO, targets=(TargetKind.RENOISED, TargetKind.PSEUDO), steps=500, lr=3e-4),
    replace(RECORRUPTION, steps=500, lr=1e-4),
)
# Every stage where the bundled weights are fitted to a clip: few steps
ADAPT_STEPS = {"fast": 60, "full": 400}
ADAPT_BATCH, ADAPT_RATE = 4, 3e-4
# How sure a gain is hardly depends on how far training goes: with the steps grow both the gain and
# what the targets' noise makes of it.
PROBE_STEPS = 12
# arXiv 2603.10417, code: Adam 3e-4, batch 4, crops of 256, cosine to nothing
AS_PUBLISHED: dict[str, Any] = {
    "steps": 50_000, "lr": 3e-4, "loss": l1_loss, "optimiser": "adam", "batch": 4, "crop": 256,
}  # fmt: skip
PUBLISHED = (
    COARSE,
    replace(ANCHOR, name="stage1", clip_grad=None, **AS_PUBLISHED),
    replace(PSEUDO, name="stage2", clip_grad=0.1, **AS_PUBLISHED),
)


class F2RRecipe(Staged):
    def __init__(self, context: TrainingContext) -> None:
        config = context.config
        self.context = context = with_gray_start(context, lambda own: F2RNetworks(1, own), narrowed)
        self.header = context.header(config.window, sizes(config.size, config.widths))
        self.networks: F2RNetworks = build_networks(
            context, lambda: F2RNetworks(self.header.channels, self.header.config)
        )
        self.specs = self._specs()
        config.check_stages(self.names())
        self.parts: list[Split] = []
        self._fixed: dict[bool, list[Excerpt]] = {}  # for the test or not
        self._probed: dict[tuple[Piece, ...], list[Excerpt]] = {}  # the last stage learns from too
        if not config.inputs_are_clean:
            self.parts = split(context.footage, config.held_out)

    def names(self) -> list[str]:
        if self.context.config.inputs_are_clean:
            return ["coarse", "fusion"]
        return [spec.name for spec in self.specs]

    def stage_runs(self) -> Iterator[StageRun]:
        if self.context.config.inputs_are_clean:
            yield from supervised_stages(self.context, self.networks, self.header)
            return
        for spec in overridden(self.specs, self.context.config):
            if not spec.steps:
                continue
            settings = self.context.settings(spec)
            done = is_finished(self.context.folder, spec.name, settings)
            yield StageRun(self._stage(spec, [], ()) if done else self.stage(spec), settings)

    def test_errors(self) -> ValidationErrors:
        if not self.parts:  # clean clips, which are held out to choose by alone
            return NO_ERRORS
        return self._errors(self._fixed_pairs(test=True), self.header.estimate)

    def validation_errors(self) -> ValidationErrors:
        return self._errors(self._fixed_pairs(test=False), self.header.estimate)

    def probe(self) -> StageRun:
        last = self.specs[-1]
        pieces = self._pieces(replace(last, steps=min(last.steps, ADAPT_STEPS["fast"])))
        self._probed[pieces] = self._made(pieces, self._rng(last))
        spec = replace(last, name="probe", steps=PROBE_STEPS)
        return StageRun(self._stage(spec, self._probed[pieces], ()), self.context.settings(spec))

    def improves(self) -> bool:
        held = self._judged(TargetKind.RECORRUPTED)
        scores = {estimate: self._errors(held, estimate).score for estimate in Estimate}
        best = min(scores, key=lambda one: scores[one])
        self.header = replace(self.header, estimate=best)
        return scores[best] < errors_of(self.networks, held, lambda batch: batch.noisy).score

    def _judged(self, kind: TargetKind) -> list[Excerpt]:
        """Pairs to validate on."""
        fixed = kind is TargetKind.RECORRUPTED and self.context.start is not None
        return self._fixed_pairs(test=False) if fixed else self._held_out(kind)

    def _fixed_pairs(self, *, test: bool) -> list[Excerpt]:
        """Coarse is fixed where there is a start to compare with, so the first pairs last."""
        if test not in self._fixed:
            self._fixed[test] = self._held_out(TargetKind.RECORRUPTED, test=test)
        return self._fixed[test]

    def _errors(self, held: list[Excerpt], estimate: Estimate) -> ValidationErrors:
        networks = self.networks
        wrong = self.context.variance_error
        return errors_of(networks, held, lambda batch: served(networks, batch, estimate), wrong)

    def stage(self, spec: PairSpec) -> PairStage:
        """A stage with training pairs by the present networks, or those the probe learnt from."""
        pieces = self._pieces(spec)
        kind = TargetKind.BLIND if spec.part == "anchor" else TargetKind.RECORRUPTED
        known = self._probed.pop(pieces, None)
        check = self.context.check_time
        excerpts = self._made(pieces, self._rng(spec), check) if known is None else known
        return self._stage(spec, excerpts, self._judged(kind))

    def _stage(self, spec: PairSpec, excerpts: list[Excerpt], held: Sequence[Excerpt]) -> PairStage:
        return PairStage(
            self.networks, excerpts, held, spec.name, spec.batch, spec.crop, spec.part, spec.loss
        )

    def _rng(self, spec: PairSpec) -> np.random.Generator:
        return np.random.default_rng([self.context.config.seed, sum(spec.name.encode())])

    def _pieces(self, spec: PairSpec) -> tuple[Piece, ...]:
        """What a stage learns from, each as every kind of its targets."""
        steps = spec.steps
        if spec.minutes is not None:
            steps = min(steps, CLOCKED_STEPS, max(1, round(STEPS_PER_MINUTE * spec.minutes)))
        wanted = steps * spec.batch * spec.crop**2 // REPEATS
        most = min(MOST_PIXELS, self.context.config.memory_bytes // BYTES_PER_PIXEL)
        pixels = min(max(wanted, LEAST_PIXELS), most)
        learnt = draw_segments(self.context.footage, self.parts, pixels, self._rng(spec))
        learnt = learnt[: max(1, len(learnt) // len(spec.targets))]
        return tuple((segment, kind) for kind in spec.targets for segment in learnt)

    def _held_out(self, kind: TargetKind, *, test: bool = False) -> list[Excerpt]:
        """Held-out training pairs, the same whenever they are made with the same networks.

        Errors are only comparable on the same pairs: how strong their fresh noise is near black and
        white depends on the networks a little, and that moves errors by more than a gain does.
        """
        footage, seed = self.context.footage, self.context.config.seed
        given = (footage, self.parts, self.header.length, HELD_OUT_CENTRES, seed)
        pieces = [(segment, kind) for segment in held_out_segments(*given, test=test)]
        return self._made(pieces, np.random.default_rng([seed, 2 + test]))

    def _made(
        self,
        pieces: Sequence[Piece],
        rng: np.random.Generator,
        check: Callable[[], None] = lambda: None,
    ) -> list[Excerpt]:
        """The pairs of every piece. Each has a generator of its own, so that they are the same
        however many are made at a time. check: called before each, and before every pass of a
        network, to raise what ends it all."""
        makers = [
            partial(self._excerpt, segment, kind, own, check)
            for (segment, kind), own in zip(pieces, rng.spawn(len(pieces)), strict=True)
        ]
        return at_once(makers, self.context.device)

    @torch.inference_mode()
    def _excerpt(
        self,
        segment: Segment,
        target: TargetKind,
        rng: np.random.Generator,
        check: Callable[[], None],
    ) -> Excerpt:
        check()
        context, header = self.context, self.header
        runner = Runner(context.device, context.precision, None, check=check)
        method = F2R(self.networks.eval(), runner, header.length, header.level)
        pictures = segment.read(context.footage)
        return make_pairs(method, pictures, segment.centres, target, context.law(segment.clip), rng)

    def _specs(self) -> tuple[PairSpec, ...]:
        config = self.context.config
        specs = PUBLISHED if config.recipe == "published" else SCRATCH
        if self.context.start is None:
            several = specs is SCRATCH and len(self.context.footage) > 1
            return SCRATCH_OF_CLIPS if several else specs
        if config.adapt is not None:
            steps = ADAPT_STEPS[config.adapt]
            changes: dict[str, Any] = {"steps": steps, "batch": ADAPT_BATCH, "lr": ADAPT_RATE}
            return tuple(replace(spec, **changes) for spec in TUNING)
        return PUBLISHED[1:] if specs is PUBLISHED else TUNING


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


RECIPE = F2RRecipe
