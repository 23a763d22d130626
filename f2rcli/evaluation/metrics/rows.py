"""Remaining row noise."""

import math

import numpy as np

from f2rcli.evaluation.base import ClipFacts, Meter, Metric
from f2rcli.evaluation.frame_set import FrameSet
from f2rcli.evaluation.result import WHOLE, MetricFacts, MetricSeries
from f2rcli.frames import Picture

FACTS = MetricFacts(
    name="rows",
    title="Row noise left",
    unit="%",
    better="lower",
    digits=1,
    definition="Root mean square over rows, channels and frames of the mean error of a row, in "
    "percent of that of the noisy input. White noise has such errors too: 1 / sqrt(width) of its "
    "strength.",
)


class RowMeter(Meter):
    """Sums up the squares of rows' mean errors, before and after."""

    def __init__(self, facts: MetricFacts, setting: ClipFacts) -> None:
        self.before = self.after = 0.0

    def add(self, frame_set: FrameSet, estimate: Picture) -> None:
        if frame_set.reference is not None and frame_set.noisy is not None:
            self.before += _of_rows(frame_set.noisy, frame_set.reference)
            self.after += _of_rows(estimate, frame_set.reference)

    def finish(self) -> MetricSeries:
        share = 100 * math.sqrt(self.after / self.before) if self.before else math.nan
        return MetricSeries(metric="rows", frames={}, clip={WHOLE: share})


def _of_rows(picture: Picture, reference: Picture) -> float:
    errors = (picture.astype(np.float64) - reference).mean(-1)
    return float(np.square(errors).sum())


METRIC = Metric(FACTS, RowMeter)
