"""Lines and bands: which frames are compared, and what they must agree on."""

import numpy as np
import pytest

from f2rcli.noise.hum.guards import _left, shaken
from f2rcli.noise.hum.views import Cut, View
from f2rcli.noise.measurement import lines as measured
from f2rcli.noise.measurement.agreement import Agreement
from f2rcli.noise.measurement.blocks import FramePlanes
from f2rcli.noise.measurement.lines import (
    LineNoise,
    _differences,
    _measured,
    _moves_down,
    _stay,
    _views,
)

Array = np.ndarray


def gray(plane: Array) -> FramePlanes:
    plane = np.asarray(plane, np.float32)
    return FramePlanes([plane], plane)


def view_of(*planes: Array, flow: tuple[float, float] = (0, 0)) -> View:
    """A frame between two, between which everything moves by one flow."""
    view = View(*(Cut(gray(one)) for one in planes))
    moves = [np.full((*planes[0].shape, 2), flow, np.float32)] * 2
    vars(view)["flows"] = vars(view)["even_flows"] = tuple(moves)
    return view


def numbers(view: View) -> tuple[int, ...]:
    cuts = view.near[0], view.centre, view.near[1]
    return tuple(round(float(cut.middle.luma[0, 0])) for cut in cuts)


@pytest.mark.parametrize(
    ("joined", "near", "far"),
    [([True] * 2, [], []), ([True] * 3, [(0, 1, 2), (1, 2, 3)], []),
     ([True] * 4, [(0, 1, 2), (1, 2, 3), (2, 3, 4)], [(0, 2, 4)]),
     ([True, True, False, True], [], []),
     ([True, True, False, True, True], [(0, 1, 2), (3, 4, 5)], []),
     ([True] * 5, [(i, i + 1, i + 2) for i in range(4)], [(0, 2, 4), (1, 3, 5)]),
     ([False] + [True] * 4, [(i, i + 1, i + 2) for i in (1, 2, 3)], [(1, 3, 5)])],
)  # fmt: skip
def test_frames_of_a_shot_are_compared_with_those_beside_them_and_two_away(
    joined: list[bool], near: list[tuple[int, ...]], far: list[tuple[int, ...]]
) -> None:
    """Two triples at least, of pictures of 48 rows and columns."""
    for shape, told in (((48, 48), True), ((47, 60), False), ((60, 47), False)):
        shown = [gray(np.full(shape, number)) for number in range(len(joined) + 1)]
        found = _views(shown, joined)
        assert [numbers(view) for view in found[0]] == (near if told else [])
        assert [numbers(view) for view in found[1]] == (far if told else [])


@pytest.mark.parametrize(
    ("shape", "told"), [((48, 64), True), ((48, 63), False), ((47, 96), False), ((64, 48), True)]
)
def test_planes_of_forty_eight_by_sixty_four_are_large_enough(
    shape: tuple[int, int], told: bool
) -> None:
    rng = np.random.default_rng(0)
    view = view_of(*rng.random((3, *shape)), flow=(1, 0))
    for turned in (False, True):
        assert (_differences(view, (0,), turned=turned) is not None) == told


@pytest.mark.parametrize(
    ("first", "second", "moves"),
    [((3, 0.4), (3, -0.4), False), ((0, 0.6), (0, 0), True), ((0, 0), (0, -0.6), True)],
)
def test_a_scene_moves_down_that_does_so_by_half_a_pixel_from_or_to_a_frame(
    first: tuple[float, float], second: tuple[float, float], moves: bool
) -> None:
    view = view_of(*np.zeros((3, 8, 8)))
    flows = tuple(np.full((8, 8, 2), one, np.float32) for one in (first, second))
    vars(view)["even_flows"] = flows
    assert _moves_down(view) == moves


@pytest.mark.parametrize(("alike", "stays"), [(0.1, False), (0.5, True)])
def test_columns_stay_that_are_alike_in_most_frames(
    monkeypatch: pytest.MonkeyPatch, alike: float, stays: bool
) -> None:
    """By a correlation of 0.3 of the medians of pieces; frames that tell nothing are left out."""
    rng = np.random.default_rng(1)
    first, other = rng.standard_normal((2, 400))
    both = first, alike * first + (1 - alike**2) ** 0.5 * other

    def differences(view: int | None, *_: object, turned: bool) -> tuple[Array, Array] | None:
        if view is None:
            return None
        pieces = np.repeat(both[view][:, None], 5, 1).astype(np.float32)
        return pieces, pieces + np.float32([0, 0, 0, 90, -90])

    monkeypatch.setattr(measured, "_differences", differences)
    assert _stay([0, None, 1, 0, 1], (0,)) == stays  # type: ignore[list-item]
    assert not _stay([0, None], (0,))  # type: ignore[list-item]
    assert not _stay([None], (0,))  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("step", "shakes"),
    [(0, True), (1.5, True), (-8, True), (8, True), (11.5, False), (-11.5, False)],
)
def test_rows_shake_that_are_those_of_frames_beside_them_up_to_ten_away(
    step: float, shakes: bool
) -> None:
    """Whatever broad bands and columns do."""
    rng = np.random.default_rng(2)
    rows, light = np.arange(120), rng.standard_normal(160)
    before = np.interp(rows, np.arange(160) - 20, light)
    centre = np.interp(rows + step, np.arange(160) - 20, light)
    after = np.interp(rows - step, np.arange(160) - 20, light)
    band = 20 * np.sin(rows / 19)
    across = rng.standard_normal(64)
    shown = before[:, None] + across, (centre + band)[:, None] - across, after[:, None]
    view = view_of(*shown, flow=(0, 12))  # what flow says is off by far more
    assert (_left(view, (0,)) < 0.2) == shakes
    assert shaken([view], (0,)) == shakes


