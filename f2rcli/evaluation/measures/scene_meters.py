"""Metrics that compare a whole restored clip with the truth about a simulated scene."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from f2rcli.evaluation.base import ClipFacts, Meter, Metric
from f2rcli.evaluation.frame_set import FloatPlane, FrameSet
from f2rcli.evaluation.result import MetricFacts, MetricSeries
from f2rcli.evaluation.simulation.camera import span
from f2rcli.evaluation.simulation.scene import Scene
from f2rcli.frames import Floats, Picture

# Values by channel of an estimate (T, H, W) in electrons.
Measure = Callable[[Scene, Any, Floats], Mapping[str, float]]


@dataclass
class SceneMeter(Meter):
    """Keeps the frames, and measures at the end: scenes are small."""

    name: str
    scene: Scene
    measure: Measure
    kept: list[FloatPlane] = field(default_factory=list)

    def add(self, frame_set: FrameSet, estimate: Picture) -> None:
        self.kept.append(estimate[0])

    def finish(self) -> MetricSeries:
        low, high = span(self.scene.light)  # which pictures have as 0 and 1
        light = low + (high - low) * np.stack(self.kept).astype(np.float64)
        values = self.measure(self.scene, self.scene.truth, light)
        return MetricSeries(metric=self.name, frames={}, clip=values)


def scene_metric(facts: MetricFacts, measure: Measure, truth: type) -> Metric:
    """A metric of scenes with this kind of truth (object: of all)."""

    def meter(facts: MetricFacts, setting: ClipFacts) -> Meter | None:
        scene = setting.scene
        if scene is None or not isinstance(scene.truth, truth):
            return None
        return SceneMeter(facts.name, scene, measure)

    return Metric(facts, meter)
