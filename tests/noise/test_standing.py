"""Lines that stay are told from what stands in a scene, and measured."""

import cv2
import numpy as np
import pytest

from f2rcli.noise.standing.evidence import (
    Standing,
    find_standing,
    of_plane,
    plane_of,
    standing_in,
    staying,
)
from f2rcli.noise.standing.steps import _positive, estimated, offsets_of, painted, steps_of
from tests.noise.standing_scenes import HEIGHT, WIDTH, filmed, offsets, scenery, still_life


def found(pictures: np.ndarray) -> tuple[Standing, ...]:
    return find_standing([[one] for one in pictures], [(0,)], [(0,)])


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("sigma8", [4.0, 8.0, 25.0])
def test_lines_that_stay_are_measured_in_a_still_scene(sigma8: float, columns: bool) -> None:
    more = offsets(WIDTH, sigma8) if columns else offsets(HEIGHT, sigma8)[:, None]
    (line,) = found(filmed(still_life() + more))
    assert line.columns == columns
    assert 255 * line.sigma == pytest.approx(sigma8, rel=0.25)
    off = line.offsets - more.ravel()
    assert (off - off.mean()).std() < 0.3 * more.std()


def test_rows_and_columns_are_found_beside_each_other() -> None:
    more = offsets(WIDTH) + offsets(HEIGHT, seed=8)[:, None]
    assert [one.columns for one in found(filmed(still_life() + more))] == [True, False]


SCENERY = dict(scenery())


@pytest.mark.parametrize("name", SCENERY)
def test_what_stands_in_a_scene_is_not_the_sensors(name: str) -> None:
    picture = SCENERY[name]
    down = np.stack([np.roll(picture, -2 * time, 0) for time in range(6)])
    across = np.stack([np.roll(picture, -2 * time, 1) for time in range(6)])
    for pictures in (picture, down, across):
        assert found(filmed(pictures)) == ()


@pytest.mark.parametrize("columns", [False, True])
def test_lines_that_are_new_in_every_frame_do_not_stay(columns: bool) -> None:
    count = WIDTH if columns else HEIGHT
    more = offsets(6 * count, 8).reshape((6, 1, -1) if columns else (6, -1, 1))
    assert found(filmed(still_life() + more)) == ()


def test_lines_are_said_once_where_all_colours_have_them_and_each_where_they_do_not() -> None:
    life = still_life()
    shared = filmed(life + offsets(WIDTH))
    frames = [[one, one, one] for one in shared]
    assert [one.planes for one in find_standing(frames, [], [(0, 1, 2)])] == [(0, 1, 2)]
    apart = [filmed(life + offsets(WIDTH, 8, seed), seed=seed) for seed in (3, 4, 5)]
    frames = [list(planes) for planes in zip(*apart, strict=True)]
    assert [one.planes for one in find_standing(frames, [], [(0, 1, 2)])] == [(0,), (1,), (2,)]


def test_lines_of_a_mosaic_are_those_of_one_sensor() -> None:
    """Even and odd rows lie beside each other: broad bands, too, are told from the scene."""
    life = cv2.resize(still_life(), (2 * WIDTH, 2 * HEIGHT), interpolation=cv2.INTER_CUBIC)
    rng, more = np.random.default_rng(4), offsets(2 * HEIGHT)[:, None]
    filmed = (life + more + rng.normal(0, 0.01, (6, *life.shape))).astype(np.float32)
    for places in (((0, 0), (0, 1), (1, 1), (1, 0)), ((1, 1), (1, 0), (0, 0), (0, 1))):
        frames = [[one[y::2, x::2] for y, x in places] for one in filmed]
        even, odd = ((0, 1), (2, 3))[:: 1 if places[0][0] == 0 else -1]
        (line,) = find_standing(frames, [even, odd], [])
        assert line.planes == (*even, *odd)
        left = np.stack([of_plane(line.offsets, line.planes, at) for at in (even[0], odd[0])], 1)
        left = left.ravel() - more[:, 0]
        assert (left - left.mean()).std() < 0.25 * more.std()


