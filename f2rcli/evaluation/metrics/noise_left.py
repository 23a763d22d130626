"""Remaining noise, measured without a reference."""

import math
from typing import Any

import numpy as np

from f2rcli.evaluation.base import ClipFacts, Meter, Metric
from f2rcli.evaluation.frame_set import FrameSet, middle_window
from f2rcli.evaluation.measures.meters import CHANNELS
from f2rcli.evaluation.result import WHOLE, MetricFacts, MetricSeries
from f2rcli.frames import Picture

FRAMES = 10  # different ones that are looked at, the clip's first
REGION = (480, 640)  # rows and columns in the middle of the frame that are looked at

FACTS = MetricFacts(
    name="noise_left",
    title="Noise left",
    unit="/255",
    better="lower",
    reference=False,
    definition="Standard deviation of the noise that `f2r noise` measures in the estimate, mean "
    "of the channels, in 8-bit units: from two blind estimates of a frame by disjoint sets of "
    "neighbours, in flat places, on the first 10 frames (the middle 640 x 480 pixels). Only "
    "noise that is new in every frame counts; what stays in place or moves along does not. None "
    "where frames hold too little evidence.",
)


class NoiseLeftMeter(Meter):
    """Keeps the first frames' middles, and measures at the end. `report` has all that was found."""

    def __init__(self, facts: MetricFacts, setting: ClipFacts) -> None:
        self.setting = setting
        self.frames = 0
        self.kept: list[Picture] = []
        self.report: dict[str, Any] | None = None

    def add(self, frame_set: FrameSet, estimate: Picture) -> None:
        self.frames += 1
        if len(self.kept) == FRAMES:
            return
        middle = np.array(estimate[:, *middle_window(estimate.shape[1:], REGION)], np.float32)
        if not self.kept or not np.array_equal(self.kept[-1], middle):
            self.kept.append(middle)

    def finish(self) -> MetricSeries:
        from f2rcli.evaluation.measures.noise_measurement import measure  # brings networks

        found = measure(self.kept, self.setting)
        self.kept = []
        clip = {WHOLE: math.nan}
        if found is not None:
            self.report = found.values()
            levels = found.model.sigma8
            clip = {WHOLE: float(np.mean(levels))}
            clip |= dict(zip(CHANNELS[self.setting.space], levels, strict=False))
        return MetricSeries(metric="noise_left", frames={WHOLE: (None,) * self.frames}, clip=clip)


METRIC = Metric(FACTS, NoiseLeftMeter)
