"""Samples near each other in single frames, by definition."""

from statistics import NormalDist

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from f2rcli.engine.noise.nearby import _cut_off, most_nearby
from f2rcli.noise.bands import white_shares
from f2rcli.noise.measurement.blocks import FramePlanes, side_of
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.planes import PlaneNoise

SHAPE = 96, 128
STEPS = [
    (0, 5), (0, 6), (0, 7), (3, -6), (4, -4), (4, 4),
    (5, 0), (5, 5), (6, 0), (6, -6), (6, 3), (7, 0),
]  # fmt: skip


def law(gain: float, read: float, sigma: float, count: int = 1) -> PlaneNoise:
    model = NoiseModel((gain,), (read,), (sigma,))
    return PlaneNoise((model,) * count, (white_shares(),) * count, steps=(1 / 255,) * count)


def by_definition(plane: np.ndarray, light: np.ndarray, known: PlaneNoise, colour: bool) -> float:
    """The median over blocks of the tenth of what pairs differ by, as sigma of Gaussian noise by
    the law, and less where the median of pairs is not Gaussian's; 1 where that says nothing."""
    height, width = plane.shape
    side, model = side_of(plane.shape), known.models[0]
    bright = uniform_filter(light.astype(float), 5, mode="mirror")
    variance = model.gain[0] * bright + model.read[0] ** 2
    room = np.minimum(bright, 1 - bright).clip(0) / np.sqrt(variance)
    corners = [
        (top, left)
        for top in range(7, height - side - 6, side)
        for left in range(7, width - side - 6, side)
    ]
    if len(corners) < 24:
        return 1.0
    number = min(100, len(corners))
    corners = [corners[int(at)] for at in np.linspace(0, len(corners) - 1, number)]
    inner = np.arange(0, side, side // 8)
    grids = [np.ix_(top + inner, left + inner) for top, left in corners]
    seen = np.concatenate([plane[grid].ravel() for grid in grids])
    railed = np.mean((seen < 0.5 / 255) | (seen > 1 - 0.5 / 255))
    rooms = np.concatenate([room[grid].ravel() for grid in grids])
    tail = np.mean(1 / (1 + np.exp(1.702 * rooms.clip(0, 20))))
    cut = railed > 0.5 * tail
    step = min(np.diff(np.unique(seen)).min(), model.sigma[0] / 2)
    rounding = np.random.default_rng(0).random(plane.size, np.float32).reshape(plane.shape) - 0.5
    values = plane + step * rounding
    alike, shape, drawn = [], [], 0
    for (top, left), grid in zip(corners, grids, strict=True):
        if np.ptp(plane[grid]) == 0:
            drawn += 1
            continue
        if cut and not colour and not (room[grid] > 1.5).all():
            continue
        apart = []
        for down, across in STEPS:
            there = np.ix_(top + down + inner, left + across + inner)
            both = np.sqrt(variance[grid] + variance[there])
            apart.append(np.abs(values[there] - values[grid]) / both)
        ranked = np.sort(np.ravel(apart))
        few, half = (
            ranked[round(share * (ranked.size - 1))] / NormalDist().inv_cdf((1 + share) / 2)
            for share in (0.1, 0.5)
        )
        alike.append(few)
        shape.append(few / half)
    if len(alike) < max(24, 0.2 * (len(corners) - drawn)):
        return 1.0
    most = np.median(alike)
    return float(most * min(np.median(shape) / 0.9, 1)) if most < 0.85 else 1.0


@pytest.mark.parametrize("noise", [0.4, 0.8, 0.84, 0.87, 1.0])
@pytest.mark.parametrize("scene", ["flat", "dots", "rails", "slope", "drawn"])
def test_what_a_frame_allows_is_by_definition(scene: str, noise: float) -> None:
    """Noise by a law but weaker; in dots of two brightnesses, on white, on the
    way there, and beside a drawing."""
    rng, gain, read = np.random.default_rng(1), 0.003, 0.02
    shown = 0.35 + 0.2 * np.sin(np.arange(SHAPE[1]) / 30) + np.zeros(SHAPE)
    if scene == "dots":
        shown += rng.choice([0.0, 0.004], SHAPE)
    if scene == "rails":
        shown[:, 20:] = 0.97
    if scene == "slope":
        shown = np.linspace(0.8, 1.0, SHAPE[1]) + np.zeros(SHAPE)
    grains = noise * rng.standard_t(5 if scene == "dots" else 300, SHAPE)
    plane = shown + np.sqrt(gain * shown + read**2) * grains
    plane = (np.rint(plane.clip(0, 1) * 255) / 255).astype(np.float32)
    if scene == "drawn":
        plane[:, :88] = 0.5
    known = law(gain, read, 0.04)
    (found,) = most_nearby([FramePlanes([plane], plane)], known)
    assert found == pytest.approx(by_definition(plane, plane, known, False), abs=2e-3)


@pytest.mark.parametrize("level", [0.4, 0.97])
def test_a_colours_law_goes_by_the_light_of_its_cells(level: float) -> None:
    rng = np.random.default_rng(2)
    light = np.full((2 * SHAPE[0], 2 * SHAPE[1]), level) + 0.02 * rng.random((192, 256))
    colour = (0.5 + 0.02 * rng.normal(0, 1, SHAPE)).astype(np.float32)
    luma, known = light.astype(np.float32), law(0.003, 0.02, 0.04, count=3)
    picture = FramePlanes([luma, colour, colour], luma, chroma=True)
    small = luma.reshape(SHAPE[0], 2, SHAPE[1], 2).mean((1, 3))
    assert most_nearby([picture], known)[1:] == pytest.approx(
        [by_definition(colour, small, known, True)] * 2, abs=2e-3
    )


def test_of_several_frames_the_first_and_the_last_are_looked_at() -> None:
    rng = np.random.default_rng(3)
    planes = [
        (0.5 + sigma * rng.normal(0, 1, SHAPE)).astype(np.float32) for sigma in (0.01, 0.04, 0.02)
    ]
    pictures, known = [FramePlanes([one], one) for one in planes], law(0.0, 0.04, 0.04)
    every = [most_nearby([one], known)[0] for one in pictures]
    assert most_nearby(pictures, known) == [pytest.approx((every[0] + every[2]) / 2)]


@pytest.mark.parametrize(("shift", "cut"), [(0.4 / 255, True), (0.6 / 255, False)])
def test_samples_within_half_a_code_of_black_and_white_lie_there(shift: float, cut: bool) -> None:
    room = np.full(40, 1.0, np.float32)  # noise would put 0.154 there, half of which is enough
    for few, wanted in ((3, False), (4, cut)):
        for low in (True, False):
            values = np.full(40, 0.5, np.float32)
            values[:few] = shift if low else 1 - shift
            assert _cut_off(values, room) == wanted
