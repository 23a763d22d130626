"""Flow by torch, as a device has it, beside the same by OpenCV."""

import cv2
import numpy as np
import pytest
import torch

from f2rcli.models import filters, flow
from f2rcli.models.variational import variational_flows

SIZE = (41, 50)


def some_flow(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return cv2.GaussianBlur(rng.normal(0, 5, (*SIZE, 2)).astype(np.float32), (0, 0), 3)


def batch(*arrays: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack(arrays))


def test_several_flows_at_once_are_those_of_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV places samples to 1/32 of a pixel, hence the tolerance where some are fetched."""
    first, second = (batch(some_flow(i), some_flow(i + 1)) for i in (0, 2))
    luma = np.random.default_rng(0).random((81, 99), np.float32)
    smooth = batch(*[cv2.GaussianBlur(luma[:41, :50], (0, 0), 2)] * 2)[:, None]

    def results() -> list[tuple[torch.Tensor, float]]:
        return [
            (flow.compose(first, second), 0.05), (flow.consistency(first, second, 2.0), 0.05),
            (flow.doubled(first, (81, 99)), 1e-5), (flow.resized(first, (20, 25)), 1e-5),
            (flow.halved(batch(luma)[:, None]), 1e-6), (flow.landed(first, (41, 25)), 0),
            (flow.sample(smooth, first, cubic=True), 0.01),
        ]  # fmt: skip

    here = results()
    for room in (flow, filters):
        monkeypatch.setattr(room, "here", lambda planes: False)
    for (one, allowed), (other, _) in zip(here, results(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=allowed)


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
