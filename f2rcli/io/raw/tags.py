"""TIFF tags of raw files, as tifffile reads them: camera, exposure, place, noise, and what a new
DNG takes over of them.

Raw files in TIFF's clothes (DNG, CR2, NEF, ARW, PEF, KDC, ...) have them; of CR3, CRW, RAF and RW2
LibRaw tells exposure, lens and date, and the rest stays in the source.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import tifffile

from f2rcli.io.tifffiles import quiet

# What tifffile raises on files that are no TIFF, or broken ones.
UNREADABLE = (
    tifffile.TiffFileError, struct.error, zlib.error, ValueError, IndexError, KeyError, OSError,
    OverflowError, ZeroDivisionError, RuntimeError, MemoryError,
)  # fmt: skip

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, SRATIONAL, DOUBLE = 1, 2, 3, 4, 5, 7, 10, 12
ORIENTATION, ISO, EXIF, GPS = 274, 34855, 34665, 34853
XMP, IPTC = 700, 33723
BLACK_ACROSS, BLACK_DOWN, CROP_FROM, CROP_SIZE, AREA = 50715, 50716, 50719, 50720, 50829
NEUTRAL, NOISE_PROFILE, FRAME_RATE, PROVENANCE = 50728, 51041, 51044, 65042
_MOST_PAGES = 64  # of a raw file; a damaged list of pages may run in a circle
_CFA, LINEAR = 32803, 34892  # photometric interpretations of raw samples

# Tags of a DNG that say how its samples are to be shown: who and when, colour matrices, balance,
# exposure, sharpness, profile, lens, corrections. Storage, levels and pattern are written as the
# samples now are; the noise profile is measured again; digests and previews are of former samples.
CARRIED = frozenset({
    270, 271, 272, 306, 315, XMP, 18246, 18249, 33432, IPTC, 50708, 50709, *range(50721, 50737),
    *range(50737, 50740), 50778, 50779, 50780, 50827, *range(50831, 50835), 50879, 50931, 50932,
    50934, *range(50936, 50943), 50964, 50965, 50981, 50982, 51008, 51009, 51022, 51043, 51044,
    51058, 51081, *range(51089, 51092), 51105, *range(51107, 51111), 51112, 51125, 52525,
    *range(52529, 52536), 52537, 52538, 52543, 52544, 52551, 52552,
})  # fmt: skip
_OF_EVERY_RAW = {270, 306, 315, XMP, 18246, 18249, 33432, IPTC}
# Written anew, of the samples' former storage, or directories of their own.
_RENEWED = {
    *range(254, 260), 262, 263, 266, 271, 272, 273, 274, *range(277, 284), 284, 292, 293, 296, 305,
    317, 320, *range(322, 326), 330, 338, 339, 340, 341, 347, *range(512, 515), *range(529, 533),
    33421, 33422, EXIF, GPS, 37398, 50706, 50707, *range(50710, 50721), 50741, 50781, 50829, 50830,
    *range(50966, 50976), NOISE_PROFILE, 51111, 51113, 51114, PROVENANCE,
}  # fmt: skip

# EXIF's tags that a new DNG takes over, by tifffile's names: code and type.
EXIF_TAGS: dict[str, tuple[int, int]] = {
    "ExposureTime": (33434, RATIONAL), "FNumber": (33437, RATIONAL),
    "ExposureProgram": (34850, SHORT), "ISOSpeedRatings": (ISO, SHORT),
    "SensitivityType": (34864, SHORT), "RecommendedExposureIndex": (34866, LONG),
    "DateTimeOriginal": (36867, ASCII), "DateTimeDigitized": (36868, ASCII),
    "OffsetTime": (36880, ASCII), "OffsetTimeOriginal": (36881, ASCII),
    "OffsetTimeDigitized": (36882, ASCII), "SubsecTime": (37520, ASCII),
    "SubsecTimeOriginal": (37521, ASCII), "SubsecTimeDigitized": (37522, ASCII),
    "ShutterSpeedValue": (37377, SRATIONAL), "ApertureValue": (37378, RATIONAL),
    "BrightnessValue": (37379, SRATIONAL), "ExposureBiasValue": (37380, SRATIONAL),
    "MaxApertureValue": (37381, RATIONAL), "SubjectDistance": (37382, RATIONAL),
    "MeteringMode": (37383, SHORT), "LightSource": (37384, SHORT), "Flash": (37385, SHORT),
    "FocalLength": (37386, RATIONAL), "ExposureMode": (41986, SHORT),
    "WhiteBalance": (41987, SHORT), "DigitalZoomRatio": (41988, RATIONAL),
    "FocalLengthIn35mmFilm": (41989, SHORT),
    "SceneCaptureType": (41990, SHORT), "CameraOwnerName": (42032, ASCII),
    "BodySerialNumber": (42033, ASCII), "LensSpecification": (42034, RATIONAL),
    "LensMake": (42035, ASCII), "LensModel": (42036, ASCII), "LensSerialNumber": (42037, ASCII),
}  # fmt: skip
GPS_TAGS: dict[str, tuple[int, int]] = {
    "GPSVersionID": (0, BYTE), "GPSLatitudeRef": (1, ASCII), "GPSLatitude": (2, RATIONAL),
    "GPSLongitudeRef": (3, ASCII), "GPSLongitude": (4, RATIONAL), "GPSAltitudeRef": (5, BYTE),
    "GPSAltitude": (6, RATIONAL), "GPSTimeStamp": (7, RATIONAL), "GPSSpeedRef": (12, ASCII),
    "GPSSpeed": (13, RATIONAL), "GPSTrackRef": (14, ASCII), "GPSTrack": (15, RATIONAL),
    "GPSImgDirectionRef": (16, ASCII), "GPSImgDirection": (17, RATIONAL),
    "GPSMapDatum": (18, ASCII), "GPSDateStamp": (29, ASCII),
}  # fmt: skip
_EXIF_BY_CODE = {code: name for name, (code, _) in EXIF_TAGS.items()}

Tag = tuple[int, int, int, Any, bool]  # as tifffile writes it: code, type, count, value, once


@dataclass(frozen=True, slots=True, kw_only=True)
class RawTags:
    """Metadata from TIFF tags, or a TIFF mosaic's sensor facts; unknown in other structures."""

    make: str = ""
    model: str = ""
    iso: int | None = None
    orientation: int | None = None
    rate: Fraction | None = None  # frames per second, of CinemaDNG
    noise: tuple[float, ...] | None = None  # NoiseProfile as stored: pairs of (gain, read variance)
    # Top, left, bottom, right of what sees light, and left, top, width, height of what is shown
    # of it, as a DNG states them.
    area: tuple[int, ...] = ()
    crop: tuple[float, ...] = ()
    black_down: tuple[float, ...] = ()  # a DNG's black level of each row beside its mean, codes
    black_across: tuple[float, ...] = ()  # of each column
    carried: tuple[Tag, ...] = ()
    exif: dict[str, Any] = field(default_factory=dict)  # values by tifffile's names
    gps: dict[str, Any] = field(default_factory=dict)
    provenance: str = ""
    dng: bool = False
    left: tuple[str, ...] = ()  # names of tags that a new DNG does not take over
    missing_bytes: int = 0  # that the file lacks of what its tags promise

    @property
    def camera(self) -> str:
        """Make and model, as far as the file says them; many makers repeat their name in the
        model."""
        make = self.make.lower().split()[:1]
        twice = bool(make) and self.model.lower().startswith(make[0])
        return " ".join((self.model if twice else f"{self.make} {self.model}").split())


