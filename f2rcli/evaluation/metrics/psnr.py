"""Peak signal-to-noise ratio."""

import math

import numpy as np

from f2rcli.evaluation.base import Metric
from f2rcli.evaluation.frame_set import FrameSet, luma
from f2rcli.evaluation.measures.meters import ChannelValues, FrameMeter, by_channel
from f2rcli.evaluation.result import WHOLE, MetricFacts
from f2rcli.frames import Picture, Space

FACTS = MetricFacts(
    name="psnr",
    title="PSNR",
    unit="dB",
    definition="10 log10(1 / MSE) on the 0..1 scale (peak = white - black), MSE over all pixels "
    "and channels of a frame, no border left out unless --border says so; a clip's value is the "
    "mean over frames, those that are identical left out (inf where all are). luma is BT.601.",
)


def psnr(error: float) -> float:
    """Decibels of a mean squared error on the 0..1 scale."""
    return math.inf if error == 0 else -10 * math.log10(error)


class PsnrMeter(FrameMeter):
    """PSNR over everything, of each channel, and of luma."""

    def measure(self, frame_set: FrameSet, estimate: Picture) -> ChannelValues | None:
        if frame_set.reference is None:
            return None
        errors = np.square(estimate.astype(np.float64) - frame_set.reference).mean((1, 2))
        row = {WHOLE: psnr(float(errors.mean()))}
        row |= {name: psnr(v) for name, v in by_channel(self.setting.space, errors).items()}
        if self.setting.space is Space.RGB:
            apart = luma(estimate).astype(np.float64) - luma(frame_set.reference)
            row["luma"] = psnr(float(np.square(apart).mean()))
        return row


METRIC = Metric(FACTS, PsnrMeter)
