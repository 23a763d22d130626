"""Whether different pieces of rows differ by the same before and after a frame."""

import cv2
import numpy as np
import pytest

from f2rcli.noise.measurement.agreement import Agreement, agreement, destriped, pieces, unexplained
from f2rcli.noise.measurement.profiles import precision

Array = np.ndarray
HEIGHT, WIDTH = 64, 96
ROWS = np.arange(HEIGHT)


def singles(values: Array) -> Array:
    return np.asarray(values, np.float32)


def without(values: Array, *known: Array) -> Array:
    """What least squares leave of columns (H, J)."""
    design = np.stack(known, 1).astype(float)
    return values - design @ np.linalg.pinv(design) @ values


def test_rows_that_stand_out_do_so_no_more() -> None:
    rng = np.random.default_rng(0)
    offsets = rng.normal(0, 0.05, (HEIGHT, 1))
    soft = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT, WIDTH)), (0, 0), 8)
    found = destriped(singles(soft + offsets))
    fine = [np.diff((one - soft).mean(1)).std() for one in (found, soft + offsets)]
    assert fine[0] < 0.25 * fine[1]


def test_pieces_are_means_without_a_fade_a_slope_of_light_and_a_comb() -> None:
    """Eight to a row; of a picture without texture, all samples count alike."""
    rng = np.random.default_rng(1)
    look = np.full((HEIGHT, WIDTH + 5), 0.5, np.float32)
    others = singles(rng.normal(0, 0.02, (2, HEIGHT, WIDTH + 5)))
    found = pieces(look, list(others))
    for one, other in zip(found, others, strict=True):
        means = other[:, :96].reshape(HEIGHT, 8, 12).mean(2)
        wanted = without(means, np.ones(HEIGHT), ROWS, (-1.0) ** ROWS)
        np.testing.assert_allclose(one, wanted, atol=1e-5)


