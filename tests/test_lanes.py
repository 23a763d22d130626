"""What is learnt of a lane before it is denoised: levels, stuck pixels, saturation."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from benchmarks.simulated import recorded, scattered, spot, texture
from f2rcli.api import arrays, call
from f2rcli.frames import Family, PlaneLayout
from f2rcli.io import open_reader
from f2rcli.samples import lanes
from tests.io.stacks import movie, passed
from tests.io.through import copied

Grid = arrays.Grid
Options = call.Options
Arriving = lanes.Arriving
measure_lane = lanes.measure_lane
surveyed = lanes.surveyed


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


def test_frames_without_a_picture_tell_nothing_of_a_lane() -> None:
    shown = frames()
    nothing = [np.full_like(frame, value) for frame in shown for value in (0, 65535)]
    found, wanted = measure_lane([*nothing, *shown]), measure_lane(shown)
    assert (found.levels, found.top) == (wanted.levels, wanted.top)


@pytest.mark.parametrize(("value", "span"), [(0.0, 1.0), (0.3, 1.0), (-7.0, 7.0), (40.0, 40.0)])
def test_a_lane_of_one_value_spans_as_much_as_it_is_or_one(value: float, span: float) -> None:
    levels = measure_lane([np.full((8, 8), value, np.float32)] * 3).levels
    value = float(np.float32(value))
    assert levels == pytest.approx((value - 0.5 * span, value + 1.5 * span))


def test_levels_of_samples_without_a_number_exist() -> None:
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
    assert repaired(seen, 64) == set(places)  # not what never changes: it may be drawn
    assert seen.lines() == ["4 pixels are hot or dead in every frame, and the neighbours see "
                            "nothing of it: denoising repairs that"]  # fmt: skip


def test_defects_of_the_sensor_lose_their_light_and_nothing_else_does(tmp_path: Path) -> None:
    rng, light = np.random.default_rng(4), np.stack(frames(count=9)).astype(float) - 100
    places = tuple(rng.permutation(48 * 64)[:6] // per % n for per, n in ((64, 48), (1, 64)))
    hot = light.copy()
    hot[(slice(None), *places)] += rng.uniform(200, 3000, 6)
    source, target = tmp_path / "s.tif", tmp_path / "o.tif"
    array = (100 + rng.poisson(hot)).astype(np.uint16)
    tifffile.imwrite(source, array, photometric="minisblack", metadata={"axes": "TYX"})
    assert measure_lane(list(array)).defects.size == 6
    passed(source, target, change=True)
    left = (tifffile.imread(target) - 100.0 - light)[(slice(None), *places)].mean(0)
    assert abs(left.sum()) < 0.05 * (hot - light)[(0, *places)].sum()
    passed(source, tmp_path / "same.tif", change=False)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "same.tif"), array)


def passing(rng: np.random.Generator, count: int = 24) -> np.ndarray:  # type: ignore[type-arg]
    """A texture (T, 128, 128), in electrons, that passes by a pixel a frame."""
    light = texture(1, 128 + count, rng)[0] ** 3
    return np.stack([30 * light[:128, t : t + 128] for t in range(count)])


def repaired(seen: Any, width: int = 128) -> set[tuple[int, int]]:
    """The pixels that do not come back."""
    return {divmod(int(place), width) for place in seen.defects}


def test_each_defect_that_a_texture_passes_is_repaired(tmp_path: Path) -> None:
    """In a file as in an array: faint ones need more frames than the nine that tell of levels."""
    rng = np.random.default_rng(1)
    shown = passing(rng)
    rows, columns = scattered(40, 128, 8, rng).astype(int).T
    shown[:, rows, columns] += np.geomspace(60, 600, rows.size)
    codes, source = recorded(shown, rng), tmp_path / "s.tif"
    tifffile.imwrite(source, codes, photometric="minisblack", metadata={"axes": "TYX"})
    with open_reader(source) as reader:
        seen = next(iter(reader)).source.seen
    assert repaired(seen) == set(zip(rows, columns, strict=True))
    asked = call.Call(Options())
    same = next(arrays.lane_frames(codes, Grid.of(codes.shape, "TYX"), asked)).source.seen
    np.testing.assert_array_equal(seen.defects, same.defects)


def test_defects_that_appear_in_frames_that_arrive_are_repaired() -> None:
    """By as many frames as a whole lane's."""
    rng = np.random.default_rng(1)
    shown = passing(rng, 102)
    rows, columns = scattered(40, 128, 8, rng).astype(int).T
    shown[:, rows[:20], columns[:20]] += np.geomspace(60, 600, 20)
    shown[33:, rows[20:], columns[20:]] += np.geomspace(60, 600, 20)
    codes = recorded(shown, rng)
    lane = Arriving(measure_lane(list(codes[:6])))
    places = list(zip(rows, columns, strict=True))
    for number, picture in enumerate(codes):
        assert lane.add(picture) == (number in (32, 65, 98))
        if number in (32, 65):
            assert repaired(lane.seen) == set(places[: 20 if number == 32 else 40])
    assert repaired(lane.seen) == set(places)
    assert lane.seen.levels == measure_lane(list(codes[:6])).levels
    assert not Arriving(lane.seen).add(np.zeros((8, 8, 3)))


