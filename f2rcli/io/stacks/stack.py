"""Stacks of pictures, whatever file they come from: the contract of their readers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from f2rcli.errors import InputError
from f2rcli.frames import Plane
from f2rcli.io.base import MOST_PIXELS
from f2rcli.io.stacks.lanes import Series, chosen_series, listed_series
from f2rcli.io.stacks.metadata import Metadata


class Stack(ABC):
    """Files open for reading picture by picture, in any order.

    A picture is known by the number of its series and by its place among that series' pictures.
    """

    name: str
    path: Path
    series: list[Series]
    absent: list[frozenset[int]]  # places of each series whose pictures are not there whole
    paths: list[Path]  # every file that holds pictures of it
    flavour: str  # the kind of file, in words
    broken: str = ""  # that the list of its pages is, in words
    misfit: str = ""  # that the description does not fit the pages, so that axes are unknown
    divisible: bool = False  # some frames can be written without the others, as files of their own
    counted: Sequence[Path] = ()  # files whose numbers may promise others
    remarks: tuple[str, ...] = ()  # worth saying, not damage
    unread: str = "it is left empty"  # what the output has for a picture that is unreadable

    def title(self, number: int) -> str:
        """The file's name, with the number of a series where it has several."""
        return f"{self.name}, series {number + 1}" if len(self.series) > 1 else self.name

    def promised_by(self, words: str) -> str:
        """What promises a series with these axes and sizes, in words."""
        return f"its description ({words})"

    def check(self, number: int) -> None:
        """Raise InputError for a series that is not pictures f2r can denoise."""
        check_series(self.series[number], self.title(number))

    def chosen(self, wanted: str | None) -> list[int]:
        """The numbers of the wanted series. Raises UsageError for unknown, InputError for
        unsupported ones."""
        numbers = chosen_series(self.series, wanted, self.name)
        for number in numbers:
            try:
                self.check(number)
            except InputError as error:
                if len(numbers) == 1:
                    raise
                hint = f"Choose one of them: series=1 to {len(self.series)}."
                listed = listed_series(self.series)
                raise InputError(f"{error} Its series: {listed}.", hint=hint) from error
        return numbers

    def interval(self, number: int) -> Fraction | None:
        """Seconds from one frame of a series to the next, where the file says so."""
        seconds = self.metadata(number).interval
        if seconds is None or not 1e-9 < seconds < 1e9:
            return None
        return Fraction(seconds).limit_denominator(1_000_000_000)

    @abstractmethod
    def read(self, number: int, place: int) -> Plane:
        """A picture (Y, X) or (Y, X, S), native byte order. Raises InputError if undecodable."""

    def metadata(self, number: int) -> Metadata:
        """What the file says of a series besides its samples."""
        return Metadata()

    def fill(self, number: int) -> Any:
        """What samples of a series read as that are not stored; None where all are."""
        return None

    def levels(self, number: int) -> list[tuple[int, int]]:
        """Rows and columns of the smaller copies of a series (a pyramid), largest first."""
        return []

    def provenance_text(self) -> str:
        """How f2r made the file, as JSON; "" where it did not, or does not say."""
        return ""

    @abstractmethod
    def close(self) -> None:
        """Let go of the files."""


def check_series(series: Series, name: str) -> None:
    """Raise InputError for arrays that are not pictures f2r can denoise."""
    if series.picture > MOST_PIXELS:
        raise InputError(
            f"{name}: claims pictures of {series.width} x {series.height}; f2r reads up to "
            f"{MOST_PIXELS} samples each.",
            hint="The header is damaged, or this is not a microscopy stack.",
        )
    check_samples(series.dtype, name)
    if "Y" not in series.axes or "X" not in series.axes or 0 in series.shape:
        raise InputError(f"{name}: axes {series.words}: there are no pictures (Y and X).")
    inner = series.axes[-3:].replace("S", "")[-2:]
    if inner != "YX":
        raise InputError(
            f"{name}: axes {series.words}: pictures must be stored row by row (… Y X).",
            hint="Save it again with the picture's axes last.",
        )


def check_samples(dtype: np.dtype[np.generic], name: str) -> None:
    """Raise InputError for samples that are not intensities f2r can denoise."""
    if dtype.kind not in "uif" or dtype.itemsize > (8 if dtype.kind == "f" else 4):
        kinds = {"b": "a binary mask", "c": "complex numbers"}
        kinds |= dict.fromkeys("uif", "too wide")
        why = kinds.get(dtype.kind, "not intensities")
        raise InputError(
            f"{name}: samples are {dtype}, {why}.",
            hint="f2r reads integers of 8 to 32 bits and floats of 16 to 64.",
        )
