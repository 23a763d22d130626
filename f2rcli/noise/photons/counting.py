"""Whether samples are counts of single events: electrons or photons, one by one.

Nothing is cut off at their black: a count of none is one value of the noise's own law, and the mean
of counts is the light. Of noise that a range has clipped neither is true.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

FEW = 16  # values, of 256 between black and white


def counts_events(samples: NDArray[Any]) -> bool:
    """Whether nearly all samples, 0 = black and 1 = white, lie on few values that are far apart."""
    flat = samples.reshape(-1)
    flat = flat[:: max(1, flat.size // 200_000)].astype(np.float32)
    if not flat.size:
        return False
    filled = np.bincount(np.rint(255 * flat.clip(0, 1)).astype(np.intp), minlength=256)
    order = np.argsort(filled)[::-1][:FEW]
    needed = int(np.searchsorted(np.cumsum(filled[order]), 0.99 * flat.size)) + 1
    values = np.sort(order[:needed])
    return 1 < needed <= FEW and int(np.diff(values).min()) >= 12  # of 256, between them
