"""Stacks of pictures, whatever file they come from: the contract of their readers."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from f2rcli.errors import InputError
from f2rcli.frames import Plane
from f2rcli.io.tiff.axes import Series, check_series, chosen_series, listed_series


@dataclass(frozen=True, slots=True)
class Spot:
    """The place of a picture in a TIFF file."""

    path: Path
    page: Any  # tifffile's TiffPage
    plane: int | None = None  # its number within a page of several pictures
    offset: int | None = None  # of the picture's first byte, where pages do not say it


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
    cut_off: str = ""  # that the list of its pages breaks off, in words
    misfit: str = ""  # that the description does not fit the pages, so that axes are unknown
    described: bool = True  # by more than the list of its pages
    divisible: bool = False  # some frames can be written without the others, as files of their own
    gaps: tuple[str, ...] = ()  # names of files that the numbers of the others promise
    remarks: tuple[str, ...] = ()  # worth saying, not damage
    unread: str = "it stays as it is stored"  # what the output has for a picture that is unreadable

    def title(self, number: int) -> str:
        """The file's name, with the number of a series where it has several."""
        return f"{self.name}, series {number + 1}" if len(self.series) > 1 else self.name

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
        return None

    @abstractmethod
    def read(self, number: int, place: int) -> Plane:
        """A picture (Y, X) or (Y, X, S), native byte order. Raises InputError if undecodable."""

    def spot(self, number: int, place: int) -> Spot | None:
        """The place of a picture; None where the file ends before it, or is not a TIFF."""
        return None

    def provenance_text(self) -> str:
        return ""

    def levels(self, number: int) -> list[Any]:
        """Smaller copies of a series (a pyramid), largest first."""
        return []

    @abstractmethod
    def close(self) -> None:
        """Let go of the files."""
