"""A raw exposure: tags, metadata and samples of one file, through tifffile and LibRaw (rawpy); and
a DNG of it, written anew: the mosaic, its levels and colours, EXIF, GPS and a preview.

Sources that are compressed become lossless JPEG: two components side by side and predictor 1,
which every raw developer reads. tifffile writes neither that nor directories of EXIF and GPS."""

import re
import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import rawpy
import tifffile
from numpy.typing import NDArray
from tifffile import COMPRESSION, PHOTOMETRIC
from tifffile import DATATYPE as Type

from f2rcli.errors import InputError, OutputError
from f2rcli.frames import Mosaic
from f2rcli.io.base import MOST_PIXELS
from f2rcli.io.files import check_not_empty, quiet, refusals
from f2rcli.samples.impulses import robust_sigma
from f2rcli.yuv import PATTERNS, pack_mosaic, plane_colours

CODES = tifffile.TIFF.TAGS  # of tags, by their names in TIFF, EXIF and DNG
PROVENANCE = 65042  # a tag of our own
_MOST_PAGES = 64  # of a raw file; a damaged list of pages may run in a circle
_NOWHERE = (1 << 32) - 1  # where strips of Panasonic's RW2 begin: its own tag 280 says it
# Directories inside other files: of CR3 the first, EXIF's, the maker's own and GPS, each in a box;
# of RAF and X3F those of a preview, of MRW those of a block. All stand before the samples.
_INSIDE, _HEAD = re.compile(rb"(?:CMT([1-4]))?(II\*\0|MM\0\*)"), 1 << 17  # bytes

# Who, when and what: XMP, IPTC, ratings, the words that Windows keeps.
_OF_EVERY_RAW = {270, 271, 272, 306, 315, 700, 18246, 18249, 33432, 33723, *range(40091, 40096)}
# Tags of a DNG that say how its samples are to be shown: colour matrices, balance,
# exposure, sharpness, profile, lens, corrections. Storage, levels and pattern are written as the
# samples now are; the noise profile is measured again; digests and previews are of former samples.
CARRIED = frozenset({
    *_OF_EVERY_RAW, 50708, 50709, 50718,
    *range(50721, 50740), *range(50778, 50781), 50827, *range(50831, 50835), 50879, 50931, 50932,
    50934, *range(50936, 50943), 50964, 50965, 50981, 50982, 51008, 51009, 51022, 51043, 51044,
    51058, 51081, *range(51089, 51092), 51105, *range(51107, 51111), 51112, 51125, 52525,
    *range(52529, 52536), 52537, 52538, 52543, 52544, 52551, 52552,
})  # fmt: skip
# EXIF's tags, which TIFF/EP has in its first directory.
_OF_SHOT = {33434, 33437, 34850, *range(34855, 34868), *range(36864, 36884), *range(37377, 37397),
            *range(41483, 42241)}  # fmt: skip
# Of an EXIF directory a new one does not take over: a maker's notes and what points elsewhere.
_NOTES = {37500, 40965}
_PRIVATE = {33424, 34310, 37500, 50740}  # Kodak's, Leaf's, MakerNote, DNGPrivateData

