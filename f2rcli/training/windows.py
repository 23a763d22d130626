"""Which frames of footage are learnt from and which are held out, and windows cut from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from f2rcli.errors import InputError
from f2rcli.models.filters import smooth
from f2rcli.noise.model import clipped_moments
from f2rcli.noise.spectrum import NoiseLaw
from f2rcli.training.exams import LOUDER, TAU
from f2rcli.training.footage import Footage, is_clipped

SIDE = 320  # pixels per side of a piece
LONGEST = 24  # frames of a piece
LEAST_CENTRES = 8  # of a piece: all of its frames are prepared, for however few of them
HELD_OUT = 4  # frames of a clip, for validation and test
HELD_OUT_CENTRES = 8  # of all clips that are examined, at most
PAST = 16  # frames before the held-out ones: what the pipeline remembers of them counts
CELL = 8  # pixels: crops begin on multiples of it
SWAPPED_GREENS = [0, 3, 2, 1]  # planes R, G1, B, G2 of a transposed mosaic


@dataclass(frozen=True, slots=True)
class Split:
    """Training frames of one shot, and the held-out ones at its end."""

    clip: int
    shot: range
    learnt: range
    held: range

    @property
    def validation(self) -> range:
        """The held-out frames that weights are chosen by."""
        return self.held[: (len(self.held) + 1) // 2]

    @property
    def test(self) -> range:
        """The held-out frames that neither taught nor chose: what is claimed is measured there."""
        return self.held[(len(self.held) + 1) // 2 :]


def split(footage: Sequence[Footage]) -> list[Split]:
    """Keep the last frames of every clip's longest shot out of training, wholly: as centres and
    as neighbours. A clip too short for that is learnt from as it is.

    Raises InputError where no clip leaves anything to hold out.
    """
    parts = []
    for index, clip in enumerate(footage):
        longest = max(clip.shots, key=len, default=range(0))
        for shot in clip.shots:
            held = min(HELD_OUT, max(len(shot) // 4, 2)) if shot == longest and len(shot) > 3 else 0
            parts.append(Split(index, shot, shot[: len(shot) - held], shot[len(shot) - held :]))
    if not any(part.held for part in parts):
        frames = max((len(part.shot) for part in parts), default=0)
        what = f"{footage[0].name}: {frames} frames in its longest shot: too few to learn from."
        hint = "At least four frames of one shot are needed; 16 or more are better."
        raise InputError(what, hint=hint)
    return parts


# Pieces of shots ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of one shot, and which of its frames are centres."""

    clip: int  # index into the footage
    frames: range
    top: int  # as `left`, in places of the clip's pictures
    left: int
    centres: tuple[int, ...]  # counted from the piece's first frame

    def read(self, clip: Footage, stride: int) -> tuple[Tensor, Tensor | None]:
        """Its pictures (T, C, h, w), and without noise if known; h and w multiples of `stride`."""
        part = [slice(self.frames.start, self.frames.stop), slice(None)]
        for first, size in zip((self.top, self.left), clip.shape[2:], strict=True):
            side = min(SIDE // clip.cell, size - first)
            part.append(slice(first, first + side // stride * stride))
        noisy = torch.from_numpy(clip.array[tuple(part)].astype(np.float32))
        if clip.reference is None:
            return noisy, None
        return noisy, torch.from_numpy(clip.reference[tuple(part)].astype(np.float32))


def draw_segments(
    footage: Sequence[Footage], parts: Sequence[Split], pixels: int, rng: Generator
) -> list[Segment]:
    """Random pieces of what is learnt from, until their centres hold about `pixels` pixels.

    The last of them has fewer centres where fewer are wanted, all over it: the frames between them
    cost less, and the pipeline remembers them.
    """
    usable = [part for part in parts if len(part.learnt) > 1]
    share = np.array([len(part.learnt) for part in usable], float)
    found: list[Segment] = []
    while pixels > 0:
        part = usable[rng.choice(len(usable), p=share / share.sum())]
        count = min(len(part.learnt), LONGEST)
        first = part.learnt.start + int(rng.integers(len(part.learnt) - count + 1))
        height, width = (footage[part.clip].cell * n for n in footage[part.clip].shape[2:])
        each = min(SIDE, height) * min(SIDE, width)
        centres = _spread(count, max(-(-pixels // each), LEAST_CENTRES))
        found.append(_segment(footage, part.clip, range(first, first + count), centres, rng))
        pixels -= len(centres) * each
    return found


def held_out_segments(
    clips: Sequence[Footage], parts: Sequence[Split], length: int, seed: int, test: bool
) -> list[Segment]:
    """Pieces around held-out centres, for validation or test; always the same."""
    rng = np.random.default_rng([seed, 1 + test])
    held = [part for part in parts if part.held]
    order = rng.permutation(len(held))
    found, left = [], HELD_OUT_CENTRES
    each = max(1, min(4, HELD_OUT_CENTRES // max(len(held), 1)))  # of many clips each has its say
    rounds = 2 if len(held) == 1 else 1  # two places of a single clip
    for index in list(order) * rounds:
        part = held[index]
        if left <= 0:
            break
        asked = part.test if test else part.validation
        frames = range(max(asked.start - max(length, PAST), part.shot.start), part.held.stop)
        count = min(left, len(asked), each)
        centres = [asked.start - frames.start + place for place in _spread(len(asked), count)]
        left -= len(centres)
        found.append(_segment(clips, part.clip, frames, centres, rng))
    return found


def _spread(count: int, wanted: int) -> list[int]:
    """At most so many of `count` places, the first and the last among them, evenly spread."""
    places = np.linspace(0, count - 1, min(count, wanted)).round()
    return [int(place) for place in np.unique(places)]


def _segment(
    footage: Sequence[Footage], clip: int, frames: range, centres: Sequence[int], rng: Generator
) -> Segment:
    side = SIDE // footage[clip].cell
    top, left = (int(rng.integers(max(n - side, 0) + 1)) for n in footage[clip].shape[2:])
    return Segment(clip, frames, top, left, tuple(centres))


# Windows of pictures, for other methods ----------------------------------------------------------


class Sample(NamedTuple):
    """One window, or several side by side: (T, C, H, W) or (B, T, C, H, W) each."""

    noisy: Tensor
    asked: Tensor | None  # clean frames, or others whose noise is independent; None: nobody has any
    level: Tensor  # the noise's standard deviation
    cut: Tensor  # the same where a range cut off that of what is asked for, else 0; see `as_stored`

    @classmethod
    def of(cls, noisy: Tensor, clean: Tensor | None, law: NoiseLaw, *, clipped: bool) -> "Sample":
        """A window of pictures as they are read; their level is that of smoothed ones."""
        level = law.level.level(smooth(noisy))
        return cls(noisy, clean, level, level if clipped else torch.zeros_like(level))

    @classmethod
    def beside(cls, windows: Sequence["Sample"]) -> "Sample":
        asked = [one.asked for one in windows if one.asked is not None]
        noisy, level, cut = (
            torch.stack([getattr(one, name) for one in windows])
            for name in ("noisy", "level", "cut")
        )
        whole = len(asked) == len(windows)
        return cls(noisy, torch.stack(asked) if whole else None, level, cut)

    def turned(self, rng: Generator) -> "Sample":
        """A window flipped, transposed, and reversed in time, at random."""
        mosaic = self.noisy.shape[1] == 4
        code, backwards = int(rng.integers(8)), rng.integers(2)

        def turned(x: Tensor) -> Tensor:
            # a flip would move the planes of a mosaic by a cell
            x = dihedral(x, code & 4 if mosaic else code)
            x = x[:, SWAPPED_GREENS] if mosaic and code & 4 else x
            return x.flip(0) if backwards else x

        asked = None if self.asked is None else turned(self.asked)
        return Sample(turned(self.noisy), asked, turned(self.level), turned(self.cut))

    def pair(self, law: NoiseLaw, places: Sequence[int], rng: Generator) -> "Sample":
        """A window with something to ask for: clean frames, or y - n' / tau of the noisy frames y,
        for which y + tau n' is shown.

        n' is drawn from the clip's measured law: for Gaussian noise their errors are independent,
        though y is one frame. Where a range cut noise off, n' is as weak as what is left. A frame
        that is there twice has the same noise twice.
        """
        if self.asked is not None:
            return self._replace(cut=torch.zeros_like(self.cut))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        signal = smooth(self.noisy)
        drawn = {p: law.sample(signal[i : i + 1], generator) for i, p in enumerate(places)}
        fresh = torch.cat([drawn[place] for place in places])
        if self.cut.any():
            fresh = fresh * clipped_moments(signal, self.level)[1].sqrt()
        shown, asked = self.noisy + TAU * fresh, self.noisy - fresh / TAU
        return Sample(shown, asked, LOUDER * self.level, self.cut)


class Run(NamedTuple):
    """Frames of a clip that windows are cut from, and the law of their noise."""

    array: NDArray[Any]  # (T, C, H, W)
    reference: NDArray[Any] | None  # the clean ones
    law: NoiseLaw
    clipped: bool  # whether its values end at black and white

    @classmethod
    def of(cls, clip: Footage, frames: range, law: NoiseLaw) -> "Run":
        span, known = slice(frames.start, frames.stop), clip.reference
        clean = None if known is None else known[span]
        return cls(clip.array[span], clean, law, is_clipped(clip, frames))

    def window(self, rng: Generator, places: Sequence[int], crop: int) -> Sample:
        """These frames of a random place, counted from the first of them."""
        frames, _, height, width = self.array.shape
        first = int(rng.integers(frames - max(places)))
        top, left = (int(rng.integers((n - crop) // CELL + 1)) * CELL for n in (height, width))

        def cut(frames: NDArray[Any]) -> Tensor:
            part = slice(top, top + crop), slice(left, left + crop)
            some = np.stack([frames[first + p, :, *part] for p in places])
            return torch.from_numpy(some.astype(np.float32))

        clean = None if self.reference is None else cut(self.reference)
        return Sample.of(cut(self.array), clean, self.law, clipped=self.clipped)


def dihedral(planes: Tensor, code: int) -> Tensor:
    """One of eight flips and transposes of (..., H, W): interpolation would change the noise. In a
    cell R G / G B of a mosaic transposing leaves red and blue where they are and swaps the greens.
    """
    planes = planes.flip([axis for axis, flips in ((-2, code & 1), (-1, code & 2)) if flips])
    return planes.mT if code & 4 else planes
