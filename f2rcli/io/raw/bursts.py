"""Bursts of raw exposures: read as clips of mosaics, and written as DNG files, anew, all of them or
none: the mosaic, its levels and colours, EXIF, GPS and a preview.

Sources that are compressed become lossless JPEG: two components side by side and predictor 1,
which every raw developer reads. tifffile writes neither that nor directories of EXIF and GPS."""

import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import rawpy
from numpy.typing import NDArray
from tifffile import COMPRESSION, PHOTOMETRIC
from tifffile import DATATYPE as Type

from f2rcli.errors import InputError, OutputError, UsageError
from f2rcli.frames import Frame, PlaneLayout
from f2rcli.io.base import Reader, ReadOptions, WriteOptions, WritePlan, Writer, written_name
from f2rcli.io.files import PartFile, PartFolder, check_folder, check_target, misread_error
from f2rcli.io.formats import RAW
from f2rcli.io.numbering import clip_files, files_of, missing_numbers
from f2rcli.io.raw.exposure import (
    CODES,
    PROVENANCE,
    Directory,
    Entry,
    Exposure,
    NoiseProfile,
    Samples,
    packed,
    ratios,
    read_raw,
)
from f2rcli.io.sequence import RATE, MismatchError, SequenceReader, first_readable
from f2rcli.samples.lanes import LaneStatistics, Taken, lane_layout, measure_lane, surveyed
from f2rcli.sensor import bayer_layout, plane_colours
from f2rcli.units import count

# --- Reading --------------------------------------------------------------------------------------


PROFILE_OFF = 2.0  # times, in standard deviations, that a NoiseProfile may be off to be believed


class RawReader(SequenceReader):
    """A raw file, a folder or a pattern of them, as one clip."""

    format = "raw"

    def __init__(self, source: str, options: ReadOptions) -> None:
        files = clip_files(source, RAW, "raw files")
        notes = _others(Path(source)) if Path(source).is_dir() else []
        if missing := missing_numbers(files)[0]:
            notes.append(f"{count(missing, 'number')} missing among the file names")
        exposure, samples = first_readable(files, read_raw)
        self.first, self.provenance = exposure, exposure.tags.text(PROVENANCE)
        rate = Fraction(exposure.tags.number("FrameRate")).limit_denominator(1 << 16)
        super().__init__(source, options, files, rate if rate > 0 else RATE)
        _, _, height, width = exposure.active
        share = None if exposure.gray else exposure.noise_share(samples)  # whose law is measured
        self.profile_fits = share is None or 1 / PROFILE_OFF <= share <= PROFILE_OFF
        if not self.profile_fits:
            often = f"noise is {share:.2g} times what the files' NoiseProfile states"
            notes.append(f"{often}: it is measured instead")
        elif exposure.noise is not None and not exposure.gray:
            notes.append("noise as the files' NoiseProfile states it")
        stated = exposure.noise if self.profile_fits and not exposure.gray else None
        layout = self._layout(exposure)
        self.info = self._info(width, height, layout, notes, noise_profile=stated)

    @cached_property
    def seen(self) -> LaneStatistics:
        """What the burst's sensor is like, by pictures spread over it: of a monochrome one, whose
        pictures are a stack's, levels too."""
        few, more = (self._pictures(surveyed(len(self.every), between=b)) for b in (False, True))
        more = iter(()) if self.options.glance else more
        shown = list(few) or [self.first.picture(read_raw(self.first.path)[1])]
        return measure_lane(shown, more, None if self.first.gray else self.first.even_mosaic)

    def _pictures(self, places: list[int]) -> Iterator[Samples]:
        for place in places:
            with suppress(InputError):
                exposure, samples = self._exposure(place)
                yield exposure.picture(samples)

    def _layout(self, exposure: Exposure) -> PlaneLayout:
        if exposure.gray:
            return lane_layout(np.dtype(np.uint16), 1, self.seen.levels)
        bits = int(max(self.first.mosaic.white)).bit_length()
        return bayer_layout(exposure.even_mosaic, bits, exposure.path.name)

    def _exposure(self, index: int) -> tuple[Exposure, Samples]:
        exposure, samples = read_raw(self.every[index])
        check_belongs(exposure, self.first)
        return exposure, samples

    def _read(self, index: int) -> Frame:
        exposure, samples = self._exposure(index)
        if not self.profile_fits:
            exposure = replace(exposure, noise=None)
        self.ledger.remark(*self.seen.lines())
        taken = Taken(exposure.picture(samples), self.seen, (exposure, samples))
        return taken.frame(self._layout(exposure))

    def describe(self) -> list[dict[str, Any]]:
        first, mosaic = self.first, self.first.mosaic
        return [
            {
                "index": 0, "kind": "raw", "codec": first.path.suffix.lower()[1:], "denoised": True,
                "camera": first.tags.camera or None, "iso": first.iso,
                "frames": len(self.files), "cfa": mosaic.pattern or "none",
                "black": [f"{v:g}" for v in mosaic.black], "white": f"{mosaic.white[0]:g}",
                "sensor": f"{first.shape[1]}x{first.shape[0]}", "orientation": first.orientation,
                "rotation": {3: 180, 6: 270, 8: 90}.get(first.orientation),
                "white_balance": [round(v, 4) for v in mosaic.balance],
                "noise_profile": first.noise and [v for pair in first.noise for v in pair],
                "first": self.files[0].stem, "last": self.files[-1].stem,
            }
        ]  # fmt: skip


