"""F2R trained on noisy footage alone: its recipes, and the stage they are made of.

The coarse network learns from recorrupted frames, the blind anchor from the noisy frames it does
not see, the refiner from what the anchor restores, noised afresh, and at last from recorrupted ones
(`f2rcli.training.excerpts`); from scratch with several clips there is a second round on what the
first restores.
"""

import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from f2rcli.engine.device import Runner
from f2rcli.methods.f2r import F2R
from f2rcli.models.placing import placed as rated
from f2rcli.models.planar import CONFIGS, CentreFrame, Networks, Restored
from f2rcli.training.exams import SampleErrors, ValidationErrors, as_stored
from f2rcli.training.excerpts import TAU, Batch, Centre, Excerpt, TargetKind, make_excerpt
from f2rcli.training.folder import Event, EventKind
from f2rcli.training.loop import is_finished
from f2rcli.training.methods.base import Recipe, TrainingContext, timed
from f2rcli.training.noise import PlaneLaw, in_colours, in_planes
from f2rcli.training.stage import Stage, StageSpec, placed
from f2rcli.training.windows import Segment, Split, draw_segments, held_out_segments, split
from f2rcli.weights import Estimate

SIZE = "lite"  # of networks from scratch
LENGTH = 5  # frames per window
# Pixels per side of the part of a held-out centre that is examined, at the end and on the way.
EXAM_SIDE, CURVE_SIDE = 448, 192
MOST_PIXELS = 20_000_000  # of all centres of a stage; 45 bytes each
REPEATS = 6  # how often a stage may see a pixel before it would want others
BLIND, SINGLE = 0.3, 0.5  # weights of the anchor's and the coarse loss beside the refiner's
CHROMA = 0.3  # of the loss of Y'CbCr pictures
# Mean squared error below which none is seen: pictures almost clean must not rule the gradient.
LEAST_ERROR = 2e-5
PREPARING = 0.3  # of a stage's time, at most, for making its excerpts
LOSING = 0.1  # of training samples lose some of their neighbours, as beside cuts and copies
COARSE, ANCHOR, REFINER = ("coarse",), ("anchor",), ("refiner",)
FUSION, ALL = (*ANCHOR, *REFINER), (*COARSE, *ANCHOR, *REFINER)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSpec(StageSpec):
    parts: tuple[str, ...]  # of the networks, that are trained
    target: TargetKind


SINGLES = PairSpec(
    name="coarse", parts=COARSE, target=TargetKind.EVEN, steps=4000, lr=3e-3, share=0.25
)
BLINDLY = PairSpec(name="anchor", parts=ANCHOR, target=TargetKind.RECORRUPTED, lr=3e-3, share=0.2)
RESTORED = PairSpec(
    name="refiner", parts=REFINER, target=TargetKind.RENOISED, steps=3000, lr=3e-3, share=0.32
)
RECORRUPTION = PairSpec(
    name="recorruption", parts=REFINER, target=TargetKind.RECORRUPTED, lr=1.2e-3, share=0.23
)
SCRATCH = (SINGLES, BLINDLY, RESTORED, RECORRUPTION)
# With several clips, once stage 2 is worth more than its teachers, all three learn anew from what
# it restores, as if that were clean (iterative data refinement: Zhang et al., CVPR 2022). A single
# clip has no other scenes to learn them from.
SCRATCH_OF_CLIPS = (
    replace(SINGLES, steps=2000, batch=16, share=0.12),
    replace(BLINDLY, steps=1500, share=0.16),
    replace(RESTORED, steps=1500, share=0.14),
    PairSpec(name="second", parts=ALL, target=TargetKind.RENOISED, steps=6000, share=0.54),
    replace(RECORRUPTION, steps=1000, lr=5e-4, share=0.04),
)
TUNING = (
    PairSpec(
        name="restored", parts=FUSION, target=TargetKind.RENOISED, steps=600, lr=3e-4, share=0.6
    ),
    PairSpec(
        name="recorruption", parts=FUSION, target=TargetKind.RECORRUPTED, steps=500, lr=1e-4,
        share=0.4,
    ),
)  # fmt: skip
ADAPT_STEPS = 60  # of every stage, per minute that an adaptation is given
ADAPT_BATCH, ADAPT_RATE = 4, 3e-4


