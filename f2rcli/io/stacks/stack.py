"""Stacks of pictures: series, the lanes that pictures make along time or depth, readers' contract.

A lane is a clip of its own: one channel, at one depth if it runs along time (T). Without time, or
with hardly any, it runs along depth (Z). Y and X are the picture, S samples of a pixel (colours);
every other letter tells lanes apart."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from f2rcli.errors import InputError, UsageError
from f2rcli.frames import Plane
from f2rcli.io.base import MOST_PIXELS
from f2rcli.io.files import quiet, refusals
from f2rcli.io.stacks.metadata import Metadata

ALL = "all"  # series
ALONE = "no time axis: each picture is denoised separately"
UNNAMED = "QI"  # tifffile's letters for an axis that a file does not name
WINDOW = 7  # frames; a stack with fewer in time than that, and more in depth, runs along depth
_WORDS = {"T": "frame", "C": "channel", "Z": "z", "P": "position", "A": "angle", "H": "phase",
          "R": "tile", "E": "wavelength"}  # fmt: skip
_NAMES = {
    "T": "t time frame frames", "Z": "z depth plane slice",
    "Y": "y row rows height lat latitude", "X": "x column columns col width lon longitude",
    "C": "c channel channels band wavelength", "S": "s sample samples rgb rgba",
}  # fmt: skip
Where = dict[str, int]  # axis -> index, or size
# The letter of a dimension that a program names (xarray, HDF5), by that name in lower case.
LETTER_OF = {name: letter for letter, names in _NAMES.items() for name in names.split()}


def ome_letters(axes: Iterable[str]) -> dict[str, str]:
    """Letters for some axes that OME-TIFF has: their own; E of wavelengths (λ, Λ); or free ones."""
    letters = {axis: axis for axis in axes if axis in f"TZCYXS{UNNAMED}ERPAH"}
    for axis in (one for one in axes if one not in letters):
        free = (one for one in "ERPAH"[axis not in "λΛ" :] if one not in letters.values())
        letters[axis] = next(free, axis)
    return letters


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """The pictures of an array."""

    axes: str  # a letter per axis, slowest first
    shape: tuple[int, ...]

    @property
    def sizes(self) -> dict[str, int]:
        """The size of each axis, by its letter."""
        return dict(zip(self.axes, self.shape, strict=True))

    @property
    def outer(self) -> list[tuple[str, int]]:
        """Letters and sizes of the axes that count pictures."""
        return [(a, n) for a, n in zip(self.axes, self.shape, strict=True) if a not in "YXS"]

    @property
    def frames(self) -> int:
        """The number of pictures."""
        return int(np.prod([n for _, n in self.outer], dtype=np.int64))

    @property
    def samples(self) -> int:
        """Samples per pixel."""
        return self.sizes.get("S", 1)

    @property
    def colour(self) -> bool:
        """Whether they are red, green, blue [, alpha]."""
        return self.samples in (3, 4)

    @property
    def height(self) -> int:
        return self.sizes.get("Y", 0)

    @property
    def width(self) -> int:
        return self.sizes.get("X", 0)

    @property
    def size(self) -> tuple[int, int]:
        return self.height, self.width

    def at(self, place: int) -> dict[str, int]:
        """The number of a picture along each axis that counts pictures."""
        index = np.unravel_index(place, [n for _, n in self.outer] or [1])
        return {axis: int(i) for (axis, _), i in zip(self.outer, index, strict=False)}

    @property
    def picture(self) -> int:
        """Samples of a picture."""
        return self.height * self.width * self.samples

    @property
    def sequence(self) -> str:
        """The axis whose pictures are neighbours: T, or Z where T is short or absent."""
        times, planes = self.sizes.get("T", 1), self.sizes.get("Z", 1)
        return "Z" if planes > times and times < WINDOW else "T"

    @property
    def sequence_note(self) -> str:
        """A note where that is depth; "" where it is time."""
        times = self.sizes.get("T", 1)
        few = "no time axis" if times == 1 else f"only {times} frames in time"
        note = f"{few}: the neighbours of a picture are those above and below it (Z)"
        return "" if self.sequence == "T" else note

    @property
    def words(self) -> str:
        """`TCYX 6x2x96x144`."""
        return f"{self.axes} {'x'.join(map(str, self.shape))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series(Pictures):
    """An array of a file, by its header, and how the rest of it is read."""

    number: int = 0
    name: str
    dtype: np.dtype[np.generic]
    read: Callable[[int], Any]  # samples of the picture at a place, in the order of the axes
    metadata: Metadata = field(default_factory=Metadata)  # what the file says besides
    remark: str = ""  # worth saying of how its pictures are made
    codec: str = ""  # its compression, in a word
    aside: bool = False  # a thumbnail or mask that belongs to another: taken only if it is named
    levels: tuple[tuple[int, int], ...] = ()  # rows and columns of its smaller copies (a pyramid)
    absent: frozenset[int] = frozenset()  # places of pictures that are not there whole
    unlisted: int = 0  # of those, that its file does not promise: tiles of a grid
    single: tuple[int, ...] = ()  # places of axes of one picture among the stored, left out here
    inner: str = ""  # Y, X and S in the order they are stored in; "": in that of the axes
    places: tuple[int, ...] = ()  # if it is to be written, of its pictures in the source, in turn

    @property
    def interval(self) -> Fraction | None:
        """Seconds from one frame to the next, where the file says so."""
        seconds = self.metadata.interval
        if seconds is None or not 1e-9 < seconds < 1e9:
            return None
        return Fraction(seconds).limit_denominator(1_000_000_000)

    @classmethod
    def of(cls, name: str, sizes: Where, dtype: Any, read: Callable[[Where], Any],
           **more: Any) -> "Series":  # fmt: skip
        """By the letters of its file, and read(where), which gives its picture there; both in the
        order they are stored in."""
        letters = ome_letters(sizes)
        inner = "".join(
            axis for axis in sizes if axis in "YXS" and (sizes[axis] != 1 or axis != "S")
        )
        order = [*(axis for axis in sizes if axis not in "YXS"), *sorted(inner, key="YXS".index)]
        kept = {letters[axis]: sizes[axis] for axis in order if sizes[axis] != 1 or axis in "YX"}
        pictures = Pictures(axes="".join(kept), shape=tuple(kept.values()))

        def samples(place: int) -> Any:
            at = pictures.at(place)
            return read({axis: at.get(letter, 0) for axis, letter in letters.items()})

        return cls(
            name=name, axes=pictures.axes, shape=pictures.shape, read=samples, inner=inner,
            single=tuple(n for n, axis in enumerate(sizes) if letters[axis] not in kept),
            dtype=np.dtype(dtype).newbyteorder("="), **more,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """Pictures of one series that follow each other."""

    series: int = 0
    frames: tuple[int, ...]  # their places among the series' pictures, in the order of time or Z
    label: str = ""


def listed_series(every: Sequence[Series]) -> str:
    """`1 'cells' TYX 9x96x144, 2 'map' YX 96x144`, at most six."""
    words = [f"{s.number + 1} {f'{s.name!r} ' * bool(s.name)}{s.words}" for s in every[:6]]
    return ", ".join(words) + (f" and {len(every) - 6} more" if len(every) > 6 else "")


def in_time(
    series: Series, given: str | None, name: str, *, unlike: bool = False
) -> tuple[Series, str]:
    """The series with its axes named, by the user as `given`, and a note on what was assumed.

    unlike: it is one of several unlike series: names that do not fit it are meant for others, and
    without time or depth each picture is taken by itself. Raises UsageError for an unknown axis.
    """
    if given is not None:
        try:
            return replace(series, axes=_renamed(series, given, name)), ""
        except UsageError:
            if not unlike:
                raise
    letters = "".join(letter for letter, _ in series.outer)
    if len(letters) == 1 and letters in UNNAMED:
        named = series.axes.replace(letters, "T")
        note = f"a plain stack of {series.frames} pages: taken as time (axes= changes that)"
        return replace(series, axes=named), note
    if set("TZ") & set(letters) and not set(letters) & set(UNNAMED):
        return series, ""
    if letters in ("", "C") or unlike:
        return series, ALONE
    example = next((letter for letter in letters if letter in UNNAMED), letters[0])
    asked, new, what = "which one is time", "T", "is time"
    if "T" in letters:
        asked, new, what = f"what is {example}", "P", "are positions"
    such = f"axes={series.axes.replace(example, new)!r} if {example} {what}"
    such += f", axes={series.axes!r} if none is" * (example not in UNNAMED)
    hint = f"Name the axes, one letter each: {such}; T time, Z depth, C channel."
    shape = " x ".join(map(str, series.shape))
    raise UsageError(f"{name}: axes {series.axes}, shape {shape}: {asked}?", hint=hint)


def _renamed(series: Series, given: str, name: str) -> str:
    axes = given.upper()
    if len(axes) == len(series.axes) + len(series.single):
        axes = "".join(axis for n, axis in enumerate(axes) if n not in series.single)
    if len(axes) == len(series.axes) - 1 and "S" in series.axes and "S" not in axes:
        place = series.axes.index("S")
        axes = axes[:place] + "S" + axes[place:]
    kept = re.sub("[^YXS]", "_", axes) == re.sub("[^YXS]", "_", series.axes)
    if not kept or not axes.isalpha() or len({*given.upper()}) != len(given):
        example = series.axes.replace("Q", "T", 1).replace("I", "T", 1)
        what = f"axes={given!r}: {name} has axes {series.words}"
        rule = "each axis needs its own letter, and Y, X and S must stay where they are"
        raise UsageError(f"{what}; {rule}.", hint=f"For example axes={example!r}.")
    return axes


def lanes_of(series: list[Series]) -> Iterator[Lane]:
    """The lanes of all series, in the order their pictures are stored."""
    for one in series:
        name = (one.name or f"series {one.number + 1}") if len(series) > 1 else ""
        for lane in lanes_along(one, one.sequence):
            label = ", ".join(filter(None, (name, lane.label)))
            yield replace(lane, series=one.number, label=label)


def lanes_along(pictures: Pictures, along: str) -> Iterator[Lane]:
    """The lanes of an array's pictures along an axis, which need not be there."""
    outer = pictures.outer
    places = np.arange(pictures.frames).reshape([n for _, n in outer] or [1])
    kinds = [letter for letter, _ in outer] or [along]
    if along not in kinds:
        places, kinds = places[..., None], [*kinds, along]
    times = np.moveaxis(places, kinds.index(along), -1)
    rest = [letter for letter in kinds if letter != along]
    for index in product(*(range(n) for n in times.shape[:-1])):
        at = zip(rest, index, times.shape, strict=False)  # "z 1, channel 2"
        label = ", ".join(f"{_WORDS.get(a, a)} {i + 1}" for a, i, n in at if n > 1)
        yield Lane(frames=tuple(times[index].tolist()), label=label)


