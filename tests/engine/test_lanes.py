"""Lanes of a clip: each is denoised as if it were alone, and keeps its brightness."""

from dataclasses import replace
from itertools import chain

import numpy as np

from f2rcli.engine.engine import Engine
from f2rcli.engine.loading import STACK_TILE
from f2rcli.engine.stream import EngineSettings as Settings
from f2rcli.engine.stream import denoise_stream, estimate_noise, load_engine
from f2rcli.frames import ClipInfo, Family, Frame, PlaneLayout
from tests.engine.conftest import clean_clip, info_of


def lane(number: int, *, gain: float, offset: float, count: int = 4) -> list[Frame]:
    """A gray stack of photon noise in codes of its own."""
    light = clean_clip(count, seed=number, height=48, width=56)[:, 0] * 60
    counts = np.random.default_rng(number).poisson(light)
    codes = np.rint(offset + gain * counts).astype(np.int16)
    levels = (float(offset) - 30 * gain, float(offset) + 90 * gain)
    layout = PlaneLayout(family=Family.GRAY, bits=16, levels=levels)
    return [
        Frame(planes=(plane,), layout=layout, pts=t, lane=number) for t, plane in enumerate(codes)
    ]


def info(frames: list[Frame]) -> ClipInfo:
    return replace(info_of(frames), lanes=("one", "two"))


def test_a_lane_comes_out_as_it_does_alone() -> None:
    first, second = lane(0, gain=4, offset=-300, count=3), lane(1, gain=20, offset=100, count=3)
    engine = load_engine(Settings(), info(first))
    together = list(denoise_stream(iter(first + second), info(first), engine))
    assert [(f.lane, f.pts) for f in together] == [(f.lane, f.pts) for f in first + second]
    assert len(engine.lane_noise) == 2
    alone = []
    for frames in (first, second):
        fresh = load_engine(Settings(), info(frames))
        alone += list(denoise_stream(iter(frames), info(frames), fresh))
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one.planes[0], other.planes[0])


def in_codes(engine: Engine) -> list[tuple[float, float]]:
    """Gain and zero of every lane that is done."""
    found = []
    for layout, model in engine.lane_noise:
        assert layout.levels is not None
        black, span = layout.levels[0], layout.levels[1] - layout.levels[0]
        gain, dark, read = model.gain[0], model.pedestal[0], model.read[0]
        found.append((span * gain, black + span * (dark - read**2 / gain)))
    return found


def test_lanes_of_one_sensor_share_its_law_and_others_keep_theirs(only_measured: None) -> None:
    lanes = [lane(0, gain=4, offset=-300), lane(1, gain=4, offset=-300), lane(2, gain=7, offset=0)]
    clip = replace(info(lanes[0]), lanes=("one", "two", "three"))
    alone, together = (load_engine(Settings(), clip) for _ in range(2))
    for frames in lanes:
        list(denoise_stream(frames, clip, alone))
    list(denoise_stream(chain(*lanes), clip, together, lanes=lambda: map(iter, lanes)))
    own, (first, second, third) = in_codes(alone), in_codes(together)
    np.testing.assert_allclose(first, second)
    assert abs(first[0] - 4) < 0.2 < abs(np.mean([own[0][0], own[1][0]]) - 4)
    assert third == own[2]
    engine = load_engine(Settings(), clip)  # what `f2r info` says of the first
    model = estimate_noise(lanes[0], clip, engine, lambda: map(iter, lanes))
    assert model == together.lane_noise[0][1]


def test_frames_of_a_stack_keep_their_mean() -> None:
    frames = lane(0, gain=4, offset=1000)
    engine = load_engine(Settings(), info(frames))
    for before, after in zip(frames, denoise_stream(frames, info(frames), engine), strict=True):
        assert after.planes[0].std() < before.planes[0].std()
        ratio = after.planes[0].mean() / before.planes[0].mean()
        assert abs(ratio - 1) < 1e-4


def test_frames_cut_off_at_zero_keep_their_mean() -> None:
    """A camera whose zero lies below code 0, so that 0 stands for all that is less."""
    cut = [
        replace(one, planes=(np.maximum(one.planes[0], 0).astype(np.uint16),))
        for one in lane(0, gain=20, offset=-500)
    ]
    assert np.mean([np.mean(one.planes[0] == 0) for one in cut]) > 0.2
    engine = load_engine(Settings(), info(cut))
    for before, after in zip(cut, denoise_stream(cut, info(cut), engine), strict=True):
        assert abs(after.planes[0].mean() / before.planes[0].mean() - 1) < 2e-4


def test_noise_is_heard_in_units_of_each_lane() -> None:
    frames = lane(0, gain=4, offset=-300, count=2) + lane(1, gain=40, offset=100, count=2)
    engine = load_engine(Settings(), info(frames))
    list(denoise_stream(frames, info(frames), engine))
    levels = [layout.levels for layout, _ in engine.lane_noise]
    assert levels == [(-420.0, 60.0), (-1100.0, 3700.0)]


def test_large_pages_of_a_stack_go_through_networks_in_tiles() -> None:
    frames = lane(0, gain=4, offset=1000, count=1)
    pages = replace(info(frames), width=1024, height=1024)
    assert load_engine(Settings(device="cpu"), pages).tile == STACK_TILE
    assert load_engine(Settings(device="cpu", tile="off"), pages).tile is None
    assert load_engine(Settings(device="cpu"), info(frames)).tile is None
