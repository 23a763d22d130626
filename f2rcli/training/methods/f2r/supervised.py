"""F2R on clean clips with synthetic noise: the coarse denoiser, then both stages over its results.

Every ninth clip is held out; of fewer than five, the last quarter of each one's frames.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from f2rcli.errors import ConfigError, InputError
from f2rcli.header import Header
from f2rcli.methods.f2r import F2RNetworks
from f2rcli.noise.synthesis.spec import FOOTAGE, SENSOR, NoiseSpec
from f2rcli.training.footage.footage import Footage
from f2rcli.training.footage.renditions import RenditionJob, render_all
from f2rcli.training.footage.windows import CleanClips, WindowSource
from f2rcli.training.methods.base import StageRun, StageSpec, TrainingContext, overridden
from f2rcli.training.methods.f2r.degraded_clips import DegradedClips, Shot, coded_clips
from f2rcli.training.methods.f2r.precomputed import load_precomputed
from f2rcli.training.methods.f2r.precomputing import ClipMaker, precompute_all
from f2rcli.training.methods.f2r.stages import CoarseStage, FusionStage

COARSE = StageSpec(name="coarse", steps=8000, lr=1.5e-3, batch=16, warmup=300)
FUSION = StageSpec(name="fusion", steps=20_000, lr=1.5e-3, batch=8, warmup=300, share=3.0)
STEP = 16  # crops are multiples of it
LEAST = 5  # frames of a shot
HELD_OUT_EVERY = 9  # clips
CODED_CLIPS = 300  # degraded ones that went through a codec, for the coarse stage
ROUNDS = 3  # noise realisations of every clip, for the fusion stage
DEGRADED_CLIPS, HELD_OUT_CLIPS = 270, 24  # for it too, where noise is `footage`
SAMPLES = 380  # crops that a degraded clip is good for


@dataclass(frozen=True)
class CleanSet:
    """Clean shots, with renditions of their clips: what is learnt from, or what is held out."""

    shots: list[Shot]
    orders: list[RenditionJob]  # rendered

    @property
    def clips(self) -> list[NDArray[Any]]:
        """The pictures of every shot."""
        return [shot.array for shot in self.shots]


def supervised_stages(
    context: TrainingContext, networks: F2RNetworks, header: Header
) -> Iterator[StageRun]:
    """The coarse stage, then, over its results, the fusion of both stages."""
    noise = _checked(context)
    learnt, held = (
        CleanSet(shots, _rendered(context, noise, shots)) for shots in split_shots(context.footage)
    )
    first, second = overridden([COARSE, FUSION], context.config)
    asked = context.config.stage(COARSE.name).clips
    pieces = (
        min(CODED_CLIPS, max(1, first.steps * first.batch // SAMPLES)) if asked is None else asked
    )
    coarse, validation = (
        CoarseStage(networks.coarse, source, first.batch, relative=_is_footage(noise))
        for source in (_source(context, noise, learnt, pieces), _source(context, noise, held, 0))
    )
    coarse.held_out = validation
    side = min(coarse.source.side, validation.source.side)
    coarse.crop = validation.crop = context.fitting_crop(first, side, STEP)
    if first.steps:
        yield StageRun(coarse, context.settings(first))
    if not second.steps:
        return
    fusion, validation_fusion = (
        FusionStage(networks.anchor, networks.refiner, load_precomputed(folder), second.batch)
        for folder in _precomputed(context, networks, header, second, (learnt, held))
    )
    side = min(min(i.noisy.shape[1:3]) for i in (*fusion.items, *validation_fusion.items))
    fusion.crop = validation_fusion.crop = context.fitting_crop(second, side, STEP)
    fusion.held_out = validation_fusion
    yield StageRun(fusion, context.settings(second))


def _checked(context: TrainingContext) -> NoiseSpec:
    noise = context.synthetic
    assert noise is not None  # the config asks for it beside clean clips
    for kind in (FOOTAGE, SENSOR):
        if len(noise.parts) > 1 and any(part.kind == kind for part in noise.parts):
            raise ConfigError(
                f"noise={noise.name!r}: {kind} cannot be joined to other noise.",
                hint=f"Pass noise={kind!r} alone.",
            )
    if (_is_footage(noise) or noise.parts[0].kind == SENSOR) and context.footage[0].channels != 3:
        raise InputError(
            f"{context.footage[0].name}: noise {noise.name} is made from colour clips.",
            hint="Pass colour clips, or other noise.",
        )
    return noise


def _is_footage(noise: NoiseSpec) -> bool:
    return noise.parts[0].kind == FOOTAGE


def split_shots(footage: Sequence[Footage]) -> tuple[list[Shot], list[Shot]]:
    """Training shots and held-out ones. Raises InputError if none has LEAST frames."""
    clips = [[Shot(clip, s) for s in clip.shots if len(s) >= LEAST] for clip in footage]
    clips = [shots for shots in clips if shots]
    if not clips:
        raise InputError(
            f"{footage[0].name}: no shot of {LEAST} frames.", hint="Pass longer clips."
        )
    if len(clips) >= LEAST:
        held = clips[HELD_OUT_EVERY // 2 :: HELD_OUT_EVERY]
        learnt = [shots for shots in clips if shots not in held]
        return list(chain(*learnt)), list(chain(*held))
    shots = list(chain(*clips))
    cuts = [max(LEAST, len(shot.frames) * 3 // 4) for shot in shots]
    ends = [
        Shot(s.clip, s.frames[cut:]) if len(s.frames) - cut >= LEAST else s
        for s, cut in zip(shots, cuts, strict=True)
    ]
    return [Shot(s.clip, s.frames[:cut]) for s, cut in zip(shots, cuts, strict=True)], ends


def _rendered(context: TrainingContext, noise: NoiseSpec, shots: list[Shot]) -> list[RenditionJob]:
    """Renditions of the shots' clips by cameras, sensors and codecs, if the noise needs any."""
    if _is_footage(noise):
        return []
    clips = list({shot.clip.name: shot.clip for shot in shots}.values())
    return render_all(
        clips, context.folder / "rendered", noise,
        seed=context.config.seed, jobs=context.jobs, report=context.report,
    )  # fmt: skip


