"""Steps between lines, and the offsets in them, by definition."""

import cv2
import numpy as np
import pytest
from scipy.optimize import nnls

from f2rcli.noise.measurement.profiles import common, precision, segments
from f2rcli.noise.standing.steps import Offsets, _positive, estimated, offsets_of, steps_of
from tests.noise.standing_scenes import HEIGHT, WIDTH, filmed, offsets, still_life

Array = np.ndarray
RNG = np.random.default_rng


def life(sigma8: float = 3.0) -> Array:
    """A still life with offsets of rows, (H, W)."""
    return filmed(still_life() + offsets(HEIGHT)[:, None], sigma8, count=1)[0]


@pytest.mark.parametrize("sigma8", [0.0, 3.0])
def test_steps_of_segments_are_the_differences_weighted_by_noise_and_edges(sigma8: float) -> None:
    """An edge leaves four times its gradient's power; rounding, half a code."""
    picture, known = life(sigma8), offsets(HEIGHT).astype(np.float32)
    if not sigma8:
        picture = np.ascontiguousarray(np.rint(255 * still_life()[:, :1] * np.ones(WIDTH)) / 255)
        picture = picture.astype(np.float32)
    found = steps_of(picture, known)
    soft = cv2.GaussianBlur(picture - known[:, None], (0, 0), sigmaX=1.2, sigmaY=1.2)
    sigma = 1.4826 * np.median(np.abs(np.diff(picture))) / np.sqrt(2)
    exact = precision(soft, max(float(sigma), 0.5 / 255), 4.0)
    both = 1 / (1 / exact[1:] + 1 / exact[:-1])
    values, weights = segments(np.diff(picture, axis=0), both)
    np.testing.assert_allclose(found.values, values, atol=1e-6)
    np.testing.assert_allclose(found.weights, weights, rtol=2e-4)


def test_where_something_is_painted_segments_have_no_weight() -> None:
    picture, known = life(), np.zeros(HEIGHT, np.float32)
    mask = np.zeros(picture.shape, bool)
    mask[: HEIGHT // 2, 16:24] = True  # half of a place down the picture: it is left out
    mask[: HEIGHT // 2 - 1, 40:48] = True  # less: it is kept, painted
    found = steps_of(picture, known, mask)
    kept = np.r_[:16, 24:WIDTH]
    plain = steps_of(np.ascontiguousarray(picture[:, kept]), known)
    np.testing.assert_array_equal(found.values[:, :4], plain.values[:, :4])
    assert found.values.shape == plain.values.shape
    assert (found.weights[: HEIGHT // 2 - 1, 4] < 1e-8).all()
    np.testing.assert_array_equal(
        found.weights[HEIGHT // 2 - 1 :], plain.weights[HEIGHT // 2 - 1 :]
    )
    none = steps_of(picture, known, np.ones_like(mask))
    assert none.values.shape == (HEIGHT - 1, 1)
    assert not none.weights.any()


def by_definition(steps: Array) -> tuple[Array, float]:
    """Offsets and their sigma: steps far out are edges; the rest's spectrum is, by weighted least
    squares with nothing below 0, that of offsets and of a scene; a Wiener filter parts the two."""
    centred = steps - np.median(steps)
    inside = np.abs(centred) <= 4.5 * 1.4826 * np.median(np.abs(centred))
    kept = np.where(inside, centred - centred[inside].mean(), 0)
    count, share = len(kept), max(inside.mean(), 0.1)
    power = np.abs(np.fft.rfft(np.r_[kept, kept[::-1]])) ** 2 / (2 * count * share)
    curve = 4 * np.sin(np.arange(count + 1) * np.pi / count / 2) ** 2
    power, within = power[1:-1], curve[1:-1]
    shapes = np.stack([within, within**0, within**-1, within**-2], 1)
    expected = np.full(len(power), power.mean())
    for _ in range(8):
        scale = (shapes / expected[:, None]).max(0)
        parts = nnls(shapes / expected[:, None] / scale, power / expected)[0] / scale
        expected = shapes @ parts + 0.02 * power.mean()
    level = np.r_[0, np.cumsum(kept)]
    curve = 4 * np.sin(np.arange(1, count + 2) * np.pi / (count + 1) / 2) ** 2
    scene = parts[1] + parts[2] / curve + parts[3] / curve**2
    share_of = np.r_[0, parts[0] * curve / (parts[0] * curve + scene)]
    spectrum = np.fft.rfft(np.r_[level, level[::-1]]) * share_of
    return np.fft.irfft(spectrum)[: len(level)], float(parts[0]) ** 0.5


SCENES = [(0.5, 0.0, 0), (0.05, 0.3, 3), (0.05, 1.0, 40), (0.4, 0.3, 150)]


@pytest.mark.parametrize(("wander", "loose", "edges"), SCENES)
def test_offsets_are_those_by_definition(wander: float, loose: float, edges: int) -> None:
    """White offsets in a scene that wanders, with errors of the steps, and edges."""
    rng = RNG(5)
    level = rng.normal(0, 1, 201) + np.cumsum(rng.normal(0, wander, 201))
    level += 0.02 * np.cumsum(np.cumsum(rng.normal(0, wander, 201)))
    steps = np.diff(level) + loose * rng.normal(0, 1, 200)
    steps[rng.permutation(200)[:edges]] += rng.choice([-1, 1], edges) * 90 + 20
    found, (wanted, sigma) = offsets_of(steps + 0.3), by_definition(steps)
    assert found.sigma == pytest.approx(sigma, rel=1e-4)
    np.testing.assert_allclose(found.values, wanted, atol=1e-3 * max(sigma, 0.1))


def test_nothing_is_offset_where_nothing_steps() -> None:
    found = offsets_of(np.zeros(50))
    assert not found.values.any()
    assert found.sigma < 1e-5


def test_least_squares_are_scipys() -> None:
    rng = RNG(7)
    for _ in range(20):
        known = np.abs(rng.normal(0, 1, (30, 4))) * [1, 10, 0.1, 3]
        wanted = rng.normal(0.3, 1, 30) + known @ rng.choice([0, 1, 2, 9], 4)
        np.testing.assert_allclose(_positive(known, wanted), nnls(known, wanted)[0], atol=1e-9)


def test_edges_are_found_three_times_in_the_picture_without_its_offsets() -> None:
    picture = life()
    known = np.zeros(HEIGHT, np.float32)
    for _ in range(3):
        known, sigma = offsets_of(common(*steps_of(picture, known))[0])
    found = estimated(picture)
    assert found.sigma == sigma
    np.testing.assert_array_equal(found.values, known)
    assert isinstance(found, Offsets)
