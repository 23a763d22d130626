"""Where one shot ends and the next begins."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from f2rcli.engine.gpu.filters import resized

THUMBNAIL = (32, 18)  # width, height
LEAST_CHANGE = 0.03  # mean absolute change of brightness; a cut between darker shots cannot be seen
ALIKE = 0.5  # correlation of thumbnails above which it is the same shot

Thumbnail = NDArray[np.float32] | Tensor  # (18, 32), a tensor on the device of its frame


def thumbnail(luma: NDArray[np.float32] | Tensor) -> Thumbnail:
    """A small picture of brightness (H, W), 0..1, by averaging over areas."""
    if isinstance(luma, Tensor):
        return resized(luma[None], THUMBNAIL[::-1])[0]
    return np.asarray(cv2.resize(luma, THUMBNAIL, interpolation=cv2.INTER_AREA), np.float32)


def same_shot(before: Thumbnail, after: Thumbnail) -> bool:
    """Whether two frames in a row show the same shot.

    Correlation ignores a change of exposure, a flash or a fade; the least change keeps noise in
    featureless frames from looking like a cut.
    """
    change, power, covariance = _compared(before, after)
    if change < LEAST_CHANGE or power < 1e-6:
        return True
    return covariance / power > ALIKE


def _compared(before: Thumbnail, after: Thumbnail) -> tuple[float, ...]:
    """Mean absolute change, the product of both deviations, and what varies in both."""
    if isinstance(before, Tensor) and isinstance(after, Tensor):
        first, second = before - before.mean(), after - after.mean()
        power = (first.square().sum() * second.square().sum()).sqrt()
        figures = [(before - after).abs().mean(), power, (first * second).sum()]
        return tuple(torch.stack(figures).tolist())  # all at once: asking a GPU makes it wait
    one, two = np.asarray(before), np.asarray(after)
    moved = float(np.abs(one - two).mean())
    one, two = one - one.mean(), two - two.mean()
    spread = float(np.sqrt((one**2).sum() * (two**2).sum()))
    return moved, spread, float((one * two).sum())
