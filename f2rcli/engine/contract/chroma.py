"""Colour noise that networks leave in Y'CbCr files, smoothed away from edges.

Networks see RGB, where the noise of a chroma sample, interpolated onto four pixels, looks like a
coarse blob of colour; they leave a fifth of it and more. On the chroma grid it is nearly white, and
a bilateral filter joint with luma (Tomasi and Manduchi, ICCV 1998; Petschnigg et al., SIGGRAPH
2004) takes it out: +0.5 dB of chroma at sigma 2, +2 to +4 at sigma 12 on test clips.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import torch

from f2rcli.engine.contract.limits import Real

DIAMETER = 11  # samples of the chroma grid
GUIDE = 0.5  # of luma's differences beside chroma's
LEAST_LEVEL = 1e-4  # of the noise: below it there is nothing to smooth
LEAST_NORMAL = float(np.finfo(np.float32).tiny)


def smoothed(planes: list[Real], levels: list[float]) -> list[Real]:
    """Restored planes Y, Cb, Cr (chroma on a grid of its own), chroma without the noise left in it.

    levels: the standard deviation that each plane's noise had, in units of the plane. The filter
    averages samples that differ by less than it.
    """
    luma, *chroma = planes
    level = float(np.mean(levels[1:]))
    if level < LEAST_LEVEL:
        return planes
    rows, columns = chroma[0].shape
    guide = cv2.resize(luma, (columns, rows), interpolation=cv2.INTER_AREA)
    joint = np.dstack([guide * np.float32(GUIDE), *chroma])
    with _tiny_numbers_as_zero():  # weights of samples 13 to 14 levels apart are such numbers
        out = cv2.bilateralFilter(
            joint, DIAMETER, level, DIAMETER / 3, borderType=cv2.BORDER_REFLECT
        )
    return [luma, *(np.array(out[..., i], np.float32) for i in (1, 2))]


@contextmanager
def _tiny_numbers_as_zero() -> Iterator[None]:
    """Flush denormal numbers to zero in this thread: they cost a hundred times as much. OpenCV
    makes the table of its weights here, so that its own threads meet none either."""
    before = not bool(torch.tensor(LEAST_NORMAL).mul(0.5))
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
