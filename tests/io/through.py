"""Clips through reader and writer, as the engine sends them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from f2rcli.frames import Plane
from f2rcli.io import Reader, Receipt, WriteOptions, open_writer, plan_output


def copied(
    reader: Reader,
    target: str | Path,
    write: WriteOptions = WriteOptions(),
    change: Callable[[Plane], Plane] = lambda plane: plane,
) -> Receipt:
    """Write the frames of an open clip, each colour plane of them changed."""
    with open_writer(reader, plan_output(reader, target, write)) as writer:
        for frame in reader:
            count = frame.layout.colour_planes
            planes = (*map(change, frame.planes[:count]), *frame.planes[count:])
            if not frame.context:
                writer.write(replace(frame, planes=planes))
        return writer.finish()
