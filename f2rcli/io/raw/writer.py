"""Writing a burst as DNG or TIFF files, or as one TIFF of pages: all of it or nothing."""

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
from f2rcli.io.atomic import PartFile, PartFolder, disk_errors
from f2rcli.io.base import Reader, Receipt, WritePlan, Writer
from f2rcli.io.raw.dng import dng_of, new_dng
from f2rcli.io.raw.exposure import Samples, Shot, read_raw
from f2rcli.io.raw.plan import RawDetail
from f2rcli.io.raw.reader import Exposure, RawReader
from f2rcli.io.raw.tiff_mosaic import FOLDER_SIDECAR, TIFF_SUFFIXES, facts_text

_DISK_HINT = "Nothing was put at the target. Check the disk."
_CLASSIC_TIFF = 3_900_000_000  # bytes; beyond it BigTIFF is written


class RawWriter(Writer):
    """Files are gathered in a part folder, or in a part file, and moved at the very end."""

    def __init__(self, reader: Reader, plan: WritePlan) -> None:
        if not isinstance(plan.detail, RawDetail) or not isinstance(reader, RawReader):
            raise TypeError("the plan was made for another format")
        self.reader = reader
        self.plan = plan
        self.detail: RawDetail = plan.detail
        self._frames = 0
        self._copies = 0
        target = Path(plan.target)
        self._out: _Folder | _Pages = (
            _Folder(target, plan)
            if self.detail.folder is not None
            else _Pages(target, plan, _bytes_of(reader, self.detail))
        )

    def write(self, frame: Frame) -> None:
        """Take the next exposure."""
        exposure = frame.source
        if not isinstance(exposure, Exposure):
            raise TypeError("the frame does not come from camera raw")
        shot = exposure.shot
        after = np.array(exposure.samples)
        shot.crop(after)[...] = frame.planes[0]
        if self.detail.format == "dng":
            data, copied = dng_of(shot, exposure.samples, after)
            self._copies += copied
            self._out.add_dng(shot.name + self.detail.suffix, data, shot, after)
        else:
            picture = develop(shot, after) if self.detail.demosaic else after
            text = None if self.detail.demosaic else facts_text(shot)
            self._out.add_page(shot.name + self.detail.suffix, picture, text, _compression(shot))
        self._frames += 1

    def finish(self) -> Receipt:
        """Check what was written and put it at the target."""
        if not self._frames:
            raise InputError(f"{self.reader.info.name}: gave no frames; nothing is written.")
        size, verified = self._out.publish(self._frames, self.detail.sidecar)
        codec = f"{self.plan.encoder} {self.plan.pix_fmt}"
        if self._copies:
            codec += ", copies of the sources"
        return Receipt(
            path=self.plan.target,
            frames=self._frames,
            seconds=float(self._frames * Fraction(self.reader.info.time_base)),
            bytes=size,
            codec=codec,
            kept=self.plan.kept,
            dropped=self.plan.dropped,
            verified=verified,
        )

    def abandon(self) -> None:
        """Stop; remove what was written."""
        self._out.discard()


def develop(shot: Shot, samples: Samples) -> NDArray[np.uint16]:
    """A picture (H, W, 3) of a mosaic, upright: LibRaw's demosaicking, white balance as shot, sRGB
    primaries, BT.709 curve, no automatic brightness."""
    is_tiff = shot.path.suffix.lower() in TIFF_SUFFIXES
    try:
        with rawpy.RawPy() as raw:
            if is_tiff:
                raw.open_buffer(BytesIO(new_dng(shot, samples)))
            else:
                raw.open_file(str(shot.path))
            raw.unpack()
            raw.raw_image[...] = samples
            picture = raw.postprocess(use_camera_wb=True, no_auto_bright=True, output_bps=16)
    except rawpy.LibRawError as error:
        raise OutputError(f"{shot.path.name}: LibRaw cannot develop it ({error}).") from error
    return np.asarray(picture, np.uint16)


def _compression(shot: Shot) -> str | None:
    """As the source TIFF was compressed, of what can be written without further packages."""
    if shot.path.suffix.lower() not in TIFF_SUFFIXES:
        return None
    try:
        with tifffile.TiffFile(shot.path) as file:
            return "zlib" if int(file.pages.first.compression) in (8, 32946) else None
    except (tifffile.TiffFileError, ValueError, OSError):
        return None


def _bytes_of(reader: RawReader, detail: RawDetail) -> int:
    height, width = reader.first.shape
    return (reader.info.frames or 1) * height * width * (6 if detail.demosaic else 2)


