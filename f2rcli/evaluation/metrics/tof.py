"""tOF: how well the estimate moves as the reference does."""

import numpy as np

from f2rcli.evaluation.base import Metric
from f2rcli.evaluation.frame_set import FrameSet, luma
from f2rcli.evaluation.measures.meters import ChannelValues, FrameMeter
from f2rcli.evaluation.result import WHOLE, MetricFacts
from f2rcli.frames import Picture
from f2rcli.models.flow import DISFlow

FACTS = MetricFacts(
    name="tof",
    title="tOF",
    unit="px",
    better="lower",
    digits=3,
    definition="Chu et al. (TecoGAN), TOG 2020: mean length of the difference between the optical "
    "flow of the estimate and that of the reference, from each frame to the one before, over the "
    "pixels seen in both of the reference's frames; DIS flow on luma instead of Farneback's. None "
    "for a shot's first frame.",
)


class TOFMeter(FrameMeter):
    """End-point distance of two flows."""

    def measure(self, frame_set: FrameSet, estimate: Picture) -> ChannelValues | None:
        motion = frame_set.motion
        if frame_set.reference is None or motion is None or self.before is None:
            return None
        if not motion.seen.any():
            return None
        own = DISFlow()(luma(estimate), luma(self.before))
        apart = np.hypot(*np.moveaxis(own - motion.flow, -1, 0))
        return {WHOLE: float(apart[motion.seen].mean())}


METRIC = Metric(FACTS, TOFMeter)
