"""Bands that are new in every frame are found over any scene; moving stripes and light are not."""

import numpy as np
import pytest

from f2rcli.noise.hum.guards import Apart, _explaining, _steps, drawn, lit, passing, traced
from f2rcli.noise.hum.hum import _left, agreed
from f2rcli.noise.hum.views import Cut, View, evened
from f2rcli.noise.measurement.blocks import FramePlanes
from f2rcli.noise.measurement.lines import LineNoise, find_lines
from tests.noise.line_scenes import COUNT, SIZE, hum, scene, stripes, white

ROWS = np.arange(SIZE[0])[:, None]


def found(pictures: np.ndarray) -> LineNoise | None:
    codes = np.asarray(pictures, np.float32)
    lines = find_lines([FramePlanes([one], one) for one in codes], [True] * (COUNT - 1), [(0,)])
    return None if lines is None else lines.groups[0]


@pytest.mark.parametrize("speed", [(0, 0), (1, 2)])
@pytest.mark.parametrize("period", [8, 20, 60])
def test_bands_of_any_width_are_measured_over_scenes_that_stay_or_move(
    period: float, speed: tuple[int, int]
) -> None:
    one = found(scene(speed=speed) + white(5) + hum(period, 5))
    assert one is not None
    assert one.hum
    assert 255 * np.hypot(one.rows, one.bands) == pytest.approx(5 / 2**0.5, rel=0.5)
    assert (one.rows > one.bands) == (period < 30)


def test_strong_bands_are_not_taken_for_motion() -> None:
    one = found(scene() + white(5) + hum(20, 15))
    assert one is not None
    assert 255 * np.hypot(one.rows, one.bands) == pytest.approx(15 / 2**0.5, rel=0.5)


def test_flow_sees_rows_of_equal_means() -> None:
    picture = np.asarray(scene()[0], np.float32)
    level = evened(picture + np.asarray(hum(40, 30)[0], np.float32))
    np.testing.assert_allclose(level.mean(1), level.mean(), atol=1e-5)
    np.testing.assert_allclose(level, evened(picture) + level.mean() - picture.mean(), atol=1e-5)


def walled(jitter: float, texture: float, period: float = 12) -> np.ndarray:
    steps = np.random.default_rng(5).normal(0, jitter, COUNT)
    return stripes(period, steps, texture) + white(4)


CLEAN = {
    "flicker": lambda: scene() * np.random.default_rng(4).normal(1, 0.1, (COUNT, 1, 1)) + white(4),
    "stripes that shake": lambda: walled(3, 0),
    "a textured wall that shakes": lambda: walled(0.7, 0.05),
    "a pan over a textured wall": lambda: stripes(12, 2.0 * np.arange(COUNT), 0.05) + white(4),
    "stripes that run": lambda: stripes(30, 12.0 * np.arange(COUNT), 0) + white(4),
    "bands of light": lambda: scene() * (1 + hum(30, 20)) + white(2),
    "shadows of blinds": lambda: scene(speed=(0, 0)) * (0.8 + hum(20, 50)) + white(4),
}


@pytest.mark.parametrize("name", CLEAN)
def test_what_moves_or_shines_is_no_hum(name: str) -> None:
    assert found(CLEAN[name]()) is None


def pieces(gain: np.ndarray, level: np.ndarray) -> Apart:
    band = np.sin(ROWS / 3)
    apart = np.asarray(band * gain, np.float32)
    return Apart(apart, apart, np.asarray(np.ones_like(ROWS) * level, np.float32))


@pytest.mark.parametrize(("share", "told"), [(0.0, False), (0.2, False), (0.35, True), (1, True)])
def test_light_adds_more_where_there_is_more(share: float, told: bool) -> None:
    """Bands of which a share is as strong as the picture is bright."""
    level = np.linspace(0.2, 0.8, 8)
    assert lit([pieces(1 - share + share * level / level.mean(), level)] * 3) == told


def test_an_even_picture_does_not_tell_light_from_offsets() -> None:
    assert not lit([pieces(np.ones(8), np.full(8, 0.5))] * 3)


def test_every_other_line_of_a_filmed_screen_is_no_hum() -> None:
    """Dimmed in turn: the more they lose the brighter the picture is there."""
    level = np.random.default_rng(3).uniform(0.1, 0.9, (96, 8)).astype(np.float32)
    apart = level * np.float32(0.25) * np.where(np.arange(96) % 2, 1, -1)[:, None]
    left = _left(apart.astype(np.float32), level, np.zeros_like(level))
    assert left.std() < 0.05 * apart.std()


