"""What a report keeps of a clip: bounded in bytes and memory, and of the right places."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from f2rcli.evaluation.base import ClipFacts
from f2rcli.evaluation.frame_set import FrameSet
from f2rcli.evaluation.result import CLEAN, NOISY, ClipResult
from f2rcli.evaluation.visuals.crops import SIDE
from f2rcli.evaluation.visuals.images import (
    CROP,
    ERROR,
    FLAT,
    FRAME,
    REMOVED,
    ClipPictures,
    ReportImage,
)
from f2rcli.evaluation.visuals.pictures import KEPT, ReportPictures
from f2rcli.frames import Mosaic, Space
from f2rcli.plots.images import encode

Picture = NDArray[np.float32]
MOSAIC = Mosaic(pattern="RGGB", black=(0.0,) * 4, white=(1023.0,) * 4, balance=(2.0, 1.0, 1.5))
SETTING = ClipFacts(space=Space.RGB, rate=25.0)


def scene(height: int = 120, width: int = 200, channels: int = 3) -> Picture:
    ramp = np.add.outer(np.arange(height), np.arange(width)) / (height + width)
    return np.repeat(ramp[None].astype(np.float32), channels, axis=0)


def noisy_of(clean: Picture, seed: int) -> Picture:
    rng = np.random.default_rng(seed)
    return clean + rng.normal(0, 0.1, clean.shape).astype(np.float32)


def collected(
    frames: list[tuple[Picture | None, dict[str, Picture], Picture | None]],
    clips: int = 1,
    budget: int = 2_000_000,
    setting: ClipFacts = SETTING,
    measured: bool = False,
) -> ClipPictures | None:
    observer = ReportPictures(clips, budget)
    observer.begin("clip", setting, ())
    if not measured:
        observer.noise = None  # takes its seconds
    for index, (noisy, estimates, clean) in enumerate(frames):
        observer.see(FrameSet(index, reference=clean, noisy=noisy), estimates)
        assert len(observer.kept) <= KEPT
    _, estimates, clean = frames[0]
    height, width = next(iter(estimates.values())).shape[1:]
    result = ClipResult(name="clip", width=width, height=height, frames=len(frames), space="rgb")
    return observer.end(result)


def opened(image: ReportImage) -> NDArray[np.uint8]:
    picture = cv2.imdecode(np.frombuffer(image.data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return picture


def test_a_crop_lies_where_two_methods_differ() -> None:
    clean = scene()
    odd = clean.copy()
    odd[:, 20:60, 110:150] += 0.3
    found = collected([(noisy_of(clean, i), {"a": clean, "b": odd}, clean) for i in range(3)])
    assert found is not None
    x, y, width, height = found.of(CROP)[0].box
    assert (width, height) == (SIDE, SIDE)
    assert x <= 110
    assert x + width >= 150
    assert y <= 20
    assert y + height >= 60


def test_crops_of_one_clip_do_not_overlap_whatever_the_frame() -> None:
    clean = scene(240, 320)
    frames = [(noisy_of(clean, i), {"a": noisy_of(clean, 50 + i)}, clean) for i in range(5)]
    found = collected(frames, budget=9_000_000)
    assert found is not None
    boxes = sorted({image.box for image in found.of(CROP)})
    assert len(boxes) > 1
    for one in boxes:
        for other in boxes:
            apart = max(abs(one[0] - other[0]), abs(one[1] - other[1]))
            assert one == other or apart >= SIDE


def test_without_a_reference_a_crop_lies_where_detail_was_taken_out() -> None:
    noisy = noisy_of(scene(), 1)
    estimate = scene()
    estimate[:, 10:40, 10:40] -= 0.15  # a smooth change: no noise looks like this
    found = collected([(noisy, {"a": estimate}, None)])
    assert found is not None
    x, y, width, height = found.of(CROP)[0].box
    assert x <= 20 <= x + width
    assert y <= 20 <= y + height
    assert not found.of(ERROR)


def test_every_side_is_shown_in_order_and_maps_are_grey_where_nothing_changed() -> None:
    clean = scene()
    noisy = noisy_of(clean, 3)
    found = collected([(noisy, {"a": clean, "b": noisy}, clean)])
    assert found is not None
    assert [image.method for image in found.of(FRAME)] == [NOISY, "a", "b", CLEAN]
    removed = {image.method: opened(image) for image in found.of(REMOVED)}
    errors = {image.method: opened(image) for image in found.of(ERROR)}
    assert np.abs(removed["b"].astype(int) - 128).max() <= 2
    assert np.abs(errors["a"].astype(int) - 128).max() <= 2
    assert removed["a"].std() > 20


@pytest.mark.parametrize("budget", [60_000, 300_000, 1_500_000])
def test_shots_stay_within_the_budget(budget: int) -> None:
    clean = scene(300, 400)
    frames = [
        (noisy_of(clean, i), {n: noisy_of(clean, 9 * i + k) for k, n in enumerate("abc")}, clean)
        for i in range(3)
    ]
    found = collected(frames, budget=budget)
    assert found is not None
    assert found.of(FRAME)
    assert 0 < sum(len(image.data) for image in found.images) <= budget


def test_memory_and_frames_do_not_grow_with_the_clip() -> None:
    small = scene(40, 50)
    found = collected([(noisy_of(small, i % 3), {"a": small}, small) for i in range(200)])
    assert found is not None
    frames = sorted({image.frame for image in found.of(FRAME)})
    assert len(frames) == 3
    assert frames[-1] - frames[0] > 50


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_gray_and_mosaics_are_shown_in_colour(channels: int) -> None:
    clean = scene(30, 41, channels)
    setting = replace(SETTING, mosaic=MOSAIC if channels == 4 else None)
    found = collected([(noisy_of(clean, 2), {"a": clean}, None)], setting=setting)
    assert found is not None
    shapes = {opened(image).shape for image in found.images if image.kind != FLAT}
    assert shapes == {(30, 41, 3)}


def test_of_very_many_clips_some_are_shown() -> None:
    observer = ReportPictures(100, budget=1_000_000)
    clean = scene(30, 40)
    shown = 0
    for number in range(100):
        observer.begin(f"{number}", SETTING, ())
        observer.see(FrameSet(0, reference=clean, noisy=noisy_of(clean, 1)), {"a": clean})
        result = ClipResult(name=f"{number}", width=40, height=30, frames=1, space="rgb")
        shown += observer.end(result) is not None
    assert 2 <= shown <= 4


def test_large_frames_show_their_middle_pixel_for_pixel() -> None:
    large = np.zeros((1, 1000, 1500), np.float32)
    large[:, 500, 750] = 1
    found = collected([(None, {"a": large}, None)])
    assert found is not None
    image = found.of(FRAME)[0]
    x, y, width, height = image.box
    assert (width, height) == (1280, 960)
    assert opened(image)[500 - y, 750 - x].min() > 128


def test_lossless_pictures_come_back_bit_for_bit() -> None:
    codes = np.random.default_rng(0).integers(0, 256, (9, 11, 3)).astype(np.uint8)
    image = ReportImage(kind=CROP, frame=0, method="", box=(0, 0, 11, 9), data=encode(codes))
    assert np.array_equal(opened(image)[..., ::-1], codes)


def test_the_noise_of_the_input_is_measured_and_goes_with_the_pictures() -> None:
    rng = np.random.default_rng(5)
    clean = np.clip(scene(96, 128), 0.2, 0.8)
    noisy = [clean + rng.normal(0, 0.1, clean.shape).astype(np.float32) for _ in range(6)]
    found = collected([(each, {"a": clean}, clean) for each in noisy], measured=True)
    assert found is not None
    assert found.noise is not None
    assert found.noise["sigma8"] == pytest.approx([25.5] * 3, rel=0.1)
