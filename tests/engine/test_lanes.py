"""Lanes of a clip: each is denoised as if it were alone, and keeps its brightness."""

from dataclasses import replace

import numpy as np

from f2rcli.engine import stream
from f2rcli.frames import ClipInfo, Family, Frame, PlaneLayout
from tests.engine.conftest import clean_clip, info_of

Settings = stream.EngineSettings


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


def run(frames: list[Frame]) -> tuple[list[Frame], stream.Engine]:
    engine = stream.load_engine(Settings(), info(frames))
    return list(stream.denoise_stream(iter(frames), info(frames), engine)), engine


def test_a_lane_comes_out_as_it_does_alone() -> None:
    first, second = lane(0, gain=4, offset=-300, count=3), lane(1, gain=20, offset=100, count=3)
    together, engine = run(first + second)
    assert [(f.lane, f.pts) for f in together] == [(f.lane, f.pts) for f in first + second]
    levels = [layout.levels for layout, _ in engine.found.lane_noise.values()]
    assert levels == [first[0].layout.levels, second[0].layout.levels]
    alone = [frame for frames in (first, second) for frame in run(frames)[0]]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one.planes[0], other.planes[0])


def test_a_lane_without_a_frame_to_give_is_passed_over(only_measured: None) -> None:
    """Its first page is damaged, and what was read after it is context alone."""
    none = [replace(frame, context=True) for frame in lane(0, gain=4, offset=0)]
    some = lane(1, gain=20, offset=100)
    for frames in (none, none + some, some + [replace(frame, lane=2) for frame in none]):
        out, engine = run(frames)
        assert [frame.pts for frame in out] == [f.pts for f in frames if not f.context]
        given = [(f"lane {some[0].lane}", some[0].layout)] if len(frames) > len(none) else []
        named = replace(info(frames), lanes=("lane 0", "lane 1", "lane 2"))
        assert [found[:2] for found in engine.found.noises(named)] == given or frames is none


def test_notes_tell_which_lanes_they_are_of(coarse_alone: None) -> None:
    short, long = lane(0, gain=4, offset=0, count=3), lane(1, gain=4, offset=0, count=6)
    for frames, few in ((short + long, "one: 3"), (short + long[:3], "3")):
        engine = run(frames)[1]
        (said,) = engine.found.noted(info(frames))
        assert said.startswith(f"{few} different frames, where 5 serve best")


def test_frames_of_a_stack_keep_their_mean() -> None:
    frames = lane(0, gain=4, offset=1000)
    for before, after in zip(frames, run(frames)[0], strict=True):
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
    for before, after in zip(cut, run(cut)[0], strict=True):
        assert abs(after.planes[0].mean() / before.planes[0].mean() - 1) < 2e-4


def test_large_pages_of_a_stack_go_through_networks_in_tiles() -> None:
    frames = lane(0, gain=4, offset=1000, count=1)
    pages = replace(info(frames), width=1024, height=1024)
    assert stream.load_engine(Settings(device="cpu"), pages).tile is not None
    assert stream.load_engine(Settings(device="cpu", tile="off"), pages).tile is None
    assert stream.load_engine(Settings(device="cpu"), info(frames)).tile is None
