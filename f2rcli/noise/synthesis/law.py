"""Noise that is made: its law (signal-dependent, blurred), clips with it, and what codecs leave.

The same law noises single pictures for training and whole clips for evaluation. A clip's noise is
part of its definition, drawn picture by picture, and depends on the law, the seed and the clip's
size alone: the same generator gives the same noise.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli import yuv
from f2rcli.errors import InputError
from f2rcli.frames import ClipInfo, Codes, Family, Frame, PlaneLayout
from f2rcli.system import x264_assembly, x265_assembly

Signal = NDArray[Any]  # (H, W, C) float32 or float64, 0 = black, 1 = white


@dataclass(frozen=True, slots=True)
class Law:
    """Noise with variance gain * x + read^2, blurred by `blur` pixels and scaled back.

    gain: variance per unit of signal (Foi et al., TIP 2008), Gaussian at every level; read:
    standard deviation in units of white; blur: standard deviation of a Gaussian in pixels, 0 for
    white noise (demosaicking and scaling leave 0.5-1).
    """

    gain: float
    read: float
    blur: float = 0.0

    def level(self, clean: Signal) -> Signal:
        """Standard deviation at every sample."""
        if not self.gain:
            return np.full_like(clean, self.read)
        return np.sqrt(self.gain * np.clip(clean, 0, 1) + self.read**2)

    def add(self, clean: Signal, rng: np.random.Generator) -> Signal:
        """clean (H, W, C) -> noisy, unclipped, of the same dtype."""
        return clean + self.sample(clean.shape, rng, clean.dtype) * self.level(clean)

    def sample(
        self, shape: tuple[int, ...], rng: np.random.Generator, dtype: Any = np.float32
    ) -> Signal:
        """Noise of unit variance with this law's correlations, (H, W, C)."""
        if not self.blur:
            return rng.standard_normal(shape, dtype=dtype)
        radius, (height, width, channels) = int(4 * self.blur + 0.5), shape
        taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / self.blur) ** 2)
        taps /= np.sqrt(np.sum(taps**2))
        wide = (height + 2 * radius, width + 2 * radius, channels)
        blurred = cv2.sepFilter2D(rng.standard_normal(wide, dtype=dtype), -1, taps, taps)
        inner = blurred[radius : radius + height, radius : radius + width]
        return np.asarray(inner, dtype).reshape(shape)  # OpenCV drops a single channel


# --- Pictures through a video codec in memory: what it leaves of them -----------------------------


ENCODERS = {"h264": "libx264", "hevc": "libx265"}  # as --noise names them
DECODERS = {"libx264": "h264", "libx265": "hevc"}


def to_codes(values: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """0..1 -> 8-bit codes, rounded and clipped: what most files hold."""
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


def repeatable(encoder: str, width: int) -> dict[str, str]:
    """The options with which libx264 and libx265 give the same bytes each time; others: none."""
    match encoder:
        case "libx264" if assembly := x264_assembly():
            return {"x264-params": assembly}
        case "libx265":
            parameters = ["log-level=none", "pools=1", "frame-threads=1", *x265_assembly(width)]
            return {"x265-params": ":".join(parameters)}
    return {}


class Coding(NamedTuple):
    """How hard a codec compresses."""

    encoder: str  # libx264 or libx265, preset medium
    crf: int


def recoded(
    clip: Iterable[Codes], coding: Coding, rate: Fraction = Fraction(25)
) -> Iterator[list[NDArray[np.uint8]]]:
    """The planes of the decoder's output for the encoded pictures, 4:2:0 as stored, one for one."""
    options = {"crf": str(coding.crf), "preset": "medium"}
    pictures = (av.VideoFrame.from_ndarray(one, format="rgb24") for one in clip)
    stored = (one.reformat(format="yuv420p") for one in pictures)
    return map(planes_of, through_codec(stored, coding.encoder, options, rate))


def through_codec(
    pictures: Iterable[av.VideoFrame],
    encoder: str,
    options: dict[str, str],
    rate: Fraction = Fraction(25),
) -> Iterator[av.VideoFrame]:
    """What the decoder gives for encoded pictures of one size and format, one for one.

    On one thread, so that the same pictures give the same result.
    """
    stream = iter(pictures)
    first = next(stream)
    codec: Any = av.CodecContext.create(encoder, "w")
    codec.width, codec.height, codec.pix_fmt = first.width, first.height, first.format.name
    codec.time_base = 1 / rate
    codec.framerate = rate
    codec.thread_count = 1
    codec.options = options | repeatable(encoder, codec.width)
    decoder: Any = av.CodecContext.create(DECODERS.get(encoder, encoder), "r")
    for index, picture in enumerate(chain([first], stream)):
        picture.pts = index
        for packet in codec.encode(picture):
            yield from decoder.decode(packet)
    for packet in (*codec.encode(), None):
        yield from decoder.decode(packet)


def planes_of(picture: av.VideoFrame) -> list[NDArray[np.uint8]]:
    """The 8-bit planes (H, W) of a decoded picture, as views of it."""
    return [
        np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)[:, : plane.width]
        for plane in picture.planes
    ]


