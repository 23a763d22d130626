"""Flow: conventions, composition, constant velocity, and DIS on known motion."""

import cv2
import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from f2rcli.models.flow import compose, consistency, dis_flow, doubled, halved, resized, sample


def constant(dx: float, dy: float, size: tuple[int, int] = (60, 80)) -> torch.Tensor:
    return torch.tensor([float(dx), float(dy)]).repeat(1, *size, 1)


def cubic(picture: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    return sample(picture, flow, cubic=True)


def texture(size: tuple[int, int] = (120, 160)) -> np.ndarray:
    rough = np.random.default_rng(0).random(size, np.float32)
    return cv2.normalize(cv2.GaussianBlur(rough, (0, 0), 2.5), None, 0.1, 0.9, cv2.NORM_MINMAX)


def test_the_way_that_carries_gradients_gives_the_same_pictures() -> None:
    picture = torch.rand(1, 3, 60, 80)
    flow = constant(1.25, -0.5)
    inner = (..., slice(4, -4), slice(4, -4))
    by_grid = cubic(picture.clone().requires_grad_(), flow).detach()
    difference = (cubic(picture, flow) - by_grid)[inner].abs()
    assert difference.max() < 0.02  # OpenCV rounds places to 1/32 pixel, and takes other cubics


def test_an_integer_flow_is_a_shifted_copy() -> None:
    picture = torch.rand(1, 3, 60, 80)
    moved = cubic(picture, constant(3, -2))
    torch.testing.assert_close(moved[..., 2:, :-3], picture[..., :-2, 3:])


def test_translations_compose_to_their_sum() -> None:
    np.testing.assert_allclose(compose(constant(2, 1), constant(-5, 3)), constant(-3, 4), atol=1e-5)


def fetched(values: np.ndarray, flow: np.ndarray) -> np.ndarray:
    rows, columns = np.indices(values.shape)
    places = [rows + flow[..., 1], columns + flow[..., 0]]
    return map_coordinates(values.astype(np.float64), places, order=1, mode="nearest")


@pytest.mark.parametrize("pixel", [1.0, 2.0])
def test_consistency_is_its_formula(pixel: float) -> None:
    rng = np.random.default_rng(3)
    there, back = (
        cv2.GaussianBlur(rng.normal(0, 12, (40, 50, 2)).astype(np.float32), (0, 0), 3)
        for _ in range(2)
    )
    error = sum((there[..., i] + fetched(back[..., i], there)) ** 2 for i in (0, 1))
    allowed = 0.25 / pixel**2 + 0.01 * ((there**2).sum(-1) + (back**2).sum(-1))
    rows, columns = np.indices((40, 50))
    x, y, grace = columns + there[..., 0], rows + there[..., 1], 0.5 + 0.5 / pixel
    within = (x > -grace) & (x < 49 + grace) & (y > -grace) & (y < 39 + grace)
    wanted = within / (1 + error / allowed)
    found = consistency(*(torch.from_numpy(one)[None] for one in (there, back)), pixel)
    np.testing.assert_allclose(found[0, 0], wanted, atol=0.02)
    assert 0.5 < within.mean() < 1


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (2, 5), (5, 2)])
def test_the_smallest_pictures_stay_on_the_way_with_gradients(size: tuple[int, int]) -> None:
    picture = torch.rand(1, 2, *size, requires_grad=True)
    torch.testing.assert_close(cubic(picture, constant(0, 0, size)), picture)


@pytest.mark.parametrize("noise", [0.0, 30 / 255])
def test_dis_finds_a_known_translation(noise: float) -> None:
    rng = np.random.default_rng(1)
    scene = texture((140, 180))
    first, second = scene[5:125, 5:165], scene[2:122, 9:169]  # the picture moves by (-4, +3)
    noisy = [(p + noise * rng.standard_normal(p.shape)).astype(np.float32) for p in (first, second)]
    flow = dis_flow(*noisy)
    error = (flow - constant(-4, 3, (120, 160))).norm(dim=-1)[:, 16:-16, 16:-16]
    assert error.median() < (0.15 if noise == 0 else 0.6)


@pytest.mark.parametrize("size", [(1, 1), (4, 6), (16, 16), (9, 200), (200, 9)])
def test_tiny_pictures_have_flows_too(size: tuple[int, int]) -> None:
    luma = np.random.default_rng(0).random(size, np.float32)
    assert dis_flow(luma, luma, constant(0, 0, size)).shape == (1, *size, 2)


@pytest.mark.parametrize("size", [(64, 80), (200, 300)])
def test_a_flow_does_not_depend_on_the_pair_before(size: tuple[int, int]) -> None:
    first, second, third, fourth = (texture((size[0] + i, size[1]))[i:] for i in range(4))
    alone = dis_flow(third, fourth)
    dis_flow(first, second, constant(5, 5, size))
    np.testing.assert_array_equal(dis_flow(third, fourth), alone)


@pytest.mark.parametrize("size", [(1, 1), (5, 8), (120, 161)])
def test_a_flow_at_half_the_size_is_brought_back(size: tuple[int, int]) -> None:
    small = halved(torch.rand(1, 1, *size)).shape[2:]
    assert small == tuple(-(-side // 2) for side in size)
    whole = doubled(constant(3, -1, small), size)
    np.testing.assert_allclose(whole, constant(6, -2, size), atol=1e-5)


@pytest.mark.parametrize("height", [160, 1280])  # of a large one flows are as exact
def test_flows_at_half_the_size_are_those_of_whole_pictures(height: int) -> None:
    first, second = (texture((height + 10, 1000))[i : i + height, i : i + 980] for i in (0, 5))
    whole = dis_flow(first, second)
    looks = (halved(torch.from_numpy(one)[None, None])[0, 0].numpy() for one in (first, second))
    half = doubled(dis_flow(*looks, small=True), first.shape)
    assert (whole - half).abs().median() < 0.1


def test_a_flow_on_a_smaller_grid_is_as_many_of_its_pixels() -> None:
    flow = constant(6, -3, (60, 80))
    assert resized(flow, (60, 80)) is flow
    np.testing.assert_allclose(resized(flow, (30, 20)), constant(1.5, -1.5, (30, 20)), atol=1e-6)
    rough = torch.rand(1, 8, 12, 2)
    cells = rough.view(1, 4, 2, 6, 2, 2).mean((2, 4))
    torch.testing.assert_close(resized(rough, (4, 6)), cells / 2)


def test_cubic_interpolation_keeps_detail_that_linear_blurs() -> None:
    noise = torch.randn(1, 1, 200, 200, generator=torch.Generator().manual_seed(0))
    shift = constant(0.5, 0, (200, 200))
    linear, sharp = (float(warp(noise, shift)[..., 2:-2].var()) for warp in (sample, cubic))
    assert linear == pytest.approx(0.5, rel=0.05)
    # taps -3/32, 19/32, 19/32, -3/32 of OpenCV's cubic, a = -3/4
    assert sharp == pytest.approx(2 * (3**2 + 19**2) / 32**2, rel=0.05)