def test_sharp_points_that_a_texture_passes_stay() -> None:
    rng = np.random.default_rng(2)
    shown = passing(rng)
    for number, (row, column) in enumerate(np.rint(scattered(60, 128, 11, rng))):
        shown += (80, 200, 500, 2000, 30000)[number % 5] * spot(128, row, column, 0.4)
    codes = recorded(shown, rng)
    nine, others = ([codes[n] for n in surveyed(24, between=between)] for between in (False, True))
    assert len(nine) + len(others) == 24
    assert not measure_lane(nine, others).defects.size


def test_defects_at_borders_and_beside_brighter_ones_are_repaired() -> None:
    rng, light = np.random.default_rng(3), np.full((9, 40, 40), 20.0)
    places = {(0, 0): 200, (0, 20): 200, (1, 39): 200, (39, 1): 200, (38, 38): 200,
              (20, 20): 1500, (21, 21): 300, (20, 23): 150}  # fmt: skip
    for place, electrons in places.items():
        light[(slice(None), *place)] += electrons
    assert repaired(measure_lane(list(recorded(light, rng))), 40) == set(places)


@pytest.mark.parametrize("pattern", [False, True])
def test_one_pixel_in_a_hundred_may_be_warm_unless_they_are_a_pattern(pattern: bool) -> None:
    rng, light = np.random.default_rng(5), np.full((9, 96, 96), 30.0)
    places = np.arange(96 * 96).reshape(96, 96)
    warm = places[::9, ::9].ravel() if pattern else rng.permutation(places.ravel())[:92]
    light.reshape(9, -1)[:, warm] += 500
    found = measure_lane(list(recorded(light, rng))).defects
    assert np.isin(found, warm).all()
    assert not found.size if pattern else found.size > 85  # some lie side by side


def test_light_in_few_frames_is_no_defect() -> None:
    """Of the frames between the nine only the mean is known, which single frames can move."""
    rng, light = np.random.default_rng(4), np.full((24, 40, 40), 20.0)
    light[11, 10, 10] = 60000
    light[:5, 30, 30] = 2000
    codes = list(recorded(light, rng))
    nine = surveyed(24)
    others = [codes[n] for n in range(24) if n not in nine]
    assert not measure_lane([codes[n] for n in nine], others).defects.size


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
        assert not measure_lane(list(recorded(light, rng))).defects.size


def test_what_is_drawn_into_pictures_stays() -> None:
    """A point of a caption is one pixel and never changes."""
    shown = frames(count=9)
    for frame in shown:
        frame[10, 50] = 3000
    seen = measure_lane(shown)
    assert not seen.defects.size


