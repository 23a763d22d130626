"""A raw exposure: metadata and samples of one file, through LibRaw (rawpy)."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import rawpy
from numpy.typing import NDArray

from f2rcli.errors import InputError
from f2rcli.frames import Mosaic
from f2rcli.io.base import MOST_PIXELS
from f2rcli.io.raw.tags import RawTags, read_tags
from f2rcli.sensor import PATTERNS, plane_colours

Samples = NDArray[Any]  # (H, W) uint16 or uint8, the whole sensor, masked margins included

RAW_SUFFIXES = frozenset({
    ".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".raf", ".rw2", ".rwl",
    ".orf", ".pef", ".srw", ".kdc", ".dcr", ".dcs", ".3fr", ".fff", ".iiq", ".mrw", ".erf", ".mef",
    ".mos", ".x3f", ".gpr",
})  # fmt: skip
# Dual ISO is a stop or more; the means of every other pair of rows of one exposure are the same.
APART, DARK = 1.5, 0.01  # times; of the range, below which there is too little light to tell
_FLIPS = {0: 1, 3: 3, 5: 8, 6: 6}  # LibRaw's flip -> TIFF's orientation

NoiseProfile = tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class ExposureHeader:
    """Metadata that files have before their samples are decoded."""

    shape: tuple[int, int]  # rows and columns of the whole sensor
    active: tuple[int, int, int, int]  # top, left, height, width of what sees light
    tags: RawTags = field(default_factory=RawTags)


@dataclass(frozen=True, kw_only=True)
class Exposure(ExposureHeader):
    """Metadata of an exposure."""

    path: Path
    name: str  # of the exposure, without a suffix
    page: int = 0  # of a TIFF
    # Of the active area, from its corner: what the camera's own pictures show; None: all.
    shown: tuple[int, int, int, int] | None = None
    aspect: float = 1.0  # how much wider than high a pixel is
    mosaic: Mosaic  # of the active area
    iso: int | None = None
    orientation: int = 1  # TIFF's
    matrix: tuple[float, ...] = ()  # XYZ to the camera's colours, nine values; () unknown
    noise: NoiseProfile | None = None  # (gain, read variance) per plane
    other: Any = None  # LibRaw's reading of exposure time, aperture, focal length and date
    lens: Any = None  # and of the lens

    @property
    def gray(self) -> bool:
        """Whether the sensor has no colour filters."""
        return not self.mosaic.pattern

    @property
    def bits(self) -> int:
        """Bits that the codes up to white take."""
        return int(max(self.mosaic.white)).bit_length()

    def crop(self, samples: Samples) -> Samples:
        """The active area, as a view."""
        top, left, height, width = self.active
        return samples[top : top + height, left : left + width]

    @cached_property
    def lift(self) -> NDArray[np.uint16] | None:
        """What each row and column of the active area lies below the highest black level, in
        codes; None where all have one level. See DNG's BlackLevelDeltaV and BlackLevelDeltaH."""
        top, left, height, width = self.active
        first = self.tags.area[:2] or (top, left)
        down = np.array(self.tags.black_down)[top - first[0] :][:height]
        across = np.array(self.tags.black_across)[left - first[1] :][:width]
        if len(down) != height and len(across) != width:
            return None
        down = down if len(down) == height else np.zeros(height)
        across = across if len(across) == width else np.zeros(width)
        level = down[:, None] + across
        lift = np.rint(level.max() - level).astype(np.uint16)
        return lift if lift.any() else None

    def picture(self, samples: Samples) -> Samples:
        """The active area with one black level, which `even_mosaic` has."""
        if self.lift is None:
            return self.crop(samples)
        top = np.uint16(np.iinfo(np.uint16).max)
        lifted: Samples = np.minimum(self.crop(samples), top - self.lift) + self.lift
        return lifted

    def put_back(self, picture: Samples, samples: Samples) -> None:
        """Set the active area to what `picture` gave, changed: with its levels as stored."""
        lift = 0 if self.lift is None else self.lift
        self.crop(samples)[...] = np.maximum(picture, lift) - lift

    @property
    def even_mosaic(self) -> Mosaic:
        """The mosaic of `picture`."""
        if self.lift is None:
            return self.mosaic
        by = float(self.lift.mean())
        a, b, c, d = (black + by for black in self.mosaic.black)
        return replace(self.mosaic, black=(a, b, c, d))