def test_pieces_of_a_picture_lit_or_moved_otherwise_differ_by_nothing() -> None:
    """Of soft texture: what brightness, or the slope down a piece, explains is taken out."""
    rng = np.random.default_rng(2)
    field = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT, WIDTH)), (0, 0), 6)
    look = singles(0.5 + 0.1 * field / field.std())
    soft = cv2.GaussianBlur(look, (0, 0), 1.2)
    slope = cv2.Sobel(soft, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    noise = singles(1e-3 * rng.standard_normal((HEIGHT, WIDTH)))
    for more in (0.1 * soft, 2 * slope):
        bare, found = pieces(look, [noise, noise + more])  # the first says how strong noise is
        assert np.abs(found - bare).max() < 2e-5


def test_pictures_that_do_not_differ_have_pieces_of_nothing() -> None:
    rng = np.random.default_rng(3)
    nothing = np.zeros((HEIGHT, 6), np.float32)  # fewer columns than pieces
    first, second = pieces(singles(rng.random((HEIGHT, 6))), [nothing, nothing])
    assert first.shape == second.shape == (HEIGHT, 6)
    assert not first.any()


def by_definition(first: Array, second: Array, *, broad: bool) -> Agreement:
    """Of pieces that are no neighbours: covariances in each of four blocks of rows (one, of broad
    bands), of which a quarter may be less, and correlations."""
    parts = []
    for one in (first, second):
        soft = cv2.GaussianBlur(
            singles(one), (1, 25), sigmaX=1, sigmaY=4, borderType=cv2.BORDER_REFLECT
        )
        parts.append((soft if broad else one - soft).astype(float))
    blocks = np.array_split(ROWS, 1 if broad else 4)
    pairs = [(i, j) for i in range(8) for j in range(8) if abs(i - j) >= 2]
    found = [[np.mean(parts[0][rows, i] * parts[1][rows, j]) for i, j in pairs] for rows in blocks]
    own = [np.mean(part**2, 0) for part in parts]
    alike = np.mean(found, 0) / [np.sqrt(own[0][i] * own[1][j]) for i, j in pairs]
    middle = np.median(np.concatenate(parts, 1), axis=1)
    waves = np.exp(-2j * np.pi * np.outer(np.arange(HEIGHT // 2 + 1), ROWS) / HEIGHT)
    power = np.abs(waves @ (middle - middle.mean())) ** 2
    squares = sorted((middle - middle.mean()) ** 2)
    typical = np.mean(squares[(HEIGHT - 1) // 2 : HEIGHT // 2 + 1]) / np.mean(squares)
    return Agreement(float(np.quantile(found, 0.25)), float(np.median(found)),
                     float(np.median(alike)), power, float(typical))  # fmt: skip


@pytest.mark.parametrize("broad", [False, True])
@pytest.mark.parametrize("shared", [0.0, 0.5, 2.0])
def test_pieces_agree_as_the_definition_says(broad: bool, shared: float) -> None:
    rng = np.random.default_rng(4)
    offsets = shared * cv2.GaussianBlur(rng.normal(0, 2, (HEIGHT, 1)), (1, 0), 1 + 5 * broad)
    first, second = singles(rng.standard_normal((2, HEIGHT, 8)) + offsets.reshape(-1, 1))
    found, wanted = (f(first, second, broad=broad) for f in (agreement, by_definition))
    assert found[:3] == pytest.approx(wanted[:3], rel=1e-4, abs=1e-6)
    np.testing.assert_allclose(found.spectrum, wanted.spectrum, rtol=1e-3, atol=1e-3)
    assert found.median == pytest.approx(wanted.median, rel=1e-3)


def test_pieces_that_hold_nothing_do_not_agree() -> None:
    nothing = np.zeros((HEIGHT, 8), np.float32)
    assert agreement(nothing, nothing, broad=False)[:3] == (0, 0, 0)


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_texture_weighs_less_by_noise_of_half_a_code_or_more(noise: float) -> None:
    rng = np.random.default_rng(9)
    look = singles(0.5 + 0.1 * cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT, WIDTH)), (0, 0), 1))
    others = singles(noise * rng.normal(0, 1, (2, HEIGHT, WIDTH)))
    others[:, ROWS % 5 == 0, 40:] += 0.01  # in less than half: noise is told by the median
    soft = cv2.GaussianBlur(look, (0, 0), sigmaX=1.2, sigmaY=1.2)
    slope = cv2.Sobel(soft, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    sigma = max(1.4826 * float(np.median(np.abs(others[0]))), 0.5 / 255)
    weights = precision(soft, sigma, 0.125)
    means = [
        (one * weights).reshape(HEIGHT, 8, 12).sum(2) / weights.reshape(HEIGHT, 8, 12).sum(2)
        for one in (soft, slope, *others)
    ]
    level, tilt, *apart = means
    even, line, comb = np.ones(HEIGHT), np.linspace(-1, 1, HEIGHT), (-1.0) ** ROWS
    for found, one in zip(pieces(look, list(others)), apart, strict=True):
        for piece in range(8):
            known = even, line, comb, level[:, piece], tilt[:, piece]
            wanted = without(one[:, [piece]], *known)[:, 0]
            np.testing.assert_allclose(found[:, piece], wanted, atol=2e-5)


def test_what_no_filter_of_other_profiles_explains_is_left() -> None:
    """Filters of five rows about the step of eight at most that fits best, of both at once; of each
    block of sixty rows its own."""
    rng = np.random.default_rng(4)
    light, new = rng.standard_normal((2, 80))
    filters = ((3, (0.1, -0.2, 0.9, 0.3, 0.1)), (-8, (0.0, 0.4, 0.5, 0.2, 0.0)))
    others = [np.roll(light, -step) + 0.1 * rng.standard_normal(80) for step, _ in filters]
    mixed = sum(
        share * np.roll(other, step + tap)
        for (step, shares), other in zip(filters, others, strict=True)
        for tap, share in enumerate(shares, -2)
    )
    for power in (0.0, 0.3):
        here = singles(mixed + power * new)
        left, rows = unexplained(here, [singles(one) for one in others])
        assert rows == slice(10, -10)
        columns = [
            np.roll(other, step + tap)[rows]
            for (step, _), other in zip(filters, others, strict=True)
            for tap in range(-2, 3)
        ]
        wanted = np.square(without(here[rows], *columns)).sum() / (60 - 10)
        assert left == pytest.approx(wanted, rel=1e-4, abs=1e-9)
        assert left == pytest.approx(power**2, rel=0.3, abs=1e-9)
    for rows, share in ((80, 1), (81, 0)):
        light = rng.standard_normal(rows)
        here = np.where(np.arange(rows) < rows // 2, np.roll(light, 3), np.roll(light, -4))
        left, _ = unexplained(singles(here), [singles(light)])
        assert (left > 0.2) == share
