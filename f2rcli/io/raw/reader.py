"""A burst of raw exposures read as a clip of mosaics: its files found, put in order, compared."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from f2rcli.errors import InputError
from f2rcli.frames import ClipInfo, Frame, PlaneLayout
from f2rcli.io.base import ReadOptions
from f2rcli.io.formats import RAW, TIFF
from f2rcli.io.numbering import (
    check_one_kind,
    files_in_order,
    files_of,
    is_pattern,
    matching,
    missing_numbers,
    natural_key,
)
from f2rcli.io.raw.dng import noise_share
from f2rcli.io.raw.exposure import (
    Exposure,
    ExposureHeader,
    Samples,
    read_header,
    read_raw,
)
from f2rcli.io.raw.tiff_mosaic import CRVD, TiffPages, examine_tiff, sensor_facts
from f2rcli.io.sequence import RATE, MismatchError, SequenceReader
from f2rcli.samples.defects import RECALLED
from f2rcli.samples.lanes import (
    LaneStatistics,
    lane_layout,
    measure_lane,
    planes_seen,
    surveyed,
)
from f2rcli.sensor import bayer_layout

PROFILE_OFF = 2.0  # times, in standard deviations, that a NoiseProfile may be off to be believed
LOOKED_AT = 512  # files whose headers are read before any work; the rest are checked when read


@dataclass(frozen=True, slots=True)
class RawFrame:
    """A frame's source for the writer: the exposure and the whole sensor's samples."""

    exposure: Exposure
    samples: Samples
    seen: LaneStatistics | None = None  # of a monochrome sensor, whose pictures are a stack's


class RawReader(SequenceReader):
    """A raw file, a folder or pattern of them, or TIFF files of mosaics, as one clip."""

    format = "raw"
    every: list[Exposure | Path]
    recalled = RECALLED

    def __init__(self, source: str, options: ReadOptions) -> None:
        files, notes = find_files(source)
        if missing := missing_numbers(files)[0]:
            notes = [*notes, f"{missing} numbers are missing among the file names"]
        every = examine(files)
        self.first = next(item for item in every if isinstance(item, Exposure))
        super().__init__(source, options, every, self.first.tags.rate or RATE)
        self.exposures = every[self.asked.start : self.asked.stop]
        suffix = self.first.path.suffix.lower()
        self.of_tiff = suffix in TIFF
        self.family = "tiff" if self.of_tiff else suffix[1:]
        self._pages = TiffPages()
        self.seen = self._statistics() if self.first.gray else None
        self.info = self._info(notes)

    def _info(self, notes: list[str]) -> ClipInfo:
        exposure = self.first
        _, _, height, width = exposure.active
        self.profile_fits, words = _profile_check(exposure)
        notes = [*notes, *words]
        return ClipInfo(
            name=self.source.name,
            width=width,
            height=height,
            layout=self._layout(exposure),
            frames=len(self.exposures),
            duration=float(len(self.exposures) / self.rate),
            rate=self.rate,
            time_base=1 / self.rate,
            notes=tuple(notes),
            noise_profile=exposure.noise if self.profile_fits and not exposure.gray else None,
        )

    def _statistics(self) -> LaneStatistics:
        """What a monochrome burst is like, by pictures spread over it; see `LaneStatistics`."""
        few, more = (self._pictures(surveyed(len(self.every), between=b)) for b in (False, True))
        return measure_lane(list(few) or [self.first.picture(read_raw(self.first.path)[1])], more)

    def _pictures(self, places: list[int]) -> Iterator[Samples]:
        for place in places:
            with suppress(InputError):
                exposure, samples = self._exposure(place)
                yield exposure.picture(samples)

    def _layout(self, exposure: Exposure) -> PlaneLayout:
        if self.seen is not None:
            return lane_layout(np.dtype(np.uint16), 1, self.seen.levels)
        return bayer_layout(exposure.even_mosaic, self.first.bits, exposure.path.name)

    def _exposure(self, index: int) -> tuple[Exposure, Samples]:
        item = self.every[index]
        path = item if isinstance(item, Path) else item.path
        if path.suffix.lower() not in TIFF:
            exposure, samples = read_raw(path)
        elif isinstance(item, Exposure):
            exposure, samples = item, self._pages.read(item)
        else:  # it could not be read before, and says why again
            exposure = next(exposures_of(path))
            samples = self._pages.read(exposure)
        check_belongs(exposure, self.first)
        return exposure, samples

    def _read(self, index: int) -> Frame:
        exposure, samples = self._exposure(index)
        if not self.profile_fits:
            exposure = replace(exposure, noise=None)
        picture, seen, layout = exposure.picture(samples), self.seen, self._layout(exposure)
        source = RawFrame(exposure, samples, seen)
        if seen is None:
            return Frame(planes=(picture,), layout=layout, source=source)
        stored = seen.stored(picture)
        return Frame(planes=planes_seen(picture, seen), layout=layout, stored=stored, source=source)

    def _named(self, frame: Frame, index: int) -> Frame:
        taken: RawFrame = frame.source
        exposure = replace(taken.exposure, name=named(self.every[index]))
        return replace(frame, source=replace(taken, exposure=exposure))

    def provenance_text(self) -> str:
        return self.first.tags.provenance

    def describe(self) -> list[dict[str, Any]]:
        first, mosaic = self.first, self.first.mosaic
        return [
            {
                "index": 0, "kind": "raw", "codec": self.family, "denoised": True,
                "camera": first.tags.camera or None, "iso": first.iso,
                "frames": len(self.exposures), "cfa": mosaic.pattern or "none",
                "black": [f"{v:g}" for v in mosaic.black], "white": f"{mosaic.white[0]:g}",
                "sensor": f"{first.shape[1]}x{first.shape[0]}", "orientation": first.orientation,
                "rotation": {3: 180, 6: 270, 8: 90}.get(first.orientation),
                "white_balance": [round(v, 4) for v in mosaic.balance],
                "noise_profile": first.noise and [v for pair in first.noise for v in pair],
                "first": named(self.exposures[0]), "last": named(self.exposures[-1]),
            }
        ]  # fmt: skip

    def paths(self) -> list[Path]:
        files = [item if isinstance(item, Path) else item.path for item in self.exposures]
        return list(dict.fromkeys(files))

    def close(self) -> None:
        """Let go of an open TIFF."""
        self._pages.close()


def named(item: Exposure | Path) -> str:
    """The name of an exposure, without a suffix."""
    return item.stem if isinstance(item, Path) else item.name


def _profile_check(exposure: Exposure) -> tuple[bool, list[str]]:
    """Whether a file's NoiseProfile fits its samples, and a line about it. Raises InputError."""
    if exposure.noise is None or exposure.gray:  # whose law is measured
        return True, []
    share = noise_share(*read_raw(exposure.path))
    if share is None or 1 / PROFILE_OFF <= share <= PROFILE_OFF:
        return True, ["noise as the files' NoiseProfile states it"]
    words = (
        f"noise is {share:.2g} times what the files' NoiseProfile states: it is measured instead"
    )
    return False, [words]


