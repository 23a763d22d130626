"""Profiles of a picture down its rows: how each row differs from its surroundings, in pieces.

A row is cut into short segments, so that what is no offset of the whole row (texture, an edge, what
moved) lies in a few of them and is voted down.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.order import robust_sigma

Values = NDArray[np.float32]  # (H, W)
Profile = NDArray[np.float32]  # (H,)

LEAST_ROWS, LEAST_COLUMNS = 48, 64  # of a plane whose lines are looked at
SEGMENT = 8  # columns
FINE = 4.0  # rows: standard deviation of the blur that parts broad bands from single rows
FAR = 2.5  # standard deviations of the segments, from where one is believed less
ROUNDS = 8
NEAR = 1.5  # rows: of the blur that a row is compared with within a picture
HIGH = 5.0  # rows: what is broader is never seen within a picture
AROUND = 9  # rows over which variances are averaged
TINY = 1e-12


def segments(values: Values, weights: Values, width: int = SEGMENT) -> tuple[Values, Values]:
    """Weighted means of segments of each row, (H, J), and the sums of their weights."""
    height, count = len(values), max(values.shape[1] // width, 1)
    used = count * min(width, values.shape[1])
    shape = (height, count, -1)
    total = weights[:, :used].reshape(shape).sum(2)
    sums = (values * weights)[:, :used].reshape(shape).sum(2)
    return sums / np.maximum(total, TINY), total


def smooth(profile: NDArray[np.floating], rows: float) -> Values:
    """Blurred down its rows (H, J), mirrored at the ends."""
    size = (1, 2 * round(3 * rows) + 1)
    like = np.ascontiguousarray(profile, np.float32)
    soft = cv2.GaussianBlur(like, size, sigmaX=1, sigmaY=rows, borderType=cv2.BORDER_REFLECT)
    return np.asarray(soft, np.float32).reshape(like.shape)


def parted(profile: NDArray[np.floating]) -> tuple[Profile, Profile]:
    """A profile as single rows and broad bands: their sum is the profile."""
    broad = smooth(profile[:, None], FINE)[:, 0]
    return (profile - broad).astype(np.float32), broad


def precision(picture: Values, sigma: float, matched: float) -> Values:
    """The precision of every pixel: one over the variance of noise of this sigma and of a
    share of the gradient's power (see `bound.MATCHED`). picture: with little noise."""
    across, down = (
        cv2.Sobel(picture, cv2.CV_32F, *way, ksize=3, scale=1 / 8) for way in ((1, 0), (0, 1))
    )
    power = cv2.blur(across * across + down * down, (3, 3))
    return np.asarray(1 / (sigma**2 + TINY + matched * power), np.float32)


def common(values: Values, weights: Values) -> tuple[Profile, Profile]:
    """The common offset of all segments (H, J) of a row, robustly, and its variance."""
    unit, weight = np.sqrt(weights), weights
    for _ in range(ROUNDS):
        mean = row_mean(values, weight)
        weight = weights * _believed((values - mean) * unit)
    return mean[:, 0], _variance(values - mean, weight, weights)


def standing_out(values: Values, weights: Values) -> tuple[Profile, Profile]:
    """The offset of each row from those around it in all segments (H, J), and its variance; no
    broad bands, and what of the scene does so lies in it."""
    unit, offset = np.sqrt(weights), np.zeros((len(values), 1), np.float32)
    for _ in range(ROUNDS):
        level = values - offset
        apart = level - smooth(level, NEAR)
        weight = weights * _believed(apart * unit)
        offset = offset + row_mean(apart, weight)
        offset = offset - smooth(offset, HIGH)
    return offset[:, 0], _variance(apart, weight, weights)


def row_mean(values: Values, weights: Values) -> Values:
    """The weighted mean of every row, (H, 1)."""
    total = np.maximum(weights.sum(1, keepdims=True), TINY)
    return np.asarray((values * weights).sum(1, keepdims=True) / total, np.float32)


def _believed(apart: Values) -> Values:
    """The share of its weight that a segment keeps, so many standard deviations off."""
    scale = FAR * robust_sigma(apart) + TINY
    far = np.minimum(np.abs(apart) / scale, 1e4)
    return np.asarray(1 / (1 + far**2) ** 2, np.float32)


def _variance(apart: Values, weights: Values, before: Values) -> Profile:
    """Of the weighted mean of every row, from the scatter of its segments and those around; no
    less than their weights promised before any was doubted."""
    total = np.maximum(weights.sum(1), TINY)
    own = (weights**2 * apart**2).sum(1) / total**2
    around = np.asarray(cv2.blur(own[:, None].astype(np.float32), (1, AROUND)), np.float32)
    promised = (1 / np.maximum(before.sum(1), TINY)).astype(np.float32)
    least: Profile = np.maximum(around.reshape(-1), promised)
    return least