def read_header(path: Path) -> ExposureHeader:
    """The header of a raw file. Raises InputError for incomplete and other files."""
    tags = _checked_tags(path)
    with _opened(path) as raw:
        shape, active = _geometry(raw)
    return ExposureHeader(shape=shape, active=active, tags=tags)


def read_raw(path: Path) -> tuple[Exposure, Samples]:
    """A raw file and its samples. Raises InputError if it cannot be read or denoised."""
    tags = _checked_tags(path)
    with _opened(path) as raw:
        check_size(path, _geometry(raw)[0], hint="The file is most likely damaged.")
        try:
            # rawpy decodes the samples for most facts already
            exposure, samples = _exposure(raw, path, tags), np.array(raw.raw_image)
        except rawpy.LibRawFileUnsupportedError as error:
            raise InputError(
                f"{path.name}: its samples are packed in a way that LibRaw cannot unpack.",
                hint="Convert it to a plain DNG first (Adobe's converter, GoPro's gpr_tools).",
            ) from error
        except rawpy.LibRawError as error:
            raise _damaged(path, error) from error
        except NotImplementedError as error:  # rawpy's, for filter patterns it has no name for
            raise InputError(
                f"{path.name}: its colour filters are unknown ({error}).",
                hint="Convert it to DNG first.",
            ) from error
    _check_rows(exposure, samples)
    return exposure, samples


