"""A burst of raw exposures read as a clip of mosaics: its files found, put in order, compared."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from f2rcli.errors import InputError
from f2rcli.frames import ClipInfo, Frame, PlaneLayout
from f2rcli.io.base import ReadOptions
from f2rcli.io.formats import RAW
from f2rcli.io.numbering import clip_files, files_of, missing_numbers
from f2rcli.io.raw.exposure import FRAME_RATE, PROVENANCE, Exposure, Samples, noise_share, read_raw
from f2rcli.io.sequence import RATE, MismatchError, SequenceReader, first_readable
from f2rcli.samples.lanes import (
    LaneStatistics,
    Taken,
    lane_layout,
    measure_lane,
    measure_mosaic,
    surveyed,
)
from f2rcli.sensor import bayer_layout

PROFILE_OFF = 2.0  # times, in standard deviations, that a NoiseProfile may be off to be believed


class RawReader(SequenceReader):
    """A raw file, a folder or a pattern of them, as one clip."""

    format = "raw"

    def __init__(self, source: str, options: ReadOptions) -> None:
        files = clip_files(source, RAW, "raw files")
        notes = _others(Path(source)) if Path(source).is_dir() else []
        if missing := missing_numbers(files)[0]:
            notes.append(f"{missing} numbers are missing among the file names")
        exposure, samples = first_readable(files, read_raw)
        self.first, self.provenance = exposure, exposure.tags.text(PROVENANCE)
        rate = Fraction(exposure.tags.number(FRAME_RATE)).limit_denominator(1 << 16)
        super().__init__(source, options, files, rate if rate > 0 else RATE)
        _, _, height, width = exposure.active
        share = None if exposure.gray else noise_share(exposure, samples)  # whose law is measured
        self.profile_fits = share is None or 1 / PROFILE_OFF <= share <= PROFILE_OFF
        if not self.profile_fits:
            often = f"noise is {share:.2g} times what the files' NoiseProfile states"
            notes.append(f"{often}: it is measured instead")
        elif exposure.noise is not None and not exposure.gray:
            notes.append("noise as the files' NoiseProfile states it")
        self.info = ClipInfo(
            name=self.source.name,
            width=width,
            height=height,
            layout=self._layout(exposure),
            frames=len(self.files),
            duration=float(len(self.files) / self.rate),
            rate=self.rate,
            time_base=1 / self.rate,
            notes=tuple(notes),
            noise_profile=exposure.noise if self.profile_fits and not exposure.gray else None,
        )

    @cached_property
    def seen(self) -> LaneStatistics:
        """What the burst's sensor is like, by pictures spread over it: of a monochrome one, whose
        pictures are a stack's, levels too."""
        few, more = (self._pictures(surveyed(len(self.every), between=b)) for b in (False, True))
        more = iter(()) if self.options.glance else more
        shown = list(few) or [self.first.picture(read_raw(self.first.path)[1])]
        if self.first.gray:
            return measure_lane(shown, more)
        return measure_mosaic(shown, more, self.first.even_mosaic)

    def _pictures(self, places: list[int]) -> Iterator[Samples]:
        for place in places:
            with suppress(InputError):
                exposure, samples = self._exposure(place)
                yield exposure.picture(samples)

    def _layout(self, exposure: Exposure) -> PlaneLayout:
        if exposure.gray:
            return lane_layout(np.dtype(np.uint16), 1, self.seen.levels)
        bits = int(max(self.first.mosaic.white)).bit_length()
        return bayer_layout(exposure.even_mosaic, bits, exposure.path.name)

    def _exposure(self, index: int) -> tuple[Exposure, Samples]:
        exposure, samples = read_raw(self.every[index])
        check_belongs(exposure, self.first)
        return exposure, samples

    def _read(self, index: int) -> Frame:
        exposure, samples = self._exposure(index)
        if not self.profile_fits:
            exposure = replace(exposure, noise=None)
        for line in self.seen.lines():
            self.ledger.remark(line)
        taken = Taken(exposure.picture(samples), self.seen, (exposure, samples))
        return taken.frame(self._layout(exposure))

    def describe(self) -> list[dict[str, Any]]:
        first, mosaic = self.first, self.first.mosaic
        return [
            {
                "index": 0, "kind": "raw", "codec": first.path.suffix.lower()[1:], "denoised": True,
                "camera": first.tags.camera or None, "iso": first.iso,
                "frames": len(self.files), "cfa": mosaic.pattern or "none",
                "black": [f"{v:g}" for v in mosaic.black], "white": f"{mosaic.white[0]:g}",
                "sensor": f"{first.shape[1]}x{first.shape[0]}", "orientation": first.orientation,
                "rotation": {3: 180, 6: 270, 8: 90}.get(first.orientation),
                "white_balance": [round(v, 4) for v in mosaic.balance],
                "noise_profile": first.noise and [v for pair in first.noise for v in pair],
                "first": self.files[0].stem, "last": self.files[-1].stem,
            }
        ]  # fmt: skip


def _others(folder: Path) -> list[str]:
    """A note on files of a folder that are no camera raw."""
    aside = Counter(
        path.suffix.lower() or "no suffix" for path in files_of(folder)
        if path.suffix.lower() not in RAW
    )  # fmt: skip
    others = ", ".join(f"{count} {kind}" for kind, count in sorted(aside.items()))
    return [f"other files in the folder are ignored ({others})"] if others else []


def check_belongs(exposure: Exposure, first: Exposure) -> None:
    """Raise MismatchError unless camera, size, pattern, white level and ISO are the first's."""
    own, others = (
        {
            "size": f"{one.shape[1]}x{one.shape[0]}", "active area": one.active,
            "camera": one.tags.camera, "ISO": one.iso, "colour filters": one.mosaic.pattern,
            "white level": one.mosaic.white[0],
        }
        for one in (exposure, first)
    )  # fmt: skip
    for what, value in own.items():
        if value != others[what]:
            raise MismatchError(
                f"{exposure.path.name}: {what} {value or 'unknown'}, {first.path.name} has "
                f"{others[what] or 'unknown'}.",
                hint="A burst has one camera and one setting: denoise the parts separately.",
            )
