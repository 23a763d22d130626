"""The two fields of interlaced frames."""

from dataclasses import replace

import numpy as np

from f2rcli.frames import Frame


def one_field(frame: Frame, parity: int) -> Frame:
    """Every second row of a frame, starting with row `parity`: one of the two moments it holds."""
    return replace(frame, planes=tuple(plane[parity::2] for plane in frame.planes))


def woven(upper: Frame, lower: Frame) -> Frame:
    """A frame from its two fields."""
    planes = []
    for top, bottom in zip(upper.planes, lower.planes, strict=True):
        plane = np.empty((top.shape[0] + bottom.shape[0], top.shape[1]), top.dtype)
        plane[0::2], plane[1::2] = top, bottom
        planes.append(plane)
    return replace(upper, planes=tuple(planes))
