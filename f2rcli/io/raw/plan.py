"""The output plan for camera raw: target, format and losses."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from f2rcli.errors import InputError, UsageError
from f2rcli.io.base import Reader, WriteOptions, WritePlan
from f2rcli.io.raw.dng import carried_metadata, find_strips
from f2rcli.io.raw.edits import Edit, edits_for, words
from f2rcli.io.raw.exposure import Exposure, read_raw
from f2rcli.io.raw.metadata import IPTC, PRIVATE, XMP, Metadata, unheld
from f2rcli.io.raw.read_back import AS_JSON, CAMERA, LEVELS, MATRICES
from f2rcli.io.raw.reader import RawReader, named
from f2rcli.io.raw.tiff_mosaic import TIFF_SUFFIXES, sidecars
from f2rcli.io.targets import check_folder, check_target

RawFormat = Literal["dng", "tiff"]
_IN_FACTS = {50728, 51044}  # tags that the description of a mosaic in TIFF has: balance and rate
_SUFFIX_FORMATS: dict[str, RawFormat] = {".dng": "dng", ".tif": "tiff", ".tiff": "tiff"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RawDetail:
    """The writer's part of the plan."""

    demosaic: bool
    folder: Path | None  # None: one file
    suffix: str
    sidecar: Path | None  # of the source, copied beside the target
    edits: tuple[Edit, ...]  # copied too, where nothing of their names is there


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
    suffix = path.suffix if single else _own_suffix(reader, form)
    if single:
        check_target(path, reader.paths(), overwrite=options.overwrite)
    else:
        check_folder(path, reader.paths(), overwrite=options.overwrite)
        _check_names(reader)
    beside = sidecars(reader.first.path) if form == "tiff" and not options.demosaic else []
    kept, dropped = _fate(reader.first, form, demosaic=options.demosaic)
    edits = [] if reader.of_tiff else edits_for(_outputs(reader, path, suffix, single=single))
    there = [edit for edit in edits if form == "dng" and edit.target.exists()]
    copied = [edit for edit in edits if form == "dng" and edit not in there]
    return WritePlan(
        target=target,
        container="raw",
        encoder=form,
        pix_fmt="rgb48" if options.demosaic else "cfa16",
        kept=(*kept, *words(copied)),
        dropped=(*dropped, *words([] if form == "dng" else edits)),
        notes=tuple(f"{edit.target.name} already exists and is left as it is" for edit in there),
        detail=RawDetail(
            demosaic=options.demosaic,
            folder=None if single else path,
            suffix=suffix,
            sidecar=next(iter(beside), None),
            edits=tuple(copied),
        ),
    )


def _outputs(reader: RawReader, path: Path, suffix: str, *, single: bool) -> dict[Path, Path]:
    """The files of a burst, and what becomes of each."""
    names = {
        item.path if isinstance(item, Exposure) else item: f"{named(item)}{suffix}"
        for item in reader.exposures
    }
    return {source: path if single else path / name for source, name in names.items()}


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
    metadata = carried_metadata(exposure)
    of_raw = exposure.path.suffix.lower() not in TIFF_SUFFIXES
    previews = ("previews",) if of_raw and exposure.tags.previews else ()
    if demosaic:
        developed = "the mosaic (developed by LibRaw to sRGB, as shot, upright)"
        kept, lost = _pictured(exposure, metadata, metadata.for_pictures)
        return kept, (developed, *lost, *previews)
    if form == "tiff":
        kept, lost = _pictured(exposure, metadata, metadata.for_mosaics)
        turned = ("Orientation",) if exposure.orientation != 1 else ()
        masked = ("ActiveArea",) if exposure.active != (0, 0, *exposure.shape) else ()
        return (AS_JSON, *kept), (*lost, *turned, *masked, *previews) if of_raw else ()
    if not of_raw:
        return (LEVELS,), ()
    if exposure.tags.dng:
        _, samples = read_raw(exposure.path)
        if find_strips(exposure.path, samples) is not None:
            return ("every byte of the source DNG but its samples",), ()
    own = MATRICES if exposure.tags.dng else CAMERA
    carried = {tag[0] for tag in exposure.tags.carried}
    others = _left_out(exposure, metadata.codes | carried)
    return (LEVELS, own, *metadata.kept), (*previews, *others, *unheld(exposure.path, metadata))


def _pictured(
    exposure: Exposure, whole: Metadata, part: Metadata
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What of the metadata a TIFF keeps, and what is lost, by name."""
    without = whole.without(part)
    named = part.codes | {XMP, IPTC, PRIVATE} | _IN_FACTS  # those three in words of their own
    return tuple(part.kept), (*without, *_left_out(exposure, named), *unheld(exposure.path, whole))


def _left_out(exposure: Exposure, codes: set[int]) -> Iterator[str]:
    """Names of a raw file's tags that are not among these."""
    return (name for code, name in sorted(exposure.tags.names.items()) if code not in codes)