def test_planes_of_a_mosaic_have_every_other_line_without_what_one_green_has_more() -> None:
    planes = [np.full((2, 3), at, np.float32) for at in range(4)]
    for group, columns, wanted in (
        ((0, 1, 2, 3), False, (1, 3, 1, 3)), ((2, 3, 0, 1), False, (3, 1, 3, 1)),
        ((0, 3, 1, 2), True, (3, 1) * 3), ((1, 2, 0, 3), True, (1, 3) * 3),
    ):  # fmt: skip
        seen = plane_of(planes, group, columns=columns)
        assert seen.shape == ((6, 2) if columns else (4, 3))
        np.testing.assert_array_equal(seen[:, 0], wanted)
    values = np.random.default_rng(3).normal(0, 1, 400).astype(np.float32)
    values[::2] -= values[::2].mean()
    values[1::2] -= values[1::2].mean()
    for split, stays in ((0.2, True), (0.4, False)):  # three standard errors: 0.3
        more = values + np.tile([split / 2, -split / 2], 200).astype(np.float32)
        for at, first in ((0, 0), (1, 0), (2, 1), (3, 1)):
            wanted = (more if stays else values)[first::2]
            np.testing.assert_allclose(of_plane(more, (0, 1, 2, 3), at), wanted, atol=1e-6)
    assert of_plane(values, (0, 1), 0) is values


def test_three_frames_are_too_few_and_so_is_a_small_picture() -> None:
    pictures = filmed(still_life() + offsets(WIDTH))
    assert standing_in([[one] for one in pictures[:4]], (0,), columns=True) is not None
    assert standing_in([[one] for one in pictures[:3]], (0,), columns=True) is None
    assert standing_in([[one[:40]] for one in pictures], (0,), columns=True) is None


def test_drawings_are_no_evidence() -> None:
    picture = filmed(still_life() + offsets(WIDTH), count=1)
    assert found(np.repeat(picture, 6, 0)) == ()


def test_the_strongest_lines_and_json_values() -> None:
    none = np.zeros(4, np.float32)
    lines = [Standing((0,), True, 2 / 255, none), Standing((1,), True, 4 / 255, none)]
    assert staying(lines, columns=True) == 4 / 255
    assert staying(lines, columns=False) == 0
    assert lines[0].values()["columns8"] == pytest.approx(2)
    assert lines[0].values()["staying_rows8"] == 0
    assert Standing((2,), False, 3 / 255, none).values()["staying_rows8"] == pytest.approx(3)


def test_white_offsets_are_parted_from_a_scene_that_wanders() -> None:
    rng = np.random.default_rng(1)
    white, scene = rng.normal(0, 1, 600), np.cumsum(rng.normal(0, 0.2, 600))
    got = offsets_of(np.diff(white + scene))
    assert got.sigma == pytest.approx(1, rel=0.1)
    assert (got.values - (white - white.mean())).std() < 0.35
    assert offsets_of(np.diff(scene)).sigma < 0.05


def test_an_edge_all_along_a_line_is_no_offset() -> None:
    rng = np.random.default_rng(2)
    white = rng.normal(0, 1, 600)
    edge = np.where(np.arange(600) < 300, 0.0, 40.0)
    off = offsets_of(np.diff(white + edge)).values - (white - white.mean())
    assert np.abs(off).max() < 2


def test_painted_parts_have_no_say_in_steps() -> None:
    picture, more = filmed(still_life() + offsets(HEIGHT)[:, None], count=1)[0], offsets(HEIGHT)
    picture[:, :120], picture[:, 200:] = 0.5, 0.8
    mask = np.zeros(picture.shape, bool)
    mask[:, :120] = mask[:, 200:] = mask[:40, 120:140] = True
    left = estimated(picture, mask).values - more
    assert (left - left.mean()).std() < 0.4 * more.std()
    assert steps_of(picture, np.zeros(HEIGHT, np.float32), mask).values.shape[1] == 10
    assert not estimated(picture, np.ones_like(mask)).values.any()


def test_what_is_the_same_within_five_pixels_is_painted() -> None:
    plane = np.zeros((12, 14), np.float32)
    near = plane.copy()
    near[6, 5] = -1 / 255
    wanted = np.ones_like(plane, bool)
    wanted[4:9, 3:8] = False
    np.testing.assert_array_equal(painted(plane, near), wanted)


def test_least_squares_with_nothing_below_zero() -> None:
    rng = np.random.default_rng(3)
    known = np.abs(rng.normal(0, 1, (50, 3)))
    np.testing.assert_allclose(_positive(known, known @ [1.0, 0.0, 2.0]), [1, 0, 2], atol=1e-9)
    one = _positive(known, known @ [1.0, -2.0, 0.0])
    assert one.min() >= 0
    assert one[1] == 0
