"""Pictures through encoders of every kind, as f2r reads what they wrote."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from f2rcli import yuv
from f2rcli.frames import Frame, Pictures
from f2rcli.io import open_reader
from f2rcli.io.video.encoders import ordinary_scheduling
from f2rcli.noise.codec import repeatable
from f2rcli.noise.synthesis.degradation import SPANS, VIDEO

TWICE_SHARE = 0.15  # of clips that go through two encoders


@dataclass(frozen=True)
class Encoder:
    """An encoder with the range of the number that says how coarsely it rounds."""

    name: str
    rate: str  # the option of that number; "q": a fixed quantiser
    low: int
    high: int
    presets: tuple[str, ...] = ()
    option: str = "preset"

    def options(self, width: int, rng: np.random.Generator) -> dict[str, str]:
        """Options at random, groups of pictures of any length among them."""
        value = str(rng.integers(self.low, self.high + 1))
        chosen = {"qmin": value, "qmax": value} if self.rate == "q" else {self.rate: value}
        if self.presets:
            chosen[self.option] = self.presets[rng.integers(len(self.presets))]
        if self.name == "libvpx-vp9":
            chosen["b"] = "0"
        if self.name != "mjpeg" and rng.random() < 0.5:
            chosen["g"] = str(rng.integers(6, 40))
        return chosen | repeatable(self.name, width)


ENCODERS = (
    Encoder("libx264", "crf", 16, 36, ("veryfast", "medium", "slow")),
    Encoder("libx264", "crf", 18, 30, ("ultrafast", "superfast", "fast")),
    Encoder("libx264", "crf", 18, 32, ("medium",)),
    Encoder("libx265", "crf", 18, 35, ("ultrafast", "fast", "medium")),
    Encoder("libvpx-vp9", "crf", 20, 48, ("4", "6"), "cpu-used"),
    Encoder("libsvtav1", "crf", 22, 50, ("8", "10")),
    Encoder("mpeg4", "q", 2, 20),
    Encoder("mpeg2video", "q", 2, 14),
    Encoder("mjpeg", "q", 2, 14),
)


def in_rgb(frames: list[Frame]) -> Pictures:
    """Frames as pictures (T, H, W, 3)."""
    return np.stack([yuv.to_rgb(frame).transpose(1, 2, 0) for frame in frames])


def at_420(pictures: Pictures) -> Pictures:
    """Pictures with their chroma at 4:2:0, as a file could have held them."""
    planes = [yuv.split(np.ascontiguousarray(p.transpose(2, 0, 1)), VIDEO) for p in pictures]
    return np.stack([yuv.joined(each, VIDEO).transpose(1, 2, 0) for each in planes])


def encoded(pictures: Pictures, rng: np.random.Generator) -> list[Frame]:
    """What f2r reads of pictures that one encoder has written, or two."""
    frames = [in_codes(picture) for picture in pictures]
    for _ in range(2 if rng.random() < TWICE_SHARE else 1):
        frames = through(frames, ENCODERS[rng.integers(len(ENCODERS))], rng)
    return frames


def in_codes(picture: NDArray[np.float32]) -> Frame:
    """A picture as limited-range 4:2:0 in 8 bits."""
    planes = yuv.split(np.ascontiguousarray(picture.transpose(2, 0, 1)), VIDEO)
    codes = (
        np.clip(np.rint(p * np.float32(span) + zero), 1, 254).astype(np.uint8)
        for p, (zero, span) in zip(planes, SPANS, strict=True)
    )
    return Frame(planes=tuple(codes), layout=VIDEO)


def through(frames: list[Frame], encoder: Encoder, rng: np.random.Generator) -> list[Frame]:
    """Frames through an encoder, as f2r reads what it wrote."""
    # Codes stay as they are: a decoder of JPEG tags them as full range, and they are not.
    pixels = "yuvj420p" if encoder.name == "mjpeg" else "yuv420p"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mkv"
        with ordinary_scheduling(), av.open(str(path), "w") as container:
            height, width = frames[0].planes[0].shape
            options = encoder.options(width, rng)
            stream = container.add_stream(encoder.name, rate=25, options=options)
            stream.height, stream.width = height, width
            stream.pix_fmt = pixels
            stream.codec_context.thread_count = 1
            for index, frame in enumerate(frames):
                stacked = np.vstack([plane.reshape(-1, width) for plane in frame.planes])
                picture = av.VideoFrame.from_ndarray(stacked, pixels)
                picture.pts = index
                container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
        with open_reader(str(path)) as reader:
            return [
                Frame(planes=frame.planes, layout=VIDEO, quantiser8=frame.quantiser8)
                for frame in reader
            ]
