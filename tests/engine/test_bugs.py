"""What went wrong once, at the engine's door."""

import threading
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

import f2rcli
from f2rcli import errors
from f2rcli.engine import stream
from f2rcli.engine.level import NoiseTracker
from f2rcli.frames import Family, Frame, PlaneLayout
from tests.engine.conftest import denoised, engine_for, info_of, noisy_clip

YUV = PlaneLayout(family=Family.YUV, bits=8, log2_chroma=(1, 1))
REAL = PlaneLayout(family=Family.RGB, bits=32)


def test_one_number_is_told_of_a_run_whose_codec_rounds_more_later(coarse_alone: None) -> None:
    """Measured again after 48 frames, the errors are those by then, not a mixture of the first ones
    and of noise; what is said of the run stays what `f2r info` says."""
    rng, frames = np.random.default_rng(0), []
    even = (np.full((24, 32), 128, np.uint8),) * 2
    for index in range(52):
        scene = 120 + 40 * np.sin((np.arange(64) + index) / 7) * np.cos(np.arange(48)[:, None] / 9)
        luma = np.rint(scene + rng.normal(0, 1, scene.shape)).astype(np.uint8)
        step = 16.0 if index < 30 else 23.0
        frames.append(Frame(planes=(luma, *even), layout=YUV, pts=index, quantiser8=step))
    engine = engine_for(frames, threads=1)
    noise = NoiseTracker.of(engine, YUV, frames[:6])
    noise.follow_codec(48, frames[46:51])
    assert noise.errors is not None
    assert noise.errors.sigma8 == pytest.approx(0.3 * 23)
    assert noise.measured.sigma8 == pytest.approx((0.3 * 23,) * 3)
    for one in (engine, denoised(frames, threads=1)[1]):
        assert one.found.compression is not None
        assert one.found.noise is not None
        assert one.found.compression.sigma8 == pytest.approx(0.3 * 16)
        assert one.found.noise.sigma8 == pytest.approx((0.3 * 16,) * 3)


@pytest.mark.parametrize("layout", [REAL, noisy_clip(1)[0].layout])
def test_what_is_no_number_ends_a_run(layout: PlaneLayout, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = noisy_clip(3, height=24, width=32)
    if layout is REAL:
        frames = [
            replace(one, layout=REAL, planes=tuple(np.float32(p) / 255 for p in one.planes))
            for one in frames
        ]
    overflowing = torch.nn.functional.conv2d
    monkeypatch.setattr(
        torch.nn.functional, "conv2d", lambda *a, **k: overflowing(*a, **k) * float("nan")
    )
    monkeypatch.setattr("f2rcli.models.layers.fuses", lambda x: False)
    monkeypatch.setattr(torch.nn.Conv2d, "forward", lambda own, x: x.new_full(
        (x.shape[0], own.out_channels, *(n // own.stride[0] for n in x.shape[-2:])), float("nan")
    ))  # fmt: skip
    with pytest.raises(errors.DeviceError, match="not finite"):
        denoised(frames, sigma=20.0)


def dim_frame(code: int, share: float) -> np.ndarray:
    """Counts that are 0 but for a share of them."""
    rng = np.random.default_rng(1)
    return np.where(rng.random((4, 48, 48)) < share, code, 0).astype(np.uint16)


@pytest.mark.parametrize(("code", "share"), [(1, 0.02), (1, 0.3), (3, 0.1)])
def test_dim_stacks_keep_their_mean_where_few_samples_have_room(code: int, share: float) -> None:
    stack = dim_frame(code, share)
    stack[:, :, 24:] = 0
    done = f2rcli.denoise(stack, threads=1)
    for before, after in zip(stack, done, strict=True):
        assert after.sum() == pytest.approx(before.sum(), rel=2e-4, abs=0.5)


def numbers() -> tuple[int, int]:
    return torch.get_num_threads(), cv2.getNumThreads()


def test_a_call_leaves_its_process_as_many_threads_as_it_had(coarse_alone: None) -> None:
    before = numbers()
    cv2.setNumThreads(2)
    torch.set_num_threads(2)
    stack = np.random.default_rng(0).integers(90, 110, (2, 24, 32)).astype(np.uint8)
    try:
        for threads in (1, 2, 3):
            f2rcli.denoise(stack, threads=threads)
            assert numbers() == (2, 2)
            with f2rcli.Denoiser(threads=threads) as live:
                for frame in stack:
                    live.push(frame)
                    assert numbers() == (2, 2)
                live.flush()
            assert numbers() == (2, 2)
            frames = noisy_clip(2, height=24, width=32)
            for _ in stream.denoise_stream(
                iter(frames), info_of(frames), engine_for(frames, threads=threads, sigma=9.0)
            ):
                assert numbers() == (2, 2)
        with pytest.raises(errors.F2RError):
            f2rcli.denoise(np.zeros((2, 24, 32), complex), threads=1)
        assert numbers() == (2, 2)
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def test_two_denoisers_in_two_threads_do_not_meet() -> None:
    rng = np.random.default_rng(0)
    stacks = [rng.integers(60, 190, (4, 24, 32)).astype(np.uint8) for _ in range(2)]
    alone = [
        f2rcli.denoise(stack, threads=threads)
        for threads, stack in zip((1, 2), stacks, strict=True)
    ]
    before, found = numbers(), [None, None]

    def work(number: int) -> None:
        with f2rcli.Denoiser(threads=number + 1, levels=None) as live:
            done = [out for frame in stacks[number] for out in live.push(frame)]
            found[number] = np.stack(done + live.flush())  # type: ignore[call-overload]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers() == before
    for one, other in zip(alone, found, strict=True):
        assert other is not None
        assert np.abs(one.astype(int) - other).max() <= 3  # levels are those of six frames
