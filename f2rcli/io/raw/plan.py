"""The output plan for camera raw: target, format, what is kept and what is not."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from f2rcli.errors import InputError, UsageError
from f2rcli.io.base import Reader, WriteOptions, WritePlan
from f2rcli.io.raw.dng import exif_of
from f2rcli.io.raw.exposure import Exposure
from f2rcli.io.raw.reader import RawReader, named
from f2rcli.io.raw.tiff_mosaic import TIFF_SUFFIXES
from f2rcli.io.targets import check_folder, check_target

RawFormat = Literal["dng", "tiff"]
_SUFFIX_FORMATS: dict[str, RawFormat] = {".dng": "dng", ".tif": "tiff", ".tiff": "tiff"}

# What a plan lists as kept, in words.
LEVELS = "levels, colour filters, white balance, size"
COLOURS, CAMERA = "colour matrices and profile", "camera and ISO"
EXIF_WORDS, GPS_WORDS = "exposure, lens and date", "GPS"
AS_JSON = "levels, colour filters and ISO as JSON in the description"
_NAMED = 4  # tags that are listed by name; the others are counted


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
    kept, dropped = _fate(reader.first, form, demosaic=options.demosaic)
    return WritePlan(
        target=target,
        container="raw",
        encoder=form,
        pix_fmt="rgb48" if options.demosaic else "cfa16",
        kept=kept,
        dropped=dropped,
        notes=_notes(reader.first, form),
        detail=RawDetail(
            demosaic=options.demosaic,
            folder=None if single else path,
            suffix=path.suffix if single else _own_suffix(reader, form),
        ),
    )


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
        raise UsageError(
            f"{path.name}: a DNG holds one frame, {reader.info.name} has {reader.info.frames}.",
            hint="Name a folder: output='out/'.",
        )
    return form, True


def _own_suffix(reader: RawReader, form: RawFormat) -> str:
    suffix = reader.first.path.suffix
    if form == "tiff":
        return suffix if suffix.lower() in TIFF_SUFFIXES else ".tif"
    return suffix if suffix.lower() == ".dng" else ".dng"


def _check_names(reader: RawReader) -> None:
    """Raise InputError where two outputs would have one name, in any case of letters."""
    seen: dict[str, Path] = {}
    for item in reader.exposures:
        path = item.path if isinstance(item, Exposure) else item
        name = named(item).casefold()
        if name in seen:
            raise InputError(
                f"{path.name}: would have the same output as {seen[name].name}.",
                hint="Rename one of them.",
            )
        seen[name] = path


def _fate(
    exposure: Exposure, form: RawFormat, *, demosaic: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is kept, and what is not."""
    if exposure.path.suffix.lower() in TIFF_SUFFIXES:
        if form == "dng":
            return (LEVELS,), ()
        return (() if demosaic else (AS_JSON,)), (("the mosaic (developed)",) if demosaic else ())
    if form == "dng":
        known = {
            LEVELS: True, COLOURS: exposure.tags.dng, CAMERA: not exposure.tags.dng,
            EXIF_WORDS: exif_of(exposure).keys() - {"ISOSpeedRatings"} != set(),
            GPS_WORDS: bool(exposure.tags.gps),
        }  # fmt: skip
        return tuple(words for words, there in known.items() if there), tuple(_left(exposure))
    lost = [words for words, there in ((EXIF_WORDS, exif_of(exposure)),
                                       (GPS_WORDS, exposure.tags.gps)) if there]  # fmt: skip
    if demosaic:
        developed = "the mosaic (developed by LibRaw to sRGB, as shot, upright)"
        return (), (developed, *lost, *_left(exposure))
    turned = ["Orientation"] if exposure.orientation != 1 else []
    masked = ["ActiveArea"] if exposure.active != (0, 0, *exposure.shape) else []
    return (AS_JSON,), (*lost, *turned, *masked, *_left(exposure))


def _left(exposure: Exposure) -> list[str]:
    """What of the camera's own data stays in the source."""
    names = exposure.tags.left
    if not names and not exposure.tags.exif:
        return ["the camera's own data (maker notes)"]
    more = [f"{len(names) - _NAMED} more tags"] if len(names) > _NAMED else []
    return [*names[:_NAMED], *more]


def _notes(exposure: Exposure, form: RawFormat) -> tuple[str, ...]:
    """How to carry over what f2r does not."""
    if form != "dng" or exposure.path.suffix.lower() in TIFF_SUFFIXES or not _left(exposure):
        return ()
    return (
        "ExifTool copies the rest: exiftool -TagsFromFile SOURCE -ExifIFD:all -MakerNotes OUTPUT",
    )
