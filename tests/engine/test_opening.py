"""The noise of first frames, part by part, without networks."""

from dataclasses import replace
from math import log
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from f2rcli.engine.contract.residual import CODED, STRICT
from f2rcli.engine.noise import opening as module
from f2rcli.engine.noise.anchor_pairs import AnchorPair
from f2rcli.engine.noise.opening import (
    Opening,
    few_photons,
    hardly_any,
    mean_sigma8,
    measured_alone,
    pairs_of,
    recounted,
    sensor_space,
    stated_model,
    with_compression,
)
from f2rcli.frames import Family, Frame, PlaneLayout
from f2rcli.noise.measurement.bound import Bound
from f2rcli.noise.measurement.compression import Compression
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.planes import PlaneNoise, picture_of
from f2rcli.noise.report import Doubts
from f2rcli.window import Window
from tests.engine.conftest import GRAY8, RGB8, to_frames

STACK = PlaneLayout(family=Family.GRAY, bits=8, levels=(0.0, 255.0))
YUV420 = PlaneLayout(family=Family.YUV, bits=8, log2_chroma=(1, 1))
RNG = np.random.default_rng(0)


def white(sigma: float, layout: PlaneLayout = GRAY8, channels: int = 1) -> PlaneNoise:
    return PlaneNoise.of(NoiseModel.gaussian(sigma, channels), layout, clipped=True)


def opened(
    sigma: float = 0.02,
    bound: Bound | None = None,
    free: float | None = None,
    compared: bool = True,
) -> Opening:
    model = NoiseModel.gaussian(sigma, 1)
    loose = model if free is None else NoiseModel.gaussian(free, 1)
    return Opening(model, white(sigma), [bound] if bound else [], loose, compared)


def bound(sigma: float, **more: Any) -> Bound:
    return Bound((0.3, 0.6), (sigma, sigma), (9, 9), **more)


def shots(*scenes: int, layout: PlaneLayout = GRAY8) -> list[Frame]:
    """Frames of 36 x 64 pixels, one of each scene; other scenes are other shots."""
    looks = {one: RNG.random((18, 32)).repeat(2, 0).repeat(2, 1) for one in sorted(set(scenes))}
    frames = to_frames(np.stack([looks[one] for one in scenes])[:, None], GRAY8)
    return [replace(frame, layout=layout) for frame in frames]


def test_doubts_compare_what_was_found_with_its_bound() -> None:
    found = opened(0.02, bound(0.016, flat=0.1), free=0.03)
    doubts = found.doubts((0.01, 0.02), YUV420)
    left = log(0.02 / 0.016)
    wanted = {"flat": 0.1, "gap": left + log(1.5), "left": left, "clipped": 0.03}
    for name, value in wanted.items():
        assert getattr(doubts, name) == pytest.approx(value, rel=1e-6)
    assert (doubts.bounded, doubts.subsampled) == (True, True)
    assert not found.doubts((0.0, 0.0), replace(YUV420, log2_chroma=(0, 0))).subsampled
    assert not found.doubts((0.0, 0.0), GRAY8).subsampled
    for none in (opened(0.02), opened(0.02, replace(bound(0.016), counts=(0, 0)))):
        assert none.doubts((0.01, 0.02), YUV420) == Doubts(
            clipped=0.03, bounded=False, subsampled=True
        )
    faint = opened(0.002, bound(0.002), free=0.003).doubts((0.0, 0.0), GRAY8)
    assert (faint.gap, faint.left) == pytest.approx((log(1.5), 0))
    nothing = opened(0.0, bound(0.0), free=0.0).doubts((0.0, 0.0), GRAY8)
    assert (nothing.gap, nothing.left) == pytest.approx((log(1e-6), 0))


@pytest.mark.parametrize(
    ("flat", "still", "gap", "wanted"),
    [
        (0.0, 0.0, 0.0, 0.63**2), (0.0, 0.0, 0.2, 0.95**2), (0.0, 0.0, 9.0, 0.95**2),
        (0.0, 0.0, -1.0, 0.63**2), (0.0, 0.0, 0.1, (0.63**2 + 0.95**2) / 2),
        (0.1, 0.0, 0.0, 0.63**2 / 2), (0.2, 0.0, 0.0, 0.0), (0.9, 0.0, 0.0, 0.0),
        (0.1, 0.75, 0.2, 0.95**2 / 8), (0.0, 1.0, 0.0, 0.0),
    ],
)  # fmt: skip
def test_texture_adds_where_nothing_is_flat_and_it_moves(
    flat: float, still: float, gap: float, wanted: float
) -> None:
    found = opened(0.02, bound(0.02, flat=flat, still=still), free=0.02 * np.exp(gap))
    assert found.texture(GRAY8) == pytest.approx(wanted / 255**2, abs=1e-10)
    assert found.texture(STACK) == 0
    assert opened(0.02).texture(GRAY8) == 0


def test_the_sigma_that_is_shown_is_the_mean_of_the_channels() -> None:
    model = NoiseModel((0.0,) * 3, (0.0,) * 3, (1 / 255, 2 / 255, 6 / 255))
    assert mean_sigma8(model) == pytest.approx(3)
    for sigma8, none in ((0.299, True), (0.301, False)):
        one = NoiseModel.gaussian(sigma8 / 255, 3)
        assert hardly_any(one, RGB8) == none
        assert not hardly_any(one, STACK)


