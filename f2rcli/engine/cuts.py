"""Cuts between shots. Without torch where frames are arrays: batches ask before they load it."""

from math import sqrt
from typing import TYPE_CHECKING, Any, Union

import cv2
import numpy as np

from f2rcli.frames import Frame, Singles
from f2rcli.yuv import code_span

if TYPE_CHECKING:
    from torch import Tensor

THUMBNAIL = (32, 18)  # width, height
LEAST_CHANGE = 0.03  # mean absolute change of brightness; a cut between darker shots cannot be seen
ALIKE = 0.5  # correlation of thumbnails above which it is the same shot
STEEP = 0.03  # change from one place of a thumbnail to the next, that shows which place it is
# Share of places whose slopes stay, from which on a scene goes on behind what moves: of 4,160 pairs
# of filmed clips that are not of one scene none has more than 0.12.
STAYS = 1 / 6

Thumbnail = Union[Singles, "Tensor"]  # (18, 32), a tensor on the device of its frame


def thumbnail(luma: Thumbnail) -> Thumbnail:
    """A small picture of brightness (H, W), 0..1, by averaging over areas."""
    if not isinstance(luma, np.ndarray):
        from f2rcli.models.filters import resized

        return resized(luma[None], THUMBNAIL[::-1])[0]
    return np.asarray(cv2.resize(luma, THUMBNAIL, interpolation=cv2.INTER_AREA), np.float32)


def look_of(frame: Frame) -> Thumbnail:
    """That of a frame's first plane, in its own units: nothing else of it is converted."""
    zero, span = code_span(frame.layout)
    return (thumbnail(frame.planes[0]) - zero) / span


def same_shot(before: Thumbnail, after: Thumbnail) -> bool:
    """Whether two frames in a row show the same shot.

    Correlation ignores a change of exposure, a flash or a fade; the least change keeps noise in
    featureless frames from looking like a cut. Behind something large that moves a scene goes on.
    """
    change, power, covariance, stays = _compared(before, after)
    spread = sqrt(power)
    if change < LEAST_CHANGE or spread < 1e-6 or stays > STAYS:
        return True
    return covariance / spread > ALIKE


def _compared(before: Any, after: Any) -> list[float]:
    """Mean absolute change, the product of both powers, what varies in both, and the share of
    places that are steep, and as steep in both within half."""
    first, second = before - before.mean(), after - after.mean()
    power = (first**2).sum() * (second**2).sum()
    (x, y), (u, v) = ((p[1:, 1:] - p[1:, :-1], p[1:, 1:] - p[:-1, 1:]) for p in (before, after))
    both = x**2 + y**2 + u**2 + v**2
    stays = ((both > 2 * STEEP**2) & ((x - u) ** 2 + (y - v) ** 2 < both / 8)) * 1.0
    figures = [abs(before - after).mean(), power, (first * second).sum(), stays.mean()]
    if not isinstance(before, np.ndarray):
        import torch

        return torch.stack(figures).tolist()  # all at once: asking a GPU makes it wait
    return [float(figure) for figure in figures]
