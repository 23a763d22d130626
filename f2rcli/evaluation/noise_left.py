"""The noise that is left in an estimate, measured as `f2r noise` does."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from f2rcli.engine.measuring import described
from f2rcli.evaluation.frame_set import middle_window
from f2rcli.evaluation.metrics import CHANNELS
from f2rcli.evaluation.result import WHOLE, MetricSeries
from f2rcli.frames import Picture
from f2rcli.noise.model import FramePlanes
from f2rcli.noise.report import NoiseReport
from f2rcli.sensor import PLANES

FRAMES = 10  # different ones that are looked at, the clip's first
REGION = (480, 640)  # rows and columns in the middle of the frame that are looked at


class NoiseLeft:
    """Keeps the first frames' middles, and measures at the end. `report` has all that was found."""

    def __init__(self) -> None:
        self.frames = 0
        self.kept: list[Picture] = []
        self.report: dict[str, Any] | None = None

    def add(self, picture: Picture) -> None:
        """See the next frame."""
        self.frames += 1
        if len(self.kept) == FRAMES:
            return
        middle = np.array(picture[:, *middle_window(picture.shape[1:], REGION)], np.float32)
        if not self.kept or not np.array_equal(self.kept[-1], middle):
            self.kept.append(middle)

    def finish(self) -> MetricSeries:
        """The metric `noise_left`."""
        found = measure(self.kept)
        names = CHANNELS[len(self.kept[0])] if self.kept else ()
        self.kept = []
        clip = {WHOLE: math.nan}
        if found is not None:
            self.report = found.values()
            levels = found.model.sigma8
            clip = {WHOLE: float(np.mean(levels))}
            clip |= dict(zip(names, levels, strict=False))
        return MetricSeries(metric="noise_left", frames={WHOLE: (None,) * self.frames}, clip=clip)


def measure(pictures: Sequence[Picture]) -> NoiseReport | None:
    """The noise of pictures (C, H, W) that follow each other; None for too little evidence."""
    if len(pictures) < 3:
        return None
    mosaic = len(pictures[0]) == len(PLANES)
    planes = [FramePlanes.of_channels(list(one)) for one in pictures]
    return described(planes, full_range=not mosaic, lines=mosaic)
