"""Flow: conventions, composition, constant velocity, and DIS on known motion."""

import cv2
import numpy as np
import pytest
import torch

from f2rcli.models.flow import (
    DISFlow,
    compose,
    consistency,
    doubled,
    halved,
    inside,
    midway,
    sample,
    warp,
    warp_all,
)


def constant(dx: float, dy: float, size: tuple[int, int] = (60, 80)) -> np.ndarray:
    return np.broadcast_to(np.array([dx, dy], np.float32), (*size, 2)).copy()


def texture(size: tuple[int, int] = (120, 160)) -> np.ndarray:
    rough = np.random.default_rng(0).random(size, np.float32)
    return cv2.normalize(cv2.GaussianBlur(rough, (0, 0), 2.5), None, 0.1, 0.9, cv2.NORM_MINMAX)


def test_zero_flow_is_the_identity() -> None:
    picture = torch.rand(1, 5, 60, 80)
    torch.testing.assert_close(warp(picture, constant(0, 0)), picture)


def test_the_way_that_carries_gradients_gives_the_same_pictures() -> None:
    picture = torch.rand(1, 3, 60, 80)
    flow = constant(1.25, -0.5)
    inner = (..., slice(4, -4), slice(4, -4))
    by_grid = warp(picture.clone().requires_grad_(), flow).detach()
    difference = (warp(picture, flow) - by_grid)[inner].abs()
    assert difference.max() < 0.02  # OpenCV rounds places to 1/32 pixel, and takes other cubics


def test_an_integer_flow_is_a_shifted_copy() -> None:
    picture = torch.rand(1, 3, 60, 80)
    moved = warp(picture, constant(3, -2))
    torch.testing.assert_close(moved[..., 2:, :-3], picture[..., :-2, 3:])


def test_translations_compose_to_their_sum() -> None:
    np.testing.assert_allclose(compose(constant(2, 1), constant(-5, 3)), constant(-3, 4), atol=1e-5)


def test_midway_is_half_the_way_of_a_translation() -> None:
    np.testing.assert_allclose(midway(constant(4, -2)), constant(2, -1), atol=1e-5)
    np.testing.assert_allclose(midway(constant(4, -2), 0.25), constant(1, -0.5), atol=1e-5)


def test_half_a_pixel_of_linear_interpolation_quarters_white_noise() -> None:
    noise = np.random.default_rng(0).standard_normal((400, 400)).astype(np.float32)
    half = sample(noise, constant(0.5, 0.5, (400, 400)))[2:-2, 2:-2]
    assert half.var() == pytest.approx(0.25, rel=0.03)


def test_flows_that_return_are_trusted_and_those_that_leave_are_not() -> None:
    assert consistency(constant(3, 0), constant(-3, 0))[:, :70].min() > 0.99
    assert consistency(constant(3, 0), constant(4, 0)).max() < 0.1
    assert inside(constant(10, 0))[:, 75:].max() == 0


@pytest.mark.parametrize("noise", [0.0, 30 / 255])
def test_dis_finds_a_known_translation(noise: float) -> None:
    rng = np.random.default_rng(1)
    scene = texture((140, 180))
    first, second = scene[5:125, 5:165], scene[2:122, 9:169]  # the picture moves by (-4, +3)
    noisy = [(p + noise * rng.standard_normal(p.shape)).astype(np.float32) for p in (first, second)]
    flow = DISFlow()(*noisy)
    error = np.linalg.norm(flow - constant(-4, 3, (120, 160)), axis=-1)[16:-16, 16:-16]
    assert np.median(error) < (0.15 if noise == 0 else 0.6)


@pytest.mark.parametrize("size", [(1, 1), (4, 6), (16, 16), (9, 200)])
def test_tiny_pictures_have_flows_too(size: tuple[int, int]) -> None:
    luma = np.random.default_rng(0).random(size, np.float32)
    start = np.zeros((*size, 2), np.float32)
    assert DISFlow()(luma, luma, start).shape == (*size, 2)


@pytest.mark.parametrize("size", [(64, 80), (200, 300)])
def test_a_flow_does_not_depend_on_the_pair_before(size: tuple[int, int]) -> None:
    first, second, third, fourth = (texture((size[0] + i, size[1]))[i:] for i in range(4))
    estimator = DISFlow()
    estimator(first, second, constant(5, 5, size))
    np.testing.assert_array_equal(estimator(third, fourth), DISFlow()(third, fourth))


@pytest.mark.parametrize("size", [(1, 1), (5, 8), (120, 161)])
def test_a_flow_at_half_the_size_is_brought_back(size: tuple[int, int]) -> None:
    small = halved(texture(size))
    assert small.shape == tuple(-(-side // 2) for side in size)
    whole = 2 * doubled(constant(3, -1, small.shape), size)
    np.testing.assert_allclose(whole, constant(6, -2, size), atol=1e-5)


def test_flows_at_half_the_size_are_those_of_whole_pictures() -> None:
    first, second = (texture((170, 220))[i : i + 160, i : i + 200] for i in (0, 5))
    whole = DISFlow()(first, second)
    half = 2 * doubled(DISFlow(halved=True)(halved(first), halved(second)), whole.shape)
    assert np.median(np.abs(whole - half)) < 0.1


def test_agreement_does_not_depend_on_the_grids_size() -> None:
    there, back = constant(3, 0, (40, 60)), constant(-2.4, 0, (40, 60))
    small = consistency(there / 2, back / 2, 2.0)
    np.testing.assert_allclose(small[:, :20], consistency(there, back)[:, :20], atol=1e-6)


def test_several_pictures_are_warped_as_each_by_itself() -> None:
    pictures = [torch.rand(1, channels, 30, 40) for channels in (1, 3, 4)]
    flow = constant(1.3, -0.6, (30, 40))
    for one, together in zip(pictures, warp_all(pictures, flow), strict=True):
        assert torch.equal(together, warp(one, flow))
