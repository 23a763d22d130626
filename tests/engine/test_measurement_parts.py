"""A report's parts, without networks: what is looked at, and how it is put together."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from f2rcli.engine.noise import measurement as module
from f2rcli.engine.noise.anchor_pairs import AnchorPair
from f2rcli.engine.noise.measurement import UNSEEN, measure_noise, measure_pictures
from f2rcli.engine.noise.opening import Opening
from f2rcli.frames import Family, Frame, PlaneLayout
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.planes import PlaneNoise
from f2rcli.noise.report import Confidence, NoiseReport
from f2rcli.window import Window
from tests.engine.conftest import GRAY8, info_of, to_frames

STACK = PlaneLayout(family=Family.GRAY, bits=8, levels=(0.0, 255.0))


def gaussian(sigma: float) -> NoiseModel:
    return NoiseModel.gaussian(sigma, 1)


def view(index: int, before: tuple[int, ...] = (), after: tuple[int, ...] = ()) -> Any:
    centre, *others = (
        SimpleNamespace(index=at, array=at, __eq__=None) for at in (index, *before, *after)
    )
    return Window(centre, tuple(others[: len(before)]), tuple(others[len(before) :]))


@pytest.mark.parametrize(
    ("count", "wanted", "places"),
    [(9, 3, [1, 4, 7]), (9, 1, [4]), (3, 5, [0, 1, 2]), (7, 2, [2, 4]), (1, 3, [0]), (0, 3, [])],
)
def test_views_are_spread_evenly(count: int, wanted: int, places: list[int]) -> None:
    """Of those that see both sides: in the middle of as many equal parts."""
    inner = [view(at, (at - 1,), (at + 1,)) for at in range(count)]
    views = [view(99, (), (0,)), *inner, view(99, (0,), ())]
    found = module._spread(views, wanted)
    assert [one.centre.index for one in found] == places


def test_rails_are_within_half_a_code_of_the_floor_and_white() -> None:
    row = torch.tensor([[-0.1, 0.0019, 0.0021, 0.5, 0.9979, 0.9981, 1.2, 0.4]])
    assert module._rails([row, torch.full((1, 8), 0.5)], 0.0) == (2 / 16, 2 / 16)
    assert module._rails(iter([row]), -0.1) == (1 / 8, 2 / 8)


def test_residuals_are_in_units_of_the_noise_where_the_anchors_lie() -> None:
    model = NoiseModel((0.04,), (0.0,), (0.1,))
    noisy, first, second = (torch.full((1, 1, 2, 2), at) for at in (0.5, 0.3, 0.2))
    one, other = module._residuals(AnchorPair(noisy, first, second), model)
    assert one.flatten()[0] == pytest.approx(0.2 / 0.1)  # 0.04 * 0.25 is 0.1 squared
    assert other.flatten()[0] == pytest.approx(0.3 / 0.1)
    none = module._residuals(AnchorPair(noisy, first, second), gaussian(0.0))
    assert none[0].flatten()[0] == pytest.approx(0.2 / 1e-4)


def chain(count: int) -> list[Any]:
    """Windows of five over so many frames, that share their frames."""
    items = [SimpleNamespace(index=at, array=at) for at in range(count)]
    return [
        Window(items[at], tuple(items[max(at - 2, 0) : at]), tuple(items[at + 1 : at + 3]))
        for at in range(count)
    ]


@pytest.mark.parametrize(("count", "pair"), [(5, None), (6, (2, 3)), (7, (3, 4)), (9, (4, 5))])
def test_two_frames_of_the_middle_are_compared_over_time(
    count: int, pair: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One by what was before both, the other by what comes after."""
    asked, noise = [], torch.manual_seed(0)

    def anchors(window: Any) -> AnchorPair:
        asked.append((window.centre.index, len(window.before), len(window.after)))
        return AnchorPair(*torch.rand((3, 1, 1, 30, 30), generator=noise))

    def compared(earlier: Any, later: Any, flow: Any, flat: torch.Tensor) -> Any:
        return flow, float(flat.float().mean())

    monkeypatch.setattr(module, "DISFlow", lambda: lambda first, second: (first, second))
    monkeypatch.setattr(module, "temporal_correlation", compared)
    every: Any = SimpleNamespace(pair=anchors)
    found = module._temporal(every, chain(count), gaussian(0.1))
    if pair is None:
        assert found is UNSEEN
        return
    flow, flat = found
    assert flow == pair
    assert flat == pytest.approx(0.3, abs=0.05)
    assert asked == [(pair[0], 2, 0), (pair[1], 0, 2)]
    blind: Any = SimpleNamespace(pair=lambda window: None)
    assert module._temporal(blind, chain(count), gaussian(0.1)) is UNSEEN


