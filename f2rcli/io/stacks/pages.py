"""A folder or pattern of one-page TIFF files as one stack, and folders that are one set."""

from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import tifffile

from f2rcli.errors import InputError
from f2rcli.frames import Plane
from f2rcli.io.numbering import (
    axes_in_names,
    files_in_order,
    files_of,
    is_pattern,
    natural_key,
)
from f2rcli.io.sequence import MismatchError, first_readable
from f2rcli.io.stacks.arrays import split_path
from f2rcli.io.stacks.library import LibraryStack, format_of
from f2rcli.io.stacks.metadata import Metadata
from f2rcli.io.stacks.stack import Stack
from f2rcli.io.stacks.tiff import TiffStack
from f2rcli.io.tifffiles import list_pages, quiet, refusals

SUFFIXES = frozenset({".tif", ".tiff"})
NDTIFF_INDEX = "NDTiff.index"  # beside the files of a Micro-Manager data set


def tiff_files(folder: Path) -> list[Path]:
    """The TIFF files of a folder in natural order, without hidden ones."""
    return sorted(files_of(folder, SUFFIXES), key=natural_key)


def holds_pages(folder: Path) -> bool:
    """Whether a folder's TIFF files are pages of one stack, by the first and last sound one."""
    files = tiff_files(folder)
    return len(files) > 1 and all(map(_of_pages, (files, reversed(files))))


def set_in(folder: Path) -> Path | None:
    """The first of a folder's TIFF files, if it names just all of them as one set."""
    files = tiff_files(folder)
    if (folder / NDTIFF_INDEX).is_file() and files:
        return files[0]
    with suppress(InputError):
        if len(files) > 1 and _names_others(files[0]):
            with closing(TiffStack(files[0])) as stack:
                named = {one for one in stack.paths if one.suffix.lower() in SUFFIXES}
                if {file.resolve() for file in files} == named:
                    return files[0]
    return None


def _names_others(path: Path) -> bool:
    with refusals(path.name), quiet(), tifffile.TiffFile(path) as file:
        xml = (file.ome_metadata or "") if file.is_ome else ""
        return "FileName=" in xml or "MetadataFile=" in xml


def _of_pages(files: Iterable[Path]) -> bool:
    return next((one for one in map(_one_page, files) if one is not None), False)


def _one_page(path: Path) -> bool | None:
    """Whether a file is one page; None if it cannot be read."""
    with suppress(InputError), refusals(path.name):
        pages = list_pages(path).pages
        with quiet(), tifffile.TiffFile(path) as file:
            if pages:
                return pages == 1 and not set(file.series[0].axes) - set("YXS")
    return None


class PageFolder(Stack):
    """Files of one page each: along time in natural order, or along the axes their names count."""

    divisible = True
    unread = "it stays as it is stored"

    def __init__(self, source: str) -> None:
        """Raises InputError where no file can be read."""
        path = Path(source)
        self.name, self.path = path.name, path
        self.files, sizes = self._arranged(path)
        self.paths = [file for file in self.files if file is not None]
        self.flavour = f"{len(self.paths)} TIFF files"
        if not self.paths:
            raise InputError(f"{self.name}: holds no TIFF files.", hint="Name another folder.")
        with closing(first_readable(self.paths, TiffStack)) as first:
            self._begin(first, sizes)

    def _arranged(self, path: Path) -> tuple[list[Path | None], dict[str, int]]:
        named = axes_in_names(tiff_files(path)) if path.is_dir() else None
        if named is not None:
            sizes, files = named
            axes = ", ".join(f"{axis} {size}" for axis, size in sizes.items())
            self.remarks = (f"names of files count {axes}: taken as those axes",)
            return files, sizes
        there = tiff_files(path) if path.is_dir() else files_in_order(path)
        self.counted = there
        return list(there), {"T": len(there)}

    def _begin(self, first: TiffStack, sizes: dict[str, int]) -> None:
        """Take the pages' kind from the first of them."""
        if len(first.series) > 1 or first.series[0].frames > 1:
            raise InputError(
                f"{self.name}: {first.name} is itself a stack ({first.series[0].words}).",
                hint="Pass one stack, or a folder of stacks with an output folder (-o).",
            )
        first.check(0)
        only = first.series[0]
        self.one = only
        axes, shape = "".join(sizes) + only.axes, (*sizes.values(), *only.shape)
        self.series = [replace(only, axes=axes, shape=shape)]
        self.absent = [frozenset(n for n, file in enumerate(self.files) if file is None)]
        self._said = replace(first.metadata(0), planes=())

    def promised_by(self, words: str) -> str:
        return f"the names of its files ({words})"

    def page(self, place: int) -> TiffStack:
        """The file at a place, open. Raises InputError, MismatchError for one of another kind."""
        path = self.files[place]
        if path is None:
            raise InputError(f"{self.name}: file {place + 1} is missing.")
        stack = TiffStack(path)
        only = stack.series[0]
        if (only.shape, only.dtype, len(stack.series)) != (self.one.shape, self.one.dtype, 1):
            stack.close()
            raise MismatchError(
                f"{path.name}: is {only.words} {only.dtype}, the files before are "
                f"{self.one.words} {self.one.dtype}.",
                hint="A sequence has pages of one size and kind.",
            )
        return stack

    def read(self, number: int, place: int) -> Plane:
        with closing(self.page(place)) as stack:
            return stack.read(number, 0)

    def metadata(self, number: int) -> Metadata:
        return self._said

    def close(self) -> None:
        """See Stack; no file is open between pictures."""


def open_stack(source: str) -> Stack:
    """A stack of any format. Raises InputError for what cannot be read."""
    name, inside = split_path(source)
    if format_of(path := Path(name)) is None:
        return open_tiff(source)
    return LibraryStack(path, inside or "")


def open_tiff(source: str) -> Stack:
    """A file, a folder that is one set, or a folder or pattern of one-page files."""
    path = Path(source)
    if path.is_dir() and (first := set_in(path)) is not None:
        return TiffStack(first)
    if path.is_dir() or (not path.exists() and is_pattern(source)):
        return PageFolder(source)
    return TiffStack(path)
