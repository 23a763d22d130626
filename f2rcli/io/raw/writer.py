"""Bursts written as DNG files: all of them or none."""

from fractions import Fraction
from pathlib import Path

import numpy as np

from f2rcli.errors import InputError, UsageError
from f2rcli.frames import Frame
from f2rcli.io.base import Reader, Receipt, WriteOptions, WritePlan, Writer, nothing_written
from f2rcli.io.files import (
    PartFile,
    PartFolder,
    check_folder,
    check_target,
    misread_error,
)
from f2rcli.io.raw.dng import exif_of, new_dng, preview_of, profile_left
from f2rcli.io.raw.exposure import ISO, Exposure, read_raw
from f2rcli.io.raw.reader import RawFrame, RawReader
from f2rcli.samples.lanes import picture_kept
from f2rcli.units import count

_EXIFTOOL = "exiftool -TagsFromFile SOURCE -ExifIFD:all -MakerNotes OUTPUT"


def plan_raw(reader: Reader, target: str, options: WriteOptions) -> WritePlan:
    """Plan DNG files. Raises UsageError or OutputError for what cannot be done."""
    path = Path(target)
    if not isinstance(reader, RawReader):
        raise UsageError(
            f"{path.name}: only camera raw is written as {path.suffix}, "
            f"{reader.info.name} is not camera raw.",
            hint="Name a video or a folder of pictures with output=.",
        )
    options.refuse_encoding("camera raw")
    folder = path.is_dir() or target.endswith(("/", "\\")) or not path.suffix
    if target == "-" or not (folder or path.suffix.lower() == ".dng"):
        where = "standard output" if target == "-" else path.name
        hint = "Name a folder with output=: the files keep their names in it."
        raise UsageError(f"{where}: camera raw is written as .dng.", hint=hint)
    if not folder and reader.info.frames != 1:
        middle = float(len(reader.files) // 2 * reader.info.time_base)
        raise UsageError(
            f"{path.name}: holds one frame, {reader.info.name} has {reader.info.frames}.",
            hint="Name a folder: output='out/'. For one picture of the burst, restored with the "
            f"others' help: start={middle:g} frames=1.",
        )
    if folder:
        check_folder(path, reader.paths(), overwrite=options.overwrite)
        _check_names(reader)
    else:
        check_target(path, reader.paths(), overwrite=options.overwrite)
    return WritePlan(
        target=target, container="raw", encoder="dng", pix_fmt="cfa16", kept=_kept(reader.first),
        dropped=("maker notes and the camera's private tags",),
        notes=(f"ExifTool copies them: {_EXIFTOOL}",), detail=folder,
    )  # fmt: skip


def _check_names(reader: RawReader) -> None:
    """Raise InputError where two outputs would have one name, in any case of letters."""
    seen: dict[str, Path] = {}
    for path in reader.files:
        before = seen.setdefault(path.stem.casefold(), path)
        if before is not path:
            raise InputError(
                f"{path.name}: would have the same output as {before.name}.",
                hint="Rename one of them.",
            )


def _kept(exposure: Exposure) -> tuple[str, ...]:
    """What comes over, in words."""
    tags = exposure.tags
    levels = "levels, size" if exposure.gray else "levels, colour filters, white balance, size"
    colours = "colour matrices and profile" if tags.dng and not exposure.gray else ""
    shot = "EXIF" if exif_of(exposure).keys() - {ISO} else ""
    place = "GPS" if tags.gps else ""
    return tuple(filter(None, (levels, colours, "" if tags.dng else "camera and ISO", shot, place)))


class RawWriter(Writer):
    """A part folder of DNG files, or a part file of one; each is read back."""

    def __init__(self, reader: Reader, plan: WritePlan) -> None:
        assert isinstance(reader, RawReader)  # as the plan's maker saw to
        self.reader, self.plan = reader, plan
        self.target = Path(plan.target)
        self._frames = 0
        self._provenance = ""  # how it is made
        part = PartFolder if plan.detail else PartFile
        self._part = part(self.target, overwrite=plan.overwrite)

    def write(self, frame: Frame) -> None:
        """Take the next frame; its file is read back at once."""
        taken: RawFrame = frame.source
        exposure = taken.exposure
        picture = picture_kept(exposure.picture(taken.samples), frame.planes, taken.seen)
        after = np.array(taken.samples)
        exposure.put_back(picture, after)
        if not self._frames:
            self._provenance = self.plan.provenance_text()
        data = new_dng(
            exposure,
            after,
            noise=profile_left(exposure, taken.samples, after),
            preview=preview_of(exposure, after),
            provenance=self._provenance,
        )
        path = self._part.add(f"{exposure.name}.dng", data)
        try:
            found, read = read_raw(path)
        except InputError as error:
            reason = str(error).rstrip(".")
            raise misread_error(exposure.name, f"cannot be read back: {reason}") from error
        own, other = exposure.mosaic, found.mosaic
        levels = (own.pattern, own.white) == (other.pattern, other.white)
        if not levels or not np.array_equal(found.crop(read), exposure.crop(after)):
            raise misread_error(exposure.name)
        self._frames += 1

    def finish(self) -> Receipt:
        if not self._frames:
            raise nothing_written(self.reader)
        size = self._part.publish()
        seconds = float(self._frames * Fraction(self.reader.info.time_base))
        verified = (f"{count(self._frames, 'file')} read back",)
        return self.plan.receipt(frames=self._frames, seconds=seconds, size=size, verified=verified)

    def abandon(self) -> None:
        self._part.discard()
