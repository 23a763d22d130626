"""Bursts written as DNG or TIFF files, or as one TIFF of pages: all of it or nothing."""

import shutil
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import rawpy
import tifffile
from numpy.typing import NDArray

from f2rcli.errors import InputError, OutputError
from f2rcli.frames import Frame
from f2rcli.io.atomic import PartFile, PartFolder
from f2rcli.io.base import Reader, Receipt, WritePlan, Writer
from f2rcli.io.disk_errors import disk_errors, misread_error
from f2rcli.io.raw.dng import carried_metadata, dng_of, named_tags, new_dng
from f2rcli.io.raw.edits import words
from f2rcli.io.raw.exposure import Exposure, Samples, read_raw
from f2rcli.io.raw.metadata import Metadata, as_tags, complete
from f2rcli.io.raw.plan import RawDetail
from f2rcli.io.raw.read_back import missing_in_dng, missing_in_tiff
from f2rcli.io.raw.reader import RawFrame, RawReader
from f2rcli.io.raw.tags import Tag
from f2rcli.io.raw.tiff_mosaic import FOLDER_SIDECAR, TIFF_SUFFIXES, facts_text
from f2rcli.io.tiff.compression import compression_name

_CLASSIC_TIFF = 3_900_000_000  # bytes; beyond it BigTIFF is written


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
        self._copies = 0
        self._names: set[str] = set()
        self._pages: Any = None  # tifffile's writer, of one TIFF of pages
        self._last: NDArray[Any] | None = None  # the last of them
        self._missing: set[str] = set()  # in what was written, in the plan's words
        self._metadata = Metadata()  # of the first of them
        part = PartFile if plan.detail.folder is None else PartFolder
        self._part = part(self.target, overwrite=plan.overwrite, keep=plan.keep_partial)

    def write(self, frame: Frame) -> None:
        """Take the next frame; a file of its own is read back at once."""
        taken: RawFrame = frame.source
        exposure = taken.exposure
        after = np.array(taken.samples)
        exposure.crop(after)[...] = frame.planes[0]
        name = exposure.name + self.detail.suffix
        if self.plan.encoder == "dng":
            self._add_dng(name, exposure, taken.samples, after)
        else:
            picture = develop(exposure, after) if self.detail.demosaic else after
            self._add_page(name, exposure, picture)
        self._frames += 1

    def _add_dng(self, name: str, exposure: Exposure, before: Samples, after: Samples) -> None:
        if not self._frames:
            self._provenance = self.plan.provenance_text()
        data, copied = dng_of(exposure, before, after, self._provenance)
        self._names.add(name)
        path = self._part.add(name, data)
        found = _check_dng(path, exposure, after)
        if copied and path.read_bytes() != data:
            raise misread_error(exposure.name)
        if not copied:
            self._missing.update(missing_in_dng(path, exposure, found))
        self._copies += copied

    def _add_page(self, name: str, exposure: Exposure, picture: NDArray[Any]) -> None:
        text = None if self.detail.demosaic else facts_text(exposure)
        compression = _compression(exposure)
        if self.detail.folder is None:
            self._append_page(exposure, picture, text, compression)
            return
        self._names.add(name)
        metadata = self._metadata_of(exposure)
        buffer = BytesIO()
        with tifffile.TiffWriter(buffer, byteorder="<") as file:
            _write_page(file, picture, text, compression, _own_tags(exposure, metadata))
        complete(buffer, metadata)
        path = self._part.add(name, buffer.getvalue())
        with tifffile.TiffFile(path) as again:
            if not np.array_equal(again.asarray(), picture):
                raise misread_error(name)
            self._missing.update(missing_in_tiff(path, exposure, again.pages.first.description))

    def _metadata_of(self, exposure: Exposure) -> Metadata:
        metadata = carried_metadata(exposure)
        return metadata.for_pictures if self.detail.demosaic else metadata.for_mosaics

    def _append_page(
        self, exposure: Exposure, picture: NDArray[Any], text: str | None, compression: str | None
    ) -> None:
        """One more page of the file; the first one carries description and metadata."""
        with disk_errors(self.target):
            if self._pages is None:
                big = picture.nbytes * (self.reader.info.frames or 1) > _CLASSIC_TIFF
                self._pages = tifffile.TiffWriter(self._part.path, bigtiff=big, byteorder="<")
                if not big:  # whose entries are of another size
                    self._metadata = self._metadata_of(exposure)
            first = not self._frames
            tags = _own_tags(exposure, self._metadata) if first else []
            _write_page(self._pages, picture, text if first else None, compression, tags)
        self._last = picture

    def finish(self) -> Receipt:
        if not self._frames:
            raise InputError(
                f"{self.reader.info.name}: has no frames; nothing was written.",
                hint="Check start= and end=, or the input.",
            )
        verified = self._verify()
        sidecar = self.detail.sidecar
        if sidecar is not None and self.detail.folder and sidecar.name == FOLDER_SIDECAR:
            self._part.add(FOLDER_SIDECAR, sidecar.read_bytes())
        size = self._part.publish()
        if sidecar is not None and not self.detail.folder and sidecar.name != FOLDER_SIDECAR:
            self._copy_beside(sidecar)
        copied = [edit.copy() for edit in self.detail.edits]
        if not all(copied):
            self._missing.update(words(list(self.detail.edits)))
        return self.plan.receipt(
            frames=self._frames,
            seconds=float(self._frames * Fraction(self.reader.info.time_base)),
            size=size,
            verified=verified,
            remark=", copies of the sources" if self._copies else "",
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
        with disk_errors(self.target), self._part.path.open("r+b") as handle:
            complete(handle, self._metadata)
        with tifffile.TiffFile(self._part.path) as file:
            found = len(file.pages)
            last: Any = self._last
            same = found == self._frames and np.array_equal(file.pages[-1].asarray(), last)
            text = file.pages.first.description
        self._missing.update(missing_in_tiff(self._part.path, self.reader.first, text))
        if not same:
            counts = f"{self._frames} pages were written, but the file has {found} or other pages"
            raise misread_error(self.target.name, counts)

    def _copy_beside(self, sidecar: Path) -> None:
        beside = self.target.with_suffix(".json")
        with disk_errors(beside):
            if not beside.exists() or self.plan.overwrite:
                shutil.copyfile(sidecar, beside)

    def _close_pages(self) -> None:
        pages, self._pages = self._pages, None
        if pages is not None:
            pages.close()

    def abandon(self) -> None:
        self._close_pages()
        self._part.discard()


def develop(exposure: Exposure, samples: Samples) -> NDArray[np.uint16]:
    """A mosaic as an upright picture (H, W, 3): LibRaw, balance as shot, sRGB, BT.709 curve."""
    is_tiff = exposure.path.suffix.lower() in TIFF_SUFFIXES
    try:
        with rawpy.RawPy() as raw:
            if is_tiff:
                raw.open_buffer(BytesIO(new_dng(exposure, samples)))
            else:
                raw.open_file(str(exposure.path))
            raw.unpack()
            raw.raw_image[...] = samples
            picture = raw.postprocess(use_camera_wb=True, no_auto_bright=True, output_bps=16)
    except rawpy.LibRawError as error:
        raise OutputError(
            f"{exposure.path.name}: LibRaw cannot develop it ({error}).",
            hint="Leave demosaic= out, and develop the mosaic with another program.",
        ) from error
    return np.asarray(picture, np.uint16)


def _compression(exposure: Exposure) -> str | None:
    """The source TIFF's compression for tifffile, where it needs no further package."""
    if exposure.path.suffix.lower() not in TIFF_SUFFIXES:
        return None
    try:
        with tifffile.TiffFile(exposure.path) as file:
            name = compression_name(int(file.pages.first.compression))
            return "zlib" if name == "deflate" else None
    except (tifffile.TiffFileError, ValueError, OSError):
        return None


def _own_tags(exposure: Exposure, metadata: Metadata) -> list[Tag]:
    if exposure.path.suffix.lower() in TIFF_SUFFIXES:
        return []
    return named_tags(exposure) + as_tags(metadata)


def _write_page(
    file: Any, picture: NDArray[Any], text: str | None, compression: str | None, tags: list[Tag]
) -> None:
    file.write(
        picture,
        photometric="rgb" if picture.ndim == 3 else "minisblack",
        compression=compression,
        description=text,
        metadata=None,
        software="f2r",
        contiguous=False,
        extratags=tags,
    )


def _check_dng(path: Path, exposure: Exposure, samples: Samples) -> Exposure:
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
