"""How samples change with brightness: a mean that is not zero is a shade, a tint or crushed black.

Measured in the planes of the file where both sides have the same ones, because a picture for the
eye ends at black and white: what was pushed beyond them would not be seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli import yuv
from f2rcli.evaluation.moment import Moment, Picture, luma
from f2rcli.evaluation.result import NOISY, PlaneChange
from f2rcli.evaluation.shots import CLEAN
from f2rcli.frames import Family, Frame
from f2rcli.sensor import PLANES

STEP = 4  # codes of 255 that a step of brightness is wide
STEPS = 64
BLUR = 2.0  # pixels: brightness is that of a place, not of its noise
RARE = 1 / 2000  # of all samples: steps with fewer are left out
FEW = 100  # samples: the same
NAMES = {
    Family.YUV: ("Y", "Cb", "Cr"), Family.RGB: ("R", "G", "B"), Family.GRAY: ("gray",)
}  # fmt: skip
CHANNELS = {1: ("gray",), 3: ("R", "G", "B"), 4: PLANES}

Plane = NDArray[np.float32]


def plane_names(family: Family) -> tuple[str, ...]:
    """What the planes of files are called; () for a mosaic."""
    return NAMES.get(family, ())


@dataclass(slots=True)
class ChangeMeter:
    """Gathers the change of every plane by brightness, frame by frame, in a few small sums."""

    method: str
    names: tuple[str, ...] = ()
    against: str = NOISY
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 3, STEPS)))

    def add(self, moment: Moment, estimate: Picture) -> None:
        """Take in a frame: its change from the reference, else from the noisy input."""
        base = CLEAN if moment.reference is not None else NOISY
        picture = moment.noisy if moment.reference is None else moment.reference
        if picture is None or (base == NOISY and self.method == NOISY):
            return
        found = _codes(moment.files, base, self.method)
        if found is None:
            names, planes = CHANNELS[len(picture)], (255 * picture, 255 * estimate)
            before, after = ([np.nan_to_num(p) for p in side] for side in planes)
        else:
            names, before, after = found
        if names != self.names or base != self.against:
            if self.names:
                return  # another lane with other channels: the first one's count
            self.names, self.against = names, base
            self.sums = np.zeros((len(names), 3, STEPS))
        # Brightness must not be that of the noise which is taken out: the darkest noise would
        # seem to be lifted. The result's own, smoothed, comes close to the truth.
        bright = _brightness(before if base == CLEAN else after, names)
        if base == NOISY:
            bright = np.asarray(cv2.GaussianBlur(bright, (0, 0), BLUR), np.float32)
        for sums, old, new in zip(self.sums, before, after, strict=True):
            _count(sums, bright, new - old)

    def finish(self) -> tuple[PlaneChange, ...]:
        """A curve for each plane; () where there was nothing to compare."""
        return tuple(
            _curve(name, sums, self.against)
            for name, sums in zip(self.names, self.sums, strict=True)
        )


def _count(sums: NDArray[np.float64], bright: Plane, change: Plane) -> None:
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


def _codes(
    files: Mapping[str, Frame], base: str, method: str
) -> tuple[tuple[str, ...], list[Plane], list[Plane]] | None:
    """Names and planes of both sides in 8-bit codes; None unless both have the same planes."""
    before, after = files.get(base), files.get(method)
    if before is None or after is None:
        return None
    layout = before.layout
    alike = replace(after.layout, bits=layout.bits, full_range=layout.full_range, alpha=False)
    names = plane_names(layout.family)
    colours = slice(layout.colour_planes)
    shapes = [[p.shape for p in side.planes[colours]] for side in (before, after)]
    if (
        not names
        or layout.levels is not None
        or replace(layout, alpha=False, siting=alike.siting) != alike
        or shapes[0] != shapes[1]
    ):
        return None
    return names, _in_codes(before, before), _in_codes(after, before)


def _in_codes(frame: Frame, like: Frame) -> list[Plane]:
    """Its colour planes in 8-bit codes of the range that `like` has."""
    return [
        _code8(frame, like, index, chroma=frame.layout.family is Family.YUV and index > 0)
        for index in range(frame.layout.colour_planes)
    ]


def _code8(frame: Frame, like: Frame, index: int, *, chroma: bool) -> Plane:
    zero, span = yuv.code_span(frame.layout, chroma=chroma)
    zero8, span8 = yuv.code_span(replace(like.layout, bits=8), chroma=chroma)
    values = np.nan_to_num(frame.planes[index].astype(np.float32))
    if (zero, span) != (zero8, span8):
        values = (values - np.float32(zero)) * np.float32(span8 / span) + np.float32(zero8)
    return values


def _brightness(planes: list[Plane], names: tuple[str, ...]) -> Plane:
    """Luma (H, W) in codes: the first plane of Y'CbCr, else that of the picture."""
    if names == NAMES[Family.YUV]:
        return planes[0]
    return luma(np.stack(planes))
