"""F2R on clean clips with made noise: the coarse denoiser, then both stages over its results."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from f2rcli.engine.tiles import Runner
from f2rcli.errors import InputError
from f2rcli.frames import Space
from f2rcli.methods.f2r import F2R, Networks
from f2rcli.noise.codec import to_codes, to_unit
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.synthesis.corruption import luma
from f2rcli.noise.synthesis.synthetic import Synthetic, parse_noise
from f2rcli.training.footage.clips import Rendition
from f2rcli.training.footage.footage import Footage
from f2rcli.training.footage.renditions import Renderer
from f2rcli.training.loop.settings import TrainSettings
from f2rcli.training.methods.base import StageRun, TrainingContext
from f2rcli.training.methods.f2r.precomputed import Source, load_precomputed, precompute
from f2rcli.training.methods.f2r.stages import CoarseStage, FusionStage

COARSE_STEPS, FUSION_STEPS = 8000, 20_000
REHEARSED = 3  # noise realisations of every clip
LONGEST = 24  # frames of a rehearsal
LEAST = 5  # frames
RENDITIONS = 4  # compressed ones of every clip


def clean_stage_runs(material: TrainingContext, networks: Networks) -> Iterator[StageRun]:
    """The coarse stage, then, over its results, the fusion of both stages.

    Every tenth clip is held out; of fewer than five, the last quarter of each one's frames.
    """
    noise = parse_noise(material.config.synthetic or "mix")
    learnt, held = _split(material.footage)
    with ExitStack() as open_:
        rendered: list[Rendition] = []
        if noise.rendered:
            renderer = open_.enter_context(
                Renderer(
                    material.footage,
                    material.folder / "rendered",
                    seed=material.config.seed,
                    per_clip=RENDITIONS,
                    kinds=noise.rendered,
                    jobs=material.jobs,
                )
            )
            renderer.wait(len(renderer.orders))
            rendered = [renderer.get(index) for index in range(renderer.count)]
        gray = material.config.space == "gray"
        coarse, exam = (
            CoarseStage(networks.coarse, clips, rendered, draw_law=noise.draw, gray=gray)
            for clips in (learnt, held)
        )
        coarse.held_out = exam
        _fit(coarse, material, "coarse")
        _fit(exam, material, "coarse")
        yield StageRun(coarse, _settings(material, "coarse", COARSE_STEPS))
        items = _rehearsals(material, networks, learnt, held, rendered, noise)
        fusion, test = (
            FusionStage(networks.anchor, networks.refiner, load_precomputed(folder))
            for folder in items
        )
        fusion.held_out = test
        _fit(fusion, material, "fusion")
        _fit(test, material, "fusion")
        yield StageRun(fusion, _settings(material, "fusion", FUSION_STEPS))


def _split(footage: list[Footage]) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
    arrays = [
        clip.array[shot.start : shot.stop]
        for clip in footage
        for shot in clip.shots
        if len(shot) >= LEAST
    ]
    if not arrays:
        raise InputError(
            f"{footage[0].name}: no shot of {LEAST} frames.", hint="Pass longer clips."
        )
    if len(arrays) >= 5:
        return [a for i, a in enumerate(arrays) if i % 10], arrays[::10]
    cut = [max(LEAST, len(array) * 3 // 4) for array in arrays]
    held = [a[c:] if len(a) - c >= LEAST else a for a, c in zip(arrays, cut, strict=True)]
    return [a[:c] for a, c in zip(arrays, cut, strict=True)], held


def _fit(stage: CoarseStage | FusionStage, material: TrainingContext, name: str) -> None:
    """Give a stage the batch and crop that were asked for, and no crop that a clip cannot hold."""
    asked = material.config.stage(name)
    smallest = min(min(clip.shape[1:3]) for clip in material_clips(stage))
    stage.crop = min(asked.crop or stage.crop, smallest // 16 * 16)
    stage.batch = asked.batch or stage.batch
    if stage.crop < 32:
        raise InputError("clips of less than 32 pixels are too small to train on.")


def material_clips(stage: CoarseStage | FusionStage) -> list[NDArray[Any]]:
    """Everything that a stage cuts its crops from."""
    if isinstance(stage, FusionStage):
        return [item.noisy for item in stage.items]
    return [*stage.clips, *(item.noisy for item in stage.compressed)]


def _settings(material: TrainingContext, name: str, steps: int) -> TrainSettings:
    asked = material.config.stage(name)
    steps = steps if asked.steps is None else max(asked.steps, 1)
    return material.settings(steps, warmup=300, ema=0.999, lr=asked.lr or 1.5e-3)


def _rehearsals(
    material: TrainingContext,
    networks: Networks,
    learnt: list[NDArray[Any]],
    held: list[NDArray[Any]],
    rendered: list[Rendition],
    noise: Synthetic,
) -> tuple[Path, Path]:
    """Folders of rehearsals to learn from and to be examined on; made once, then found again."""
    folders = material.folder / "rehearsals", material.folder / "rehearsals_held"
    runner = Runner(material.device, material.precision, None)
    for kind, (folder, clips, rounds) in enumerate(
        zip(folders, (learnt, held), (REHEARSED, 1), strict=True)
    ):
        folder.mkdir(parents=True, exist_ok=True)
        for round_ in range(rounds):
            for index, clip in enumerate(clips):
                base = folder / f"{index}_{round_}"
                if base.with_suffix(".json").exists():
                    continue
                rng = np.random.default_rng([material.config.seed, kind, round_, index])
                source = _source(clip, rendered, noise, rng, gray=material.config.space == "gray")
                with torch.inference_mode():
                    precompute(source, F2R(networks.eval(), runner), base, rng)
    return folders


def _source(
    clip: NDArray[Any],
    rendered: list[Rendition],
    noise: Synthetic,
    rng: np.random.Generator,
    *,
    gray: bool,
) -> Source:
    law = noise.draw(rng)
    if law is None:
        item = rendered[rng.integers(len(rendered))]
        clean, noisy = np.asarray(item.clean), np.asarray(item.noisy)
        model = NoiseModel.gaussian(item.sigma, clean.shape[-1])
    else:
        first = int(rng.integers(max(len(clip) - LONGEST, 0) + 1))
        codes = [_codes(picture) for picture in clip[first : first + LONGEST]]
        clean = np.stack(codes)
        noisy = np.stack([to_codes(law.add(to_unit(c), rng)) for c in codes])
        channels = clean.shape[-1]
        model = NoiseModel((law.gain,) * channels, (law.read,) * channels, (law.read,) * channels)
    if gray and clean.shape[-1] == 3:
        clean, noisy = (to_codes(luma(to_unit(c))) for c in (clean, noisy))
        model = model.first_channels(1)
    told = rng.random() < 0.7
    return Source(noisy, clean, model.scaled(float(np.exp(rng.normal(0, 0.12)))), told)


def _codes(picture: NDArray[Any]) -> NDArray[np.uint8]:
    if picture.dtype == np.uint8:
        return np.asarray(picture, np.uint8)
    return to_codes(picture.astype(np.float32))


def channels_of(material: TrainingContext) -> int:
    """How many channels the networks see: one where gray weights are trained on colour clips."""
    return 1 if material.config.space == Space.GRAY.value else material.channels
