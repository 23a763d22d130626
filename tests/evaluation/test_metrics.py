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
from torch.nn import functional

from f2rcli import yuv
from f2rcli.errors import UsageError
from f2rcli.evaluation import metrics
from f2rcli.evaluation.base import ClipFacts
from f2rcli.evaluation.frame_set import FrameSet, Motion, luma
from f2rcli.evaluation.measures.meters import mean
from f2rcli.evaluation.measures.residual import (
    PATCH,
    REACH,
    ResidualMeter,
    covariance,
    flatness,
    patches,
)
from f2rcli.evaluation.metrics.ad import deviations
from f2rcli.evaluation.metrics.flicker import BLOCK, block_change
from f2rcli.evaluation.metrics.ms_ssim import SMALLEST, WEIGHTS, multiscale
from f2rcli.evaluation.metrics.vmaf import missing
from f2rcli.evaluation.metrics.warping import warping_error
from f2rcli.evaluation.result import MetricSeries
from f2rcli.frames import Picture, Space
from f2rcli.io import open_reader

EXAMPLE = Path(__file__).parents[2] / "examples" / "noisy_path_lossless.mkv"
RGB = ClipFacts(space=Space.RGB)
GRAY = ClipFacts(space=Space.GRAY)


@pytest.fixture(scope="module")
def footage() -> list[Picture]:
    """Six frames of a real clip, 8-bit codes as 0..1."""
    with open_reader(EXAMPLE) as reader:
        pictures = [np.clip(yuv.to_rgb(frame), 0, 1) for frame in islice(iter(reader), 6)]
    return [np.rint(255 * picture).astype(np.float32) / np.float32(255) for picture in pictures]


@pytest.fixture(scope="module")
def pair(footage: list[Picture]) -> tuple[Picture, Picture]:
    """A real noisy frame and a smoother version of it, which stands for the clean one."""
    clean = np.stack([ndimage.gaussian_filter(plane, 1.0) for plane in footage[0]])
    return footage[0], (np.rint(255 * clean) / 255).astype(np.float32)


def texture(rows: int = 112, columns: int = 144, seed: int = 0) -> NDArray[np.float32]:
    """A smooth random texture in 0.2..0.8."""
    rough = np.random.default_rng(seed).random((rows, columns))
    smooth = ndimage.gaussian_filter(rough, 2.5, mode="wrap")
    return (0.2 + 0.6 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.float32)


def sliding(shift: int, frames: int = 4) -> list[Picture]:
    """A texture that moves by `shift` pixels to the right from frame to frame."""
    plane = texture()
    return [np.stack([np.roll(plane, shift * i, 1)] * 3) for i in range(frames)]


def measured(
    name: str,
    estimates: list[Picture],
    reference: list[Picture] | None = None,
    noisy: list[Picture] | None = None,
    setting: ClipFacts = RGB,
) -> MetricSeries:
    """What a metric says of a clip."""
    meter = metrics.load(name)[0].meter(setting)
    assert meter is not None
    before = None
    for index, estimate in enumerate(estimates):
        frame_set = FrameSet(
            index=index,
            reference=None if reference is None else reference[index],
            noisy=None if noisy is None else noisy[index],
        )
        frame_set.follow(before)
        meter.add(frame_set, estimate)
        before = frame_set
    return meter.finish()


def noise(shape: tuple[int, ...], sigma8: float, seed: int = 1) -> Picture:
    rng = np.random.default_rng(seed)
    return (rng.normal(0, sigma8 / 255, shape)).astype(np.float32)


def test_psnr_is_scikit_images_to_four_digits(pair: tuple[Picture, Picture]) -> None:
    noisy, clean = pair
    series = measured("psnr", [noisy], [clean])
    wanted = skimage.peak_signal_noise_ratio(clean, noisy, data_range=1)
    assert series.value == pytest.approx(wanted, abs=1e-4)
    for place, channel in enumerate("rgb"):
        own = skimage.peak_signal_noise_ratio(clean[place], noisy[place], data_range=1)
        assert series.clip[channel] == pytest.approx(own, abs=1e-4)
    own = skimage.peak_signal_noise_ratio(luma(clean), luma(noisy), data_range=1)
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


