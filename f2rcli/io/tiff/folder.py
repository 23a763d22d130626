"""A folder or pattern of TIFF files as one stack: numbered pages, or a set that OME-XML names."""

from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import tifffile

from f2rcli.errors import InputError
from f2rcli.frames import Plane
from f2rcli.io.numbering import Slot, files_of, folder_slots, is_pattern, natural_key, pattern_slots
from f2rcli.io.sequence import MismatchError, first_readable
from f2rcli.io.tiff.chain import follow
from f2rcli.io.tiff.file import TiffStack
from f2rcli.io.tiff.library import DAMAGE, quiet_tifffile
from f2rcli.io.tiff.stack import Spot, Stack

SUFFIXES = frozenset({".tif", ".tiff"})
# TIFF under other names: Zeiss LSM, MetaMorph, BigTIFF, PerkinElmer. Never pages of a folder.
STACK_SUFFIXES = SUFFIXES | {".lsm", ".stk", ".btf", ".tf2", ".tf8", ".qptiff"}


def tiff_files(folder: Path) -> list[Path]:
    """The TIFF files of a folder in natural order, without hidden ones."""
    return sorted(files_of(folder, SUFFIXES), key=natural_key)


def holds_pages(folder: Path) -> bool:
    """Whether a folder's TIFF files are pages of one stack, by the first and last sound one."""
    files = tiff_files(folder)
    return len(files) > 1 and all(map(_of_pages, (files, reversed(files))))


def set_in(folder: Path) -> Path | None:
    """The first of a folder's TIFF files, if its OME-XML names just all of them as one set."""
    files = tiff_files(folder)
    with suppress(InputError, *DAMAGE):
        if len(files) > 1 and _names_others(files[0]):
            with closing(TiffStack(files[0])) as stack:
                named = {one for one in stack.paths if one.suffix.lower() in SUFFIXES}
                if {file.resolve() for file in files} == named:
                    return files[0]
    return None


def _names_others(path: Path) -> bool:
    with quiet_tifffile(), tifffile.TiffFile(path) as file:
        xml = (file.ome_metadata or "") if file.is_ome else ""
        return "FileName=" in xml or "MetadataFile=" in xml


def _of_pages(files: Iterable[Path]) -> bool:
    return next((one for one in map(_one_page, files) if one is not None), False)


def _one_page(path: Path) -> bool | None:
    try:
        pages = follow(path).pages
        with quiet_tifffile(), tifffile.TiffFile(path) as file:
            if not pages:
                return None
            return pages == 1 and not set(file.series[0].axes) - set("YXS")
    except DAMAGE:
        return None


def _slots(path: Path) -> list[Slot]:
    """The files of a folder or pattern; marks for missing ones where most numbers are there."""
    if not path.is_dir():
        return pattern_slots(path)
    files = tiff_files(path)
    with suppress(InputError):  # numbers that jump far are not a count
        slots = folder_slots(files) if files else []
        if sum(not slot.exists for slot in slots) < len(files) / 2:
            return slots
    return [Slot(file) for file in files]


class PageFolder(Stack):
    """Files of one page each, in natural order along time."""

    divisible = True

    def __init__(self, source: str) -> None:
        """Raises InputError where no file can be read."""
        path = Path(source)
        self.name, self.path = path.name, path
        slots = _slots(path)
        self.paths = [slot.path for slot in slots if slot.exists]
        self.flavour = f"{len(self.paths)} TIFF files"
        self.gaps = tuple(slot.path.name for slot in slots if not slot.exists)
        if not self.paths:
            raise InputError(f"{self.name}: holds no TIFF files.", hint="Name another folder.")
        with closing(first_readable(self.paths, TiffStack)) as first:
            self._begin(first)

    def _begin(self, first: TiffStack) -> None:
        """Take the pages' kind from the first of them."""
        if len(first.series) > 1 or first.series[0].frames > 1:
            raise InputError(
                f"{self.name}: {first.name} is itself a stack ({first.series[0].words}).",
                hint="Pass one stack, or a folder of stacks with an output folder (-o).",
            )
        first.check(0)
        only = first.series[0]
        self.one = only
        self.series = [replace(only, axes=f"T{only.axes}", shape=(len(self.paths), *only.shape))]
        self.absent = [frozenset()]
        self._spotted: TiffStack | None = None

    def _page(self, place: int) -> TiffStack:
        path = self.paths[place]
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

    def spot(self, number: int, place: int) -> Spot | None:
        """See Stack; its file is open until the next one is asked for."""
        self.close()
        self._spotted = self._page(place)
        return self._spotted.spot(number, 0)

    def read(self, number: int, place: int) -> Plane:
        stack = self._page(place)
        try:
            return stack.read(number, 0)
        finally:
            stack.close()

    def close(self) -> None:
        """See Stack; only the file of the last spot is open between pictures."""
        if self._spotted is not None:
            self._spotted.close()
            self._spotted = None


def open_stack(source: str) -> Stack:
    """A file, a folder that is one set, or a folder or pattern of one-page files."""
    path = Path(source)
    if path.is_dir() and (first := set_in(path)) is not None:
        return TiffStack(first)
    if path.is_dir() or (not path.exists() and is_pattern(source)):
        return PageFolder(source)
    return TiffStack(path)
