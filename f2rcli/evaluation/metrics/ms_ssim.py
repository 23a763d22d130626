"""Multi-scale structural similarity."""

import numpy as np

from f2rcli.evaluation.base import Metric
from f2rcli.evaluation.frame_set import FrameSet
from f2rcli.evaluation.measures.meters import ChannelValues, FrameMeter, by_channel
from f2rcli.evaluation.metrics.ssim import WINDOW, similarity
from f2rcli.evaluation.result import WHOLE, MetricFacts
from f2rcli.frames import Floats, Picture, in_cells

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
SMALLEST = WINDOW * 2 ** (len(WEIGHTS) - 1)  # pixels: a window must fit at the coarsest scale

FACTS = MetricFacts(
    name="ms_ssim",
    title="MS-SSIM",
    digits=4,
    definition="Wang et al., Asilomar 2003: five scales, halved by 2 x 2 means (an odd last row "
    "or column left out), weights 0.0448, 0.2856, 0.3001, 0.2363, 0.1333; at each scale the SSIM "
    "of the metric ssim, negative values taken as 0; per channel, mean of the channels, mean "
    f"over frames. None for pictures under {SMALLEST} pixels.",
)


def multiscale(first: Floats, second: Floats) -> float:
    """MS-SSIM of two planes (H, W) in 0..1."""
    product = 1.0
    for scale, weight in enumerate(WEIGHTS):
        whole, structure = similarity(first, second)
        last = scale == len(WEIGHTS) - 1
        product *= max(whole if last else structure, 0.0) ** weight
        first, second = _halved(first), _halved(second)
    return product


def _halved(plane: Floats) -> Floats:
    return np.asarray(in_cells(plane, 2).mean((1, 3)))


class MsSsimMeter(FrameMeter):
    """MS-SSIM of each channel and their mean."""

    def measure(self, frame_set: FrameSet, estimate: Picture) -> ChannelValues | None:
        if frame_set.reference is None or min(estimate.shape[1:]) < SMALLEST:
            return None
        sides = (picture.astype(np.float64) for picture in (estimate, frame_set.reference))
        pairs = zip(*sides, strict=True)
        each = np.array([multiscale(a, b) for a, b in pairs])
        return {WHOLE: float(each.mean())} | by_channel(self.setting.space, each)


METRIC = Metric(FACTS, MsSsimMeter)
