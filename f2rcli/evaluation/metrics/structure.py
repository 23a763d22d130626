"""Picture structure in the removed signal."""

from f2rcli.evaluation.base import Metric
from f2rcli.evaluation.frame_set import FrameSet
from f2rcli.evaluation.measures.meters import ChannelValues, FrameMeter
from f2rcli.evaluation.measures.residual import Products
from f2rcli.evaluation.result import WHOLE, MetricFacts
from f2rcli.frames import Picture

FACTS = MetricFacts(
    name="structure",
    title="Structure removed",
    better="lower",
    digits=3,
    reference=False,
    definition="Correlation of the detail (what a Gaussian blur of 1.5 px takes away) of "
    "noisy - estimate with the detail of the estimate, over all pixels and channels, as in the "
    "method noise of Buades et al., 2005, and Kong et al., ICCV 2013. 0 for noise that is "
    "independent of the picture; above it, detail was taken out with the noise, or noise was "
    "left beside what was taken.",
)


class StructureMeter(FrameMeter):
    """The correlation per frame."""

    def measure(self, frame_set: FrameSet, estimate: Picture) -> ChannelValues | None:
        if frame_set.noisy is None or frame_set.noisy is estimate:
            return None
        return {WHOLE: Products().add(frame_set.noisy - estimate, estimate)}


METRIC = Metric(FACTS, StructureMeter)
