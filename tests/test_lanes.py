"""What is learnt of a lane before it is denoised: levels, stuck pixels, saturation."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from f2rcli.evaluation.simulation.camera import recorded
from f2rcli.evaluation.simulation.points import scattered, spot
from f2rcli.io import open_reader, open_writer, plan_output
from f2rcli.io.base import WriteOptions
from f2rcli.samples.lanes import measure_lane, restore_invalid, without_stuck
from tests.io.stacks import movie, passed

NONE = (np.zeros(0, np.intp), np.zeros(0, np.intp))


def frames(count: int = 7, size: tuple[int, int] = (48, 64), seed: int = 0) -> list[np.ndarray]:  # type: ignore[type-arg]
    """Photon noise around moving spots, wider than a pixel."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    shown = []
    for step in range(count):
        light = 20 + sum(
            300 * np.exp(-((y - 8 * i - 6) ** 2 + (x - 9 * i - step) ** 2) / 4) for i in range(5)
        )
        shown.append((100 + rng.poisson(light)).astype(np.uint16))
    return shown


def test_levels_leave_room_on_both_sides_of_what_is_there() -> None:
    shown = frames()
    low, high = np.percentile(np.stack(shown), [0.1, 99.9])
    black, white = measure_lane(shown).levels
    assert black < low < high < white
    assert (np.stack(shown).max() - black) / (white - black) < 4


def test_levels_of_negative_and_of_constant_samples_exist() -> None:
    black, white = measure_lane([np.full((8, 8), -3.0, np.float32)] * 3).levels
    assert black < -3 < white
    assert measure_lane([np.full((8, 8), np.nan, np.float32)] * 3).levels == (0.0, 1.0)


@pytest.mark.parametrize(
    ("where", "value"),
    [(np.s_[:, 20, 40], 65535), (np.s_[3, 20, 40], 1e30), (np.s_[:, 10:30, 20:50], 65535),
     (np.s_[:, 10:30, 20:50], 0), (np.s_[:, 10:30, 20:50], -1e30), (np.s_[:, :20], np.nan)],
)  # fmt: skip
def test_levels_are_those_of_the_picture(where: tuple[slice, ...], value: float) -> None:
    stack = np.stack(frames()).astype(np.float32)
    black, white = measure_lane(list(stack)).levels
    stack[where] = value
    for kind in ("f4", "f8", "u2") if 0 <= value < 1e30 else ("f4", "f8"):
        low, high = measure_lane(list(stack.astype(kind))).levels
        assert (low, high) == pytest.approx((black, white), abs=0.2 * (white - black))


def test_planted_stuck_pixels_are_found_and_no_others() -> None:
    shown = frames()
    places = [(10, 50), (30, 5), (0, 0), (47, 63)]
    for frame in shown:
        for row, column in places:
            frame[row, column] += 900
        frame[20, 40] = 0
    seen = measure_lane(shown)
    assert sorted(zip(*map(list, seen.stuck), strict=True)) == sorted([*places, (20, 40)])
    assert (seen.repaired, seen.bright, seen.dark) == (4, 0, 1)
    assert "1 pixel is always far darker" in seen.lines()[0]


def test_defects_of_the_sensor_lose_their_light_and_nothing_else_does(tmp_path: Path) -> None:
    rng, light = np.random.default_rng(4), np.stack(frames(count=9)).astype(float) - 100
    places = tuple(
        rng.permutation(48 * 64)[:6] // part % size for part, size in ((64, 48), (1, 64))
    )
    hot = light.copy()
    hot[(slice(None), *places)] += rng.uniform(200, 3000, 6)
    source, target = tmp_path / "s.tif", tmp_path / "o.tif"
    array = (100 + rng.poisson(hot)).astype(np.uint16)
    tifffile.imwrite(source, array, photometric="minisblack", metadata={"axes": "TYX"})
    seen = measure_lane(list(array))
    assert seen.repaired == 6
    assert seen.lines() == ["6 pixels are hot or dead in every frame, and those beside them see "
                            "nothing of it: repaired"]  # fmt: skip
    passed(source, target, change=True)
    left = (tifffile.imread(target) - 100.0 - light)[(slice(None), *places)].mean(0)
    assert abs(left.sum()) < 0.05 * (hot - light)[(0, *places)].sum()
    passed(source, tmp_path / "same.tif", change=False)
    assert (tmp_path / "same.tif").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("moving", [0, 1])