def _others(folder: Path) -> list[str]:
    """A note on files of a folder that are no camera raw."""
    aside = Counter(
        path.suffix.lower() or "no suffix" for path in files_of(folder)
        if path.suffix.lower() not in RAW
    )  # fmt: skip
    others = ", ".join(f"{count} {kind}" for kind, count in sorted(aside.items()))
    return [f"other files in the folder are ignored ({others})"] if others else []


def check_belongs(exposure: Exposure, first: Exposure) -> None:
    """Raise MismatchError unless camera, size, pattern, white level and ISO are the first's."""
    own, others = (
        {
            "size": f"{one.shape[1]}x{one.shape[0]}", "active area": one.active,
            "camera": one.tags.camera, "ISO": one.iso, "colour filters": one.mosaic.pattern,
            "white level": one.mosaic.white[0],
        }
        for one in (exposure, first)
    )  # fmt: skip
    for what, value in own.items():
        if value != others[what]:
            raise MismatchError(
                f"{exposure.path.name}: {what} {value or 'unknown'}, {first.path.name} has "
                f"{others[what] or 'unknown'}.",
                hint="A burst has one camera and one setting: denoise the parts separately.",
            )


# --- Writing --------------------------------------------------------------------------------------


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
        hint = "Name a folder with output=: the files keep their names in it."
        raise UsageError(f"{written_name(target)}: camera raw is written as .dng.", hint=hint)
    if not folder and reader.info.frames != 1:
        middle = float(len(reader.files) // 2 * reader.info.time_base)
        raise UsageError(
            f"{path.name}: holds one frame, {reader.info.name} has {reader.info.frames}.",
            hint="Name a folder: output='out/'. For one picture of the burst, restored with the "
            f"others' help: start={middle:g} frames=1.",
        )
    if folder:
        check_folder(path, reader.paths(), overwrite=options.overwrite)
        names = Counter(one.stem.casefold() for one in reader.files)
        twins = [one.name for one in reader.files if names[one.stem.casefold()] > 1]
        if twins:
            what = f"{' and '.join(twins)} would have the same output."
            raise InputError(what, hint="Rename one of them.")
    else:
        check_target(path, reader.paths(), overwrite=options.overwrite)
    return WritePlan(
        target=target, container="raw", encoder="dng", pix_fmt="cfa16", kept=_kept(reader.first),
        dropped=("maker notes and the camera's private tags",),
        notes=(f"ExifTool copies maker notes: {_EXIFTOOL}",), detail=folder,
    )  # fmt: skip


def _kept(exposure: Exposure) -> tuple[str, ...]:
    """What comes over, in words."""
    tags = exposure.tags
    levels = "levels, size" if exposure.gray else "levels, colour filters, white balance, size"
    colours = "colour matrices and profile" if tags.dng and not exposure.gray else ""
    shot = "EXIF" if exposure.exif.keys() - {CODES["ISOSpeedRatings"]} else ""
    place = "GPS" if tags.gps else ""
    return tuple(filter(None, (levels, colours, "" if tags.dng else "camera and ISO", shot, place)))


class RawWriter(Writer):
    """A part folder of DNG files, or a part file of one; each is read back."""

    reader: RawReader  # as the plan's maker saw to
    part: PartFile

    def __init__(self, reader: Reader, plan: WritePlan) -> None:
        super().__init__(reader, plan)
        self._provenance = ""  # how it is made
        part = PartFolder if plan.detail else PartFile
        self.part = part(Path(plan.target), overwrite=plan.overwrite)

    def write(self, frame: Frame) -> None:
        taken: Taken = frame.source
        exposure, samples = taken.place
        after = np.array(samples)
        exposure.put_back(taken.kept(frame), after)
        if not self.frames:
            self._provenance = self.plan.provenance_text()
        noise = exposure.profile_left(samples, after)
        data = new_dng(exposure, after, noise, self._provenance)
        own = f"{self.reader.every[frame.index or 0].stem}.dng"
        name = own if self.plan.detail else self.part.path.name
        path = self.part.add(name, data, read_back=False)
        try:
            found, read = read_raw(path)
        except InputError as error:
            reason = str(error).rstrip(".")
            raise misread_error(name, f"cannot be read back: {reason}") from error
        own, other = exposure.mosaic, found.mosaic
        levels = (own.pattern, own.white) == (other.pattern, other.white)
        if not levels or not np.array_equal(found.crop(read), exposure.crop(after)):
            raise misread_error(name)
        self.frames += 1

    def _complete(self) -> tuple[str, ...]:
        return (f"{count(self.frames, 'file')} read back",)

    def seconds(self) -> float:
        return float(self.frames * Fraction(self.reader.info.time_base))


# --- The file -------------------------------------------------------------------------------------


PREVIEW = 1024  # pixels a side at most
_COLOURS = "RGB"  # codes in CFAPattern
_SRGB = (3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.2040, 1.0570)  # from XYZ
_D65 = 21


def new_dng(
    exposure: Exposure, samples: Samples, noise: NoiseProfile | None, provenance: str
) -> bytes:
    """A DNG of 16 bits. samples: the whole sensor's; noise: the profile of these samples.

    Masked margins are kept unless their size is odd, which LibRaw would round.
    """
    top, left, height, width = exposure.active
    preview = preview_of(exposure, samples)
    tags = _described(exposure) | exposure.tags.carried | _levels(exposure)
    if top % 2 or left % 2:
        samples = exposure.crop(samples)
    elif samples.shape != (height, width):
        tags[CODES["ActiveArea"]] = Type.LONG, (top, left, top + height, left + width)
    if noise is not None:
        laws = [value for plane in noise[:3] for value in plane]
        tags[CODES["NoiseProfile"]] = Type.DOUBLE, laws
    if provenance:
        tags[PROVENANCE] = Type.ASCII, provenance
    file = bytearray(b"II*\0" + bytes(4))
    samples = np.ascontiguousarray(samples, "<u2")
    smaller = exposure.path.stat().st_size < 2 * exposure.shape[0] * exposure.shape[1]
    data, compression = samples.tobytes(), COMPRESSION.NONE
    if smaller and not (exposure.gray or samples.shape[1] % 2):
        # Columns in turn are two components: each sample is predicted from its own colour.
        pairs, compression = samples.reshape(len(samples), -1, 2), COMPRESSION.JPEG
        data = bytes(imagecodecs.jpeg8_encode(
            pairs, colorspace=0, lossless=True, predictor=1, bitspersample=16
        ))  # fmt: skip
    kind = PHOTOMETRIC.LINEAR_RAW if exposure.gray else PHOTOMETRIC.CFA
    tags |= _picture(file, samples, data, kind, compression)
    jpeg = bytes(imagecodecs.jpeg8_encode(preview, level=90, subsampling="444"))
    shown: Directory = {254: (Type.LONG, 1), 530: (Type.SHORT, (1, 1))}
    kind = PHOTOMETRIC.MINISBLACK if exposure.gray else PHOTOMETRIC.YCBCR
    shown |= _picture(file, preview, jpeg, kind, COMPRESSION.JPEG)
    below = {"SubIFDs": shown, "ExifTag": exposure.exif, "GPSTag": exposure.tags.gps}
    for name, directory in below.items():
        if directory:
            tags[CODES[name]] = Type.LONG, _placed(file, _stored(directory, len(file)))
    file[4:8] = struct.pack("<I", _placed(file, _stored(tags, len(file))))
    return bytes(file)


def _picture(
    file: bytearray, picture: NDArray[Any], data: bytes, kind: int, compression: int
) -> Directory:
    """Append what a picture is stored as, in one strip; the tags that say so."""
    rows, columns, *colours = picture.shape
    samples = colours[0] if colours else 1
    return {
        256: (Type.LONG, columns), 257: (Type.LONG, rows),
        258: (Type.SHORT, (8 * picture.itemsize,) * samples), 259: (Type.SHORT, compression),
        262: (Type.SHORT, kind), 273: (Type.LONG, _placed(file, data)), 277: (Type.SHORT, samples),
        278: (Type.LONG, rows), 279: (Type.LONG, len(data)), 284: (Type.SHORT, 1),
    }  # fmt: skip


def _placed(file: bytearray, data: bytes) -> int:
    """Append bytes, of even number; where they lie."""
    place = len(file)
    file += data + bytes(len(data) % 2)
    return place


def _stored(tags: Directory, place: int) -> bytes:
    """The bytes of a directory that begins at `place` of a little-endian file."""
    head, tail = struct.pack("<H", len(tags)), b""
    end = place + 2 + 12 * len(tags) + 4
    for code, (kind, value) in sorted(tags.items()):
        count, data = packed(kind, value)
        if len(data) > 4:
            where = struct.pack("<I", end + len(tail))
            tail += data + bytes(len(data) % 2)
            data = where
        head += struct.pack("<HHI", code, kind, count) + data.ljust(4, b"\0")
    return head + bytes(4) + tail


def _described(exposure: Exposure) -> Directory:
    tags: Directory = {
        254: (Type.LONG, 0), 274: (Type.SHORT, exposure.orientation), 305: (Type.ASCII, "f2r"),
        50706: (Type.BYTE, b"\1\4\0\0"), 50707: (Type.BYTE, b"\1\1\0\0"),
        50708: (Type.ASCII, exposure.tags.camera or "unknown"),
    }  # fmt: skip
    if exposure.shown is not None:
        top, left, height, width = exposure.shown
        tags[CODES["DefaultCropOrigin"]] = Type.LONG, (left, top)
        tags[CODES["DefaultCropSize"]] = Type.LONG, (width, height)
    if not exposure.gray:
        tags[50721] = Type.SRATIONAL, ratios(exposure.matrix or _SRGB, 10_000)
        tags[50778] = Type.SHORT, _D65
        if set(exposure.mosaic.balance) != {1.0}:  # else unknown
            neutral = (1 / gain for gain in exposure.mosaic.balance)
            tags[50728] = Type.RATIONAL, ratios(neutral, 1_000_000)
    return tags


def _levels(exposure: Exposure) -> Directory:
    mosaic, side = exposure.mosaic, 1 if exposure.gray else 2
    blacks = [mosaic.black[0]]
    if not exposure.gray:
        blacks = [mosaic.black[plane] for row in plane_colours(mosaic.pattern) for plane in row]
    level: Entry = Type.RATIONAL, ratios(blacks, 256)
    if all(black == int(black) for black in blacks):
        level = Type.LONG, [int(v) for v in blacks]
    tags: Directory = {
        50713: (Type.SHORT, (side, side)), 50714: level,
        50717: (Type.LONG, round(max(mosaic.white))),
    }  # fmt: skip
    if mosaic.pattern:
        letters = bytes(_COLOURS.index(letter) for letter in mosaic.pattern)
        tags |= {
            33421: (Type.SHORT, (2, 2)), 33422: (Type.BYTE, letters), 50710: (Type.BYTE, b"\0\1\2"),
            50711: (Type.SHORT, 1),
        }  # fmt: skip
    if exposure.lift is not None:  # LibRaw's black levels have the mean of these in them
        for name, axis in (("BlackLevelDeltaV", 1), ("BlackLevelDeltaH", 0)):
            offsets = -exposure.lift.mean(axis)
            tags[CODES[name]] = Type.SRATIONAL, ratios(offsets - offsets.mean(), 256)
    return tags


def preview_of(exposure: Exposure, samples: Samples) -> NDArray[np.uint8]:
    """A small picture (h, w, 3), not turned: LibRaw, balance as shot, sRGB. Raises OutputError."""
    try:
        with rawpy.RawPy() as raw:
            raw.open_file(str(exposure.path))
            raw.unpack()
            raw.raw_image[...] = samples
            picture = np.asarray(raw.postprocess(
                use_camera_wb=True, no_auto_bright=True, half_size=True, output_bps=8, user_flip=0,
            ))  # fmt: skip
    except rawpy.LibRawError as error:
        what = f"{exposure.path.name}: LibRaw cannot develop it ({error})."
        raise OutputError(what, hint="Copy the file from the camera again.") from error
    by = -(-max(picture.shape[:2]) // PREVIEW)
    height, width = (size // by * by for size in picture.shape[:2])
    cells = picture[:height, :width].reshape(height // by, by, width // by, by, -1)
    small: NDArray[np.uint8] = np.rint(cells.mean((1, 3))).astype(np.uint8)
    return small[..., 0] if exposure.gray else small
