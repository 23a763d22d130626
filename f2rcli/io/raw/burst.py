"""The files of a burst: found, put in order, and checked against the first."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from f2rcli.errors import InputError
from f2rcli.io.numbering import (
    check_one_kind,
    files_of,
    is_pattern,
    matching,
    natural_key,
    no_match,
)
from f2rcli.io.raw.edits import edits_beside
from f2rcli.io.raw.exposure import RAW_SUFFIXES, Exposure, ExposureHeader, read_header, read_raw
from f2rcli.io.raw.tiff_mosaic import CRVD, TIFF_SUFFIXES, examine_tiff, sensor_facts
from f2rcli.io.sequence import MismatchError

LOOKED_AT = 512  # files whose headers are read before any work; the rest are checked when read


def claims_raw(source: str) -> bool:
    """Whether a source is camera raw: by suffix, or for TIFF by its description or sidecar."""
    path = Path(source)
    if path.is_dir():
        return _claims_folder(path)
    if path.suffix.lower() in RAW_SUFFIXES:
        return True
    if path.suffix.lower() not in TIFF_SUFFIXES:
        return False
    if path.is_file():
        return sensor_facts(path) is not None
    found = matching(path) if is_pattern(source) else []
    return bool(found) and sensor_facts(found[0][1]) is not None


def _claims_folder(folder: Path) -> bool:
    if any(files_of(folder, RAW_SUFFIXES)):
        return True
    tiffs = list(files_of(folder, TIFF_SUFFIXES))
    if any(CRVD.fullmatch(path.name) for path in tiffs):
        return True
    return bool(tiffs) and sensor_facts(min(tiffs, key=natural_key)) is not None


def find_files(source: str) -> tuple[list[Path], list[str]]:
    """A burst's files in natural order, and notes on those left out. Raises InputError for none, or
    several kinds."""
    path = Path(source)
    if path.is_dir():
        return _of_folder(path)
    if not path.exists() and is_pattern(source):
        files = sorted((file for _, file in matching(path)), key=natural_key)
        if not files:
            raise no_match(path)
        return files, _jumps(files)
    return [path], []


def _of_folder(folder: Path) -> tuple[list[Path], list[str]]:
    here = list(files_of(folder))
    raws = [p for p in here if p.suffix.lower() in RAW_SUFFIXES]
    files = raws or [p for p in here if p.suffix.lower() in TIFF_SUFFIXES]
    hint = "Pass a pattern, e.g. folder/IMG_%04d.dng, or denoise them separately."
    check_one_kind(folder, raws, "raw files", hint)
    if not files:
        raise InputError(f"{folder.name}: holds no raw files.", hint="Name another folder.")
    files, notes = _one_draw(files)
    edits = [edit for group in edits_beside(raws).values() for edit in group]  # the plan says
    aside = Counter(p.suffix.lower() or "no suffix" for p in set(here) - {*files, *edits})
    others = ", ".join(f"{count} {kind}" for kind, count in sorted(aside.items()))
    if others and not notes:
        notes = [f"other files in the folder are ignored ({others})"]
    files.sort(key=natural_key)
    return files, [*notes, *_jumps(files)]


def _one_draw(files: list[Path]) -> tuple[list[Path], list[str]]:
    """Of CRVD's several noisy takes per frame, the first; other folders as they are."""
    takes: dict[int, list[Path]] = {}
    for path in files:
        if match := CRVD.fullmatch(path.name):
            takes.setdefault(int(match[2]), []).append(path)
    if not takes:
        return files, []
    first = min(takes)
    note = f"CRVD's layout: take {first} of {len(takes)} is read"
    other = f"; frame%d_noisy{max(takes)}.tiff names another" if len(takes) > 1 else ""
    return takes[first], [note + other]


def _jumps(files: list[Path]) -> list[str]:
    """A note on missing numbers: missing exposures are not replaced."""
    matches = [re.fullmatch(r"(.*?)(\d+)(\D*)", path.stem) for path in files]
    if any(m is None for m in matches) or len({m[1] for m in matches if m}) > 1:
        return []
    numbers = [int(m[2]) for m in matches if m]
    missing = (max(numbers) - min(numbers) + 1 - len(numbers)) if numbers else 0
    return [f"{missing} numbers are missing among the file names"] if missing > 0 else []


def examine(files: list[Path]) -> list[Exposure | Path]:
    """Every exposure of the files in order: TIFF pages, the first raw file that can be read, and
    the paths of all other raw files, whose headers are compared with it.

    A file that cannot be read is given as its path: it is met again when its turn comes. Raises
    the first one's error where no file can be read, and InputError for files of several bursts.
    """
    found: list[Exposure | Path] = []
    refused: InputError | None = None
    known: Exposure | None = None
    for place, path in enumerate(files):
        exposures: list[Exposure | Path] = [path]
        try:
            if known is None or path.suffix.lower() in TIFF_SUFFIXES:
                own = list(exposures_of(path))
                known = known or own[0]
                exposures = list(own)
                header: ExposureHeader = own[0]
            elif place < LOOKED_AT:
                header = read_header(path)
            else:
                header = known
        except InputError as error:
            refused = refused or error
        else:
            _compare(path, header, known)
        found += exposures
    if known is None:
        raise refused or InputError("no raw files.")
    return found


def exposures_of(path: Path) -> Iterator[Exposure]:
    """The exposures in one file."""
    if path.suffix.lower() in TIFF_SUFFIXES:
        yield from examine_tiff(path)
    else:
        yield read_raw(path)[0]


def check_belongs(exposure: Exposure, first: Exposure) -> None:
    """Raise MismatchError unless camera, size, pattern, white level and ISO are the first's."""
    _compare(exposure.path, exposure, first)
    own, others = exposure.mosaic, first.mosaic
    _refuse(exposure.path, first.path, "colour filters", own.pattern, others.pattern)
    _refuse(exposure.path, first.path, "white level", own.white[0], others.white[0])


def _compare(path: Path, header: ExposureHeader, first: Exposure) -> None:
    own, others = (
        {
            "size": f"{h.shape[1]}x{h.shape[0]}",
            "active area": h.active,
            "camera": h.tags.camera,
            "ISO": h.tags.iso,
        }
        for h in (header, first)
    )
    for what, value in own.items():
        _refuse(path, first.path, what, value, others[what])


def _refuse(path: Path, first: Path, what: str, own: object, others: object) -> None:
    if own != others:
        raise MismatchError(
            f"{path.name}: {what} {own or 'unknown'}, {first.name} has {others or 'unknown'}.",
            hint="A burst has one camera and one setting: denoise the parts separately.",
        )
