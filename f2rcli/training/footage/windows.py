"""Windows of consecutive frames, cut from clips at random, with noise of their own in each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from f2rcli.models.fusion import smooth
from f2rcli.noise.codec import to_codes, to_unit
from f2rcli.noise.law import NoiseLaw
from f2rcli.noise.synthesis.corruption import Law, as_gray, draw_law, luma, recolour
from f2rcli.training.footage.augment import dihedral, draw_turn, reversed_in_time
from f2rcli.training.footage.clips import Rendition

TAU = 0.5  # of recorruption, as in methods/f2r/training_pairs.py
RECOLOURED_SHARE, GRAY_SHARE = 0.15, 0.1  # of made noise, see methods/f2r/stages.py
CODED_SHARE = 0.8  # of made noise: rounded and clipped to 8 bits, as files are
UNTOLD_SHARE = 0.4  # of windows: the networks are not told the noise's level
CELL = 8  # crops begin on multiples of it

Pictures = NDArray[np.float32]  # (T, H, W, C), 0 = black, 1 = white
Clip = NDArray[Any]  # the same as codes (uint8), or as it is


class Sample(NamedTuple):
    """One window: (T, H, W, C) each, level (T, H, W, 1)."""

    noisy: Pictures
    second: Pictures  # the same frames with noise that is independent of `noisy`'s
    clean: Pictures | None  # None where nobody knows them
    level: Pictures  # of `noisy`, as networks are told it: zero for nothing
    weight: Pictures | None  # of every sample of `second`; None: all count


class Source(Protocol):
    """Where windows come from."""

    @property
    def side(self) -> int:
        """Pixels of the shortest side of any clip."""
        ...

    def window(self, rng: np.random.Generator, places: Sequence[int], crop: int) -> Sample:
        """The frames of a random place of a random clip, counted from its first frame."""
        ...


def cut(
    clip: Clip, places: Sequence[int], crop: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """The same random crop of several frames, the first of them at random: (T, crop, crop, C)."""
    frames, height, width, _ = clip.shape
    first = int(rng.integers(frames - max(places)))
    top, left = (int(rng.integers((n - crop) // CELL + 1)) * CELL for n in (height, width))
    rows, columns = slice(top, top + crop), slice(left, left + crop)
    parts = np.stack([clip[first + place, rows, columns] for place in places])
    return to_unit(parts) if parts.dtype == np.uint8 else parts.astype(np.float32)


def turned(sample: Sample, rng: np.random.Generator) -> Sample:
    """A window flipped, transposed and turned round in time at random."""
    code, order = draw_turn(rng, sample.noisy.shape[-1]), int(rng.integers(2))
    parts = (
        None if part is None else reversed_in_time(dihedral(part, code), order) for part in sample
    )
    return Sample(*parts)  # type: ignore[arg-type]  # as many as there were


@dataclass
class Made:
    """Clean clips with made noise, independent from frame to frame."""

    clips: Sequence[Clip]
    draw_law: Callable[[np.random.Generator], Law | None]  # None: take a rendition, if there is one
    rendered: Sequence[Rendition] = ()
    gray: bool = False  # give the clips' luma

    @property
    def side(self) -> int:
        """See Source."""
        clips = [*self.clips, *(item.noisy for item in self.rendered)]
        return min(min(clip.shape[1:3]) for clip in clips)

    def window(self, rng: np.random.Generator, places: Sequence[int], crop: int) -> Sample:
        """See Source. A rendition has no second noise: its clean frames stand in for it."""
        law = self.draw_law(rng)
        if law is None and self.rendered:
            return self._rendered(rng, places, crop)
        law = law or draw_law(rng)
        clean = cut(self.clips[int(rng.integers(len(self.clips)))], places, crop, rng)
        if self.gray:
            clean = luma(clean)
        elif clean.shape[-1] == 3 and rng.random() < RECOLOURED_SHARE:
            clean = recolour(clean, rng)
        elif clean.shape[-1] == 3 and rng.random() < GRAY_SHARE:
            clean, law = np.ascontiguousarray(as_gray(clean)), _shared(law)
        noisy, second = (_each_its_own(clean, places, law, rng) for _ in range(2))
        if rng.random() < CODED_SHARE:
            noisy = to_unit(to_codes(noisy))
        level = np.sqrt(np.square(law.level(clean)).mean(-1, keepdims=True))
        told = 0.0 if law.impulses or rng.random() < UNTOLD_SHARE else _about(rng, 0.15)
        return Sample(noisy, second, clean, level * np.float32(told), None)

    def _rendered(self, rng: np.random.Generator, places: Sequence[int], crop: int) -> Sample:
        item = self.rendered[int(rng.integers(len(self.rendered)))]
        state = rng.bit_generator.state
        noisy = cut(item.noisy, places, crop, rng)
        rng.bit_generator.state = state  # the same place of the clean clip
        clean = cut(item.clean, places, crop, rng)
        if self.gray:
            noisy, clean = luma(noisy), luma(clean)
        told = 0.0 if rng.random() < UNTOLD_SHARE else item.sigma * _about(rng, 0.3)
        level = np.full((*clean.shape[:-1], 1), told, np.float32)
        return Sample(noisy, clean, clean, level, None)


def _about(rng: np.random.Generator, spread: float) -> float:
    return float(np.exp(rng.normal(0, spread)))


def _shared(law: Law) -> Law:
    return Law(law.gain, law.read, law.blur, 1.0, law.impulses)


def _each_its_own(
    clean: Pictures, places: Sequence[int], law: Law, rng: np.random.Generator
) -> Pictures:
    """Noise of its own for every frame; a frame that is there twice has the same twice."""
    drawn: dict[int, Pictures] = {}
    for place, picture in zip(places, clean, strict=True):
        if place not in drawn:
            drawn[place] = law.add(picture, rng)
    return np.stack([drawn[place] for place in places])


@dataclass
class Recorrupted:
    """Noisy footage alone, each frame made into two with independent noise (methods.md 8.3).

    y + tau n' and y - n' / tau, n' drawn from the clip's measured law: for Gaussian noise their
    errors are independent, though y is one frame. The second copy a method asks for that no camera
    gives.
    """

    clips: Sequence[Clip]
    laws: Sequence[NoiseLaw]
    clipped: Sequence[bool] = field(default=())  # whether a clip's values end at black and white

    @property
    def side(self) -> int:
        """See Source."""
        return min(min(clip.shape[1:3]) for clip in self.clips)

    def window(self, rng: np.random.Generator, places: Sequence[int], crop: int) -> Sample:
        """See Source. What the file's range cut off teaches a wrong mean, and weighs nothing."""
        which = int(rng.integers(len(self.clips)))
        law = self.laws[which]
        found = cut(self.clips[which], places, crop, rng)
        pictures = torch.from_numpy(np.ascontiguousarray(found.transpose(0, 3, 1, 2)))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        signal = smooth(pictures)
        drawn = {p: law.sample(signal[i : i + 1], generator) for i, p in enumerate(places)}
        fresh = torch.cat([drawn[place] for place in places])
        level = law.level.level(signal)
        noisy, second = pictures + TAU * fresh, pictures - fresh / TAU
        weight = None
        if self.clipped and self.clipped[which]:
            weight = _last((signal > 2 * level) & (signal < 1 - 2 * level))
        told = 0.0 if rng.random() < UNTOLD_SHARE else (1 + TAU**2) ** 0.5
        shown = told * level.square().mean(1, keepdim=True).sqrt()
        return Sample(_last(noisy), _last(second), None, _last(shown), weight)


def _last(pictures: torch.Tensor) -> Pictures:
    """(T, C, H, W) -> (T, H, W, C)."""
    return pictures.permute(0, 2, 3, 1).float().numpy()
