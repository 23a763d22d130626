"""`f2rcli.denoise` and `f2rcli.Denoiser`: what goes in comes out as what it was, but cleaner."""

import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import f2rcli
from f2rcli.errors import F2RError, InputError, UsageError
from tests.cli.conftest import write_clip

FRAMES, HEIGHT, WIDTH = 11, 32, 48
SIGMA = 20.0


RAMP = np.add.outer(np.arange(HEIGHT), np.arange(WIDTH)) % 160 + 40.0  # it drifts
CLEAN = np.stack([np.roll(RAMP, 2 * number, 1) for number in range(FRAMES)])[..., None].repeat(3, 3)
GRAY = (CLEAN[..., 0] + np.random.default_rng(1).normal(0, SIGMA, CLEAN.shape[:3])).round()
NOISY = np.clip(CLEAN + np.random.default_rng(0).normal(0, SIGMA, CLEAN.shape), 0, 255)


@pytest.fixture(scope="module")
def noisy() -> NDArray[np.uint8]:
    return NOISY.round().astype(np.uint8)


coarsely = cache(lambda: f2rcli.denoise(NOISY.round().astype(np.uint8)))


@pytest.fixture
def denoised(coarse_alone: None) -> NDArray[np.uint8]:
    """For tests of how frames come in and go out."""
    return coarsely()


def error(picture: Any, unit: float = 1.0) -> float:
    """Root mean square distance from the clean clip, in 8-bit units."""
    values = np.asarray(picture, np.float64) / unit
    truth = CLEAN if values.ndim == 4 else CLEAN[..., 0]
    return float(np.sqrt(np.mean((values - truth[: len(values)]) ** 2)))


def test_importing_the_package_and_its_interface_loads_no_torch() -> None:
    script = (
        "import sys, f2rcli; from f2rcli import denoise, Denoiser; Denoiser()\n"
        "print('torch' in sys.modules, 'denoise' in dir(f2rcli))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True"], done.stderr
    with pytest.raises(AttributeError, match="no attribute 'denoize'"):
        _ = f2rcli.denoize


def test_arrays_come_back_as_they_were_and_cleaner(noisy) -> None:
    before, denoised = noisy.copy(), f2rcli.denoise(noisy)
    assert (denoised.dtype, denoised.shape) == (noisy.dtype, noisy.shape)
    assert error(denoised) < 0.3 * error(noisy)
    np.testing.assert_array_equal(noisy, before)


def test_strength_zero_gives_back_every_value() -> None:
    rng = np.random.default_rng(1)
    unreal = rng.normal(0.5, 2, (2, 9, 13))
    unreal[0, 3, 4], unreal[1, 2, 2] = np.nan, np.inf
    for clip in (
        rng.integers(0, 65536, (3, 9, 13), np.uint16),
        rng.integers(-3000, 3000, (3, 9, 13, 1), np.int16),
        rng.normal(0.5, 2, (2, 9, 13, 4)),
        rng.normal(1e6, 1e5, (2, 9, 13)).astype(">f4"),
        rng.integers(0, 65536, (9, 13), np.uint16),
        unreal,
        np.zeros((0, 9, 13), np.uint8),
    ):
        done = f2rcli.denoise(clip, strength=0)
        assert done.dtype == clip.dtype
        np.testing.assert_array_equal(done, clip)


@pytest.mark.parametrize(("dtype", "scale", "offset"), [("i2", 8, -300), ("f8", 1 / 255, 0)])
def test_units_and_offsets_do_not_matter(dtype, scale, offset) -> None:
    given = GRAY[:7]
    done = f2rcli.denoise((given * scale + offset).astype(dtype))
    assert done.dtype == dtype
    assert error(done - float(offset), scale) < 0.42 * error(given)


def test_an_alpha_channel_stays_and_gray_needs_no_axis(noisy, denoised) -> None:
    alpha = np.random.default_rng(2).integers(0, 256, (*noisy.shape[:3], 1), np.uint8)
    done = f2rcli.denoise(np.concatenate([noisy, alpha], 3))
    np.testing.assert_array_equal(done[..., 3:], alpha)
    np.testing.assert_array_equal(done[..., :3], denoised)
    gray = f2rcli.denoise(noisy[:3, ..., 0])
    assert gray.shape == noisy[:3, ..., 0].shape
    np.testing.assert_array_equal(f2rcli.denoise(noisy[:3, ..., :1])[..., 0], gray)


