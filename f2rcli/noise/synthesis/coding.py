"""Video codecs that synthetic footage goes through: which, and how hard they compress."""

from dataclasses import dataclass

import av
import numpy as np
from numpy.typing import NDArray

from f2rcli.noise.codec import planes_of, through_codec

Planes = list[NDArray[np.uint8]]  # of one frame: Y, Cb and Cr at 4:2:0

ENCODERS = {"h264": "libx264", "hevc": "libx265"}  # as --noise names them

CODINGS: tuple[tuple[str, tuple[str, ...], tuple[str | None, ...], tuple[int, int]], ...] = (
    # encoder, presets, tunings, range of crf
    ("libx264", ("ultrafast", "veryfast", "fast", "medium"), (None,), (16, 32)),
    ("libx264", ("veryfast", "medium"), (None,), (19, 27)),
    ("libx264", ("superfast", "fast"), ("zerolatency",), (18, 30)),
    ("libx265", ("ultrafast", "superfast", "veryfast"), (None,), (18, 32)),
)

# For `transcoded`: encoder, the option that sets the rate with its range, others. Old codecs too.
CODERS: tuple[tuple[str, str, tuple[int, int], dict[str, str]], ...] = (
    ("libx264", "crf", (16, 35), {"preset": "veryfast"}),
    ("libx264", "crf", (18, 32), {"preset": "medium"}),
    ("libx265", "crf", (18, 32), {"preset": "ultrafast"}),
    ("mpeg4", "q", (2, 12), {}),
    ("mpeg2video", "q", (2, 10), {}),
    ("mjpeg", "q", (2, 9), {}),
)


@dataclass(frozen=True, slots=True)
class Coding:
    """An encoder with its settings; field by field what `f2rcli.noise.codec.coded` takes."""

    encoder: str
    preset: str
    crf: int
    tune: str | None = None

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Coding":
        """An encoder at random, from hardly visible to strong compression."""
        encoder, presets, tunings, (low, high) = CODINGS[rng.integers(len(CODINGS))]
        preset, tune = presets[rng.integers(len(presets))], tunings[rng.integers(len(tunings))]
        return cls(encoder, preset, int(rng.integers(low, high + 1)), tune)


def transcoded(frames: list[Planes], rng: np.random.Generator) -> list[Planes]:
    """Frames through one of CODERS and its decoder, one for one, on one thread."""
    name, rate, (low, high), options = CODERS[rng.integers(len(CODERS))]
    value = int(rng.integers(low, high + 1))
    options, quantiser = (options, value) if rate == "q" else (options | {rate: str(value)}, None)
    pix_fmt = "yuvj420p" if name == "mjpeg" else "yuv420p"
    pictures = (_frame(planes, pix_fmt) for planes in frames)
    decoded = through_codec(pictures, name, options, quantiser=quantiser)
    return [[plane.copy() for plane in planes_of(frame)] for frame in decoded]


def _frame(planes: Planes, pix_fmt: str) -> av.VideoFrame:
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, pix_fmt)
    for plane, data in zip(frame.planes, planes, strict=True):
        buffer = np.zeros((plane.height, plane.line_size), np.uint8)
        buffer[:, : plane.width] = data
        plane.update(buffer.tobytes())
    return frame
