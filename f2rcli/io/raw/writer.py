"""Bursts written as DNG or TIFF files, or as one TIFF of pages: all of it or nothing."""

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from f2rcli.errors import InputError, OutputError
from f2rcli.frames import Frame
from f2rcli.io.atomic import PartFile, PartFolder
from f2rcli.io.base import Reader, Receipt, WritePlan, Writer
from f2rcli.io.disk_errors import disk_errors, misread_error
from f2rcli.io.raw.dng import develop, exif_of, named_tags, new_dng, preview_of
from f2rcli.io.raw.exposure import Exposure, Samples, read_raw
from f2rcli.io.raw.noise_left import profile_left
from f2rcli.io.raw.plan import AS_JSON, CAMERA, COLOURS, EXIF_WORDS, GPS_WORDS, LEVELS, RawDetail
from f2rcli.io.raw.reader import RawFrame, RawReader
from f2rcli.io.raw.tiff_mosaic import TIFF_SUFFIXES, facts_text

_CLASSIC_TIFF = 3_900_000_000  # bytes; beyond it BigTIFF is written
_ROUNDING = {"rel_tol": 1e-3, "abs_tol": 1 / 128}  # of levels, balances and matrices as ratios


class RawWriter(Writer):
    """A part folder of DNG or TIFF files, or a part file: one DNG, or a TIFF of pages."""

    def __init__(self, reader: Reader, plan: WritePlan) -> None:
        assert isinstance(reader, RawReader)  # as the plan's maker saw to
        self.reader = reader
        self.plan = plan
        self.detail: RawDetail = plan.detail
        self.target = Path(plan.target)
        self._frames = 0
        self._provenance = ""  # how it is made
        self._names: set[str] = set()
        self._pages: Any = None  # tifffile's writer, of one TIFF of pages
        self._last: NDArray[Any] | None = None  # the last of them
        self._missing: set[str] = set()  # in what was written, in the plan's words
        part = PartFile if plan.detail.folder is None else PartFolder
        self._part = part(self.target, overwrite=plan.overwrite, keep=plan.keep_partial)

    def write(self, frame: Frame) -> None:
        """Take the next frame; a file of its own is read back at once."""
        taken: RawFrame = frame.source
        exposure = taken.exposure
        after = np.array(taken.samples)
        exposure.put_back(frame.planes[0], after)
        name = exposure.name + self.detail.suffix
        if self.plan.encoder == "dng":
            self._add_dng(name, exposure, taken.samples, after)
        else:
            how = {"output_bps": 16}
            picture = develop(exposure, after, **how) if self.detail.demosaic else after
            self._add_page(name, exposure, picture)
        self._frames += 1

    def _add_dng(self, name: str, exposure: Exposure, before: Samples, after: Samples) -> None:
        if not self._frames:
            self._provenance = self.plan.provenance_text()
        data = new_dng(
            exposure,
            after,
            noise=profile_left(exposure, before, after),
            preview=preview_of(exposure, after),
            provenance=self._provenance,
        )
        self._names.add(name)
        path = self._part.add(name, data)
        self._missing.update(_missing_in_dng(exposure, _checked_dng(path, exposure, after)))

    def _add_page(self, name: str, exposure: Exposure, picture: NDArray[Any]) -> None:
        text = None if self.detail.demosaic else facts_text(exposure)
        if self.detail.folder is None:
            self._append_page(exposure, picture, text)
            return
        self._names.add(name)
        buffer = BytesIO()
        with tifffile.TiffWriter(buffer, byteorder="<") as file:
            _write_page(file, exposure, picture, text)
        path = self._part.add(name, buffer.getvalue())
        with tifffile.TiffFile(path) as again:
            if not np.array_equal(again.asarray(), picture):
                raise misread_error(name)
            self._check_text(again.pages.first.description, text)

    def _append_page(self, exposure: Exposure, picture: NDArray[Any], text: str | None) -> None:
        """One more page of the file; the first one carries the description."""
        with disk_errors(self.target):
            if self._pages is None:
                big = picture.nbytes * (self.reader.info.frames or 1) > _CLASSIC_TIFF
                self._pages = tifffile.TiffWriter(self._part.path, bigtiff=big, byteorder="<")
            _write_page(self._pages, exposure, picture, None if self._frames else text)
        self._last = picture

    def _check_text(self, found: Any, text: str | None) -> None:
        if text is not None and found != text:
            self._missing.add(AS_JSON)

    def finish(self) -> Receipt:
        if not self._frames:
            raise InputError(
                f"{self.reader.info.name}: has no frames; nothing was written.",
                hint="Check start= and end=, or the input.",
            )
        verified = self._verify()
        size = self._part.publish()
        return self.plan.receipt(
            frames=self._frames,
            seconds=float(self._frames * Fraction(self.reader.info.time_base)),
            size=size,
            verified=verified,
            lost=[what for what in self.plan.kept if what in self._missing],
        )

    def _verify(self) -> tuple[str, ...]:
        frames = self._frames
        if self._pages is not None:
            self._check_pages()
            return f"{frames} page{'s' if frames > 1 else ''}", "the last one reads back"
        if len(self._names) != frames:
            raise OutputError(
                f"{self.target.name}: {frames} frames, but {len(self._names)} names.",
                hint="The burst changed while it was read: run it again.",
            )
        if self.detail.folder is None:
            return ("read back",)
        return (f"{frames} file{'s' if frames > 1 else ''} read back",)

    def _check_pages(self) -> None:
        self._close_pages()
        with disk_errors(self.target), tifffile.TiffFile(self._part.path) as file:
            found = len(file.pages)
            last: Any = self._last
            same = found == self._frames and np.array_equal(file.pages[-1].asarray(), last)
            text = None if self.detail.demosaic else facts_text(self.reader.first)
            self._check_text(file.pages.first.description, text)
        if not same:
            counts = f"{self._frames} pages were written, but the file has {found} or other pages"
            raise misread_error(self.target.name, counts)

    def _close_pages(self) -> None:
        pages, self._pages = self._pages, None
        if pages is not None:
            pages.close()

    def abandon(self) -> None:
        self._close_pages()
        self._part.discard()


