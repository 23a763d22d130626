"""Videos made on the spot."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

Pictures = Iterable[np.ndarray[Any, Any]] | Iterable[av.VideoFrame]


def write_video(
    path: Path, pictures: Pictures, pix_fmt: str, codec: str = "ffv1", *, given: str = "rgb24",
    rate: int = 25, **options: str,
) -> Path:  # fmt: skip
    """Frames, or arrays of the format `given`, as a video; options: the encoder's."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate, options=options)
        for number, one in enumerate(pictures):
            frame = (
                one if isinstance(one, av.VideoFrame) else av.VideoFrame.from_ndarray(one, given)
            )
            if not number:
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, pix_fmt
            frame = frame.reformat(format=pix_fmt, threads=1)
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
