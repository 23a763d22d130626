"""A lane whose frames come one by one: its stuck pixels, looked for again and again."""

from dataclasses import dataclass, field, replace

import numpy as np

from f2rcli.frames import Floats, Mask, Plane
from f2rcli.samples.lanes import SAMPLED_FRAMES, STEADY_FRAMES, LaneStatistics, all_stuck, light_of
from f2rcli.samples.stuck import Pixels

STEP = (STEADY_FRAMES - 1) // (SAMPLED_FRAMES - 1)  # frames from one that is kept to the next


@dataclass
class Arriving:
    """The statistics of a lane as far as frames have come. The first few tell its levels; every
    STEADY_FRAMES tell of stuck pixels, as a whole lane's do. A pixel is one as long as either of
    the last two looks says so."""

    seen: LaneStatistics  # by the first few frames
    found: LaneStatistics | None = None  # by the last look alone
    few: list[Plane] = field(default_factory=list)
    total: Floats = field(default_factory=lambda: np.zeros(1))
    count: int = 0

    def add(self, picture: Plane) -> bool:
        """Take in the next picture, (H, W) or (H, W, S); returns whether `seen` is new."""
        if picture.ndim > 2:  # no colours are looked at
            return False
        light = light_of(picture)
        if self.count % STEP == 0:
            self.few.append(light)
        self.total = self.total + light
        self.count += 1
        if self.count < STEADY_FRAMES:
            return False
        self._look()
        return True

    def _look(self) -> None:
        shape, before = self.few[0].shape, self.found or self.seen
        stuck, kept, bright = all_stuck(self.few, self.total / self.count, self.count)
        self.found = replace(
            self.seen, stuck=stuck, kept=kept, bright=bright, dark=kept[0].size - bright
        )
        known, doubtful, mended = (np.zeros(shape, bool) for _ in range(3))
        for one in (before, self.found):
            alone = _mask(one.kept, shape)
            known |= _mask(one.stuck, shape)
            mended |= _mask(one.stuck, shape) & ~alone
            doubtful |= alone
        self.seen = replace(self.found, stuck=_places(known), kept=_places(doubtful & ~mended))
        self.few, self.total, self.count = [], np.zeros(1), 0


def _places(mask: Mask) -> Pixels:
    rows, columns = np.nonzero(mask)
    return rows, columns


def _mask(pixels: Pixels, shape: tuple[int, ...]) -> Mask:
    mask = np.zeros(shape, bool)
    mask[pixels] = True
    return mask
