"""Warping error: how much a frame differs from the one before along the motion of the scene."""

import numpy as np

from f2rcli.evaluation.base import Metric
from f2rcli.evaluation.frame_set import FrameSet, Motion
from f2rcli.evaluation.measures.meters import ChannelValues, FrameMeter
from f2rcli.evaluation.result import WHOLE, MetricFacts
from f2rcli.frames import Picture

FACTS = MetricFacts(
    name="warping",
    title="Warping error",
    unit="/255",
    better="lower",
    reference=False,
    definition="Square root of the warping error of Lai et al., ECCV 2018, in 8-bit units: RMS "
    "difference of a frame and the frame before, brought along the motion of the reference (of "
    "the blurred noisy input where there is none) by DIS flow, over all channels of the pixels "
    "seen in both (flow there and back agrees, no motion boundary). None for a shot's first "
    "frame. Channel reference: the clean clip's own, which is the floor. Blur lowers it too.",
)


def warping_error(motion: Motion, now: Picture, before: Picture) -> float | None:
    """RMS difference along the motion, in 8-bit units; None where nothing is seen twice."""
    if not motion.seen.any():
        return None
    apart = (now - motion.fetch(before))[:, motion.seen]
    return 255 * float(np.sqrt(np.square(apart, dtype=np.float64).mean()))


class WarpingMeter(FrameMeter):
    """The estimate's warping error, and the reference's own."""

    def measure(self, frame_set: FrameSet, estimate: Picture) -> ChannelValues | None:
        if frame_set.motion is None or self.before is None or frame_set.before is None:
            return None
        value = warping_error(frame_set.motion, estimate, self.before)
        if value is None:
            return None
        row = {WHOLE: value}
        if frame_set.reference is not None and frame_set.before.reference is not None:
            own = warping_error(frame_set.motion, frame_set.reference, frame_set.before.reference)
            row |= {} if own is None else {"reference": own}
        return row


METRIC = Metric(FACTS, WarpingMeter)
