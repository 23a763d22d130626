"""Smooth light under rows that have offsets of their own in every frame."""

import numpy as np

from f2rcli.evaluation.simulation.camera import recorded
from f2rcli.evaluation.simulation.scene import Scene


def scene(
    frames: int, rng: np.random.Generator, *, photons: float, offsets: float, side: int
) -> Scene:
    """Light of `photons` electrons a pixel, offsets with a standard deviation in codes."""
    across = np.linspace(0, 9 * side / 128, side)
    wave = np.sin(across[:, None]) * np.cos(across)
    light = np.tile(photons * (1 + 0.4 * wave), (frames, 1, 1))
    return Scene(light, recorded(light, rng, rows=offsets))
