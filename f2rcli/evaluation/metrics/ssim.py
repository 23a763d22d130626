"""Structural similarity."""

import cv2
import numpy as np

from f2rcli.evaluation.base import Metric
from f2rcli.evaluation.frame_set import FrameSet, luma
from f2rcli.evaluation.measures.meters import ChannelValues, FrameMeter, by_channel
from f2rcli.evaluation.result import WHOLE, MetricFacts
from f2rcli.frames import Floats, Picture, Space

SIGMA = 1.5
WINDOW = 11
K1, K2 = 0.01, 0.03


FACTS = MetricFacts(
    name="ssim",
    title="SSIM",
    digits=4,
    definition="Wang et al., TIP 2004: Gaussian window of 11 x 11, sigma 1.5, population "
    "covariance, K1 = 0.01, K2 = 0.03, data range 1 (white - black); only windows that lie inside "
    "the picture (5 pixels of border left out); per channel, mean of the channels, mean over "
    "frames. The same as scikit-image with gaussian_weights=True, sigma=1.5, "
    "use_sample_covariance=False. None for pictures under 11 pixels.",
)


def similarity(first: Floats, second: Floats) -> tuple[float, float]:
    """SSIM of two planes (H, W) in 0..1, and its part from contrast and structure alone."""
    c1, c2 = K1**2, K2**2
    mean_a, mean_b = _blurred(first), _blurred(second)
    var_a = _blurred(first * first) - mean_a**2
    var_b = _blurred(second * second) - mean_b**2
    both = _blurred(first * second) - mean_a * mean_b
    structure = (2 * both + c2) / (var_a + var_b + c2)
    light = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return float((light * structure).mean()), float(structure.mean())


def _blurred(values: Floats) -> Floats:
    edge = WINDOW // 2
    whole = cv2.GaussianBlur(values, (WINDOW, WINDOW), SIGMA, borderType=cv2.BORDER_REFLECT)
    return np.asarray(whole[edge:-edge, edge:-edge], np.float64)


class SsimMeter(FrameMeter):
    """SSIM of each channel, their mean, and luma's."""

    def measure(self, frame_set: FrameSet, estimate: Picture) -> ChannelValues | None:
        if frame_set.reference is None or min(estimate.shape[1:]) < WINDOW:
            return None
        sides = (picture.astype(np.float64) for picture in (estimate, frame_set.reference))
        pairs = zip(*sides, strict=True)
        each = np.array([similarity(a, b)[0] for a, b in pairs])
        row = {WHOLE: float(each.mean())} | by_channel(self.setting.space, each)
        if self.setting.space is Space.RGB:
            pair = (luma(p).astype(np.float64) for p in (estimate, frame_set.reference))
            row["luma"] = similarity(*pair)[0]
        return row


METRIC = Metric(FACTS, SsimMeter)
