"""TIFF files, opened with care: the claims of headers are checked."""

import re
from fractions import Fraction
from math import prod
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

from f2rcli.errors import InputError
from f2rcli.frames import Plane
from f2rcli.io.tiff.axes import Series, listed_series
from f2rcli.io.tiff.chain import distinct_pages, follow
from f2rcli.io.tiff.compression import compression_name
from f2rcli.io.tiff.library import (
    DAMAGE,
    check_head,
    companions_of,
    created_every,
    file_at,
    one_piece,
    opened,
    quiet_tifffile,
    unreadable,
)
from f2rcli.io.tiff.promise import as_promised, as_scanned, unlisted_pages
from f2rcli.io.tiff.provenance import provenance_of
from f2rcli.io.tiff.stack import Spot, Stack
from f2rcli.units import count

RGB, PALETTE, YCBCR, CFA = 2, 3, 6, 32803  # photometric interpretations
# tifffile's words for a description that does not fit the pages, and for pages that break off.
MISFIT = ("metadata invalid or corrupted", "invalid value offset", "shaped series")
CUT_OFF = (
    "invalid page offset", "circular reference", "corrupted tag list", "suspicious number of tags",
)  # fmt: skip
UNDESCRIBED = ("generic", "uniform")  # tifffile's words for series without a description,
PLAIN = (*UNDESCRIBED, "shaped")  # and with one of its own
CHECKED = (8, 32946)  # Deflate: its checksum tells whether all of it is there
SECONDS = {  # units of OME, and words of ImageJ
    "fs": 1e-15, "ps": 1e-12, "ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "cs": 1e-2, "ds": 0.1, "s": 1.0,
    "min": 60.0, "h": 3600.0, "d": 86400.0, "us": 1e-6, "msec": 1e-3, "sec": 1.0, "hr": 3600.0,
}  # fmt: skip
_INTERVAL = ("TimeIncrement", "TimeIncrementUnit")
_FLAVOURS = {
    "is_ome": "OME-", "is_imagej": "ImageJ ", "is_lsm": "LSM ", "is_stk": "MetaMorph ",
    "is_qpi": "PerkinElmer ",
}  # fmt: skip


