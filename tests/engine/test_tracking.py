"""What is known of a stream's noise, and what follows from it, without networks."""

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from f2rcli.engine.contract.residual import CODED, STRICT
from f2rcli.engine.noise import tracking as module
from f2rcli.engine.noise.opening import Opening
from f2rcli.engine.noise.tracking import NoiseTracker, is_light, refreshes
from f2rcli.engine.settings import EngineSettings
from f2rcli.frames import Family, Frame, PlaneLayout
from f2rcli.noise.measurement.bound import Bound
from f2rcli.noise.measurement.compression import Compression
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.planes import PlaneNoise
from f2rcli.noise.report import NOTHING_TO_DO
from f2rcli.window import Window
from tests.engine.conftest import GRAY8, RGB8, to_frames

STACK = PlaneLayout(family=Family.GRAY, bits=8, levels=(0.0, 255.0))
LEVELLED = replace(RGB8, levels=(0.0, 1.0))  # a stack of colours: no counts
YUV444 = PlaneLayout(family=Family.YUV, bits=8)


def gaussian(sigma8: float, channels: int = 3) -> NoiseModel:
    return NoiseModel.gaussian(sigma8 / 255, channels)


class Engine(SimpleNamespace):
    """Stands in for an engine: remembers its notes, and what methods it was asked for."""

    def note(self, line: str) -> None:
        self.notes.append(line)

    def new_method(self, **options: object) -> object:
        return options

    def to_tensor(self, frame: Frame) -> torch.Tensor:
        return torch.from_numpy(np.stack(frame.planes)[None] / np.float32(255))


def engine(slack: Any = STRICT, stated: Any = None, **settings: Any) -> Any:
    header = SimpleNamespace(channels=3)
    return Engine(
        settings=EngineSettings(**settings), weights=SimpleNamespace(header=header), slack=slack,
        notes=[], stated=stated, torch_device="cpu", noise=None, compression=None,
        method_name="f2r",
    )  # fmt: skip


def tracker(
    sigma8: float | None, layout: PlaneLayout = RGB8, clipped: bool = True, **of_engine: Any
) -> NoiseTracker:
    """One that knows of white noise."""
    found = NoiseTracker(engine(**of_engine), layout)
    if sigma8 is not None:
        model = gaussian(sigma8, 1 if layout.family is Family.GRAY else 3)
        found.know(model, PlaneNoise.of(model, layout, clipped=clipped))
    return found


@pytest.mark.parametrize(
    ("sigma8", "clipped", "light"), [(11.9, True, True), (12.1, True, False), (29.9, False, True),
                                     (30.1, False, False)],
)  # fmt: skip
def test_light_noise_is_weaker_where_it_was_cut_off(
    sigma8: float, clipped: bool, light: bool
) -> None:
    assert is_light(gaussian(sigma8), clipped=clipped) == light
    assert tracker(sigma8, clipped=clipped).light == light
    one = tracker(sigma8, clipped=clipped)
    one.planes = None
    assert one.light == (sigma8 < 12)
    assert not tracker(None).light


@pytest.mark.parametrize(
    ("layout", "still", "sigma8", "light"),
    [(LEVELLED, 0.91, 17.9, True), (LEVELLED, 0.91, 18.1, False), (LEVELLED, 0.89, 17.9, False),
     (RGB8, 0.91, 17.9, False)],
)  # fmt: skip
def test_a_still_burst_of_a_stack_has_light_noise_for_longer(
    layout: PlaneLayout, still: float, sigma8: float, light: bool
) -> None:
    one = tracker(sigma8, layout)
    one.still = still
    assert one.light == light


def test_kinds_of_weights_come_the_most_special_first() -> None:
    for compressed, sigma8, slack in np.ndindex(2, 2, 2):
        one = tracker(5 if sigma8 else 50, slack=CODED if slack else STRICT)
        one.compressed = bool(compressed)
        wanted = [
            name for name, so in zip(module.KINDS, (compressed, sigma8, slack), strict=True) if so
        ]
        assert one.kinds == wanted
        assert one.new_method() == {"kinds": wanted, "faint": False, "ensemble": False}


