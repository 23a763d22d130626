"""Reading a burst of raw exposures as a clip of mosaics."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from f2rcli.errors import InputError
from f2rcli.frames import ClipInfo, Frame
from f2rcli.io.base import Ledger, Reader, ReadOptions
from f2rcli.io.raw.burst import check_belongs, examine, find_files, shots_of
from f2rcli.io.raw.exposure import Samples, Shot, read_raw
from f2rcli.io.raw.tiff_mosaic import TIFF_SUFFIXES, TiffPages
from f2rcli.io.time_range import Span, stretch, trailing
from f2rcli.sensor import bayer_layout

RATE = Fraction(25)  # for --start and --end, where files state no rate of their own


@dataclass(frozen=True, slots=True)
class Exposure:
    """What a writer needs back: the shot under its own name, and the whole sensor's samples."""

    shot: Shot
    samples: Samples


class RawReader(Reader):
    """A raw file, a folder or pattern of them, or TIFF files of mosaics, as one clip."""

    def __init__(self, source: str, options: ReadOptions) -> None:
        self.source = Path(source)
        self.options = options
        self.ledger = Ledger()
        files, notes = find_files(source)
        self.every = every = examine(files)
        self.first = next(shot for shot in every if isinstance(shot, Shot))
        self.rate = self.first.rate or RATE
        places = stretch(len(every), Span.of(options), self.rate)
        self.shots = every[places.start : places.stop]
        self.begin = places.start
        if not self.shots:
            raise InputError(
                f"{self.source.name}: has only {len(every)} frames, "
                f"{float(len(every) / self.rate):.2f} s.",
                hint="Pass an earlier --start.",
            )
        suffix = self.first.path.suffix.lower()
        self.of_tiff = suffix in TIFF_SUFFIXES
        self.family = "tiff" if self.of_tiff else suffix[1:]
        self._pages = TiffPages()
        self.info = self._info(notes)

    def _info(self, notes: list[str]) -> ClipInfo:
        shot = self.first
        _, _, height, width = shot.active
        if shot.noise is not None:
            notes = [*notes, "noise as the files' NoiseProfile states it"]
        return ClipInfo(
            name=self.source.name,
            width=width,
            height=height,
            layout=bayer_layout(shot.mosaic, shot.bits, shot.path.name),
            frames=len(self.shots),
            duration=float(len(self.shots) / self.rate),
            rate=self.rate,
            time_base=1 / self.rate,
            notes=tuple(notes),
            noise_profile=shot.noise,
        )

    def __iter__(self) -> Iterator[Frame]:
        """Yield the exposures; one that is damaged is held, or raises if strict."""
        yield from self._around(max(0, self.begin - self.options.lead), self.begin)
        before: Exposure | None = None
        for number, item in enumerate(self.shots):
            held = False
            try:
                exposure = self._read(item)
            except InputError as error:
                if self.options.strict:
                    raise
                self.ledger.fault(str(error))
                self.ledger.held += 1
                held = True
                kept = before or self._first_readable()
                exposure = Exposure(replace(kept.shot, name=_name(item)), kept.samples)
            check_belongs(exposure.shot, self.first)  # of another camera: not damage
            before = exposure
            last = replace(self._frame(exposure, self.begin + number), held=held, source=exposure)
            yield last
        after = self._around(self.begin + len(self.shots), len(self.every))
        yield from trailing(after, last, self.options.trail)

    def _frame(self, exposure: Exposure, index: int) -> Frame:
        shot = exposure.shot
        return Frame(
            planes=(shot.crop(exposure.samples),),
            layout=bayer_layout(shot.mosaic, self.info.layout.bits, shot.path.name),
            pts=index - self.begin,
            duration=1,
            time_base=1 / self.rate,
            index=index,
        )

    def opening(self) -> Iterator[Frame]:
        """See Reader."""
        return self._around(0, len(self.every) if self.begin else 0)

    def _around(self, start: int, stop: int) -> Iterator[Frame]:
        """Exposures of the whole burst that are not to be written; damaged ones are left out."""
        for index in range(start, stop):
            try:
                exposure = self._read(self.every[index])
                check_belongs(exposure.shot, self.first)
            except InputError:
                continue
            yield replace(self._frame(exposure, index), context=True)

    def _read(self, item: Shot | Path) -> Exposure:
        path = item if isinstance(item, Path) else item.path
        if path.suffix.lower() not in TIFF_SUFFIXES:
            shot, samples = read_raw(path)
        elif isinstance(item, Shot):
            shot, samples = item, self._pages.read(item)
        else:  # it could not be read before, and says why again
            shot = next(shots_of(path))
            samples = self._pages.read(shot)
        return Exposure(shot, samples)

    def _first_readable(self) -> Exposure:
        """Stands in for damaged exposures before any whole one."""
        refused: InputError | None = None
        for item in self.shots:
            try:
                return self._read(item)
            except InputError as error:
                refused = refused or error
        raise refused or InputError(f"{self.source.name}: no frame can be read.")

    def describe(self) -> list[dict[str, Any]]:
        """One dict: a burst is one stream."""
        shot, mosaic = self.first, self.first.mosaic
        return [
            {
                "index": 0, "kind": "raw", "codec": self.family, "denoised": True,
                "camera": shot.camera or None, "iso": shot.iso, "frames": len(self.shots),
                "cfa": mosaic.pattern, "black": [f"{v:g}" for v in mosaic.black],
                "white": f"{mosaic.white[0]:g}",
                "sensor": f"{shot.shape[1]}x{shot.shape[0]}", "orientation": shot.orientation,
                "rotation": {3: 180, 6: 270, 8: 90}.get(shot.orientation),
                "white_balance": [round(v, 4) for v in mosaic.balance],
                "noise_profile": None if shot.noise is None else [v for p in shot.noise for v in p],
                "first": _name(self.shots[0]), "last": _name(self.shots[-1]),
            }
        ]  # fmt: skip

    def paths(self) -> list[Path]:
        """Every file that is read."""
        files = [item if isinstance(item, Path) else item.path for item in self.shots]
        return list(dict.fromkeys(files))

    def close(self) -> None:
        """Let go of an open TIFF."""
        self._pages.close()


def _name(item: Shot | Path) -> str:
    return item.stem if isinstance(item, Path) else item.name