class _Folder:
    """A folder of files that appear together."""

    def __init__(self, target: Path, plan: WritePlan) -> None:
        self._part = PartFolder(target, overwrite=plan.overwrite, keep=plan.keep_partial)

    def add_dng(self, name: str, data: bytes, shot: Shot, samples: Samples) -> None:
        """One more DNG, read back and compared with what it should hold."""
        _check_dng(self._part.add(name, data), shot, samples)

    def add_page(
        self, name: str, picture: NDArray[Any], text: str | None, compression: str | None
    ) -> None:
        """One more TIFF file, read back at once."""
        buffer = BytesIO()
        with tifffile.TiffWriter(buffer) as file:
            _write_page(file, picture, text, compression)
        if not np.array_equal(tifffile.imread(self._part.add(name, buffer.getvalue())), picture):
            raise _differs(name)

    def publish(self, frames: int, sidecar: Path | None) -> tuple[int, tuple[str, ...]]:
        """Move the files to their places; bytes, and what was verified."""
        found = len(set(self._part.names))
        if found != frames:
            raise OutputError(f"{self._part.target.name}: {frames} frames, but {found} names.")
        if sidecar is not None and sidecar.name == FOLDER_SIDECAR:
            self._part.add(FOLDER_SIDECAR, sidecar.read_bytes())
        return self._part.publish(), (f"{frames} file{'s' if frames > 1 else ''} read back",)

    def discard(self) -> None:
        """Remove the part folder unless it is published or to be kept."""
        self._part.discard()


class _Pages:
    """One file: a DNG, or a TIFF of pages."""

    def __init__(self, target: Path, plan: WritePlan, size: int) -> None:
        self.target = target
        self.part = PartFile(target, overwrite=plan.overwrite, keep=plan.keep_partial)
        self._tiff: Any = None
        self._big = size > _CLASSIC_TIFF
        self._last: NDArray[Any] | None = None

    def add_dng(self, name: str, data: bytes, shot: Shot, samples: Samples) -> None:
        """The whole file, read back and compared with what it should hold."""
        with disk_errors(self.target):
            self.part.path.write_bytes(data)
        _check_dng(self.part.path, shot, samples)

    def add_page(
        self, name: str, picture: NDArray[Any], text: str | None, compression: str | None
    ) -> None:
        """One more page; the first one carries the description."""
        with disk_errors(self.target):
            if self._tiff is None:
                self._tiff = tifffile.TiffWriter(self.part.path, bigtiff=self._big)
                _write_page(self._tiff, picture, text, compression)
            else:
                _write_page(self._tiff, picture, None, compression)
        self._last = picture

    def publish(self, frames: int, sidecar: Path | None) -> tuple[int, tuple[str, ...]]:
        """Check the file and move it to its place; bytes, and what was verified."""
        verified: tuple[str, ...] = ("read back",)
        if self._tiff is not None:
            self._close()
            self._check_pages(frames)
            verified = (f"{frames} page{'s' if frames > 1 else ''}", "the last one reads back")
        size = self.part.publish()
        if sidecar is not None and sidecar.name != FOLDER_SIDECAR:
            self._put(sidecar)
        return size, verified

    def _put(self, sidecar: Path) -> None:
        beside = self.target.with_suffix(".json")
        with disk_errors(beside):
            if not beside.exists() or self.part.overwrite:
                shutil.copyfile(sidecar, beside)

    def _check_pages(self, frames: int) -> None:
        with tifffile.TiffFile(self.part.path) as file:
            found = len(file.pages)
            last = file.pages[-1].asarray()
            same = found == frames and self._last is not None and np.array_equal(last, self._last)
        if not same:
            raise OutputError(
                f"{self.target.name}: {frames} pages were written, {found} read back, or others.",
                hint=_DISK_HINT,
            )

    def _close(self) -> None:
        if self._tiff is not None:
            self._tiff.close()
        self._tiff = None

    def discard(self) -> None:
        """Remove the part file unless it is published or to be kept."""
        self._close()
        self.part.discard()


def _write_page(
    file: Any, picture: NDArray[Any], text: str | None, compression: str | None
) -> None:
    file.write(
        picture,
        photometric="rgb" if picture.ndim == 3 else "minisblack",
        compression=compression,
        description=text,
        metadata=None,
        software="f2r",
        contiguous=False,
    )


def _check_dng(path: Path, shot: Shot, samples: Samples) -> None:
    try:
        found, read = read_raw(path)
    except InputError as error:
        raise OutputError(f"{shot.name}: cannot be read back: {error}", hint=_DISK_HINT) from error
    levels = (found.mosaic.pattern, found.mosaic.white) == (shot.mosaic.pattern, shot.mosaic.white)
    if not levels or not np.array_equal(found.crop(read), shot.crop(samples)):
        raise _differs(shot.name)


def _differs(name: str) -> OutputError:
    return OutputError(f"{name}: reads back other than it was written.", hint=_DISK_HINT)
