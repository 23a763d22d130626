"""Scenes whose truth is known, a simulated camera, and simple filters to compare with.

Light is in electrons. Used by quantities.py, microscopy.py and tests of counts.
"""

from collections.abc import Sequence
from itertools import product
from math import erf, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from f2rcli.frames import Floats

GAIN, OFFSET, READ = 8.0, 100.0, 4.0  # codes
TIMES, WIDTHS = (0, 0.5, 1, 2, 3, 4), (0.5, 0.75, 1, 1.5, 2)  # frames and pixels that are tried
APART = 22.0  # pixels between points at least
DISC = 4.5  # pixels, the radius in which a point's light is summed
DECAY = 21.0  # frames, of the calcium indicator: 0.7 s at 30 Hz
SPIKE_RATE = 0.5 / 30  # spikes a frame


def recorded(light: Floats, rng: np.random.Generator, rows: float = 0.0) -> NDArray[np.uint16]:
    """The codes a camera stores; light (T, H, W) in electrons, rows: their offsets, in codes."""
    codes = GAIN * rng.poisson(light) + OFFSET + rng.normal(0, READ, light.shape)
    codes += rng.normal(0, rows, light.shape[:2])[..., None]
    return np.rint(codes).clip(0, 65535).astype(np.uint16)


def electrons(codes: NDArray[np.generic]) -> Floats:
    """The light that codes stand for."""
    return (codes.astype(np.float64) - OFFSET) / GAIN


def psnr(estimate: Floats, light: Floats) -> float:
    """Decibels; the peak is the 99.9th percentile minus the minimum of the light."""
    low, high = span(light)
    return float(10 * np.log10((high - low) ** 2 / np.mean((estimate - light) ** 2)))


def span(light: Floats) -> tuple[float, float]:
    """The black and white levels of a scene."""
    return float(light.min()), float(np.percentile(light, 99.9))


def best_gaussian(noisy: Floats, light: Floats) -> Floats:
    """The stack, filtered by the Gaussian that comes nearest to the truth."""
    smooth = (blurred(noisy, *widths) for widths in product(TIMES, WIDTHS))
    return min(smooth, key=lambda one: float(np.mean((one - light) ** 2)))


def blurred(stack: Floats, time: float, width: float) -> Floats:
    """A stack (T, H, W) blurred by Gaussians over time and space; mirrored at the borders."""
    return np.asarray(gaussian_filter(stack, (time, width, width)), np.float64)


class Point(NamedTuple):
    """A point of light in one frame."""

    frame: int
    row: float
    column: float
    electrons: float

    def far(self, shape: tuple[int, ...]) -> Floats:
        """The square of every pixel's distance from it, (H, W)."""
        rows, columns = np.ogrid[: shape[0], : shape[1]]
        return np.asarray((rows - self.row) ** 2 + (columns - self.column) ** 2, np.float64)


def points(
    frames: int, rng: np.random.Generator, *, electrons: Sequence[float], width: float,
    background: float, side: int, count: int, stay: bool,
) -> tuple[Floats, list[Point]]:  # fmt: skip
    """Light (T, H, W) and what is in it: `count` points (in each frame, unless they stay) of so
    many electrons by turns, `width` pixels wide (standard deviation), on a background of electrons
    a pixel."""
    light, found = np.full((frames, side, side), float(background)), []
    for frame in range(1 if stay else frames):
        shown = range(frames) if stay else range(frame, frame + 1)
        for number, (row, column) in enumerate(scattered(count, side, APART, rng)):
            bright = electrons[(number + frame) % len(electrons)]
            light[shown.start : shown.stop] += bright * spot(side, row, column, width)
            found += [Point(at, row, column, bright) for at in shown]
    return light, found


def spot(side: int, row: float, column: float, width: float) -> Floats:
    """A Gaussian of unit sum, integrated over pixels."""

    def line(middle: float) -> Floats:
        edges = (np.arange(side + 1) - 0.5 - middle) / (width * sqrt(2))
        return np.diff([erf(edge) for edge in edges]) / 2

    return np.outer(line(row), line(column))


def scattered(count: int, side: int, apart: float, rng: np.random.Generator) -> Floats:
    """Up to so many places (N, 2), none closer to another than `apart`."""
    found: list[Floats] = []
    for _ in range(200 * count):
        place = rng.uniform(apart / 2, side - apart / 2, 2)
        if len(found) < count and all(np.hypot(*(place - one)) >= apart for one in found):
            found.append(place)
    return np.array(found)


def light_in(picture: Floats, point: Point) -> float:
    """The light around a point of a picture without its background."""
    return float(picture[point.far(picture.shape) <= DISC**2].sum())


def texture(frames: int, side: int, rng: np.random.Generator) -> Floats:
    """Smooth light around 1 that stays, (T, H, W)."""
    rough = blurred(rng.normal(size=(1, side, side)), 0, 6)[0]
    return np.tile(np.clip(1 + 0.4 * rough / rough.std(), 0.3, None), (frames, 1, 1))


def calcium(fired: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Floats:
    """The indicator's response to spikes, (T,): 1 at once, then an exponential decay."""
    trace = np.zeros(len(fired))
    for t in range(1, len(fired)):
        trace[t] = trace[t - 1] * np.exp(-1 / DECAY) + fired[t]
    return trace


def cells(frames: int, rng: np.random.Generator, photons: float, side: int, count: int) -> Floats:
    """Light (T, H, W) of cells that spike, on a texture that stays; its mean is `photons`."""
    light = texture(frames, side, rng)
    rows, columns = np.ogrid[:side, :side]
    for place in scattered(count, side, 14.0, rng):
        far, radius = np.hypot(rows - place[0], columns - place[1]), rng.uniform(4, 6)
        trace = calcium(rng.random(frames) < SPIKE_RATE)
        shape = rng.uniform(0.6, 2.5) / (1 + np.exp((far - radius) / 0.8))
        light += (1 + trace)[:, None, None] * shape
    return light * photons / light.mean()
