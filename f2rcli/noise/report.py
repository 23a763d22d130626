"""The measurement of a clip's noise, its meaning, and its confidence; and a table of it for AV1."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from f2rcli.frames import PlaneLayout
from f2rcli.noise.coding import Compression
from f2rcli.noise.model import NoiseModel, PlaneNoise, shares_of
from f2rcli.noise.rows import RowNoise
from f2rcli.noise.spectrum import NoiseLaw, Spectrum, Temporal

FORMAT = 1  # of the JSON
CLEAN = 1.0 / 255  # sigma below which there is nothing to train on: 8-bit rounding has 0.3
# Channels of compressed video and of phones share 0.84 of their noise and more, film's dyes about
# half, and those of a gray picture all of it, whatever its noise is.
PROCESSED, GRAY = 0.7, 0.99
NOTHING_TO_DO = "hardly any noise: the result will look like the input"
RAILED = 0.05  # share of samples on a rail that is worth a word
FEW = 20_000  # samples
PLAIN, COLOURED = 0.04, 0.07  # relative error of sigma where nothing speaks against it
LIGHT = 0.15 / 255  # error of sigma that rounding and the scene's own change leave


def coarse_words(sigma8: float) -> str:
    """Noise too coarse for networks, for people; of none nothing."""
    return f"noise in blotches, sigma {sigma8:.1f} of 255" if sigma8 else ""


class Confidence(NamedTuple):
    """The confidence of the measurement: an error of sigma in percent, and what limits it."""

    word: str  # high, medium or low
    percent: float
    reasons: tuple[str, ...]


Points = tuple[tuple[float, float], ...]  # brightness and sigma of one channel


@dataclass(frozen=True, slots=True)
class NoiseReport:
    """A clip's noise. Levels are shares of white - black, before the file's range clipped them."""

    model: NoiseModel
    points: tuple[Points, ...]  # per channel: brightness and sigma of the bins behind the model
    spectrum: Spectrum | None  # None: the frames are too small, or too few
    temporal: Temporal
    black: float  # share of samples on the lower rail
    white_rail: float  # share of samples on the upper rail
    by_frame: tuple[float, ...]  # sigma of each measured frame, mean of the channels
    frames: int  # frames that were read
    unsure: float  # standard error of the level, as a share of it
    clipped: float  # share of samples that noise was cut off in
    planes: PlaneNoise | None = None  # the same noise in the file's own planes
    # Of luma, and of all planes on chroma's grid; empty: as `spectrum`, or not looked at.
    by_plane: tuple[Spectrum, ...] = ()
    edges8: float | None = None  # of blocks, that compression left; None: none found
    compression: Compression | None = None  # its errors, not in `model`; None: hardly any
    lines: Sequence[RowNoise] = ()  # rows' and columns' offsets, not in `model`
    coarse8: float = 0.0  # of 255, noise too coarse for networks, not in `model`; 0: hardly any
    levels: tuple[float, float] | None = None  # of a stack, the codes of black and white

    @property
    def confidence(self) -> Confidence:
        """How sure the level is."""
        by_frame, count = self.by_frame, len(self.by_frame)
        mean = sum(by_frame) / count
        spread = (sum((s - mean) ** 2 for s in by_frame) / max(count - 1, 1)) ** 0.5
        between = spread / max(mean, 1e-9) / count**0.5
        kind = PLAIN if self.white else COLOURED
        light = LIGHT / max(self._deviation(1), 1e-9)
        parts = between, kind, light, 2 * self.unsure, 0.5 * self.clipped
        doubts = {
            "only one frame could be measured": count < 2,
            "few flat, well-exposed places": self.model.samples < FEW,
            "frames differ, as in compressed video or where the light changes": between > 0.05,
            "frames share noise, which hides part of it": not self.independent,
            "texture, distinguished by what changes from frame to frame": 2 * self.unsure > 0.05,
            "part of the picture is clipped": self.clipped > RAILED,
        }
        percent = 100 * min(sum(part**2 for part in parts) ** 0.5, 1.0)
        reasons = tuple(why for why, so in doubts.items() if so)
        word = "medium" if percent <= 10 and len(reasons) < 2 else "low"
        return Confidence("high" if percent <= 6 and not reasons else word, percent, reasons)

    @property
    def noisy(self) -> bool:
        """Whether there is noise worth taking out."""
        return max(self.model.sigma) >= CLEAN

    @property
    def white(self) -> bool:
        """Whether pixels of a frame, and channels, have noise of their own."""
        return self.spectrum is not None and self.spectrum.white

    @property
    def separate(self) -> bool:
        """Whether every channel has noise of its own."""
        return self.spectrum is not None and self.spectrum.mixing() is None

    @property
    def channels_share(self) -> float:
        """Mean correlation of different channels' noise; 0 where there is nothing to compare."""
        return 0.0 if self.spectrum is None else self.spectrum.channels_share

    @property
    def processed(self) -> bool:
        """Whether colour channels share as much noise as codecs and cameras' processing leave."""
        return PROCESSED < self.channels_share < GRAY

    @property
    def independent(self) -> bool:
        """Whether adjacent frames have noise of their own, as far as it could be seen."""
        return self.temporal.independent

    def _deviation(self, share: float) -> float:
        """The standard deviation of a share of the noise's variance, mean of the channels."""
        return float(max(share, 0.0) ** 0.5 * sum(self.model.sigma) / len(self.model.sigma))

    @property
    def law(self) -> NoiseLaw:
        """The law that re-noising should draw from."""
        if self.spectrum is None:
            return NoiseLaw(self.model)
        return NoiseLaw(self.model, self.spectrum.kernels(), self.spectrum.mixing())

    @property
    def compressed(self) -> bool:
        """Whether compression left stronger errors than there is noise: runs remove them."""
        return self.compression is not None and self.compression.exceeds(self.model)

    def meaning(self) -> Iterator[str]:
        """Its meaning for denoising and training, one sentence each."""
        if not self.noisy:
            yield f"{NOTHING_TO_DO}."
            yield "there is nothing to train on."
        else:
            yield from self._kind()
        if self.lines:
            yield "lines and bands are removed first; sigma does not include them."
        if self.coarse8:
            yield f"{coarse_words(self.coarse8)}, is removed first; sigma does not include it."
        if self.compressed and self.compression is not None:
            yield f"{self.compression.words()}."
        elif self.edges8 is not None:
            yield f"compression left 8x8 blocks, edges {self.edges8:.1f} of 255."

    def _kind(self) -> Iterator[str]:
        """What pixels, channels and frames share."""
        if self.spectrum is None:
            yield "frames are too small to tell white noise from coloured."
        elif self.white:
            yield "white: neighbouring pixels are independent."
        else:
            yield "coloured: neighbouring pixels share noise, as scaling and compression leave it."
        if self.spectrum is not None and not self.separate:
            kept = ": --adapt keeps the bundled weights" if self.processed else ""
            yield f"channels share noise, as in video stored as luma and chroma{kept}."
        if self.independent and self.channels_share <= PROCESSED:
            yield "frames are independent: training on this clip alone is sound."
        elif self.independent:
            yield "frames are independent."
        else:
            yield "frames share noise: training on this clip alone would learn it as scene."
        if self.black + self.white_rail > RAILED:
            yield f"{100 * (self.black + self.white_rail):.0f} % of the samples are clipped."

    def values(self) -> dict[str, Any]:
        """The report as JSON values."""
        spectrum, fixed, confidence = self.spectrum, self.temporal.fixed, self.confidence
        return {
            "format": FORMAT,
            "levels": self.levels,
            "sigma8": list(self.model.sigma8),
            "frames": self.frames,
            "sigma8_by_frame": [255 * sigma for sigma in self.by_frame],
            "level_points8": [
                [[255 * level, 255 * sigma] for level, sigma in points] for points in self.points
            ],
            "rho_x": None if spectrum is None else list(spectrum.rho_x),
            "rho_y": None if spectrum is None else list(spectrum.rho_y),
            "channel_correlation": None if spectrum is None else spectrum.mixed.tolist(),
            "power_spectrum": None if spectrum is None else spectrum.power.tolist(),
            "temporal": {
                "kept": self.temporal.kept,
                "fixed": fixed,
                # Of the part that stays at its pixel; None where nothing moves.
                "fixed_pattern8": None if fixed is None else 255 * self._deviation(fixed),
            },
            "blocking8": self.edges8,
            "compression8": None if self.compression is None else self.compression.sigma8,
            "coarse8": self.coarse8,
            "lines": [one.values() for one in self.lines],
            "clipped": {"black": self.black, "white": self.white_rail},
            "flags": {
                "noisy": self.noisy,
                "white": self.white,
                "separate_channels": self.separate,
                "independent": self.independent,
            },
            "confidence": confidence._asdict() | {"reasons": list(confidence.reasons)},
            "meaning": list(self.meaning()),
            "planes": None if self.planes is None else self.planes.values(),
            "law": self.law.values(),
        }