class F2RRecipe(Recipe[PairSpec]):
    """Excerpts are made by the networks as a stage begins, and kept for a resume until it ends."""

    def __init__(self, context: TrainingContext) -> None:
        super().__init__(context)
        layout = context.footage[0].packed
        assert layout is not None  # F2R's footage is packed
        self.layout = layout
        config = {**CONFIGS[SIZE], "layouts": [layout.name]}
        self.header = context.header(LENGTH, config, size=SIZE)
        self.networks: Networks = context.build(lambda: Networks(self.header.config))
        self.specs = self._specs()
        sides = (2 * min(clip.shape[2:]) for clip in context.footage)
        context.fitting_crop(self.specs[0], min(sides), 2 * self.networks.stride)  # refuses
        self.parts: list[Split] = split(context.footage)
        self._fixed: dict[bool, list[Excerpt]] = {}  # for the test or not

    def _specs(self) -> tuple[PairSpec, ...]:
        config = self.context.config
        if self.context.start is None:
            return SCRATCH_OF_CLIPS if len(self.context.footage) > 1 else SCRATCH
        if not config.adapt:
            return TUNING
        steps = max(1, round(ADAPT_STEPS * (config.time_limit_seconds or math.inf) / 60))
        return tuple(replace(one, steps=steps, batch=ADAPT_BATCH, lr=ADAPT_RATE) for one in TUNING)

    def stage(self, spec: PairSpec, seconds: float = math.inf) -> Stage:
        until, held = time.monotonic() + PREPARING * seconds, self._held_out()
        wanted = spec.steps * spec.batch * spec.crop**2 // REPEATS
        rng = np.random.default_rng([self.context.config.seed, sum(spec.name.encode())])
        learnt = draw_segments(self.context.footage, self.parts, min(wanted, MOST_PIXELS), rng)
        excerpts = self._made(learnt, spec.target, rng, spec.name, until)
        return self._stage(spec, excerpts, held)

    def finished(self, spec: PairSpec) -> Stage:
        return self._stage(spec, [], [])

    def tidy(self, spec: PairSpec) -> None:
        shutil.rmtree(self._kept(spec.name), ignore_errors=True)

    def step_seconds(self, spec: PairSpec) -> float:
        side, neighbours = spec.crop // 2, self.header.length - 1
        picture = torch.rand(spec.batch, self.layout.channels, side, side)
        near = picture[:, None].expand(-1, neighbours, -1, -1, -1)
        maps = torch.full((spec.batch, 2 * len(self.layout.planes), side, side), 0.1)
        trust = torch.ones_like(near[:, :, :1])
        own = picture, picture, maps, torch.zeros_like(picture)
        batch = Batch(self.layout, spec.target, *own, near, near, trust, trust)
        return timed(self.context, self._stage(spec, [], []), lambda: batch)

    def test_errors(self) -> ValidationErrors:
        return self._errors(self._held_out(test=True), self.header.estimate)

    def improves(self) -> bool:
        held = self._held_out()
        whole = self.context.start is not None and self.header.estimate is Estimate.REFINED
        judged = (Estimate.REFINED,) if whole else tuple(Estimate)
        scores = {estimate: self._errors(held, estimate).score for estimate in judged}
        best = min(scores, key=lambda one: scores[one])
        self.header = replace(self.header, estimate=best)
        return scores[best] < errors_of(held, self.networks, None).score

    def _errors(self, held: list[Excerpt], estimate: Estimate) -> ValidationErrors:
        return errors_of(held, self.networks, estimate, self.context.variance_error)

    def _held_out(self, *, test: bool = False) -> list[Excerpt]:
        """Excerpts to validate on, or for the test: asked for the clean frames, where known.

        Errors are only comparable on the same ones: how strong their fresh noise is near black and
        white depends on the networks a little, and that moves errors by more than a gain does. So
        the first ones last, but those that a run from scratch is validated on as coarse changes.
        """
        fixed = test or self.context.start is not None
        if not fixed or test not in self._fixed:
            footage, seed = self.context.footage, self.context.config.seed
            given = (footage, self.parts, self.header.length, seed)
            known = all(clip.clean is not None for clip in footage)
            kind = TargetKind.CLEAN if known else TargetKind.RECORRUPTED
            rng = np.random.default_rng([seed, 2 + test])
            self._fixed[test] = self._made(held_out_segments(*given, test), kind, rng)
        return self._fixed[test]

    def _kept(self, stage: str) -> Path:
        return self.context.config.folder / f"{stage}.pairs"

    def _made(
        self,
        pieces: Sequence[Segment],
        kind: TargetKind,
        rng: np.random.Generator,
        stage: str | None = None,
        until: float = math.inf,
    ) -> list[Excerpt]:
        """An excerpt of every piece, each with a generator of its own; those of a stage are kept in
        the run's folder, and found again. Once it is `until` (of time.monotonic) no more of them
        are made, but one."""
        excerpts = list[Excerpt]()
        for number, (piece, own) in enumerate(zip(pieces, rng.spawn(len(pieces)), strict=True)):
            path = None if stage is None else self._kept(stage) / f"{number:04d}.safetensors"
            if path is not None and path.exists():
                excerpts.append(Excerpt.load(path))
                continue
            if excerpts and min(until, self.context.deadline) <= time.monotonic():
                break
            excerpts.append(self._excerpt(piece, kind, own))
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                excerpts[-1].save(path)
            self.context.report(Event(
                kind=EventKind.PROGRESS, stage=f"preparing {stage or 'exams'}", step=number + 1,
                steps=len(pieces),
            ))  # fmt: skip
        return excerpts

    @torch.inference_mode()
    def _excerpt(self, segment: Segment, kind: TargetKind, rng: np.random.Generator) -> Excerpt:
        context, header = self.context, self.header
        networks = self.networks.to(context.device).eval()
        # What the refiner first learns from, as long as it gives out nothing better itself.
        untrained = context.start is None and not is_finished(context.config.folder, RESTORED.name)
        estimate = Estimate.ANCHOR if untrained else Estimate.REFINED
        run = Runner(context.device, context.precision, None)
        method = F2R(networks, run, self.layout, header.length, estimate)
        law = PlaneLaw.of(self.layout, context.noise[segment.clip])
        pictures, known = segment.read(context.footage[segment.clip], networks.stride)
        return make_excerpt(method, pictures, segment.centres, kind, law, rng, known)

    def _stage(self, spec: PairSpec, excerpts: list[Excerpt], held: list[Excerpt]) -> "PairStage":
        stage = PairStage(self.networks, excerpts, held, spec.parts)
        sides = [2 * min(excerpt.size) for excerpt in excerpts]
        step = 2 * self.networks.stride
        stage.crop = self.context.fitting_crop(spec, min(sides, default=spec.crop), step) // 2
        return stage