class TiffStack(Stack):
    """A TIFF file, and the files it names (OME)."""

    def __init__(self, path: Path) -> None:
        """Raises InputError for what cannot be read, with the reason."""
        self.name = path.name
        self.path = path
        self.complaints: list[str] = []
        check_head(path)
        self._chain = follow(path)
        try:
            with quiet_tifffile(self.complaints):
                self.file = file_at(path)
        except DAMAGE as error:
            raise unreadable(self.name, error) from error
        try:
            self._understand()
        except BaseException:
            self.close()
            raise

    def _understand(self) -> None:
        try:
            with quiet_tifffile(self.complaints):
                self._arrays = (
                    [distinct_pages(self.file, self._chain)]
                    if self._chain.circular
                    else [one for one in self.file.series if not _is_preview(one)]
                )
        except DAMAGE as error:
            raise unreadable(self.name, error) from error
        if not self._arrays:
            raise InputError(f"{self.name}: has no pictures.")
        found = self._arrays
        self._arrays = as_promised(self.file, found, self._chain.pages)
        scanned = self.file.pages.first.is_scanimage
        if scanned:
            self._arrays[-1] = as_scanned(self.file, self._arrays[-1])
        self.series = [self._series(number) for number in range(len(self._arrays))]
        counted = int(_number((self.file.imagej_metadata or {}).get("images")) or 1)
        contradicted = counted > sum(series.frames for series in self.series)
        if contradicted or (self._complained(MISFIT) and self._arrays is found):
            self.misfit = f"its description does not fit its {count(self._chain.pages, 'page')}"
        self.described = self._arrays[0].kind not in UNDESCRIBED
        if not self.described and len(self.series) > 1:
            self.remarks += (f"pages of {len(self.series)} kinds: {listed_series(self.series)}",)
        lists = self.described or self._chain.circular
        unlisted = 0 if lists else unlisted_pages(self.file, self._chain.pages)
        self.absent = [self._absent(number) for number in range(len(self._arrays))]
        self.cut_off = self._broken_list(unlisted)
        self.paths = self._all_paths()
        used = sum(prod(one.shape) // max(1, prod(one.keyframe.shape)) for one in self._arrays)
        if scanned and used < self._chain.pages:
            more = count(self._chain.pages - used, "page")
            self.remarks += (f"{more} of an unfinished volume: no whole one, left as stored",)
        kind = next((word for name, word in _FLAVOURS.items() if getattr(self.file, name)), "")
        self.flavour = f"{kind}{'BigTIFF' if self.file.is_bigtiff else 'TIFF'}"

    def _complained(self, words: tuple[str, ...]) -> bool:
        return any(word in line for line in self.complaints for word in words)

    def _broken_list(self, unlisted: int) -> str:
        pages = count(self._chain.pages, "page")
        if self._chain.circular:
            return f"its list of pages runs in a circle after {pages}"
        if self._complained(CUT_OFF):
            return f"its list of pages breaks off after {pages}"
        return f"its list has {pages}, and {unlisted} more lie behind them" if unlisted else ""

    def check(self, number: int) -> None:
        """See Stack."""
        super().check(number)
        page = self._arrays[number].keyframe
        if page.photometric == PALETTE and page.colormap is not None:
            shown = np.asarray(page.colormap, np.float64).sum(axis=0)
            steps = np.diff(shown)
            if not ((steps >= 0).all() or (steps <= 0).all()) and not self.file.is_imagej:
                raise InputError(
                    f"{self.title(number)}: samples are palette indices, not intensities.",
                    hint="Convert it to RGB or grayscale first.",
                )
        if page.photometric == CFA:
            raise InputError(
                f"{self.title(number)}: is a sensor's colour mosaic, not a stack.",
                hint="Pass camera raw as DNG, or as described in docs/raw.md.",
            )

    def _series(self, number: int) -> Series:
        array, name = self._arrays[number], ""
        if len(self._arrays) > 1:
            name = str(array.name or "")
        page = array.keyframe
        samples = dict(zip(array.axes, array.shape, strict=True)).get("S", 1)
        colour = page.photometric in (RGB, YCBCR) and samples in (3, 4)
        return Series(
            number=number, name=name, axes=array.axes, shape=tuple(array.shape),
            dtype=np.dtype(array.dtype), colour=colour, codec=compression_name(page.compression),
            aside=array.kind in PLAIN and (page.is_reduced or page.is_mask),
        )  # fmt: skip

    def _absent(self, number: int) -> frozenset[int]:
        try:
            self.check(number)
        except InputError:  # it is never read
            return frozenset()
        sizes: dict[Path, int] = {}
        series = self.series[number]
        return frozenset(
            place for place in range(series.frames)
            if (end := self.end(number, place)) is None
            or (end[1] > sizes.setdefault(end[0], end[0].stat().st_size)
            and not self._whole(number, place))
        )  # fmt: skip

    def _whole(self, number: int, place: int) -> bool:
        """Whether a picture that claims more bytes than there are is whole all the same."""
        if self._arrays[number].keyframe.compression not in CHECKED:
            return False
        try:
            self.read(number, place)
        except InputError:
            return False
        return True

    def end(self, number: int, place: int) -> tuple[Path, int] | None:
        """The file of a picture, and where its last byte should be; None if that is not known."""
        spot = self.spot(number, place)
        if spot is None:
            return None
        if spot.offset is not None:
            return spot.path, spot.offset + self.series[number].picture_bytes
        starts, counts = spot.page.dataoffsets, spot.page.databytecounts
        if not starts or len(starts) != len(counts):
            return None
        return spot.path, max(map(add, starts, counts))

    def spot(self, number: int, place: int) -> Spot | None:
        array, series = self._arrays[number], self.series[number]
        pages = array.pages
        share = max(1, prod(array.keyframe.shape) // max(series.picture, 1))  # pictures per page
        page, piece = self._page(pages, place // share)
        if page is None and array.dataoffset is not None:  # its samples may still be there
            page, share = array.keyframe, 0
        if page is None:
            return None
        path = Path(page.parent.filehandle.path)
        if share == 1:
            return Spot(path, page, None, piece)
        if array.dataoffset is not None:
            return Spot(path, page, None, array.dataoffset + place * series.picture_bytes)
        return Spot(path, page, place % share)

    def _page(self, pages: Any, index: int) -> tuple[Any, int | None]:
        """A page (None if its header is damaged), and where its samples begin if in one piece."""
        try:
            with quiet_tifffile(self.complaints):
                page = pages[index]
                return page, None if page is None else one_piece(page)
        except DAMAGE:
            return None, None

    def read(self, number: int, place: int) -> Plane:
        series, spot = self.series[number], self.spot(number, place)
        if spot is None:
            raise InputError(f"{self.name}: is truncated before picture {place + 1}.")
        try:
            with quiet_tifffile(), opened(spot.page):
                samples = self._read(series, spot)
        except DAMAGE as error:
            raise unreadable(f"{self.name}, picture {place + 1}", error) from error
        native: Plane = np.ascontiguousarray(samples, series.dtype.newbyteorder("="))
        return native

    def _read(self, series: Series, spot: Spot) -> Plane:
        order = "".join(letter for letter in series.axes if letter in "YXS")
        shape = tuple(series.shape[series.axes.index(letter)] for letter in order)
        if spot.offset is not None:
            handle = spot.page.parent.filehandle
            handle.seek(spot.offset)
            data = handle.read(series.picture_bytes)
            dtype = series.dtype.newbyteorder(spot.page.parent.byteorder)
            samples: Plane = np.frombuffer(data, dtype).reshape(shape)
        else:
            samples = spot.page.asarray(maxworkers=1)
            if spot.plane is not None:
                samples = samples.reshape(-1, *shape)[spot.plane]
        samples = samples.reshape(shape)
        return np.moveaxis(samples, 0, -1) if order.startswith("S") else samples

    def interval(self, number: int) -> Fraction | None:
        stated, unit = self._stated_interval(number)
        step, scale = _number(stated), SECONDS.get(unit)
        if step is None or scale is None or not 1e-9 < step * scale < 1e9:
            return None
        return Fraction(step * scale).limit_denominator(1_000_000_000)

    def _stated_interval(self, number: int) -> tuple[Any, str]:
        """The time between frames as the file has it, and its unit."""
        imagej = self.file.imagej_metadata or {}
        if "finterval" in imagej:
            return imagej["finterval"], str(imagej.get("tunit", "s")).strip().lower()
        if self.file.is_lsm:
            return (self.file.lsm_metadata or {}).get("TimeIntervall"), "s"
        if self.file.is_stk and self._arrays[number].axes == "TYX":
            return created_every(self.file.stk_metadata or {}), "msec"
        images = (self.file.ome_metadata or "").split("<Image ")[1:]
        ome = images[number] if len(images) == len(self._arrays) else "".join(images)
        found = (re.search(rf'{name}="([^"]+)"', ome) for name in _INTERVAL)
        step, unit = (match and match[1] for match in found)
        return step, unit or "s"

    def _all_paths(self) -> list[Path]:
        found = [self.path.resolve()]
        for number, series in enumerate(self.series):
            if self._arrays[number].is_multifile:
                for place in range(series.frames):
                    spot = self.spot(number, place)
                    if spot is not None and spot.path.resolve() not in found:
                        found.append(spot.path.resolve())
        return found + companions_of(self.path, self.file)

    def provenance_text(self) -> str:
        return provenance_of(self.file.ome_metadata or "")

    def levels(self, number: int) -> list[Any]:
        return list(self._arrays[number].levels[1:])

    def close(self) -> None:
        self.file.close()


def _is_preview(array: Any) -> bool:
    """Whether an array is a small copy for display: an LSM's thumbnails, a slide's overviews."""
    named = array.kind == "qpi" and array.name in ("Thumbnail", "Macro", "Label")
    return named or (array.kind == "lsm" and bool(array.keyframe.is_reduced))


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
