"""Flicker index: how brightness of small areas changes over time where the scene does not."""

import numpy as np
from numpy.typing import NDArray

from f2rcli.evaluation.base import Metric
from f2rcli.evaluation.frame_set import FrameSet, Motion, luma
from f2rcli.evaluation.measures.meters import ChannelValues, FrameMeter
from f2rcli.evaluation.result import WHOLE, MetricFacts
from f2rcli.frames import Picture, in_cells

BLOCK = 16  # pixels per side
SEEN = 0.75  # share of a block that must be seen in both frames

FACTS = MetricFacts(
    name="flicker",
    title="Flicker",
    unit="/255",
    better="lower",
    reference=False,
    definition="Change of mean luma of 16 x 16 blocks from the frame before, brought along the "
    "motion as for the warping error, less the reference's own change where there is one; RMS "
    "over blocks of which 75 % is seen in both frames, divided by sqrt 2 (so it is the standard "
    "deviation over time of independent changes), in 8-bit units. None for a shot's first frame. "
    "It shows pumping and low-frequency noise, which the warping error drowns in grain.",
)


def block_change(motion: Motion, now: Picture, before: Picture) -> NDArray[np.float64]:
    """Change of mean luma per block along the motion; nan where a block is hardly visible."""
    apart = luma(now) - motion.fetch(luma(before)[None])[0]
    seen = _sums(motion.seen.astype(np.float64))
    with np.errstate(invalid="ignore", divide="ignore"):
        means = _sums(np.where(motion.seen, apart, 0).astype(np.float64)) / seen
    return np.where(seen >= SEEN * BLOCK**2, means, np.nan)


def _sums(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(in_cells(plane, BLOCK).sum((1, 3)))


class FlickerMeter(FrameMeter):
    """RMS of the blocks' changes that are not the reference's."""

    def measure(self, frame_set: FrameSet, estimate: Picture) -> ChannelValues | None:
        if frame_set.motion is None or self.before is None or frame_set.before is None:
            return None
        change = block_change(frame_set.motion, estimate, self.before)
        if frame_set.reference is not None and frame_set.before.reference is not None:
            change -= block_change(
                frame_set.motion, frame_set.reference, frame_set.before.reference
            )
        known = change[np.isfinite(change)]
        if known.size == 0:
            return None
        return {WHOLE: 255 * float(np.sqrt(np.square(known).mean() / 2))}


METRIC = Metric(FACTS, FlickerMeter)
