"""Pre-training on degraded footage of every kind: light and heavy, dark, still, drawn, coded."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from f2rcli.io.atomic import replacing
from f2rcli.models.coarse import Coarse
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.synthesis.corruption import luma
from f2rcli.noise.synthesis.degradation import Footage, degraded
from f2rcli.training.footage.augment import dihedral
from f2rcli.training.loop.stage import fixed_loss
from f2rcli.training.methods.f2r.precomputed import Source
from f2rcli.training.methods.f2r.stages import VALIDATION_BATCHES, told_level
from f2rcli.training.methods.losses import relative_loss

CODED_SHARE = 0.25  # of the samples
LARGEST = 208  # pixels per side of a rehearsal
TOLD_SHARE = 0.8  # of rehearsals: the engine measures the noise of every clip
SIDE, LENGTH = 160, 10  # of a coded clip: pixels and frames

Codes = NDArray[np.uint8]


@dataclass
class CoarseFootageStage:
    """Trains the single-frame denoiser on footage degraded on the spot, and on coded footage."""

    network: Coarse
    clips: Sequence[Codes]
    coded: Sequence[Footage]
    batch: int = 16
    crop: int = 96
    gray: bool = False
    name: str = "coarse"
    held_out: "CoarseFootageStage | None" = field(default=None, repr=False)

    def draw(self, rngs: Sequence[np.random.Generator]) -> tuple[Tensor, ...]:
        """See Stage.draw: noisy, level and clean, each (B, C, H, W)."""
        samples = [self._sample(rng) for rng in rngs]
        return tuple(torch.from_numpy(np.stack(part)) for part in zip(*samples, strict=True))

    def loss(self, batch: tuple[Tensor, ...]) -> Tensor:
        """See Stage.loss."""
        noisy, level, clean = batch
        return relative_loss(self.network(noisy, level), clean, noisy)

    def validate(self) -> float | None:
        """See Stage.validate."""
        return fixed_loss(self.held_out, VALIDATION_BATCHES) if self.held_out else None

    def sample(self) -> None:
        """See Stage.sample."""

    def _sample(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], ...]:
        if self.coded and rng.random() < CODED_SHARE:
            item = self.coded[int(rng.integers(len(self.coded)))]
            frame = int(rng.integers(len(item.noisy)))
            top, left = (int(rng.integers(n - self.crop + 1)) for n in item.noisy.shape[1:3])
            parts = [
                np.asarray(p[frame, top : top + self.crop, left : left + self.crop], np.float32)
                for p in item
            ]
            spread = 0.3
        else:
            clip = self.clips[int(rng.integers(len(self.clips)))]
            parts = [p[0] for p in degraded(clip, 1, self.crop, rng, coded=False)]
            spread = 0.12
        noisy, clean, level = parts
        if self.gray:
            noisy, clean, level = luma(noisy), luma(clean), luma_level(noisy, clean, level)
        code = int(rng.integers(8))
        level = told_level(level, rng, spread)
        turned = (dihedral(part, code) for part in (noisy, level, clean))
        return tuple(np.ascontiguousarray(p.transpose(2, 0, 1), np.float32) for p in turned)


def luma_level(
    noisy: NDArray[np.float32], clean: NDArray[np.float32], level: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The noise level of a picture's brightness (..., 1): the channels' mean, scaled so that it is
    right for what was measured (noise that channels share does not average out)."""
    gray = level.mean(-1, keepdims=True)
    error = luma(noisy) - luma(clean)
    return gray * np.float32(error.std() / max(np.sqrt(np.mean(gray**2)), 1e-6))


def coded_pool(clips: Sequence[Codes], folder: Path, count: int, seed: int) -> list[Footage]:
    """Coded footage, made once and kept in float16; it depends on the seed and number alone."""
    folder.mkdir(parents=True, exist_ok=True)
    pool = []
    for number in range(count):
        stored = folder / f"coded_{seed}_{number}.npy"
        if not stored.exists():
            rng = np.random.default_rng([seed, number])
            clip = clips[int(rng.integers(len(clips)))]
            parts: list[Any] = list(degraded(clip, LENGTH, SIDE, rng, coded=True))
            with replacing(stored) as part, part.open("wb") as file:
                np.save(file, np.stack(parts).astype(np.float16))
        pool.append(Footage(*np.load(stored, mmap_mode="r")))
    return pool


def fitted(footage: Footage) -> NoiseModel:
    """The line in variance that fits a clip's noise levels best, per channel."""
    gains, reads, sigmas = [], [], []
    for channel in range(footage.clean.shape[-1]):
        light = np.clip(footage.clean[..., channel], 0, 1)[:, ::4, ::4].ravel()
        variance = footage.level[..., channel][:, ::4, ::4].ravel() ** 2
        gain = 0.0
        if light.std() > 1e-3 and variance.std() > 1e-3 * variance.mean():
            gain = max(float(np.polyfit(light, variance, 1)[0]), 0.0)
        read2 = max(float((variance - gain * light).mean()), 1e-9)
        gains.append(gain)
        reads.append(read2**0.5)
        sigmas.append(float(variance.mean()) ** 0.5)
    return NoiseModel(tuple(gains), tuple(reads), tuple(sigmas))


def footage_source(
    clip: Codes, frames: int, rng: np.random.Generator, *, gray: bool = False
) -> Source:
    """A degraded cut of a clip, as large as it holds up to LARGEST pixels, for a rehearsal."""
    size = min(LARGEST, *clip.shape[1:3]) // 16 * 16
    item = degraded(clip, frames, size, rng, coded=bool(rng.random() < CODED_SHARE))
    if gray:
        levels = [
            luma_level(*three) for three in zip(item.noisy, item.clean, item.level, strict=True)
        ]
        item = Footage(luma(item.noisy), luma(item.clean), np.stack(levels))
    noise = fitted(item).scaled(float(np.exp(rng.normal(0, 0.12))))
    return Source(item.noisy, item.clean, noise, bool(rng.random() < TOLD_SHARE))
