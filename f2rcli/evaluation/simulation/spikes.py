"""Calcium imaging: cells that spike, on a texture that stays."""

import numpy as np

from f2rcli.evaluation.simulation.camera import recorded
from f2rcli.evaluation.simulation.filters import blurred
from f2rcli.evaluation.simulation.points import scattered
from f2rcli.evaluation.simulation.scene import CellScene, Scene
from f2rcli.frames import Floats

DECAY = 21.0  # frames, of the calcium indicator: 0.7 s at 30 Hz
RATE = 0.5 / 30  # spikes a frame
LONE = 4  # frames around a spike that have no other
APART = 14.0  # pixels between cells at least


def scene(frames: int, rng: np.random.Generator, *, photons: float, side: int, count: int) -> Scene:
    """`count` cells; the mean light is `photons` electrons a pixel."""
    light = texture(frames, side, rng)
    rows, columns = np.ogrid[:side, :side]
    masks, spikes = [], []
    for number, place in enumerate(scattered(count, side, APART, rng)):
        far, radius = np.hypot(rows - place[0], columns - place[1]), rng.uniform(4, 6)
        fired = rng.random(frames) < RATE
        fired[:LONE] = fired[-LONE:] = False
        shape = rng.uniform(0.6, 2.5) / (1 + np.exp((far - radius) / 0.8))
        light += (1 + calcium(fired))[:, None, None] * shape
        masks.append(far < radius)
        lone = (t for t in np.flatnonzero(fired) if fired[t - LONE : t + LONE].sum() == 1)
        spikes += [(number, int(t)) for t in lone]
    light *= photons / light.mean()
    return Scene(light, recorded(light, rng), CellScene(tuple(masks), tuple(spikes)))


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