def test_iterables_are_lazy_and_give_the_same(noisy, denoised) -> None:
    taken = []

    def source() -> Iterator[NDArray[np.uint8]]:
        for number, frame in enumerate(noisy):
            taken.append(number)
            yield frame

    results = f2rcli.denoise(source())
    assert not taken
    first = next(results)
    assert len(taken) < 10 < len(noisy)
    np.testing.assert_array_equal(np.stack([first, *results]), denoised)
    assert list(f2rcli.denoise(iter([]))) == []


def test_a_list_of_frames_is_an_iterable_like_others(noisy) -> None:
    done = np.stack(list(f2rcli.denoise(list(noisy[:2]), strength=0)))
    np.testing.assert_array_equal(done, noisy[:2])
    with pytest.raises(InputError, match="a frame of type int: not an array"):
        list(f2rcli.denoise([np.zeros((4, 4), np.uint8), 1], strength=0))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bfloat16])
def test_tensors_come_back_as_tensors(noisy, denoised, dtype) -> None:
    clip = (
        torch.from_numpy(noisy[:7])
        .permute(0, 3, 1, 2)
        .to(dtype)
        .requires_grad_(dtype.is_floating_point)
    )
    done = f2rcli.denoise(clip, axes="TSYX")
    assert (done.dtype, done.shape, done.device) == (dtype, clip.shape, clip.device)
    assert abs(error(done.permute(0, 2, 3, 1).float().numpy()) - error(denoised[:7])) < 0.3


def test_files_give_the_path_that_was_written(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "noisy.mp4")
    target = tmp_path / "clean.mp4"
    done = f2rcli.denoise(source, target, strength=0)
    assert done == target
    assert isinstance(f2rcli.denoise(str(source), target, strength=0, overwrite=True), str)
    with pytest.raises(F2RError, match="already exists"):
        f2rcli.denoise(source, target)