def torch_ms_ssim(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """MS-SSIM after Wang et al. once more, by convolutions in torch."""
    axis = torch.arange(-5, 6, dtype=torch.float64)
    taps = torch.exp(-(axis**2) / (2 * 1.5**2))
    window = torch.outer(taps, taps)[None, None] / taps.sum() ** 2
    a, b = (torch.from_numpy(p.astype(np.float64))[None, None] for p in (first, second))
    factors = []
    for scale in range(5):
        mu_a, mu_b = functional.conv2d(a, window), functional.conv2d(b, window)
        aa, bb, ab = (functional.conv2d(x, window) for x in (a * a, b * b, a * b))
        va, vb, cov = aa - mu_a**2, bb - mu_b**2, ab - mu_a * mu_b
        cs = (2 * cov + 0.03**2) / (va + vb + 0.03**2)
        light = (2 * mu_a * mu_b + 0.01**2) / (mu_a**2 + mu_b**2 + 0.01**2)
        factors.append(float((light * cs if scale == 4 else cs).mean()))
        a, b = functional.avg_pool2d(a, 2), functional.avg_pool2d(b, 2)
    return math.prod(f**w for f, w in zip(factors, WEIGHTS, strict=True))


def test_ms_ssim_is_that_of_a_second_implementation() -> None:
    clean = texture(201, 230)
    noisy = np.clip(clean + noise(clean.shape, 25), 0, 1)
    own = multiscale(clean.astype(np.float64), noisy.astype(np.float64))
    assert own == pytest.approx(torch_ms_ssim(clean, noisy), abs=1e-6)
    assert 0.3 < own < 0.95


@pytest.mark.parametrize("name", ["ssim", "ms_ssim"])
def test_identical_pictures_are_one(name: str) -> None:
    picture = texture(SMALLEST, SMALLEST)[None]
    assert measured(name, [picture], [picture], setting=GRAY).value == pytest.approx(1)


def test_psnr_of_identical_pictures_is_infinite_and_one_of_them_does_not_make_a_clip_perfect() -> (
    None
):
    clean = sliding(0, 2)
    other = [clean[0], clean[1] + np.float32(0.1)]
    assert measured("psnr", clean, clean).value == math.inf
    half = measured("psnr", other, clean)
    assert half.frames["all"][0] == math.inf
    assert half.value == pytest.approx(20, abs=1e-3)
    assert math.isnan(mean([]))


def test_pictures_too_small_for_a_window_have_no_value() -> None:
    tiny = [np.zeros((3, 8, 8), np.float32)]
    for name in ("ssim", "ms_ssim", "ad"):
        assert math.isnan(measured(name, tiny, tiny).value)


def hand_made(shift: int, shape: tuple[int, int]) -> Motion:
    """Exact motion of a picture that moved `shift` pixels to the right."""
    flow = np.zeros((*shape, 2), np.float32)
    flow[..., 0] = -shift
    seen = np.ones(shape, bool)
    seen[:, :shift] = False
    return Motion(flow, seen)


def test_warping_error_is_that_of_shifted_slices() -> None:
    before, now = (np.stack([texture(seed=s)] * 3) + noise((3, 112, 144), 10, s) for s in (0, 1))
    apart = now[:, :, 3:].astype(np.float64) - before[:, :, :-3]
    wanted = 255 * np.sqrt(np.mean(apart**2))
    assert warping_error(hand_made(3, (112, 144)), now, before) == pytest.approx(wanted, rel=1e-5)


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
    first, second = sliding(0, 1)[0], np.stack([texture(seed=5)] * 3)
    clip = [first, 1 - second]
    assert measured("warping", clip, clip).frames["all"] == (None, None)


def test_tof_is_the_difference_of_known_motions() -> None:
    assert measured("tof", sliding(2), sliding(2)).value < 0.05
    assert measured("tof", sliding(3), sliding(2)).value == pytest.approx(1, abs=0.15)


def test_flicker_is_that_of_blocks_in_a_loop() -> None:
    before, now = (np.stack([texture(seed=s)] * 3) for s in (0, 1))
    motion = hand_made(3, (112, 144))
    apart = luma(now).astype(np.float64) - np.roll(luma(before), 3, 1)
    change = block_change(motion, now, before)
    for row in range(112 // BLOCK):
        for column in range(144 // BLOCK):
            place = np.s_[row * BLOCK : (row + 1) * BLOCK, column * BLOCK : (column + 1) * BLOCK]
            wanted = apart[place][motion.seen[place]].mean()
            assert change[row, column] == pytest.approx(wanted, abs=1e-6)


def test_flicker_hears_pumping_which_is_not_the_references_own() -> None:
    clean = sliding(1)
    pumping = [p + np.float32((-1) ** i * 2 / 255) for i, p in enumerate(clean)]
    assert measured("flicker", pumping, clean).value == pytest.approx(4 / math.sqrt(2), rel=0.02)
    assert measured("flicker", clean, clean).value == pytest.approx(0, abs=1e-6)
    fading = [p + np.float32(i * 2 / 255) for i, p in enumerate(clean)]
    assert measured("flicker", fading, fading).value == pytest.approx(0, abs=1e-6)


def test_average_deviation_is_that_of_patches_in_a_loop(pair: tuple[Picture, Picture]) -> None:
    apart = pair[0].astype(np.float64) - pair[1]
    rows, columns = (size // 32 for size in apart.shape[1:])
    rho = [
        np.std(apart[:, 32 * r : 32 * r + 32, 32 * c : 32 * c + 32])
        for r in range(rows)
        for c in range(columns)
    ]
    assert np.allclose(deviations(apart).ravel(), rho)
    above = [value for value in rho if value > np.mean(rho)]
    assert measured("ad", [pair[0]], [pair[1]]).value == pytest.approx(np.mean(above))


def test_the_largest_average_deviation_of_a_clip_and_how_many_frames_are_beyond_the_mean(
    pair: tuple[Picture, Picture],
) -> None:
    clean = pair[1]
    apart = pair[0] - clean
    series = measured("ad", [clean + np.float32(k) * apart for k in (1, 2, 2, 2)], [clean] * 4)
    one = series.frames["all"][0]
    assert one is not None
    assert series.clip["max"] == pytest.approx(2 * one, rel=1e-4)
    assert series.clip["above"] == 3


def test_whiteness_is_the_flatness_of_a_spectrum() -> None:
    rng = np.random.default_rng(0)
    plane = ndimage.gaussian_filter(rng.normal(size=(256, 256)), 0.7)
    each = plane.reshape(8, 32, 8, 32).swapaxes(1, 2).reshape(-1, 32, 32)
    assert np.array_equal(patches(plane), each)
    freq = [np.abs(np.fft.fft2(p - p.mean())) ** 2 for p in each]
    values = np.mean(freq, axis=0).ravel()[1:]
    wanted = np.exp(np.log(values).mean()) / values.mean()  # geometric over arithmetic
    noisy = np.stack([plane.astype(np.float32)] * 3)
    estimate = np.zeros_like(noisy)
    assert measured("whiteness", [estimate], noisy=[noisy]).value == pytest.approx(wanted, rel=1e-4)
    white = [noise((3, 256, 256), 30, i) for i in range(4)]
    assert measured("whiteness", [estimate] * 4, noisy=white).value > 0.99
    assert wanted < 0.8
    assert math.isnan(flatness(np.zeros((32, 32))))


def test_autocorrelation_is_that_of_scipy() -> None:
    signal = pytest.importorskip("scipy.signal")
    each = np.random.default_rng(3).normal(size=(3, PATCH, PATCH))
    total = np.zeros((2 * REACH + 1, 2 * REACH + 1))
    for patch in each:
        flat = patch - patch.mean()
        sums = signal.correlate2d(flat, flat)
        pairs = signal.correlate2d(np.ones_like(flat), np.ones_like(flat))
        middle = slice(PATCH - 1 - REACH, PATCH + REACH)
        total += (sums / pairs)[middle, middle] / len(each)
    assert np.allclose(covariance(each), total)


def test_residual_of_pure_noise_is_white_and_knows_its_sigma() -> None:
    clean = sliding(1)
    meter = ResidualMeter()
    for index, picture in enumerate(clean):
        meter.add(picture + noise(picture.shape, 30, index) + np.float32(1 / 255), picture)
    residual = meter.finish()
    assert residual is not None
    assert residual.sigma8 == pytest.approx([30] * 3, rel=0.02)
    assert residual.mean8 == pytest.approx([1] * 3, abs=0.3)
    lags = np.array(residual.autocorrelation)
    assert lags[REACH, REACH] == pytest.approx(1)
    lags[REACH, REACH] = 0
    assert np.abs(lags).max() < 0.03
    assert np.mean(residual.spectrum) == pytest.approx(1)
    assert abs(residual.structure) < 0.02


def test_structure_is_a_correlation_coefficient(pair: tuple[Picture, Picture]) -> None:
    noisy, estimate = pair
    kept, removed = (
        np.stack([p - ndimage.gaussian_filter(p, 1.5, mode="mirror") for p in picture])
        for picture in (estimate, noisy - estimate)
    )
    wanted = np.sum(kept * removed) / np.sqrt(np.sum(kept**2) * np.sum(removed**2))
    assert measured("structure", [estimate], noisy=[noisy]).value == pytest.approx(wanted, abs=2e-3)


def test_structure_and_sharpness_tell_blur_from_a_perfect_estimate() -> None:
    clean = sliding(1)
    noisy = [p + noise(p.shape, 8, i) for i, p in enumerate(clean)]
    blurred = [ndimage.gaussian_filter(p, (0, 1.5, 1.5)) for p in noisy]
    assert abs(measured("structure", clean, noisy=noisy).value) < 0.02
    assert measured("structure", blurred, noisy=noisy).value > 0.1
    assert measured("sharpness", clean, noisy=noisy).value == pytest.approx(1, abs=0.02)
    assert measured("sharpness", blurred, noisy=noisy).value < 0.9
    assert measured("sharpness", noisy, noisy=noisy).value == pytest.approx(1)


def test_sharpness_is_that_of_numpys_gradient() -> None:
    estimate, noisy = (np.stack([texture(seed=s)] * 3) for s in (0, 0))
    noisy = noisy + noise(noisy.shape, 5)
    down, right = (g[1:-1, 1:-1] for g in np.gradient(luma(estimate)))
    noisy_down, noisy_right = (g[1:-1, 1:-1] for g in np.gradient(luma(noisy)))
    steep = down**2 + right**2
    edges = steep >= np.quantile(steep, 0.95)
    wanted = steep[edges].sum() / (down * noisy_down + right * noisy_right)[edges].sum()
    got = measured("sharpness", [estimate], noisy=[noisy]).value
    assert got == pytest.approx(wanted, rel=0.01)


def test_drift_is_signed_by_channel_and_against_the_reference() -> None:
    clean = sliding(0, 2)
    tinted = [p + np.array([1, 0, -2], np.float32)[:, None, None] / 255 for p in clean]
    series = measured("drift", tinted, clean)
    assert [series.clip[c] for c in "rgb"] == pytest.approx([1, 0, -2], abs=1e-3)
    assert series.value == pytest.approx(math.sqrt(5 / 3), rel=1e-3)
    assert measured("drift", tinted, noisy=clean).value == pytest.approx(series.value)


def test_noise_left_is_the_noise_that_was_put_there() -> None:
    clean = [np.stack([texture(192, 192)] * 3)] * 7
    grainy = [p + noise(p.shape, 12, i) for i, p in enumerate(clean)]
    assert measured("noise_left", grainy).value == pytest.approx(12, rel=0.1)
    assert math.isnan(measured("noise_left", grainy[:2]).value)


@pytest.mark.skipif(missing() is not None, reason="no FFmpeg with libvmaf")
def test_vmaf_takes_the_distorted_clip_first_and_gives_every_frame() -> None:
    clean = [np.stack([texture(180, 240, i)] * 3) for i in range(3)]
    grainy = [p + noise(p.shape, 30, i) for i, p in enumerate(clean)]
    perfect, poor = (measured("vmaf", clip, clean) for clip in (clean, grainy))
    assert len(poor.frames["all"]) == 3
    assert perfect.value > 95 > poor.value + 10
    assert measured("vmaf", clean, grainy).value != pytest.approx(poor.value, abs=0.5)


def test_without_an_ffmpeg_that_has_it_vmaf_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("f2rcli.evaluation.metrics.vmaf.program_with", lambda _: None)
    reason = missing()
    assert reason is not None
    assert "f2rcli[eval]" in reason


def test_gray_and_mosaics_have_their_own_channels() -> None:
    picture = [texture()[None]]
    assert list(measured("psnr", picture, picture, setting=GRAY).clip) == ["all"]
    planes = [np.stack([texture(seed=s) for s in range(4)])]
    bayer = ClipFacts(space=Space.BAYER)
    assert list(measured("ssim", planes, planes, setting=bayer).clip) == [
        "all",
        "R",
        "G1",
        "B",
        "G2",
    ]
    assert metrics.load("vmaf")[0].meter(bayer) is None


def test_every_metric_says_what_it_is() -> None:
    for name in metrics.available():
        facts = metrics.load(name)[0].facts
        assert facts.name == name
        assert len(facts.definition) > 80
        assert facts.better in ("higher", "lower", "")


def test_an_unknown_metric_is_named_with_what_there_is() -> None:
    with pytest.raises(UsageError, match="metrics='pnsr': no such choice") as caught:
        metrics.check(("pnsr",))
    assert "Did you mean psnr?" in str(caught.value.hint)
    assert metrics.check(("ms-ssim", "psnr", "psnr")) == ("ms_ssim", "psnr")
