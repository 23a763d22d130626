"""Every metric against a second implementation, or against pictures whose value is known."""

import math
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage import metrics as skimage

from f2rcli import yuv
from f2rcli.errors import UsageError
from f2rcli.evaluation import frame_set, metrics, result
from f2rcli.frames import Picture
from f2rcli.io import open_reader

EXAMPLE = Path(__file__).parents[2] / "examples" / "noisy_path_lossless.mkv"
WHITE_NOISE_SEED = 1


@pytest.fixture(scope="module")
def pair() -> tuple[Picture, Picture]:
    """A real noisy frame and a smoother version of it, which stands for the clean one."""
    with open_reader(EXAMPLE) as reader:
        (frame,) = islice(iter(reader), 1)
    noisy = np.rint(255 * np.clip(yuv.to_rgb(frame), 0, 1)).astype(np.float32) / np.float32(255)
    clean = np.stack([ndimage.gaussian_filter(plane, 1.0) for plane in noisy])
    return noisy, (np.rint(255 * clean) / 255).astype(np.float32)


def texture(rows: int = 112, columns: int = 144, seed: int = 0) -> NDArray[np.float32]:
    """A smooth random texture in 0.2..0.8."""
    rough = np.random.default_rng(seed).random((rows, columns))
    smooth = ndimage.gaussian_filter(rough, 2.5, mode="wrap")
    return (0.2 + 0.6 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.float32)


def sliding(shift: int, frames: int = 4) -> list[Picture]:
    """A texture that moves by `shift` pixels to the right from frame to frame."""
    plane = texture()
    return [np.stack([np.roll(plane, shift * i, 1)] * 3) for i in range(frames)]


def noise(shape: tuple[int, ...], sigma8: float, seed: int = WHITE_NOISE_SEED) -> Picture:
    return (np.random.default_rng(seed).normal(0, sigma8 / 255, shape)).astype(np.float32)


def frame_sets(
    estimates: list[Picture], reference: list[Picture] | None = None,
    noisy: list[Picture] | None = None,
) -> list[frame_set.FrameSet]:  # fmt: skip
    """The frames of a clip, each with the one before; estimates are of the method "made"."""
    found: list[frame_set.FrameSet] = []
    for index, estimate in enumerate(estimates):
        known = {result.NOISY: noisy, result.CLEAN: reference}
        sides = {name: side[index] for name, side in known.items() if side is not None}
        one = frame_set.FrameSet(index, {"made": estimate, **sides})
        one.before = found[-1] if found else None
        found.append(one)
    return found


def measured(
    name: str, estimates: list[Picture], reference: list[Picture] | None = None,
    noisy: list[Picture] | None = None,
) -> result.MetricSeries:  # fmt: skip
    """What a metric says of a clip."""
    every = frame_sets(estimates, reference, noisy)
    return metrics.series_of([metrics.MEASURES[name](one, "made") for one in every])


def test_psnr_is_scikit_images_to_four_digits(pair: tuple[Picture, Picture]) -> None:
    noisy, clean = pair
    series = measured("psnr", [noisy], [clean])
    wanted = skimage.peak_signal_noise_ratio(clean, noisy, data_range=1)
    assert series.value == pytest.approx(wanted, abs=1e-4)
    for place, channel in enumerate("rgb"):
        own = skimage.peak_signal_noise_ratio(clean[place], noisy[place], data_range=1)
        assert series.clip[channel] == pytest.approx(own, abs=1e-4)
    lumas = [np.tensordot((0.299, 0.587, 0.114), picture, 1) for picture in (clean, noisy)]
    own = skimage.peak_signal_noise_ratio(*lumas, data_range=1)
    assert series.clip["luma"] == pytest.approx(own, abs=1e-3)


def test_ssim_is_scikit_images_to_four_digits(pair: tuple[Picture, Picture]) -> None:
    noisy, clean = pair
    series = measured("ssim", [noisy], [clean])
    settings: dict[str, Any] = {
        "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False,
    }  # fmt: skip
    codes = [np.rint(255 * p).astype(np.uint8) for p in (clean, noisy)]
    wanted = skimage.structural_similarity(*codes, data_range=255, channel_axis=0, **settings)
    assert series.value == pytest.approx(wanted, abs=1e-5)
    own = skimage.structural_similarity(codes[0][1], codes[1][1], data_range=255, **settings)
    assert series.clip["g"] == pytest.approx(own, abs=1e-5)