def report(sigma: float = 0.02) -> NoiseReport:
    model = gaussian(sigma)
    points = (((0.2, 0.01), (0.6, 0.03)),)
    sure = Confidence(1, ())
    return NoiseReport(model, points, None, UNSEEN, 0.01, 0.02, (0.02, 0.04), 3, sure)


def opening(sigma: float = 0.01) -> Opening:
    model = gaussian(sigma)
    planes = PlaneNoise.of(model, GRAY8, clipped=True)
    return Opening(model, planes, [], model, True, "edges", "errors")  # type: ignore[arg-type]


def test_a_report_has_the_level_that_a_run_finds() -> None:
    found = module._as_the_run_says(report(), opening(), GRAY8)
    assert found.model == gaussian(0.01)
    assert found.planes is not None
    assert found.planes.models[0] == gaussian(0.01)
    assert found.by_frame == pytest.approx((0.01, 0.02))
    np.testing.assert_allclose(found.points[0], [(0.2, 0.005), (0.6, 0.015)])
    assert module._mean((1.0, 2.0, 6.0)) == 3


def asked(monkeypatch: pytest.MonkeyPatch, *, few: bool, lines: bool) -> tuple[Any, dict[str, Any]]:
    """An engine, and what the parts of a measurement are asked for."""
    seen: dict[str, Any] = {"lanes": [], "aside": []}

    class Remover:
        lines = "their lines"

        def alone(self, frames: list[Frame]) -> list[Frame]:
            seen.setdefault("alone", []).append(len(frames))
            return [replace(frame, pts=-frame.pts) for frame in frames]

    def remover(frames: list[Frame], engine: object) -> object:
        seen["begun"] = len(frames)
        return Remover() if lines else None

    def measured(frames: Any, info: Any, engine: Any, used: int, floor: float) -> Any:
        seen["measured"] = [frame.pts // 40 for frame in frames], used, floor
        return report()

    def opened(frames: Any, engine: Any) -> Opening:
        seen["opening"] = [frame.pts // 40 for frame in frames]
        return opening()

    monkeypatch.setattr(module, "remover_for", remover)
    monkeypatch.setattr(module, "_measured", measured)
    monkeypatch.setattr(module, "opening_noise", opened)
    monkeypatch.setattr(module, "few_photons", lambda frames: few)
    monkeypatch.setattr(module, "to_measure", lambda frames, info: ([frame] for frame in frames))
    monkeypatch.setattr(module, "compare_lanes", lambda lanes, engine: seen["lanes"].append(lanes))
    engine: Any = SimpleNamespace(
        aside=SimpleNamespace(add=seen["aside"].append), new_method=lambda: None
    )
    return engine, seen


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("few", [False, True])
def test_ten_frames_are_measured_and_six_or_32_tell_the_level(
    few: bool, lines: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, seen = asked(monkeypatch, few=few, lines=lines)
    frames = to_frames(np.zeros((40, 1, 8, 8)), GRAY8)
    found = measure_noise(iter(frames), info_of(frames), engine, lanes="lanes")  # type: ignore[arg-type]
    way = -1 if lines else 1
    assert seen["measured"] == ([way * at for at in range(10)], 3, 0.0)
    assert seen["opening"] == [way * at for at in range(32 if few else 6)]
    assert seen["lanes"] == ["lanes"]
    assert len(seen["aside"]) == 10
    assert seen["begun"] == 6
    assert seen.get("alone") == (([10, 22] if few else [10]) if lines else None)
    assert found is not None
    assert (found.blocking, found.compression) == ("edges", "errors")
    assert found.lines == ("their lines" if lines else None)


@pytest.mark.parametrize("size", ["small", "squares", "moves out"])
@pytest.mark.parametrize("layout", [GRAY8, STACK])
def test_large_frames_are_measured_on_squares_unless_the_scene_moves_out(
    size: str, layout: PlaneLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [replace(f, layout=layout) for f in to_frames(np.zeros((4, 1, 8, 8)), GRAY8)]
    frames[0].planes[0][:] = 255
    parts = frames if size == "small" else [replace(frame, pts=-1) for frame in frames]
    looked: list[Any] = []

    def measured(
        pictures: Any, method: Any, used: int, floor: float, space: Any, *, dark: bool
    ) -> Any:
        looked.append((pictures[0][1], used, floor, space, dark))
        return None if size == "moves out" and pictures[0][1] == -1 else report()

    def rails(pictures: Any, floor: float) -> tuple[float, float]:
        assert [pts for _, pts in pictures] == [0, 40, 80, 120]
        return 0.3, 0.4

    monkeypatch.setattr(module, "excerpts", lambda whole: parts)
    monkeypatch.setattr(module, "measure_pictures", measured)
    monkeypatch.setattr(module, "_rails", rails)
    monkeypatch.setattr(module, "sensor_space", lambda pictures, new, dark: ("space", dark))
    engine: Any = SimpleNamespace(
        new_measurer=lambda: "method", to_tensor=lambda frame: (frame, frame.pts)
    )
    info = info_of(frames)
    found = module._measured(frames, info, engine, 3, -0.1)
    space = ("space", True) if layout is STACK else None
    first = (0 if size == "small" else -1, 3, -0.1, space, layout is STACK)
    again = (0, 3, -0.1, space, layout is STACK)
    assert looked == ([first, again] if size == "moves out" else [first])
    assert found is not None
    assert (found.black, found.white_rail) == (0.3, 0.4)
    assert module._measured([], info, engine, 3, 0.0) is None
    engine.new_measurer = lambda: None
    assert module._measured(frames, info, engine, 3, 0.0) is None


class Samples:
    """Stands in for evidence: a tenth of the pictures' number, 0 for none."""

    def __init__(self, seen: list[AnchorPair]) -> None:
        self.found = [float(one.noisy.max()) for one in seen]

    def model(self) -> NoiseModel | None:
        return gaussian(sum(self.found) / 10) if sum(self.found) else None

    def points(self) -> Any:
        return "points"


@pytest.mark.parametrize("seen_as", [0.9, 1.0])
@pytest.mark.parametrize("given", [{}, {"white": False}, {"white": True}])
def test_pictures_are_measured_together_and_each_alone(
    given: dict[str, bool], seen_as: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = [torch.full((1, 1, 2, 2), float(at)) for at in range(7)]

    class Anchors:
        def __init__(self, method: Any, space: Any, given: Any) -> None:
            assert (method, space, given is pictures) == ("method", "space", True)

        def views(self) -> list[Any]:
            return chain(7)

        def pair(self, window: Any) -> AnchorPair | None:
            index = window.centre.index
            return None if index == 3 else AnchorPair(*[pictures[index]] * 3)

    def evidence(seen: Any, channels: int, *, dark: bool) -> Samples:
        assert (channels, dark) == (1, True)
        found = Samples(seen)
        found.shape = lambda: seen_as  # type: ignore[attr-defined]
        return found

    def spectrum(seen: Any, model: Any, *, white: bool) -> Any:
        assert white == (given.get("white", False) or seen_as == 1)
        return "spectrum"

    monkeypatch.setattr(module, "AnchorPairs", Anchors)
    monkeypatch.setattr(module, "evidence", evidence)
    monkeypatch.setattr(module, "_spectrum", spectrum)
    monkeypatch.setattr(module, "_temporal", lambda *_: UNSEEN)
    monkeypatch.setattr(module, "_rails", lambda pictures, floor: (0.1, floor))
    monkeypatch.setattr(module, "confidence_of", lambda *known: known)
    call: Any = measure_pictures
    found = call(pictures, "method", 3, 0.2, "space", dark=True, **given)
    assert found.model == gaussian(0.6)  # of frames 2 and 4; 3 has no anchors
    assert found.by_frame == pytest.approx((0.2, 0.4))
    assert found.confidence == (found.model, "spectrum", UNSEEN, found.by_frame)
    assert (found.points, found.black, found.white_rail, found.frames) == ("points", 0.1, 0.2, 7)
    assert call([], "method") is None
    monkeypatch.setattr(module, "evidence", lambda *_, dark: SimpleNamespace(model=lambda: None))
    assert call(pictures, "method", 3, 0.2, "space", dark=True) is None