@pytest.mark.parametrize(
    ("sigma8", "faint", "ensemble"),
    [(0.29, True, False), (0.31, True, True), (3.99, True, True), (4.01, False, False)],
)
def test_faint_noise_is_below_four_and_an_ensemble_is_worth_it_but_for_none(
    sigma8: float, faint: bool, ensemble: bool
) -> None:
    one = tracker(sigma8)
    assert (one.faint, one.ensemble) == (faint, ensemble)
    assert one.new_method() == {"kinds": one.kinds, "faint": faint, "ensemble": ensemble}
    one.compressed = True
    assert not one.ensemble
    assert not tracker(sigma8, LEVELLED).ensemble
    assert not tracker(None).faint


def test_noise_is_weak_below_eight_and_by_luma_below_four() -> None:
    assert [tracker(sigma8).weak for sigma8 in (7.9, 8.1)] == [True, False]
    assert not tracker(7.9, LEVELLED).weak
    assert not tracker(2, STACK).weak
    for luma8, wanted in ((3.9, True), (4.1, False)):
        one, sizes = tracker(20, YUV444), (luma8, 200, 200)
        planes = tuple(gaussian(sigma8, 1) for sigma8 in sizes)
        assert one.planes is not None
        one.planes = replace(one.planes, models=planes)
        assert one.weak == wanted
        one.layout = RGB8
        assert not one.weak


def test_a_declared_sigma_is_known_from_the_start_and_strength_claims_more() -> None:
    one = NoiseTracker(engine(sigma=25.5, strength=1.5), RGB8)
    assert one.declared
    assert one.measured == NoiseModel.gaussian(0.1, 3)
    assert one.model is not None
    assert one.model.sigma == pytest.approx((0.15,) * 3)
    assert one.planes is not None
    assert one.planes.clipped
    assert one.engine.noise == one.measured
    weak = NoiseTracker(engine(sigma=25.5, strength=0.5), replace(RGB8, full_range=False))
    assert weak.model == weak.measured
    assert weak.planes is not None
    assert not weak.planes.clipped
    none = tracker(None)
    assert (none.declared, none.model) == (False, None)


def test_a_sensors_counts_go_through_a_space_and_back() -> None:
    one = tracker(20, STACK)
    picture = torch.rand(1, 1, 6, 7, generator=torch.manual_seed(0))
    seen = one.into(picture)
    assert one.space is not None
    assert one.model == one.space.model
    torch.testing.assert_close(seen, one.space.into(picture))
    torch.testing.assert_close(one.back(seen, picture), picture, atol=1e-4, rtol=0)
    plain = tracker(20)
    assert plain.into(picture) is picture
    assert plain.back(seen, picture) is seen
    low = tracker(20, STACK)
    low.low = 0.4
    low.know(gaussian(20, 1), PlaneNoise.of(gaussian(20, 1), STACK, clipped=True))
    assert low.space is not None
    dark = picture - 0.9
    assert not torch.allclose(low.into(dark), low.space.into(dark))
    torch.testing.assert_close(low.back(low.into(dark), dark), dark, atol=1e-4, rtol=0)


def window(index: int, before: int = 1, after: int = 1) -> Any:
    centre = SimpleNamespace(index=index, noisy=torch.zeros(1, 3, 4, 4))
    return Window(centre, (centre,) * before, (centre,) * after)


def test_noise_is_measured_again_every_48_frames_unless_it_is_known() -> None:
    assert [at for at in range(200) if refreshes(window(at))] == [48, 96, 144, 192]
    assert tracker(9).due(window(48))
    assert not tracker(9).due(window(47))
    assert not tracker(9).due(window(48, before=0))
    assert not tracker(9).due(window(48, after=0))
    assert not tracker(9, STACK).due(window(48))
    assert not tracker(9, sigma=9.0).due(window(48))
    uneven = tracker(9)
    assert uneven.planes is not None
    uneven.planes = replace(uneven.planes, uneven=True)
    assert not uneven.due(window(48))


