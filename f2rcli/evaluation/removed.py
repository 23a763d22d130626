"""What a method changed, and what it left: the spectrum of what it took out, its change by
brightness, and the noise that an estimate still has.

What was taken out is noise if all is well, and the picture's detail where it is not. A mean change
that is not zero is a shade, a tint or crushed black; it is measured on pictures that do not end at
black and white, or what was pushed beyond them would not be seen.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.engine.measuring import described
from f2rcli.evaluation.frame_set import FrameSet, middle_window
from f2rcli.evaluation.metrics import CHANNELS, luma
from f2rcli.evaluation.result import CLEAN, NOISY, WHOLE, MetricSeries, PlaneChange
from f2rcli.frames import Floats, Picture, in_cells
from f2rcli.noise.model import FramePlanes
from f2rcli.noise.report import NoiseReport
from f2rcli.sensor import PLANES

PATCH = 32  # pixels per side of the patches whose spectrum is taken
MOST_PATCHES = 64  # per frame, spread over it
STEP = 4  # codes of 255 that a step of brightness is wide
STEPS = 64
BLUR = 2.0  # pixels: brightness is that of a place, not of its noise
RARE = 1 / 2000  # of all samples: steps with fewer are left out
FEW = 40  # samples: the same
PLANE_NAMES = {1: ("gray",), 3: ("R", "G", "B"), 4: PLANES}


@dataclass(slots=True)
class ResidualMeter:
    """Gathers the spectrum of what a method takes out of a clip, frame by frame."""

    powers: Floats = field(default_factory=lambda: np.zeros((PATCH, PATCH)))

    def add(self, noisy: Picture, estimate: Picture) -> None:
        """Take in the next frame."""
        for plane in (noisy - estimate).astype(np.float64):
            self.powers += _power(plane)

    def finish(self) -> tuple[tuple[float, ...], ...]:
        """Power by frequency, of mean 1; nothing where nothing was taken out."""
        level = self.powers.mean()
        return tuple(map(tuple, (self.powers / level).tolist())) if level > 0 else ()


def _power(plane: Floats) -> Floats:
    """Mean power spectrum (PATCH, PATCH) of patches of a plane (H, W) without their means; zero
    frequency first. Nothing where the plane is small."""
    each = in_cells(plane, PATCH).swapaxes(1, 2).reshape(-1, PATCH, PATCH)
    if not len(each):
        return np.zeros((PATCH, PATCH))
    chosen = np.linspace(0, len(each) - 1, min(len(each), MOST_PATCHES)).round().astype(int)
    flat = each[chosen] - each[chosen].mean((1, 2), keepdims=True)
    return np.asarray(np.square(np.abs(np.fft.fft2(flat))).mean(0))


@dataclass(slots=True)
class ChangeMeter:
    """Gathers the change of every channel by brightness, frame by frame, in a few small sums."""

    method: str
    against: str = NOISY
    # By channel: number, sum and sum of squares of each step.
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 3, STEPS)))

    def add(self, frame_set: FrameSet) -> None:
        """Take in a frame: its change from the reference, else from the noisy input."""
        sides = frame_set.exact
        against = CLEAN if CLEAN in sides else NOISY
        before, after = sides.get(against), sides.get(self.method)
        if before is None or after is None or self.method == against:
            return
        if not len(self.sums):
            self.against, self.sums = against, np.zeros((len(before), 3, STEPS))
        if len(self.sums) != len(before):
            return  # a lane with other channels: the first lane counts
        # Not that of the noise which is taken out: what noise made darkest would seem lifted.
        bright = luma(before) if against == CLEAN else cv2.GaussianBlur(luma(after), (0, 0), BLUR)
        codes = 255 * np.nan_to_num(np.asarray(bright, np.float64).ravel())
        step = np.clip(codes / STEP, 0, STEPS - 1).astype(np.int64)
        for sums, one, other in zip(self.sums, before, after, strict=True):
            change = 255 * np.nan_to_num(other.astype(np.float64) - one).ravel()
            sums[0] += np.bincount(step, minlength=STEPS)
            sums[1] += np.bincount(step, change, minlength=STEPS)
            sums[2] += np.bincount(step, change * change, minlength=STEPS)

    def finish(self) -> tuple[PlaneChange, ...]:
        """A curve for each channel; () where there was nothing to compare."""
        names = PLANE_NAMES.get(len(self.sums), ())
        return tuple(
            _curve(name, sums, self.against) for name, sums in zip(names, self.sums, strict=True)
        )


def _curve(name: str, sums: NDArray[np.float64], against: str) -> PlaneChange:
    number, total, squares = sums
    seen = number >= max(FEW, RARE * number.sum())
    mean = total[seen] / number[seen]
    spread = np.sqrt(np.maximum(squares[seen] / number[seen] - mean**2, 0))
    places = (np.flatnonzero(seen) + 0.5) * STEP
    return PlaneChange(
        name=name, against=against, brightness=tuple(places.tolist()), mean=tuple(mean.tolist()),
        spread=tuple(spread.tolist()), samples=tuple(number[seen].astype(int).tolist()),
    )  # fmt: skip


# --- What is left: the noise of given pictures, as f2r noise measures it -------------------------


FRAMES = 10  # different ones that are looked at, the clip's first
REGION = (480, 640)  # rows and columns in the middle of the frame that are looked at


class NoiseLeft:
    """Keeps the first frames' middles, and measures at the end. `report` has all that was found."""

    def __init__(self) -> None:
        self.frames = 0
        self.kept: list[Picture] = []
        self.report: dict[str, Any] | None = None

    def add(self, picture: Picture) -> None:
        """See the next frame."""
        self.frames += 1
        if len(self.kept) == FRAMES:
            return
        middle = np.array(picture[:, *middle_window(picture.shape[1:], REGION)], np.float32)
        if not self.kept or not np.array_equal(self.kept[-1], middle):
            self.kept.append(middle)

    def finish(self) -> MetricSeries:
        """The metric `noise_left`."""
        found = measure(self.kept)
        names = CHANNELS[len(self.kept[0])] if self.kept else ()
        self.kept = []
        clip = {WHOLE: math.nan}
        if found is not None:
            self.report = found.values()
            levels = found.model.sigma8
            clip = {WHOLE: float(np.mean(levels))}
            clip |= dict(zip(names, levels, strict=False))
        return MetricSeries(metric="noise_left", frames={WHOLE: (None,) * self.frames}, clip=clip)


def measure(pictures: Sequence[Picture]) -> NoiseReport | None:
    """The noise of pictures (C, H, W) that follow each other; None for too little evidence."""
    if len(pictures) < 3:
        return None
    mosaic = len(pictures[0]) == len(PLANES)
    planes = [FramePlanes.of_channels(list(one)) for one in pictures]
    return described(planes, full_range=not mosaic, lines=mosaic)
