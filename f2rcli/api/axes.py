"""The meaning of an array's axes, and the lanes that its pictures make along time or depth."""

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from f2rcli.errors import InputError, UsageError
from f2rcli.frames import Plane
from f2rcli.io.stacks import LETTER_OF, lane_words, sequence_note, sequence_of

COLOURS = (3, 4)  # samples of a pixel: RGB, and RGB with alpha
LETTERS = "T time, Y rows, X columns, S colours, C channels, Z depth; others are lanes of their own"
Place = tuple[int | slice, ...]  # of a picture in its array


@dataclass(frozen=True, slots=True)
class Lane:
    """A clip of its own: one channel, at one depth if it runs along time."""

    label: str
    at: dict[str, int]  # its place on the axes that tell lanes apart


@dataclass(frozen=True, slots=True)
class Grid:
    """The pictures of an array: a letter per axis, slowest first."""

    letters: str
    shape: tuple[int, ...]
    along: str = "T"  # the axis along which pictures are each other's neighbours

    @classmethod
    def of(cls, shape: tuple[int, ...], axes: str | None, *, frame: bool = False) -> "Grid":
        """The grid of an array, or of one frame of an iterable.

        axes: the user's letters; None: taken from the shape where that leaves no doubt. Raises
        UsageError where it does, or where the letters do not fit.
        """
        letters = _guessed(shape, frame=frame) if axes is None else _named(shape, axes, frame)
        grid = cls(letters, shape, "T" if frame else sequence_of(letters, shape))
        if 0 in grid.size:
            raise InputError(
                f"an array of shape {shape}: has no rows and columns.", hint="Pass (T, H, W)."
            )
        return grid

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self._length("Y"), self._length("X")

    @property
    def samples(self) -> int:
        """Samples per pixel: 3 or 4 for colours, else 1."""
        return self._length("S") if self._colour else 1

    @property
    def frames(self) -> int:
        """The number of pictures of a lane."""
        return self._length(self.along) if self.runs else 1

    @property
    def runs(self) -> bool:
        """Whether there is an axis along which pictures follow each other."""
        return self.along in self.letters

    @property
    def note(self) -> str:
        """The note for a lane that runs along depth; "" elsewhere."""
        return "" if self.along == "T" else sequence_note(self.letters, self.shape)

    @property
    def lanes(self) -> list[Lane]:
        """Every combination of the axes along which pictures are not neighbours."""
        outer = [letter for letter in self.letters if letter not in self._inner + self.along]
        sizes = [self._length(letter) for letter in outer]
        return [
            Lane(", ".join(lane_words(outer, at, sizes)), dict(zip(outer, at, strict=True)))
            for at in product(*map(range, sizes))
        ]

    def place(self, lane: Lane, frame: int) -> Place:
        """The place of a picture of a lane."""
        known = lane.at | {self.along: frame}
        return tuple(
            slice(None) if letter in self._inner else known[letter] for letter in self.letters
        )

    def picture(self, stored: Plane) -> Plane:
        """A picture as it is stored -> (H, W) or (H, W, S)."""
        return stored.transpose(self._order)

    def stored(self, picture: Plane) -> Plane:
        """The reverse of `picture`."""
        return picture.transpose(np.argsort(self._order))

    @property
    def _colour(self) -> bool:
        return "S" in self.letters and self._length("S") in COLOURS

    @property
    def _inner(self) -> str:
        return "YXS" if self._colour else "YX"

    @property
    def _order(self) -> list[int]:
        kept = [letter for letter in self.letters if letter in self._inner]
        return [kept.index(letter) for letter in self._inner]

    def _length(self, letter: str) -> int:
        return self.shape[self.letters.index(letter)]


def letters_of(dims: tuple[Any, ...]) -> str:
    """The letters of named dimensions. Raises UsageError for names that say nothing."""
    letters = [LETTER_OF.get(str(dim).lower(), "") for dim in dims]
    strange = [str(dim) for dim, letter in zip(dims, letters, strict=True) if not letter]
    if strange or len(set(letters)) < len(letters):
        raise UsageError(
            f"dimensions {', '.join(map(str, dims))}: which axes are they?",
            hint=f"Pass axes=, one letter for each: {LETTERS}.",
        )
    return "".join(letters)


def _guessed(shape: tuple[int, ...], *, frame: bool) -> str:
    """The letters of a shape that can mean one thing only."""
    time, last = "" if frame else "T", shape[-1] if shape else 0
    inner = len(shape) - len(time)
    if inner == 2 and (frame or last not in COLOURS):
        return f"{time}YX"
    if inner == 3 and last in (1, *COLOURS):
        return f"{time}YX{'C' if last == 1 else 'S'}"
    if len(shape) == 2:
        return "YX"
    if len(shape) < 2:
        raise InputError(f"an array of shape {shape}: not a clip.", hint="Pass (T, H, W).")
    known = {3: "YXS", 4: "TCYX"}.get(len(shape), "TZCYX")
    raise UsageError(
        f"{_what(frame)} of shape {shape}: what are its axes?",
        hint=f"Name them, for example axes={known!r}: {LETTERS}.",
    )


def _what(frame: bool) -> str:
    return "a frame" if frame else "an array"


def _named(shape: tuple[int, ...], axes: str, frame: bool) -> str:
    letters = axes.upper()
    what = f"axes={axes!r}: {_what(frame)} has shape {shape}"
    if len(letters) != len(shape) or len(set(letters)) != len(letters) or not letters.isalpha():
        raise UsageError(f"{what}; each axis needs its own letter.", hint=f"Letters: {LETTERS}.")
    if not {"Y", "X"} <= set(letters):
        raise UsageError(f"{what}; Y and X are the picture.", hint=f"Letters: {LETTERS}.")
    if frame and "T" in letters:
        raise UsageError(
            f"{what}; frames arrive in order of time and have no T axis.", hint="Leave it out."
        )
    return letters