class PairStage(Stage):
    """Trains some of the networks on excerpts.

    Targets are noisy; their noise is independent of everything the networks are shown, so that
    the mean squared error to them differs from that to the clean picture by a constant.
    """

    def __init__(
        self,
        networks: Networks,
        excerpts: Sequence[Excerpt],
        held_out: Sequence[Excerpt],
        parts: tuple[str, ...],
    ) -> None:
        """parts: what is trained; held_out: what is validated on."""
        self.networks, self.held_out, self.parts = networks, held_out, parts
        self.network = nn.ModuleDict({name: getattr(networks, name) for name in parts})
        self.crop = 48  # cells
        self._centres = [(e, centre) for e in excerpts for centre in e.centres]

    def draw(self, rngs: Sequence[np.random.Generator]) -> Batch:
        samples = []
        for rng in rngs:
            excerpt, centre = self._centres[rng.integers(len(self._centres))]
            samples.append(excerpt.draw(centre, self.crop, rng))
        batch = Batch.of(samples)
        for sample, rng in enumerate(rngs):
            count = batch.agreement.shape[1]
            if count > 1 and rng.random() < LOSING:
                lost = rng.permutation(count)[: rng.integers(1, count)]
                batch.agreement[sample, torch.from_numpy(lost)] = 0
        return batch

    def loss(self, batch: Batch) -> Tensor:
        with torch.set_grad_enabled("coarse" in self.parts):
            coarse = self.networks.coarse(batch.layout, batch.shown, batch.told)
        total = torch.zeros((), device=batch.shown.device)
        if "coarse" in self.parts:
            alone = len(self.parts) == 1
            total = total + (1 if alone else SINGLE) * cost(coarse, batch.asked, batch)
            if alone:
                return total
        done = estimates(self.networks, batch, coarse, refine="refiner" in self.parts)
        if "anchor" in self.parts:
            blind = cost(done.strict, batch.own, batch) + cost(done.anchor, batch.own, batch)
            total = total + (BLIND if "refiner" in self.parts else 1) * blind
        if "refiner" in self.parts:
            total = total + cost(done.refined, batch.asked, batch)
        return total

    def validate(self) -> ValidationErrors:
        last = {"coarse": Estimate.COARSE, "anchor": Estimate.ANCHOR, "refiner": Estimate.REFINED}
        return errors_of(self.held_out, self.networks, last[self.parts[-1]], side=CURVE_SIDE)


