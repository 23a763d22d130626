"""A burst of raw exposures read as a clip of mosaics."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from f2rcli.frames import ClipInfo, Frame
from f2rcli.io.base import ReadOptions
from f2rcli.io.raw.burst import check_belongs, examine, exposures_of, find_files
from f2rcli.io.raw.exposure import Exposure, Samples, read_raw
from f2rcli.io.raw.provenance import provenance_of
from f2rcli.io.raw.tiff_mosaic import TIFF_SUFFIXES, TiffPages
from f2rcli.io.sequence import RATE, SequenceReader
from f2rcli.samples.past import RECALLED
from f2rcli.sensor import bayer_layout


@dataclass(frozen=True, slots=True)
class RawFrame:
    """A frame's source for the writer: the exposure and the whole sensor's samples."""

    exposure: Exposure
    samples: Samples


class RawReader(SequenceReader):
    """A raw file, a folder or pattern of them, or TIFF files of mosaics, as one clip."""

    every: list[Exposure | Path]
    recalled = RECALLED

    def __init__(self, source: str, options: ReadOptions) -> None:
        files, notes = find_files(source)
        every = examine(files)
        self.first = next(item for item in every if isinstance(item, Exposure))
        super().__init__(source, options, every, self.first.tags.rate or RATE)
        self.exposures = every[self.asked.start : self.asked.stop]
        suffix = self.first.path.suffix.lower()
        self.of_tiff = suffix in TIFF_SUFFIXES
        self.family = "tiff" if self.of_tiff else suffix[1:]
        self._pages = TiffPages()
        self.info = self._info(notes)

    def _info(self, notes: list[str]) -> ClipInfo:
        exposure = self.first
        _, _, height, width = exposure.active
        if exposure.noise is not None:
            notes = [*notes, "noise as the files' NoiseProfile states it"]
        return ClipInfo(
            name=self.source.name,
            width=width,
            height=height,
            layout=bayer_layout(exposure.mosaic, exposure.bits, exposure.path.name),
            frames=len(self.exposures),
            duration=float(len(self.exposures) / self.rate),
            rate=self.rate,
            time_base=1 / self.rate,
            notes=tuple(notes),
            noise_profile=exposure.noise,
        )

    def _read(self, index: int) -> Frame:
        item = self.every[index]
        path = item if isinstance(item, Path) else item.path
        if path.suffix.lower() not in TIFF_SUFFIXES:
            exposure, samples = read_raw(path)
        elif isinstance(item, Exposure):
            exposure, samples = item, self._pages.read(item)
        else:  # it could not be read before, and says why again
            exposure = next(exposures_of(path))
            samples = self._pages.read(exposure)
        check_belongs(exposure, self.first)
        layout = bayer_layout(exposure.mosaic, self.info.layout.bits, exposure.path.name)
        planes = (exposure.crop(samples),)
        return Frame(planes=planes, layout=layout, source=RawFrame(exposure, samples))

    def _named(self, frame: Frame, index: int) -> Frame:
        taken: RawFrame = frame.source
        exposure = replace(taken.exposure, name=named(self.every[index]))
        return replace(frame, source=RawFrame(exposure, taken.samples))

    def provenance_text(self) -> str:
        return provenance_of(self.first.path)

    def describe(self) -> list[dict[str, Any]]:
        first, mosaic = self.first, self.first.mosaic
        return [
            {
                "index": 0, "kind": "raw", "codec": self.family, "denoised": True,
                "camera": first.tags.camera or None, "iso": first.iso,
                "frames": len(self.exposures), "cfa": mosaic.pattern,
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
