"""One noise model for the colours of a mosaic, which one sensor counts."""

from collections.abc import Sequence

import numpy as np

from f2rcli.frames import Floats
from f2rcli.noise.measurement.bound import Bound
from f2rcli.noise.model import NoiseModel, at_levels


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
