"""Windows of consecutive frames, cut at random from clean clips, renditions or noisy footage."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from f2rcli.frames import Pictures
from f2rcli.models.fusion import smooth
from f2rcli.noise.codec import to_codes, to_unit
from f2rcli.noise.law import NoiseLaw
from f2rcli.noise.photons.counting import counts_events
from f2rcli.noise.synthesis.colour import as_gray, luma, recolour
from f2rcli.noise.synthesis.law import Law, draw_mixture
from f2rcli.training.footage.augment import dihedral
from f2rcli.training.footage.renditions import Rendition

RECOLOURED_SHARE, GRAY_SHARE = 0.15, 0.1  # of windows from clean clips
CODED_SHARE = 0.8  # of synthetic noise: rounded and clipped to 8 bits, as files are
BLIND_SHARE = 0.4  # of windows: the noise level is unknown to networks
CELL = 8  # crops begin on multiples of it

Clip = NDArray[Any]  # the same as 8-bit codes (uint8), or as it is


class Sample(NamedTuple):
    """One window. Pictures are (T, H, W, C)."""

    noisy: Pictures  # what networks are shown
    unclipped: Pictures  # the same before a file's range cut off its noise, where that is known
    clean: Pictures | None  # None for noisy footage
    level: Pictures  # the noise's standard deviation
    spread: float = 0.15  # of the log of the level that networks are given
    law: Law | None = None  # of synthetic noise, to draw more of it
    measured: NoiseLaw | None = None  # of noisy footage
    clipped: bool = False  # whether noisy footage ends at black and white

    def turned(self, code: int, order: int) -> "Sample":
        """Flipped and transposed as `dihedral` does, backwards in time for order 1."""
        parts: dict[str, Any] = {
            name: dihedral(part, code)[:: -1 if order else 1]
            for name in ("noisy", "unclipped", "clean", "level")
            if (part := getattr(self, name)) is not None
        }
        return self._replace(**parts)


class WindowSource(Protocol):
    """Source of training windows."""

    def every_clip(self) -> Sequence[Clip]:
        """All clips that windows are drawn from."""

    @property
    def side(self) -> int:
        """Pixels of the shortest side of any clip."""
        return min(min(clip.shape[1:3]) for clip in self.every_clip())

    def window(self, rng: np.random.Generator, places: Sequence[int], crop: int) -> Sample:
        """These frames of a random place of a random clip, counted from the first of them."""


def cut(
    clip: Clip, places: Sequence[int], crop: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """The same random crop of several frames, the first of them at random: (T, crop, crop, C)."""
    frames, height, width, _ = clip.shape
    first = int(rng.integers(frames - max(places)))
    top, left = (int(rng.integers((n - crop) // CELL + 1)) * CELL for n in (height, width))
    rows, columns = slice(top, top + crop), slice(left, left + crop)
    return to_unit(np.stack([clip[first + place, rows, columns] for place in places]))


def conditioning_level(level: Pictures, rng: np.random.Generator, spread: float) -> Pictures:
    """The noise level a network is given: none (zero) twice in five, else about right."""
    blind = rng.random() < BLIND_SHARE
    return level * np.float32(0 if blind else np.exp(rng.normal(0, spread)))


@dataclass
class CleanClips(WindowSource):
    """Clean clips with synthetic noise, independent from frame to frame, and their renditions."""

    clips: Sequence[Clip]
    draw_law: Callable[[np.random.Generator], Law | None]  # None: take a rendition, if any
    rendered: Sequence[Rendition] = ()
    gray: bool = False  # give the clips' luma

    def every_clip(self) -> Sequence[Clip]:
        return [*self.clips, *(item.noisy for item in self.rendered)]

    def window(self, rng: np.random.Generator, places: Sequence[int], crop: int) -> Sample:
        """A frame that is asked for twice has the same noise twice."""
        law = self.draw_law(rng)
        if law is None and self.rendered:
            return self._rendition(rng, places, crop)
        law = law or draw_mixture(rng)
        clean = cut(self.clips[int(rng.integers(len(self.clips)))], places, crop, rng)
        if self.gray:
            clean = luma(clean)
        elif clean.shape[-1] == 3 and rng.random() < RECOLOURED_SHARE:
            clean = recolour(clean, rng)
        elif clean.shape[-1] == 3 and rng.random() < GRAY_SHARE:
            clean, law = as_gray(clean), replace(law, shared=1.0)
        unclipped = independent_noise(clean, places, law, rng)
        noisy = to_unit(to_codes(unclipped)) if rng.random() < CODED_SHARE else unclipped
        return Sample(noisy, unclipped, clean, law.level(clean), law=law)

    def _rendition(self, rng: np.random.Generator, places: Sequence[int], crop: int) -> Sample:
        item = self.rendered[int(rng.integers(len(self.rendered)))]
        state = rng.bit_generator.state
        noisy = cut(item.noisy, places, crop, rng)
        rng.bit_generator.state = state  # the same place of the clean clip
        clean = cut(item.clean, places, crop, rng)
        if self.gray:
            noisy, clean = luma(noisy), luma(clean)
        return Sample(noisy, noisy, clean, np.full_like(clean, item.sigma), spread=0.3)


def independent_noise(
    clean: Pictures, places: Sequence[int], law: Law, rng: np.random.Generator
) -> Pictures:
    """Every frame with noise of its own; a frame that is there twice has the same twice."""
    drawn: dict[int, Pictures] = {}
    for place, picture in zip(places, clean, strict=True):
        if place not in drawn:
            drawn[place] = law.add(picture, rng)
    return np.stack([drawn[place] for place in places])


@dataclass
class NoisyClips(WindowSource):
    """Noisy footage as it is, with the measured law of each clip's noise where it is needed."""

    clips: Sequence[Clip]
    laws: Sequence[NoiseLaw | None]
    clipped: Sequence[bool] = field(default=())  # whether a clip's values end at black and white

    def every_clip(self) -> Sequence[Clip]:
        return self.clips

    def window(self, rng: np.random.Generator, places: Sequence[int], crop: int) -> Sample:
        """The level is that of the smoothed picture; 0 without a law."""
        which = int(rng.integers(len(self.clips)))
        law, noisy = self.laws[which], cut(self.clips[which], places, crop, rng)
        level = np.zeros_like(noisy)
        if law is not None:
            level = channels_last(law.level.level(smooth(channels_first(noisy))))
        clipped = bool(self.clipped) and self.clipped[which]
        return Sample(noisy, noisy, None, level, measured=law, clipped=clipped)


def channels_first(pictures: Pictures) -> torch.Tensor:
    """(..., H, W, C) -> (..., C, H, W). A copy: to NumPy a reversed axis of one frame is
    contiguous, and torch takes no negative strides."""
    return torch.from_numpy(np.array(np.moveaxis(pictures, -1, -3), np.float32, order="C"))


def channels_last(pictures: torch.Tensor) -> Pictures:
    """(T, C, H, W) -> (T, H, W, C)."""
    return pictures.permute(0, 2, 3, 1).float().cpu().numpy()


def is_clipped(clip: Clip) -> bool:
    """Whether noise is clipped at black and white: in integer files, unless they count events."""
    return bool(clip.min() >= 0 and clip.max() <= 1) and not counts_events(np.asarray(clip))
