"""Points of light: light kept, width, and false points.

Channels are the electrons of a point; a point's light is summed in a disc.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import product
from math import pi, sqrt
from statistics import fmean, median, pstdev

import numpy as np

from f2rcli.evaluation.measures.scene_meters import Measure, scene_metric
from f2rcli.evaluation.result import WHOLE, MetricFacts
from f2rcli.evaluation.simulation.filters import blurred
from f2rcli.evaluation.simulation.scene import Point, PointScene, Scene
from f2rcli.frames import Floats

DISC = 4.5  # pixels, the radius in which light is summed
SEEN = 1.3  # pixels, of the Gaussian that finds blobs
FAINT = 0.5  # of the faintest points' light: what counts as a blob


def light_in(picture: Floats, point: Point) -> float:
    """The light around a point of a picture without its background."""
    return float(picture[point.far(picture.shape) <= DISC**2].sum())


def width_of(picture: Floats, point: Point) -> float:
    """The root of half the second moment around a point of a picture without its background."""
    far = point.far(picture.shape)
    near, light = far <= DISC**2, light_in(picture, point)
    moment = float((picture * far)[near].sum()) / light if light > 0 else 0.0
    return sqrt(max(moment / 2, 0))


def false_points(picture: Floats, points: Iterable[Point], limit: float) -> int:
    """Blobs brighter than a limit and farther than DISC from all points, background subtracted."""
    seen = blurred(picture[None], 0, SEEN)[0] * 4 * pi * SEEN**2
    top = seen > limit
    for point in points:
        top &= point.far(picture.shape) > DISC**2
    around = np.pad(seen, 1, constant_values=-np.inf)
    for dy, dx in product((0, 1, 2), repeat=2):
        top &= seen >= around[dy : dy + top.shape[0], dx : dx + top.shape[1]]
    return int(np.count_nonzero(top))


def _shares(scene: Scene, truth: PointScene, estimate: Floats, point: Point) -> float:
    true = light_in(scene.light[point.frame] - truth.background, point)
    return light_in(estimate[point.frame] - truth.background, point) / true


def _widths(_: Scene, truth: PointScene, estimate: Floats, point: Point) -> float:
    return width_of(estimate[point.frame] - truth.background, point)


def _by_light(
    value: Callable[[Scene, PointScene, Floats, Point], float],
    summary: Callable[[list[float]], float],
) -> Measure:
    """A summary of a value of all points that are equally bright."""

    def measure(scene: Scene, truth: PointScene, estimate: Floats) -> Mapping[str, float]:
        kinds = sorted({point.electrons for point in truth.points})
        return {
            f"{kind:g} e-": summary(
                [value(scene, truth, estimate, p) for p in truth.points if p.electrons == kind]
            )
            for kind in kinds
        }

    return measure


def _false(_: Scene, truth: PointScene, estimate: Floats) -> Mapping[str, float]:
    limit = FAINT * min(point.electrons for point in truth.points)
    found = [
        false_points(picture - truth.background, (p for p in truth.points if p.frame == t), limit)
        for t, picture in enumerate(estimate)
    ]
    return {WHOLE: fmean(found)}


LIGHT = MetricFacts(
    name="light", title="Light kept", better="",
    definition=f"Light in a disc of {DISC} pixels around points over that of the truth, mean of "
    "the points of equal light; 1 is right. The background is known.",
)  # fmt: skip
SCATTER = MetricFacts(
    name="scatter", title="Its scatter", better="lower",
    definition="Standard deviation, over points of equal light, of the share of light kept.",
)  # fmt: skip
WIDTH = MetricFacts(
    name="width", title="Width", unit="px", better="",
    definition=f"Root of half the second moment of a point's light in a disc of {DISC} pixels, "
    "median of the points of equal light.",
)  # fmt: skip
FALSE = MetricFacts(
    name="false_points", title="False points a frame", better="lower", digits=1,
    definition=f"Local maxima further than {DISC} pixels from all points with more than half the "
    f"light of the faintest, found by a Gaussian of {SEEN} pixels.",
)  # fmt: skip

METRICS = (
    scene_metric(LIGHT, _by_light(_shares, fmean), PointScene),
    scene_metric(SCATTER, _by_light(_shares, pstdev), PointScene),
    scene_metric(WIDTH, _by_light(_widths, median), PointScene),
    scene_metric(FALSE, _false, PointScene),
)
