"""Pictures through a video codec in memory: what it leaves of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Codes, Family, Frame, PlaneLayout
from f2rcli.system import x264_assembly, x265_assembly

# libswscale writes 4:2:0 with BT.601, limited range and chroma sited left: what PyAV hands x264.
_LAYOUT = PlaneLayout(family=Family.YUV, bits=8, log2_chroma=(1, 1), full_range=False)
ENCODERS = {"h264": "libx264", "hevc": "libx265"}  # as --noise names them
DECODERS = {"libx264": "h264", "libx265": "hevc"}


def to_codes(values: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """0..1 -> 8-bit codes, rounded and clipped: what most files hold."""
    codes: Codes = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return codes


def repeatable(encoder: str, width: int) -> dict[str, str]:
    """The options with which libx264 and libx265 give the same bytes each time; others: none."""
    match encoder:
        case "libx264" if assembly := x264_assembly():
            return {"x264-params": assembly}
        case "libx265":
            parameters = ["log-level=none", "pools=1", "frame-threads=1", *x265_assembly(width)]
            return {"x265-params": ":".join(parameters)}
    return {}


@dataclass(frozen=True, slots=True)
class Coding:
    """How hard a codec compresses."""

    encoder: str  # libx264 or libx265, preset medium
    crf: int


def recoded(
    clip: Iterable[Codes], coding: Coding, rate: Fraction = Fraction(25)
) -> Iterator[Frame]:
    """The decoder's output for the encoded pictures, 4:2:0 as stored, one for one; untimed."""
    options = {"crf": str(coding.crf), "preset": "medium"}
    pictures = map(_to_420, clip)
    return map(_frame, through_codec(pictures, coding.encoder, options, rate))


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


def _to_420(picture: Codes) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")


def planes_of(picture: av.VideoFrame) -> list[NDArray[np.uint8]]:
    """The 8-bit planes (H, W) of a decoded picture, as views of it."""
    return [
        np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)[:, : plane.width]
        for plane in picture.planes
    ]


def _frame(picture: av.VideoFrame) -> Frame:
    return Frame(planes=tuple(planes_of(picture)), layout=_LAYOUT)
