"""Pictures before | after, written as a PNG still or a short clip.

They have an encoding of their own, near lossless, and no sound: to be looked at and thrown away.
Samples stay in the file's own layout, so a preview shows what a run would write.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import cast

import av
import numpy as np

from f2rcli import yuv
from f2rcli.errors import InputError, OutputError
from f2rcli.frames import Family, Frame, Plane
from f2rcli.io.atomic import PartFile
from f2rcli.io.base import Reader, Receipt, WriteOptions
from f2rcli.io.disk_errors import disk_errors
from f2rcli.io.ffmpeg.colour import FULL, LIMITED, MATRIX_NUMBERS
from f2rcli.io.ffmpeg.pixel_formats import make_frame, pixel_format, planar_name
from f2rcli.io.images.codec import PictureEncoder
from f2rcli.io.targets import check_target

STILL = (".png",)
CLIP = (".mp4", ".mkv", ".mov")


def write_preview(
    reader: Reader,
    shown: Iterable[tuple[Frame, Frame]],
    target: str,
    count: int,
    write: WriteOptions,
) -> Receipt:
    """Write the pairs to `target`, whole or not at all."""
    path = Path(target)
    check_target(path, reader.paths(), overwrite=write.overwrite)
    turns = _quarter_turns(reader)
    frames = (side_by_side(before, after, turns) for before, after in shown)
    part = PartFile(path, overwrite=write.overwrite, keep=write.keep_partial)
    try:
        with disk_errors(path):
            write_ = _write_still if count == 1 else _write_clip
            first = next(frames, None)
            if first is None:
                raise InputError(
                    f"{reader.info.name}: no frame to show.", hint="Check start= and end=."
                )
            written, seconds, codec = write_(chain([first], frames), part.path, turns)
            verified = _read_back(part.path, written)
        size = part.publish()
    finally:
        part.discard()
    return Receipt(
        path=target, frames=written, seconds=float(seconds), bytes=size, codec=codec,
        verified=(verified,),
    )  # fmt: skip


def _read_back(path: Path, frames: int) -> str:
    with av.open(f"file:{path}") as container:
        found = sum(1 for _ in container.decode(video=0))
    if found != frames:
        raise OutputError(
            f"{path.name}: {frames} frames were written, {found} read back.",
            hint="Check the disk, or write it elsewhere with -o.",
        )
    return f"{found} read back"


def side_by_side(before: Frame, after: Frame, turns: int = 0) -> Frame:
    """A frame with `before` left of `after`, turned by `turns` quarters (ccw); cropped to whole
    chroma samples, without alpha."""
    axis = 1 if turns % 2 == 0 else 0
    parts = (before, after) if turns in (0, 1) else (after, before)
    pieces = [_whole(part) for part in parts]
    planes = tuple(np.concatenate(both, axis=axis) for both in zip(*pieces, strict=True))
    layout = replace(before.layout, alpha=False)
    return replace(after, planes=planes, layout=layout, source=None)


def _whole(frame: Frame) -> tuple[Plane, ...]:
    shift_x, shift_y = frame.layout.log2_chroma
    width, height = frame.width >> shift_x, frame.height >> shift_y
    luma = frame.planes[0][: height << shift_y, : width << shift_x]
    chroma = frame.planes[1 : frame.layout.colour_planes]
    return (luma, *(plane[:height, :width] for plane in chroma))


def _quarter_turns(reader: Reader) -> int:
    video = next((row for row in reader.describe() if row.get("kind") in ("video", "raw")), {})
    return round(float(video.get("rotation") or 0) / 90) % 4


_Done = tuple[int, Fraction, str]  # frames, seconds and codec of what is written


def _write_still(frames: Iterator[Frame], path: Path, turns: int) -> _Done:
    picture = av.VideoFrame.from_ndarray(_turned_rgb(next(frames), turns), format="rgb24")
    encoder = PictureEncoder("png", (picture.width, picture.height), "rgb24", None)
    path.write_bytes(encoder.encode(picture))
    return 1, Fraction(0), "png"


def _turned_rgb(frame: Frame, turns: int) -> Plane:
    """(H, W, 3) uint8, upright."""
    picture = np.rot90(yuv.to_rgb(frame), turns, axes=(1, 2))
    codes = np.clip(np.rint(picture * 255), 0, 255).astype(np.uint8)
    if codes.shape[0] == 1:
        codes = np.repeat(codes, 3, axis=0)
    return np.ascontiguousarray(codes.transpose(1, 2, 0))


def _write_clip(frames: Iterator[Frame], path: Path, turns: int) -> _Done:
    first = next(frames)
    encoder, name = _encoding(first)
    start, count, last = first.pts or 0, 0, first
    with av.open(f"file:{path}", "w") as container:
        added = container.add_stream(encoder, rate=Fraction(25), options={"crf": "10"})
        stream = cast(av.VideoStream, added)
        _describe(stream, first, name)
        if turns:
            stream.set_display_rotation(turns * 90)
        for last in chain([first], frames):
            picture = _picture(last, name)
            picture.pts, picture.time_base = (last.pts or count) - start, last.time_base
            container.mux(stream.encode(picture))
            count += 1
        container.mux(stream.encode(None))
    ticks = (last.pts or 0) - start + (last.duration or 0)
    return count, ticks * last.time_base, encoder


def _describe(stream: av.VideoStream, first: Frame, name: str) -> None:
    context = stream.codec_context
    context.width, context.height, context.pix_fmt = first.width, first.height, name
    context.time_base = first.time_base
    if first.layout.family is Family.YUV:
        context.colorspace = MATRIX_NUMBERS[first.layout.matrix]
        context.color_range = FULL if first.layout.full_range else LIMITED


def _encoding(frame: Frame) -> tuple[str, str]:
    """The encoder and pixel format of a preview clip: the file's own, or else 8-bit RGB."""
    name = planar_name(frame.layout)
    for encoder in ("libx264", "libx265"):
        formats = av.Codec(encoder, "w").video_formats or []
        if frame.layout.family is not Family.RGB and name in [form.name for form in formats]:
            return encoder, str(name)
    return "libx264rgb", "rgb24"


def _picture(frame: Frame, name: str) -> av.VideoFrame:
    form = pixel_format(name)
    if form is None or name == "rgb24":
        return av.VideoFrame.from_ndarray(_turned_rgb(frame, 0), format="rgb24")
    return make_frame(frame.planes, form)
