"""FITVNet's average deviation: how bad the worst patches are, where detail was smoothed away."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from f2rcli.evaluation.base import Metric
from f2rcli.evaluation.frame_set import FrameSet
from f2rcli.evaluation.measures.meters import ChannelValues, FrameMeter
from f2rcli.evaluation.result import WHOLE, MetricFacts, MetricSeries
from f2rcli.frames import Picture

PATCH = 32  # pixels per side

FACTS = MetricFacts(
    name="ad",
    title="Average deviation",
    better="lower",
    digits=4,
    definition="FITVNet: standard deviation of estimate - reference (0..1, all channels) in each "
    "32 x 32 patch, patches side by side from the upper left, an incomplete last row or column "
    "left out; the mean of those that exceed their mean. A clip's is the mean over its frames, its "
    "channel max the largest of any frame (the paper's AD_max), above the number of frames beyond "
    "the mean (#AD). None for pictures under 32 pixels.",
)


def deviations(apart: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviation of every patch of a difference (C, H, W)."""
    count, height, width = apart.shape
    rows, columns = height // PATCH, width // PATCH
    cells = apart[:, : rows * PATCH, : columns * PATCH].reshape(count, rows, PATCH, columns, PATCH)
    return np.asarray(cells.std((0, 2, 4)))


class AverageDeviationMeter(FrameMeter):
    """Mean of the deviations above their mean, per frame."""

    def measure(self, frame_set: FrameSet, estimate: Picture) -> ChannelValues | None:
        if frame_set.reference is None or min(estimate.shape[1:]) < PATCH:
            return None
        rho = deviations(estimate.astype(np.float64) - frame_set.reference)
        above = rho[rho > rho.mean()]
        return {WHOLE: float(above.mean() if above.size else rho.mean())}

    def finish(self) -> MetricSeries:
        series = super().finish()
        known = [value for value in series.frames[WHOLE] if value is not None]
        if not known:
            return series
        above = sum(value > series.value for value in known)
        return replace(series, clip={**series.clip, "max": max(known), "above": float(above)})


METRIC = Metric(FACTS, AverageDeviationMeter)
