"""Cuts between shots; arrays go without torch, for processes that decode."""

from math import sqrt
from typing import TYPE_CHECKING, Any, Union

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

THUMBNAIL = (32, 18)  # width, height
LEAST_CHANGE = 0.03  # mean absolute change of brightness; a cut between darker shots cannot be seen
ALIKE = 0.5  # correlation of thumbnails above which it is the same shot

# (18, 32), a tensor on the device of its frame
Thumbnail = Union[NDArray[np.float32], "Tensor"]


def thumbnail(luma: "NDArray[np.float32] | Tensor") -> Thumbnail:
    """A small picture of brightness (H, W), 0..1, by averaging over areas."""
    if isinstance(luma, np.ndarray):
        return np.asarray(cv2.resize(luma, THUMBNAIL, interpolation=cv2.INTER_AREA), np.float32)
    from f2rcli.engine.contract.filters import resized  # brings torch

    return resized(luma[None], THUMBNAIL[::-1])[0]


def same_shot(before: Thumbnail, after: Thumbnail) -> bool:
    """Whether two frames in a row show the same shot.

    Correlation ignores a change of exposure, a flash or a fade; the least change keeps noise in
    featureless frames from looking like a cut.
    """
    change, power, covariance = _compared(before, after)
    spread = sqrt(power)
    if change < LEAST_CHANGE or spread < 1e-6:
        return True
    return covariance / spread > ALIKE


def _compared(before: Any, after: Any) -> list[float]:
    """Mean absolute change, the product of both powers, and what varies in both."""
    first, second = before - before.mean(), after - after.mean()
    power = (first**2).sum() * (second**2).sum()
    figures = [abs(before - after).mean(), power, (first * second).sum()]
    if isinstance(before, np.ndarray):
        return [float(figure) for figure in figures]
    import torch

    values: list[float] = torch.stack(figures).tolist()  # all at once: asking a GPU makes it wait
    return values