def read_tags(path: Path) -> RawTags:
    """The tags of a file; RawTags() where tifffile cannot read it."""
    try:
        with quiet(), tifffile.TiffFile(path) as file:
            pages = list(_pages(file))
            values = [{tag.code: tag for tag in page.tags} for page in pages]
            ends = [
                int(offset) + int(length)
                for page in pages
                for offset, length in zip(page.dataoffsets, page.databytecounts, strict=False)
            ]
            kinds = [int(page.photometric) for page in pages]
            known = [
                {
                    code: (int(tag.dtype), tag.count, tag.value, tag.name)
                    for code, tag in own.items()
                }
                for own in values
            ]
        size = path.stat().st_size
    except UNREADABLE:
        return RawTags()
    if not pages:
        return RawTags()
    return _facts(known, kinds, max(0, max(ends, default=0) - size))


def _pages(file: tifffile.TiffFile) -> Iterator[Any]:
    for page in islice(file.pages, _MOST_PAGES):
        yield page
        if isinstance(page, tifffile.TiffPage) and page.pages:
            yield from page.pages


def _facts(pages: list[dict[int, Any]], kinds: list[int], missing: int) -> RawTags:
    """What the tags of all pages say; those of the raw samples' page come first, then the first
    page's. pages: type, count, value and name by code."""
    raw = [page for page, kind in zip(pages, kinds, strict=True) if kind in (_CFA, LINEAR)]
    merged = {**pages[0], **{code: tag for page in raw for code, tag in page.items()}}
    known = {code: tag[2] for code, tag in merged.items()}
    known |= {code: pages[0][code][2] for code in (271, 272, ORIENTATION) if code in pages[0]}
    dng = 50706 in pages[0]
    exif = known.get(EXIF) if isinstance(known.get(EXIF), dict) else {}
    gps = known.get(GPS) if isinstance(known.get(GPS), dict) else {}
    of_main = {_EXIF_BY_CODE[code]: value for code, value in known.items() if code in _EXIF_BY_CODE}
    wanted = CARRIED if dng else _OF_EVERY_RAW
    carried = {code: (code, *tag[:3], True) for code, tag in merged.items() if code in wanted}
    renewed = {*_RENEWED, *carried, *_EXIF_BY_CODE}
    left = [str(tag[3]) for code, tag in sorted(merged.items()) if code not in renewed]
    left += [name for name in (exif or {}) if name not in EXIF_TAGS]
    iso = known.get(ISO) or (exif or {}).get("ISOSpeedRatings")
    return RawTags(
        make=_text(known.get(271)),
        model=_text(known.get(272)),
        iso=_first_int(iso),
        orientation=_first_int(known.get(ORIENTATION)),
        rate=_rate(known.get(FRAME_RATE)),
        noise=_profile(known.get(NOISE_PROFILE)),
        area=tuple(int(v) for v in _numbers(known.get(AREA))) if dng else (),
        crop=_crop(merged) if dng else (),
        black_down=_ratios(merged.get(BLACK_DOWN)) if dng else (),
        black_across=_ratios(merged.get(BLACK_ACROSS)) if dng else (),
        carried=tuple(carried[code] for code in sorted(carried)),
        exif={name: v for name, v in {**of_main, **(exif or {})}.items() if name in EXIF_TAGS},
        gps={name: v for name, v in (gps or {}).items() if name in GPS_TAGS},
        provenance=_text(known.get(PROVENANCE)),
        dng=dng,
        left=tuple(dict.fromkeys(left)),
        missing_bytes=missing,
    )


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _numbers(value: Any) -> tuple[float, ...]:
    if isinstance(value, tuple | list):
        return tuple(float(v) for v in value)
    return (float(value),) if isinstance(value, int | float) else ()