@pytest.mark.parametrize(
    ("at", "missed", "able", "sees", "share"),
    [(48, 0, True, True, 0.3), (48, 3, True, True, 0.657), (47, 0, True, True, 0),
     (47, 2, True, True, 0.51), (48, 0, False, True, 0), (48, 0, True, False, 0)],
)  # fmt: skip
def test_a_new_measurement_counts_for_three_tenths_each_time(
    at: int, missed: int, able: bool, sees: bool, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, new, cut = to_frames(np.zeros((5, 3, 8, 8))), gaussian(20), []
    pair = (torch.zeros(1), torch.ones(1)) if sees else None
    method: Any = SimpleNamespace(can_measure_noise=able, independent_pair=lambda view: pair)
    samples = SimpleNamespace(model=lambda: new, cut_off=False)
    planes = PlaneNoise.of(new, RGB8, clipped=False)

    def measured(pictures: Any, anchored: Any, model: Any, layout: Any, *, clipped: bool) -> Any:
        cut.append((pictures, anchored, clipped))
        return SimpleNamespace(model=model, planes=planes)

    monkeypatch.setattr(module, "evidence", lambda seen, channels, dark: samples)
    monkeypatch.setattr(module, "picture_of", lambda frame: frame.pts)
    monkeypatch.setattr(module, "measured_planes", measured)
    one = tracker(10)
    one.refresh(method, window(at, before=2, after=2), frames, missed)
    variance = (1 - share) * 100 + share * 400
    assert one.measured is not None
    assert one.measured.sigma8 == pytest.approx((variance**0.5,) * 3)
    assert one.planes is not None
    assert one.planes.models[0].sigma8 == pytest.approx((variance**0.5,))
    if share:
        ((pictures, (anchored,), clipped),) = cut
        assert pictures == [40, 80, 120]
        assert (anchored.frame.pts, clipped) == (80, False)
    new = None  # type: ignore[assignment]
    before = one.measured
    one.refresh(method, window(48, before=2, after=2), frames)
    assert one.measured is before


def opening(sigma8: float = 10, **more: Any) -> Opening:
    model = gaussian(sigma8)
    planes = PlaneNoise.of(model, RGB8, clipped=True)
    return Opening(model, planes, [], model, True)._replace(**more)


def opened(
    found: Opening, monkeypatch: pytest.MonkeyPatch, count: int = 3, size: int = 64, **more: Any
) -> NoiseTracker:
    monkeypatch.setattr(module, "opening_noise", lambda frames, engine: found)
    one = NoiseTracker(engine(**more), RGB8)
    one.measure_opening(to_frames(np.full((count, 3, size, size), 0.5)))
    return one


def test_what_first_frames_tell_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds = [Bound((0.5,), (0.03,), (5,), still=0.7)]
    one = opened(opening(bounds=bounds), monkeypatch)
    assert one.measured == gaussian(10)
    assert one.still == 0.7
    assert one.texture == opening(bounds=bounds).texture(RGB8) > 0
    assert one.engine.notes == []
    assert opened(opening(), monkeypatch).still == 0
    uneven = opening(planes=replace(opening().planes, uneven=True))
    assert opened(uneven, monkeypatch).engine.notes == [module.UNEVEN]
    assert opened(opening(0.2), monkeypatch).engine.notes == [NOTHING_TO_DO]
    wants = opened(opening(), monkeypatch)
    wants.engine.method_name = "udvd"  # type: ignore[misc]
    wants.measure_opening(to_frames(np.full((3, 3, 64, 64), 0.5)))
    assert wants.engine.notes == ["no sigma= given: the noise was measured, 10.0 of 255"]
    none = tracker(None)
    none.measure_opening([])
    assert none.measured is None


def test_single_frames_and_tiny_ones_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = opening(compared=False)
    assert opened(alone, monkeypatch).engine.notes == [module.SINGLE_FRAMES]
    assert opened(alone, monkeypatch, count=2).engine.notes == [module.SINGLE_FRAMES]
    assert opened(alone, monkeypatch, count=1).engine.notes == []
    few = opened(opening(0.0, compared=False), monkeypatch, size=4)
    assert few.engine.notes == [module.TOO_FEW_PIXELS]


def test_errors_of_compression_are_the_noise_where_they_are_stronger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uneven = replace(opening().planes, uneven=True)
    for sigma8, stronger in ((9.0, False), (11.0, True)):
        errors = Compression(sigma8 / 255, (False,) * 3)
        one = opened(opening(compression=errors, planes=uneven), monkeypatch)
        assert one.compressed == stronger
        assert one.engine.compression is (errors if stronger else None)
        assert one.measured == gaussian(sigma8 if stronger else 10)
        assert one.engine.notes == [errors.words() if stronger else module.UNEVEN]


def test_what_a_file_states_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    one = opened(opening(), monkeypatch, stated=((0.01, 0.0004),) * 3)
    assert one.declared
    assert one.measured is not None
    assert one.measured.gain == (0.01,) * 3
    assert one.planes is not None
    assert one.planes.clipped


@pytest.mark.parametrize(
    ("given", "found8", "compared", "known", "said"),
    [(10.0, 19.9, True, True, False), (10.0, 20.1, True, False, True),
     (10.0, 4.9, True, False, True), (10.0, 5.1, True, True, False),
     (10.0, 20.1, False, False, False), (10.0, 11.0, False, False, False),
     (0.1, 0.59, True, False, False), (0.1, 0.61, True, False, True)],
)  # fmt: skip
def test_a_declared_sigma_is_used_and_a_contradiction_is_said(
    given: float, found8: float, compared: bool, known: bool, said: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    shares, steps = ((0.5, 0.5, 0.0, 0.0, 0.0, 0.0),) * 3, (0.1, 0.2, 0.3)
    planes = replace(opening(found8).planes, clipped=False, shares=shares, steps=steps)
    one = opened(opening(found8, planes=planes, compared=compared), monkeypatch, sigma=given)
    assert one.measured == gaussian(given)
    assert one.planes is not None
    assert (one.planes.shares == shares) == known
    assert (one.planes.clipped, one.planes.steps) == (False, steps)
    words = f"sigma={given:g} is used, though {found8:.1f} of 255 was measured"
    assert one.engine.notes == ([words] if said else [])


def counted(monkeypatch: pytest.MonkeyPatch, few: bool, count: int) -> tuple[NoiseTracker, Any]:
    """A stream of copies of so many frames, and when a law of few photons was known."""
    asked: list[tuple[list[int], int]] = []
    model = gaussian(40, 1)

    def anew(parts: list[Frame], whole: Frame, *before: object) -> Any:
        asked.append(([part.pts for part in parts], whole.pts))
        return model, PlaneNoise.of(model, STACK, clipped=True)

    monkeypatch.setattr(module, "few_photons", lambda parts: few and len(parts) == 6)
    monkeypatch.setattr(module, "recounted", anew)
    one = tracker(20, STACK)
    frames = [replace(f, layout=STACK) for f in to_frames(np.zeros((count, 1, 8, 8)), GRAY8)]

    def pictures() -> Iterator[list[Frame]]:
        yield from ([frame, frame] for frame in frames)

    known = []
    for (first, _), frame in zip(one.recounting(pictures()), frames, strict=True):
        assert first is frame
        known.append(one.measured == model)
    return one, (known, asked)


@pytest.mark.parametrize(("few", "count"), [(True, 31), (True, 40), (False, 40), (True, 3)])
def test_few_photons_are_counted_in_32_frames(
    few: bool, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, (known, asked) = counted(monkeypatch, few, count)
    enough = few and count > 31
    assert known == [enough and at >= 31 for at in range(count)]
    assert asked == ([([40 * at for at in range(32)], 0)] if enough else [])
    assert one.space is not None
    assert one.space.model.sigma != gaussian(40, 1).sigma  # networks see pictures as before


@pytest.mark.parametrize("quantiser8", [None, 2.0])
def test_a_frame_of_a_finer_step_has_less_of_the_errors(
    quantiser8: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "without_drawings", lambda planes, frame: planes)
    monkeypatch.setattr(module, "own_share", lambda frame, blocking, sigma8: sigma8 / 20)
    frame = to_frames(np.zeros((1, 3, 8, 8)))[0]
    found = tracker(10).of_errors(frame)
    assert found is not None
    assert found.models[0].sigma8 == pytest.approx((5.0,))
    same = tracker(20)
    assert same.of_errors(frame) is same.planes
    assert tracker(None).of_errors(frame) is None
