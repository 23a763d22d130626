"""The engine with the shipped weights: one frame out per frame in, whatever the clip looks like."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from f2rcli import weights
from f2rcli.engine import stream, window_loop
from f2rcli.engine.level import NoiseTracker
from f2rcli.engine.planes_store import Packing
from f2rcli.errors import DeviceError, UsageError, WeightsError
from f2rcli.frames import Family, Frame, Mosaic, PlaneLayout
from f2rcli.methods.f2r import F2R
from f2rcli.models.planar import Networks
from f2rcli.planes import LAYOUTS, packing, unpack
from f2rcli.weights import Estimate, Header
from f2rcli.window import windows
from tests.engine.conftest import (
    GRAY8,
    YUV420,
    clean_clip,
    denoised,
    engine_for,
    info_of,
    noisy_clip,
    psnr,
    to_frames,
)

Engine = stream.Engine
denoise_stream = stream.denoise_stream
restore_stream = stream.restore_stream


def run(frames: list[Frame], *, interlaced: bool = False, **settings: object) -> list[Frame]:
    return denoised(frames, interlaced=interlaced, **settings)[0]


@cache
def restored(count: int) -> tuple[list[Frame], list[Frame], Engine]:
    """A clip of so many frames, what becomes of it, and the engine that was used: made once."""
    frames = noisy_clip(count)
    return frames, *denoised(frames)


def differences(a: list[Frame], b: list[Frame]) -> int:
    """The largest difference of two clips, in codes."""
    pairs = zip(a, b, strict=True)
    return max(
        int(np.abs(p.astype(int) - q.astype(int)).max())
        for x, y in pairs
        for p, q in zip(x.planes, y.planes, strict=True)
    )


@pytest.mark.parametrize("count", [1, 2, 4, 6, 7])
def test_as_many_frames_come_out_as_go_in_with_their_own_times(count: int) -> None:
    frames, done, _ = restored(count)
    assert [(f.pts, f.duration, f.time_base) for f in done] == [
        (f.pts, f.duration, f.time_base) for f in frames
    ]
    gained = psnr(done, clean_clip(count)) - psnr(frames, clean_clip(count))
    assert gained > (8 if count == 7 else 3)  # of a whole window, on a simple moving scene


@pytest.mark.parametrize(("count", "said"), [(1, "1 different frame,"), (4, "4 diff"), (5, "")])
def test_a_clip_shorter_than_a_window_is_told_so_and_no_other(count: int, said: str) -> None:
    _, _, engine = restored(count)
    few = [note for note in engine.found.notes if "serve best" in note]
    assert len(few) == bool(said)
    assert all(note.startswith(said) for note in few)


@pytest.mark.parametrize(
    ("count", "size"), [(1, (4, 6)), (8, (4, 6)), (2, (3, 2)), (4, (1, 1)), (7, (1, 5))]
)
def test_pictures_of_few_pixels_are_left_alone_and_told(count: int, size: tuple[int, int]) -> None:
    """Their median tells noise from texture by chance: clips of 6x4 pixels lost up to 27 codes."""
    frames = to_frames(np.random.default_rng(3).random((count, 3, *size)))
    done, engine = denoised(frames)
    assert differences(frames, done) == 0
    assert [note for note in engine.found.notes if "too few pixels" in note]
    assert not [note for note in engine.found.notes if "noise estimated" in note]


@pytest.mark.parametrize(("side", "told"), [(15, "too few pixels"), (20, "hardly any noise")])
@pytest.mark.parametrize("count", [1, 8])
def test_what_is_said_of_small_clean_pictures_is_measured(count: int, side: int, told: str) -> None:
    _, engine = denoised(to_frames(np.full((count, 3, side, side), 0.5)))
    said = [n for n in engine.found.notes if "too few pixels" in n or "hardly any noise" in n]
    assert len(said) == 1
    assert told in said[0]


def test_half_the_strength_takes_half_the_change() -> None:
    frames = noisy_clip(3)
    full, half = run(frames, sigma=25.0), run(frames, sigma=25.0, strength=0.5)
    whole = np.stack([np.stack(f.planes) for f in full]).astype(float)
    given = np.stack([np.stack(f.planes) for f in frames]).astype(float)
    mixed = np.stack([np.stack(f.planes) for f in half]).astype(float)
    assert np.abs(mixed - (whole + given) / 2).max() <= 1.0


def test_more_strength_and_more_sigma_smooth_more() -> None:
    frames = noisy_clip(3, sigma=20)

    def roughness(done: list[Frame]) -> float:
        return float(np.mean([np.abs(np.diff(f.planes[0].astype(float))).mean() for f in done]))

    assert roughness(run(frames, sigma=40.0)) < roughness(run(frames, sigma=8.0))
    assert roughness(run(frames, sigma=8.0, strength=2.0)) < roughness(run(frames, sigma=8.0))


def test_tiles_give_the_whole_picture_within_one_code() -> None:
    """Nine tiles: the middle one has a neighbour on every side."""
    frames = noisy_clip(2, height=130, width=136)
    for precision, count in (("fp32", 2), ("bf16", 1)):
        whole = run(frames[:count], tile="off", precision=precision, sigma=25.0)
        tiled = run(frames[:count], tile="64", precision=precision, sigma=25.0)
        assert differences(whole, tiled) <= 1


def test_the_same_clip_gives_the_same_bytes_again() -> None:
    frames, done, _ = restored(5)
    assert differences(run(frames), done) == 0


def test_frames_are_asked_for_with_the_callers_own_threads(coarse_alone: None) -> None:
    frames, seen = noisy_clip(5), list[int]()

    def asked() -> Iterator[Frame]:
        for frame in frames:
            seen.append(torch.get_num_threads())
            yield frame

    engine = engine_for(frames, device="cpu", threads=1, sigma=25.0)
    for _ in denoise_stream(asked(), info_of(frames), engine):
        assert torch.get_num_threads() == 2
    assert seen == [2] * len(frames)


def test_nothing_crosses_a_cut() -> None:
    first = noisy_clip(3, seed=0)
    endings = [noisy_clip(3, seed=seed) for seed in (10, 20)]
    one, two = (run(first + ending, sigma=25.0) for ending in endings)
    assert differences(one[:3], two[:3]) == 0
    alone = run(endings[0], sigma=25.0)
    assert differences(one[3:], alone) == 0


def test_a_still_scene_behind_a_large_thing_that_moves_is_one_shot() -> None:
    """It flashes as it goes: frames around one show the rest of the scene as well as before."""
    clean = np.repeat(clean_clip(1, height=72, width=96), 5, axis=0)
    for t, picture in enumerate(clean):
        picture[:, 8:, 12 * t : 12 * t + 44] = 0.95 - 0.9 * (t % 2)
    alone, found, gains = clean[2:3], [], []
    for seed in range(2, 5):
        noise = np.random.default_rng(seed).normal(0, 20 / 255, clean.shape)
        frames = to_frames(clean + noise)
        done, single = (run(some, sigma=20.0) for some in (frames, frames[2:3]))
        found.append(psnr(done[2:3], alone))
        gains.append(found[-1] - psnr(single, alone))
    assert np.mean(found) > 32.8
    assert np.mean(gains) > 0.5  # none where the frame is alone in its shot


@pytest.mark.parametrize(("stars", "satellite"), [(12, 0), (0, 16), (80, 16)])
def test_faint_small_things_keep_their_light(stars: int, satellite: int) -> None:
    """As stars of three standard deviations, and a satellite of four that is never twice at one
    place and must not be taken for what happened to a still sky by chance."""
    rows, columns = np.indices((96, 128))

    def dot(y: float, x: float) -> np.ndarray:
        return np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 1.28)

    places = np.random.default_rng(2).uniform(8, (88, 120), (30, 2))
    still = stars * sum(dot(*place) for place in places)
    shown = [satellite * dot(80 - 4 * t, 20 + 6.5 * t) if satellite else still for t in range(12)]
    sky = 40 + still if satellite else np.full_like(rows, 40.0, float)
    kept = []
    for seed in range(4, 8):  # stars that are found in one frame are kept in the next: many or few
        noise = np.random.default_rng(seed).normal(0, 4, (12, 96, 128))
        frames = to_frames((sky + np.stack(shown) + noise)[:, None] / 255, GRAY8)
        kept += [
            (light * (frame.planes[0] - sky)).sum() / np.square(light).sum()
            for light, frame in zip(shown, run(frames), strict=True)
        ]
    assert np.mean(kept) > (0.45 if stars and satellite else 0.55)


def test_a_small_fast_thing_keeps_its_contrast() -> None:
    """A bird of nine pixels that beats its wings, and is never twice at one place."""
    rows, columns = np.indices((96, 128))
    step = np.arange(10)[:, None, None]
    across = np.abs(columns - 16 - 9 * step)
    down = np.abs(rows - 48 - 2 * np.sin(2.2 * step) * across / 4.5)
    bird = np.clip(5 - across, 0, 1) * np.clip(1.6 - down, 0, 1)
    scene = clean_clip(10, 96, 128).mean(1)
    change = bird * (0.1 - scene)
    noise = np.random.default_rng(4).normal(0, 14 / 255, scene.shape)
    done = run(to_frames((scene + change + noise)[:, None], GRAY8))
    found = np.stack([frame.planes[0] for frame in done]) / 255 - scene
    assert (bird * change * found).sum() / (bird * change**2).sum() > 0.88


def test_noise_alone_leaves_no_specks() -> None:
    noise = np.random.default_rng(4).normal(0, 30, (12, 1, 128, 160))
    frames = run(to_frames((128 + noise) / 255, GRAY8))
    off = np.abs(np.stack([frame.planes[0] for frame in frames]) - 128.0)
    assert np.count_nonzero(off > 30) < 20  # of 245,760, where noise has 78,000


def test_noise_does_not_move_what_stands_still() -> None:
    """Flows follow strong noise; frames that are moved by them are blurred (34.1 dB here)."""
    clean = np.repeat(clean_clip(1, height=48, width=64), 12, 0)
    noise = np.random.default_rng(7).normal(0, 30 / 255, clean.shape)
    done = run(to_frames(clean + noise))
    assert psnr(done[6:], clean[6:]) > 34.35


@pytest.mark.parametrize("cut", [False, True])
def test_noise_that_rises_is_removed_from_its_first_frame_on(cut: bool) -> None:
    clean = clean_clip(16)
    if cut:
        clean[10:] = clean_clip(6, seed=7)
    sigmas = np.array([5] * 10 + [20] * 6)[:, None, None, None] / 255
    noise = np.random.default_rng(3).normal(0, 1, clean.shape) * sigmas
    done = run(to_frames(clean + noise))
    assert min(psnr(done[t : t + 1], clean[t : t + 1]) for t in (10, 11, 12)) > 30


def test_copies_get_a_frames_result_and_are_no_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[object] = []
    look = window_loop.thumbnail
    monkeypatch.setattr(window_loop, "thumbnail", lambda luma: looks.append(luma) or look(luma))
    frames = noisy_clip(4)
    stuttering = [replace(frame, pts=None) for frame in frames for _ in range(3)]
    done, _ = denoised(stuttering, sigma=25.0)
    assert len(done) == 12
    assert len(looks) == 4
    assert differences(done, [f for f in run(frames, sigma=25.0) for _ in range(3)]) == 0


def test_a_still_of_any_length_streams() -> None:
    still = [noisy_clip(1)[0]] * 200
    assert len(run(still)) == 200


def test_fields_are_restored_apart() -> None:
    frames = noisy_clip(3)

    def with_other_bottom(frame: Frame) -> Frame:
        planes = [plane.copy() for plane in frame.planes]
        for plane in planes:
            plane[1::2] = plane[1::2][::-1]
        return replace(frame, planes=tuple(planes))

    done = run(frames, interlaced=True)
    other = run([with_other_bottom(f) for f in frames], interlaced=True)
    for a, b, given in zip(done, other, frames, strict=True):
        assert a.planes[0].shape == given.planes[0].shape
        np.testing.assert_array_equal(a.planes[0][0::2], b.planes[0][0::2])
        assert not np.array_equal(a.planes[0][1::2], b.planes[0][1::2])


@pytest.mark.parametrize(("height", "interlaced"), [(24, False), (48, True)])
def test_colours_of_few_rows_are_restored_all_the_same(height: int, *, interlaced: bool) -> None:
    layout = PlaneLayout(family=Family.YUV, bits=8, log2_chroma=(1, 1))
    frames = [
        replace(one, layout=layout, planes=(luma, *(plane[::2, ::2] for plane in colours)))
        for one in noisy_clip(5, height=height)
        for luma, *colours in [one.planes]
    ]
    done = run(frames, interlaced=interlaced)
    assert len(done) == 5
    assert done[2].planes[0].std() < frames[2].planes[0].std()


@pytest.mark.parametrize("interlaced", [False, True])
def test_what_noise_is_measured_on_is_closed_before_the_first_frame(
    only_measured: None, *, interlaced: bool
) -> None:
    """The clip that an excerpt is of, which is opened once more."""
    frames, opened = noisy_clip(12, height=32, width=48), []

    def opening() -> Iterator[Frame]:
        opened.append(None)
        try:
            yield from (replace(frame, context=True) for frame in frames)
        finally:
            opened.pop()

    engine, info = engine_for(frames, interlaced=interlaced), info_of(frames, interlaced=interlaced)
    restored = denoise_stream(frames[8:], info, engine, opening)
    assert next(restored)
    assert not opened


def test_both_fields_are_read_to_their_ends(coarse_alone: None) -> None:
    """The second shows one picture alone, which is said then."""
    frames = noisy_clip(5)
    for frame in frames[1:]:
        for plane, first in zip(frame.planes, frames[0].planes, strict=True):
            plane[1::2] = first[1::2]
    done, engine = denoised(frames, interlaced=True)
    assert len(done) == 5
    assert any(note.startswith("1 different frame,") for note in engine.found.notes)


def test_gray_goes_through_rgb_weights_and_is_cleaner() -> None:
    clean = clean_clip(5).mean(1, keepdims=True).repeat(3, 1)
    noise = np.random.default_rng(1).normal(0, 0.1, clean[:, :1].shape)
    frames = to_frames(clean + noise, GRAY8)
    assert psnr(run(frames), clean[:, :1]) > psnr(frames, clean[:, :1]) + 5


def test_frames_are_taken_only_as_they_are_needed(coarse_alone: None) -> None:
    frames = noisy_clip(1, height=16, width=16) + noisy_clip(13, height=16, width=16)
    taken = 0

    def source() -> Iterator[Frame]:
        nonlocal taken
        for frame in frames:
            taken += 1
            yield frame

    for given, _ in enumerate(denoise_stream(source(), info_of(frames), engine_for(frames))):
        assert taken - given <= 12  # the opening, a window of five, and what tells copies


@torch.inference_mode()
def test_inside_the_pipeline_each_stage_is_better_than_the_one_before() -> None:
    clean, frames = clean_clip(7), noisy_clip(7, sigma=40)
    noise = NoiseTracker.of(engine_for(frames), frames[0].layout, frames)
    method = cast(F2R, noise.engine.new_method(noise.layout))
    given = Packing(frames[0].layout, method.stride)
    pictures = [given.packed(noise.engine.store.planes(frame)) for frame in frames]
    ready = [method.prepare(i, one, noise.told) for i, one in enumerate(pictures)]
    layout, (height, width) = packing(frames[0].layout), clean.shape[-2:]

    def error(estimate: Estimate) -> float:
        method.estimate = estimate
        method.forget()
        seen = windows(ready, method.length)
        restored = [method.restore(window, noise.told) for window in seen]
        pictures = [torch.stack(unpack(layout, one[0])) for one in restored]
        shown = torch.stack(pictures)[..., :height, :width].numpy()
        return float(np.mean((shown - clean) ** 2))

    coarse, anchor, refined = map(error, (Estimate.COARSE, Estimate.ANCHOR, Estimate.REFINED))
    assert refined < anchor < coarse


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"device": "cuda:77"}, DeviceError),
        ({"precision": "int4"}, UsageError),
        ({"precision": "fp16", "device": "cpu"}, DeviceError),
        ({"method": "magic"}, UsageError),
        ({"weights": "no/where.safetensors"}, WeightsError),
    ],
)
def test_impossible_settings_are_one_clear_error(settings: dict[str, str], error: type) -> None:
    with pytest.raises(error) as raised:
        engine_for(noisy_clip(1), **settings)
    assert next(iter(settings.values())) in str(raised.value)


SHAPE = {  # an anchor and a refiner of other depths and widths than the coarse network
    "coarse": {"widths": [8, 8, 8]},
    "anchor": {"widths": [4, 8], "hidden": 4},
    "refiner": {"widths": [8, 8, 12], "embed": 4},
}


@pytest.mark.parametrize("kind", ["4:2:0", "RGB", "gray", "mosaic"])
def test_one_set_of_weights_serves_every_kind_of_footage(kind: str, tmp_path: Path) -> None:
    """Of any shape that its header says; here with numbers drawn at random."""
    torch.manual_seed(0)
    header = Header(
        method="f2r", space=Family.RGB, channels=3, length=5,
        config=SHAPE | {"layouts": list(LAYOUTS)}, size="lite",
    )  # fmt: skip
    path = tmp_path / "lite.safetensors"
    weights.save(path, header, Networks(header.config).state_dict())
    frames = noisy_clip(6, height=32)
    if kind in ("gray", "mosaic"):
        layout = GRAY8
        if kind == "mosaic":
            mosaic = Mosaic(pattern="RGGB", black=(0,) * 4, white=(255,) * 4)
            layout = PlaneLayout(family=Family.BAYER, bits=8, mosaic=mosaic)
        frames = [replace(one, planes=one.planes[:1], layout=layout) for one in frames]
    elif kind == "4:2:0":
        halves = [tuple(plane[::2, ::2] for plane in one.planes[1:]) for one in frames]
        frames = [
            replace(one, planes=(one.planes[0], *half), layout=YUV420)
            for one, half in zip(frames, halves, strict=True)
        ]
    done, engine = denoised(frames, weights=str(path))
    assert [one.pts for one in done] == [one.pts for one in frames]
    assert engine.found.noise is not None
    assert differences(done, frames) > 0
    assert "RGB weights" not in str(engine.found.notes)


@pytest.mark.skipif(not weights.available(), reason="no weights are bundled")
def test_a_file_named_like_bundled_ones_is_used_as_it_is(tmp_path: Path) -> None:
    own = tmp_path / "f2r-full.safetensors"
    shutil.copy(weights.folder() / weights.manifest()["f2r-full-blind"]["file"], own)
    engine = engine_for(noisy_clip(1), weights=str(own))
    assert engine.weights.sha256 == weights.manifest()["f2r-full-blind"]["sha256"]