def _source(
    context: TrainingContext, noise: NoiseSpec, clean: CleanSet, coded: int
) -> WindowSource:
    """Windows for the coarse stage; `coded` degraded clips went through a codec."""
    if not _is_footage(noise):
        rendered = [order.load() for order in clean.orders]
        return CleanClips(clean.clips, noise.draw, rendered, gray=context.gray)
    folder = context.folder / "coded"
    made = (
        coded_clips(clean.shots, folder, coded, context.config.seed, context.jobs) if coded else []
    )
    return DegradedClips(clean.clips, made, gray=context.gray)


def _precomputed(
    context: TrainingContext,
    networks: F2RNetworks,
    header: Header,
    spec: StageSpec,
    sets: tuple[CleanSet, CleanSet],
) -> Iterator[Path]:
    """Folders of precomputed clips to learn from and to validate on; made once, then found."""
    noise = _checked(context)
    for name, clean, count in zip(
        ("precomputed", "precomputed_held"), sets, _counts(context, noise, spec, sets), strict=True
    ):
        maker = ClipMaker.of(context, networks, header, noise, clean.shots, clean.orders, name)
        precompute_all(context, maker, count)
        yield maker.folder


def _counts(
    context: TrainingContext, noise: NoiseSpec, spec: StageSpec, sets: tuple[CleanSet, CleanSet]
) -> tuple[int, int]:
    """Numbers of precomputed clips for training and for validation."""
    asked = context.config.stage(spec.name).clips
    if _is_footage(noise):
        enough = min(DEGRADED_CLIPS, max(1, spec.steps * spec.batch // SAMPLES))
        return asked or enough, min(HELD_OUT_CLIPS, asked or enough)
    return asked or ROUNDS * len(sets[0].shots), len(sets[1].shots)
