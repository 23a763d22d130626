"""How Blind2Sound is trained: on noisy frames alone, be the noise a camera's or made."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from f2rcli.errors import ConfigError, InputError
from f2rcli.frames import Space
from f2rcli.models.blind2sound import Networks
from f2rcli.models.layers import channels_last
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.synthesis.synthetic import Synthetic, parse_noise
from f2rcli.training.footage.split import Split, split
from f2rcli.training.loop.settings import TrainSettings
from f2rcli.training.methods.base import StageRun, TrainingContext
from f2rcli.training.methods.blind2sound.stage import Made, MaskedStage, Recorded, Source
from f2rcli.training.methods.f2r.supervised import channels_of
from f2rcli.weights import Header

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
NAME = "denoise"  # of the only stage
WHITE = frozenset({"gaussian", "poisson-gaussian"})  # kinds of noise that pixels do not share
STRIDE = 32  # crops are multiples of it: five halvings
# Pixels per side of a cell, and how many of its pixels are hidden in turn in every step. Smaller
# cells hide, and so teach, four times as many pixels a pass.
PUBLISHED_MASKS, OUR_MASKS = (4, 16), (2, 2)


class Blind2SoundRecipe:
    """See base.Recipe."""

    def __init__(self, material: TrainingContext) -> None:
        """Raises ConfigError for stages there are not, a start of other colours, or made noise that
        pixels share; InputError for footage whose noise pixels share; what `split` raises."""
        self.material = material
        config = material.config
        self.header = self._header()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.networks = Networks(self.header.channels, **self.header.config)
        channels_last(self.networks)
        if material.start is not None:
            material.start.fill(self.networks)
        config.check_stages(self.names())
        self.made = _made(config.synthetic) if config.clean else None
        if self.made is None:
            self._check_white()
        self.parts = split(material.footage, config.held_out, 1)

    def names(self) -> list[str]:
        """See Recipe."""
        return [NAME]

    def stage_runs(self) -> Iterator[StageRun]:
        """See Recipe."""
        published = self.material.config.recipe == "published"
        asked = self.material.config.stage(NAME)
        stage = MaskedStage(
            self.networks,
            self._source([(part, part.learnt) for part in self.parts]),
            self._source([(part, part.held) for part in self.parts if part.held]),
            NAME,
            asked.batch or (4 if published else 8),
            asked.crop or (128 if published else 96),
            *(PUBLISHED_MASKS if published else OUR_MASKS),
        )
        stage.crop = min(stage.crop, stage.source.side) // STRIDE * STRIDE
        if not stage.crop:
            raise InputError(
                f"clips of less than {STRIDE} pixels are too small to train on.",
                hint="Pass larger ones.",
            )
        yield StageRun(stage, self._settings(published=published))

    def _settings(self, *, published: bool) -> TrainSettings:
        asked = self.material.config.stage(NAME)
        steps = asked.steps or (50_000 if published else 12_000)
        if published:  # arXiv 2303.05183 and its code, methods 4.4
            return self.material.settings(
                steps, warmup=0, ema=0.999, lr=asked.lr or 1e-3, optimiser="adam",
                weight_decay=1e-8, clip_grad=10.0, schedule="halved", rates=(("estimator", 0.5),),
            )  # fmt: skip
        return self.material.settings(
            steps, warmup=300, ema=0.999, lr=asked.lr or 1.5e-3, clip_grad=1.0
        )

    def _source(self, parts: list[tuple[Split, range]]) -> Source:
        """Crops of some frames of every shot."""
        footage, config = self.material.footage, self.material.config
        clips = [footage[part.clip].array[frames.start : frames.stop] for part, frames in parts]
        if self.made is not None:
            return Made(clips, self.made.draw, gray=config.space == Space.GRAY.value)
        models = [self._measured(part.clip) for part, _ in parts]
        clipped = [bool(clip.min() >= 0 and clip.max() <= 1) for clip in clips]
        return Recorded(clips, models, clipped)

    def _measured(self, clip: int) -> NoiseModel:
        return self.material.report(clip).model.first_channels(self.header.channels)

    def _check_white(self) -> None:
        for clip, report in zip(self.material.footage, self.material.noise, strict=True):
            if report is not None and not report.white:
                raise InputError(
                    f"{clip.name}: its neighbouring pixels share noise, which a method that "
                    "hides single pixels would learn as picture.",
                    hint="Leave this clip out, or take --method f2r.",
                )

    def _header(self) -> Header:
        material, config = self.material, self.material.config
        start, channels = material.start, channels_of(material)
        if start is not None:
            if start.header.channels != channels:
                raise ConfigError(
                    f"init: {start.name} is for {start.header.space.value}, "
                    f"the clips are {material.space.value}.",
                    hint=f"Take --init {material.space.value}, or leave it out.",
                )
            return replace(start.header, trained_on=f"{start.name}, then the user's footage")
        return Header(
            method="blind2sound",
            space=material.space if channels == material.channels else Space.GRAY,
            channels=channels,
            length=1,
            config=SIZES[config.size],
            size=config.size,
            order={1: "Y", 3: "RGB"}.get(channels, "RGBG"),
            trained_on="the user's footage",
        )


def _made(text: str | None) -> Synthetic:
    """The noise that is made. Raises ConfigError for a kind whose pixels are not independent."""
    noise = parse_noise(text or "poisson-gaussian")
    for name, _ in noise.parts:
        if name not in WHITE:
            raise ConfigError(
                f"--synthetic {noise.text}: {name} noise is not independent from pixel to pixel, "
                "which Blind2Sound relies on.",
                hint=f"Take {' or '.join(sorted(WHITE))}, or both joined by +.",
            )
    return noise


def recipe(material: TrainingContext) -> Blind2SoundRecipe:
    """See recipes.load."""
    return Blind2SoundRecipe(material)
