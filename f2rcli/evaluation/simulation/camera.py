"""A simulated camera. Light is in electrons."""

import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Floats

GAIN, OFFSET, READ = 8.0, 100.0, 4.0  # codes


def recorded(light: Floats, rng: np.random.Generator, rows: float = 0.0) -> NDArray[np.uint16]:
    """The codes a camera stores; light (T, H, W) in electrons, rows: their offsets, in codes."""
    codes = GAIN * rng.poisson(light) + OFFSET + rng.normal(0, READ, light.shape)
    codes += rng.normal(0, rows, light.shape[:2])[..., None]
    return np.rint(codes).clip(0, 65535).astype(np.uint16)


def electrons(codes: NDArray[np.generic]) -> Floats:
    """The light that codes stand for."""
    return (codes.astype(np.float64) - OFFSET) / GAIN


def in_codes(light: Floats) -> NDArray[np.float32]:
    """Light as the camera would store it, without noise and rounding."""
    return np.asarray(GAIN * light + OFFSET, np.float32)


def psnr(estimate: Floats, light: Floats) -> float:
    """Decibels; the peak is the 99.9th percentile minus the minimum of the light."""
    low, high = span(light)
    return float(10 * np.log10((high - low) ** 2 / np.mean((estimate - light) ** 2)))


def span(light: Floats) -> tuple[float, float]:
    """The black and white levels of a scene."""
    return float(light.min()), float(np.percentile(light, 99.9))