# --- The contract of their readers ----------------------------------------------------------------
class Stack(ABC):
    """Files open for reading picture by picture, in any order: each is known by the number of its
    series and by its place among that series' pictures."""

    package = "tifffile"  # the library that reads it
    file: Any = None  # as that has it open
    series: list[Series]
    flavour: str  # the kind of file, in words
    broken: str = ""  # that the list of its pages is, in words
    misfit: str = ""  # that the description does not fit the pages, so that axes are unknown
    counted: Sequence[Path] = ()  # files whose numbers may promise others
    remarks: tuple[str, ...] = ()  # worth saying, not damage
    provenance = ""  # how f2r made it, as JSON; "" where it did not, or does not say
    unread: str = "it is left empty"  # what the output has for a picture that is unreadable

    def __init__(self, path: Path) -> None:
        """Raises InputError for what cannot be read, with the reason."""
        self.name, self.path = path.name, path
        self.paths = [path]  # every file that holds pictures of it
        try:
            with refusals(self.name), quiet(self.package):
                self._open()
            if not self.series:
                raise InputError(f"{self.name}: holds no pictures.")
        except BaseException:
            self.close()
            raise

    @abstractmethod
    def _open(self) -> None:
        """Open the file, and find its series."""

    def title(self, number: int) -> str:
        """The file's name, with the number of a series where it has several."""
        return f"{self.name}, series {number + 1}" if len(self.series) > 1 else self.name

    def check(self, number: int) -> None:
        """Raise InputError for a series that is not pictures f2r can denoise."""
        for what, hint in self._unfit(self.series[number]):
            raise InputError(f"{self.title(number)}: {what}.", hint=hint)

    def _unfit(self, series: Any) -> Iterator[tuple[str, str]]:
        """Why a series is not pictures f2r can denoise, and what to do."""
        if series.picture > MOST_PIXELS:
            claims = f"claims pictures of {series.width} x {series.height}"
            hint = "The header is damaged, or this is not a microscopy stack."
            yield f"{claims}; f2r reads up to {MOST_PIXELS} samples each", hint
        check_samples(series.dtype, self.title(series.number))
        if series.samples > 1 and not series.colour:
            what = f"has {series.samples} samples a pixel, which are no colours"
            yield what, "Save them as channels (C)."
        inner = series.axes[-2 - ("S" in series.axes) :]
        if inner.replace("S", "") != "YX" or 0 in series.shape:
            what = f"axes {series.words}: there are no pictures stored row by row (… Y X)"
            yield what, "Save it again with the picture's axes last."

    def chosen(self, wanted: str | None) -> list[int]:
        """The numbers of the wanted series: by number from 1, by name, or all; without a wish all
        but thumbnails and masks. Raises UsageError for unknown ones."""
        if wanted is None and (shown := [one.number for one in self.series if not one.aside]):
            return shown
        if wanted is None or wanted.casefold() == ALL:
            return [one.number for one in self.series]
        named = [one.number for one in self.series if one.name.casefold() == wanted.casefold()]
        if len(named) == 1:
            return named
        if wanted.isdecimal() and 1 <= int(wanted) <= len(self.series):
            return [int(wanted) - 1]
        raise UsageError(
            f"series={wanted!r}: {self.name} has {listed_series(self.series)}.",
            hint="Choose one by its number (from 1) or name; all means every one.",
        )

    def read(self, number: int, place: int) -> Plane:
        """A picture (Y, X) or (Y, X, S), native byte order. Raises InputError if undecodable."""
        one, which = self.series[number], f"{self.name}, picture {place + 1}"
        stored = one.inner or [axis for axis in one.axes if axis in "YXS"]
        with refusals(which), quiet(self.package):
            samples = np.asarray(one.read(place))
            if samples.size != one.picture:
                raise InputError(f"{which}: is incomplete.")
        samples = samples.reshape([one.sizes[axis] for axis in stored])
        turned = [stored.index(axis) for axis in "YXS" if axis in stored]
        return np.ascontiguousarray(samples.transpose(turned), one.dtype)

    def close(self) -> None:
        if hasattr(self.file, "close"):  # a Zarr group holds nothing open
            self.file.close()


def is_known(dtype: np.dtype[np.generic]) -> bool:
    """Whether samples are intensities f2r can denoise."""
    return dtype.kind in "uif" and dtype.itemsize <= (8 if dtype.kind == "f" else 4)


def check_samples(dtype: np.dtype[np.generic], name: str) -> None:
    """Raise InputError for samples that are not intensities f2r can denoise."""
    if not is_known(dtype):
        kinds = {"b": "a binary mask", "c": "complex numbers"}
        kinds |= dict.fromkeys("uif", "too wide")
        why = kinds.get(dtype.kind, "not intensities")
        hint = "f2r reads integers of 8 to 32 bits and floats of 16 to 64."
        raise InputError(f"{name}: samples are {dtype}, {why}.", hint=hint)
