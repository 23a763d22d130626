"""One law for the lanes of a sensor: which lanes it is asked of, and in what units."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from f2rcli.engine.noise import lanes as module
from f2rcli.engine.noise.lanes import Laws
from f2rcli.engine.noise.opening import Opening
from f2rcli.frames import Family, Frame, PlaneLayout
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.planes import PlaneNoise
from f2rcli.noise.sensors import LaneLaw, SensorLaw
from tests.engine.conftest import GRAY8, RGB8, to_frames

STACK = PlaneLayout(family=Family.GRAY, bits=8, levels=(20.0, 220.0))  # 200 codes
SURE_LINE = SimpleNamespace(sure=True, level=0.0104, gain=0.02, middle=0.5, error=0.001)


def lane(number: int, code: float = 140.0, layout: PlaneLayout = STACK) -> list[Frame]:
    frames = to_frames(np.full((3, 1, 8, 8), code / 255), GRAY8)
    return [replace(frame, layout=layout, lane=number) for frame in frames]


def opened(gain: float = 0.02, read: float = 0.02, dark: float = 0.1) -> Opening:
    """At the mean of 0.6 a variance of 0.0104."""
    model = NoiseModel((gain,), (read,), (0.1,), 7, None, (dark,))
    planes = replace(PlaneNoise.of(model, STACK, clipped=False), shares=((1.0, 0, 0, 0, 0, 0),))
    return Opening(model, planes, [], model, True)


def laws(found: Opening, line: Any, monkeypatch: pytest.MonkeyPatch, bits: int = 8) -> Laws:
    monkeypatch.setattr(module, "photon_line", lambda planes: line)
    return Laws(bits, {4: found})


@pytest.mark.parametrize(("line", "level"), [(None, 0.0104), (SimpleNamespace(sure=False), 0.0104)])
def test_a_lane_without_a_line_has_a_point_in_codes(
    line: Any, level: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = laws(opened(), line, monkeypatch).law_of(lane(4))
    assert found is not None
    assert (found.middle, found.level) == pytest.approx((140, 200**2 * level), rel=1e-5)
    even = laws(opened(gain=0.0), line, monkeypatch).law_of(lane(4))
    assert even is not None
    assert (even.middle, even.level) == pytest.approx((140, 200**2 * 0.01), rel=1e-5)
    assert even == LaneLaw(even.middle, even.level)


@pytest.mark.parametrize(("more", "agrees"), [(0.0, True), (0.24, True), (0.26, False)])
def test_a_line_counts_where_anchors_agree_within_a_quarter(
    more: float, agrees: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both at the mean brightness of 0.6, where the line has 0.0124 and anchors 0.0104."""
    for way in (1, -1):
        level = 0.0104 * (1 + way * more) - 0.02 * 0.1
        line = SimpleNamespace(**{**vars(SURE_LINE), "level": level})
        found = laws(opened(), line, monkeypatch).law_of(lane(4))
        assert (found is not None) == agrees
        if found is not None:
            known = found.middle, found.level, found.gain, found.error
            assert known == pytest.approx((120, 200**2 * level, 200 * 0.02, 200 * 0.001))


def test_other_depths_colours_and_curves_have_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert laws(opened(), None, monkeypatch, bits=12).law_of(lane(4)) is None
    colours = replace(RGB8, levels=(20.0, 220.0))
    assert laws(opened(), None, monkeypatch).law_of(lane(4, layout=colours)) is None
    bent = opened()
    bent = bent._replace(model=replace(bent.model, curve=((0.1, 0.1),)))
    assert laws(bent, None, monkeypatch).law_of(lane(4)) is None


def sensor(gain: float, zero: float) -> SensorLaw:
    """Of a gain of so many codes, whose noise vanishes at a code."""
    information = np.array([[4.0, 0.0], [0.0, 1.0]])
    return SensorLaw(information, information @ [gain, gain * zero])


@pytest.mark.parametrize(
    ("read", "pedestal", "zero", "dark"),
    [(0.02, 0.3, 60.0, 0.3), (0.02, 0.1, 60.0, 0.2), (0.0, 0.3, 60.0, 0.2), (0.0, 0.3, 10.0, 0.0)],
)
def test_a_lane_of_a_sensor_has_its_line(
    read: float, pedestal: float, zero: float, dark: float
) -> None:
    own = opened(read=read, dark=pedestal)
    law, black = sensor(4.0, zero), (zero - 20) / 200
    found = module._shared(law, own, lane(4))
    model = found.model
    assert model.gain == pytest.approx((0.02,))
    assert model.dark == pytest.approx((dark,))
    assert model.read == pytest.approx(((0.02 * (dark - black)) ** 0.5,))
    assert model.sigma == pytest.approx(((0.02 * (0.6 - black)) ** 0.5,), rel=1e-4)
    assert (model.samples, model.unsure) == (7, pytest.approx(0.5 / 4))
    assert found.planes.models[0].gain == model.gain
    assert (found.planes.shares, found.planes.clipped) == (own.planes.shares, False)
    assert module._shared(sensor(4.0, 140.1), own, lane(4)) is own
    assert module._shared(sensor(4.0, 139.0), own, lane(4)) is not own


def test_lanes_are_looked_at_once_and_share_what_they_agree_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Lanes 0 and 2 agree; 3 comes later and agrees as well, 5 does not."""
    asked: list[int] = []
    law = sensor(4.0, 60.0)

    def measured(frames: list[Frame], engine: object) -> Opening:
        asked.append(frames[0].lane)
        return opened()

    def told(known: list[LaneLaw]) -> Any:
        assert [one.middle for one in known] == pytest.approx([140, 100, 150][: len(known)])
        return [(law, {0, len(known) - 1})]

    monkeypatch.setattr(module, "measured_alone", measured)
    monkeypatch.setattr(module, "photon_line", lambda planes: None)
    monkeypatch.setattr(module, "sensors_of", told)
    monkeypatch.setattr(SensorLaw, "agrees", lambda self, own: own.middle < 145)
    clips = [[], lane(0), lane(7, layout=GRAY8), lane(1, 100), lane(2, 150)]
    found = Laws.of(clips, None)  # type: ignore[arg-type]
    assert found is not None
    assert asked == [0, 1, 2]
    assert (found.members, found.sensors) == ({0: law, 2: law}, [law])
    shared = module._shared(law, opened(), lane(0)).model
    for number, code, same in ((0, 140, True), (1, 140, False), (3, 140, True), (5, 150, False)):
        for _ in range(2):
            got = found.opening(lane(number, code), None)  # type: ignore[arg-type]
            assert got.model == (shared if same else opened().model)
    assert asked == [0, 1, 2, 3, 5]
    pair = Laws.of([lane(0), lane(1, 100)], None)  # type: ignore[arg-type]
    assert pair is not None
    assert Laws.of([lane(0)], None) is None  # type: ignore[arg-type]
    assert Laws.of([[], lane(7, layout=GRAY8)], None) is None  # type: ignore[arg-type]
