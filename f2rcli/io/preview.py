"""A picture before | after, written as a PNG still: to be looked at and thrown away."""

from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np

from f2rcli import yuv
from f2rcli.errors import InputError, OutputError
from f2rcli.frames import Frame, Plane
from f2rcli.io.atomic import PartFile
from f2rcli.io.base import Reader, Receipt, WriteOptions
from f2rcli.io.disk_errors import disk_errors
from f2rcli.io.images.reader import decode_picture
from f2rcli.io.images.writer import encode_picture
from f2rcli.io.targets import check_target

SUFFIX = ".png"


def write_preview(
    reader: Reader, shown: Iterable[tuple[Frame, Frame]], target: str, write: WriteOptions
) -> Receipt:
    """Write the first pair side by side, upright, to `target`, whole or not at all."""
    path = Path(target)
    check_target(path, reader.paths(), overwrite=write.overwrite)
    pair = next(iter(shown), None)
    if pair is None:
        raise InputError(f"{reader.info.name}: no frame to show.", hint="Check start= and end=.")
    video = next((row for row in reader.describe() if row.get("kind") in ("video", "raw")), {})
    turns = round(float(video.get("rotation") or 0) / 90) % 4
    codes = np.concatenate([_upright(frame, turns) for frame in pair], axis=1)
    picture = av.VideoFrame.from_ndarray(codes, format="rgb24")
    part = PartFile(path, overwrite=write.overwrite, keep=write.keep_partial)
    try:
        with disk_errors(path):
            part.path.write_bytes(encode_picture(picture, "png"))
        shown = decode_picture(part.path).to_ndarray(format="rgb24")
        if not np.array_equal(shown, codes):
            raise OutputError(f"{path.name}: differs when it is read back.", hint="Check the disk.")
        size = part.publish()
    finally:
        part.discard()
    return Receipt(
        path=target, frames=1, seconds=0.0, bytes=size, codec="png", verified=("1 read back",)
    )


def _upright(frame: Frame, turns: int) -> Plane:
    """(H, W, 3) uint8, turned by so many quarters anticlockwise."""
    picture = np.rot90(yuv.to_rgb(frame), turns, axes=(1, 2))
    codes = np.clip(np.rint(picture * 255), 0, 255).astype(np.uint8)
    whole = codes if codes.shape[0] == 3 else np.repeat(codes, 3, axis=0)
    return np.ascontiguousarray(whole.transpose(1, 2, 0))