def test_adjacent_frames_of_one_shot_are_pairs() -> None:
    pictures = [picture_of(frame) for frame in shots(0, 0, 1, 1, 1, 2)]
    pairs = pairs_of(pictures)
    places = {id(one): at for at, one in enumerate(pictures)}
    found = [(places[id(one.before)], places[id(one.after)]) for one in pairs]
    assert found == [(0, 1), (2, 3), (3, 4)]


@pytest.mark.parametrize(("scenes", "shot"), [((0, 0, 0), 3), ((0, 0, 1), 2), ((0, 1, 1), 1)])
def test_photons_are_counted_in_frames_up_to_a_cut(
    scenes: tuple[int, ...], shot: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few are fewer than ten times the line's own limit; only in stacks."""
    frames, seen = shots(*scenes, layout=STACK), []
    line = SimpleNamespace(photons=module.FEW)
    calm = [replace(frame, pts=1000 + frame.pts) for frame in frames]

    def counted(planes: list[np.ndarray]) -> object:
        seen.append(len(planes))
        return line

    monkeypatch.setattr(module, "photon_line", counted)
    monkeypatch.setattr(module, "excerpts", lambda whole: calm)
    assert not few_photons(frames)
    line.photons *= 0.99
    assert few_photons(frames)
    assert seen == [shot, shot]
    calm = calm[:1]
    assert few_photons(frames[:1])
    assert seen.pop() == 1
    monkeypatch.setattr(module, "photon_line", lambda planes: None)
    assert not few_photons(frames)
    monkeypatch.setattr(module, "photon_line", counted)
    assert not few_photons([])
    assert not few_photons(shots(*scenes))
    assert not few_photons([replace(f, layout=replace(RGB8, levels=(0.0, 1.0))) for f in frames])
    assert seen == [shot, shot]


def test_a_law_that_is_counted_anew_is_that_of_the_planes_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frames, model, planes = (
        shots(0, 0, layout=STACK),
        NoiseModel.gaussian(0.1, 1),
        white(0.1, STACK),
    )
    planes = replace(planes, shares=((0.5, 0.5, 0, 0, 0, 0),), clipped=False)
    monkeypatch.setattr(module, "counted_model", lambda planes, model: None)
    assert recounted(frames, frames[0], model, planes) == (model, planes)
    counted = NoiseModel((0.01,), (0.02,), (0.07,))
    monkeypatch.setattr(module, "counted_model", lambda planes, model: counted)
    found, of_planes = recounted(frames, frames[0], model, planes)
    assert found.gain == counted.gain
    assert of_planes.models[0].gain == counted.gain
    assert (of_planes.shares, of_planes.clipped) == (planes.shares, False)


@pytest.mark.parametrize(
    ("slack", "part", "there", "uneven"),
    [
        (STRICT, True, 0.05, True), (STRICT, True, 0.01, False), (STRICT, True, None, False),
        (STRICT, False, 0.05, False), (CODED, True, 0.05, False),
    ],
)  # fmt: skip
def test_a_part_that_is_louder_says_what_the_noise_is(
    slack: Any, part: bool, there: float | None, uneven: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, frames, asked = opened(0.02), shots(*[0] * 8), []
    frames = [
        replace(one, planes=(one.planes[0] // 2 + np.uint8(n),)) for n, one in enumerate(frames)
    ]
    loud = opened(there or 0.05, compared=there is not None)

    def louder(pair: Any, law: NoiseModel) -> object:
        asked.append((pair, law))
        return "part" if part else None

    monkeypatch.setattr(module, "_measured", lambda frames, engine: whole)
    monkeypatch.setattr(module, "_opening", lambda frames, engine: loud)
    monkeypatch.setattr(module, "louder_part", louder)
    monkeypatch.setattr(module, "cut_out", lambda frame, place: frame)
    engine = SimpleNamespace(slack=slack, laws=None)
    found = measured_alone(frames, engine)  # type: ignore[arg-type]
    assert found.planes.uneven == uneven
    assert found.model is (loud if uneven else whole).model
    if slack is STRICT:  # of five pairs of six frames the one in the middle
        ((pair, law),) = asked
        np.testing.assert_array_equal(pair.before.luma, picture_of(frames[2]).luma)
        assert law is whole.planes.models[0]
    assert module.opening_noise(frames, engine).planes.uneven == uneven  # type: ignore[arg-type]
    alone = measured_alone(frames[:1], engine)  # type: ignore[arg-type]
    assert alone is whole
    stack = [replace(frame, layout=STACK) for frame in frames]
    assert measured_alone(stack, engine) is whole  # type: ignore[arg-type]
    laws = SimpleNamespace(opening=lambda frames, engine: "of lanes")
    assert module.opening_noise(frames, SimpleNamespace(laws=laws)) == "of lanes"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("count", "compared", "cut", "used"),
    [
        (3, True, False, "whole"), (3, True, True, "parts over all"), (3, False, True, "whole"),
        (2, False, True, "parts over all"),
    ],
)  # fmt: skip
def test_of_large_frames_squares_are_looked_at_unless_the_scene_moves_out(
    count: int, compared: bool, cut: bool, used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = shots(*[0] * count)
    squares = [replace(frame, pts=77) for frame in frames] if cut else frames
    found = {True: opened(0.01, compared=compared), False: opened(0.02)}
    monkeypatch.setattr(module, "excerpts", lambda whole: squares)
    monkeypatch.setattr(module, "_opening", lambda some, engine: found[some[0].pts == 77])
    monkeypatch.setattr(module, "over_all", lambda law, part, whole: law.scaled(3))
    got = module._measured(frames, None)  # type: ignore[arg-type]
    sigma = 0.02 if used == "whole" else 0.03
    assert got.model.sigma == pytest.approx((sigma,))
    assert got.planes.models[0].sigma == pytest.approx((sigma,))


class Anchors:
    """Stands in for `AnchorPairs` of seven pictures, whose windows hold three."""

    def __init__(self, method: Any, space: Any, pictures: list[Any]) -> None:
        self.pictures = pictures

    def views(self) -> list[Any]:
        names = [SimpleNamespace(index=at) for at in range(len(self.pictures))]
        places = range(len(names))
        return [
            Window(names[at], tuple(names[:at][-1:]), tuple(names[at + 1 :][:1])) for at in places
        ]

    def pair(self, view: Any) -> Any:
        return AnchorPair(*[self.pictures[view.centre.index]] * 3)


@pytest.mark.parametrize(
    ("count", "places"), [(2, []), (3, [1]), (4, [1, 2]), (5, [1, 2]), (6, [2, 3]), (7, [2, 3])]
)
def test_two_pictures_from_the_middle_are_looked_at(
    count: int, places: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AnchorPairs", Anchors)
    pictures = [torch.full((1,), float(at)) for at in range(count)]
    seen = module._opening_views(pictures, object(), None)  # type: ignore[arg-type]
    assert [at for at, _ in seen] == places
    assert [float(one.noisy) for _, one in seen] == places
    assert module._opening_views(pictures, None, None) == []


def test_sensors_are_looked_at_through_a_rough_space_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made for the least noise of any picture, and for some where there is none."""
    pictures, spaces, found = [torch.zeros(1, 2, 4, 4)] * 8, [], NoiseModel((0.5,), (0.1,), (0.3,))
    sigmas = iter([0.3, 0.2, *[0.5] * 6, *[1e-9] * 8])
    models = iter([found, None])

    def looked(some: list[Any], method: Any, space: Any) -> list[Any]:
        spaces.append((len(some), method, space.model))
        return [(1, "seen")]

    def told(seen: list[Any], channels: int, *, dark: bool) -> Any:
        assert (seen, channels, dark) == (["seen"], 2, True)
        return SimpleNamespace(model=lambda: next(models))

    made = SimpleNamespace(of=lambda model, device: SimpleNamespace(model=model))
    monkeypatch.setattr(module, "VarianceStabiliser", made)
    monkeypatch.setattr(module, "single_frame_sigma", lambda picture: next(sigmas))
    monkeypatch.setattr(module, "_opening_views", looked)
    monkeypatch.setattr(module, "evidence", told)
    space = sensor_space(pictures, lambda: "new", dark=True)  # type: ignore[arg-type]
    assert space is not None
    assert space.model == found
    assert sensor_space(pictures, lambda: "new", dark=True) is None  # type: ignore[arg-type]
    assert [(count, method) for count, method, _ in spaces] == [(6, "new")] * 2
    assert [one.sigma for *_, one in spaces] == [(0.2, 0.2), (1e-4, 1e-4)]


def test_errors_of_compression_count_where_they_are_stronger_but_not_in_even_planes() -> None:
    model, planes = NoiseModel.gaussian(0.01, 3), white(0.01, RGB8, 3)
    assert with_compression(model, planes, None, RGB8) == (model, planes)
    weak = Compression(0.005, (False,) * 3)
    assert with_compression(model, planes, weak, RGB8) == (model, planes)
    errors, found = with_compression(model, planes, Compression(0.03, (False, True, False)), RGB8)
    assert errors == NoiseModel.gaussian(0.03, 3)
    assert [one.sigma for one in found.models] == [(0.03,), (0.01,), (0.03,)]


def test_a_law_that_a_file_states_has_its_sigma_on_this_picture() -> None:
    picture = torch.tensor([0.2, 0.6]).reshape(1, 2, 1, 1).expand(1, 2, 3, 5)
    found = stated_model(((0.01, 0.0004), (0.02, 0.0009)), picture)
    assert found.gain == (0.01, 0.02)
    assert found.read == pytest.approx((0.02, 0.03))
    assert found.sigma == pytest.approx((0.0024**0.5, 0.0129**0.5))
    dark = stated_model(((0.01, 0.0004),), torch.tensor([[[[-0.3, 0.1]]]]))
    assert dark.sigma == pytest.approx(((0.01 * 0.05 + 0.0004) ** 0.5,))
