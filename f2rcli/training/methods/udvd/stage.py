"""What a blind-spot network learns from: noisy windows, whose own noisy centres are the targets.

The network never sees the pixel it is asked for, in any frame. Where noise is independent from
pixel to pixel, what it can predict of the noisy value is the clean one (Sheth et al., ICCV 2021).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from f2rcli.models.fusion import smooth
from f2rcli.models.gaussian import gaussian_nll, posterior_mean, split
from f2rcli.models.udvd import UDVD
from f2rcli.noise.codec import to_codes, to_unit
from f2rcli.noise.law import NoiseLaw
from f2rcli.noise.synthesis.corruption import Law, luma, recolour
from f2rcli.training.footage.augment import dihedral, draw_turn, reversed_in_time
from f2rcli.training.footage.windows import Clip, cut
from f2rcli.training.loop.stage import on_device, sample_rngs, side_by_side
from f2rcli.training.methods.f2r.stages import RECOLOURED_SHARE
from f2rcli.training.methods.losses import psnr_loss
from f2rcli.training.methods.validation import BLOCK, ValidationErrors

CODED_SHARE = 0.8  # of made noise: what is seen is rounded and clipped to 8 bits, as files are
EXAM_SEED = 977
EXAM_SIDE = 256  # pixels per side of what is looked at to judge

Pictures = NDArray[np.float32]  # (T, H, W, C), 0 = black, 1 = white


class Window(NamedTuple):
    """Frames as they are seen, the centre as it is asked for, and its noise's variance."""

    frames: Tensor  # (B, T, C, H, W)
    target: Tensor  # (B, C, H, W)
    variance: Tensor  # (B, C, H, W)


class Source(Protocol):
    """Where windows come from."""

    @property
    def side(self) -> int:
        """Pixels of the shortest side of any clip."""
        ...

    def window(
        self, rng: np.random.Generator, length: int, crop: int
    ) -> tuple[Pictures, Pictures, Pictures]:
        """Frames (T, crop, crop, C), target and variance of the centre (crop, crop, C)."""
        ...


@dataclass
class Noised:
    """Clean clips with made noise. The target is the noisy centre before a file's range cuts it
    off: so the network learns what clipped neighbours say of a mean that is not clipped."""

    clips: Sequence[Clip]
    draw_law: Callable[[np.random.Generator], Law | None]
    gray: bool = False  # give the clips' luma

    @property
    def side(self) -> int:
        """See Source."""
        return min(min(clip.shape[1:3]) for clip in self.clips)

    def window(
        self, rng: np.random.Generator, length: int, crop: int
    ) -> tuple[Pictures, Pictures, Pictures]:
        """See Source."""
        law = self.draw_law(rng)
        assert law is not None  # renditions were refused
        clean = cut(self.clips[int(rng.integers(len(self.clips)))], range(length), crop, rng)
        if self.gray:
            clean = luma(clean)
        elif clean.shape[-1] == 3 and rng.random() < RECOLOURED_SHARE:
            clean = recolour(clean, rng)
        noisy = np.stack([law.add(picture, rng) for picture in clean])
        target = noisy[length // 2]
        variance = np.square(law.level(_smoothed(target)))
        if rng.random() < CODED_SHARE:
            noisy = to_unit(to_codes(noisy))
        return noisy, target, variance


@dataclass
class Footage:
    """Noisy clips as they are, with the law of each one's noise; None where it is not needed."""

    clips: Sequence[Clip]
    laws: Sequence[NoiseLaw | None]

    @property
    def side(self) -> int:
        """See Source."""
        return min(min(clip.shape[1:3]) for clip in self.clips)

    def window(
        self, rng: np.random.Generator, length: int, crop: int
    ) -> tuple[Pictures, Pictures, Pictures]:
        """See Source."""
        which = int(rng.integers(len(self.clips)))
        law = self.laws[which]
        noisy = cut(self.clips[which], range(length), crop, rng)
        target = noisy[length // 2]
        if law is None:
            return noisy, target, np.zeros_like(target)
        level = law.level.level(_planar(_smoothed(target))[None])
        return noisy, target, level.square()[0].permute(1, 2, 0).numpy()


def _planar(picture: Pictures) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32))