# --- Film grain tables of AV1 (`filmgrn1`): the measured noise, which decoders draw anew ----------


TEMPLATE = 32.0  # standard deviation, in 8-bit codes, of the noise that the format draws from
EVERY = 2  # of a curve's 17 knots every other one: the format takes 14 points of luma, 10 of chroma
BITS = 7  # binary digits of its coefficients, -1 up to 1
CORRELATIONS = [n / 20 for n in reversed(range(19))]  # with the next sample, from 0.9 on


def grain_table(noise: PlaneNoise, layout: PlaneLayout) -> str:
    """The table of Y'CbCr video's noise: how strong, by luma's brightness, and how coarse it is.

    SVT-AV1 (`fgs-table`), aomenc and FFmpeg's libaom-av1 (`film-grain-table=`) read them. Denoised
    and encoded with its table a clip looks as grainy as it was, for a fraction of the bits. Drawn
    by dav1d, grain of a drawn clip has the true strength within a tenth at every brightness.
    """
    black, spans = (0, (255, 255, 255)) if layout.full_range else (16, (219, 224, 224))
    finest = [_finest_share(a) for a in CORRELATIONS]
    coarse = np.interp([own for own, *_ in noise.shares], finest, CORRELATIONS).tolist()
    gains = [1 / (1 - a**2) for a in coarse]  # of the filter that makes it so coarse
    halved = max(0, math.ceil(math.log2(3 * TEMPLATE * max(gains) / 127)))  # 127: its largest
    drawn = [TEMPLATE * gain / 2**halved for gain in gains]
    curves = [
        [span * sigma for sigma in knots[::EVERY]]
        for knots, span in zip(noise.model.at_knots(), spans, strict=True)
    ]
    most = max(max(curve) / one for curve, one in zip(curves, drawn, strict=True))
    shift = next((bits for bits in (11, 10, 9) if most * 2**bits < 255.5), 8)
    lines = [
        "filmgrn1",
        "E 0 9223372036854775807 1 7391 1",  # all the time, from any seed
        f"\tp 1 {BITS} {halved} {shift} 0 1 128 192 256 128 192 256",  # chroma's by luma, too
    ]
    for name, curve, one in zip(("Y", "Cb", "Cr"), curves, drawn, strict=True):
        places = np.rint(np.linspace(black, black + spans[0], len(curve))).astype(int)
        levels = np.rint(np.array(curve) * 2**shift / one).clip(0, 255).astype(int)
        points = " ".join(f" {x} {y}" for x, y in zip(places, levels, strict=True))
        lines.append(f"\ts{name} {len(curve)} {points}")
    for name, a, luma in zip(("Y", "Cb", "Cr"), coarse, ("", " 0", " 0"), strict=True):
        weights = (-(a**2), a, 0.0, a)  # of three samples in the row above, and the one before
        lines.append(f"\tc{name} {' '.join(str(round(w * 2**BITS)) for w in weights)}{luma}")
    return "\n".join(lines) + "\n"


def _finest_share(a: float) -> float:
    """The share of its variance that noise has in its finest band whose neighbours have the
    correlation a, a^(|x| + |y|) farther off."""
    impulse = np.zeros((257, 257), np.float32)
    decay = a ** np.arange(129.0)
    impulse[128:, 128:] = np.outer(decay, decay)
    return shares_of(impulse)[0]
