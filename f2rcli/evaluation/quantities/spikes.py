"""Cells that spike: how well their traces are kept, and the rise of single spikes."""

from collections.abc import Callable, Mapping
from math import nan
from statistics import median

import numpy as np

from f2rcli.evaluation.measures.scene_meters import Measure, scene_metric
from f2rcli.evaluation.result import WHOLE, MetricFacts
from f2rcli.evaluation.simulation.scene import CellScene, Scene
from f2rcli.frames import Floats

REACH = 3  # frames around a spike in which the steepest rise is looked for


def traces(stack: Floats, truth: CellScene) -> Floats:
    """The mean light of every cell over time, (N, T)."""
    return np.array([stack[:, mask].mean(1) for mask in truth.masks])


def _correlation(scene: Scene, truth: CellScene, estimate: Floats) -> Mapping[str, float]:
    pairs = zip(traces(estimate, truth), traces(scene.light, truth), strict=True)
    moving = [pair for pair in pairs if min(np.std(pair, axis=1)) > 0]
    return {WHOLE: _middle([float(np.corrcoef(*pair)[0, 1]) for pair in moving])}


def _median(of_spike: Callable[[Floats, Floats, int], float]) -> Measure:
    """The median over lone spikes of a value of its cell's restored and true trace, and frame."""

    def measure(scene: Scene, truth: CellScene, estimate: Floats) -> Mapping[str, float]:
        found, true = traces(estimate, truth), traces(scene.light, truth)
        return {WHOLE: _middle([of_spike(found[cell], true[cell], t) for cell, t in truth.spikes])}

    return measure


def _middle(values: list[float]) -> float:
    return median(values) if values else nan


def amplitude(found: Floats, true: Floats, t: int) -> float:
    """The rise in the spike's frame over the true one."""
    return float((found[t] - found[t - 1]) / (true[t] - true[t - 1]))


def early(found: Floats, true: Floats, t: int) -> float:
    """The rise one frame before the spike's over the true one in the spike's."""
    return float((found[t - 1] - found[t - 2]) / (true[t] - true[t - 1]))


def onset(found: Floats, true: Floats, t: int) -> float:
    """The delay of the steepest rise, in frames."""
    del true
    return float(np.argmax(np.diff(found[t - REACH : t + REACH]))) - (REACH - 1)


def _facts(name: str, title: str, definition: str, unit: str = "", better: str = "") -> MetricFacts:
    return MetricFacts(name=name, title=title, unit=unit, better=better, definition=definition)


METRICS = (
    scene_metric(
        _facts("trace", "Trace correlation", "Pearson's correlation of a cell's mean light over "
               "time with the truth, median of the cells.", better="higher"),
        _correlation, CellScene,
    ),
    scene_metric(
        _facts("amplitude", "Amplitude", "Rise of a cell's light in a spike's frame over the true "
               "one, median of the spikes with no other near; 1 is right."),
        _median(amplitude), CellScene,
    ),
    scene_metric(
        _facts("early", "Rise a frame early", "Rise one frame before a spike over the true one in "
               "the spike's frame, median; 0 is right."),
        _median(early), CellScene,
    ),
    scene_metric(
        _facts("onset", "Onset", "Frames by which the steepest rise near a spike is late, "
               "median; 0 is right.", unit="frames"),
        _median(onset), CellScene,
    ),
)  # fmt: skip
