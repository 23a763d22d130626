"""Block edges that compression left: steps that stand out on the grid of 8x8 transforms.

JPEG, MPEG and H.26x quantise squares of 8 pixels or multiples of them on their own. What one
square lost differs from what its neighbour lost, so the picture steps where they meet. A scene has
no reason to step at every eighth pixel: the mean step there, less that of the other seven phases,
is the codec's (after Wang, Sheikh and Bovik, ICIP 2002, but tested against its own scatter).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from f2rcli.models.flow import Luma
from f2rcli.order import median

PERIOD = 8  # pixels of the grid
FEWEST = 4  # blocks beside each other: one edge may be the picture's own
STRIP = 16  # rows that are counted together
SURE = 6.0  # standard errors
LEAST = 0.1 / 255  # a step below which no eye and no measure is sure
# Of the excess: by how much the edges stand out of the next phase (where a pattern's period is near
# the grid's, several phases do), the mean step within blocks, which a drawing of squares has none
# of, and the median strip: squares in a part of the picture, as a face made unknown, are a drawing.
ALONE, WITHIN, MOST_STRIPS = 0.5, 0.02, 0.5


@dataclass(frozen=True, slots=True)
class Blocking:
    """How far block edges stand out: excess of the mean step, white - black."""

    across: float  # at the edges of columns of blocks
    down: float  # at the edges of rows of blocks

    @property
    def edge8(self) -> float:
        """The mean of both, of 255."""
        return 255 * (self.across + self.down) / 2

    def words(self) -> str:
        """Its meaning, for people."""
        return f"compression left 8x8 blocks, edges {self.edge8:.1f} of 255"


def find_blocking(lumas: Sequence[Luma]) -> Blocking | None:
    """The block edges of frames of one size; None where the grid does not show both ways."""
    across, down = _excess(lumas), _excess([luma.T for luma in lumas])
    return None if across is None or down is None else Blocking(across, down)


def _excess(lumas: Sequence[Luma]) -> float | None:
    """The excess step at the phase of columns where it is largest, if it is there for sure."""
    strips = [strip for luma in lumas for strip in _strips(luma)]
    if len(strips) < 2:
        return None
    phases = np.stack(strips)
    means = phases.mean(0)
    best = int(means.argmax())
    others = np.delete(phases, best, 1)
    apart = phases[:, best] - others.mean(1)
    error = float(apart.std(ddof=1)) / len(apart) ** 0.5
    mean = float(apart.mean())
    if mean <= max(SURE * error, LEAST) or np.median(apart) < MOST_STRIPS * mean:
        return None
    halfway = (best + PERIOD // 2) % PERIOD  # transforms of half the size have edges there
    alone = means[best] - np.delete(means, [best, halfway]).max()
    return mean if alone > ALONE * mean and _within(lumas, best) > WITHIN * mean else None


def _within(lumas: Sequence[Luma], edges: int) -> float:
    """The mean step within blocks; edges: the phase of their edges, see `_strips`."""
    steps = (np.abs(np.diff(luma, axis=1))[:, 1 + edges + PERIOD // 2 :: PERIOD] for luma in lumas)
    return float(np.mean([step.mean() for step in steps]))


def _strips(luma: Luma) -> NDArray[np.float64]:
    """Mean step at every phase of the columns beyond the steps beside it, (strips, PERIOD); from
    the calmer half of the places, where texture does not hide it."""
    step = np.abs(np.diff(luma, axis=1))
    beside = (step[:, :-2] + step[:, 2:]) / 2
    rows, columns = beside.shape[0] // STRIP, beside.shape[1] // PERIOD
    if not rows or columns < FEWEST:
        return np.empty((0, PERIOD))
    shape = (rows, STRIP, columns, PERIOD)
    beside = beside[: rows * STRIP, : columns * PERIOD].reshape(shape)
    excess = step[: rows * STRIP, 1 : 1 + columns * PERIOD].reshape(shape) - beside
    calm = beside <= median(beside)
    total = (excess * calm).sum((1, 2), dtype=np.float64)
    return np.asarray(total / np.maximum(calm.sum((1, 2)), 1))
