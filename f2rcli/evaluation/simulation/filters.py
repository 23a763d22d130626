"""Simple filters to compare with: a median, and the Gaussian that is best by the truth."""

from itertools import product

import cv2
import numpy as np

from f2rcli.frames import Floats

TIMES, WIDTHS = (0, 0.5, 1, 2, 3, 4), (0.5, 0.75, 1, 1.5, 2)  # frames and pixels that are tried


def median(noisy: Floats) -> Floats:
    """The median over three frames, rows and columns; mirrored at the borders."""
    padded = np.pad(noisy, 1, mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3, 3))
    return np.stack([np.median(frame, axis=(-3, -2, -1)) for frame in windows])


def best_gaussian(noisy: Floats, light: Floats) -> Floats:
    """The stack, filtered by the Gaussian that comes nearest to the truth."""
    smooth = (blurred(noisy, *widths) for widths in product(TIMES, WIDTHS))
    return min(smooth, key=lambda one: float(np.mean((one - light) ** 2)))


def blurred(stack: Floats, time: float, width: float) -> Floats:
    """A stack (T, H, W) blurred by Gaussians over time and space; mirrored at the borders."""
    none, across = np.ones(1), _kernel(width)
    lines = stack.reshape(len(stack), -1)
    mixed = cv2.sepFilter2D(lines, -1, none, _kernel(time), borderType=cv2.BORDER_REFLECT)
    frames = (
        cv2.sepFilter2D(frame, -1, across, across, borderType=cv2.BORDER_REFLECT)
        for frame in np.asarray(mixed, np.float64).reshape(stack.shape)
    )
    return np.stack([np.asarray(frame, np.float64) for frame in frames])


def _kernel(width: float) -> Floats:
    """A Gaussian up to four standard deviations, of unit sum."""
    reach = np.arange(-int(4 * width + 0.5), int(4 * width + 0.5) + 1)
    kernel = np.exp(-0.5 * (reach / max(width, 1e-9)) ** 2)
    return np.asarray(kernel / kernel.sum(), np.float64)