Entry = tuple[int, Any]  # type and value of a tag
Directory = dict[int, Entry]  # by code
NoiseProfile = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RawTags:
    """The tags of a file of TIFF's structure, or with such directories inside; of others, none."""

    every: Directory = field(default_factory=dict)  # of the raw samples, then of the first page
    exif: Directory = field(default_factory=dict)
    gps: Directory = field(default_factory=dict)
    missing_bytes: int = 0  # that the file lacks of what its tags promise
    private: bool = False  # whether notes of its maker's are among them

    def text(self, code: int) -> str:
        """The text of a tag; "" where it has none."""
        value = self.every.get(code, (Type.ASCII, ""))[1]
        return value.strip() if isinstance(value, str) else ""

    def numbers(self, name: str) -> tuple[float, ...]:
        """The numbers of a tag, rationals divided; () where it has none, or some that are none."""
        kind, value = (self.every | self.exif).get(CODES[name], (Type.ASCII, ""))
        numbers = [] if isinstance(value, str | bytes) else [float(v) for v in np.ravel(value)]
        if not np.isfinite(numbers).all():
            return ()
        if kind not in (Type.RATIONAL, Type.SRATIONAL):
            return tuple(numbers)
        pairs = zip(numbers[::2], numbers[1::2], strict=False)
        return tuple(over / under if under else 0.0 for over, under in pairs)

    def number(self, name: str) -> float:
        """The first number of a tag; 0 where it has none."""
        return next(iter(self.numbers(name)), 0.0)

    @property
    def dng(self) -> bool:
        return 50706 in self.every

    @property
    def carried(self) -> Directory:
        """What goes into a new file as it stands."""
        wanted = CARRIED if self.dng else _OF_EVERY_RAW
        return {code: entry for code, entry in self.every.items() if code in wanted}

    @property
    def noise(self) -> NoiseProfile | None:
        """A DNG's NoiseProfile, one pair for all or one per colour, as one per plane."""
        pairs = self.numbers("NoiseProfile")
        if len(pairs) not in (2, 6, 8) or not all(v >= 0 for v in pairs) or not any(pairs):
            return None
        each = tuple(zip(pairs[::2], pairs[1::2], strict=True))
        return each * 4 if len(each) == 1 else (each[0], each[1], each[2], each[1])

    @property
    def camera(self) -> str:
        """Make and model; many makers repeat their name in the model."""
        make, model = self.text(271), self.text(272)
        twice = bool(make) and model.lower().startswith(make.lower().split()[0])
        return " ".join((model if twice else f"{make} {model}").split())


def read_tags(path: Path) -> RawTags:
    """What the tags of all pages say, those of the raw samples' page first, then the first page's;
    RawTags() where tifffile finds none."""
    with suppress(InputError), refusals(path.name), quiet(), tifffile.TiffFile(path) as file:
        upper: Any = islice(file.pages, _MOST_PAGES)
        pages = [one for page in upper for one in (page, *(page.pages or ()))]
        ends = [
            int(start) + int(length) for page in pages
            for start, length in zip(page.dataoffsets, page.databytecounts, strict=False)
            if start != _NOWHERE
        ]  # fmt: skip
        first = {tag.code: tag for page in pages[:1] for tag in page.tags}
        kinds = PHOTOMETRIC.CFA, PHOTOMETRIC.LINEAR_RAW
        raw = [page for page in pages if page.photometric in kinds]
        merged = first | {tag.code: tag for page in raw for tag in page.tags}
        merged |= {code: first[code] for code in (271, 272, 274) if code in first}
        missing = max(0, max(ends, default=0) - path.stat().st_size)
        return replace(_told(merged), missing_bytes=missing)
    with path.open("rb") as opened:
        head = opened.read(_HEAD)
    inside: dict[bytes, Any] = {}
    for found in _INSIDE.finditer(head):
        with suppress(InputError), refusals(path.name), quiet():
            file = tifffile.TiffFile(BytesIO(head[found.start(2) :]))
            inside.setdefault(found[1] or b"1", {tag.code: tag for tag in file.pages.first.tags})
    with suppress(InputError), refusals(path.name), quiet():
        exif, gps = (inside.get(box, {}).values() for box in (b"2", b"4"))
        return _told(inside.get(b"1", {}), exif, gps)
    return RawTags()


def _told(first: dict[int, Any], exif: Iterable[Any] = (), gps: Iterable[Any] = ()) -> RawTags:
    """By tags of the first directory, and of those of EXIF and GPS: given, or below it."""
    every = _entries(first.values())
    shot = {code: entry for code, entry in every.items() if code in _OF_SHOT}
    shot |= _entries(exif or _below(first.get(CODES["ExifTag"])))
    return RawTags(
        every=every, exif={code: entry for code, entry in shot.items() if code not in _NOTES},
        gps=_entries(gps or _below(first.get(CODES["GPSTag"]))),
        private=not _PRIVATE.isdisjoint(first.keys() | shot.keys()),
    )  # fmt: skip


def _below(pointer: Any) -> Iterable[Any]:
    """The tags of a directory that a tag points to."""
    if pointer is None:
        return ()
    file: tifffile.TiffFile = pointer.parent
    file.filehandle.seek(pointer.valueoffset)
    return tifffile.TiffPage(file, 0).tags


