"""Where nothing changes, results reach the mean of all frames; what is new stays."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from f2rcli.engine.contract.still import Still, resting
from f2rcli.noise.bands import white_shares

SIGMA, SIDE = 0.05, 96
LAW = np.full((SIDE, SIDE), SIGMA**2, np.float32)
Real = NDArray[np.float32]


def texture() -> Real:
    fine = np.random.default_rng(0).standard_normal((SIDE, SIDE)).astype(np.float32)
    return np.asarray(0.5 + 0.04 * fine, np.float32)


def after(
    frames: int, scene: Callable[[int], Real], seed: int = 1
) -> tuple[Still, Real, Real, Real]:
    """What is known of the frames of a scene; the last of them, a poor result, and the mean."""
    still, rng = Still(), np.random.default_rng(seed)
    total = np.zeros((SIDE, SIDE))
    for index in range(frames):
        noisy = scene(index) + (SIGMA * rng.standard_normal((SIDE, SIDE))).astype(np.float32)
        still.add(0, noisy, LAW, white_shares())
        total += noisy
    clean = scene(frames - 1)
    return still, clean, np.asarray(cv2.blur(clean, (3, 3)), np.float32), total / frames


def error(picture: Real, clean: Real) -> float:
    return float(np.square(picture - clean).mean())


@pytest.mark.parametrize("frames", [12, 40])
def test_a_still_scene_comes_close_to_the_mean_of_all_frames(frames: int) -> None:
    scene = texture()
    still, clean, poor, mean = after(frames, lambda _: scene)
    nearer = still.nearer(0, poor, LAW)
    assert nearer is not None
    assert error(poor + nearer, clean) < 1.3 * error(mean, clean) < error(poor, clean)


def test_a_flow_that_errs_for_two_frames_forgets_nothing() -> None:
    scene = texture()
    still, _, poor, _ = after(20, lambda _: scene)
    here, there = (np.full((SIDE, SIDE, 2), move, np.float32) for move in (0.0, 1.0))
    assert [still.rests([flow]) for flow in (here, there, there)] == [1, 1, 1]
    assert still.nearer(0, poor, LAW) is not None
    assert still.rests([there]) == 0
    assert still.nearer(0, poor, LAW) is None
    assert Still().rests([there]) == 0  # of a clip that begins so


@pytest.mark.parametrize("seed", [1, 2])
def test_fine_texture_of_a_long_burst_is_hardly_worse_than_in_the_mean(seed: int) -> None:
    scene = texture()
    still, clean, poor, mean = after(64, lambda _: scene, seed)
    result = clean + 0.5 * (poor - clean) + 0.6 * np.asarray(mean - clean, np.float32)
    nearer = still.nearer(0, result, LAW)
    assert nearer is not None
    assert error(result + nearer, clean) < 1.25 * error(mean, clean)


def test_a_good_result_stays() -> None:
    scene = texture()
    still, clean, _, mean = after(20, lambda _: scene)
    nearer = still.nearer(0, clean, LAW)
    assert nearer is not None
    assert error(clean + nearer, clean) < 0.1 * error(mean, clean)


def test_after_all_has_moved_the_mean_begins_again_and_calm_from_nothing() -> None:
    scene = texture()
    moved, _, poor, _ = after(20, lambda _: scene)
    moved.forget()
    assert moved.nearer(0, poor, LAW) is None
    fresh, rng, shares = Still(), np.random.default_rng(2), []
    for _ in range(30):
        noisy = scene + (SIGMA * rng.standard_normal((SIDE, SIDE))).astype(np.float32)
        both = []
        for still in (moved, fresh):
            still.add(0, noisy, LAW, white_shares())
            nearer = still.nearer(0, poor, LAW)
            both.append(0.0 if nearer is None else float(np.abs(nearer).sum()))
        shares.append(both[0] / both[1] if both[1] else 0.0)
    assert 0 < shares[6] < 0.5 < shares[11] < 1
    assert shares[-1] == 1


def test_what_is_new_stays() -> None:
    scene, spot = texture(), np.zeros((SIDE, SIDE), np.float32)
    spot[40:46, 40:46] = 3 * SIGMA
    still, clean, _, _ = after(20, lambda index: scene + spot * np.float32(index == 19))
    nearer = still.nearer(0, clean, LAW)
    assert nearer is not None
    assert np.abs(nearer[40:46, 40:46]).max() < 0.1 * SIGMA


@pytest.mark.parametrize("speed", [0.3, 2.0])
def test_a_mean_of_what_moves_is_not_used(speed: float) -> None:
    rows = np.linspace(0, 12, SIDE, dtype=np.float32)

    def scene(index: int) -> Real:
        return np.asarray(0.5 + 0.2 * np.sin(np.add.outer(rows, rows) + speed * index / 8), "f4")

    still, clean, _, _ = after(20, scene)
    nearer = still.nearer(0, clean, LAW)
    assert nearer is None or error(clean + nearer, clean) < 1e-7


def test_a_few_frames_are_no_mean() -> None:
    scene = texture()
    still, _, poor, _ = after(3, lambda _: scene)
    assert still.nearer(0, poor, LAW) is None


def test_a_picture_moves_where_its_flow_goes_one_way_and_rests_where_it_scatters() -> None:
    jitter = np.random.default_rng(0).normal(0, 0.4, (96, 128, 2)).astype(np.float32)
    assert resting([jitter]) == 1.0
    panned = jitter + np.float32([0.6, 0.0])
    assert resting([jitter, panned]) == 0.0
    passing = jitter.copy()  # an object crosses a picture that stands still
    passing[20:60, 30:90] += 4
    assert resting([passing]) == 1.0
    assert resting([]) == 1.0  # no flow is known
