"""Small whole files of many kinds, to be damaged."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import tifffile
from numpy.typing import NDArray

SIZE, FRAMES = 64, 8
# Name -> encoder, its pixel format, muxer where the suffix does not say it.
VIDEOS = {
    "h264.mp4": ("libx264", "yuv420p"), "hevc.mp4": ("libx265", "yuv420p"),
    "mpeg4.avi": ("mpeg4", "yuv420p"), "prores.mov": ("prores_ks", "yuv422p10le"),
    "h264.mkv": ("libx264", "yuv420p"), "ffv1.mkv": ("ffv1", "yuv420p"),
    "vp9.webm": ("libvpx-vp9", "yuv420p"),
    "h264.ts": ("libx264", "yuv420p"), "mpeg2.ts": ("mpeg2video", "yuv420p"),
    "ffv1.nut": ("ffv1", "gray"), "raw.y4m": ("rawvideo", "yuv420p"), "anim.gif": ("gif", "pal8"),
}  # fmt: skip


def make(folder: Path) -> int:
    """Make every seed in a folder; those that this FFmpeg cannot write are left out."""
    for name, (encoder, form) in VIDEOS.items():
        try:
            _video(folder / name, encoder, form)
        except (av.FFmpegError, ValueError):
            (folder / name).unlink(missing_ok=True)
    for name, write in STACKS.items():
        write(folder / name)
    return 0


def _pictures() -> NDArray[np.uint8]:
    """A noisy drifting ramp, (FRAMES, SIZE, SIZE)."""
    rng = np.random.default_rng(3)
    ramp = np.add.outer(np.arange(SIZE), np.arange(SIZE))
    moving = np.stack([(ramp + 2 * index) % 200 + 20 for index in range(FRAMES)])
    return (moving + rng.normal(0, 8, moving.shape)).clip(0, 255).astype(np.uint8)


def _video(path: Path, encoder: str, form: str) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=Fraction(25))
        stream.width, stream.height = SIZE, SIZE
        if encoder == "libx265":
            stream.codec_context.options = {"x265-params": "log-level=none"}
        stream.pix_fmt = "rgb8" if form == "pal8" else form
        for index, picture in enumerate(_pictures()):
            frame = av.VideoFrame.from_ndarray(picture, format="gray")
            frame = frame.reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _stack(path: Path, **options: object) -> None:
    values = _pictures().astype(np.uint16) * 8
    tifffile.imwrite(path, values, **options)  # type: ignore[arg-type]


STACKS: dict[str, Callable[[Path], None]] = {
    "plain.tif": lambda path: _stack(path, photometric="minisblack"),
    "deflate.tif": lambda path: _stack(path, photometric="minisblack", compression="deflate"),
    "imagej.tif": lambda path: _stack(path, imagej=True, metadata={"axes": "TYX"}),
    "stack.ome.tif": lambda path: _stack(path, metadata={"axes": "TYX"}),
}
