"""TIFF tags of raw files that LibRaw does not give: camera, ISO, noise profile, truncation."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import tifffile

from f2rcli.io.tiff.library import DAMAGE, STORAGE, quiet_tifffile

NOISE_PROFILE, FRAME_RATE = 51041, 51044
DIGESTS = (50972, 51111)  # of the raw samples; they no longer hold once those change
_MAKE, _MODEL, _ORIENTATION, _ISO, _EXIF = 271, 272, 274, 34855, 34665
_MOST_PAGES = 64  # of a raw file; a damaged list of pages may run in a circle
_RAW_PHOTOMETRICS = (32803, 34892)  # CFA, LinearRaw

# Tags of a DNG that say how its samples are to be shown: copied when a file is written anew.
# Storage, levels and pattern are left out, they are written as the samples now are.
CARRIED = frozenset({
    270, 271, 272, 306, 315, 33432, 33434, 33437, 34850, 36867, 37386,  # who, when, exposure
    50708, 50709, 50719, 50720,  # camera model, default crop
    *range(50721, 50737),  # colour matrices, balance, neutral, exposure, noise, sharpness, serial
    *range(50737, 50741), 50778, 50779, 50780, 50827, *range(50831, 50835), 50879, 50931, 50932,
    50934, *range(50936, 50943), 50964, 50965, 50981, 50982, 51008, 51009, 51022,  # profile, lens
    51041, 51043, 51044, 51058, 51081, *range(51089, 51092), 51105, *range(51107, 51111), 51112,
    51125, 52525, *range(52529, 52536), 52537, 52538, 52543, 52544, 52551, 52552,
})  # fmt: skip
# Written anew as samples now are, or of previews and former samples; 50741 is of maker notes.
_RENEWED = STORAGE | {
    271, 272, 274, 282, 283, 296, 33421, 33422, 37398, 50706, 50707, *range(50710, 50719),
    50741, 50781, 50829, 50830, *range(50966, 50972), *DIGESTS, *range(50973, 50976), 51113,
    51114,
}  # fmt: skip

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
    carried: tuple[Tag, ...] = ()  # of a DNG
    dng: bool = False
    # Of tags that are not written anew, by code
    names: dict[int, str] = field(default_factory=dict)
    previews: bool = True  # whether it may hold some
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
        with quiet_tifffile(), tifffile.TiffFile(path) as file:
            pages = list(_pages(file))
            if not pages:
                return RawTags()
            return _facts(pages, path.stat().st_size)
    except DAMAGE:
        return RawTags()


def raw_page(file: tifffile.TiffFile) -> Any | None:
    """The page that holds the full-size raw samples; None where there is none."""
    raw = [page for page in _pages(file) if int(page.photometric) in _RAW_PHOTOMETRICS]
    return max(raw, key=lambda page: page.imagewidth * page.imagelength, default=None)


def _pages(file: tifffile.TiffFile) -> Iterator[Any]:
    for page in islice(file.pages, _MOST_PAGES):
        yield page
        if isinstance(page, tifffile.TiffPage) and page.pages:
            yield from page.pages


def _facts(pages: list[Any], size: int) -> RawTags:
    first = pages[0].tags
    exif = getattr(first.get(_EXIF), "value", None)
    known = {tag.code: tag.value for tag in first.values()}
    iso = known.get(_ISO) or (exif.get("ISOSpeedRatings") if isinstance(exif, dict) else None)
    noise = next((p.tags.valueof(NOISE_PROFILE) for p in pages if NOISE_PROFILE in p.tags), None)
    dng = 50706 in known
    own = [page for page in reversed(pages) if page is pages[0] or int(page.photometric) == 32803]
    others = {
        tag.code: f"tag {tag.code}" if str(tag.name).isdecimal() else str(tag.name)
        for page in own for tag in page.tags if tag.code not in _RENEWED
    }  # fmt: skip
    carried = {
        tag.code: (tag.code, int(tag.dtype), tag.count, tag.value, True)
        for page in own
        for tag in page.tags.values()
        if dng and tag.code in CARRIED
    }
    return RawTags(
        make=str(known.get(_MAKE, "")).strip(),
        model=str(known.get(_MODEL, "")).strip(),
        iso=_first_int(iso),
        orientation=_first_int(known.get(_ORIENTATION)),
        rate=_rate(known.get(FRAME_RATE)),
        noise=_floats(noise),
        carried=tuple(carried[code] for code in sorted(carried)),
        names=others,
        previews=any(int(page.photometric) not in _RAW_PHOTOMETRICS for page in pages),
        dng=dng,
        missing_bytes=max(0, max(_ends(pages), default=0) - size),
    )


def _ends(pages: list[Any]) -> Iterator[int]:
    for page in pages:
        for offset, length in zip(page.dataoffsets, page.databytecounts, strict=False):
            yield int(offset) + int(length)


def _first_int(value: Any) -> int | None:
    if isinstance(value, tuple | list):
        value = value[0] if value else None
    return int(value) if value else None


def _floats(value: Any) -> tuple[float, ...] | None:
    pairs = tuple(float(v) for v in value) if isinstance(value, tuple | list) else ()
    sound = len(pairs) in (2, 6, 8) and all(v >= 0 for v in pairs) and any(pairs)
    return pairs if sound else None


def _rate(value: Any) -> Fraction | None:
    if not isinstance(value, tuple | list) or len(value) != 2 or value[0] <= 0 or value[1] <= 0:
        return None
    return Fraction(int(value[0]), int(value[1]))
