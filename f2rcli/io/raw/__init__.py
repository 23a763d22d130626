"""Camera raw: files, bursts and CinemaDNG folders; what is written is DNG, all files or none."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from f2rcli.errors import InputError, UsageError
from f2rcli.frames import Frame, PlaneLayout
from f2rcli.io.base import Reader, ReadOptions, WriteOptions, WritePlan, Writer, shown_name
from f2rcli.io.files import PartFile, PartFolder, check_folder, default_folder, misread_error
from f2rcli.io.formats import RAW
from f2rcli.io.numbering import clip_files, files_of, missing_numbers
from f2rcli.io.raw.exposure import CODES, PROVENANCE, Exposure, Samples, headed, new_dng, read_raw
from f2rcli.io.sequence import RATE, SequenceReader, first_readable, mismatch
from f2rcli.samples.lanes import LaneStatistics, Taken, lane_layout, measure_lane, surveyed
from f2rcli.units import count
from f2rcli.yuv import bayer_layout

# --- Reading --------------------------------------------------------------------------------------
BRACKETED = 1.5  # times; exposures of a burst that differ by less may be of changing light
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
        times = [exposure.tags.number("ExposureTime")]
        for path in self.files:  # before the wait; 0.7 ms each
            try:
                own, seconds = headed(path)
            except InputError:  # damaged: it is held in its turn
                continue
            check_belongs(path.name, own, exposure.shared)
            times.append(seconds)
        if 0 < BRACKETED * min(times) <= max(times):
            told = "several of one length gain most in a folder of their own"
            notes.append(f"exposure times differ: {told}")
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
        """What the sensor is like, by pictures spread over the burst; if monochrome, levels."""
        few, more = (self._pictures(surveyed(len(self.every), between=b)) for b in (False, True))
        more = iter(()) if self.options.glance else more
        shown = list(few) or [self.first.crop(read_raw(self.first.path)[1])]
        return measure_lane(shown, more, None if self.first.gray else self.first.mosaic)

    def _pictures(self, places: list[int]) -> Iterator[Samples]:
        for place in places:
            with suppress(InputError):
                exposure, samples = self._exposure(place)
                yield exposure.crop(samples)

    def _layout(self, exposure: Exposure) -> PlaneLayout:
        if exposure.gray:
            return lane_layout(np.dtype(np.uint16), 1, self.seen.levels)
        bits = int(max(self.first.mosaic.white)).bit_length()
        return bayer_layout(exposure.mosaic, bits, exposure.path.name)

    def _exposure(self, index: int) -> tuple[Exposure, Samples]:
        exposure, samples = read_raw(self.every[index])
        check_belongs(exposure.path.name, exposure.shared, self.first.shared)
        return exposure, samples

    def _read(self, index: int) -> Frame:
        exposure, samples = self._exposure(index)
        if not self.profile_fits:
            exposure = replace(exposure, noise=None)
        self.ledger.remark(*self.seen.lines())
        taken = Taken(exposure.crop(samples), self.seen, (exposure, samples))
        return taken.frame(self._layout(exposure))

    def describe(self) -> list[dict[str, Any]]:
        first, mosaic = self.first, self.first.mosaic
        return [{
            "index": 0, "kind": "raw", "codec": first.path.suffix.lower()[1:], "denoised": True,
            "camera": first.tags.camera or None, "iso": first.iso, "frames": len(self.files),
            "cfa": mosaic.pattern or "none", "black": [f"{v:g}" for v in mosaic.black],
            "white": f"{mosaic.white[0]:g}", "sensor": f"{first.shape[1]}x{first.shape[0]}",
            "orientation": first.orientation,
            "rotation": {3: 180, 6: 270, 8: 90}.get(first.orientation),
            "white_balance": mosaic.balance and [round(v, 4) for v in mosaic.balance],
            "noise_profile": first.noise and [v for pair in first.noise for v in pair],
            "first": self.files[0].stem, "last": self.files[-1].stem,
        }]  # fmt: skip


def _others(folder: Path) -> list[str]:
    """A note on files of a folder that are no camera raw."""
    suffixes = (path.suffix.lower() for path in files_of(folder))
    aside = Counter(suffix or "no suffix" for suffix in suffixes if suffix not in RAW)
    others = ", ".join(f"{count} {kind}" for kind, count in sorted(aside.items()))
    return [f"other files in the folder are ignored ({others})"] if others else []


def check_belongs(name: str, own: dict[str, Any], others: dict[str, Any]) -> None:
    """Raise MismatchError for a file that says something else than the first does."""
    for what, value in own.items():
        if value != others[what]:
            before = f"of {what} {others[what] or 'unknown'}"
            raise mismatch(name, f"{what} {value or 'unknown'}", before)


# --- Writing --------------------------------------------------------------------------------------
_EXIFTOOL = "exiftool -TagsFromFile SOURCE -ExifIFD:all -MakerNotes OUTPUT"


def default_target(source: Path) -> Path:
    """`burst_f2r` beside `burst`, `a_f2r.dng` beside `a.cr2`."""
    return default_folder(source) or source.with_name(f"{source.stem}_f2r.dng")


def plan_output(reader: Reader, target: str, options: WriteOptions) -> WritePlan:
    path = Path(target)
    if not isinstance(reader, RawReader):
        what = f"only camera raw is written as {path.suffix}, {reader.info.name} is not camera raw"
        hint = "Name a video or a folder of pictures with output=."
        raise UsageError(f"{path.name}: {what}.", hint=hint)
    options.refuse_encoding("camera raw")
    folder = path.is_dir() or target.endswith(("/", "\\")) or not path.suffix
    if target == "-" or not (folder or path.suffix.lower() == ".dng"):
        hint = "Name a folder with output=: the files keep their names in it."
        raise UsageError(f"{shown_name(target)}: camera raw is written as .dng.", hint=hint)
    if not folder and reader.info.frames != 1:
        middle = float(len(reader.files) // 2 * reader.info.time_base)
        what = f"{path.name}: holds one frame, {reader.info.name} has {reader.info.frames}."
        alone = f"For one picture, restored with the others' help: start={middle:g} frames=1."
        raise UsageError(what, hint=f"Name a folder: output='out/'. {alone}")
    place, name = (path, "") if folder else (path.parent, path.name)
    check_folder(place, reader.paths(), pattern=name, overwrite=options.overwrite)
    if folder:
        names = Counter(one.stem.casefold() for one in reader.files)
        twins = [one.name for one in reader.files if names[one.stem.casefold()] > 1]
        if twins:
            what = f"{' and '.join(twins)} would have the same output."
            raise InputError(what, hint="Rename one of them.")
    tags, private = reader.first.tags, tuple[str, ...]()
    if tags.private or not tags.dng:  # cameras' own files have them, if not always as tags
        private = ("maker notes and the camera's private tags",)
    notes = [f"ExifTool copies maker notes: {_EXIFTOOL}"] * bool(private)
    if tags.number("SampleFormat") == 3:  # what LibRaw makes of them
        notes.append(f"floats become whole codes up to {reader.first.mosaic.white[0]:g}")
    return WritePlan(
        target=target, container="raw", encoder="dng", pix_fmt="cfa16", kept=_kept(reader.first),
        dropped=private, notes=tuple(notes), detail=folder,
    )  # fmt: skip


def _kept(exposure: Exposure) -> tuple[str, ...]:
    tags = exposure.tags
    balance = exposure.mosaic.balance or CODES["AsShotWhiteXY"] in tags.carried
    filters = f"colour filters, {'white balance, ' * bool(balance)}"
    levels = f"levels, {'' if exposure.gray else filters}size"
    colours = "colour matrices and profile" if tags.dng and not exposure.gray else ""
    told = {"camera": tags.camera, "EXIF": tags.exif, "GPS": tags.gps}
    return tuple(filter(None, (levels, colours, *(word for word in told if told[word]))))


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
        exposure.crop(after)[...] = taken.kept(frame)
        if not self.frames:
            self._provenance = self.plan.provenance_text()
        noise = exposure.profile_left(samples, after)
        data = new_dng(exposure, after, noise, self._provenance)
        own = self.reader.every[frame.index or 0]
        name = f"{own.stem}.dng" if self.plan.detail else self.part.path.name
        path = self.part.add(name, data, read_back=False)
        try:
            found, read = read_raw(path)
        except InputError as error:
            reason = str(error).rstrip(".")
            raise misread_error(name, f"cannot be read back: {reason}") from error
        levels = [(one.mosaic.pattern, one.mosaic.white) for one in (exposure, found)]
        if levels[0] != levels[1] or not np.array_equal(found.crop(read), exposure.crop(after)):
            raise misread_error(name)
        self.frames += 1

    def _complete(self) -> tuple[str, ...]:
        return (f"{count(self.frames, 'file')} read back",)

    def seconds(self) -> float:
        return float(self.frames * Fraction(self.reader.info.time_base))


open_reader, open_writer = RawReader, RawWriter
