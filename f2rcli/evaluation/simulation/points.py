"""Molecules that shine for one frame, and stars that stay."""

from collections.abc import Sequence
from math import erf, sqrt

import numpy as np

from f2rcli.evaluation.simulation.camera import recorded
from f2rcli.evaluation.simulation.scene import Point, PointScene, Scene
from f2rcli.frames import Floats

APART = 22.0  # pixels between points at least


def scene(
    frames: int, rng: np.random.Generator, *, electrons: Sequence[float], width: float,
    background: float, side: int, count: int, stay: bool,
) -> Scene:  # fmt: skip
    """`count` points (in each frame, unless they stay) of so many electrons by turns, `width`
    pixels wide (standard deviation), on a background of electrons a pixel."""
    light, points = np.full((frames, side, side), float(background)), []
    for frame in range(1 if stay else frames):
        shown = range(frames) if stay else range(frame, frame + 1)
        for number, (row, column) in enumerate(scattered(count, side, APART, rng)):
            bright = electrons[(number + frame) % len(electrons)]
            light[shown.start : shown.stop] += bright * spot(side, row, column, width)
            points += [Point(at, row, column, bright) for at in shown]
    return Scene(light, recorded(light, rng), PointScene(tuple(points), background))


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
