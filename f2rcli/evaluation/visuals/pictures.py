"""Collect the pictures of a report: a few frames, crops where methods differ, what was removed.

An observer that sees every frame as it streams by and keeps little of it: the middle of a few
frames, and a handful of crops. Pictures stay at one pixel to one: a reduced picture has less
noise than the file.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from f2rcli.errors import F2RError
from f2rcli.evaluation.base import ClipFacts, Observer
from f2rcli.evaluation.frame_set import FrameSet, luma, middle_window
from f2rcli.evaluation.metrics import noise_left
from f2rcli.evaluation.result import CLEAN, NOISY, ClipResult
from f2rcli.evaluation.visuals.crops import CropFinder
from f2rcli.evaluation.visuals.flattest import Flattest, unclamped
from f2rcli.evaluation.visuals.images import (
    COLOUR,
    ERROR,
    FRAME,
    REMOVED,
    ClipPictures,
    ReportImage,
    codes_of,
)
from f2rcli.frames import Codes, Mosaic, Picture
from f2rcli.plots.images import encode

BUDGET = 5_600_000  # bytes of all pictures of an evaluation; in base64 a third more
LEAST = 250_000  # bytes of a clip: with more clips than that allows, not all are shown
LARGEST = (960, 1280)  # rows and columns of what is kept of a frame
KEPT = 4  # frames that are held at a time
COLOUR_STEPS = 4  # the same for colour, of which three are kept
STEPS = 64  # of a stored difference per 8-bit code
GAINS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
SPAN = 3.0  # standard deviations that a map shows before it clips


class DetailLevel(NamedTuple):
    """The amount of a clip that is shown."""

    frames: int
    rows: int
    columns: int
    quality: int  # of WebP
    crops: int


# From the richest; the first one that fits the budget is taken.
DETAIL_LEVELS = (
    DetailLevel(3, 960, 1280, 90, 4),
    DetailLevel(3, 960, 1280, 80, 4),
    DetailLevel(2, 720, 960, 80, 4),
    DetailLevel(1, 720, 960, 80, 3),
    DetailLevel(1, 540, 720, 80, 3),
    DetailLevel(1, 400, 560, 75, 2),
    DetailLevel(1, 270, 400, 75, 2),
    DetailLevel(1, 180, 280, 70, 1),
    DetailLevel(1, 96, 128, 60, 0),
)


@dataclass(frozen=True, slots=True)
class _Kept:
    """The middle of a frame, by method; differences are luma, STEPS per 8-bit code."""

    frame: int
    pictures: dict[str, Codes]
    removed: dict[str, NDArray[np.int16]]  # noisy - estimate
    errors: dict[str, NDArray[np.int16]]  # estimate - reference
    # (H, W, 3), noisy - estimate without its luma, COLOUR_STEPS per 8-bit code; none of gray
    colours: dict[str, NDArray[np.int8]]


class ReportPictures(Observer):
    """Keeps the pictures that a report shows of each clip.

    Memory is bounded whatever the length, size and number of clips, and so are the bytes of all
    images together: about BUDGET.
    """

    def __init__(self, clips: int, budget: int = BUDGET) -> None:
        """clips: how many there will be. With very many, every second or third is shown."""
        self.every = max(1, math.ceil(clips * LEAST / budget))
        self.budget = budget // max(1, math.ceil(clips / self.every))
        self.begun = 0

    def begin(self, name: str, setting: ClipFacts, methods: tuple[str, ...]) -> None:
        self.wanted = self.begun % self.every == 0
        self.begun += 1
        self.mosaic = setting.mosaic
        self.noise = noise_left.METRIC.meter(setting) if self.wanted else None
        self.stride = 1
        self.kept: list[_Kept] = []
        self.places = CropFinder()
        self.flattest = Flattest()

    def see(self, frame_set: FrameSet, estimates: Mapping[str, Picture]) -> None:
        if not self.wanted:
            return
        if self.noise is not None and frame_set.noisy is not None:
            self.noise.add(frame_set, frame_set.noisy)
        sides = {NOISY: frame_set.noisy, **estimates, CLEAN: frame_set.reference}
        shown = {name: picture for name, picture in sides.items() if picture is not None}
        self.places.look(frame_set.index, shown, self.mosaic)
        if frame_set.index % self.stride == 0:
            exact = unclamped(frame_set, shown)
            self.flattest.look(frame_set.index, exact, self.mosaic)
            self.kept.append(_keep(frame_set.index, shown, exact, self.mosaic))
            if len(self.kept) > KEPT:
                self.stride *= 2
                self.kept = [kept for kept in self.kept if kept.frame % self.stride == 0]

    def end(self, result: ClipResult) -> ClipPictures | None:
        """The pictures kept, encoded within the clip's share of the budget."""
        if not self.wanted or not self.kept:
            return None
        images = self._fitting((result.height, result.width))
        return ClipPictures(images, self._measured() if result.noise is None else None)

    def _measured(self) -> Mapping[str, Any] | None:
        """The noise of the input; None where there is no input or it cannot be measured."""
        if self.noise is None:
            return None
        try:
            self.noise.finish()
        except F2RError:
            return None  # the page does without
        return getattr(self.noise, "report", None)

    def _fitting(self, size: tuple[int, int]) -> tuple[ReportImage, ...]:
        """The images of the richest level that fits the budget."""
        crops = [place.images() for place in self.places.found]
        richest = sum(len(image.data) for image in self._whole(size, DETAIL_LEVELS[0], 1))
        for level in DETAIL_LEVELS:
            if richest * self._share(level) > self.budget:  # not worth trying
                continue
            near = [image for images in crops[: level.crops] for image in images]
            flat = self.flattest.images() if level.crops else []
            found = (*self._whole(size, level, level.frames), *near, *flat)
            if sum(len(image.data) for image in found) <= self.budget:
                return found
        return ()

    def _share(self, level: DetailLevel) -> float:
        """The pixels of a level as a share of the richest level's with one frame."""
        height, width = next(iter(self.kept[0].pictures.values())).shape[:2]
        pixels = min(height, level.rows) * min(width, level.columns) / (height * width)
        share: float = pixels * (level.quality / DETAIL_LEVELS[0].quality) ** 2
        return share

    def _whole(self, size: tuple[int, int], level: DetailLevel, count: int) -> list[ReportImage]:
        """Frames and maps, as large as a level allows."""
        count = min(count, len(self.kept))
        places = [int((place + 0.5) / count * len(self.kept)) for place in range(count)]
        frames = [
            _middle_image(FRAME, self.kept[at].frame, name, codes, level, size)
            for at in places
            for name, codes in self.kept[at].pictures.items()
        ]
        return [*frames, *_map_images(self.kept[len(self.kept) // 2], level, size)]


def _keep(
    frame: int, shown: Mapping[str, Picture], exact: Mapping[str, Picture], mosaic: Mosaic | None
) -> _Kept:
    """shown: as a player shows it; exact: as the file has it, which differences are made of."""
    seen = {name: p[:, *middle_window(p.shape[1:], LARGEST)] for name, p in exact.items()}
    methods = {name: p for name, p in seen.items() if name not in (NOISY, CLEAN)}
    noisy, clean = seen.get(NOISY), seen.get(CLEAN)
    return _Kept(
        frame,
        {n: codes_of(p[:, *middle_window(p.shape[1:], LARGEST)], mosaic) for n, p in shown.items()},
        {} if noisy is None else {n: _difference(noisy, p) for n, p in methods.items()},
        {} if clean is None else {n: _difference(p, clean) for n, p in methods.items()},
        {}
        if noisy is None or len(noisy) != 3
        else {n: _colour(noisy - p) for n, p in methods.items()},
    )


def _colour(change: Picture) -> NDArray[np.int8]:
    """(H, W, 3) of a change in RGB, without its brightness."""
    bare = np.nan_to_num(change - luma(change)) * (255 * COLOUR_STEPS)
    held: NDArray[np.int8] = np.clip(np.rint(bare), -127, 127).astype(np.int8)
    return np.ascontiguousarray(held.transpose(1, 2, 0))


def _difference(a: Picture, b: Picture) -> NDArray[np.int16]:
    steps = np.rint(np.nan_to_num(255 * STEPS * (luma(a) - luma(b))))
    held: NDArray[np.int16] = np.clip(steps, -32768, 32767).astype(np.int16)
    return held


def _map_images(kept: _Kept, level: DetailLevel, size: tuple[int, int]) -> list[ReportImage]:
    """Differences around mid-gray, all with one gain, so that methods compare."""
    changes = kept.removed or kept.errors
    spread = max((float(steps.std()) for steps in changes.values()), default=0.0) / STEPS
    gain = max((g for g in GAINS if g * SPAN * spread <= 128), default=1)
    maps = (
        (REMOVED, kept.removed, STEPS), (COLOUR, kept.colours, COLOUR_STEPS),
        (ERROR, kept.errors, STEPS),
    )  # fmt: skip
    return [
        _middle_image(kind, kept.frame, name, _gray(differences, gain / steps), level, size, gain)
        for kind, found, steps in maps
        for name, differences in found.items()
    ]


def _middle_image(
    kind: str,
    frame: int,
    method: str,
    codes: Codes,
    level: DetailLevel,
    size: tuple[int, int],
    gain: float = 1,
) -> ReportImage:
    """The middle of what was kept of a frame of `size`."""
    part = codes[middle_window(codes.shape[:2], (level.rows, level.columns))]
    height, width = part.shape[:2]
    box = (max(0, (size[1] - width) // 2), max(0, (size[0] - height) // 2), width, height)
    data = encode(part, level.quality)
    return ReportImage(kind=kind, frame=frame, method=method, box=box, gain=gain, data=data)


def _gray(steps: NDArray[np.int16] | NDArray[np.int8], gain: float) -> Codes:
    gray = np.rint(128 + steps.astype(np.float32) * gain)
    codes: Codes = np.clip(gray, 0, 255).astype(np.uint8)
    return codes
