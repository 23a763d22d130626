"""The mean of earlier mosaics, which shows defects beyond the frames around one."""

from typing import NamedTuple

import numpy as np

from f2rcli.frames import Frame, Plane

MOST_PAST = 24  # mosaics, that show what stays where the scene moves
# Mosaics before the lead-in of an excerpt that are remembered, too: what was earlier still weighs
# 2 % by the excerpt's first frame.
RECALLED = 72


class Past(NamedTuple):
    """The sum of mosaics, and how many."""

    total: Plane = np.zeros(0)
    frames: float = 0.0

    def grown(self, frame: Frame) -> "Past":
        """With one more; those long ago count less."""
        plane = frame.planes[0]
        if self.total.shape != plane.shape:
            return Past(plane.astype(np.float32), 1.0)
        kept = min(1.0, (MOST_PAST - 1) / self.frames)
        return Past(self.total * np.float32(kept) + plane, self.frames * kept + 1)

    def mean(self, mean: Plane, count: int) -> tuple[Plane, float]:
        """The mean of these and so many more, of which the mean is known, and how many."""
        if self.total.shape != mean.shape:
            return mean, float(count)
        frames = self.frames + count
        whole: Plane = (self.total + np.float32(count) * mean) / np.float32(frames)
        return whole, frames


NO_PAST = Past()
