"""Video codecs that synthetic footage goes through: which, and how hard they compress."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from f2rcli.noise.codec import DECODERS, planes_of, repeatable

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
    options = {**options, rate: str(int(rng.integers(low, high + 1)))}
    codec: Any = av.CodecContext.create(name, "w")
    codec.height, codec.width = frames[0][0].shape
    codec.pix_fmt = "yuvj420p" if name == "mjpeg" else "yuv420p"
    codec.time_base = Fraction(1, 25)
    codec.framerate = 25
    codec.thread_count = 1
    if "q" in options:
        quality = int(options.pop("q"))
        codec.flags |= 2  # FFmpeg's QSCALE: a fixed quantiser
        codec.global_quality = quality * 118  # FF_QP2LAMBDA
        options |= {"qmin": str(quality), "qmax": str(quality)}
    codec.options = options | repeatable(name, codec.width)
    decoder: Any = av.CodecContext.create(DECODERS.get(name, name), "r")
    pictures = [_frame(planes, index, codec) for index, planes in enumerate(frames)]
    packets = [packet for picture in (*pictures, None) for packet in codec.encode(picture)]
    decoded = (frame for packet in (*packets, None) for frame in decoder.decode(packet))
    return [[plane.copy() for plane in planes_of(frame)] for frame in decoded]


def _frame(planes: Planes, index: int, codec: Any) -> av.VideoFrame:
    frame = av.VideoFrame(codec.width, codec.height, codec.pix_fmt)
    frame.pts = index
    for plane, data in zip(frame.planes, planes, strict=True):
        buffer = np.zeros((plane.height, plane.line_size), np.uint8)
        buffer[:, : plane.width] = data
        plane.update(buffer.tobytes())
    return frame
