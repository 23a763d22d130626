"""What tells a scene's rows from a sensor's, each by its definition."""

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from f2rcli.noise.hum import guards as module
from f2rcli.noise.hum.guards import Apart, _left, _stepped, lit, passing, slid
from f2rcli.noise.hum.views import evened
from f2rcli.noise.measurement.agreement import unexplained
from f2rcli.noise.measurement.profiles import parted
from tests.noise.line_scenes import SIZE

Array = np.ndarray


def singles(values: Any) -> Array:
    return np.asarray(values, np.float32)


def view_of(centre: Array, before: Array, after: Array, flow: Array) -> Any:
    cuts = [SimpleNamespace(mean=lambda group, own=own: own) for own in (before, centre, after)]
    return SimpleNamespace(
        near=(cuts[0], cuts[2]), centre=cuts[1], flows=(flow, flow), even_flows=(flow, flow)
    )


@pytest.mark.parametrize(
    ("led", "straight", "taken"),
    [(1.29, 9, True), (9, 1.29, True), (1.31, 1.31, False), (9, 9, False)],
)
def test_a_scene_takes_a_step_that_leaves_hardly_more_than_flow_does(
    monkeypatch: pytest.MonkeyPatch, led: float, straight: float, taken: bool
) -> None:
    """With what flow sees across, or nothing, of soft pictures whose rows have equal means."""
    rng = np.random.default_rng(0)
    here, there = singles(rng.random((2, 40, 64)))
    flow = np.zeros((40, 64, 2), np.float32)
    flow[..., 0], flow[..., 1] = 5, 1
    asked = []

    def unlike(soft: Array, before: Array, move: Array) -> float:
        for given, own in ((soft, here), (before, there)):
            np.testing.assert_array_equal(given, cv2.GaussianBlur(evened(own), (0, 0), 2))
        across, down = move[0, 0]
        asked.append((float(across), float(down)))
        return 2.0 if down == 1 else 2.0 * (led if across == 5 else straight)

    monkeypatch.setattr(module, "_explaining", lambda *_, filtered: [3.0])
    monkeypatch.setattr(module, "_unlike", unlike)
    assert _stepped(view_of(here, there, here, flow), (0,)) == taken
    assert asked[0] == (5, 1)
    assert set(asked[1:]) <= {(5, 3), (0, 3)}


@pytest.mark.parametrize(("steps", "known"), [("101", True), ("10", True), ("100", False)])
def test_rows_slid_that_did_in_half_of_the_frames(
    monkeypatch: pytest.MonkeyPatch, steps: str, known: bool
) -> None:
    monkeypatch.setattr(module, "_stepped", lambda view, group: view == "1")
    assert slid(list(steps), (0,)) == known  # type: ignore[arg-type]


def test_what_is_left_of_rows_is_the_share_that_filters_of_both_neighbours_leave() -> None:
    rng = np.random.default_rng(1)
    before, after = rng.standard_normal((2, 80, 1))
    here = 0.5 * (np.roll(before, 1, 0) + np.roll(after, -2, 0)) + 0.4 * rng.standard_normal(
        (80, 1)
    )
    shown = [singles(one + np.zeros(64)) for one in (here, before, after)]
    found = _left(view_of(*shown, np.zeros((80, 64, 2), np.float32)), (0,))
    own, *others = (parted(one.mean(1))[0] for one in shown)
    left, rows = unexplained(own, others)
    seen = [np.square(one - own)[rows].mean() for one in others]
    assert found == pytest.approx(left / np.mean(seen), rel=1e-4)
    assert abs(seen[0] / seen[1] - 1) > 0.05  # both count


@pytest.mark.parametrize(("share", "is_light"), [(0.2, False), (0.3, True)])
def test_bands_are_light_that_grow_with_brightness_a_quarter_of_the_way(
    share: float, is_light: bool
) -> None:
    """In very dark pictures, too, where brightness has a floor of a code."""
    rng = np.random.default_rng(2)
    band = rng.standard_normal((60, 1))
    for bright in (0.5, 0.2 / 255):
        level = bright * (1 + np.linspace(-0.8, 0.8, 8)) + np.zeros((60, 1))
        relative = (level - bright) / max(bright, 1 / 255)
        apart = singles(band * (1 + share * relative))
        power, doubt = np.square(band * relative).sum(), 0.05**2 * 8 * np.square(band).sum()
        assert lit([Apart(apart, apart, singles(level))]) == (
            share * power > 0.25 * (power + doubt)
        )
    assert is_light == (share > 0.25)


def test_waves_of_more_than_twenty_rows_are_not_looked_at() -> None:
    rows, count = np.arange(SIZE[0])[:, None], 6
    phases = np.random.default_rng(2).permutation(count)[:, None, None] / count
    for period, known in ((16, True), (24, False)):
        own = 0.14 * np.sin(2 * np.pi * (rows / 12 + phases))
        shown = singles(own + 2.4 * np.sin(2 * np.pi * rows / period) + np.zeros((1, *SIZE)))
        views = [
            view_of(shown[at + 1], shown[at], shown[at + 2], np.zeros((*SIZE, 2), np.float32))
            for at in range(count - 2)
        ]
        assert passing(views, (0,), 0.105) == known
