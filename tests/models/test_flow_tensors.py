"""Flow as tensors, beside the same with OpenCV."""

import cv2
import numpy as np
import pytest
import torch

from f2rcli.models import flow
from f2rcli.models.variational import variational_flows

SIZE = (41, 50)


def some_flow(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return cv2.GaussianBlur(rng.normal(0, 5, (*SIZE, 2)).astype(np.float32), (0, 0), 3)


def batch(*arrays: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack(arrays))


def test_the_algebra_is_that_of_opencv_for_several_flows_at_once() -> None:
    """OpenCV places samples to 1/32 of a pixel, hence the tolerance."""
    pairs = [(some_flow(2 * i), some_flow(2 * i + 1)) for i in range(2)]
    first, second = (batch(*part) for part in zip(*pairs, strict=True))
    for found, wanted in (
        (flow.compose(first, second), [flow.compose(*pair) for pair in pairs]),
        (flow.consistency(first, second, 2.0)[:, 0],
         [flow.consistency(*pair, 2.0) for pair in pairs]),
        (flow.inside(first, 2.0)[:, 0], [flow.inside(one, 2.0) for one, _ in pairs]),
        (flow.squared(first)[:, 0], [flow.squared(one) for one, _ in pairs]),
        (flow.doubled_flow(first, (81, 99)),
         [flow.doubled_flow(one, (81, 99)) for one, _ in pairs]),
    ):  # fmt: skip
        np.testing.assert_allclose(found, np.stack(wanted), atol=0.05)


def test_looks_and_warps_are_those_of_opencv() -> None:
    luma = np.random.default_rng(0).random((81, 99), np.float32)
    small = flow.halved(batch(luma)[:, None])[0, 0]
    np.testing.assert_allclose(small, flow.halved(luma), atol=1e-6)
    smooth = cv2.GaussianBlur(luma[:41, :50], (0, 0), 2)
    picture, shifts = batch(smooth)[None], some_flow(0)
    moved = flow.sample(picture, batch(shifts), cubic=True)
    np.testing.assert_allclose(moved, flow.warp(picture, shifts), atol=0.01)


@pytest.mark.parametrize("shift", [(3.0, -2.0), (0.0, 0.0), (-9.5, 4.5)])
def test_a_moved_texture_is_followed_in_noise(shift: tuple[float, float]) -> None:
    rng = np.random.default_rng(0)
    scene = cv2.GaussianBlur(rng.random((160, 200), np.float32), (0, 0), 4)
    scene = (scene - scene.min()) / np.ptp(scene)
    places = np.indices((96, 128), dtype=np.float32)[::-1] + 32
    seen = [
        cv2.remap(scene, *(place - move * at for place, move in zip(places, shift, strict=True)), 1)
        for at in (0, 1)
    ]
    pair = [batch(one + rng.normal(0, 0.02, one.shape).astype(np.float32))[None] for one in seen]
    found = variational_flows(*pair)
    rough = (torch.tensor(shift) + 0.1).expand(1, 96, 128, 2)
    again = variational_flows(*pair, start=rough)
    for one in (found, again):
        error = (one[0, 16:-16, 16:-16] - torch.tensor(shift)).norm(dim=-1)
        assert float(error.mean()) < 0.15


def test_a_pair_has_the_same_flow_alone_and_beside_others() -> None:
    rng = np.random.default_rng(1)
    source, target = (torch.from_numpy(rng.random((2, 1, 33, 40), np.float32)) for _ in range(2))
    together = variational_flows(source, target)
    torch.testing.assert_close(together[1:], variational_flows(source[1:], target[1:]))