# --- Noise added to a clip: frames in, noisy frames out, the same for every method and every run -


EXACT = 1e-3  # 8-bit codes that a sample may be off and still be taken for the code itself
SMALLEST_CODED = 16  # pixels per side: a macroblock


def noisy_clip(
    frames: Iterable[Frame], info: ClipInfo, law: Law, rng: np.random.Generator, *, clipped: bool
) -> tuple[ClipInfo, Iterator[Frame]]:
    """A clip with noise of a law; see `NoiseSpec.add`. Raises InputError for blurred noise on
    mosaics, whose neighbouring samples are of different colours."""
    if info.layout.family is Family.BAYER and law.blur:
        raise InputError(
            f"{info.name}: correlated noise is not defined for mosaics.",
            hint="Choose gaussian or poisson-gaussian.",
        )
    layout = info.layout
    if layout.mosaic is not None or (clipped and layout.levels is not None):
        noisy = (_in_codes(frame, law, rng) for frame in frames)
    else:
        family = Family.GRAY if layout.family is Family.GRAY else Family.RGB
        layout = PlaneLayout(family=family, bits=8 if clipped else 32)
        noisy = (_as_picture(law.add(signal_of(frame), rng), frame, layout) for frame in frames)
    # Noise that came after a codec is none of its errors, and no codec weakened it.
    return replace(info, layout=layout, noise_profile=None, coded=False), noisy


def coded_clip(
    frames: Iterable[Frame], info: ClipInfo, law: Law, coding: Coding, rng: np.random.Generator
) -> tuple[ClipInfo, Iterator[Frame]]:
    """A noisy clip in 8-bit samples, then through a video codec at 4:2:0: what a phone or a web
    site hands out. Odd sizes lose a row or column. Raises InputError for mosaics and for pictures
    smaller than a macroblock."""
    if info.layout.family is Family.BAYER:
        raise InputError(
            f"{info.name}: mosaics do not go through a video codec.",
            hint="Choose gaussian or poisson-gaussian.",
        )
    if min(info.width, info.height) < SMALLEST_CODED:
        raise InputError(
            f"{info.name}: {info.width}x{info.height} is too small for a video codec.",
            hint=f"Compressed noise takes {SMALLEST_CODED} pixels per side and more.",
        )
    gray = info.layout.family is Family.GRAY
    # What PyAV hands x264: libswscale writes BT.601, limited range, chroma sited left.
    family, chroma = (Family.GRAY, (0, 0)) if gray else (Family.YUV, (1, 1))
    layout = PlaneLayout(family=family, bits=8, log2_chroma=chroma, full_range=False)
    width, height = info.width // 2 * 2, info.height // 2 * 2
    coded = replace(info, layout=layout, noise_profile=None, coded=True, width=width, height=height)
    return coded, _coded(frames, coded, law, coding, rng)


def _coded(
    frames: Iterable[Frame], info: ClipInfo, law: Law, coding: Coding, rng: np.random.Generator
) -> Iterator[Frame]:
    shells: deque[Frame] = deque()  # in the codec's hands: their places in time

    def pictures() -> Iterator[Codes]:
        for frame in frames:
            shells.append(replace(frame, planes=()))
            even = signal_of(frame)[: info.height, : info.width]
            one = to_codes(law.add(even, rng))
            yield np.repeat(one, 3, axis=2) if one.shape[2] == 1 else one

    for planes in recoded(pictures(), coding, info.rate or Fraction(25)):
        stored = tuple(planes[: info.layout.colour_planes])
        yield replace(shells.popleft(), planes=stored, layout=info.layout)


def signal_of(frame: Frame) -> Signal:
    """A frame as (H, W, C) in units of white - black, exactly 8-bit codes if close; within 0..1,
    but of stacks, whose samples beyond are measurements."""
    picture = yuv.to_rgb(frame).transpose(1, 2, 0).astype(np.float64)
    if frame.layout.levels is None:
        picture = np.clip(picture, 0, 1)
    codes = np.rint(255 * picture)
    return codes / 255 if np.abs(255 * picture - codes).max() < EXACT else picture


def _in_codes(frame: Frame, law: Law, rng: np.random.Generator) -> Frame:
    """A mosaic or a stack's picture with noise, in its own codes."""
    signal = np.stack(yuv.planes_of(frame), -1).astype(np.float64)
    return yuv.with_changes(frame, list((law.add(signal, rng) - signal).transpose(2, 0, 1)))


def _as_picture(noisy: Signal, clean: Frame, layout: PlaneLayout) -> Frame:
    """A noisy signal as a frame of floats, or of 8-bit codes, rounded and clipped."""
    values = noisy.astype(np.float32) if layout.float_samples else to_codes(noisy)
    planes = tuple(np.ascontiguousarray(values[..., c]) for c in range(values.shape[2]))
    return replace(clean, planes=planes, layout=layout)
