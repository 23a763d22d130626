"""Metrics that compare a whole restored clip with the truth about a simulated scene."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from f2rcli.evaluation.base import ClipFacts, Meter
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


@dataclass(frozen=True, slots=True)
class SceneMetric:
    """A metric of scenes with this kind of truth (object: of all); see
    `f2rcli.evaluation.base.Metric`."""

    facts: MetricFacts
    measure: Measure
    truth: type
    available: Callable[[], str | None] = lambda: None

    def meter(self, setting: ClipFacts) -> Meter | None:
        """A new meter, or None for clips that are no such scene."""
        scene = setting.scene
        if scene is None or not isinstance(scene.truth, self.truth):
            return None
        return SceneMeter(self.facts.name, scene, self.measure)
