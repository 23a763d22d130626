"""Changes of samples by brightness: a mean that is not zero is a shade, a tint or crushed black.

Measured in the planes of the file where both sides have the same ones, because a picture for the
eye ends at black and white: what was pushed beyond them would not be seen.
"""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli import yuv
from f2rcli.evaluation.frame_set import FloatPlane, FrameSet, luma
from f2rcli.evaluation.result import CLEAN, NOISY, PlaneChange
from f2rcli.frames import Family, Frame, Picture
from f2rcli.sensor import PLANES

STEP = 4  # codes of 255 that a step of brightness is wide
STEPS = 64
BLUR = 2.0  # pixels: brightness is that of a place, not of its noise
RARE = 1 / 2000  # of all samples: steps with fewer are left out
FEW = 40  # samples: the same
NAMES = {
    Family.YUV: ("Y", "Cb", "Cr"), Family.RGB: ("R", "G", "B"), Family.GRAY: ("gray",)
}  # fmt: skip
CHANNELS = {1: ("gray",), 3: ("R", "G", "B"), 4: PLANES}


def plane_names(family: Family) -> tuple[str, ...]:
    """The names of a file's planes; () for a mosaic."""
    return NAMES.get(family, ())


@dataclass(slots=True)
class ChangeMeter:
    """Gathers the change of every plane by brightness, frame by frame, in a few small sums."""

    method: str
    names: tuple[str, ...] = ()
    against: str = NOISY
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 3, STEPS)))

    def add(self, frame_set: FrameSet, estimate: Picture) -> None:
        """Take in a frame: its change from the reference, else from the noisy input."""
        sides = _sides(frame_set, self.method, estimate)
        if sides is None:
            return
        if not self.names:
            self.names, self.against = sides.names, sides.against
            self.sums = np.zeros((len(sides.names), 3, STEPS))
        if sides.names != self.names:
            return  # a lane with other channels: the first lane counts
        bright = sides.brightness()
        for sums, before, after in zip(self.sums, sides.before, sides.after, strict=True):
            _count(sums, bright, after - before)

    def finish(self) -> tuple[PlaneChange, ...]:
        """A curve for each plane; () where there was nothing to compare."""
        return tuple(
            _curve(name, sums, self.against)
            for name, sums in zip(self.names, self.sums, strict=True)
        )


class _Sides(NamedTuple):
    """One frame before and after, plane by plane (H, W), in 8-bit codes."""

    names: tuple[str, ...]
    against: str  # what `before` is: NOISY, or CLEAN for the reference
    before: list[FloatPlane]
    after: list[FloatPlane]

    def brightness(self) -> FloatPlane:
        """Luma (H, W) in codes, of the reference, or else of the result, smoothed.

        It must not be that of the noise which is taken out: what noise made darkest would seem to
        be lifted. The result's own comes close to the truth.
        """
        if self.against == CLEAN:
            return _luma(self.before, self.names)
        bright = cv2.GaussianBlur(_luma(self.after, self.names), (0, 0), BLUR)
        return np.asarray(bright, np.float32)


def _sides(frame_set: FrameSet, method: str, estimate: Picture) -> _Sides | None:
    """The reference for a method's frame; None where that is itself or nothing."""
    against = NOISY if frame_set.reference is None else CLEAN
    picture = frame_set.noisy if frame_set.reference is None else frame_set.reference
    if picture is None or method == against:
        return None
    before, after = frame_set.files.get(against), frame_set.files.get(method)
    if before is not None and after is not None and _same_planes(before, after):
        names = plane_names(before.layout.family)
        return _Sides(names, against, _in_codes(before, before), _in_codes(after, before))
    seen = [[np.nan_to_num(255 * plane) for plane in side] for side in (picture, estimate)]
    return _Sides(CHANNELS[len(picture)], against, *seen)


def _same_planes(before: Frame, after: Frame) -> bool:
    """Whether both hold the same planes, whatever their depth and range."""
    layouts = [
        replace(frame.layout, bits=8, full_range=True, alpha=False, siting=before.layout.siting)
        for frame in (before, after)
    ]
    colours = slice(before.layout.colour_planes)
    shapes = [[plane.shape for plane in frame.planes[colours]] for frame in (before, after)]
    known = plane_names(before.layout.family) and before.layout.levels is None
    return bool(known) and layouts[0] == layouts[1] and shapes[0] == shapes[1]


def _count(sums: NDArray[np.float64], bright: FloatPlane, change: FloatPlane) -> None:
    """Add a plane's changes to number, sum and sum of squares of each step."""
    if bright.shape != change.shape:
        size = change.shape[1], change.shape[0]
        bright = np.asarray(cv2.resize(bright, size, interpolation=cv2.INTER_AREA), np.float32)
    step = np.clip(bright.ravel() / STEP, 0, STEPS - 1).astype(np.int64)
    flat = change.ravel().astype(np.float64)
    sums[0] += np.bincount(step, minlength=STEPS)
    sums[1] += np.bincount(step, flat, minlength=STEPS)
    sums[2] += np.bincount(step, flat * flat, minlength=STEPS)


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


def _in_codes(frame: Frame, like: Frame) -> list[FloatPlane]:
    """Its colour planes in 8-bit codes of the range that `like` has."""
    return [
        _code8(frame, like, index, chroma=frame.layout.family is Family.YUV and index > 0)
        for index in range(frame.layout.colour_planes)
    ]


def _code8(frame: Frame, like: Frame, index: int, *, chroma: bool) -> FloatPlane:
    zero, span = yuv.code_span(frame.layout, chroma=chroma)
    zero8, span8 = yuv.code_span(replace(like.layout, bits=8), chroma=chroma)
    values = np.nan_to_num(frame.planes[index].astype(np.float32))
    if (zero, span) != (zero8, span8):
        values = (values - np.float32(zero)) * np.float32(span8 / span) + np.float32(zero8)
    return values


def _luma(planes: list[FloatPlane], names: tuple[str, ...]) -> FloatPlane:
    """Luma (H, W) in codes: the first plane of Y'CbCr, else that of the picture."""
    if names == NAMES[Family.YUV]:
        return planes[0]
    return luma(np.stack(planes))
