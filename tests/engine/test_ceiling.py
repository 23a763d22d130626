"""The law of a stream's opening may not last: where there is less noise by now, less goes."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from f2rcli.engine import windowed
from f2rcli.engine.noise import ceiling as module
from f2rcli.engine.noise.ceiling import ROOM, below, ceiling, fades, one_code
from f2rcli.engine.stream import denoise_stream
from f2rcli.frames import Frame
from f2rcli.noise.bands import white_shares
from f2rcli.noise.measurement.blocks import FramePlanes, Pair
from f2rcli.noise.measurement.bound import Bound
from f2rcli.noise.model import NoiseModel
from f2rcli.noise.planes import PlaneNoise
from tests.engine.conftest import GRAY8, engine_for, info_of, noisy_clip, to_frames
from tests.engine.test_noise_measurement import YUV420, smooth_clip

HEIGHT, WIDTH = 96, 128
BESIDE = 8  # pictures from one look to the next, beside a device


def law(sigma8: float) -> PlaneNoise:
    return PlaneNoise((NoiseModel.gaussian(sigma8 / 255, 1),), (white_shares(),))


def sigma8(noise: PlaneNoise) -> float:
    return noise.models[0].sigma8[0]


def bounded(sigma: float) -> Bound:
    return Bound((0.3, 0.6), (sigma / 255,) * 2, (100, 100))


@pytest.mark.parametrize(("coded", "room"), [(False, 1.25), (True, 1.5)])
def test_a_law_is_lowered_to_a_little_more_than_its_ceiling(coded: bool, room: float) -> None:
    found = below(law(12), [bounded(4)], coded=coded)
    assert sigma8(found) == pytest.approx(room * 4, rel=0.01)


@pytest.mark.parametrize("seen", [10, 12, 30, np.inf])
def test_a_law_that_lies_near_or_below_it_stays_as_it_is(seen: float) -> None:
    noise = law(12)
    assert below(noise, [bounded(seen)], coded=False) is noise
    assert below(noise, [], coded=False) is noise


def test_a_law_is_raised_nowhere_because_it_is_lowered_elsewhere() -> None:
    seen = Bound((0.2, 0.8), (3 / 255, 60 / 255), (100, 100))
    (model,) = below(law(12), [seen], coded=False).models
    (curve,) = model.at_knots()
    assert 255 * curve[0] == pytest.approx(ROOM * 3, rel=0.01)
    assert 255 * max(curve) <= 12.001


def test_frames_that_are_alike_tell_nothing_of_a_file_with_copied_blocks() -> None:
    noise = law(12)
    assert below(noise, [bounded(0)], coded=True) is noise
    assert sigma8(below(noise, [bounded(0)], coded=False)) == 0


def test_a_codec_leaves_the_noise_of_colours_in_few_frames() -> None:
    models = tuple(law(12).models[0] for _ in "yuv")
    noise = PlaneNoise(models, law(12).shares * 3)
    assert below(noise, [bounded(11), bounded(2), bounded(2)], coded=True) is noise
    less = below(noise, [bounded(4), bounded(11), bounded(2)], coded=True)
    assert [model.sigma8[0] for model in less.models] == pytest.approx([6, 12, 3], rel=0.01)


@pytest.mark.parametrize("sigma", [2, 12])
def test_the_ceiling_is_that_of_two_frames(sigma: float) -> None:
    clip = smooth_clip(2, 96, 128)
    noise = np.random.default_rng(1).normal(0, sigma / 255, clip.shape)
    first, second = to_frames(clip + noise, GRAY8)
    at_rest = np.zeros((96, 128, 2), np.float32)
    (found,) = ceiling(first, second, at_rest, law(30))
    assert 255 * found.mean == pytest.approx(sigma, rel=0.15)


def test_noise_as_strong_as_its_ceiling_stays_the_very_same() -> None:
    seen = Bound((0.2, 0.8), (12 / 1.25 / 255,) * 2, (100, 100))
    noise = law(12)
    assert below(noise, [seen], coded=False).models[0] is noise.models[0]


@pytest.mark.parametrize("chroma", [False, True])
def test_the_ceiling_takes_the_flow_it_is_given_and_clips_what_is_no_colour(
    monkeypatch: pytest.MonkeyPatch, chroma: bool
) -> None:
    """Of colours neither black nor white cuts noise off; a flow that is not given is found."""
    sizes = [(64, 96), (32, 48), (32, 48)] if chroma else [(64, 96)] * 3
    planes = [np.zeros(size, np.float32) for size in sizes]
    picture = FramePlanes(planes, planes[0], chroma)
    asked: list[Any] = []

    def bounds_of(pairs: list[Pair], clipped: list[bool], *, light: bool) -> list[Bound]:
        assert light != chroma
        asked.append((vars(pairs[0]).get("flow"), clipped))
        return [bounded(4)] * 3

    def shaped(own: Any, luma: Any, shape: Any) -> Any:
        asked.append(shape)
        return ((len(luma),),)

    monkeypatch.setattr(module, "picture_of", lambda _: picture)
    monkeypatch.setattr(module, "bounds_of", bounds_of)
    monkeypatch.setattr(module, "places", lambda _, plane, *__: ((float(plane),),))
    monkeypatch.setattr(module, "drawn", shaped)
    noise = PlaneNoise((law(9).models[0],) * 3, law(9).shares * 3, clipped=True)
    frame: Any = SimpleNamespace(layout=SimpleNamespace(counts_light=not chroma))
    flow = np.zeros((64, 96, 2), np.float32)
    assert [one.places for one in ceiling(frame, frame, flow, noise)] == [()] * 3
    known = [True, not chroma, not chroma]
    assert asked[0][0] is flow
    assert asked.pop()[1] == known
    finest = replace(noise, finest=(1.0,) * 3, clipped=False)
    found = [one.places for one in ceiling(frame, frame, None, finest)]
    assert asked.pop(0) == (None, [False] * 3)
    assert found == ([((0.0,),)] + [((1,),)] * 2 if chroma else [((float(i),),) for i in range(3)])
    assert asked == [(32, 48)] * 2 * chroma


def sliding(count: int, seed: int) -> np.ndarray:
    """Fine texture below a smooth sky that moves by 1.4 pixels a frame, (T, 3, H, W): between
    pixels, so that no frame is another one moved."""
    rng = np.random.default_rng(seed)
    wide = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT, WIDTH + 40)), (0, 0), 1.2)
    coarse = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT, WIDTH + 40)), (0, 0), 12)
    wide[: HEIGHT // 2] = 0
    wide = np.clip(0.5 + 0.06 * wide / wide.std() + 0.15 * coarse / coarse.std(), 0.1, 0.9)
    size = WIDTH, HEIGHT
    moves = [np.array([[1, 0, -1.4 * t], [0, 1, 0]], np.float32) for t in range(count)]
    one = [cv2.warpAffine(wide, move, size, flags=cv2.INTER_CUBIC) for move in moves]
    return np.repeat(np.stack(one)[:, None], 3, axis=1)


def renumbered(frames: list[Frame]) -> list[Frame]:
    return [replace(frame, pts=40 * t) for t, frame in enumerate(frames)]


@pytest.mark.parametrize("there", [False, True], ids=["processor", "device"])
def test_a_clean_shot_after_a_noisy_one_stays_as_it_is(there: bool, coarse_alone: None) -> None:
    loud = sliding(6, 1) + np.random.default_rng(2).normal(0, 15 / 255, (6, 3, HEIGHT, WIDTH))
    other = sliding(5, 3)[:, :, ::-1]  # upside down: a cut that is seen, where no look is due
    frames = renumbered([*to_frames(loud, GRAY8), *to_frames(other, GRAY8)])
    engine = engine_for(frames)
    if there:
        engine.stay_on_device()
    done = list(denoise_stream(frames, info_of(frames), engine))
    off = [
        float(np.std(one.planes[0].astype(float) - other.planes[0]))
        for one, other in zip(done, frames, strict=True)
    ]
    assert min(off[:6]) > 8
    assert max(off[6:]) < 0.5  # 3.5 by the law of the first shot


def test_beside_a_device_the_host_begins_to_look_before_a_picture_is_the_centre(
    monkeypatch: pytest.MonkeyPatch, coarse_alone: None
) -> None:
    """And once at each picture that is due, whatever a window holds."""
    order: list[tuple[str, int]] = []
    start = windowed.Restorer.start

    def noted(self: windowed.Restorer, window: Any, past: Any) -> windowed.Started:
        begun = start(self, window, past)
        order.append(("centre", window.centre.prepared.index))
        return begun

    def looked(frame: Frame, *others: Any) -> tuple[Bound, ...]:
        order.append(("look", (frame.pts or 0) // 40))
        return (bounded(12),)

    monkeypatch.setattr(windowed.Restorer, "start", noted)
    monkeypatch.setattr(windowed, "ceiling", looked)
    frames = noisy_clip(BESIDE + 3, height=48, width=48)
    engine = engine_for(frames, precision="fp32")
    engine.stay_on_device()
    engine.prompt = True  # looks are taken when they are asked for, at their centre
    list(denoise_stream(frames, info_of(frames), engine))
    assert [index for what, index in order if what == "look"] == [0, BESIDE]
    order.clear()
    engine = engine_for(frames, precision="fp32")
    engine.stay_on_device()
    list(denoise_stream(frames, info_of(frames), engine))
    assert [index for what, index in order if what == "look"] == [0, BESIDE]
    assert order.index(("look", BESIDE)) < order.index(("centre", BESIDE))


def fade(count: int, sigma: float) -> np.ndarray:
    """To black, in `count` frames of which the last shows one code: (T, 3, H, W)."""
    light = (np.arange(count - 1, -1, -1) / count)[:, None, None, None]
    noise = np.random.default_rng(3).normal(0, sigma / 255, (count, 3, HEIGHT, WIDTH))
    return np.asarray(light * (sliding(count, 2) + noise))


def test_noise_fades_with_what_it_lies_on(
    monkeypatch: pytest.MonkeyPatch, coarse_alone: None
) -> None:
    """A frame that is fainter than the one before is looked at whatever its number, and one code
    has no noise: the last frames of a fade lost up to 5 dB."""
    looked: list[int] = []
    held: list[float] = []
    below = windowed.below

    def ceiling(frame: Frame, *others: Any) -> tuple[Bound, ...]:
        looked.append((frame.pts or 0) // 40)
        return (bounded(12),)

    def noted(noise: PlaneNoise, *others: Any, **more: Any) -> PlaneNoise:
        held.append(sigma8(noise))
        return below(noise, *others, **more)

    monkeypatch.setattr(windowed, "ceiling", ceiling)
    monkeypatch.setattr(windowed, "below", noted)
    steady = sliding(6, 2) + np.random.default_rng(3).normal(0, 6 / 255, (6, 3, HEIGHT, WIDTH))
    frames = renumbered(to_frames(np.concatenate([steady, fade(4, 6)]), GRAY8))
    done = list(denoise_stream(frames, info_of(frames), engine_for(frames)))
    assert looked == [0, 4, 6, 7, 8]
    assert len(held) == 9  # not of the last, whose noise is known
    assert done[-1].planes[0].tolist() == frames[-1].planes[0].tolist()


def test_a_fade_and_one_code_are_seen() -> None:
    look = np.linspace(0, 1, 576, dtype=np.float32).reshape(18, 32)
    assert fades(look, 0.9 * look)
    assert not fades(look, 0.95 * look)
    assert not fades(look, 0.5 + look)
    even = to_frames(np.full((1, 3, 32, 32), 0.2), YUV420)[0]
    assert one_code(even)
    even.planes[1][0, 0] += 1
    assert not one_code(even)
