"""TIFF through tifffile: multi-page, BigTIFF, OME, ImageJ, LSM, STK, ScanImage, NDTiff; pages."""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from tifffile import COMPRESSION, PHOTOMETRIC

from f2rcli.errors import InputError
from f2rcli.frames import Plane
from f2rcli.io.files import check_not_empty, default_folder, quiet, refusals
from f2rcli.io.formats import MAKERS_TIFF, TIFF
from f2rcli.io.numbering import axes_in_names, files_in_order, files_of, is_pattern, natural_key
from f2rcli.io.sequence import MismatchError, first_readable, mismatch
from f2rcli.io.stacks.library import LibraryStack, format_of
from f2rcli.io.stacks.metadata import PROVENANCE, SOURCE, Metadata, ome_annotation, parsed
from f2rcli.io.stacks.stack import Series, Stack, listed_series, ome_letters
from f2rcli.units import count

UNDESCRIBED = ("generic", "uniform")  # tifffile's words for series without a description
_PREVIEWS = ("Thumbnail", "Macro", "Label", "Map")  # for pictures beside that of a slide
# Of a Micro-Manager data set: what names its files, and their folder where there are others.
NDTIFF, WHOLE = "NDTiff.index", "Full resolution"
_SETS = ("ome", "ndtiff")  # and for those that may have pages in several files, or lack some
_FLAVOURS = {
    "is_ome": "OME-", "is_imagej": "ImageJ ", "is_lsm": "LSM ", "is_stk": "MetaMorph ",
    "is_qpi": "PerkinElmer ", "is_ndtiff": "NDTiff in ",
}  # fmt: skip
# Colours that are not RGB, by TIFF's numbers, and compressions of which YCbCr comes out as RGB.
_COLOURS = {5: "CMYK", 6: "YCbCr", 8: "CIELab", 9: "ICCLab", 10: "ITULab"}
_TO_RGB = {6, 7, 33007, 34892}
_CODECS = {int(one): one.name.removeprefix("ADOBE_") for one in COMPRESSION} | {1: "uncompressed"}
_SI_CHANNELS = ("SI.hChannels.channelSave", "SI4.channelsSave")
_SI_SWEEP = ("SI.hStackManager.numFramesPerVolumeWithFlyback", "SI.hFastZ.numFramesPerVolume")
_SI_SLICES = ("SI.hStackManager.actualNumSlices", "SI.hStackManager.slicesPerAcq",
           "SI4.stackNumSlices", "state.acq.numberOfZSlices")  # fmt: skip
_SI_FRAMES = ("SI.hStackManager.framesPerSlice", "SI4.acqNumFrames", "state.acq.numberOfFrames")


@dataclass(frozen=True, slots=True, kw_only=True)
class TiffSeries(Series):
    """A series, and where its pictures lie."""

    pages: Any  # tifffile's series: its pages, None for missing ones
    share: int  # pictures per page
    first: Any  # the first page there is
    kind: str  # of series, as tifffile calls it
    offset: int | None  # of the first, if all lie one behind another, uncompressed


