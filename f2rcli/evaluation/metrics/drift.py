"""Drift of brightness and colour."""

import numpy as np

from f2rcli.evaluation.base import Metric
from f2rcli.evaluation.frame_set import FrameSet
from f2rcli.evaluation.measures.meters import ChannelValues, FrameMeter, by_channel
from f2rcli.evaluation.result import WHOLE, MetricFacts
from f2rcli.frames import Picture

FACTS = MetricFacts(
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


class DriftMeter(FrameMeter):
    """Differences of channel means."""

    def measure(self, frame_set: FrameSet, estimate: Picture) -> ChannelValues | None:
        base = frame_set.noisy if frame_set.reference is None else frame_set.reference
        if base is None:
            return None
        apart = 255 * (estimate.mean((1, 2), np.float64) - base.mean((1, 2), np.float64))
        signed = by_channel(self.setting.space, apart)
        return {WHOLE: float(np.sqrt(np.square(apart).mean()))} | signed


METRIC = Metric(FACTS, DriftMeter)
