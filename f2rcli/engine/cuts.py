"""Where one shot ends and the next begins."""

import cv2
import numpy as np
from numpy.typing import NDArray

THUMBNAIL = (32, 18)  # width, height
LEAST_CHANGE = 0.03  # mean absolute change of brightness; a cut between darker shots cannot be seen
ALIKE = 0.5  # correlation of thumbnails above which it is the same shot

Thumbnail = NDArray[np.float32]  # (18, 32)


def thumbnail(luma: NDArray[np.float32]) -> Thumbnail:
    """A small picture of brightness (H, W), 0..1, by averaging over areas."""
    return np.asarray(cv2.resize(luma, THUMBNAIL, interpolation=cv2.INTER_AREA), np.float32)


def same_shot(before: Thumbnail, after: Thumbnail) -> bool:
    """Whether two frames in a row show the same shot.

    Correlation ignores a change of exposure, a flash or a fade; the least change keeps noise in
    featureless frames from looking like a cut.
    """
    change = float(np.abs(before - after).mean())
    if change < LEAST_CHANGE:
        return True
    first, second = before - before.mean(), after - after.mean()
    power = float(np.sqrt((first**2).sum() * (second**2).sum()))
    if power < 1e-6:
        return True
    return float((first * second).sum()) / power > ALIKE