def test_a_fifth_of_a_rows_slope_is_what_flow_may_leave_of_stripes() -> None:
    none = np.zeros((len(ROWS), 8), np.float32)
    one = Apart(none, none, np.asarray(np.sin(ROWS / 2) * np.ones(8), np.float32))
    assert traced([one] * 3) == pytest.approx(0.2 * np.gradient(np.sin(ROWS[:, 0] / 2)).std())


def test_frames_in_which_waves_agree_by_chance_are_outvoted() -> None:
    """By covariances of the others; a single frame that shows them is not enough."""
    band = np.random.default_rng(0).normal(0, 1, (96, 1)) @ np.ones((1, 8))
    some = np.asarray(band, np.float32)
    for signs, sure in (((1, 1, -0.3), True), ((1, 0.01, 0.01, 0.01), False)):
        seen = [Apart(some, np.float32(sign) * some, some) for sign in signs]
        assert (agreed(seen, broad=False).sigma > 0) == sure


@pytest.mark.parametrize(("stays", "known"), [(0.0, False), (0.5, False), (1.5, True)])
def test_what_the_mean_of_frames_shows_far_more_strongly_is_drawn(
    stays: float, known: bool
) -> None:
    """A wave that stays, of so many times the height of one that is new in every frame: ten times
    the power, which a mean of six frames hardly lowers."""
    rng = np.random.default_rng(8)
    standing = stays * np.sin(2 * np.pi * ROWS / 8) + 3 * np.sin(2 * np.pi * ROWS / 48)
    shown = standing + 0.4 * rng.standard_normal((COUNT, 1, 1)) * np.cos(2 * np.pi * ROWS / 8)
    planes = np.asarray(shown + np.zeros((1, *SIZE)), np.float32)
    cuts = [Cut(FramePlanes([one], one)) for one in planes]
    views = [View(*cuts[at : at + 3]) for at in range(COUNT - 2)]
    assert drawn(views, (0,)) == known


@pytest.mark.parametrize(
    ("new", "times", "known"),
    [(2.0, 0.5, True), (2.0, 0.56, False), (2.0, 1.28, False), (2.0, 1.4, True),
     (0.3, 1.0, True), (0.5, 1.0, False)],
)  # fmt: skip
def test_waves_pass_that_differ_by_another_height_than_was_found_or_far_less_than_are_shown(
    new: float, times: float, known: bool
) -> None:
    """A wave of the deviation `new` with another phase in every frame, by which triples differ 1.13
    times as much, over one twice as fine that all show; hum of `new / times` was found."""
    phases = np.random.default_rng(2).permutation(COUNT)[:, None, None] / COUNT
    own = 2**0.5 * new * np.sin(2 * np.pi * (ROWS / 12 + phases))
    shown = (own + 2.4 * np.sin(2 * np.pi * ROWS / 6) + np.zeros((1, *SIZE))) / 255
    cuts = [Cut(FramePlanes([one], one)) for one in np.asarray(shown, np.float32)]
    views = [View(*cuts[at : at + 3]) for at in range(COUNT - 2)]
    assert passing(views, (0,), new / times / 255) == known


@pytest.mark.parametrize(
    ("filtered", "seen", "taken"),
    [(True, 1.4, True), (True, 0.5, True), (True, 1.6, False), (False, 1.4, False)],
)
def test_thin_lines_take_the_step_that_flow_sees_though_it_leaves_much(
    filtered: bool, seen: float, taken: bool
) -> None:
    """Lines of an eighth of a row, whose light falls on other rows a frame later."""
    fine = np.zeros((8 * 80, 1))
    fine[np.cumsum(np.random.default_rng(3).integers(30, 70, 12))] = 0.3
    there, here = (
        np.asarray(one.reshape(-1, 8).mean(1)[:, None] + np.zeros(64), np.float32)
        for one in (fine, np.roll(fine, -11, 0))
    )
    flow = np.zeros((80, 64, 2), np.float32)
    flow[..., 1] = seen
    steps = _explaining(here, there, flow, filtered=filtered)
    assert (steps == [1.0]) == taken
    assert taken or not steps


@pytest.mark.parametrize(("rows", "far"), [(60, 15), (101, 25), (400, 64)])
def test_half_rows_up_to_eight_and_whole_ones_to_a_quarter_of_all_are_tried(
    rows: int, far: int
) -> None:
    half = [step / 2 for step in range(-16, 16)]
    whole = [*range(-far, -7), *range(8, far + 1)]
    assert sorted(set(_steps(rows))) == sorted({*half, *whole})
