"""The plug-in's sample: calcium imaging of cells that flash, with a camera's noise."""

from typing import Any

import numpy as np

from f2rcli.napari.files import Array, Layer

FRAMES, SIDE, CELLS = 40, 160, 24
GAIN, READ, OFFSET = 6.0, 4.0, 100.0  # codes per electron, codes, codes
DECAY = 0.9  # of a flash, from frame to frame


def noisy_calcium() -> list[Layer]:
    """A simulated movie (40, 160, 160) of a few photons per pixel, uint16, always the same."""
    rng = np.random.default_rng(7)
    haze = np.linspace(2.0, 14.0, SIDE)  # out-of-focus light, brighter to the right
    light = haze + np.einsum("ct,cyx->tyx", _flashes(rng), _cells(rng))
    codes = GAIN * rng.poisson(light) + OFFSET + rng.normal(0, READ, light.shape)
    movie = np.clip(np.rint(codes), 0, 65535).astype(np.uint16)
    keywords: dict[str, Any] = {
        "name": "noisy calcium imaging",
        "axis_labels": ("t", "y", "x"),
        "scale": (1 / 30, 0.5, 0.5),
        "units": ("s", "µm", "µm"),
        "metadata": {"axes": "TYX"},
    }
    return [(movie, keywords, "image")]


def _cells(rng: np.random.Generator) -> Array:
    """Round somata, (CELLS, SIDE, SIDE), 1 at their middle."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    y, x = rng.uniform(8, SIDE - 8, (2, CELLS, 1, 1))
    radius = rng.uniform(3, 6, (CELLS, 1, 1))
    somata: Array = np.exp(-((((rows - y) ** 2 + (columns - x) ** 2) / (2 * radius**2)) ** 2))
    return somata


def _flashes(rng: np.random.Generator) -> Array:
    """Photons of each cell in each frame, (CELLS, FRAMES): sudden rises that fade."""
    spikes = rng.random((CELLS, FRAMES)) < 0.05
    light = np.zeros((CELLS, FRAMES))
    for frame in range(1, FRAMES):
        light[:, frame] = DECAY * light[:, frame - 1] + 12.0 * spikes[:, frame]
    return light + rng.uniform(1, 6, (CELLS, 1))
