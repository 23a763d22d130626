"""One noise model for all lanes of a sensor, each of which measures a point of the line and its
slope, and for the colours of a mosaic."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from f2rcli.frames import Floats
from f2rcli.noise.measurement.bound import Bound
from f2rcli.noise.model import NoiseModel, at_levels

SYSTEMATIC = 0.05  # relative, of variances and of gains: what statistics does not tell
SURE = 9.0, 11.8  # chi-square of one and of two numbers that chance exceeds once in 370


class LaneLaw(NamedTuple):
    """A lane's own estimate of variance gain * (code - zero)."""

    middle: float  # code: its mean brightness
    level: float  # variance there
    gain: float = 0.0  # codes per electron
    error: float = np.inf  # standard error of the gain; infinite where no line was seen

    def evidence(self) -> tuple[Floats, Floats, Floats]:
        """Rows of a linear system for (gain, gain * zero), their values and variances."""
        rows = np.array([[self.middle, -1.0], [1.0, 0.0]])
        error = np.hypot(self.error, SYSTEMATIC * self.gain)
        seen, sure = np.array([self.level, self.gain]), np.array([SYSTEMATIC * self.level, error])
        known = slice(2 if np.isfinite(error) else 1)
        return rows[known], seen[known], np.square(sure[known])


@dataclass
class SensorLaw:
    """The line that lanes share, each weighed by the inverse of its variance."""

    information: Floats = field(default_factory=lambda: np.zeros((2, 2)))
    total: Floats = field(default_factory=lambda: np.zeros(2))

    @property
    def line(self) -> tuple[float, float]:
        """Gain, and the code at which the noise would vanish."""
        gain, height = np.linalg.solve(self.information, self.total)
        return float(gain), float(height / gain)

    @property
    def unsure(self) -> float:
        """Standard error of the gain, as a share of it."""
        return float(np.linalg.inv(self.information)[0, 0] ** 0.5 / self.line[0])

    def agrees(self, lane: LaneLaw) -> bool:
        """Whether a lane that is not among them says the same within its own error and theirs."""
        rows, seen, variance = lane.evidence()
        off = seen - rows @ np.linalg.solve(self.information, self.total)
        spread = np.diag(variance) + rows @ np.linalg.solve(self.information, rows.T)
        return float(off @ np.linalg.solve(spread, off)) < SURE[len(off) - 1]

    def add(self, lane: LaneLaw) -> None:
        """Take in a lane."""
        rows, seen, variance = lane.evidence()
        self.information += rows.T @ (rows / variance[:, None])
        self.total += rows.T @ (seen / variance)


def sensors_of(lanes: Sequence[LaneLaw]) -> list[tuple[SensorLaw, set[int]]]:
    """Laws that two lanes or more agree on, and which: the surest begins, others join it."""
    found: list[tuple[SensorLaw, set[int]]] = []
    order = sorted(range(len(lanes)), key=lambda n: lanes[n].error / max(lanes[n].gain, 1e-12))
    for number in order:
        lane = lanes[number]
        same = next((pair for pair in found if pair[0].agrees(lane)), None)
        if same is None and np.isfinite(lane.error):
            same = SensorLaw(), set()
            found.append(same)
        if same is not None:
            same[0].add(lane)
            same[1].add(number)
    return [pair for pair in found if len(pair[1]) > 1 and pair[0].line[0] > 0]


def of_one_sensor(
    factors: Sequence[Floats], models: Sequence[NoiseModel], bounds: Sequence[Bound]
) -> list[Floats]:
    """Factors for the laws of a mosaic's colours, none less than the next one allows: they have one
    gain, but the bound of a colour errs where few of its blocks are flat."""
    same: list[Floats] = []
    for row, bound in zip(factors, bounds, strict=True):
        level = np.asarray(bound.level, np.float64)
        powers = [
            float(np.square(float(one[0]) * at_levels(model, level)).mean())
            for one, model in zip(factors, models, strict=True)
        ]
        own = powers.pop(len(same))
        more = (min(powers) / own) ** 0.5 if own > 0 else 1.0
        same.append(np.minimum(row * max(more, 1.0), 1.0))
    return same