def _ratios(tag: Any) -> tuple[float, ...]:
    """The values of a tag of rationals, or of plain numbers."""
    numbers = _numbers(tag[2]) if tag is not None else ()
    if tag is None or tag[0] not in (RATIONAL, SRATIONAL):
        return numbers
    pairs = zip(numbers[::2], numbers[1::2], strict=False)
    return tuple(over / under if under else 0.0 for over, under in pairs)


def _crop(tags: dict[int, Any]) -> tuple[float, ...]:
    place, size = (_ratios(tags.get(code)) for code in (CROP_FROM, CROP_SIZE))
    return (*place, *size) if len(place) == len(size) == 2 else ()


def _first_int(value: Any) -> int | None:
    if isinstance(value, tuple | list):
        value = value[0] if value else None
    return int(value) if isinstance(value, int | float) and value else None


def _profile(value: Any) -> tuple[float, ...] | None:
    pairs = _numbers(value)
    sound = len(pairs) in (2, 6, 8) and all(v >= 0 for v in pairs) and any(pairs)
    return pairs if sound else None


def _rate(value: Any) -> Fraction | None:
    pair = _numbers(value)
    if len(pair) != 2 or pair[0] <= 0 or pair[1] <= 0:
        return None
    return Fraction(int(pair[0]), int(pair[1]))