def estimates(networks: Networks, batch: Batch, coarse: Tensor, *, refine: bool) -> Restored:
    """Both stages on a batch, or the first."""
    given = batch.noisy, batch.coarse, batch.agreement, batch.worth
    centre, neighbours = CentreFrame(batch.shown, coarse), rated(*given, coarse.detach())
    return networks(batch.layout, centre, batch.told, neighbours, refine=refine)


def served(networks: Networks, batch: Batch, estimate: Estimate) -> Tensor:
    """The pipeline's result with the networks as they are."""
    coarse: Tensor = networks.coarse(batch.layout, batch.shown, batch.told)
    if estimate is Estimate.COARSE or not batch.agreement.shape[1]:
        return coarse
    done = estimates(networks, batch, coarse, refine=estimate is Estimate.REFINED)
    return done.anchor if estimate is Estimate.ANCHOR else done.refined


def cost(estimate: Tensor, target: Tensor, batch: Batch) -> Tensor:
    """Mean over pictures (B, C, h, w) of half the log of each one's squared error; of Y'CbCr,
    luma's and chroma's apart. Every noise level weighs the same, as it does in a mean of PSNRs."""
    power = (stored(estimate, batch) - target).square()
    luma = batch.layout.slices[0]
    parts = [(slice(None), 1.0)]
    if batch.layout.name.startswith("yuv"):
        parts = [(luma, 1 - CHROMA), (slice(luma.stop, None), CHROMA)]
    errors = (share * torch.log(power[:, p].mean((1, 2, 3)) + LEAST_ERROR) for p, share in parts)
    return 0.5 * sum(errors, torch.zeros((), device=power.device)).mean()


def stored(estimate: Tensor, batch: Batch, share: float = 1.0) -> Tensor:
    """An estimate as the file's range leaves noise of so many times the measured sigma around it on
    average; see `as_stored`."""
    colours = in_colours(batch.layout, estimate.float())
    return in_planes(batch.layout, as_stored(colours, batch.cut, share))


@torch.no_grad()
def errors_of(
    excerpts: Sequence[Excerpt],
    networks: Networks,
    estimate: Estimate | None,
    variance_error: float = 0.0,
    side: int = EXAM_SIDE,
) -> ValidationErrors:
    """Errors on held-out excerpts of an estimate, or of what is shown (None); variance_error: see
    `SampleErrors.of_pair`."""
    errors = list[SampleErrors]()
    for excerpt, centre in ((one, centre) for one in excerpts for centre in one.centres):
        batch = held_out_batch(networks, excerpt, centre, side)
        guess = batch.shown if estimate is None else served(networks, batch, estimate)
        if tau := TAU.get(batch.kind):
            pair = batch.shown, batch.asked, partial(stored, guess, batch)
            errors.append(SampleErrors.of_pair(*pair, variance_error, tau))
        else:
            errors.append(SampleErrors((stored(guess, batch) - batch.asked).square()))
    return ValidationErrors.of(errors, cell=2)


def held_out_batch(networks: Networks, excerpt: Excerpt, centre: Centre, side: int) -> Batch:
    """The middle of a held-out centre, as a batch of one; at most so many pixels a side."""
    step = networks.stride
    sides = [min(n, side // 2) // step * step for n in excerpt.size]
    top, left = ((n - s) // 2 for n, s in zip(excerpt.size, sides, strict=True))
    return placed(networks, excerpt.crop(centre, top, left, *sides))


RECIPE = F2RRecipe
