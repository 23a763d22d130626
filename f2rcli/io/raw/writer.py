"""Bursts written as DNG or TIFF files, or as one TIFF of pages: all of it or nothing."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import tifffile
from numpy.typing import NDArray

from f2rcli.errors import InputError, OutputError, UsageError
from f2rcli.frames import Frame
from f2rcli.io.base import Reader, Receipt, WriteOptions, WritePlan, Writer
from f2rcli.io.files import (
    PartFile,
    PartFolder,
    check_folder,
    check_target,
    disk_errors,
    misread_error,
)
from f2rcli.io.formats import TIFF
from f2rcli.io.raw.dng import develop, exif_of, named_tags, new_dng, preview_of, profile_left
from f2rcli.io.raw.exposure import Exposure, Samples, read_raw
from f2rcli.io.raw.reader import RawFrame, RawReader, named
from f2rcli.io.raw.tiff_mosaic import facts_text
from f2rcli.samples.lanes import picture_kept
from f2rcli.units import count

RawFormat = Literal["dng", "tiff"]
_SUFFIX_FORMATS: dict[str, RawFormat] = {".dng": "dng", ".tif": "tiff", ".tiff": "tiff"}
_CLASSIC_TIFF = 3_900_000_000  # bytes; beyond it BigTIFF is written
_NAMED = 4  # tags that are listed by name; the others are counted
_EXIFTOOL = "exiftool -TagsFromFile SOURCE -ExifIFD:all -MakerNotes OUTPUT"


@dataclass(frozen=True, slots=True, kw_only=True)
class RawDetail:
    """The writer's part of the plan."""

    demosaic: bool
    folder: Path | None  # None: one file
    suffix: str


def plan_raw(reader: Reader, target: str, options: WriteOptions) -> WritePlan:
    """Plan DNG or TIFF files. Raises UsageError or OutputError for what cannot be done."""
    if not isinstance(reader, RawReader):
        raise UsageError(
            f"{Path(target).name}: only camera raw is written as {Path(target).suffix}, "
            f"{reader.info.name} is not camera raw.",
            hint="Name a video or a folder of pictures with output=.",
        )
    options.refuse_encoding("camera raw")
    path = Path(target)
    form, single = _form(reader, path, target, options)
    if options.demosaic and form == "dng":
        raise UsageError(
            "demosaic=True and format='dng': a DNG keeps its mosaic.", hint="Pass format='tiff'."
        )
    if single:
        check_target(path, reader.paths(), overwrite=options.overwrite)
    else:
        check_folder(path, reader.paths(), overwrite=options.overwrite)
        _check_names(reader)
    suffix = path.suffix if single else reader.first.path.suffix
    known = suffix.lower() in (TIFF if form == "tiff" else (".dng",))
    kept, dropped = _fate(reader.first, form, demosaic=options.demosaic)
    left = form == "dng" and not reader.of_tiff and bool(dropped)
    return WritePlan(
        target=target, container="raw", encoder=form,
        pix_fmt="rgb48" if options.demosaic else "cfa16", kept=kept, dropped=dropped,
        notes=(f"ExifTool copies the rest: {_EXIFTOOL}",) if left else (),
        detail=RawDetail(
            demosaic=options.demosaic, folder=None if single else path,
            suffix=suffix if known else {"tiff": ".tif", "dng": ".dng"}[form],
        ),
    )  # fmt: skip