class TiffStack(Stack):
    """A TIFF file, and the files it names (OME, NDTiff)."""

    series: list[TiffSeries]  # type: ignore[assignment]  # nobody puts others into it
    _cached: tuple[int, int, Plane] | None = None  # a page of several pictures

    def _open(self) -> None:
        check_not_empty(self.path)
        self.file = _opened(self.path)
        self.series = self._found()
        pages = count(len(self.file.pages), "page")
        if _contradicted(self.file, self.series):
            self.misfit = f"its description does not fit its {pages}"
            self.file.close()
            self.file = tifffile.TiffFile(self.path, is_shaped=False, is_imagej=False, is_ome=False)
            self.series = self._found()
        if not self.series:
            return
        self._ome = parsed(self.file.ome_metadata or "") if self.file.is_ome else None
        if self._ome is not None:
            self.provenance = ome_annotation(self._ome, PROVENANCE)
        if self.file.pages.first.is_scanimage and not self.file.is_shaped:
            self.series[-1] = self._scanned(self.series[-1])
        self.series = [replace(one, absent=self._absent(one), metadata=self._said(one))
                       for one in self.series]  # fmt: skip
        self.paths = self._all_paths()
        if self.series[0].kind in UNDESCRIBED and len(self.series) > 1:
            self.remarks += (f"pages of {len(self.series)} kinds: {listed_series(self.series)}",)
        if _breaks_off(self.file):
            self.broken = f"its list of pages breaks off after {pages}"
        kind = next((word for name, word in _FLAVOURS.items() if getattr(self.file, name)), "")
        self.flavour = f"{kind}{'BigTIFF' if self.file.is_bigtiff else 'TIFF'}"

    def _found(self) -> list[TiffSeries]:
        found = [one for one in self.file.series if len(one)]
        return [self._series(one, n, len(found) > 1) for n, one in enumerate(found)]

    def _series(self, one: Any, number: int, several: bool) -> TiffSeries:
        first = one.keyframe  # the first in order may be known by an index alone
        letters, shape = ome_letters(one.axes), tuple(int(n) for n in one.shape)
        axes = "".join(letters[axis] for axis in one.axes)
        inner = prod(n for axis, n in zip(axes, shape, strict=True) if axis in "YXS")
        alone = str(one.kind) not in _SETS  # no other file has pictures of it
        many = alone and prod(shape) > max(inner, 1) * self.path.stat().st_size  # of a byte or less
        if many or not all(isinstance(n, int) for n in (first.compression, first.photometric)):
            raise InputError(f"{self.name}: its header is damaged.", hint="Copy it again.")
        levels = [dict(zip(level.axes, level.shape, strict=True)) for level in one.levels[1:]]
        return TiffSeries(
            number=number, name=str(one.name or "") if several else "", axes=axes, shape=shape,
            dtype=np.dtype(first.dtype).newbyteorder("="),
            read=partial(self._samples, number),
            codec=_CODECS.get(first.compression, f"number {first.compression}"),
            aside=one.name in _PREVIEWS or (one.kind in (*UNDESCRIBED, "shaped", "lsm")
                                            and bool(first.is_reduced or first.is_mask)),
            levels=tuple((int(level["Y"]), int(level["X"])) for level in levels), pages=one,
            share=max(1, prod(first.shape) // max(inner, 1)), first=first, kind=str(one.kind),
            offset=one.dataoffset,
            unlisted=sum(page is None for page in one) if one.kind == "ndtiff" else 0,
        )  # fmt: skip

    def _scanned(self, last: TiffSeries) -> TiffSeries:
        """ScanImage's channels and volumes told apart, whatever version wrote them."""
        frames = (self.file.scanimage_metadata or {}).get("FrameData") or {}
        text = f"{self.file.pages.first.software}\n{first_description(self.file)}"
        # `state.acq.` of version 3, `SI4.`, `SI.` from 5 on
        lines = re.findall(r"(?m)^(?:scanimage\.)?([\w.]+) *= *(.*?)\s*$", text.replace("\r", "\n"))
        said = dict(lines) | {str(name): str(value) for name, value in frames.items()}
        sizes = _outer_axes(said, len(last.pages))
        used = prod(sizes.values())
        if used < len(last.pages):
            more = count(len(last.pages) - used, "page")
            self.remarks += (f"{more} of an unfinished volume: no whole one, left out",)
        axes, shape = "".join(sizes) + last.first.axes, (*sizes.values(), *last.first.shape)
        return replace(last, share=1, axes=axes, shape=shape, offset=None)

    def _unfit(self, series: TiffSeries) -> Iterator[tuple[str, str]]:
        yield from super()._unfit(series)
        page = series.first.aspage()
        shown = page.photometric == PHOTOMETRIC.PALETTE and not self.file.is_imagej
        if shown and page.colormap is not None:
            steps = np.diff(np.asarray(page.colormap, np.float64).sum(axis=0))
            if (steps < 0).any() and (steps > 0).any():
                what = "samples are palette indices, not intensities"
                yield what, "Convert it to RGB or grayscale first."
        ycbcr = page.photometric == PHOTOMETRIC.YCBCR
        if page.photometric in _COLOURS and not (ycbcr and page.compression in _TO_RGB):
            what = f"samples are {_COLOURS[page.photometric]}, not RGB"
            yield what, "Convert it to RGB first."
        if page.photometric == PHOTOMETRIC.CFA or '"cfa"' in first_description(self.file):
            what = "is a sensor's colour mosaic, not a stack"
            yield what, "Pass camera raw as DNG: see docs/raw.md."

    def _absent(self, one: TiffSeries) -> frozenset[int]:
        """Places whose pages are missing, or lie behind the end of the file."""
        if not {"Y", "X"} <= set(one.axes):
            return frozenset()
        if one.offset is not None:
            size = max(one.picture * one.dtype.itemsize, 1)
            there = (self.path.stat().st_size - one.offset) // size
            return frozenset(range(max(there, 0), one.frames))
        holes = one.pages if one.kind in _SETS else ()  # the others' pages are a list without any
        missing = {place for place, page in enumerate(holes) if page is None}
        for place in reversed(range(-(-one.frames // one.share))):  # a cut takes the last
            if place not in missing:
                if _ends_within(one.pages, place):
                    break
                missing.add(place)
        return frozenset(p * one.share + n for p in missing for n in range(one.share))

    def _samples(self, number: int, place: int) -> Any:
        one = self.series[number]
        if one.offset is not None:
            dtype = one.dtype.newbyteorder(self.file.byteorder)
            start = one.offset + place * one.picture * dtype.itemsize
            return self.file.filehandle.read_array(dtype, one.picture, start)
        samples = self._page(one, place // one.share)
        if one.share > 1:
            at = place % one.share * one.picture
            samples = samples.reshape(-1)[at : at + one.picture]
        return samples

    def _page(self, one: TiffSeries, index: int) -> Plane:
        if self._cached is not None and self._cached[:2] == (one.number, index):
            return self._cached[2]
        page = one.pages[index]
        handle = page.parent.filehandle
        with ExitStack() as closing:
            if handle.closed:  # tifffile closes all files of a set but the first
                handle.open()
                closing.callback(handle.close)
            samples: Plane = page.asarray(maxworkers=1)
        if one.share > 1:
            self._cached = one.number, index, samples
        return samples

    def _said(self, series: TiffSeries) -> Metadata:
        found, page = self._described(series), series.first.aspage()
        own = "" if self.file.is_shaped else first_description(self.file)
        packed = page.bitspersample < 8 * series.dtype.itemsize
        bits = int(page.bitspersample) if packed and found.bits is None else found.bits
        return replace(found, own=found.own or own, bits=bits)

    def _described(self, series: TiffSeries) -> Metadata:
        file = self.file
        if self._ome is not None and series.kind == "ome":
            said = Metadata.of_ome(self._ome, series.number, dict(series.outer))
            own = ome_annotation(self._ome, SOURCE) or file.ome_metadata or ""
            return replace(said, own=own)
        if file.is_ndtiff:
            index = tifffile.read_ndtiff_index(Path(file.filehandle.dirname, NDTIFF))
            names = dict.fromkeys(axes.get("channel") for axes, *_ in index)
            return Metadata.of_micromanager(file.micromanager_metadata or {}, [*names])
        if file.is_imagej:
            return Metadata.of_imagej(file.imagej_metadata or {}, resolution(file.pages.first))
        if file.is_lsm:
            return Metadata.of_lsm(file.lsm_metadata or {})
        if file.is_stk:
            return Metadata.of_metamorph(file.stk_metadata or {}, series.sizes.get("T", 1))
        return Metadata()

    def _all_paths(self) -> list[Path]:
        found = [self.path.resolve(), *companions_of(self.path, self.file)]
        for one in self.series:
            if (one.offset is None and self.file.is_ome) or self.file.is_ndtiff:
                names = {page.parent.filehandle.path for page in one.pages if page is not None}
                found += sorted(Path(name).resolve() for name in names)
        return list(dict.fromkeys(found))


def _opened(path: Path) -> tifffile.TiffFile:
    """A TiffFile, with the OME-XML that lies beside it. Classic ScanImage is read page by page:
    tifffile computes where its pages lie, without the last."""
    file = tifffile.TiffFile(path)
    for companion in companions_of(path, file):
        file.close()
        return tifffile.TiffFile(path, omexml=companion.read_text(encoding="utf-8"))
    if not file.is_scanimage or file.is_bigtiff:
        return file
    file.close()
    return tifffile.TiffFile(path, is_scanimage=False)


def companions_of(path: Path, file: tifffile.TiffFile) -> list[Path]:
    """The file beside an OME-TIFF set that has its OME-XML, if that is no TIFF: one or none."""
    text = first_description(file) if file.is_ome else ""
    match = re.search(r'<(?:\w+:)?BinaryOnly\s[^>]*MetadataFile="([^"/\\]+)"', text)
    found = [path.resolve().with_name(match[1])] if match else []
    return [one for one in found if one.is_file() and one.suffix.lower() not in (".tif", ".tiff")]


def _contradicted(file: tifffile.TiffFile, found: list[TiffSeries]) -> bool:
    """Whether a file's description fits other pages than it has, so that tifffile gave up on it."""
    kinds = {one.kind for one in found}
    said = {"shaped": file.is_shaped, "ome": file.is_ome, "imagej": file.is_imagej}
    if not any(said.values()):
        return False
    if not kinds & {kind for kind, of in said.items() if of}:
        return True
    counted = (file.imagej_metadata or {}).get("images", 1) if "imagej" in kinds else 1
    pictures = sum(prod(one.shape) // max(1, prod(one.first.shape)) for one in found)
    return counted > pictures or ("shaped" in kinds and len(file.pages) > max(pictures, 1))


def _breaks_off(file: tifffile.TiffFile) -> bool:
    """Whether the list of pages ends with a place where no page is."""
    place = file.pages.next_page_offset
    if place is None:
        return False
    file.filehandle.seek(place)
    link = file.filehandle.read(file.tiff.offsetsize)
    return len(link) < file.tiff.offsetsize or any(link)


def _ends_within(pages: Sequence[Any], place: int) -> bool:
    """Whether the samples of a page end before its file does."""
    try:
        page = pages[place]
    except IndexError:  # tifffile's series promise more than there are
        return False
    starts, counts = page.dataoffsets, page.databytecounts
    if not starts or len(starts) != len(counts):
        return False
    end = max(start + size for start, size in zip(starts, counts, strict=True))
    return bool(end <= page.parent.filehandle.size)


def first_description(file: Any) -> str:
    """The description of a tifffile.TiffFile's first page; "" where it has none."""
    return str(file.pages.first.description or "")


def resolution(page: Any) -> tuple[float, float] | None:
    """Pixels per unit across and down; None where a page does not say."""
    across = down = 0.0
    with suppress(InputError), refusals("resolution"):  # of zeros
        if 282 in page.tags and 283 in page.tags:
            across, down = page.resolution
    return (across, down) if across > 0 < down else None


# --- ScanImage: channels alternate page by page; then come frames of a slice, slices, volumes -----
def _outer_axes(said: dict[str, str], pages: int) -> dict[str, int]:
    """Letters and sizes of the axes that count so many pages, slowest first."""

    def number(*names: str) -> int:
        """The first of some values that is a number above 0; 1 without one."""
        values = (said.get(name, "") for name in names)
        return next((int(value) for value in values if value.isdecimal() and int(value)), 1)

    def on(*names: str) -> bool:
        return any(said.get(name, "").lower() in ("1", "true") for name in names)

    saved = next((said[name] for name in _SI_CHANNELS if name in said), "")
    channels = len(re.findall(r"\d+", saved)) or number("state.acq.numberOfChannelsSave")
    fast = on("SI.hFastZ.enable", "SI4.fastZEnable")  # a volume per sweep, flyback frames included
    off = "SI.hStackManager.enable" in said and not on("SI.hStackManager.enable") and not fast
    slices = 1 if off else number(*(_SI_SWEEP if fast else ()), *_SI_SLICES)
    frames = 1 if fast or on("state.acq.averaging") else number(*_SI_FRAMES)
    pages //= channels
    if slices == 1 or pages == 0:
        sizes = {"T": pages, "C": channels}
    else:
        frames = min(frames, pages)
        slices = min(slices, pages // frames)
        volumes = pages // (slices * frames)
        sizes = {"Z": slices, "T": frames, "C": channels}
        if volumes > 1:  # Q: has no name
            sizes = {"T": volumes, "Z": slices, "Q": frames, "C": channels}
    return {axis: size for axis, size in sizes.items() if size > 1}


# --- Folders of pages, and folders that are one set -----------------------------------------------
def tiff_files(folder: Path) -> list[Path]:
    """The TIFF files of a folder in natural order, without hidden ones."""
    return sorted(files_of(folder, TIFF), key=natural_key)


def holds_pages(folder: Path) -> bool:
    """Whether a folder's TIFF files are pages of one stack, by the first and last sound one."""
    files = tiff_files(folder)
    ends = (map(_one_page, order) for order in (files, reversed(files)))
    sound = (next((one for one in end if one is not None), False) for end in ends)
    return len(files) > 1 and all(sound)


def set_in(folder: Path) -> Path | None:
    """The first of a folder's TIFF files, if it names just all of them as one set."""
    for place in (folder / WHOLE, folder):
        if (place / NDTIFF).is_file() and (files := tiff_files(place)):
            return files[0]
    files = tiff_files(folder)
    with suppress(InputError):
        if len(files) < 2:
            return None
        with refusals(files[0].name), quiet(), tifffile.TiffFile(files[0]) as file:
            xml = (file.ome_metadata or "") if file.is_ome else ""
        if "FileName=" in xml or "MetadataFile=" in xml:
            with closing(TiffStack(files[0])) as stack:
                named = {one for one in stack.paths if one.suffix.lower() in TIFF}
                if {file.resolve() for file in files} == named:
                    return files[0]
    return None


def _one_page(path: Path) -> bool | None:
    """Whether a file is one page; None if it cannot be read."""
    with suppress(InputError), refusals(path.name), quiet(), tifffile.TiffFile(path) as file:
        if len(file.pages):
            return len(file.pages) == 1 and not set(file.series[0].axes) - set("YXS")
    return None


class PageFolder(Stack):
    """Files of one page each: along time in natural order, or along the axes their names count."""

    unread = "it stays as it is stored"

    def _open(self) -> None:
        folder = self.path.is_dir()
        found = tiff_files(self.path) if folder else files_in_order(self.path)
        self.files: list[Path | None] = list(found)
        sizes = {"T": len(found)}
        if folder and (named := axes_in_names(found)) is not None:
            sizes, self.files = named
            axes = ", ".join(f"{axis} {size}" for axis, size in sizes.items())
            self.remarks = (f"names of files count {axes}: taken as those axes",)
        else:
            self.counted = found
        self.paths = [file for file in self.files if file is not None]
        self.flavour = f"{len(self.paths)} TIFF files"
        with closing(first_readable(self.paths, TiffStack)) as first:
            self.one = only = first.series[0]
            if len(first.series) > 1 or only.frames > 1:
                raise InputError(
                    f"{self.name}: {first.name} is itself a stack ({only.words}).",
                    hint="Pass one stack, or a folder of stacks with an output folder (-o).",
                )
            first.check(0)
            said = replace(only.metadata, planes=())
        axes, shape = "".join(sizes) + only.axes, (*sizes.values(), *only.shape)
        absent = frozenset(n for n, file in enumerate(self.files) if file is None)
        self.series = [
            replace(only, axes=axes, shape=shape, absent=absent, read=self._samples, metadata=said)
        ]  # fmt: skip

        for place in range(len(self.files)):  # before the wait; 0.4 ms each
            try:
                self.page(place).close()
            except InputError as error:  # what is damaged is told in its turn
                if isinstance(error, MismatchError):
                    raise

    def page(self, place: int) -> TiffStack:
        """The file at a place, open. Raises InputError, MismatchError for one of another kind."""
        path = self.files[place]
        if path is None:
            raise InputError(f"{self.name}: file {place + 1} is missing.")
        stack = TiffStack(path)
        only = stack.series[0]
        if (only.shape, only.dtype, len(stack.series)) != (self.one.shape, self.one.dtype, 1):
            stack.close()
            own, others = (f"{one.words} {one.dtype}" for one in (only, self.one))
            raise mismatch(path.name, f"is {own}", others)
        return stack

    def _samples(self, place: int) -> Any:
        with closing(self.page(place)) as stack:
            return stack.series[0].read(0)


def open_stack(source: str) -> Stack:
    """A stack of any format. Raises InputError for what cannot be read."""
    path = Path(source)
    if (kind := format_of(path)) is not None:
        return LibraryStack(path, kind)
    if path.is_dir() and (first := set_in(path)) is not None:
        return TiffStack(first)
    pages = path.is_dir() or (not path.exists() and is_pattern(source))
    return PageFolder(path) if pages else TiffStack(path)


def holds(folder: Path) -> bool:
    """Whether a folder is a stack: a Zarr, a set that names its files, or pages."""
    return format_of(folder) is not None or holds_pages(folder) or set_in(folder) is not None


def default_target(source: Path) -> Path:
    """`a_f2r.tif` beside `a.tif`, `a_f2r.ome.tif` beside makers' formats, `run_f2r` by `run`;
    beside a Micro-Manager data set, not in it: nothing would open that any more."""
    folder = (source if source.is_dir() else source.parent).resolve()
    if (folder / NDTIFF).is_file():
        source = folder.parent if folder.name == WHOLE else folder
    made = format_of(source) is not None or source.suffix.lower() in MAKERS_TIFF
    if made or (source.is_dir() and set_in(source) is not None):
        return source.with_name(f"{source.name.split('.')[0]}_f2r.ome.tif")
    ome = 4 * source.stem.lower().endswith(".ome")
    stem, suffix = source.stem[: len(source.stem) - ome], source.name[len(source.stem) - ome :]
    return default_folder(source) or source.with_name(f"{stem}_f2r{suffix}")
