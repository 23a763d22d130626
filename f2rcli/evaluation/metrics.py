"""The metrics: what each is, and a function that measures one frame.

A metric is a row of METRICS and a function in `MEASURES`, but for `noise_left`, which looks at a
clip's first frames together (`frame_set.NoiseLeft`).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from f2rcli.evaluation.result import CHANNELS, CLEAN, WHOLE, MetricFacts, MetricSeries, luma
from f2rcli.frames import Floats, Picture
from f2rcli.settings import Setting

if TYPE_CHECKING:
    from f2rcli.evaluation.frame_set import FrameSet, Motion

ChannelValues = Mapping[str, float]  # by channel, WHOLE among them
# The values of one side of a frame, by its name; None where there is nothing to measure.
Measure = Callable[["FrameSet", str], ChannelValues | None]

SSIM_SIGMA, SSIM_WINDOW = 1.5, 11  # pixels
SSIM_K1, SSIM_K2 = 0.01, 0.03

PSNR = MetricFacts(
    name="psnr",
    title="PSNR",
    unit="dB",
    definition="10 log10(1 / MSE) on the 0..1 scale (peak = white - black), MSE over all pixels "
    "and channels of a frame, no border left out; a clip's value is the "
    "mean over frames, those that are identical left out (inf where all are). luma is BT.601.",
)
SSIM = MetricFacts(
    name="ssim",
    title="SSIM",
    digits=4,
    definition="Wang et al., TIP 2004: Gaussian window of 11 x 11, sigma 1.5, population "
    "covariance, K1 = 0.01, K2 = 0.03, data range 1 (white - black); only windows that lie inside "
    "the picture (5 pixels of border left out); per channel, mean of the channels, mean over "
    "frames. The same as scikit-image with gaussian_weights=True, sigma=1.5, "
    "use_sample_covariance=False. None for pictures under 11 pixels.",
)
WARPING = MetricFacts(
    name="warping",
    title="Warping error",
    unit="/255",
    better="lower",
    reference=False,
    definition="Square root of the warping error of Lai et al., ECCV 2018, in 8-bit units: RMS "
    "difference of a frame and the frame before, brought along the motion of the reference (of "
    "the blurred noisy input where there is none) by DIS flow, over all channels of the pixels "
    "seen in both (flow there and back agrees). None for a shot's first "
    "frame. Channel reference: the clean clip's own, which is the floor. Blur lowers it too.",
)
DRIFT = MetricFacts(
    name="drift",
    title="Colour drift",
    unit="/255",
    better="lower",
    digits=3,
    reference=False,
    definition="RMS over channels of the difference between a frame's channel means and those of "
    "the reference (of the noisy input where there is none), in 8-bit units; channels hold the "
    "signed differences. Noise that 8 bits clipped shifts the noisy input's own means.",
)
NOISE_LEFT = MetricFacts(
    name="noise_left",
    title="Noise left",
    unit="/255",
    better="lower",
    reference=False,
    definition="Standard deviation of the noise that `f2r noise` measures in the estimate, mean "
    "of the channels, in 8-bit units, on the first 10 frames (the middle 640 x 480 pixels). Only "
    "noise that is new in every frame counts; what stays in place or moves along does not. None "
    "where frames hold too little evidence. Blur lowers it too.",
)
METRICS = {facts.name: facts for facts in (PSNR, SSIM, WARPING, DRIFT, NOISE_LEFT)}
WITH_REFERENCE = ("psnr", "ssim", "warping")  # what is measured unless asked otherwise
WITHOUT = ("noise_left", "warping", "drift")


def available() -> list[str]:
    return sorted(METRICS)


def check(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names without duplicates, "all" expanded; raises UsageError for an unknown one."""
    spelt = [name.replace("-", "_") for name in names]
    for name in spelt:
        Setting(choices=[*available(), "all"]).check("metrics", name)
    return tuple(dict.fromkeys(n for name in spelt for n in (METRICS if name == "all" else [name])))


def psnr(error: float) -> float:
    """Decibels of a mean squared error on the 0..1 scale."""
    return math.inf if error == 0 else -10 * math.log10(error)