def _form(
    reader: RawReader, path: Path, target: str, options: WriteOptions
) -> tuple[RawFormat, bool]:
    """The format, and whether all frames go into one file."""
    folder = path.is_dir() or target.endswith(("/", "\\")) or not path.suffix
    if target == "-" or (not folder and path.suffix.lower() not in _SUFFIX_FORMATS):
        where = "standard output" if target == "-" else path.name
        raise UsageError(
            f"{where}: camera raw is written as .dng, as .tif, or into a folder.",
            hint="output='out/' format='tiff' demosaic=True gives developed 16-bit pictures.",
        )
    given = cast(RawFormat | None, options.format)  # one of its choices
    if folder:
        own: RawFormat = "tiff" if reader.of_tiff or options.demosaic else "dng"
        return given or own, False
    form = _SUFFIX_FORMATS[path.suffix.lower()]
    if given not in (None, form):
        raise UsageError(
            f"format={given!r}: {path.name} is a {form.upper()} file by its name.",
            hint="Leave format= out, or give output= the other suffix.",
        )
    if form == "dng" and reader.info.frames != 1:
        middle = float(len(reader.exposures) // 2 * reader.info.time_base)
        raise UsageError(
            f"{path.name}: a DNG holds one frame, {reader.info.name} has {reader.info.frames}.",
            hint="Name a folder: output='out/'. For one picture of the burst, restored with the "
            f"others' help: start={middle:g} frames=1.",
        )
    return form, True


def _check_names(reader: RawReader) -> None:
    """Raise InputError where two outputs would have one name, in any case of letters."""
    seen: dict[str, Path] = {}
    for item in reader.exposures:
        path = item.path if isinstance(item, Exposure) else item
        before = seen.setdefault(named(item).casefold(), path)
        if before is not path:
            raise InputError(
                f"{path.name}: would have the same output as {before.name}.",
                hint="Rename one of them.",
            )


def _fate(
    exposure: Exposure, form: RawFormat, *, demosaic: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is kept, and what is not."""
    of_tiff, tags = exposure.path.suffix.lower() in TIFF, exposure.tags
    if of_tiff and not exif_of(exposure) and not tags.gps and not tags.left:
        left: list[str] = []
    elif not tags.left and not tags.exif:
        left = ["the camera's own data (maker notes)"]
    else:
        more = [f"{len(tags.left) - _NAMED} more tags"] if len(tags.left) > _NAMED else []
        left = [*tags.left[:_NAMED], *more]
    shot = exif_of(exposure).keys() - ({"ISOSpeedRatings"} if form == "dng" else set())
    told = ["exposure, lens and date"] if shot else []
    told += ["GPS"] if tags.gps else []
    if form == "dng":
        levels = "levels, size" if exposure.gray else "levels, colour filters, white balance, size"
        colours = "colour matrices and profile" if tags.dng and not exposure.gray else ""
        kept = [levels, colours, "" if tags.dng or of_tiff else "camera and ISO", *told]
        return tuple(filter(None, kept)), tuple(left)
    if demosaic:
        by = "" if of_tiff else " by LibRaw to sRGB, as shot, upright"
        return (), (f"the mosaic (developed{by})", *told, *left)
    turned = ["Orientation"] if exposure.orientation != 1 else []
    masked = ["ActiveArea"] if exposure.active != (0, 0, *exposure.shape) else []
    as_json = "levels, colour filters and ISO as JSON in the description"
    return () if exposure.gray else (as_json,), (*told, *turned, *masked, *left)


class RawWriter(Writer):
    """A part folder of DNG or TIFF files, or a part file: one DNG, or a TIFF of pages."""

    def __init__(self, reader: Reader, plan: WritePlan) -> None:
        assert isinstance(reader, RawReader)  # as the plan's maker saw to
        self.reader, self.plan = reader, plan
        self.detail: RawDetail = plan.detail
        self.target = Path(plan.target)
        self._frames = 0
        self._provenance = ""  # how it is made
        self._names: set[str] = set()
        self._pages: Any = None  # tifffile's writer, of one TIFF of pages
        self._last: NDArray[Any] | None = None  # the last of them
        part = PartFile if plan.detail.folder is None else PartFolder
        self._part = part(self.target, overwrite=plan.overwrite)

    def write(self, frame: Frame) -> None:
        """Take the next frame; a file of its own is read back at once."""
        taken: RawFrame = frame.source
        exposure, picture = taken.exposure, frame.planes[0]
        if taken.seen is not None:
            picture = picture_kept(exposure.picture(taken.samples), frame.planes, taken.seen)
        after = np.array(taken.samples)
        exposure.put_back(picture, after)
        self._names.add(name := exposure.name + self.detail.suffix)
        if self.plan.encoder == "dng":
            self._add_dng(name, exposure, taken.samples, after)
        elif self.detail.demosaic:
            self._add_page(name, exposure, develop(exposure, after, output_bps=16))
        else:
            self._add_page(name, exposure, after)
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
        path = self._part.add(name, data)
        try:
            found, read = read_raw(path)
        except InputError as error:
            reason = str(error).rstrip(".")
            raise misread_error(exposure.name, f"cannot be read back: {reason}") from error
        own, other = exposure.mosaic, found.mosaic
        levels = (own.pattern, own.white) == (other.pattern, other.white)
        if not levels or not np.array_equal(found.crop(read), exposure.crop(after)):
            raise misread_error(exposure.name)

    def _add_page(self, name: str, exposure: Exposure, picture: NDArray[Any]) -> None:
        """A TIFF file, or one more page of the only one, whose first carries the description."""
        first = not self._frames or self.detail.folder is not None
        path = self._part.file(name) if first else self._part.path
        with disk_errors(self.target):
            if first:
                frames = (self.reader.info.frames or 1) if self.detail.folder is None else 1
                big = picture.nbytes * frames > _CLASSIC_TIFF
                self._pages = tifffile.TiffWriter(path, bigtiff=big, byteorder="<")
            self._pages.write(
                picture,
                photometric="rgb" if picture.ndim == 3 else "minisblack",
                description=self._text(exposure) if first else None,
                metadata=None,
                software="f2r",
                contiguous=False,
                extratags=[] if self.reader.of_tiff else named_tags(exposure),
            )
        self._last = picture
        if self.detail.folder is not None:
            self._close_pages()
            if not np.array_equal(tifffile.imread(path), picture):
                raise misread_error(name)

    def _text(self, exposure: Exposure) -> str | None:
        return None if self.detail.demosaic or exposure.gray else facts_text(exposure)

    def finish(self) -> Receipt:
        if not self._frames:
            raise InputError(
                f"{self.reader.info.name}: has no frames; nothing was written.",
                hint="Check start= and end=, or the input.",
            )
        verified = self._verify()
        size = self._part.publish()
        seconds = float(self._frames * Fraction(self.reader.info.time_base))
        return self.plan.receipt(frames=self._frames, seconds=seconds, size=size, verified=verified)

    def _verify(self) -> tuple[str, ...]:
        if self.plan.encoder == "tiff" and self.detail.folder is None:
            self._close_pages()
            with disk_errors(self.target), tifffile.TiffFile(self._part.path) as file:
                found, last = len(file.pages), file.pages[-1].asarray()
            if found != self._frames or not np.array_equal(last, cast(Any, self._last)):
                counts = f"{self._frames} pages were written, the file has {found} or other pages"
                raise misread_error(self.target.name, counts)
            return count(self._frames, "page"), "the last one reads back"
        if self.detail.folder is not None and len(self._names) != self._frames:
            raise OutputError(
                f"{self.target.name}: {self._frames} frames, but {len(self._names)} names.",
                hint="The burst changed while it was read: run it again.",
            )
        return (f"{count(self._frames, 'file')} read back",)

    def _close_pages(self) -> None:
        pages, self._pages = self._pages, None
        if pages is not None:
            pages.close()

    def abandon(self) -> None:
        self._close_pages()
        self._part.discard()
