"""Segments of footage for training pairs, and the frames that are held out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from f2rcli.errors import InputError
from f2rcli.training.footage import Footage

SIDE = 320  # pixels per side of a piece
LONGEST = 24  # frames of a piece
LEAST_CENTRES = 8  # of a piece: all of its frames are prepared, for however few of them
STEP = 16  # of where a piece begins, so that chroma stays in step
HELD_OUT = 4  # frames of a clip, for validation and test
PAST = 16  # frames before the held-out ones: what the pipeline remembers of them counts


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of one shot, and which of its frames are centres."""

    clip: int  # index into the footage
    frames: range
    top: int
    left: int
    centres: tuple[int, ...]  # counted from the piece's first frame

    def read(self, footage: Sequence[Footage]) -> NDArray[np.float32]:
        """(T, H, W, C) in 0..1."""
        return footage[self.clip].read(*self._part)

    def reference(self, footage: Sequence[Footage]) -> NDArray[np.float32] | None:
        """The same without noise, where that is known."""
        known = footage[self.clip].reference
        return None if known is None else known[self._part].astype(np.float32)

    @property
    def _part(self) -> tuple[slice, slice, slice]:
        rows, columns = (slice(first, first + SIDE) for first in (self.top, self.left))
        return slice(self.frames.start, self.frames.stop), rows, columns


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
        raise InputError(
            f"{footage[0].name}: {frames} frames in its longest shot: too few to learn from.",
            hint="At least four frames of one shot are needed; 16 or more are better.",
        )
    return parts


Windows = list[tuple[int, range]]  # clips, and frames of each that windows lie in


def held_windows(parts: Sequence[Split], length: int) -> tuple[Windows, Windows]:
    """Clips, and the frames of whole windows of `length` around held-out centres: for validation,
    for the test.

    The last frames of a shot are not centres: half a window lies after those.
    """
    half = length // 2
    held: Windows = []
    test: Windows = []
    for part in parts:
        if not part.held or len(part.shot) < length:
            continue
        last = max(part.shot.stop - half, part.shot.start + half + 1)
        centres = range(max(min(part.held.start, last - 1), part.shot.start + half), last)
        chosen = (len(centres) + 1) // 2
        for found, those in ((held, centres[:chosen]), (test, centres[chosen:])):
            if those:
                found.append((part.clip, range(those.start - half, those.stop + half)))
    return held, test


def draw_segments(
    footage: Sequence[Footage], parts: Sequence[Split], pixels: int, rng: np.random.Generator
) -> list[Segment]:
    """Random pieces of what is learnt from, until their centres hold about `pixels` pixels.

    The last of them has fewer centres where fewer are wanted, all over it: the frames between them
    cost less, and the pipeline remembers them.
    """
    usable = [part for part in parts if len(part.learnt) > 1]
    share = np.array([len(part.learnt) for part in usable], float)
    found: list[Segment] = []
    while usable and pixels > 0:
        part = usable[rng.choice(len(usable), p=share / share.sum())]
        count = min(len(part.learnt), LONGEST)
        first = part.learnt.start + int(rng.integers(len(part.learnt) - count + 1))
        _, height, width, _ = footage[part.clip].shape
        each = min(SIDE, height) * min(SIDE, width)
        centres = _spread(count, max(-(-pixels // each), LEAST_CENTRES))
        found.append(_segment(footage, part.clip, range(first, first + count), centres, rng))
        pixels -= count * each
    return found


def held_out_segments(
    footage: Sequence[Footage],
    parts: Sequence[Split],
    length: int,
    most: int,
    seed: int,
    *,
    test: bool = False,
) -> list[Segment]:
    """Pieces around held-out centres, at most `most`, for validation or test; always the same."""
    rng = np.random.default_rng([seed, 1 + test])
    held = [part for part in parts if part.held]
    order = rng.permutation(len(held))
    found, left = [], most
    each = max(1, min(4, most // max(len(held), 1)))  # of many clips each has its say
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
        found.append(_segment(footage, part.clip, frames, centres, rng))
    return found


def _spread(count: int, wanted: int) -> list[int]:
    """At most so many of `count` places, the first and the last among them, evenly spread."""
    places = np.linspace(0, count - 1, min(count, wanted)).round()
    return [int(place) for place in np.unique(places)]


def _segment(
    footage: Sequence[Footage],
    clip: int,
    frames: range,
    centres: Sequence[int],
    rng: np.random.Generator,
) -> Segment:
    _, height, width, _ = footage[clip].shape
    top, left = (int(rng.integers(max(n - SIDE, 0) // STEP + 1)) * STEP for n in (height, width))
    return Segment(clip, frames, top, left, tuple(centres))