def _entries(tags: Iterable[Any]) -> Directory:
    """Those of some tags that can be written again, into a directory."""
    found: Directory = {}
    for tag in tags:
        with suppress(struct.error, KeyError, TypeError, ValueError):
            packed(int(tag.dtype), tag.value)
            found[tag.code] = int(tag.dtype), tag.value
    return found


def packed(kind: int, value: Any) -> tuple[int, bytes]:
    """A value's count and bytes, as its type has them in a little-endian file."""
    if isinstance(value, str):
        value = value.encode("utf-8", "replace") + b"\0"
    form = tifffile.TIFF.DATA_FORMATS[kind]  # of one value, which are two numbers of a rational
    if isinstance(value, bytes):
        return len(value) // struct.calcsize(f"<{form}"), value
    values = list(value) if isinstance(value, tuple | list | np.ndarray) else [value]
    return len(values) // int(form[0]), struct.pack(f"<{len(values)}{form[1]}", *values)


# --- Metadata and samples, through LibRaw ---------------------------------------------------------
Samples = NDArray[Any]  # (H, W) uint16 or uint8, the whole sensor, masked margins included

# Dual ISO is a stop or more; the means of every other pair of rows of one exposure are the same.
APART, DARK = 1.5, 0.01  # times; of the range, below which there is too little light to tell
# To measure noise by:
FEWEST = 64  # differences in a bin of brightness
BINS = 16
_FLIPS = {0: 1, 3: 3, 5: 8, 6: 6}  # LibRaw's flip -> TIFF's orientation


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """Metadata of an exposure."""

    shape: tuple[int, int]  # rows and columns of the whole sensor
    active: tuple[int, int, int, int]  # top, left, height, width of what sees light
    tags: RawTags = field(default_factory=RawTags)
    path: Path
    # Of the active area, from its corner: what the camera's own pictures show; None: all.
    shown: tuple[int, int, int, int] | None = None
    mosaic: Mosaic  # of the active area
    iso: int | None = None
    orientation: int = 1  # TIFF's
    matrix: tuple[float, ...] = ()  # XYZ to the camera's colours, nine values; () unknown
    noise: NoiseProfile | None = None  # (gain, read variance) per plane
    shared: dict[str, Any]  # what all files of a burst have alike

    @property
    def gray(self) -> bool:
        """Whether the sensor has no colour filters."""
        return not self.mosaic.pattern

    def crop(self, samples: Samples) -> Samples:
        """The active area, as a view."""
        top, left, height, width = self.active
        return samples[top : top + height, left : left + width]

    def levelled(self, samples: Samples) -> "Exposure":
        """The exposure whose samples, raised in place, have one black level in all rows and columns
        of the active area: see DNG's BlackLevelDeltaV and BlackLevelDeltaH."""
        level = np.zeros((1, 1))
        corner = self.tags.numbers("ActiveArea") or self.active
        for axis, name in enumerate(("BlackLevelDeltaV", "BlackLevelDeltaH")):
            begin, size = self.active[axis] - int(corner[axis]), self.active[2 + axis]
            deltas = np.array(self.tags.numbers(name))[begin:][:size]
            if len(deltas) == size:
                level = level + np.expand_dims(deltas, 1 - axis)
        if not level.any():
            return self
        lift, own = np.rint(level.max() - level), self.crop(samples)
        own[...] = np.minimum(own + lift, np.iinfo(own.dtype).max)
        # LibRaw's black levels have the mean of the deltas in them.
        a, b, c, d = (black + float(lift.mean()) for black in self.mosaic.black)
        return replace(self, mosaic=replace(self.mosaic, black=(a, b, c, d)))

    def profile_left(self, before: Samples, after: Samples) -> NoiseProfile | None:
        """Gain and read variance of each plane of what was written, in units of white - black: the
        camera's own profile if nothing changed. None for mosaics too small to tell."""
        if self.noise is not None and np.array_equal(before, after):
            return self.noise
        found = self._measured(after)
        return None if found is None else tuple(_line(*law) for law in found)

    def noise_share(self, samples: Samples) -> float | None:
        """The standard deviation of samples' noise, by what their NoiseProfile states; None where
        nothing is stated or the mosaic is too small to tell."""
        if self.noise is None or (found := self._measured(samples)) is None:
            return None
        shares = [
            np.median(variance / np.maximum(gain * level + read, np.finfo(float).tiny))
            for (level, variance), (gain, read) in zip(found, self.noise, strict=True)
        ]
        return float(np.sqrt(np.median(shares)))

    def _measured(self, samples: Samples) -> list[tuple[NDArray[Any], NDArray[Any]]] | None:
        """Mean brightness and variance of the noise in each bin of brightness of each plane, by the
        median (Donoho, 1995), to which texture is an outlier, of diagonal differences within cells
        of 2x2 samples of one colour. None for mosaics too small to tell."""
        picture = self.crop(samples).astype(np.float32)
        planes = [picture] if self.gray else pack_mosaic(picture, self.mosaic.pattern)
        if planes[0].size < 4 * FEWEST:
            return None
        mosaic, found = self.mosaic, []
        for plane, black, white in zip(planes, mosaic.black, mosaic.white, strict=False):
            height, width = (size // 2 * 2 for size in plane.shape)
            cells = (plane[:height, :width] - black) / (white - black)
            a, b, c, d = cells[::2, ::2], cells[::2, 1::2], cells[1::2, ::2], cells[1::2, 1::2]
            light, apart = ((a + b + c + d) / 4).ravel(), np.abs(a - b - c + d).ravel() / 2
            bins = np.array_split(np.argsort(light), min(BINS, len(light) // FEWEST))
            level = np.array([light[one].mean() for one in bins])
            found.append((level, np.array([robust_sigma(apart[one]) ** 2 for one in bins])))
        return found


def _line(level: NDArray[Any], variance: NDArray[Any]) -> tuple[float, float]:
    """Gain and read variance, neither below zero."""
    if np.ptp(level) > 0:
        gain, read = np.polyfit(level, variance, 1)
        if gain > 0 <= read:
            return float(gain), float(read)
        if gain > 0:
            return float((level * variance).sum() / np.square(level).sum()), 0.0
    return 0.0, float(variance.mean())


def headed(path: Path) -> tuple[dict[str, Any], float]:
    """What headers say that all files of a burst share, and for how many seconds the shutter was
    open, 0 where they do not say. Raises InputError."""
    tags = read_tags(path)
    with refusals(path.name), rawpy.RawPy() as raw:
        raw.open_file(str(path))
        return _shared(raw, tags), tags.number("ExposureTime")


def _shared(raw: Any, tags: RawTags) -> dict[str, Any]:
    """What all files of a burst have alike, as far as headers say."""
    sizes, iso = raw.sizes, int(tags.number("ISOSpeedRatings") or raw.other.iso_speed) or None
    area = sizes.top_margin, sizes.left_margin, sizes.height, sizes.width
    size = f"{sizes.raw_width}x{sizes.raw_height}"
    return {"size": size, "active area": area, "camera": tags.camera, "ISO": iso}


def read_raw(path: Path) -> tuple[Exposure, Samples]:
    """A raw file and its samples. Raises InputError if it cannot be read or denoised."""
    check_not_empty(path)
    tags = read_tags(path)
    if tags.missing_bytes:
        what = f"{path.name}: is cut off, {tags.missing_bytes} bytes are missing."
        raise InputError(what, hint="Copy it from the camera again.")
    with refusals(path.name), rawpy.RawPy() as raw:
        try:
            raw.open_file(str(path))
            rows, columns = raw.sizes.raw_height, raw.sizes.raw_width
            if rows * columns > MOST_PIXELS:
                most = f"more than f2r allows ({MOST_PIXELS / 1e6:.0f} million)"
                what = f"{path.name}: claims {columns}x{rows} pixels, {most}."
                raise InputError(what, hint="The file is most likely damaged.")
            # rawpy decodes the samples for most facts already
            samples = np.array(raw.raw_image)
            exposure = _exposure(raw, path, tags).levelled(samples)
        # NotImplementedError: rawpy's, for filter patterns that it has no name for
        except (rawpy.LibRawFileUnsupportedError, NotImplementedError) as error:
            what = "is not a camera raw file that LibRaw knows, or packed in a way it cannot unpack"
            hint = "Convert it to a plain DNG first (Adobe's converter, GoPro's gpr_tools)."
            raise InputError(f"{path.name}: {what}.", hint=hint) from error
    _check_rows(exposure, samples)
    return exposure, samples


def _check_rows(exposure: Exposure, samples: Samples) -> None:
    """Raise InputError for rows that alternate, two by two, between exposures (Magic Lantern)."""
    black, white = exposure.mosaic.black[0], max(exposure.mosaic.white)
    rows = exposure.crop(samples)[:, ::8].mean(1)[: exposure.active[2] // 4 * 4]
    if not rows.size:
        return
    light = np.sort(rows.reshape(-1, 2, 2).mean((0, 2)) - black)
    if light[1] > DARK * (white - black) and light[1] > APART * light[0]:
        what = f"{exposure.path.name}: its rows alternate between two exposures (dual ISO)."
        raise InputError(what, hint="Make one exposure of them first, with MLV App or cr2hdr.")


def _exposure(raw: Any, path: Path, tags: RawTags) -> Exposure:
    sizes, mosaic, shared = raw.sizes, _mosaic(raw, path.name), _shared(raw, tags)
    iso, filters = shared["ISO"], {"colour filters": mosaic.pattern, "white level": mosaic.white[0]}
    matrix = np.asarray(raw.rgb_xyz_matrix, np.float64)[:3]
    return Exposure(
        path=path, shape=(sizes.raw_height, sizes.raw_width), iso=iso, noise=tags.noise,
        active=shared["active area"], shown=_shown(sizes, tags), mosaic=mosaic,
        shared=shared | filters,
        orientation=int(tags.number("Orientation")) or _FLIPS.get(sizes.flip, 1),
        matrix=tuple(matrix.flatten().tolist()) if matrix.any() else (),
        tags=replace(tags, exif=_shot(raw, iso) | tags.exif),  # of the file, else by LibRaw
    )  # fmt: skip


def _shot(raw: Any, iso: int | None) -> Directory:
    """How an exposure was made, as LibRaw reads it: EXIF's tags."""
    found = Directory()
    for code, attribute in ((33434, "shutter_speed"), (33437, "aperture"), (37386, "focal_length")):
        if (value := float(getattr(raw.other, attribute))) > 0:
            found[code] = Type.RATIONAL, ratios((value,), 1_000_000)
    if raw.other.timestamp is not None and raw.other.timestamp.year > 1970:
        found[36867] = Type.ASCII, raw.other.timestamp.strftime("%Y:%m:%d %H:%M:%S")
    if iso is not None and iso < 1 << 16:
        found[CODES["ISOSpeedRatings"]] = Type.SHORT, iso
    if model := str(raw.lens.model).strip():
        found[42036] = Type.ASCII, model
    return found


def ratios(values: Iterable[float], parts: int) -> list[int]:
    """Rationals in so many parts of one."""
    return [part for value in values for part in (round(value * parts), parts)]


def _shown(sizes: Any, tags: RawTags) -> tuple[int, int, int, int] | None:
    """Top, left, height and width of what is shown, from the corner of the active area, if known. A
    DNG's crop counts from the area it states, LibRaw's area begins at even rows and columns."""
    crop = (*tags.numbers("DefaultCropOrigin"), *tags.numbers("DefaultCropSize"))
    area = tags.numbers("ActiveArea")
    if len(crop) == 4 and len(area) in (0, 4):
        across, down, width, height = (round(v) for v in crop)
        top, left = (int(v) for v in (area or (0, 0))[:2])
    else:
        across, down, top, left = sizes.crop_left_margin, sizes.crop_top_margin, 0, 0
        width, height = sizes.crop_width, sizes.crop_height
    down, across = down + top - sizes.top_margin, across + left - sizes.left_margin
    height, width = height + min(down, 0), width + min(across, 0)
    down, across = max(down, 0), max(across, 0)
    height, width = min(height, sizes.height - down), min(width, sizes.width - across)
    return (down, across, height, width) if min(height, width) > 0 else None


def _mosaic(raw: Any, name: str) -> Mosaic:
    """The mosaic of the active area. Raises InputError for sensors without a Bayer pattern."""
    if raw.raw_type is not rawpy.RawType.Flat or raw.raw_pattern is None:
        raise _no_bayer(name, "holds full colours at every pixel (Foveon, sRAW, linear DNG)")
    white = (float(raw.white_level),) * 4
    if raw.raw_pattern.shape == (1, 1) and raw.raw_image.ndim == 2:  # a monochrome sensor
        return Mosaic(pattern="", black=(float(raw.black_level_per_channel[0]),) * 4, white=white)
    if raw.raw_pattern.shape != (2, 2):
        kind = "an X-Trans" if raw.raw_pattern.shape == (6, 6) else "a non-Bayer"
        raise _no_bayer(name, f"comes from {kind} sensor")
    cell = raw.raw_colors_visible[:2, :2].tolist()
    letters = raw.color_desc.decode("ascii", "replace")
    pattern = "".join(letters[colour] for row in cell for colour in row)
    if pattern not in PATTERNS:
        filters = f"its colour filters are {letters} ({pattern})"
        raise _no_bayer(name, f"{filters}, not red, green and blue")
    blacks = [0.0] * 4
    for colours, planes in zip(cell, plane_colours(pattern), strict=True):
        for colour, plane in zip(colours, planes, strict=True):
            blacks[plane] = float(raw.black_level_per_channel[colour])
    r, g, b, other = blacks
    red, green, blue = (float(v) for v in raw.camera_whitebalance[:3])
    balance = (red / green, 1.0, blue / green) if min(red, green, blue) > 0 else None
    return Mosaic(pattern=pattern, black=(r, g, b, other), white=white, balance=balance)


def _no_bayer(name: str, what: str) -> InputError:
    hint = "Develop it to 16-bit pictures first and denoise those."
    return InputError(f"{name}: {what}; f2r denoises Bayer mosaics.", hint=hint)


# --- The file -------------------------------------------------------------------------------------
PREVIEW = 1024  # pixels a side at most
_COLOURS = "RGB"  # codes in CFAPattern
_SRGB = (3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.2040, 1.0570)  # from XYZ
_D65 = 21


def new_dng(
    exposure: Exposure, samples: Samples, noise: NoiseProfile | None, provenance: str
) -> bytes:
    """A DNG of 16 bits of the whole sensor's samples; noise: their profile. Masked margins are kept
    unless their size is odd, which LibRaw would round."""
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
    below = {"SubIFDs": shown, "ExifTag": exposure.tags.exif, "GPSTag": exposure.tags.gps}
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
        if exposure.mosaic.balance is not None:
            neutral = (1 / gain for gain in exposure.mosaic.balance)
            tags[50728] = Type.RATIONAL, ratios(neutral, 1_000_000)
    return tags


def _levels(exposure: Exposure) -> Directory:
    mosaic, side = exposure.mosaic, 1 if exposure.gray else 2
    blacks = [mosaic.black[0]]
    if not exposure.gray:
        blacks = [mosaic.black[plane] for row in plane_colours(mosaic.pattern) for plane in row]
    tags: Directory = {
        50713: (Type.SHORT, (side, side)), 50714: (Type.RATIONAL, ratios(blacks, 256)),
        50717: (Type.LONG, round(max(mosaic.white))),
    }  # fmt: skip
    if mosaic.pattern:
        letters = bytes(_COLOURS.index(letter) for letter in mosaic.pattern)
        tags |= {
            33421: (Type.SHORT, (2, 2)), 33422: (Type.BYTE, letters), 50710: (Type.BYTE, b"\0\1\2"),
            50711: (Type.SHORT, 1),
        }  # fmt: skip
    return tags


def preview_of(exposure: Exposure, samples: Samples) -> NDArray[np.uint8]:
    """A small picture (h, w, 3), not turned: LibRaw, balance as shot, sRGB. Raises OutputError."""
    try:
        with rawpy.RawPy() as raw:
            raw.open_file(str(exposure.path))
            raw.unpack()
            raised = round(exposure.mosaic.black[0] - float(raw.black_level_per_channel[0]))
            raw.raw_image[...] = np.maximum(samples, raised) - raised
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
