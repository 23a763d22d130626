"""A step of the memory against a reference of its own: the filter's equations in float64."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, uniform_filter

from f2rcli.models.memory import Memory

Array = NDArray[np.float64]
SIDE = 40


def mean(plane: Array, side: int) -> Array:
    """Mean over side x side pixels, the border mirrored with its own pixel."""
    reach = side // 2
    wide = np.pad(plane, reach, mode="symmetric")
    return np.lib.stride_tricks.sliding_window_view(wide, (side, side)).mean((2, 3))


def excess(
    old: tuple[Array, Array], new: tuple[Array, Array], variance: Array, count: Array
) -> Array:
    """What two pictures (C, H, W) differ by beyond the noise, in units of its variance (H, W)."""
    apart = old[0] - new[0]
    expected = variance * (1 + 1 / count)
    fine = mean(np.square(apart).mean(0), 9) - 1.5 * expected
    low = mean(np.square(np.stack([mean(p, 5) for p in apart])).mean(0), 9) - 1.5 * 0.3 * expected
    rough = mean(np.square(old[1] - new[1]).mean(0), 9)
    spread = np.sort(rough[::4, ::4].ravel())
    rough = rough - 5 * spread[(len(spread) - 1) // 2]  # torch's median is the lower one
    return sum(k * np.maximum(p, 0) for k, p in ((1, fine), (1, low), (3, rough))) / variance


def stepped(
    old: tuple[Array, Array], count: Array, new: tuple[Array, Array], variance: Array, shift: int
) -> tuple[Array, Array, Array]:
    """The memory one frame on, where everything moved by whole pixels: noisy, coarse, count."""
    plain = excess(old, new, variance, count)
    still = (plain < 0.15) & (abs(shift) < 0.3)
    places = np.clip(np.arange(SIDE) + shift, 0, SIDE - 1)
    moved = tuple(picture[..., places] for picture in old)
    there = np.clip(count[:, places], 1, 32)
    beyond = excess((moved[0], moved[1]), new, variance, there) + 0.15
    # A place that stands still is not resampled; here a shift of 0 resamples nothing either way.
    worth = 1 / (1 / np.where(still, count, there) + np.where(still, plain, beyond))
    share = 1 / (1 + worth)
    mixed = [
        np.where(still, o, m) * (1 - share) + n * share
        for o, m, n in zip(old, moved, new, strict=True)
    ]
    return mixed[0], mixed[1], np.minimum(worth + 1, 32)


def pictures(seed: int, loud: float = 1) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    scene = np.kron(np.random.default_rng(0).random((3, 5, 5)), np.ones((8, 8)))
    noisy = scene + 0.05 * loud * rng.standard_normal(scene.shape)
    return noisy, scene + 0.01 * loud * rng.standard_normal(scene.shape)


def tensor(values: Array) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.float32))[None]


@pytest.mark.parametrize("shift", [0, 2, -3])
@pytest.mark.parametrize("sigma", [0.03, 0.05, 0.0])
def test_a_step_is_the_filters(shift: int, sigma: float) -> None:
    loud = 1 if sigma else 0.01  # a tenth of a code is the least that noise is taken for
    old, new = pictures(1, loud), pictures(2, loud)
    new[0][:, 10:20, 22:34] += 0.03 * loud  # something comes in, hardly more than chance
    new[1][:, 10:20, 22:34] += 0.035 * loud
    count = 1 + 40 * np.random.default_rng(3).random((SIDE, SIDE))
    count = np.minimum(count, 32)
    memory = Memory(4, tensor(old[0]), tensor(old[1]), tensor(count[None]))
    flow = np.zeros((SIDE, SIDE, 2), np.float32)
    flow[..., 0] = shift
    found = memory.carried(
        5, tensor(new[0]), tensor(new[1]), flow, tensor(np.full((3, SIDE, SIDE), sigma))
    )
    variance = np.full((SIDE, SIDE), max(sigma**2, (0.1 / 255) ** 2))
    wanted = stepped(old, count, new, variance, shift)
    assert found.index == 5
    # A pixel beside the threshold of standing still may fall either way in float32.
    for got, want in zip((found.noisy[0], found.coarse[0], found.count[0, 0]), wanted, strict=True):
        apart = np.abs(got.numpy() - want) / np.maximum(np.abs(want), 1)
        assert np.mean(apart > 1e-3) < 0.002


def test_noise_of_its_own_strength_is_averaged_and_counted() -> None:
    rng = np.random.default_rng(5)
    scene = np.full((3, SIDE, SIDE), 0.5)
    memory = None
    level = tensor(np.full((3, SIDE, SIDE), 0.05))
    still = np.zeros((SIDE, SIDE, 2), np.float32)
    for index in range(3):
        noisy = tensor(scene + 0.05 * rng.standard_normal(scene.shape))
        coarse = tensor(scene)
        memory = (
            Memory.of(index, noisy, coarse)
            if memory is None
            else memory.carried(index, noisy, coarse, still, level)
        )
    assert memory is not None
    assert memory.count.shape == (1, 1, SIDE, SIDE)
    assert float(memory.count.median()) == pytest.approx(3, abs=0.01)


def test_a_memory_of_one_frame_is_worth_one() -> None:
    noisy, coarse = (tensor(picture) for picture in pictures(0))
    memory = Memory.of(7, noisy, coarse)
    assert memory.index == 7
    assert (memory.noisy, memory.coarse) == (noisy, coarse)
    assert memory.count.tolist() == torch.ones(1, 1, SIDE, SIDE).tolist()


@pytest.mark.parametrize(("speed", "kept"), [(0.2, True), (0.4, False)])
def test_places_slower_than_a_third_of_a_pixel_are_not_resampled(speed: float, kept: bool) -> None:
    flat = np.full((3, SIDE, SIDE), 0.5)
    spot = flat.copy()
    spot[:, 20, 20] = 0.52  # within the noise; interpolation would blur it
    memory = Memory(0, tensor(spot), tensor(flat), torch.full((1, 1, SIDE, SIDE), 31.0))
    flow = np.zeros((SIDE, SIDE, 2), np.float32)
    flow[..., 0] = speed
    level = tensor(np.full((3, SIDE, SIDE), 0.05))
    after = memory.carried(1, tensor(flat), tensor(flat), flow, level)
    height = float(after.noisy[0, 0, 20, 20]) - 0.5
    assert (height > 0.0185) is kept
    flow = flow[..., ::-1].copy()  # down instead of along
    after = memory.carried(1, tensor(flat), tensor(flat), flow, level)
    assert (float(after.noisy[0, 0, 20, 20]) - 0.5 > 0.0185) is kept


def halved(picture: Array) -> Array:
    *rest, rows, columns = picture.shape
    return picture.reshape(*rest, rows // 2, 2, columns // 2, 2).mean((-3, -1))


def test_large_pictures_are_judged_on_cells_of_four_pixels() -> None:
    """By windows of five and three cells, for nine and five pixels."""
    rng, size = np.random.default_rng(8), (256, 260)
    scene = np.kron(rng.random((3, 32, 65)), np.ones((8, 4)))
    count, variance = 1 + 20 * rng.random(size), 0.05**2
    old, new = (
        (
            scene + 0.05 * rng.standard_normal(scene.shape) / many**0.5,
            scene + 0.01 * rng.random(size),
        )
        for many in (count, 1)
    )
    for picture, step in zip(new, (0.2, 0.05), strict=True):
        picture[:, 100:180, 60:] += step * np.linspace(0, 1, 200)
    memory = Memory(0, tensor(old[0]), tensor(old[1]), tensor(count[None]))
    still, level = np.zeros((*size, 2), np.float32), tensor(np.full((3, *size), 0.05))
    found = memory.carried(1, tensor(new[0]), tensor(new[1]), still, level)

    apart, rough = halved((old[0] - new[0]) ** 2).mean(0), halved((old[1] - new[1]) ** 2).mean(0)
    means = np.stack([uniform_filter(halved(one), 3) for one in old[0] - new[0]])
    expected = variance * (1 + 1 / halved(count))
    rough = uniform_filter(rough, 5)
    spread = np.sort(rough[::2, ::2].ravel())
    parts = (
        uniform_filter(apart, 5) - 1.5 * expected,
        uniform_filter((means**2).mean(0), 5) - 1.5 * 0.3 * expected,
        3 * (rough - 5 * spread[(len(spread) - 1) // 2]),
    )
    beyond = sum(np.maximum(part, 0) for part in parts) / variance
    places = np.meshgrid(*((np.arange(side) - 0.5) / 2 for side in size), indexing="ij")
    beyond = map_coordinates(beyond, places, order=1, mode="nearest")
    moving = beyond >= 0.15  # taken for moved, by nothing
    worth = 1 / (1 / count + beyond + 0.15 * moving)
    sure = np.abs(beyond - 0.15) > 1e-3
    wanted = np.minimum(worth + 1, 32)
    assert 0.05 < moving.mean() < 0.6
    np.testing.assert_allclose(found.count[0, 0].numpy()[sure], wanted[sure], rtol=5e-3)
    share = 1 / (1 + worth)
    mixed = old[0] * (1 - share) + new[0] * share
    np.testing.assert_allclose(found.noisy[0].numpy()[:, sure], mixed[:, sure], atol=2e-3)


def test_flows_that_are_tensors_carry_a_memory_as_arrays_do() -> None:
    old, new = pictures(1), pictures(2)
    memory = Memory(4, tensor(old[0]), tensor(old[1]), torch.full((1, 1, SIDE, SIDE), 5.0))
    flow = np.zeros((SIDE, SIDE, 2), np.float32)
    flow[:20], flow[20:, :20] = (2, -1), (-3, 0)
    given = tensor(new[0]), tensor(new[1])
    level = tensor(np.full((3, SIDE, SIDE), 0.05))
    array = memory.carried(5, *given, flow, level)
    tensors = memory.carried(5, *given, torch.from_numpy(flow)[None], level)
    for one, other in zip((array.noisy, array.count), (tensors.noisy, tensors.count), strict=True):
        apart = (one - other).abs()[..., 4:-4, 4:-4]
        assert float((apart > 0.01).float().mean()) < 0.01


@pytest.mark.parametrize("speed", [0.5, -0.5])
def test_no_place_is_worth_less_than_a_frame_beside_one_that_is_worth_many(speed: float) -> None:
    """Though cubic interpolation swings below both."""
    flat, count = tensor(np.full((3, SIDE, SIDE), 0.5)), torch.ones(1, 1, SIDE, SIDE)
    count[..., 20:] = 32
    flow = np.full((SIDE, SIDE, 2), speed, np.float32)
    level = tensor(np.full((3, SIDE, SIDE), 0.05))
    after = Memory(0, flat, flat, count).carried(1, flat, flat, flow, level)
    assert float(after.count.min()) == pytest.approx(1 + 1 / 1.15)
    assert float(after.count.max()) == pytest.approx(1 + 1 / (1 / 32 + 0.15))
