"""The bundled UDVD uses neighbours, and follows what moves without being told how."""

import numpy as np
import torch
from torch.nn import functional

from f2rcli.evaluation import motion_field
from f2rcli.noise import model
from f2rcli.window import Window
from tests.engine.conftest import engine_for, noisy_clip

MotionField = motion_field.MotionField
motion_field = motion_field.motion_field
NoiseModel = model.NoiseModel

SIGMA = 30 / 255
LEAST = 0.3  # of a pixel: what neighbours give at sigma 30 where little moves
ROWS, COLUMNS = 88, 112


def field(motion: tuple[float, float], weights: str | None = None) -> MotionField:
    """What makes the middle of five frames that move by (dx, dy) quarter pixels a frame."""
    dx, dy = (round(4 * step) for step in motion)
    torch.manual_seed(0)
    layers = [torch.rand(1, 3, 700 // side, 840 // side) for side in (8, 16, 32)]
    scene = sum(functional.interpolate(part, (700, 840), mode="bicubic") for part in layers) / 3
    frames = []
    for step in range(-2, 3):
        top, left = 60 - step * dy, 60 - step * dx
        seen = scene[..., top : top + 4 * ROWS, left : left + 4 * COLUMNS]
        frames.append(functional.avg_pool2d(seen, 4).clamp(0, 1))
    noisy = [frame + SIGMA * torch.randn_like(frame) for frame in frames]
    engine = engine_for(noisy_clip(5), method="udvd", weights=weights)
    items = list(enumerate(noisy))
    window = Window(items[2], tuple(items[:2]), tuple(items[3:]))
    return motion_field(engine, window, 24, NoiseModel.gaussian(SIGMA, 3))


def test_neighbours_give_their_share_of_a_translation_and_their_filters_follow_it() -> None:
    motion = (2.0, -1.0)
    found = field(motion)
    shares = found.shares.mean(0)
    assert shares.sum() - shares[2] > LEAST
    np.testing.assert_allclose(found.medians[1:3], [motion] * 2, atol=0.5)