def claims_raw(source: str) -> bool:
    """Whether a source is camera raw: by suffix, or for TIFF by its description or sidecar."""
    path = Path(source)
    if path.is_dir():
        tiffs = list(files_of(path, TIFF))
        return (
            any(files_of(path, RAW))
            or any(CRVD.fullmatch(tiff.name) for tiff in tiffs)
            or (bool(tiffs) and sensor_facts(min(tiffs, key=natural_key)) is not None)
        )
    if path.suffix.lower() in RAW:
        return True
    if path.suffix.lower() not in TIFF:
        return False
    if path.is_file():
        return sensor_facts(path) is not None
    found = matching(path) if is_pattern(source) else []
    return bool(found) and sensor_facts(found[0][1]) is not None


def find_files(source: str) -> tuple[list[Path], list[str]]:
    """A burst's files in natural order, and notes on those left out. Raises InputError for none, or
    several kinds."""
    path = Path(source)
    if path.is_dir():
        return _of_folder(path)
    if not path.exists() and is_pattern(source):
        return files_in_order(path), []
    return [path], []


def _of_folder(folder: Path) -> tuple[list[Path], list[str]]:
    here = list(files_of(folder))
    raws = [p for p in here if p.suffix.lower() in RAW]
    files = raws or [p for p in here if p.suffix.lower() in TIFF]
    hint = "Pass a pattern, e.g. folder/IMG_%04d.dng, or denoise them separately."
    check_one_kind(folder, raws, "raw files", hint)
    if not files:
        raise InputError(f"{folder.name}: holds no raw files.", hint="Name another folder.")
    files, notes = _one_draw(files)
    aside = Counter(p.suffix.lower() or "no suffix" for p in set(here) - set(files))
    others = ", ".join(f"{count} {kind}" for kind, count in sorted(aside.items()))
    if others and not notes:
        notes = [f"other files in the folder are ignored ({others})"]
    return sorted(files, key=natural_key), notes


def _one_draw(files: list[Path]) -> tuple[list[Path], list[str]]:
    """Of CRVD's several noisy takes per frame, the first; other folders as they are."""
    takes: dict[int, list[Path]] = {}
    for path in files:
        if (match := CRVD.fullmatch(path.name)) and match[2] is not None:
            takes.setdefault(int(match[2]), []).append(path)
    if not takes:
        return files, []
    first = min(takes)
    note = f"CRVD's layout: take {first} of {len(takes)} is read"
    other = f"; frame%d_noisy{max(takes)}.tiff names another" if len(takes) > 1 else ""
    return takes[first], [note + other]


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
            if known is None or path.suffix.lower() in TIFF:
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
    if path.suffix.lower() in TIFF:
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
