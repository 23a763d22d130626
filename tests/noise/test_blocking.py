"""Block edges are found where a codec left them, and nowhere else."""

import cv2
import numpy as np
import pytest

from f2rcli.noise.measurement import blocking
from f2rcli.noise.measurement.blocking import _excess, _strips, _within, find_blocking


def scene(seed: int, size: tuple[int, int] = (128, 192)) -> np.ndarray:
    """A soft picture with edges, 0..1, that moves with the seed."""
    rng = np.random.default_rng(7)
    field = cv2.GaussianBlur(rng.normal(0, 1, (200, 260)).astype(np.float32), (0, 0), 3)
    field = 0.5 + 0.15 * field / field.std()
    return field[seed : seed + size[0], 2 * seed : 2 * seed + size[1]]


def as_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    codes = np.clip(np.rint(picture * 255), 0, 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", codes, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255


def test_the_harder_the_compression_the_more_the_edges_stand_out() -> None:
    edges = []
    for quality in (60, 30, 10):
        found = find_blocking([as_jpeg(scene(i), quality) for i in range(6)])
        assert found is not None
        edges.append(found.edge8)
    assert edges == sorted(edges)
    assert edges[2] > 2 * edges[0]


def test_a_known_step_is_measured() -> None:
    """Flat blocks that differ by d with probability one half: the mean step is d / 2 at edges."""
    rng = np.random.default_rng(0)
    blocks = [np.kron(rng.integers(0, 2, (32, 48)), np.ones((8, 8))) * 0.02 for _ in range(4)]
    noise = [rng.normal(0, 0.0005, (256, 384)) for _ in range(4)]
    pairs = zip(blocks, noise, strict=True)
    found = find_blocking([(0.4 + b + n).astype(np.float32) for b, n in pairs])
    assert found is not None
    assert found.across == pytest.approx(0.01, rel=0.06)
    assert found.down == pytest.approx(0.01, rel=0.06)


def excess_of(luma: np.ndarray) -> np.ndarray:
    """Step at every phase of columns less those beside it, (strips, 8), from the calmer half."""
    step = np.abs(np.diff(luma.astype(float), axis=1))
    rows, columns = luma.shape[0] // 16, (luma.shape[1] - 3) // 8
    beside = np.stack([(step[:, c - 1] + step[:, c + 1]) / 2 for c in range(1, 8 * columns + 1)], 1)
    beside, least = beside[: 16 * rows], np.median(beside[: 16 * rows])
    found = np.zeros((rows, 8))
    for strip, phase in np.ndindex(rows, 8):
        part = np.s_[16 * strip : 16 * strip + 16, phase::8]
        calm = beside[part] <= least
        own = step[16 * strip : 16 * strip + 16, 1 : 8 * columns + 1][:, phase::8] - beside[part]
        found[strip, phase] = (own * calm).sum() / max(calm.sum(), 1)
    return found


@pytest.mark.parametrize("size", [(64, 96), (50, 45), (47, 35)])
def test_steps_are_counted_in_strips_at_every_phase(size: tuple[int, int]) -> None:
    luma = np.random.default_rng(1).random(size).astype(np.float32)
    np.testing.assert_allclose(_strips(luma), excess_of(luma), atol=1e-6)


@pytest.mark.parametrize("size", [(15, 99), (99, 34)])
def test_less_than_a_strip_or_four_blocks_tell_nothing(size: tuple[int, int]) -> None:
    assert _strips(np.zeros(size, np.float32)).shape == (0, 8)


def told(phases: np.ndarray, monkeypatch: pytest.MonkeyPatch, within: float = 1.0) -> float | None:
    monkeypatch.setattr(blocking, "_strips", lambda _: phases)
    monkeypatch.setattr(blocking, "_within", lambda *_: within)
    return _excess([np.zeros((1, 1), np.float32)])


def strips(apart: np.ndarray, *, other: float = 0.0, half: float = 0.0) -> np.ndarray:
    """By how much phase 6 exceeds the mean of others; of which one, and halfway, have more."""
    phases = np.zeros((len(apart), 8))
    phases[:, 3], phases[:, 2] = other, half
    phases[:, 6] = apart + (other + half) / 7
    return phases


def test_an_excess_is_told_that_is_there_for_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    """By six standard errors, more than a tenth of a code, in most strips, at one phase alone."""
    many = np.where(np.arange(100) % 2, 1.0, -1.0) * 0.99**0.5 * 1e-2  # error 1e-3
    assert told(strips(6.1e-3 + many), monkeypatch) == pytest.approx(6.1e-3)
    assert told(strips(5.9e-3 + many), monkeypatch) is None
    for code, seen in ((0.11, True), (0.09, False)):
        assert (told(strips(np.full(9, code / 255)), monkeypatch) is not None) == seen
    for most, seen in ((0.53, True), (0.47, False)):  # of the mean, the median
        apart = np.where(np.arange(101) < 60, most, (1 - 0.6 * most) / 0.4) * 0.01
        apart *= 0.01 / apart.mean()
        assert (told(strips(apart), monkeypatch) is not None) == (np.median(apart) >= 0.005) == seen
    for other, seen in ((0.55, True), (0.65, False)):  # which leaves 0.52 and 0.44 of 1
        found = told(strips(np.full(9, 0.01), other=other * 0.01), monkeypatch)
        assert (found is not None) == seen
    assert told(strips(np.full(9, 0.01), half=0.009), monkeypatch) is not None  # smaller blocks
    for within, seen in ((2.1e-4, True), (1.9e-4, False)):
        assert (told(strips(np.full(9, 0.01)), monkeypatch, within) is not None) == seen
    assert told(strips(np.full(1, 0.01)), monkeypatch) is None
    assert told(strips(np.full(2, 0.01)), monkeypatch) is not None


@pytest.mark.parametrize("edges", [0, 3, 7])
def test_what_squares_hold_is_seen_in_their_middle(edges: int) -> None:
    """A step from the fourth pixel of a square to its fifth; that at its edge is `edges` + 1."""
    steps = np.zeros((6, 96))
    columns = np.arange(95)
    steps[:, 1:][:, (columns - 1) % 8 == (edges + 4) % 8] = 0.1
    found = _within([np.cumsum(steps, 1)], edges)
    assert found == pytest.approx(0.1)


@pytest.mark.parametrize("offset", [(0, 0), (3, 5)])
def test_a_cropped_grid_is_found(offset: tuple[int, int]) -> None:
    top, left = offset
    frames = [as_jpeg(scene(i), 20)[top:, left:] for i in range(4)]
    assert find_blocking(frames) is not None


@pytest.mark.parametrize("sigma", [0.0, 5.0, 20.0])
def test_scenes_and_noise_have_no_grid(sigma: float) -> None:
    rng = np.random.default_rng(1)
    frames = [
        (scene(i) + rng.normal(0, sigma / 255, (128, 192))).astype(np.float32) for i in range(6)
    ]
    assert find_blocking(frames) is None


def test_a_grating_in_one_direction_is_not_a_grid() -> None:
    grating = np.broadcast_to(np.arange(192) // 8 % 2, (128, 192)) * 0.1
    frames = [(scene(i) + grating).astype(np.float32) for i in range(4)]
    assert find_blocking(frames) is None


def test_small_pictures_say_nothing() -> None:
    assert find_blocking([np.zeros((8, 8), np.float32)] * 3) is None
    assert find_blocking([]) is None


def test_one_edge_in_a_tiny_picture_is_the_pictures_own() -> None:
    picture = np.kron(np.array([[0.2, 0.6], [0.5, 0.3]], np.float32), np.ones((8, 8), np.float32))
    assert find_blocking([picture + 0.001 * i for i in range(6)]) is None


@pytest.mark.parametrize("side", [8, 16])
def test_squares_that_were_drawn_are_no_codecs(side: int) -> None:
    """Pixel art, enlarged: blocks differ, and hold nothing at all."""
    rng = np.random.default_rng(4)
    art = np.kron(rng.integers(0, 5, (160 // side, 240 // side)), np.ones((side, side))) / 255
    assert find_blocking([(0.4 + art).astype(np.float32)] * 6) is None


def test_a_pattern_whose_period_is_near_that_of_blocks_is_none() -> None:
    """Halftone dots 7.85 pixels apart: all its phases stand out."""
    rows, columns = np.mgrid[:192, :256]
    dots = np.sin(0.8 * (columns + rows)) * np.sin(0.8 * (columns - rows))
    sizes = [cv2.resize(scene(i), (256, 192)) - 0.5 for i in range(4)]
    screens = [(1 / (1 + np.exp(-6 * (dots + 4 * size)))).astype(np.float32) for size in sizes]
    assert find_blocking(screens) is None


def test_squares_in_a_part_of_the_picture_are_not_the_pictures() -> None:
    """A face that was made unknown."""
    frames = []
    for index in range(6):
        frame = scene(index).copy()
        face = cv2.resize(frame[32:96, 48:128], (10, 8), interpolation=cv2.INTER_AREA)
        frame[32:96, 48:128] = np.kron(face, np.ones((8, 8)))
        frames.append(frame)
    assert find_blocking(frames) is None
