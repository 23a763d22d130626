"""DNG files, written anew by tifffile: the mosaic, its levels and colours, EXIF, GPS and a preview,
and the noise that is left in them.

Sources that are compressed become lossless JPEG: two components side by side and predictor 1,
which every raw developer reads. tifffile writes no EXIF or GPS directory, so those are appended."""

import os
import struct
from collections.abc import Mapping
from fractions import Fraction
from io import BytesIO
from typing import IO, Any

import imagecodecs
import numpy as np
import rawpy
import tifffile
from numpy.typing import NDArray

from f2rcli.errors import OutputError
from f2rcli.io.raw.exposure import (
    ASCII,
    BLACK_ACROSS,
    BLACK_DOWN,
    BYTE,
    CROP_FROM,
    CROP_SIZE,
    DOUBLE,
    EXIF,
    FRAME_RATE,
    GPS,
    ISO,
    LINEAR,
    LONG,
    NEUTRAL,
    NOISE_PROFILE,
    ORIENTATION,
    PROVENANCE,
    RATIONAL,
    SHORT,
    SRATIONAL,
    Directory,
    Exposure,
    NoiseProfile,
    Samples,
    Tag,
    packed,
)
from f2rcli.sensor import pack, plane_colours

Real = NDArray[np.float32]
Bins = NDArray[Any]

FEWEST = 64  # differences in a bin of brightness
BINS = 16
MEDIAN = 0.6745  # of the absolute value of a normal deviate


def profile_left(exposure: Exposure, before: Samples, after: Samples) -> NoiseProfile | None:
    """Gain and read variance of each plane of what was written, in units of white - black: the
    share of the camera's own profile that is left, or a line of its own where the file has none.
    None for mosaics too small to tell."""
    if exposure.noise is not None and np.array_equal(before, after):
        return exposure.noise
    found = _measured(exposure, after)
    if exposure.noise is None or found is None:
        return None if found is None else tuple(_line(level, variance) for level, variance in found)
    shares = [
        min(1.0, _share(*law, *stated)) for law, stated in zip(found, exposure.noise, strict=False)
    ]
    return tuple(
        (gain * share, read * share)
        for share, (gain, read) in zip(shares, exposure.noise, strict=False)
    )


def noise_share(exposure: Exposure, samples: Samples) -> float | None:
    """The noise that samples have, as a share of what their NoiseProfile states, in standard
    deviations. None where nothing is stated or the mosaic is too small to tell."""
    found = _measured(exposure, samples)
    if exposure.noise is None or found is None:
        return None
    shares = [_share(*law, *stated) for law, stated in zip(found, exposure.noise, strict=True)]
    return float(np.sqrt(np.median(shares)))


def _share(level: Bins, variance: Bins, gain: float, read: float) -> float:
    """Measured variance as a share of a stated law's."""
    stated = np.maximum(gain * level + read, np.finfo(float).tiny)
    return float(np.median(variance / stated))


