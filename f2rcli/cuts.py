"""Cuts between shots, by small pictures of frames in a row."""

import numpy as np

from f2rcli.frames import Frame, Singles
from f2rcli.yuv import code_span

THUMBNAIL = (18, 32)  # height, width; of pictures that are no larger already
PLACE = 5  # pixels a side of its places at least: noise of few photons is a cut in smaller ones
LEAST_CHANGE = 0.03  # mean absolute change of brightness; a cut between darker shots cannot be seen
ALIKE = 0.5  # correlation of thumbnails above which it is the same shot
STEEP = 0.03  # change from one place of a thumbnail to the next, that shows which place it is
# Share of places whose slopes stay, from which on a scene goes on behind what moves: of 4,160 pairs
# of filmed clips that are not of one scene none has more than 0.12.
STAYS = 1 / 6


def thumbnail(luma: Singles) -> Singles:
    """A small picture of brightness (H, W), 0..1, by averaging over areas: `THUMBNAIL`, or less."""
    import cv2  # a tenth of a second, that `f2r --help` does not wait

    if luma.shape == THUMBNAIL:
        return luma
    pairs = zip(THUMBNAIL, luma.shape, strict=True)
    height, width = (min(most, max(size // PLACE, 2)) for most, size in pairs)
    return np.asarray(cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def look_of(frame: Frame) -> Singles:
    """That of a frame's first plane, in its own units: nothing else of it is converted."""
    zero, span = code_span(frame.layout)
    return (thumbnail(frame.planes[0]) - zero) / span


def same_shot(before: Singles, after: Singles) -> bool:
    """Whether two frames in a row show the same shot, by their thumbnails.

    Correlation ignores a change of exposure, a flash or a fade; the least change keeps noise in
    featureless frames from looking like a cut. Behind something large that moves a scene goes on:
    where places are steep, and as steep in both within half.
    """
    first, second = before - before.mean(), after - after.mean()
    spread = float(np.square(first).sum() * np.square(second).sum()) ** 0.5
    (x, y), (u, v) = ((p[1:, 1:] - p[1:, :-1], p[1:, 1:] - p[:-1, 1:]) for p in (before, after))
    both = x**2 + y**2 + u**2 + v**2
    stays = (both > 2 * STEEP**2) & ((x - u) ** 2 + (y - v) ** 2 < both / 8)
    if np.abs(before - after).mean() < LEAST_CHANGE or spread < 1e-6 or stays.mean() > STAYS:
        return True
    return bool((first * second).sum() > ALIKE * spread)
