"""What points are told of a frame, and what becomes of the light they return."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from f2rcli import sensor
from f2rcli.engine.contract.debias import without_bias
from f2rcli.engine.contract.frame_points import corrected, with_points
from f2rcli.engine.contract.points import Others, PointLosses
from f2rcli.engine.contract.residual import SPARSE, Beside
from f2rcli.engine.contract.steady import Steady
from f2rcli.frames import Family, Frame, Mosaic, PlaneLayout
from f2rcli.noise.bands import white_shares
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.planes import PlaneNoise, planes_of

Real = NDArray[np.float32]
SHAPE = (40, 52)
GRAY = PlaneLayout(family=Family.GRAY, bits=16, levels=(0.0, 1000.0))
RGB = PlaneLayout(family=Family.RGB, bits=16, levels=(0.0, 1000.0))
LEVELS = (100.0, 90.0, 110.0, 95.0)
BAYER = PlaneLayout(
    family=Family.BAYER, bits=12, mosaic=Mosaic(pattern="GRBG", black=LEVELS, white=(4095.0,) * 4)
)


class Told(PointLosses):
    """Notes what it is told, and gives back a dot of light in the planes it is to."""

    def __init__(self, *lit: int) -> None:
        super().__init__()
        self.lit, self.told = lit, []

    def lost(  # type: ignore[override]
        self, index: int, plane: Real, removed: Real, variance: Real, *more: Any, **others: Any
    ) -> Real | None:
        self.told.append((index, plane, removed, variance, *more, *others.values()))
        light = np.zeros_like(plane)
        light[10 + index, 20] = 0.5
        return light if index in self.lit else None


def frame_of(layout: PlaneLayout, seed: int = 0) -> Frame:
    rng = np.random.default_rng(seed)
    count = 3 if layout is RGB else 1
    planes = rng.integers(200, 700, (count, *SHAPE)).astype(np.uint16)
    return Frame(planes=tuple(planes), layout=layout)


def law(count: int) -> PlaneNoise:
    """Poisson noise, of another gain in each plane."""
    models = (NoiseModel((0.01 * (i + 1),), (0.002,), (0.1,)) for i in range(count))
    return PlaneNoise(tuple(models), (white_shares(),) * count)


def changed(frame: Frame, seed: int = 5) -> list[Real]:
    rng = np.random.default_rng(seed)
    return [(0.02 * rng.standard_normal(p.shape)).astype(np.float32) for p in planes_of(frame)]


@pytest.mark.parametrize("sparse", [False, True])
def test_every_plane_tells_what_was_removed_and_its_noise(sparse: bool) -> None:
    """A plane's noise is that of its restored light; what parts a few electrons, the samples'."""
    frame, points = frame_of(RGB), Told(1)
    changes = changed(frame)
    back = with_points(changes, frame, points, law(3), Beside(slack=SPARSE) if sparse else Beside())
    for index, (plane, change) in enumerate(zip(planes_of(frame), changes, strict=True)):
        number, shown, removed, variance, parted, others = points.told[index]
        assert number == index
        assert others is None
        np.testing.assert_array_equal(shown, plane)
        np.testing.assert_array_equal(removed, -change)
        gain = 0.01 * (index + 1)
        np.testing.assert_allclose(variance, gain * (plane + change) + 4e-6, rtol=1e-4)
        own = plane if sparse else plane + change
        np.testing.assert_allclose(parted, gain * own + 4e-6, rtol=1e-4)
        wanted = change.copy()
        if index == 1:
            wanted -= np.float32(0.5 / change.size)  # the mean stays
            wanted[11, 20] += 0.5
        np.testing.assert_allclose(back[index], wanted, atol=1e-7)


def known(frame: Frame, count: float) -> tuple[Steady, Real]:
    """What stood still for so many frames, with this one, and the mean of those before."""
    rng = np.random.default_rng(8)
    plane, before = planes_of(frame)[0], rng.random(SHAPE).astype(np.float32)
    counts = np.full(SHAPE, count, np.float32)
    means = ((count - 1) * before + plane) / count
    return Steady(means=[means.astype(np.float32)], counts=[counts]), before


def told_others(frame: Frame, beside: Beside) -> Others | None:
    points = Told()
    with_points(changed(frame), frame, points, law(1), beside)
    others = points.told[0][-1]
    assert others is None or isinstance(others, Others)
    return others


def test_the_past_counts_where_it_stood_still_and_the_next_frame_where_the_flow_leads() -> None:
    frame, ahead = frame_of(GRAY), [frame_of(GRAY, seed) for seed in (1, 2, 3)]
    steady, before = known(frame, 5)
    flow = np.empty((*SHAPE, 2), np.float32)
    flow[...] = (3, -2)
    beside = Beside(flows=(None, flow), steady=steady, later=tuple(ahead))
    found = told_others(frame, beside)
    assert found is not None
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    there = planes_of(ahead[0])[0][np.clip(y - 2, 0, SHAPE[0] - 1), np.clip(x + 3, 0, SHAPE[1] - 1)]
    np.testing.assert_allclose(found.mean, (4 * before + there) / 5, atol=1e-5)
    np.testing.assert_allclose(found.frames, 5)


def test_of_a_picture_that_rests_all_frames_ahead_count() -> None:
    frame, ahead = frame_of(GRAY), [frame_of(GRAY, seed) for seed in (1, 2, 3)]
    flow = np.zeros((*SHAPE, 2), np.float32)
    flow[:8] = 4  # some of it moves: only the next frame is fetched along the flow
    found = told_others(frame, Beside(flows=(flow,), later=tuple(ahead)))
    assert found is not None
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    move = 4 * (y < 8)
    first = planes_of(ahead[0])[0][y + move, np.clip(x + move, 0, SHAPE[1] - 1)]
    wanted = (first + planes_of(ahead[1])[0] + planes_of(ahead[2])[0]) / 3
    np.testing.assert_allclose(found.mean, wanted, atol=1e-5)
    np.testing.assert_allclose(found.frames, 3)


@pytest.mark.parametrize("flows", [(), (None,), ("on a GPU",)])
def test_without_a_flow_only_the_next_frame_counts_at_the_same_place(flows: Any) -> None:
    frame, ahead = frame_of(GRAY), tuple(frame_of(GRAY, seed) for seed in (1, 2))
    found = told_others(frame, Beside(flows=flows, later=ahead))
    assert found is not None
    np.testing.assert_array_equal(found.mean, planes_of(ahead[0])[0])
    np.testing.assert_array_equal(found.frames, 1)


def test_nothing_else_is_known_of_a_frame_alone_nor_asked_where_noise_is_skewed() -> None:
    frame, ahead = frame_of(GRAY), (frame_of(GRAY, 1),)
    fresh, _ = known(frame, 1)
    assert told_others(frame, Beside()) is None
    assert told_others(frame, Beside(steady=fresh)) is None
    assert told_others(frame, Beside(later=ahead, slack=SPARSE)) is None
    steady, before = known(frame, 3)
    alone = told_others(frame, Beside(steady=steady))
    assert alone is not None
    np.testing.assert_allclose(alone.mean, before, atol=1e-5)
    np.testing.assert_allclose(alone.frames, 2)


def test_a_mosaic_is_asked_pixel_by_pixel_above_what_is_around_in_each_colour() -> None:
    frame, ahead = frame_of(BAYER), (frame_of(BAYER, 1),)
    changes, points = changed(frame), Told(0)
    planes, later = planes_of(frame), planes_of(ahead[0])
    back = with_points(changes, frame, points, law(4), Beside(later=ahead))
    ((index, shown, removed, variance, others),) = points.told
    assert index == 0

    def woven(parts: list[Real]) -> Real:
        return sensor.unpack(np.stack(parts).astype(np.float32), "GRBG", SHAPE)

    def above(parts: list[Real]) -> Real:
        return woven([part - uniform_filter(part.astype(np.float64), 15) for part in parts])

    np.testing.assert_allclose(shown, above(planes), atol=1e-5)
    np.testing.assert_array_equal(removed, woven([-change for change in changes]))
    laws = [
        0.01 * (i + 1) * np.maximum(p + c, 0) + 4e-6
        for i, (p, c) in enumerate(zip(planes, changes, strict=True))
    ]
    np.testing.assert_allclose(variance, woven(laws), rtol=1e-4)
    np.testing.assert_allclose(others.mean, above(later), atol=1e-5)
    np.testing.assert_array_equal(others.frames, np.ones(SHAPE))
    light = np.zeros(SHAPE, np.float32)
    light[10, 20] = 0.5
    for change, new, part in zip(changes, back, sensor.pack(light, "GRBG"), strict=True):
        np.testing.assert_allclose(new, change + part - part.mean(), atol=1e-6)
    assert with_points(changes, frame, Told(), law(4), Beside()) is changes


def test_other_frames_of_a_mosaic_must_show_all_its_colours() -> None:
    frame, points = frame_of(BAYER), Told()
    planes = planes_of(frame)
    some = Steady(means=planes[:2], counts=[np.full_like(plane, 3) for plane in planes[:2]])
    with_points(changed(frame), frame, points, law(4), Beside(steady=some))
    assert points.told[0][-1] is None
    moved = replace(some, means=planes, counts=[np.full_like(plane, 3) for plane in planes])
    with_points(changed(frame), frame, points, law(4), Beside(steady=moved))
    np.testing.assert_array_equal(points.told[1][-1].frames, np.full(SHAPE, 2))


def test_changes_of_stacks_lose_their_bias_and_get_points_where_they_are_looked_for() -> None:
    frame, noise = frame_of(GRAY), law(1)
    changes = changed(frame)
    even = without_bias(changes, planes_of(frame))
    for law_of, points in ((None, Told(0)), (noise, None), (None, None)):
        found = corrected(changes, frame, law_of, Beside(points=points))
        np.testing.assert_array_equal(found, even)
        assert points is None or not points.told
    found = corrected(changes, frame, noise, Beside(points=Told(0)))
    wanted = with_points(even, frame, Told(0), noise, Beside())
    np.testing.assert_array_equal(found, wanted)
    assert np.abs(wanted[0] - even[0]).max() > 0.4
    shown = replace(frame, layout=PlaneLayout(family=Family.GRAY, bits=16))
    assert corrected(changes, shown, noise, Beside(points=Told(0))) is changes
