"""F2R trained on noisy footage alone: its recipes, and the stage they are made of.

Blind anchor, pseudo pairs, recorruption (`f2rcli.training.pairs`); from scratch with several clips
a second round on what the first restores.
"""

import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from f2rcli.engine.tiles import Runner
from f2rcli.header import Estimate
from f2rcli.methods.rgb_f2r import F2R, F2RNetworks
from f2rcli.methods.rgb_f2r.alignment import photometric
from f2rcli.methods.rgb_f2r.pipeline import level_map
from f2rcli.models.fusion import Aligned, Anchor
from f2rcli.models.layers import padded
from f2rcli.training.events import Event, EventKind
from f2rcli.training.exams import NO_ERRORS, Noise, ValidationErrors, as_stored
from f2rcli.training.losses import psnr_loss
from f2rcli.training.methods.base import Recipe, StageSpec, TrainingContext, timed
from f2rcli.training.pairs import (
    CELL,
    TAU,
    Excerpt,
    TargetKind,
    TrainingPair,
    WindowCrop,
    load_excerpt,
    make_pairs,
    save_excerpt,
)
from f2rcli.training.split import Segment, Split, draw_segments, held_out_segments, split
from f2rcli.training.stage import Stage, placed
from f2rcli.training.windows import channels_first, dihedral, draw_turn

# Constructor arguments of the networks: 119 GMAC per megapixel of output.
SMALL: dict[str, Any] = {
    "coarse": {"widths": (32, 64, 128)},
    "anchor": {"widths": (24, 48, 96), "hidden": 12},
    "refiner": {"widths": (48, 64, 128), "embed": 20},
}
LENGTH = 5  # frames per window
HELD_OUT_CENTRES = 8
# Pixels per side of the part of a held-out pair that is examined, at the end and on the way.
EXAM_SIDE, CURVE_SIDE = 448, 192
MOST_PIXELS = 40_000_000  # of all centres of a stage; 40 bytes each
REPEATS = 6  # how often a stage may see a pixel before it would want others
STRIDE = 8  # crops are multiples of it
BLIND_WEIGHT = 0.3  # of stage 1's losses beside stage 2's
PREPARING = 0.3  # of a stage's time, at most, for making its pairs
Piece = tuple[Segment, TargetKind]  # that pairs are made of


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSpec(StageSpec):
    """A stage of a recipe."""

    part: str  # what is trained: coarse, anchor, refiner, or fusion for both of the latter
    targets: tuple[TargetKind, ...]


COARSE = PairSpec(name="coarse", part="coarse", targets=(TargetKind.EVEN,), steps=4000, share=0.25)
ANCHOR = PairSpec(name="anchor", part="anchor", targets=(TargetKind.BLIND,), share=0.4)
PSEUDO = PairSpec(
    name="pseudo", part="refiner", targets=(TargetKind.PSEUDO,), steps=3000, share=0.25
)
RECORRUPTION = PairSpec(
    name="recorruption", part="refiner", targets=(TargetKind.RECORRUPTED,), lr=5e-4, share=0.1
)
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
    PairSpec(name="fusion", part="fusion", targets=(TargetKind.RENOISED,), steps=5000, share=0.38),
    replace(RECORRUPTION, steps=1000, share=0.04),
)
TUNING = (
    replace(ANCHOR, steps=500, lr=3e-4, share=1.0),
    replace(
        PSEUDO, targets=(TargetKind.RENOISED, TargetKind.PSEUDO), steps=500, lr=3e-4, share=1.0
    ),
    replace(RECORRUPTION, steps=500, lr=1e-4, share=1.0),
)
ADAPT_STEPS = 60  # of every stage, per minute that an adaptation is given
ADAPT_BATCH, ADAPT_RATE = 4, 3e-4