def test_light_is_not_taken_for_stuck_pixels() -> None:
    for seed in range(5):
        assert measure_lane(frames(seed=seed)).defects.size == 0
    board = np.indices((32, 32)).sum(0) % 2 * 500
    noise = np.random.default_rng(0).normal(0, 3, (5, 32, 32))
    assert measure_lane(list(board + noise)).defects.size == 0
    assert measure_lane(frames(2)).defects.size == 0  # too few to tell


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


def test_pictures_for_the_eye_are_as_those_of_a_film(tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    tifffile.imwrite(path, movie((3, 16, 20, 3), "u1"), photometric="rgb")
    with open_reader(path) as reader:
        assert reader.info.layout == PlaneLayout(family=Family.RGB, bits=8)


def test_what_is_saturated_stays_so_and_nothing_exceeds_it(tmp_path: Path) -> None:
    source, target = tmp_path / "s.tif", tmp_path / "o.tif"
    array = np.minimum(np.uint16(12) * np.stack(frames()), 4000)
    array[:, 20:40, 30:60] = 4000
    tifffile.imwrite(source, array, photometric="minisblack", metadata={"axes": "TYX"})
    with open_reader(source) as reader:
        copied(reader, target, change=lambda plane: plane + np.uint16(3))
    written = tifffile.imread(target)
    assert written.max() == 4000
    assert (written[:, 21:39, 31:59] == 4000).all()
    np.testing.assert_array_equal(written[array < 3997], array[array < 3997] + 3)


@pytest.mark.parametrize(
    ("kind", "samples", "display"), [("u1", 3, True), ("u2", 3, False), ("u1", 1, False)]
)
def test_only_colours_of_eight_bits_are_for_the_eye(kind: str, samples: int, display: bool) -> None:
    rng = np.random.default_rng(4)
    shape = (32, 32, samples)[: 3 if samples > 1 else 2]
    shown = [rng.integers(90, 160, shape).astype(kind) for _ in range(3)]
    levels = measure_lane(shown).levels
    assert (levels == (0.0, 255.0)) == display
    if not display:
        low, high = np.percentile(np.stack(shown), [0.1, 99.9])
        assert levels == pytest.approx((1.5 * low - 0.5 * high, 1.5 * high - 0.5 * low))


@pytest.mark.parametrize(
    ("top", "there", "below", "told"),
    [(255, 5, 30, True), (254, 5, 30, False), (127, 5, 30, False), (4095, 5, 30, True),
     (254, 50, 11, True), (254, 50, 13, False), (254, 3, 0, False), (65535, 1, 30, True),
     (255, 1, 30, False), (511, 2, 0, False), (511, 3, 0, True)],
)  # fmt: skip
def test_a_last_or_crowded_code_is_a_rail(top: int, there: int, below: int, told: bool) -> None:
    """Of 8192 samples: more than a thousandth, and four times those of the eight codes below."""
    shown = np.random.default_rng(5).integers(20, 90, 8192).astype(np.uint16)
    shown[:there], shown[there : there + below] = top, top - 8
    shown[there + below : 300] = top - 9  # too far below to count
    seen = measure_lane(list(np.random.default_rng(6).permutation(shown).reshape(2, 64, 64)))
    assert (seen.top == top) == told
    assert seen.saturated == (there / 8192 if told else 0)


@pytest.mark.parametrize("count", [1, 2, 8, 9, 10, 30, 33, 34, 50, 101, 1000])
def test_frames_picked_for_the_survey_are_surveyed_alike(count: int) -> None:
    """As those of a Dask array are, of which only these are loaded."""
    picked = sorted(surveyed(count) + surveyed(count, between=True))
    for between in (False, True):
        again = [picked[n] for n in surveyed(len(picked), between=between)]
        assert again == surveyed(count, between=between)