def _measured(exposure: Exposure, samples: Samples) -> list[tuple[Bins, Bins]] | None:
    """Mean brightness and variance of the noise in each bin of brightness of each plane.

    Measured on diagonal differences within cells of 2x2 samples of one colour, by their median
    (Donoho, 1995), to which texture is an outlier. None for mosaics too small to tell.
    """
    picture: Real = exposure.picture(samples).astype(np.float32)
    planes = [picture] if exposure.gray else pack(picture, exposure.mosaic.pattern)
    if planes[0].size < 4 * FEWEST:
        return None
    mosaic, found = exposure.even_mosaic, []
    for plane, black, white in zip(planes, mosaic.black, mosaic.white, strict=False):
        height, width = (size // 2 * 2 for size in plane.shape)
        cells = (plane[:height, :width] - black) / (white - black)
        a, b, c, d = cells[::2, ::2], cells[::2, 1::2], cells[1::2, ::2], cells[1::2, 1::2]
        light, apart = ((a + b + c + d) / 4).ravel(), np.abs(a - b - c + d).ravel() / 2
        bins = np.array_split(np.argsort(light), min(BINS, len(light) // FEWEST))
        level = np.array([light[one].mean() for one in bins])
        found.append((level, np.array([np.square(np.median(apart[n]) / MEDIAN) for n in bins])))
    return found


def _line(level: Bins, variance: Bins) -> tuple[float, float]:
    """Gain and read variance, neither below zero."""
    if np.ptp(level) > 0:
        gain, read = np.polyfit(level, variance, 1)
        if gain > 0 <= read:
            return float(gain), float(read)
        if gain > 0:
            return float((level * variance).sum() / np.square(level).sum()), 0.0
    return 0.0, float(variance.mean())


# --- The file -------------------------------------------------------------------------------------


PREVIEW = 1024  # pixels a side at most
_COLOURS = "RGB"  # codes in CFAPattern
_SRGB = (3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.2040, 1.0570)  # from XYZ
_D65 = 21
# tifffile refuses to write pointers to directories: free codes beside them keep their places.
_STAND_INS = {EXIF: EXIF - 1, GPS: GPS + 1}


def new_dng(
    exposure: Exposure,
    samples: Samples,
    *,
    noise: NoiseProfile | None = None,
    preview: NDArray[np.uint8] | None = None,
    provenance: str = "",
) -> bytes:
    """A DNG of 16 bits. samples: the whole sensor's; noise: the profile of these samples; preview
    (h, w, 3): them developed, not turned.

    Masked margins are kept unless their size is odd, which LibRaw would round.
    """
    top, left, height, width = exposure.active
    area: tuple[int, int, int, int] | None = (top, left, top + height, left + width)
    if top % 2 or left % 2:
        samples, area = exposure.crop(samples), None
    elif samples.shape == (height, width):
        area = None
    samples = np.ascontiguousarray(samples, np.uint16)
    every = {EXIF: exif_of(exposure), GPS: exposure.tags.gps}
    directories = {code: tags for code, tags in every.items() if tags}
    own: dict[str, Any] = {
        "photometric": "minisblack" if exposure.gray else "cfa", "metadata": None,
        "software": "f2r", "subifds": int(preview is not None),
        "extratags": _tags(exposure, area, noise, provenance, directories),
    }  # fmt: skip
    buffer = BytesIO()
    as_jpeg = is_compressed(exposure) and not (exposure.gray or samples.shape[1] % 2)
    with tifffile.TiffWriter(buffer, byteorder="<") as file:
        data, compression = (iter([coded(samples)]), "jpeg") if as_jpeg else (samples, None)
        file.write(
            data, shape=samples.shape, dtype=samples.dtype, rowsperstrip=samples.shape[0],
            compression=compression, **own,
        )  # fmt: skip
        if preview is not None:
            file.write(
                preview, photometric="minisblack" if exposure.gray else "rgb",
                compression="jpeg", compressionargs={"level": 90},
                rowsperstrip=preview.shape[0], subfiletype=1, metadata=None,
            )  # fmt: skip
    if as_jpeg:  # tifffile gives JPEG twelve bits at most
        _restate(buffer, 258, 16)
    if exposure.gray:  # and LinearRaw three samples at least
        _restate(buffer, 262, LINEAR)
    append_directories(buffer, directories)
    return buffer.getvalue()


def is_compressed(exposure: Exposure) -> bool:
    """Whether a raw file takes less space than its samples of 16 bits would."""
    return exposure.path.stat().st_size < 2 * exposure.shape[0] * exposure.shape[1]


def coded(samples: Samples) -> bytes:
    """A mosaic as lossless JPEG. Columns in turn are two components, so that each sample is
    predicted from its own colour."""
    height, width = samples.shape
    return bytes(imagecodecs.jpeg8_encode(
        samples.reshape(height, width // 2, 2), colorspace=0, lossless=True, predictor=1,
        bitspersample=16,
    ))  # fmt: skip


def _restate(buffer: BytesIO, code: int, value: int) -> None:
    """Put right a tag that tifffile does not write so."""
    buffer.seek(0)
    with tifffile.TiffFile(buffer) as file:
        place = file.pages.first.tags[code].valueoffset
    buffer.seek(place)
    buffer.write(struct.pack("<H", value))


def _tags(
    exposure: Exposure,
    area: tuple[int, int, int, int] | None,
    noise: NoiseProfile | None,
    provenance: str,
    directories: Mapping[int, object],
) -> list[Tag]:
    """Every tag of the first directory once, as the last part that has it says, by code."""
    colours = [] if exposure.gray else _coloured(exposure)
    own = [*_described(exposure), *colours, *exposure.tags.carried, *_levels(exposure)]
    tags = {tag[0]: tag for tag in own}
    if area is not None:
        tags[50829] = (50829, LONG, 4, area, True)
    if noise is not None:
        pairs = [value for plane in noise[:3] for value in plane]
        tags[NOISE_PROFILE] = (NOISE_PROFILE, DOUBLE, len(pairs), pairs, True)
    if provenance:
        tags[PROVENANCE] = (PROVENANCE, ASCII, 0, provenance, True)
    for code in directories:
        tags[_STAND_INS[code]] = (_STAND_INS[code], LONG, 1, 0, True)
    return [tags[code] for code in sorted(tags)]


def _described(exposure: Exposure) -> list[Tag]:
    tags: list[Tag] = [
        (ORIENTATION, SHORT, 1, exposure.orientation, True),
        (50706, BYTE, 4, b"\x01\x04\x00\x00", True),
        (50707, BYTE, 4, b"\x01\x01\x00\x00", True),
        (50708, ASCII, 0, exposure.tags.camera or "unknown", True),
    ]
    named = ((271, exposure.tags.make), (272, exposure.tags.model))
    tags += [(code, ASCII, 0, text, True) for code, text in named if text]
    if exposure.iso is not None and exposure.iso < 1 << 16:
        tags.append((ISO, SHORT, 1, exposure.iso, True))
    if exposure.aspect != 1:
        tags.append((50718, RATIONAL, 2, (round(10000 * exposure.aspect), 10000, 1, 1), True))
    if exposure.shown is not None:
        top, left, height, width = exposure.shown
        tags += [
            (CROP_FROM, LONG, 2, (left, top), True),
            (CROP_SIZE, LONG, 2, (width, height), True),
        ]
    if exposure.tags.rate is not None:
        tags.append((FRAME_RATE, SRATIONAL, 1, exposure.tags.rate.as_integer_ratio(), True))
    return tags


def _coloured(exposure: Exposure) -> list[Tag]:
    matrix = exposure.matrix or _SRGB
    ratios = [part for value in matrix for part in (round(value * 10000), 10000)]
    neutral = [
        part for gain in exposure.mosaic.balance for part in (round(1_000_000 / gain), 1_000_000)
    ]
    return [
        (50721, SRATIONAL, 9, ratios, True),
        (NEUTRAL, RATIONAL, 3, neutral, True),
        (50778, SHORT, 1, _D65, True),
    ]


def _levels(exposure: Exposure) -> list[Tag]:
    mosaic = exposure.mosaic
    blacks, side = [mosaic.black[0]], 1
    if not exposure.gray:
        side = 2
        blacks = [mosaic.black[plane] for row in plane_colours(mosaic.pattern) for plane in row]
    letters = bytes(_COLOURS.index(letter) for letter in mosaic.pattern)
    ratios = [part for black in blacks for part in (round(black * 256), 256)]
    whole = all(black == int(black) for black in blacks)
    black_tag: Tag = (50714, RATIONAL, len(blacks), ratios, True)
    if whole:
        black_tag = (50714, LONG, len(blacks), [int(black) for black in blacks], True)
    filters: list[Tag] = [
        (33421, SHORT, 2, (2, 2), True),
        (33422, BYTE, 4, letters, True),
        (50710, BYTE, 3, b"\x00\x01\x02", True),
        (50711, SHORT, 1, 1, True),
    ]
    tags: list[Tag] = [
        *(filters if letters else []),
        (50713, SHORT, 2, (side, side), True),
        black_tag,
        (50717, LONG, 1, round(max(mosaic.white)), True),
    ]
    if exposure.lift is None:
        return tags
    # LibRaw's black levels have the mean of these in them.
    for code, axis in ((BLACK_DOWN, 1), (BLACK_ACROSS, 0)):
        level = -exposure.lift.mean(axis)
        parts = [part for v in level - level.mean() for part in (round(v * 256), 256)]
        tags.append((code, SRATIONAL, len(level), parts, True))
    return tags


def exif_of(exposure: Exposure) -> Directory:
    """EXIF's tags: those of the file, else of LibRaw."""
    other, found = exposure.other, Directory()
    for code, attribute in ((33434, "shutter_speed"), (33437, "aperture"), (37386, "focal_length")):
        value = float(getattr(other, attribute, 0) or 0)
        if value > 0:
            found[code] = RATIONAL, _ratio(value)
    moment = getattr(other, "timestamp", None)
    if moment is not None and moment.year > 1970:
        found[36867] = ASCII, moment.strftime("%Y:%m:%d %H:%M:%S")
    if exposure.iso is not None and exposure.iso < 1 << 16:
        found[ISO] = SHORT, exposure.iso
    if model := str(getattr(exposure.lens, "model", "") or "").strip():
        found[42036] = ASCII, model
    return found | exposure.tags.exif


def _ratio(value: float) -> tuple[int, int]:
    short = Fraction(value).limit_denominator(10000)
    if short.numerator == 0:
        short = Fraction(1, round(1 / value))
    return short.numerator, short.denominator


def append_directories(file: IO[bytes], directories: Mapping[int, Directory]) -> None:
    """Append directories to a little-endian TIFF whose first page has stand-ins for them."""
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        offsets = {code: tiff.pages.first.tags[_STAND_INS[code]].offset for code in directories}
    for code, offset in offsets.items():
        place = file.seek(0, os.SEEK_END)
        place += file.write(bytes(place % 2))
        file.write(_stored(directories[code], place))
        file.seek(offset)
        file.write(struct.pack("<HHII", code, LONG, 1, place))


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
