"""What metrics look at: a frame of all sides, the motion to it, and the noise left in a clip."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from f2rcli.evaluation.noise import described
from f2rcli.evaluation.result import CHANNELS, CLEAN, NOISY, WHOLE, MetricSeries, luma
from f2rcli.frames import Picture
from f2rcli.models.flow import Flow, consistency, dis_flow, sample
from f2rcli.noise.model import FramePlanes
from f2rcli.noise.report import NoiseReport
from f2rcli.window import same_shot, thumbnail
from f2rcli.yuv import MOSAIC_PLANES

FloatPlane = NDArray[np.float32]  # (H, W)
Sides = Mapping[str, Picture]  # (C, H, W) by method, NOISY first, CLEAN last

AGREES = 0.5  # of `consistency`: it ends where it began within what Sundaram et al. allow
NOISY_BLUR = 2.0  # pixels, of a noisy picture before motion is measured on it


@dataclass(frozen=True, slots=True)
class Motion:
    """The positions of a frame's pixels in the frame before."""

    flow: Flow  # (1, H, W, 2) on this frame's grid, pointing into the frame before
    seen: NDArray[np.bool_]  # (H, W): seen in both frames

    def fetch(self, before: Picture) -> Picture:
        """The frame before, brought onto this frame's grid; linear interpolation."""
        return sample(torch.from_numpy(before)[None], self.flow)[0].numpy()


@dataclass(eq=False)
class FrameSet:
    """Everything known about one frame."""

    index: int  # place in the clip, from 0
    sides: Sides = field(repr=False)  # all pictures, from black to white as a player shows them
    before: "FrameSet | None" = field(default=None, repr=False)  # None: the first, or of a lane

    def __post_init__(self) -> None:
        """The chain ends at the frame before, so that no more is held."""
        if self.before is not None:
            self.before.before = None
            self.before.__dict__.pop("motion", None)

    @property
    def reference(self) -> Picture | None:
        return self.sides.get(CLEAN)

    @property
    def noisy(self) -> Picture | None:
        return self.sides.get(NOISY)

    @cached_property
    def guide(self) -> FloatPlane | None:
        """The brightness that motion is measured on: the reference's, or the blurred input's."""
        if self.reference is not None:
            return luma(self.reference)
        if self.noisy is None:
            return None
        return np.asarray(cv2.GaussianBlur(luma(self.noisy), (0, 0), NOISY_BLUR), np.float32)

    @cached_property
    def motion(self) -> Motion | None:
        """Motion since the frame before; None for the first frame and across a cut."""
        if self.before is None or self.guide is None or self.before.guide is None:
            return None
        if not same_shot(thumbnail(self.before.guide), thumbnail(self.guide)):
            return None
        back = dis_flow(self.guide, self.before.guide)
        forth = dis_flow(self.before.guide, self.guide)
        return Motion(back, (consistency(back, forth) > AGREES)[0, 0].numpy())


def middle_window(size: tuple[int, ...], largest: tuple[int, ...]) -> tuple[slice, slice]:
    """The middle of a picture, at most `largest`."""
    starts = [max(0, (side - most) // 2) for side, most in zip(size, largest, strict=True)]
    rows, columns = (slice(a, a + most) for a, most in zip(starts, largest, strict=True))
    return rows, columns


# --- The noise that is left in an estimate, measured as `f2r noise` does --------------------------


FRAMES = 10  # different ones that are looked at, the clip's first
REGION = (480, 640)  # rows and columns in the middle of the frame that are looked at


class NoiseLeft:
    """Keeps the first frames' middles, and measures at the end. `report` has all that was found."""

    def __init__(self) -> None:
        self.frames = 0
        self.kept: list[Picture] = []
        self.report: dict[str, Any] | None = None

    def add(self, picture: Picture) -> None:
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
        return MetricSeries(frames={WHOLE: (None,) * self.frames}, clip=clip)


def measure(pictures: Sequence[Picture]) -> NoiseReport | None:
    """The noise of pictures (C, H, W) that follow each other; None for too little evidence. What
    goes beyond black or white was not cut off there."""
    if len(pictures) < 3:
        return None
    within = all(one.min() >= 0 and one.max() <= 1 for one in pictures)
    planes = [FramePlanes.of_channels(list(one)) for one in pictures]
    return described(planes, full_range=within and len(pictures[0]) != len(MOSAIC_PLANES))