def _smoothed(picture: Pictures) -> Pictures:
    return smooth(_planar(picture)[None])[0].permute(1, 2, 0).numpy()


@dataclass
class BlindStage:
    """Trains a blind-spot network on windows: by likelihood if it gives a covariance, else by the
    squared error.

    Likelihood alone learns the mean slowly at first: as long as that is poor, the cheapest way to
    be less surprised is a larger covariance, which then hushes the mean's errors. `mse_weight` adds
    the log of the mean's squared error, which has the same minimum and does not hush.
    """

    network: UDVD
    source: Source
    exam: Source  # what is held out
    name: str
    batch: int = 8
    crop: int = 96
    exams: int = 8  # windows
    mse_weight: float = 1.0  # weight; 0: as published

    def draw(self, rngs: Sequence[np.random.Generator]) -> Window:
        """See Stage.draw: windows turned, flipped and reversed in time at random."""
        return collated([self._sample(rng) for rng in rngs])

    def loss(self, batch: Window) -> Tensor:
        """See Stage.loss."""
        mean, factor = split(self.network(batch.frames), self.network.channels)
        if factor is None:
            return (mean - batch.target).square().mean()
        cost = gaussian_nll(batch.target, mean, factor, batch.variance).mean()
        return cost + self.mse_weight * psnr_loss(mean, batch.target) if self.mse_weight else cost

    def validate(self) -> float | None:
        """See Stage.validate: half the log of the mean's squared error to held-out centres."""
        return self.validation_errors().score

    def validation_errors(self) -> ValidationErrors:
        """The errors of the mean on held-out windows, the same whenever they are looked at."""
        scores, blocks = [], []
        with torch.no_grad():
            for number in range(self.exams):
                window = self._exam(number)
                mean, _ = split(self.network(window.frames), self.network.channels)
                error = (mean - window.target).square().mean(1, keepdim=True)
                scores.append(0.5 * float(error.mean().log()))
                squares = torch.nn.functional.avg_pool2d(error, min(BLOCK, *error.shape[-2:]))
                blocks.append(squares.flatten().double().cpu().numpy())
        return ValidationErrors(float(np.mean(scores)), np.concatenate(blocks))

    def sample(self) -> NDArray[np.uint8] | None:
        """See Stage.sample: a held-out centre, the mean, and the mean combined with the centre."""
        window = self._exam(0)
        mean, factor = split(self.network(window.frames), self.network.channels)
        columns = [window.target, mean]
        if factor is not None:
            columns.append(posterior_mean(window.target, mean, factor, window.variance))
        return side_by_side([column[:, :3] for column in columns])

    def _exam(self, number: int) -> Window:
        """A held-out window; the same number gives the same one."""
        rng = sample_rngs((EXAM_SEED, number), (0,))[0]
        crop = min(EXAM_SIDE, self.exam.side) // 4 * 4
        window = collated([self.exam.window(rng, self.network.length, crop)])
        placed = on_device(window, next(self.network.parameters()).device)
        return Window(*placed)

    def _sample(self, rng: np.random.Generator) -> tuple[Pictures, Pictures, Pictures]:
        frames, target, variance = self.source.window(rng, self.network.length, self.crop)
        code = draw_turn(rng, frames.shape[-1])
        frames = reversed_in_time(frames, int(rng.integers(2)))
        return tuple(dihedral(part, code) for part in (frames, target, variance))  # type: ignore[return-value]  # three parts in, three out


def collated(samples: Sequence[tuple[Pictures, Pictures, Pictures]]) -> Window:
    """Windows with channels first."""
    parts: list[Any] = []
    for pictures in zip(*samples, strict=True):
        stacked = np.moveaxis(np.stack(pictures), -1, -3)
        parts.append(torch.from_numpy(np.ascontiguousarray(stacked, np.float32)))
    return Window(*parts)