def _write_page(file: Any, exposure: Exposure, picture: NDArray[Any], text: str | None) -> None:
    of_raw = exposure.path.suffix.lower() not in TIFF_SUFFIXES
    file.write(
        picture,
        photometric="rgb" if picture.ndim == 3 else "minisblack",
        description=text,
        metadata=None,
        software="f2r",
        contiguous=False,
        extratags=named_tags(exposure) if of_raw else [],
    )


def _checked_dng(path: Path, exposure: Exposure, samples: Samples) -> Exposure:
    """Read a file by LibRaw. Raises OutputError where samples, pattern or white differ."""
    try:
        found, read = read_raw(path)
    except InputError as error:
        reason = str(error).rstrip(".")
        raise misread_error(exposure.name, f"cannot be read back: {reason}") from error
    own, other = exposure.mosaic, found.mosaic
    levels = (own.pattern, own.white) == (other.pattern, other.white)
    if not levels or not np.array_equal(found.crop(read), exposure.crop(samples)):
        raise misread_error(exposure.name)
    return found


def _missing_in_dng(exposure: Exposure, found: Exposure) -> Iterator[str]:
    """Words of the plan for what a new DNG lacks; found: what was read in it."""
    ours, theirs = exposure.mosaic, found.mosaic
    if not _close((*ours.black, *ours.balance), (*theirs.black, *theirs.balance)):
        yield LEVELS
    if exposure.matrix and not _close(exposure.matrix, found.matrix):
        yield COLOURS
    camera = exposure.tags.camera
    if (camera, exposure.iso) != (found.tags.camera or camera, found.iso):
        yield CAMERA
    if not exif_of(exposure).keys() <= found.tags.exif.keys():
        yield EXIF_WORDS
    if not exposure.tags.gps.keys() <= found.tags.gps.keys():
        yield GPS_WORDS


def _close(ours: Sequence[float], theirs: Sequence[float]) -> bool:
    return len(ours) == len(theirs) and all(
        math.isclose(one, other, **_ROUNDING) for one, other in zip(ours, theirs, strict=True)
    )