class F2RRecipe(Recipe):
    """Pairs are made by the networks as they are once a stage begins, and kept for a resumed run
    until it ends."""

    def __init__(self, context: TrainingContext) -> None:
        super().__init__(context)
        self.header = context.header(LENGTH, SMALL)
        self.networks: F2RNetworks = context.build(
            lambda: F2RNetworks(self.header.channels, self.header.config)
        )
        self.specs = self._specs()
        self.parts: list[Split] = split(context.footage)
        self._fixed: dict[bool, list[Excerpt]] = {}  # for the test or not

    def _specs(self) -> tuple[PairSpec, ...]:
        config = self.context.config
        if self.context.start is None:
            return SCRATCH_OF_CLIPS if len(self.context.footage) > 1 else SCRATCH
        if not config.adapt:
            return TUNING
        steps = max(1, round(ADAPT_STEPS * config.adapt_minutes))
        return tuple(
            replace(spec, steps=steps, batch=ADAPT_BATCH, lr=ADAPT_RATE) for spec in TUNING
        )

    def stage(self, spec: StageSpec, seconds: float = math.inf) -> Stage:
        assert isinstance(spec, PairSpec)  # one of ours
        until, held = time.monotonic() + PREPARING * seconds, self._judged()
        wanted = spec.steps * spec.batch * spec.crop**2 // REPEATS
        pixels = min(wanted, MOST_PIXELS)
        rng = np.random.default_rng([self.context.config.seed, sum(spec.name.encode())])
        learnt = draw_segments(self.context.footage, self.parts, pixels, rng)
        learnt = learnt[: max(1, len(learnt) // len(spec.targets))]
        pieces = [(segment, kind) for segment in learnt for kind in spec.targets]
        excerpts = self._made(pieces, rng, self._pairs_of(spec), until)
        return self._stage(spec, excerpts, held)

    def finished(self, spec: StageSpec) -> Stage:
        assert isinstance(spec, PairSpec)  # one of ours
        return self._stage(spec, [], [])

    def tidy(self, spec: StageSpec) -> None:
        shutil.rmtree(self._pairs_of(spec), ignore_errors=True)

    def step_seconds(self, spec: StageSpec) -> float:
        assert isinstance(spec, PairSpec)  # one of ours
        neighbours, channels = self.header.length - 1, self.header.channels
        picture = torch.rand(spec.batch, channels, spec.crop, spec.crop)
        warped = picture[:, None].expand(-1, neighbours, -1, -1, -1)
        aligned = Aligned(warped, warped, torch.ones_like(warped[:, :, :1]))
        batch = FusionBatch(picture, picture, picture, torch.zeros_like(picture[:, :1]), aligned)
        level = level_map(None, picture)
        return timed(self.context, self._stage(spec, [], []), lambda: batch._replace(level=level))

    def test_errors(self) -> ValidationErrors:
        return self._errors(self._fixed_pairs(test=True), self.header.estimate)

    def improves(self) -> bool:
        held = self._judged()
        scores = {estimate: self._errors(held, estimate).score for estimate in Estimate}
        best = min(scores, key=lambda one: scores[one])
        self.header = replace(self.header, estimate=best)
        return scores[best] < errors_of(self.networks, held, lambda batch: batch.noisy).score

    @property
    def _exam(self) -> TargetKind:
        """What held-out pairs ask for: the clean frames where they are known."""
        known = all(clip.clean is not None for clip in self.context.footage)
        return TargetKind.CLEAN if known else TargetKind.RECORRUPTED

    def _judged(self) -> list[Excerpt]:
        """Pairs to validate on."""
        fixed = self.context.start is not None
        return self._fixed_pairs(test=False) if fixed else self._held_out(self._exam)

    def _fixed_pairs(self, *, test: bool) -> list[Excerpt]:
        """Coarse is fixed where there is a start to compare with, so the first pairs last."""
        if test not in self._fixed:
            self._fixed[test] = self._held_out(self._exam, test=test)
        return self._fixed[test]

    def _errors(self, held: list[Excerpt], estimate: Estimate) -> ValidationErrors:
        networks, wrong = self.networks, self.context.variance_error
        if not any(excerpt.pairs for excerpt in held):
            return NO_ERRORS
        return errors_of(networks, held, lambda batch: served(networks, batch, estimate), wrong)

    def _held_out(self, kind: TargetKind, *, test: bool = False) -> list[Excerpt]:
        """Held-out training pairs, the same whenever they are made with the same networks.

        Errors are only comparable on the same pairs: how strong their fresh noise is near black and
        white depends on the networks a little, and that moves errors by more than a gain does.
        """
        footage, seed = self.context.footage, self.context.config.seed
        given = (footage, self.parts, self.header.length, HELD_OUT_CENTRES, seed)
        pieces = [(segment, kind) for segment in held_out_segments(*given, test=test)]
        return self._made(pieces, np.random.default_rng([seed, 2 + test]))

    def _pairs_of(self, spec: StageSpec) -> Path:
        return self.context.folder / f"{spec.name}.pairs"

    def _made(
        self,
        pieces: Sequence[Piece],
        rng: np.random.Generator,
        folder: Path | None = None,
        until: float = math.inf,
    ) -> list[Excerpt]:
        """The pairs of every piece, each with a generator of its own; in a folder, if any, they are
        found again. Once it is `until` (of time.monotonic) no more of them are made, but one for
        each kind of target."""
        kinds, excerpts = len({kind for _, kind in pieces}), list[Excerpt]()
        for number, (piece, own) in enumerate(zip(pieces, rng.spawn(len(pieces)), strict=True)):
            path = None if folder is None else folder / f"{number:04d}.safetensors"
            if path is not None and path.exists():
                excerpts.append(load_excerpt(path))
                continue
            if number >= kinds and min(until, self.context.deadline) <= time.monotonic():
                break
            excerpts.append(self._excerpt(*piece, own))
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                save_excerpt(path, excerpts[-1])
                self.context.report(Event(
                    kind=EventKind.PROGRESS, stage=f"preparing {path.parent.stem}",
                    step=number + 1, steps=len(pieces),
                ))  # fmt: skip
        return excerpts

    @torch.inference_mode()
    def _excerpt(self, segment: Segment, target: TargetKind, rng: np.random.Generator) -> Excerpt:
        context, header = self.context, self.header
        runner = Runner(context.device, context.precision, None)
        networks = self.networks.to(context.device).eval()
        method = F2R(networks, runner, header.length, header.level)
        given = segment.read(context.footage), segment.centres, target, context.law(segment.clip)
        return make_pairs(method, *given, rng, segment.reference(context.footage))

    def _stage(self, spec: PairSpec, excerpts: list[Excerpt], held: list[Excerpt]) -> "PairStage":
        stage = PairStage(self.networks, excerpts, held, spec.part)
        stage.name, stage.batch = spec.name, spec.batch
        sides = [min(excerpt.noisy.shape[1:3]) for excerpt in excerpts]
        stage.crop = self.context.fitting_crop(spec, min(sides, default=spec.crop), STRIDE)
        return stage


class FusionBatch(NamedTuple):
    """Crops with what the pipeline makes of them before stage 1."""

    target: Tensor  # (B, C, H, W), like the next three
    noisy: Tensor
    coarse: Tensor
    level: Tensor
    aligned: Aligned
    cut: Tensor | None = None  # (B, C, H, W), sigma of targets that a range clipped; 0: of others

    def seen_beside(self, anchor: Anchor) -> tuple[Any, ...]:
        """Stage 2's input, with an anchor that its gradient does not reach: it stays an estimate of
        the picture and does not become a message to stage 2."""
        fixed = Anchor(*(part.detach() for part in anchor))
        return self.noisy, self.coarse, self.level, fixed, self.aligned


class PairStage(Stage):
    """Trains one of the networks, or both stages together, on pairs.

    Targets are noisy; their noise is independent of everything the networks are shown, so that
    the mean squared error to them differs from that to the clean picture by a constant.
    """

    def __init__(
        self,
        networks: F2RNetworks,
        excerpts: Sequence[Excerpt],
        held_out: Sequence[Excerpt],
        part: str,
    ) -> None:
        """part: what is trained, see PairSpec; held_out: what is validated on."""
        self.networks, self.excerpts, self.held_out, self.part = networks, excerpts, held_out, part
        parts = ("anchor", "refiner") if part == "fusion" else (part,)
        self.network = nn.ModuleDict({name: getattr(networks, name) for name in parts})
        self.crop = 96
        self._pairs = [(e, pair) for e in excerpts for pair in e.pairs]

    def draw(self, rngs: Sequence[np.random.Generator]) -> FusionBatch:
        crops = []
        for rng in rngs:
            excerpt, pair = self._pairs[rng.integers(len(self._pairs))]
            crops.append(turned(excerpt.draw(pair, self.crop, rng), rng))
        return collated(crops, rngs)

    def loss(self, batch: FusionBatch) -> Tensor:
        if self.part in ("coarse", "refiner"):
            return self._cost(self.best(batch), batch)
        anchor = _anchor(self.networks, batch)
        blind = self._cost(anchor.strict, batch) + self._cost(anchor.guided(batch.coarse), batch)
        if self.part == "anchor":
            return blind
        return self._cost(_refined(self.networks, batch, anchor), batch) + BLIND_WEIGHT * blind

    def _cost(self, estimate: Tensor, batch: FusionBatch) -> Tensor:
        return psnr_loss(as_stored(estimate, batch.cut), batch.target)

    def best(self, batch: FusionBatch) -> Tensor:
        """The estimate that this stage trains, by the networks as they are now."""
        if self.part == "coarse":
            coarse: Tensor = padded(self.networks.coarse, batch.noisy, batch.level)
            return coarse
        estimate = Estimate.ANCHOR if self.part == "anchor" else Estimate.REFINED
        return served(self.networks, batch, estimate)

    def validate(self) -> ValidationErrors | None:
        if not any(excerpt.pairs for excerpt in self.held_out):
            return None
        return errors_of(self.networks, self.held_out, self.best, side=CURVE_SIDE)


def _anchor(networks: F2RNetworks, batch: FusionBatch) -> Anchor:
    anchor: Anchor = padded(networks.anchor, batch.aligned)
    return anchor


def _refined(networks: F2RNetworks, batch: FusionBatch, anchor: Anchor) -> Tensor:
    refined: Tensor = padded(networks.refiner, *batch.seen_beside(anchor))
    return refined


def served(networks: F2RNetworks, batch: FusionBatch, estimate: Estimate) -> Tensor:
    """The pipeline's result with the networks as they are; stage 2 passes stage 1 no gradient."""
    if estimate is Estimate.COARSE:
        return batch.coarse
    anchor = _anchor(networks, batch)
    if estimate is Estimate.ANCHOR:
        return anchor.guided(batch.coarse)
    return _refined(networks, batch, anchor)


@torch.no_grad()
def errors_of(
    networks: F2RNetworks,
    excerpts: Sequence[Excerpt],
    estimate: Callable[[FusionBatch], Tensor],
    variance_error: float = 0.0,
    side: int = EXAM_SIDE,
) -> ValidationErrors:
    """Errors of an estimate on held-out pairs.

    variance_error: the share of its variance by which the noise drawn for recorrupted pairs may be
    wrong. So much of the noise that the estimate lets through does not cancel: it adds to the error
    twice, and weights that let through less look better by it, or worse, than they are. By as much
    the mean may be off that black and white leave of the noise, which estimates there are held to.
    """
    errors, noise, doubts = [], list[Noise | None](), []
    for piece, pair in ((one, pair) for one in excerpts for pair in one.pairs):
        batch = held_out_batch(networks, piece, pair, side)
        guess, asked, cut = estimate(batch), batch.target, batch.cut
        squares = (as_stored(guess, cut) - asked).square()
        kind, doubt = pair.kind, 0.0
        if kind is TargetKind.RECORRUPTED:
            tau = TAU[kind]
            drawn = (batch.noisy - asked) / (1 + tau**2)
            doubt = float(2 * variance_error * (as_stored(guess, cut) * drawn).mean())
            if cut is not None:  # were it drawn too strong, the true sigma would be lower
                weaker = as_stored(guess, cut * (1 - variance_error / 2))
                doubt += float((squares - (weaker - asked).square()).mean())
            noise.append(Noise.of_pair(batch.noisy, asked, tau))
        else:
            noise.append(None)
        errors.append(squares)
        doubts.append(doubt)
    return ValidationErrors.of(errors, noise, doubts)


def held_out_batch(
    networks: F2RNetworks, excerpt: Excerpt, pair: TrainingPair, side: int
) -> FusionBatch:
    """The middle of a held-out pair, as a batch of one; at most so many pixels a side."""
    sides = [min(n, side) // STRIDE * STRIDE for n in pair.noisy.shape[:2]]
    top, left = ((n - s) // 2 // CELL * CELL for n, s in zip(pair.noisy.shape, sides, strict=False))
    crop = excerpt.crop(pair, top, left, *sides)
    return placed(networks, collated([crop]))


WARPED = ("warped_noisy", "warped_coarse", "agreement")  # parts of a WindowCrop per neighbour
PICTURES = ("target", "noisy", "coarse", *WARPED)


def collated(
    crops: list[WindowCrop], rngs: Sequence[np.random.Generator] | None = None
) -> FusionBatch:
    """Crops as a batch. With generators a tenth of them lose some of their neighbours, as happens
    in short shots and beside duplicates; what short clips lack counts for nothing either."""
    most = max(len(crop.agreement) for crop in crops)
    crops = [_padded(crop, most) for crop in crops]
    target, noisy, coarse, warped_noisy, warped_coarse, agreement = (
        channels_first(np.stack([getattr(c, part) for c in crops])) for part in PICTURES
    )
    level = torch.cat([level_map(c.conditioned_on, coarse[i : i + 1]) for i, c in enumerate(crops)])
    typical = torch.tensor([c.typical for c in crops])
    confidence = agreement * photometric(warped_coarse, coarse, typical)
    kept = torch.ones(len(crops), confidence.shape[1], 1, 1, 1)
    for sample, rng in enumerate(rngs or ()):
        if rng.random() < 0.1:
            lost = rng.permutation(confidence.shape[1])[: rng.integers(1, confidence.shape[1])]
            kept[sample, torch.from_numpy(lost)] = 0
    aligned = Aligned(warped_noisy, warped_coarse, confidence * kept)
    cuts = [np.zeros_like(c.target) if c.cut is None else c.cut for c in crops]
    cut = None if all(c.cut is None for c in crops) else channels_first(np.stack(cuts))
    return FusionBatch(target, noisy, coarse, level, aligned, cut)


def _padded(crop: WindowCrop, neighbours: int) -> WindowCrop:
    """The crop with so many neighbours, the last ones of no agreement."""
    more = [(0, neighbours - len(crop.agreement)), (0, 0), (0, 0), (0, 0)]
    parts: dict[str, Any] = {part: np.pad(getattr(crop, part), more) for part in WARPED}
    return replace(crop, **parts)


def turned(crop: WindowCrop, rng: np.random.Generator) -> WindowCrop:
    """A crop flipped and transposed at random; a mosaic's only transposed."""
    code = draw_turn(rng, crop.noisy.shape[-1])
    pictures = PICTURES if crop.cut is None else (*PICTURES, "cut")
    parts: dict[str, Any] = {part: dihedral(getattr(crop, part), code) for part in pictures}
    return replace(crop, **parts)


RECIPE = F2RRecipe