@pytest.mark.parametrize("width", [0.4, 0.5, 0.8, 1.3])
def test_sharp_points_are_never_repaired(width: float, moving: int) -> None:
    """Half of them on the middle of a pixel, where its neighbours see least of them; those that
    move go a pixel every four frames."""
    for seed in range(2):
        rng = np.random.default_rng(seed)
        places = scattered(40, 96, 11, rng)
        places[::2] = np.rint(places[::2])
        bright = rng.permutation(np.geomspace(50, 30000, len(places)))
        light = np.full((9, 96, 96), 10.0 * (1 + 9 * seed))
        for frame in range(9):
            for (row, column), electrons in zip(places, bright, strict=True):
                light[frame] += electrons * spot(96, row, column + moving * (frame // 4), width)
        assert not measure_lane(list(recorded(light, rng))).repaired


def test_what_is_drawn_into_pictures_stays() -> None:
    """A point of a caption is one pixel and never changes."""
    shown = frames(count=9)
    for frame in shown:
        frame[10, 50] = 3000
    seen = measure_lane(shown)
    assert seen.bright == seen.stuck[0].size == 1
    assert not seen.repaired


def test_light_is_not_taken_for_stuck_pixels() -> None:
    for seed in range(5):
        assert measure_lane(frames(seed=seed)).stuck[0].size == 0
    board = np.indices((32, 32)).sum(0) % 2 * 500
    noise = np.random.default_rng(0).normal(0, 3, (5, 32, 32))
    assert measure_lane(list(board + noise)).stuck[0].size == 0
    assert measure_lane(frames(2)).stuck[0].size == 0  # too few to tell


def test_networks_see_neighbours_in_place_of_stuck_samples() -> None:
    plane = frames(1)[0]
    plane[5, 5] = 60000
    seen = without_stuck(plane, (np.array([5]), np.array([5])))
    around = np.delete(plane[4:7, 4:7].ravel(), 4)
    assert around.min() <= seen[5, 5] <= around.max()
    assert plane[5, 5] == 60000
    np.testing.assert_array_equal(np.delete(seen.ravel(), 5 * 64 + 5),
                                  np.delete(plane.ravel(), 5 * 64 + 5))  # fmt: skip


def test_floats_that_are_no_numbers_are_filled_and_come_back() -> None:
    plane = np.arange(64, dtype=np.float32).reshape(8, 8)
    plane[2, 3], plane[7, 7] = np.nan, np.inf
    plane[4:7, 0:3] = np.nan
    seen = without_stuck(plane, NONE)
    assert np.isfinite(seen).all()
    back = restore_invalid(plane, seen + 1, measure_lane([seen] * 3))
    np.testing.assert_array_equal(np.isfinite(back), np.isfinite(plane))
    assert np.isposinf(back[7, 7])


def test_stuck_samples_that_never_change_are_written_as_they_were(tmp_path: Path) -> None:
    source, target = tmp_path / "s.tif", tmp_path / "o.tif"
    array = np.stack(frames())
    array[:, 10, 50] = 5000
    tifffile.imwrite(source, array, photometric="minisblack", metadata={"axes": "TYX"})
    passed(source, target, change=True)
    written = tifffile.imread(target)
    np.testing.assert_array_equal(written[:, 10, 50], array[:, 10, 50])
    assert written[:, 10, 49:52:2].max() < 1000  # not smeared into its neighbours


@pytest.mark.parametrize(("top", "told"), [(4095, True), (3000, True), (None, False)])
def test_saturation_is_told_at_any_code_that_is_a_rail(top: int | None, told: bool) -> None:
    shown = [np.uint16(12) * frame for frame in frames()]
    if top is not None:
        shown = [np.minimum(frame, top) for frame in shown]
    seen = measure_lane(shown)
    assert seen.top == (top if told else None)
    assert any("saturate" in line for line in seen.lines()) is told


def test_the_ledger_says_what_was_found_in_which_lane(tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    array = np.stack([np.stack(frames()), np.stack(frames(seed=1))], axis=1)
    array[:, 1, 10, 50] += 900
    tifffile.imwrite(path, array, photometric="minisblack", metadata={"axes": "TCYX"})
    with open_reader(path) as reader:
        list(reader)
        assert [line[:20] for line in reader.ledger.lines()] == ["channel 2: 1 pixel i"]
        assert not reader.ledger.damaged


def test_a_stack_of_pictures_for_the_eye_keeps_its_levels(tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    tifffile.imwrite(path, movie((3, 16, 20, 3), "u1"), photometric="rgb")
    with open_reader(path) as reader:
        assert reader.info.layout.levels == (0.0, 255.0)


def test_what_is_saturated_stays_so_and_nothing_exceeds_it(tmp_path: Path) -> None:
    source, target = tmp_path / "s.tif", tmp_path / "o.tif"
    array = np.minimum(np.uint16(12) * np.stack(frames()), 4000)
    array[:, 20:40, 30:60] = 4000
    tifffile.imwrite(source, array, photometric="minisblack", metadata={"axes": "TYX"})
    with (
        open_reader(source) as reader,
        open_writer(reader, plan_output(reader, target, WriteOptions())) as writer,
    ):
        for frame in reader:
            writer.write(replace(frame, planes=(frame.planes[0] + np.uint16(3),)))
        writer.finish()
    written = tifffile.imread(target)
    assert written.max() == 4000
    assert (written[:, 21:39, 31:59] == 4000).all()
    np.testing.assert_array_equal(written[array < 3997], array[array < 3997] + 3)
