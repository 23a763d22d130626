"""Clean clips degraded into footage of every kind: light, heavy, dark, still, drawn, coded."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from f2rcli.errors import F2RError
from f2rcli.frames import Pictures
from f2rcli.io.atomic import replacing
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.synthesis.colour import luma
from f2rcli.noise.synthesis.degradation import DegradedClip, degraded
from f2rcli.training.footage.footage import Footage
from f2rcli.training.footage.windows import Clip, Sample, WindowSource
from f2rcli.training.footage.worker_pool import spread

CODED_SHARE = 0.25  # of the samples
SIDE, FRAMES = 160, 10  # of a coded clip: pixels and frames
LARGEST, LONGEST = 224, 20  # of a precomputed clip: pixels per side and frames
CONDITIONED_SHARE = 0.8  # of precomputed clips: the engine measures the noise of every clip


@dataclass(frozen=True)
class Shot:
    """Some frames in a row of a clip. May be sent to other processes."""

    clip: Footage
    frames: range

    @property
    def array(self) -> NDArray[Any]:
        """(T, H, W, C), memory-mapped."""
        return self.clip.array[self.frames.start : self.frames.stop]


@dataclass
class DegradedClips(WindowSource):
    """Windows of footage that is degraded on the spot, and of coded clips made in advance."""

    clips: Sequence[Clip]  # clean, RGB
    coded: Sequence[DegradedClip] = ()
    gray: bool = False  # give the luma

    def every_clip(self) -> Sequence[Clip]:
        return [*self.clips, *(item.noisy for item in self.coded)]

    def window(self, rng: np.random.Generator, places: Sequence[int], crop: int) -> Sample:
        frames, spread_ = max(places) + 1, 0.12
        if self.coded and rng.random() < CODED_SHARE:
            whole = self.coded[int(rng.integers(len(self.coded)))]
            item, spread_ = _cut(whole, frames, crop, rng), 0.3
        else:
            clip = self.clips[int(rng.integers(len(self.clips)))]
            item = degraded(clip, frames, crop, rng, coded=False)
        if self.gray:
            item = in_gray(item)
        noisy, clean, level = (part[list(places)] for part in item)
        return Sample(noisy, noisy, clean, level, spread_)


def _cut(item: DegradedClip, frames: int, crop: int, rng: np.random.Generator) -> DegradedClip:
    count, height, width, _ = item.noisy.shape
    first = int(rng.integers(count - frames + 1))
    top, left = (int(rng.integers(n - crop + 1)) for n in (height, width))
    rows, columns = slice(top, top + crop), slice(left, left + crop)
    return DegradedClip(
        *(np.asarray(part[first : first + frames, rows, columns], np.float32) for part in item)
    )


def in_gray(item: DegradedClip) -> DegradedClip:
    """A degraded clip's luma. The noise level is the channels' mean, scaled so that it is right for
    what is left of the noise (what channels share does not average out)."""
    noisy, clean = luma(item.noisy), luma(item.clean)
    level = item.level.mean(-1, keepdims=True)
    every = (1, 2, 3)
    measured = (noisy - clean).std(every, keepdims=True)
    typical = np.sqrt(np.mean(level**2, every, keepdims=True))
    return DegradedClip(noisy, clean, level * (measured / np.maximum(typical, 1e-6)))


def coded_clips(
    shots: Sequence[Shot], folder: Path, count: int, seed: int, jobs: int
) -> list[DegradedClip]:
    """Coded clips, made once and kept in float16; they depend on the seed and number alone."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{seed}_{number:04d}.npy" for number in range(count)]
    make = partial(_make_coded, tuple(shots), seed)
    missing = [(n, path) for n, path in enumerate(paths) if not path.exists()]
    for _, error in spread(make, missing, jobs):
        if isinstance(error, F2RError):
            raise error
    return [DegradedClip(*np.load(path, mmap_mode="r")) for path in paths]


def _make_coded(shots: Sequence[Shot], seed: int, item: tuple[int, Path]) -> None:
    number, path = item
    rng = np.random.default_rng([seed, number])
    clip = shots[int(rng.integers(len(shots)))].array
    size = min(SIDE, *clip.shape[1:3]) // 16 * 16
    parts = degraded(clip, FRAMES, size, rng, coded=True)
    with replacing(path) as part, part.open("wb") as file:
        np.save(file, np.stack([*parts]).astype(np.float16))


def draw_degraded(
    clip: Clip, rng: np.random.Generator, *, gray: bool
) -> tuple[Pictures, Pictures, NoiseModel, bool]:
    """A degraded cut of a clip, as large as it holds up to LARGEST pixels: noisy and clean frames,
    the noise model nearest to it, and whether networks are conditioned on that."""
    size = min(LARGEST, *clip.shape[1:3]) // 16 * 16
    item = degraded(clip, LONGEST, size, rng, coded=bool(rng.random() < CODED_SHARE))
    item = in_gray(item) if gray else item
    return item.noisy, item.clean, fitted_model(item), bool(rng.random() < CONDITIONED_SHARE)


def fitted_model(item: DegradedClip) -> NoiseModel:
    """The line in variance that fits a clip's noise levels best, per channel."""
    gains, reads, sigmas = [], [], []
    for channel in range(item.clean.shape[-1]):
        light = np.clip(item.clean[..., channel], 0, 1)[:, ::4, ::4].ravel()
        variance = item.level[..., channel][:, ::4, ::4].ravel() ** 2
        gain = 0.0
        if light.std() > 1e-3 and variance.std() > 1e-3 * variance.mean():
            gain = max(float(np.polyfit(light, variance, 1)[0]), 0.0)
        read2 = max(float((variance - gain * light).mean()), 1e-9)
        gains.append(gain)
        reads.append(read2**0.5)
        sigmas.append(float(variance.mean()) ** 0.5)
    return NoiseModel(tuple(gains), tuple(reads), tuple(sigmas))
