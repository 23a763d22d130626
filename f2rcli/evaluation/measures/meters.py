"""The common part of most metrics: a value per channel and frame, and the mean over frames."""

import math
from abc import abstractmethod
from collections.abc import Mapping
from statistics import fmean

import numpy as np

from f2rcli.evaluation.base import ClipFacts, Meter
from f2rcli.evaluation.frame_set import FrameSet
from f2rcli.evaluation.result import WHOLE, MetricFacts, MetricSeries
from f2rcli.frames import Picture, Space
from f2rcli.sensor import PLANES

CHANNELS = {Space.RGB: ("r", "g", "b"), Space.GRAY: (), Space.BAYER: PLANES}

ChannelValues = Mapping[str, float]  # by channel, "all" among them


class FrameMeter(Meter):
    """A meter of a value per frame. `before` is the estimate of the frame before."""

    def __init__(self, facts: MetricFacts, setting: ClipFacts) -> None:
        self.facts = facts
        self.setting = setting
        self.rows: list[ChannelValues | None] = []
        self.before: Picture | None = None

    @abstractmethod
    def measure(self, frame_set: FrameSet, estimate: Picture) -> ChannelValues | None:
        """The values of one frame, by channel; None where it has none."""

    def add(self, frame_set: FrameSet, estimate: Picture) -> None:
        if frame_set.before is None:
            self.before = None
        self.rows.append(self.measure(frame_set, estimate))
        self.before = estimate

    def finish(self) -> MetricSeries:
        return series_of(self.facts.name, self.rows)


def series_of(metric: str, rows: list[ChannelValues | None]) -> MetricSeries:
    """Frames' values as a series; a clip's value is their `mean`."""
    channels = dict.fromkeys([WHOLE, *(name for row in rows if row for name in row)])
    frames = {
        channel: tuple(None if row is None else row.get(channel) for row in rows)
        for channel in channels
    }
    means = {
        channel: mean([v for v in values if v is not None]) for channel, values in frames.items()
    }
    return MetricSeries(metric=metric, frames=frames, clip=means)


def mean(values: list[float]) -> float:
    """The mean of the finite values, so that one exact black frame makes no clip perfect; inf if
    all are, nan if there are none."""
    finite = [value for value in values if math.isfinite(value)]
    if finite:
        return fmean(finite)
    return math.inf if values and all(value == math.inf for value in values) else math.nan


def by_channel(
    space: Space, values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> dict[str, float]:
    """Values of the channels of a picture by their names; nothing for gray."""
    return {name: float(v) for name, v in zip(CHANNELS[space], values, strict=False)}
