"""The bias of light, by brightness."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from f2rcli.evaluation.measures.scene_meters import scene_metric
from f2rcli.evaluation.result import MetricFacts
from f2rcli.evaluation.simulation.scene import Scene
from f2rcli.frames import Floats

EDGES = (0.0, 0.2, 0.8, 0.999, 1.0)  # quantiles of the light
CLASSES = ("darkest 20 %", "middle", "brightest 20 %", "brightest 0.1 %")


def bias(scene: Scene, _: object, estimate: Floats) -> Mapping[str, float]:
    """Percent by which each class of brightness is off."""
    found = {}
    for name, (low, high) in zip(CLASSES, pairwise(np.quantile(scene.light, EDGES)), strict=True):
        part = (scene.light >= low) & (scene.light <= high)
        true = scene.light[part].mean()
        found[name] = float(100 * (estimate[part].mean() / true - 1))
    return found


FACTS = MetricFacts(
    name="bias", title="Bias", unit="%", better="", digits=1,
    definition="Light of all samples that are equally bright in the truth, in percent more or "
    "less than there: the darkest fifth, three fifths, the brightest fifth without, and those of "
    "the brightest thousandth.",
)  # fmt: skip

METRICS = (scene_metric(FACTS, bias, object),)
