"""Warps by kernels are those of OpenCV."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from f2rcli.fast import support
from f2rcli.models import flow
from f2rcli.models.large.codes import coded, plain
from f2rcli.system import memory

pytest.importorskip("numba")
from f2rcli.fast import warping

keep_memory = memory.keep_memory

RNG = np.random.default_rng(0)


def pictures(height: int, width: int, *channels: int) -> list[Tensor]:
    return [
        torch.from_numpy(RNG.random((1, c, height, width), np.float32) * 1.4 - 0.2)
        for c in channels
    ]


def by_opencv(given: list[Tensor], shifts: NDArray[np.float32], like: list[Tensor]) -> list[Tensor]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow, "serve", lambda picture: False)
        return flow.warp_all(given, shifts, [torch.empty_like(one) for one in like])


def check_warp(
    given: list[Tensor], shifts: NDArray[np.float32], into: list[Tensor] | None = None
) -> None:
    into = [torch.empty_like(one) for one in given] if into is None else into
    warping.warped(given, shifts, into)
    for ours, theirs in zip(into, by_opencv(given, shifts, given), strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=0)


@pytest.mark.parametrize("far", [0.0, 0.6, 12.0, 400.0, 1e30])
@pytest.mark.parametrize("channels", [(3, 3), (4, 4), (3, 3, 1), (4,)])
def test_kernels_warp_as_opencv_does(far: float, channels: tuple[int, ...]) -> None:
    given = pictures(45, 37, *channels)
    shifts = RNG.normal(0, 1, (45, 37, 2)).astype(np.float32) * np.float32(far)
    check_warp(given, shifts)


@pytest.mark.parametrize("edge", [-3.0, -1.0, -0.5, 0.5, 1.0, 2.5])
def test_pictures_go_on_beyond_their_edges(edge: float) -> None:
    """Every way out, and the last pixels before it."""
    given = pictures(9, 8, 3, 3)
    for way in ((edge, 0), (0, edge), (edge, -edge)):
        shifts = np.broadcast_to(np.float32(way), (9, 8, 2)).copy()
        check_warp(given, shifts)


def test_codes_are_warped_to_the_same_codes() -> None:
    given = [coded(one) for one in pictures(40, 64, 3, 3)]
    shifts = RNG.normal(0, 3, (40, 64, 2)).astype(np.float32)
    into = [torch.empty_like(one) for one in given]
    warping.warped(given, shifts, into)
    for ours, theirs in zip(into, by_opencv(given, shifts, given), strict=True):
        apart = (ours.int() - theirs.int()).abs()
        assert apart.max() <= 1  # halves are rounded one way or the other
        assert (apart > 0).float().mean() < 0.01
    assert (plain(into[0]) - plain(given[0])).abs().max() > 0.1


def test_a_flow_that_is_no_number_leads_to_the_picture() -> None:
    given = pictures(16, 16, 3, 3)
    shifts = np.full((16, 16, 2), np.nan, np.float32)
    into = [torch.empty_like(one) for one in given]
    warping.warped(given, shifts, into)
    assert all(torch.isfinite(one).all() for one in into)


def test_parts_of_pictures_are_warped_in_place() -> None:
    given = [one[..., 5:37, 10:42] for one in pictures(50, 60, 3, 3)]
    shifts = RNG.normal(0, 2, (32, 32, 2)).astype(np.float32)
    room = torch.zeros(1, 6, 40, 40)
    check_warp(given, shifts, [room[:, :3, 4:36, 4:36], room[:, 3:, 4:36, 4:36]])
    assert room[..., :4, :].abs().max() == 0
    assert room[..., 36:].abs().max() == 0


def test_large_pictures_are_warped_by_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    assert support.works()  # asked now: the check, too, would go through what stands in for kernels
    seen: list[object] = []
    monkeypatch.setattr(warping, "warped", lambda *given: seen.append(given))
    still = np.zeros((256, 256, 2), np.float32)
    flow.warp_all(pictures(256, 256, 3, 3), still)
    assert len(seen) == 1
    flow.warp_all(pictures(256, 256, 3), still)  # OpenCV takes no longer
    flow.warp_all(pictures(255, 256, 3, 3), still[:255])
    flow.warp_all([one.requires_grad_() for one in pictures(256, 256, 3, 3)], still)
    assert len(seen) == 1
    assert support.SMALLEST == 256 * 256


def test_two_threads_warp_at_a_time() -> None:
    """What a kernel knows by its address alone was freed, and another thread took it."""
    keep_memory()  # as engines do: threads share one heap
    given = pictures(200, 640, 3, 3)
    shifts = RNG.normal(0, 2, (200, 640, 2)).astype(np.float32)
    right = by_opencv(given, shifts, given)

    def work(_: int) -> bool:
        into = [torch.empty_like(one) for one in given]
        warping.warped(given, shifts, into)
        return all(torch.allclose(a, b, atol=2e-6) for a, b in zip(into, right, strict=True))

    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(work, range(24)))