@pytest.mark.parametrize(("new", "shakes"), [(1.0, True), (1.35, False)])
def test_rows_of_which_less_than_four_tenths_are_new_shake(new: float, shakes: bool) -> None:
    """By how much of what they differ by filters leave: all of it, where flow finds as much."""
    before, other = np.random.default_rng(3).standard_normal((2, 120, 1)) @ np.ones((1, 64))
    view = view_of(before, before + new * other, before, flow=(0, 40))
    assert _left(view, (0,)) == pytest.approx(new**2 / (2 + new**2), rel=0.25)
    still = view_of(before, before + new * other, before)
    assert _left(still, (0,)) == pytest.approx(1, rel=0.15)
    assert not shaken([still], (0,))
    assert shaken([still, view, view], (0,)) == shakes


def test_planes_share_lines_that_have_most_of_their_power(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of rows, bands and columns together, on average over planes; else each has its own."""
    rng, both = np.random.default_rng(4), [0, 0]
    for _ in range(200):
        told = {
            group: LineNoise(group, *(rng.choice([0, 1], 3) * rng.uniform(0.5, 1, 3)))
            for group in ((0,), (1,), (2,), (0, 1, 2))
        }
        monkeypatch.setattr(measured, "_measured", lambda views, group, far, told=told: told[group])
        found = list(measured._of_group([], (0, 1, 2)))
        power = {g: one.rows**2 + one.bands**2 + one.columns**2 for g, one in told.items()}
        alone = [power[index,] for index in range(3)]
        if power[0, 1, 2] == 0 or power[0, 1, 2] >= 0.6 * sum(alone) / 3:
            assert found == [told[0, 1, 2]]
            both[0] += 1
        else:
            assert found == [told[index,] for index in range(3)]
            both[1] += 1
        assert list(measured._of_group([], (1,))) == [told[1,]]
    assert min(both) > 15


RowsBandsHum = tuple[float, float, float, float]


@pytest.mark.parametrize(
    ("seen", "scene", "wanted"),
    [((2, 1, 0, 0.9), "", (2, 1, False)), ((2, 0.8, 0, 1.1), "", (2, 1.1, True)),
     ((2, 0.8, 0, 0.9), "", (2, 0.8, False)), ((2, 0.1, 0, 0), "", (2, 0.5, False)),
     ((2, 1.5, 0, 1.4), "", (2, 1.5, False)),  # no more than single rows bring along
     ((0, 3, 1, 2), "", (1, 2, True)), ((0, 3, 1, 0.1), "", (1, 0.25, True)),
     ((0, 3, 9, 9.9), "", (9, 9.9, True)), ((0, 3, 9, 10.1), "", (0, 3, False)),  # of a scene
     ((0, 3, 10.1, 9), "", (0, 3, False)),
     ((0, 3, 2, 1), "2 pass", (0, 3, False)), ((0, 3, 2, 2.1), "2 pass", (2, 2.1, True)),
     ((0, 3, 0, 2), "", (0, 2, True)), ((0, 3, 1, 0), "", (1, 0.25, True)),
     ((0, 3, 0, 0), "", (0, 3, False)), ((0, 3, 0, 0), "light", (0, 0, False)),
     ((2, 3, 0, 0), "light", (2, 3, False)),
     ((2, 3, 0, 0), "shaken", (0, 0, False)), ((0, 3, 0, 0), "shaken", (0, 0, False)),
     ((2, 3, 1, 2), "shaken", (0, 0, False)),  # by any filter: a table, letters
     ((2, 3, 1, 2), "shaken wave", (1, 2, True)),  # of which every step makes another
     ((2, 3, 1, 2), "drawn wave", (0, 0, False)), ((0, 0, 1, 2), "drawn wave", (0, 0, False))],
)  # fmt: skip
def test_waves_count_where_they_are_more_than_rows_bring_along(
    monkeypatch: pytest.MonkeyPatch,
    seen: RowsBandsHum,
    scene: str,
    wanted: tuple[float, float, bool],
) -> None:
    """seen: deviations of rows and bands by pieces of rows, and of both by waves, in 1/255."""

    def agreement(*_: object, broad: bool) -> Agreement:
        told = (seen[broad] / 255) ** 2 or -1.0
        return Agreement(told, told, 0.9, np.ones(121), 0.45)

    def differences(*_: object, turned: bool) -> tuple[int, int] | None:
        return None if turned else (0, 0)

    monkeypatch.setattr(measured, "_differences", differences)
    monkeypatch.setattr(measured, "agreement", agreement)
    monkeypatch.setattr(measured, "shaken", lambda *_: scene[:6] in ("shaken", "drawn "))
    monkeypatch.setattr(measured, "drawn", lambda *_: scene == "drawn wave")
    monkeypatch.setattr(measured, "passing", lambda _, group, fine: scene == f"{255 * fine:g} pass")
    monkeypatch.setattr(measured, "_grating", lambda *_: scene.endswith("wave"))
    monkeypatch.setattr(measured, "hum_of", lambda *_: (seen[2] / 255, seen[3] / 255))
    monkeypatch.setattr(measured, "of_light", lambda *_: scene == "light")
    monkeypatch.setattr(measured, "lines_of_light", lambda *_, turned: False)
    found: LineNoise = _measured([0] * 4, (1,))  # type: ignore[list-item]
    assert (255 * found.rows, 255 * found.bands) == pytest.approx(wanted[:2])
    assert found.hum == wanted[2]
    assert (found.planes, found.columns) == ((1,), 0)
