"""Sharpness kept at edges, without a reference."""

import cv2
import numpy as np

from f2rcli.evaluation.base import Metric
from f2rcli.evaluation.frame_set import FloatPlane, FrameSet, luma
from f2rcli.evaluation.measures.meters import ChannelValues, FrameMeter
from f2rcli.evaluation.result import WHOLE, MetricFacts
from f2rcli.frames import Picture

EDGES = 0.05  # share of pixels that count as edges

FACTS = MetricFacts(
    name="sharpness",
    title="Sharpness kept",
    better="",
    digits=3,
    reference=False,
    definition="Slope of edges in the estimate over their slope in the noisy input: with g the "
    "luma gradient (central differences), sum |g_estimate|^2 / sum g_noisy . g_estimate over the "
    "5 % of pixels where the estimate is steepest; noise averages out of the second sum. 1 keeps "
    "edges as steep as they were, less is blur, more is sharpening. Noise left in the estimate "
    "pulls it down a little.",
)


def gradient(plane: FloatPlane) -> tuple[FloatPlane, FloatPlane]:
    """Central differences (right, down) of a plane."""
    right = cv2.filter2D(plane, -1, np.array([[-0.5, 0, 0.5]], np.float32))
    down = cv2.filter2D(plane, -1, np.array([[-0.5], [0], [0.5]], np.float32))
    return np.asarray(right, np.float32), np.asarray(down, np.float32)


class SharpnessMeter(FrameMeter):
    """The ratio of slopes per frame."""

    def measure(self, frame_set: FrameSet, estimate: Picture) -> ChannelValues | None:
        if frame_set.noisy is None:
            return None
        right, down = gradient(luma(estimate))
        noisy_right, noisy_down = gradient(luma(frame_set.noisy))
        steep = right**2 + down**2
        edges = steep >= np.quantile(steep, 1 - EDGES)
        kept = steep[edges].sum(dtype=np.float64)
        both = (right * noisy_right + down * noisy_down)[edges].sum(dtype=np.float64)
        return {WHOLE: float(kept / both)} if both > 0 else None


METRIC = Metric(FACTS, SharpnessMeter)