def test_identical_pictures_are_one_and_one_of_them_does_not_make_a_clip_perfect() -> None:
    clean = sliding(0, 2)
    other = [clean[0], clean[1] + np.float32(0.1)]
    assert measured("ssim", clean, clean).value == pytest.approx(1)
    assert measured("psnr", clean, clean).value == math.inf
    half = measured("psnr", other, clean)
    assert half.frames["all"][0] == math.inf
    assert half.value == pytest.approx(20, abs=1e-3)


def test_pictures_too_small_for_a_window_have_no_value() -> None:
    tiny = [np.zeros((3, 8, 8), np.float32)]
    assert math.isnan(measured("ssim", tiny, tiny).value)


def test_warping_error_is_that_of_shifted_slices() -> None:
    """By motion that is known exactly: a picture that moved three pixels to the right."""
    flow = torch.zeros(1, 112, 144, 2)
    flow[..., 0] = -3
    seen = np.ones((112, 144), bool)
    seen[:, :3] = False
    before, now = (np.stack([texture(seed=s)] * 3) + noise((3, 112, 144), 10, s) for s in (0, 1))
    apart = now[:, :, 3:].astype(np.float64) - before[:, :, :-3]
    wanted = 255 * np.sqrt(np.mean(apart**2))
    got = metrics.warping_error(frame_set.Motion(flow, seen), now, before)
    assert got == pytest.approx(wanted, rel=1e-5)


def test_warping_error_follows_motion_and_hears_noise() -> None:
    clean = sliding(3)
    still = measured("warping", clean, clean)
    assert still.frames["all"][0] is None
    assert still.value < 3
    assert still.value == pytest.approx(still.clip["reference"])
    grainy = [p + noise(p.shape, 20, i) for i, p in enumerate(clean)]
    # one frame keeps its noise of 20, the other's is halved at most by interpolation
    assert 20 < measured("warping", grainy, clean).value < 1.1 * 20 * math.sqrt(2)


def test_motion_is_not_sought_across_a_cut() -> None:
    clip = [sliding(0, 1)[0], 1 - np.stack([texture(seed=5)] * 3)]
    assert measured("warping", clip, clip).frames["all"] == (None, None)


def test_drift_is_signed_by_channel_and_against_the_reference() -> None:
    clean = sliding(0, 2)
    tinted = [p + np.array([1, 0, -2], np.float32)[:, None, None] / 255 for p in clean]
    series = measured("drift", tinted, clean)
    assert [series.clip[c] for c in "rgb"] == pytest.approx([1, 0, -2], abs=1e-3)
    assert series.value == pytest.approx(math.sqrt(5 / 3), rel=1e-3)
    assert measured("drift", tinted, noisy=clean).value == pytest.approx(series.value)


def test_planes_of_mosaics_have_names() -> None:
    clean = [np.random.default_rng(0).random((4, 24, 32)).astype(np.float32)]
    for name in ("psnr", "ssim", "drift"):
        assert list(measured(name, clean, clean).clip) == ["all", "R", "G1", "B", "G2"]


def test_noise_left_is_the_noise_that_is_there() -> None:
    scene = sliding(1, 10)
    for sigma in (0.0, 20.0):
        meter = frame_set.NoiseLeft()
        for index, picture in enumerate(scene):
            meter.add(picture + noise(picture.shape, sigma, index))
        assert meter.finish().value == pytest.approx(sigma, abs=2)


def test_noise_left_says_nothing_of_repeated_frames() -> None:
    meter = frame_set.NoiseLeft()
    for _ in range(10):
        meter.add(sliding(0, 1)[0])
    assert math.isnan(meter.finish().value)


def test_every_metric_says_what_it_is() -> None:
    assert metrics.available() == sorted(["psnr", "ssim", "warping", "drift", "noise_left"])
    for name, facts in metrics.METRICS.items():
        assert facts.name == name
        assert len(facts.definition) > 80
        assert facts.better in ("higher", "lower", "")


def test_an_unknown_metric_is_named_with_what_there_is() -> None:
    with pytest.raises(UsageError, match="metrics='pnsr': no such choice") as caught:
        metrics.check(("pnsr",))
    assert "Did you mean psnr?" in str(caught.value.hint)
    assert metrics.check(("noise-left", "psnr", "psnr")) == ("noise_left", "psnr")


def test_a_mosaics_noise_is_measured_plane_by_plane() -> None:
    meter = frame_set.NoiseLeft()
    for index in range(5):
        meter.add(np.stack([texture()] * 4) + noise((4, 112, 144), 8, index))
    assert meter.finish().clip["G1"] == pytest.approx(8, abs=1.5)