def similarity(first: Floats, second: Floats) -> float:
    """SSIM of two planes (H, W) in 0..1."""
    c1, c2 = SSIM_K1**2, SSIM_K2**2
    mean_a, mean_b = _windowed(first), _windowed(second)
    var_a = _windowed(first * first) - mean_a**2
    var_b = _windowed(second * second) - mean_b**2
    both = _windowed(first * second) - mean_a * mean_b
    structure = (2 * both + c2) / (var_a + var_b + c2)
    light = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return float((light * structure).mean())


def warping_error(motion: "Motion", now: Picture, before: Picture) -> float | None:
    """RMS difference along the motion, in 8-bit units; None where nothing is seen twice."""
    if not motion.seen.any():
        return None
    apart = (now - motion.fetch(before))[:, motion.seen]
    return 255 * float(np.sqrt(np.square(apart, dtype=np.float64).mean()))


def _psnr(frame: "FrameSet", name: str) -> ChannelValues | None:
    estimate = frame.sides[name]
    if frame.reference is None:
        return None
    errors = np.square(estimate.astype(np.float64) - frame.reference).mean((1, 2))
    row = {WHOLE: psnr(float(errors.mean()))}
    row |= {name: psnr(value) for name, value in _by_channel(errors).items()}
    if len(estimate) == 3:
        apart = luma(estimate).astype(np.float64) - luma(frame.reference)
        row["luma"] = psnr(float(np.square(apart).mean()))
    return row


def _ssim(frame: "FrameSet", name: str) -> ChannelValues | None:
    estimate = frame.sides[name]
    if frame.reference is None or min(estimate.shape[1:]) < SSIM_WINDOW:
        return None
    sides = (picture.astype(np.float64) for picture in (estimate, frame.reference))
    each = np.array([similarity(*planes) for planes in zip(*sides, strict=True)])
    row = {WHOLE: float(each.mean())} | _by_channel(each)
    if len(estimate) == 3:
        pair = (luma(picture).astype(np.float64) for picture in (estimate, frame.reference))
        row["luma"] = similarity(*pair)
    return row


def _warping(frame: "FrameSet", name: str) -> ChannelValues | None:
    if frame.motion is None or frame.before is None or name not in frame.before.sides:
        return None
    value = warping_error(frame.motion, frame.sides[name], frame.before.sides[name])
    if value is None:
        return None
    row = {WHOLE: value}
    if frame.reference is not None and frame.before.reference is not None:
        own = warping_error(frame.motion, frame.reference, frame.before.reference)
        row |= {} if own is None else {"reference": own}
    return row


def _drift(frame: "FrameSet", name: str) -> ChannelValues | None:
    estimate, base = frame.sides[name], frame.sides.get(CLEAN, frame.noisy)
    if base is None:
        return None
    apart = 255 * (estimate.mean((1, 2), np.float64) - base.mean((1, 2), np.float64))
    return {WHOLE: float(np.sqrt(np.square(apart).mean()))} | _by_channel(apart)


MEASURES: dict[str, Measure] = {
    "psnr": _psnr, "ssim": _ssim, "warping": _warping, "drift": _drift,
}  # fmt: skip


def series_of(rows: Sequence[ChannelValues | None]) -> MetricSeries:
    """Frames' values as a series; a clip's value is their `mean`."""
    channels = dict.fromkeys([WHOLE, *(name for row in rows if row for name in row)])
    frames = {name: tuple(row.get(name) if row else None for row in rows) for name in channels}
    means = {name: mean([v for v in each if v is not None]) for name, each in frames.items()}
    return MetricSeries(frames=frames, clip=means)


def mean(values: list[float]) -> float:
    """The mean of the finite values, so that one exact black frame makes no clip perfect; inf if
    all are, nan if there are none."""
    finite = [value for value in values if math.isfinite(value)]
    if finite:
        return fmean(finite)
    return math.inf if values and all(value == math.inf for value in values) else math.nan


def _by_channel(values: NDArray[np.float64]) -> dict[str, float]:
    """Values of a picture's channels by their names; nothing for gray."""
    return dict(zip(CHANNELS[len(values)], map(float, values), strict=False))


def _windowed(values: Floats) -> Floats:
    """Means in SSIM's window, where it lies inside the plane."""
    import cv2

    edge = SSIM_WINDOW // 2
    size = (SSIM_WINDOW, SSIM_WINDOW)
    whole = cv2.GaussianBlur(values, size, SSIM_SIGMA, borderType=cv2.BORDER_REFLECT)
    return np.asarray(whole[edge:-edge, edge:-edge], np.float64)