def _check_rows(exposure: Exposure, samples: Samples) -> None:
    """Raise InputError for rows that alternate, two by two, between exposures (Magic Lantern's
    dual ISO): neighbours in space and time would be of another brightness."""
    black, white = exposure.even_mosaic.black[0], max(exposure.mosaic.white)
    rows = exposure.picture(samples)[:, ::8].mean(1)[: exposure.active[2] // 4 * 4]
    if not rows.size:
        return
    light = np.sort(rows.reshape(-1, 2, 2).mean((0, 2)) - black)
    if light[1] > DARK * (white - black) and light[1] > APART * light[0]:
        raise InputError(
            f"{exposure.path.name}: its rows alternate between two exposures (dual ISO).",
            hint="Make one exposure of them first, with MLV App or cr2hdr.",
        )


def _geometry(raw: Any) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    sizes = raw.sizes
    active = (sizes.top_margin, sizes.left_margin, sizes.height, sizes.width)
    return (sizes.raw_height, sizes.raw_width), active


def check_size(path: Path, shape: tuple[int, int], hint: str = "") -> None:
    """Raise InputError for more pixels (rows, columns) than a sensor has."""
    if shape[0] * shape[1] > MOST_PIXELS:
        raise InputError(
            f"{path.name}: claims {shape[1]}x{shape[0]} pixels, more than f2r "
            f"allows ({MOST_PIXELS / 1e6:.0f} million).",
            hint=hint,
        )


def _checked_tags(path: Path) -> RawTags:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(
            f"{path.name}: {error.strerror or 'cannot be read'}.", hint="Check its permissions."
        ) from error
    if not size:
        raise InputError(f"{path.name}: is empty (0 bytes).", hint="Copy it from the camera again.")
    tags = read_tags(path)
    if tags.missing_bytes:
        raise InputError(
            f"{path.name}: is cut off, {tags.missing_bytes} bytes are missing.",
            hint="Copy it from the camera again.",
        )
    return tags


def _opened(path: Path) -> Any:
    raw = rawpy.RawPy()
    try:
        raw.open_file(str(path))
    except rawpy.LibRawFileUnsupportedError as error:
        raise InputError(
            f"{path.name}: is not a camera raw file that LibRaw knows.",
            hint="Files of newer cameras: convert them to DNG first.",
        ) from error
    except (rawpy.LibRawError, OSError) as error:
        raise _damaged(path, error) from error
    return raw


def _damaged(path: Path, error: BaseException) -> InputError:
    text = error.args[0] if error.args else ""
    reason = text.decode("ascii", "replace") if isinstance(text, bytes) else str(text)
    return InputError(
        f"{path.name}: is damaged or cut off ({reason or type(error).__name__}).",
        hint="Copy it from the camera again.",
    )


def _exposure(raw: Any, path: Path, tags: RawTags) -> Exposure:
    shape, active = _geometry(raw)
    matrix = np.asarray(raw.rgb_xyz_matrix, np.float64)[:3]
    return Exposure(
        path=path,
        name=path.stem,
        shape=shape,
        active=active,
        shown=_shown(raw.sizes, tags),
        aspect=float(raw.sizes.pixel_aspect) or 1.0,
        mosaic=_mosaic(raw, path.name),
        iso=tags.iso or int(raw.other.iso_speed) or None,
        orientation=tags.orientation or _FLIPS.get(raw.sizes.flip, 1),
        matrix=tuple(matrix.flatten().tolist()) if matrix.any() else (),
        noise=_profile(tags.noise),
        tags=tags,
        other=raw.other,
        lens=raw.lens,
    )


def _shown(sizes: Any, tags: RawTags) -> tuple[int, int, int, int] | None:
    """Top, left, height and width of what is shown, from the corner of the active area, if known.

    A DNG's crop counts from the area it states, LibRaw's area begins at even rows and columns.
    """
    if tags.crop and len(tags.area) in (0, 4):
        across, down, width, height = (round(v) for v in tags.crop)
        top, left = (tags.area or (0, 0))[:2]
        down, across = down + top - sizes.top_margin, across + left - sizes.left_margin
        height, width = height + min(down, 0), width + min(across, 0)
        down, across = max(down, 0), max(across, 0)
        height, width = min(height, sizes.height - down), min(width, sizes.width - across)
        return (down, across, height, width) if min(height, width) > 0 else None
    top = sizes.crop_top_margin - sizes.top_margin
    left = sizes.crop_left_margin - sizes.left_margin
    height, width = sizes.crop_height, sizes.crop_width
    inside = top >= 0 <= left and top + height <= sizes.height and left + width <= sizes.width
    return (top, left, height, width) if inside and height and width else None


def _mosaic(raw: Any, name: str) -> Mosaic:
    """The mosaic of the active area. Raises InputError for sensors without a Bayer pattern."""
    if raw.raw_type is not rawpy.RawType.Flat or raw.raw_pattern is None:
        raise InputError(
            f"{name}: holds full colours at every pixel (Foveon, sRAW, linear DNG), not a mosaic.",
            hint="f2r denoises Bayer raw; develop it to 16-bit pictures instead.",
        )
    white = (float(raw.white_level),) * 4
    if raw.raw_pattern.shape == (1, 1) and raw.raw_image.ndim == 2:  # a monochrome sensor
        return Mosaic(pattern="", black=(float(raw.black_level_per_channel[0]),) * 4, white=white)
    if raw.raw_pattern.shape != (2, 2):
        kind = "an X-Trans" if raw.raw_pattern.shape == (6, 6) else "a non-Bayer"
        raise InputError(
            f"{name}: comes from {kind} sensor; f2r denoises Bayer mosaics.",
            hint="Develop it to 16-bit pictures first and denoise those.",
        )
    cell = raw.raw_colors_visible[:2, :2].tolist()
    letters = raw.color_desc.decode("ascii", "replace")
    pattern = "".join(letters[colour] for row in cell for colour in row)
    if pattern not in PATTERNS:
        raise InputError(
            f"{name}: its colour filters are {letters} ({pattern}), not red, green and blue.",
            hint="Develop it to 16-bit pictures first and denoise those.",
        )
    blacks = [0.0] * 4
    for colours, planes in zip(cell, plane_colours(pattern), strict=True):
        for colour, plane in zip(colours, planes, strict=True):
            blacks[plane] = float(raw.black_level_per_channel[colour])
    r, g, b, other = blacks
    return Mosaic(pattern=pattern, black=(r, g, b, other), white=white, balance=_balance(raw))


def _balance(raw: Any) -> tuple[float, float, float]:
    red, green, blue = (float(v) for v in raw.camera_whitebalance[:3])
    known = min(red, green, blue) > 0
    return (red / green, 1.0, blue / green) if known else (1.0, 1.0, 1.0)


def _profile(pairs: tuple[float, ...] | None) -> NoiseProfile | None:
    """A DNG's NoiseProfile, one pair for all or one per colour, as one per plane."""
    if pairs is None:
        return None
    each = tuple(zip(pairs[::2], pairs[1::2], strict=True))
    return each * 4 if len(each) == 1 else (each[0], each[1], each[2], each[1])
