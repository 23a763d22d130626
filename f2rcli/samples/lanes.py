"""A lane of a stack as networks see it: its levels, stuck pixels and saturation.

Files and arrays go through the same functions, so that they give the same samples.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Family, Floats, Frame, Mask, Mosaic, Plane, PlaneLayout, is_even
from f2rcli.samples.impulses import NOWHERE, Places, filled, no_light, without_impulses
from f2rcli.samples.lasting import Sensor, in_place, lasting
from f2rcli.units import count

SAMPLED_FRAMES = 9  # of a lane, evenly spread
STEADY_FRAMES = 33  # the same, those nine among them: their mean tells defects from light
# Networks are shown samples so that 0.1 % and 99.9 % of them lie at 0.25 and 0.75. Below 0 they
# would be taken for clipped; stretched further, noise as strong as the picture is more than they
# were trained on. Of shares from 0 to 2 it was best or close to it (docs/microscopy.md).
TAIL, MARGIN = 0.1, 0.5
DISPLAY = (0.0, 255.0)  # levels of 8-bit colours, which are pictures for the eye
MOST = 1 << 18  # samples per frame that levels are read from

STEP = (STEADY_FRAMES - 1) // (SAMPLED_FRAMES - 1)  # frames from one that is kept to the next


@dataclass(frozen=True, slots=True)
class LaneStatistics:
    """Levels, stuck pixels and saturation of a lane."""

    levels: tuple[float, float]  # codes that networks see as 0 and 1
    defects: Places = field(default_factory=lambda: NOWHERE)  # hot or dead: repaired
    top: float | None = None  # the code at which samples saturate
    saturated: float = 0.0  # share of samples there
    mosaic: Mosaic | None = None  # of a sensor with one

    def stored(self, picture: Plane) -> tuple[Mask, ...]:
        """Which samples of each plane of a picture (H, W) or (H, W, S) are written as they
        were; empty where there are none."""
        if picture.dtype.kind != "f" and self.top is None:
            return ()
        found = [_stored(plane, self) for plane in _planes(picture)]
        return tuple(found) if any(one.any() for one in found) else ()

    def lines(self) -> list[str]:
        said = []
        if number := self.defects.size:
            pixels = f"{count(number, 'pixel')} {'is' if number == 1 else 'are'}"
            found = "hot or dead in every frame, and the neighbours see nothing of it"
            said.append(f"{pixels} {found}: denoising repairs that")
        if self.top is not None:
            rail = f"{100 * self.saturated:.2g} % of samples are saturated at {self.top:g}"
            said.append(f"{rail}: their true values are unknown")
        return said


def surveyed(frames: int, *, between: bool = False) -> list[int]:
    """The places of the frames that tell what a lane of `frames` is like: evenly spread. Those
    `between` them tell of stuck pixels only."""
    numbers = SAMPLED_FRAMES, STEADY_FRAMES
    few, many = ({*map(int, np.linspace(0, frames - 1, most).round())} for most in numbers)
    return sorted(many - few if between else few)


def lane_layout(dtype: np.dtype[Any], samples: int, levels: tuple[float, float]) -> PlaneLayout:
    """The layout of a lane's pictures: gray for one sample per pixel, RGB for 3 or 4 (alpha). 8-bit
    colours between black and white are those of any video: nobody counted them."""
    colour = samples > 1
    video = colour and dtype == np.uint8 and levels == DISPLAY
    return PlaneLayout(
        family=Family.RGB if colour else Family.GRAY,
        bits=32 if dtype.kind == "f" else 8 * dtype.itemsize,
        alpha=samples == 4,
        levels=None if video else levels,
    )


def measure_lane(
    frames: Sequence[Plane], more: Iterable[Plane] = (), mosaic: Mosaic | None = None
) -> LaneStatistics:
    """Statistics of frames (H, W) or (H, W, S) spread over a lane; `more` from between them, read
    one by one, tell of stuck pixels. Hot samples and fill values do not count for the levels: one
    of them would squeeze the picture into a sliver; nor do frames of one value beside others. Of a
    sensor with a mosaic only stuck pixels."""
    frames = [one for one in frames if not is_even(one)] or frames
    more = (one for one in more if not is_even(one))
    if mosaic is not None:
        found = lasting(frames, _mean(chain(frames, more)), mosaic)
        return LaneStatistics((0.0, 1.0), found, mosaic=mosaic)
    if frames[0].ndim == 3 and frames[0].dtype == np.uint8:
        return LaneStatistics(DISPLAY)
    values: list[NDArray[np.float64]] = []
    whole: list[Plane] = []  # without fill values
    for plane in (plane for frame in frames for plane in np.moveaxis(np.atleast_3d(frame), -1, 0)):
        bad = no_light(plane, fills=True)
        whole.append(filled(plane, bad))
        light = without_impulses(whole[-1])[0][~bad]
        values.append(light[:: max(1, light.size // MOST)].astype(np.float64))
    gray = frames[0].ndim == 2
    found = lasting(whole, _mean(chain(whole, map(light_of, more)))) if gray else NOWHERE
    return LaneStatistics(_levels(np.concatenate(values)), found, *_saturation(frames))


def _mean(frames: Iterable[Plane]) -> Floats:
    """The mean of frames (H, W), at least one."""
    total, number = np.zeros(1), 0
    for frame in frames:
        total, number = total + frame, number + 1
    return total / number


def _levels(values: NDArray[np.float64]) -> tuple[float, float]:
    if not values.size:
        return 0.0, 1.0
    low, high, top = np.percentile(values, [TAIL, 100 - TAIL, 99.995])
    # The brightest sample lies no further than four spans.
    span = float(max(high - low, (top - low) / 4.0))
    if not span:  # a frame of one colour
        span = max(abs(float(low)), 1.0)
    return float(low) - MARGIN * span, float(low) + (1 + MARGIN) * span


def _saturation(frames: Sequence[Plane]) -> tuple[float | None, float]:
    """The highest code and how much of the frames is there, if it looks like a rail: the last code
    of the type, or of a depth where several samples and more than at the code below are (of light
    that ends there by chance one or two are), or one that far more have than the codes below."""
    if frames[0].dtype.kind == "f":
        return None, 0.0
    top = max(int(frame.max()) for frame in frames)
    there = sum(int(np.count_nonzero(frame == top)) for frame in frames)
    below = sum(int(np.count_nonzero((frame < top) & (frame >= top - 8))) for frame in frames)
    total = sum(frame.size for frame in frames)
    beside = sum(int(np.count_nonzero(frame == top - 1)) for frame in frames)
    rail = top == np.iinfo(frames[0].dtype).max or (there > 4 * below and there > 1e-3 * total)
    last = top.bit_length() >= 8 and (top + 1) & top == 0 and there > max(beside, 2)
    if not (rail or last) or not 1e-5 * total <= there < total:
        return None, 0.0
    return float(top), there / total


def light_of(plane: Plane) -> Plane:
    """A plane (H, W) without fill values."""
    return filled(plane, no_light(plane, fills=True))


@dataclass(frozen=True, slots=True)
class Taken:
    """A picture of a lane as it is stored, and where its result goes: the source of a frame."""

    picture: Plane  # (H, W) or (H, W, S)
    seen: LaneStatistics
    place: Any  # for whoever writes it

    def frame(self, layout: PlaneLayout | None = None, **facts: Any) -> Frame:
        """The picture as the engine takes it, of a layout, else that of its lane."""
        picture, seen = self.picture, self.seen
        samples = 1 if picture.ndim == 2 else picture.shape[2]
        return Frame(
            planes=planes_seen(picture, seen), stored=seen.stored(picture), source=self,
            layout=layout or lane_layout(picture.dtype, samples, seen.levels), **facts,
        )  # fmt: skip

    def kept(self, restored: Frame) -> Plane:
        """The restored picture, with the samples that are to stay as stored; nowhere above the code
        at which samples saturate. One that nothing was done to is the stored one, defects and
        all."""
        picture, seen, floats = self.picture, self.seen, self.picture.dtype.kind == "f"
        if seen.defects.size:
            pairs = zip(restored.planes, planes_seen(picture, seen), strict=True)
            if all(np.array_equal(*pair, equal_nan=floats) for pair in pairs):
                return picture
        done = [plane.copy() for plane in restored.planes]
        for plane in done if seen.top is not None else ():
            np.minimum(plane, plane.dtype.type(seen.top), out=plane)
        for plane, own, stored in zip(done, _planes(picture), restored.stored, strict=False):
            plane[stored] = own[stored]
        return done[0] if picture.ndim == 2 else np.stack(done, axis=-1)


def planes_seen(picture: Plane, seen: LaneStatistics) -> tuple[Plane, ...]:
    """The planes of a picture (H, W) or (H, W, S) as all that looks at a lane may see them."""
    return tuple(without_defects(plane, seen) for plane in _planes(picture))


def _planes(picture: Plane) -> tuple[Plane, ...]:
    return (picture,) if picture.ndim == 2 else tuple(np.moveaxis(picture, -1, 0))


def without_defects(plane: Plane, seen: LaneStatistics) -> Plane:
    """The plane (H, W) with what is around defects in place of them, and its own samples in place
    of floats that are not finite. The plane itself if there are none."""
    if plane.dtype.kind == "f":
        plane = filled(plane, ~np.isfinite(plane))
    if not seen.defects.size:
        return plane
    whole = plane.copy()
    whole.flat[seen.defects] = in_place(plane, seen.defects, Sensor.of(plane, seen.mosaic))
    return whole


def _stored(plane: Plane, seen: LaneStatistics) -> Mask:
    found = np.zeros(plane.shape, bool)
    if seen.top is not None and min(plane.shape) > 1:
        found |= _surrounded(plane == seen.top)
    if plane.dtype.kind == "f":
        found |= ~np.isfinite(plane)
    return found


def _surrounded(mask: Mask) -> Mask:
    """Where samples and all eight neighbours are marked; mirrored at the border."""
    import cv2  # not before it is needed: io knows this module

    square, mirror = np.ones((3, 3), np.uint8), cv2.BORDER_REFLECT_101
    return cv2.erode(mask.astype(np.uint8), square, borderType=mirror) > 0


@dataclass
class Arriving:
    """The statistics of a lane whose frames come one by one. The first few tell its levels; every
    STEADY_FRAMES tell of defects, as a whole lane's do. A pixel is one as long as either of the
    last two looks says so."""

    seen: LaneStatistics  # by the first few frames
    found: Places | None = None  # by the last look alone
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
        before = self.seen.defects if self.found is None else self.found
        self.found = lasting(self.few, self.total / self.count)
        self.seen = replace(self.seen, defects=np.union1d(before, self.found))
        self.few, self.total, self.count = [], np.zeros(1), 0
        return True