@pytest.mark.parametrize(
    ("frames", "options", "words"),
    [
        (np.zeros(4, np.uint8), {}, "not a clip"),
        (np.zeros((2, 4, 5), bool), {}, "samples are bool, a binary mask"),
        (np.zeros((2, 4, 5), complex), {}, "complex numbers"),
        (np.zeros((2, 0, 5), np.uint8), {}, "no rows and columns"),
        (np.zeros((5, 4, 3), np.uint8), {}, "what are its axes"),
        (np.zeros((5, 2, 4, 5), np.uint8), {}, "what are its axes"),
        (np.zeros((2, 4, 5), np.uint8), {"axes": "TZ"}, "each axis needs its own letter"),
        (np.zeros((2, 4, 5), np.uint8), {"axes": "TZX"}, "Y and X are the picture"),
        (np.zeros((2, 4, 5), np.uint8), {"output": np.zeros((2, 4, 6))}, "as the input is"),
        (np.zeros((2, 4, 5), np.uint8), {"output": 5}, "output=5: must be"),
        ([np.zeros((4, 4), np.uint8), np.zeros((5, 4), np.uint8)], {}, "frame 1: is"),
        (iter([np.zeros((4, 4), np.uint8), np.zeros((5, 4), np.uint8)]), {}, "frame 1: is"),
        (iter([np.zeros((4, 4, 2), np.uint8)]), {}, "a frame of shape .4, 4, 2.: what are its"),
        (iter([np.zeros((4, 4), np.uint8)]), {"axes": "TYX"}, "each axis needs its own"),
        (["a.mp4", "b.mp4"], {}, "a frame of type str"),
        ({"movie": np.zeros((2, 4, 5), np.uint8)}, {}, "frames of type dict: a group of arrays"),
        (7, {}, "neither arrays nor a path"),
        (None, {}, "neither arrays nor a path"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_an_error_that_says_so(frames, options, words) -> None:
    with pytest.raises((InputError, UsageError), match=words) as caught:
        list(f2rcli.denoise(frames, **options))
    assert "\n" not in str(caught.value)


def test_pushing_gives_the_same_frames_with_a_known_latency(noisy, denoised) -> None:
    live = f2rcli.Denoiser()
    assert live.noise == ()
    for _ in range(2):  # a second sequence begins anew
        given = [live.push(frame) for frame in noisy]
        counts = [len(ready) for ready in given]
        started = next(place for place, count in enumerate(counts) if count)
        assert started <= 8
        assert set(counts[started + 1 :]) <= {1}
        assert np.mean(live.noise[0].sigma) == pytest.approx(SIGMA, rel=0.15)
        rest = live.flush()
        assert len(rest) == live.latency
        every = [frame for ready in given for frame in ready] + rest
        np.testing.assert_array_equal(np.stack(every), denoised)
    assert live.flush() == []


@pytest.mark.usefixtures("coarse_alone")
def test_the_latency_counts_the_frames_that_offsets_of_lines_are_told_by() -> None:
    rng = np.random.default_rng(0)
    columns = rng.normal(100, 9, 96)  # a sensor's own, in every frame
    frames = (columns + rng.normal(0, 4, (16, 64, 96))).clip(0, 255).astype(np.uint8)
    with f2rcli.Denoiser() as live:
        given = sum(len(live.push(frame)) for frame in frames)
        behind = live.latency
        assert behind == len(frames) - given == len(live.flush())


def test_a_hot_pixel_that_appears_live_is_repaired_from_the_second_look(coarse_alone: None) -> None:
    rng = np.random.default_rng(0)
    light = 20 + 10 * np.sin(np.mgrid[:32, :32][0] / 9.0)
    codes = 100 + 8 * rng.poisson(light, (70, 32, 32))
    codes[33:, 16, 20] += 2000
    with f2rcli.Denoiser(threads=1) as live:
        done = [one for frame in codes.astype(np.uint16) for one in live.push(frame)]
        done += live.flush()
    hot = (np.array(done)[:, 16, 20] - 100.0) / 8 - light[16, 20]
    assert len(done) == 70
    assert hot[35:64].min() > 100
    assert np.abs(hot[65:]).max() < 10


def test_a_frame_that_does_not_fit_ends_the_sequence_and_not_the_denoiser(noisy) -> None:
    with f2rcli.Denoiser(strength=0) as live:
        live.push(noisy[0])
        with pytest.raises(InputError, match="frame 1: is"):
            live.push(noisy[1][:-1])
        assert live.flush() == []
        live.push(noisy[0][:-1])
        live.close()
        live.close()
        ready = [*live.push(noisy[2]), *live.flush()]
    assert len(ready) == 1
    np.testing.assert_array_equal(ready[0], noisy[2])


def test_abandoned_denoisers_leave_no_threads(noisy) -> None:
    import threading

    before = threading.active_count()
    for _ in range(3):
        f2rcli.Denoiser(strength=0).push(noisy[0])
    for thread in threading.enumerate():
        if thread.name == "f2r":
            thread.join(240)
    assert threading.active_count() <= before  # those of earlier tests may have ended


@pytest.mark.parametrize("shape", [(1, 1), (6, 4), (5, 1, 1), (5, 4, 6)])
def test_counts_of_a_few_pixels_are_left_alone(shape: tuple[int, ...]) -> None:
    counts = np.random.default_rng(0).poisson(30, shape).astype("u2")
    np.testing.assert_array_equal(f2rcli.denoise(counts), counts)


@pytest.mark.filterwarnings("error")
def test_results_are_finite_where_the_dtype_ends() -> None:
    rng = np.random.default_rng(0)
    steep = rng.uniform(20000, 65000, (17, 33)) + rng.normal(0, 2000, (6, 17, 33))
    done = f2rcli.denoise(steep.clip(0, 65504).astype("f2"))
    assert np.isfinite(done).all()


@pytest.mark.filterwarnings("error")
def test_floats_whose_squares_overflow_are_light_like_any_other(coarse_alone: None) -> None:
    stack = GRAY[:7].astype(np.float32)
    scaled = f2rcli.denoise(np.ldexp(stack, 110))
    np.testing.assert_array_equal(np.ldexp(scaled, -110), f2rcli.denoise(stack))
