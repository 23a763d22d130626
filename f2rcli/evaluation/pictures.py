"""The pictures of a report: a few frames, crops where methods differ, and what was taken out.

An observer sees every frame as it streams by and keeps little of it. Pictures stay at one pixel to
one: a reduced picture has less noise than the file.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli import sensor
from f2rcli.evaluation.base import ClipFacts, Observer
from f2rcli.evaluation.frame_set import FloatPlane, FrameSet, Sides, middle_window
from f2rcli.evaluation.metrics import luma, psnr
from f2rcli.evaluation.result import CLEAN, NOISY, ClipResult
from f2rcli.frames import Codes, Mosaic, Picture
from f2rcli.noise.synthesis.codec import to_codes
from f2rcli.plots import encode

# Kinds of images: REMOVED is noisy - estimate, ERROR is estimate - reference.
FRAME, CROP, REMOVED, ERROR = "frame", "crop", "removed", "error"
BUDGET = 5_600_000  # bytes of all pictures of an evaluation; in base64 a third more
LEAST = 250_000  # bytes of a clip: with more clips than that allows, not all are shown
LARGEST = (960, 1280)  # rows and columns of what is kept of a frame
KEPT = 4  # frames that are held at a time
GAINS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
SPAN = 3.0  # standard deviations that a map shows before it clips
CROP_SIDE, CROPS = 80, 4  # pixels of a square; squares that are kept


class DetailLevel(NamedTuple):
    """The amount of a clip that is shown."""

    frames: int
    rows: int
    columns: int
    quality: int  # of WebP
    crops: int


# From the richest; the first one that fits the budget is taken.
DETAIL_LEVELS = (
    DetailLevel(3, 960, 1280, 85, 4),
    DetailLevel(2, 720, 960, 80, 4),
    DetailLevel(1, 540, 720, 80, 3),
    DetailLevel(1, 400, 560, 75, 2),
    DetailLevel(1, 180, 280, 70, 1),
    DetailLevel(1, 96, 128, 60, 0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportImage:
    """A picture, one pixel to one of the clip's."""

    kind: str
    frame: int  # from 0
    method: str  # CLEAN for the reference
    box: tuple[int, int, int, int]  # x, y, width, height in the clip's pixels
    caption: str = ""
    gain: float = 1  # what differences are multiplied by
    data: bytes = field(repr=False)  # a PNG or WebP file


@dataclass(frozen=True, slots=True)
class ClipPictures:
    """A report's pictures of one clip, grouped by frame or place: noisy first, reference last."""

    images: tuple[ReportImage, ...]

    def of(self, kind: str) -> tuple[ReportImage, ...]:
        """The images of a kind."""
        return tuple(image for image in self.images if image.kind == kind)


@dataclass(frozen=True, slots=True)
class _Kept:
    """The middle of a frame, by method: as shown, and (3, H, W) differences as the file has it."""

    frame: int
    pictures: dict[str, Codes]
    removed: dict[str, NDArray[np.float16]]
    errors: dict[str, NDArray[np.float16]]


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
        self.stride = 1
        self.kept: list[_Kept] = []
        self.crops = CropFinder()

    def see(self, frame_set: FrameSet) -> None:
        if not self.wanted:
            return
        self.crops.look(frame_set.index, frame_set.sides, self.mosaic)
        if frame_set.index % self.stride == 0:
            self.kept.append(_keep(frame_set, self.mosaic))
            if len(self.kept) > KEPT:
                self.stride *= 2
                self.kept = [kept for kept in self.kept if kept.frame % self.stride == 0]

    def end(self, result: ClipResult) -> ClipPictures | None:
        """The pictures kept, encoded within the clip's share of the budget."""
        if not self.wanted or not self.kept:
            return None
        size = (result.height, result.width)
        for level in DETAIL_LEVELS:
            near = [image for crop in self.crops.found[: level.crops] for image in crop.images()]
            found = (*self._frames(size, level), *self._maps(size, level), *near)
            if sum(len(image.data) for image in found) <= self.budget:
                return ClipPictures(found)
        return ClipPictures(())

    def _frames(self, size: tuple[int, int], level: DetailLevel) -> Iterator[ReportImage]:
        """Frames spread over what was kept, as large as a level allows."""
        count = min(level.frames, len(self.kept))
        for place in range(count):
            kept = self.kept[int((place + 0.5) / count * len(self.kept))]
            for name, codes in kept.pictures.items():
                yield _middle_image(FRAME, kept.frame, name, codes, level, size)

    def _maps(self, size: tuple[int, int], level: DetailLevel) -> Iterator[ReportImage]:
        """Differences of a frame around mid-gray, all with one gain, so that methods compare."""
        kept = self.kept[len(self.kept) // 2]
        changes = (kept.removed or kept.errors).values()
        spread = max((float(change.std(dtype=np.float64)) for change in changes), default=0.0)
        gain = max((g for g in GAINS if g * SPAN * 255 * spread <= 128), default=1)
        for kind, maps in ((REMOVED, kept.removed), (ERROR, kept.errors)):
            for name, change in maps.items():
                codes = _around_gray(change.astype(np.float32), gain)
                yield _middle_image(kind, kept.frame, name, codes, level, size, gain)


def in_colour(picture: Picture, mosaic: Mosaic | None) -> Picture:
    """(3, H, W) of a picture (C, H, W): gray three times, packed planes of a mosaic developed."""
    if mosaic is not None and len(picture) == 4:
        return sensor.developed(picture, mosaic)
    return np.repeat(picture, 3, axis=0) if len(picture) == 1 else picture


def codes_of(picture: Picture, mosaic: Mosaic | None) -> Codes:
    """(H, W, 3) RGB of a picture (C, H, W) that `in_colour` takes."""
    shown = to_codes(np.nan_to_num(in_colour(picture, mosaic)))
    return np.ascontiguousarray(shown.transpose(1, 2, 0))


def _keep(frame_set: FrameSet, mosaic: Mosaic | None) -> _Kept:
    """Pictures as a player shows them, and differences of what the files have."""
    seen = {
        name: np.nan_to_num(in_colour(p[:, *middle_window(p.shape[1:], LARGEST)], mosaic))
        for name, p in frame_set.exact.items()
    }
    methods = {name: p for name, p in seen.items() if name not in (NOISY, CLEAN)}
    noisy, clean = seen.get(NOISY), seen.get(CLEAN)
    return _Kept(
        frame_set.index,
        {
            name: codes_of(p[:, *middle_window(p.shape[1:], LARGEST)], mosaic)
            for name, p in frame_set.sides.items()
        },
        {} if noisy is None else {n: (noisy - p).astype(np.float16) for n, p in methods.items()},
        {} if clean is None else {n: (p - clean).astype(np.float16) for n, p in methods.items()},
    )


def _middle_image(
    kind: str, frame: int, method: str, codes: Codes, level: DetailLevel, size: tuple[int, int],
    gain: float = 1,
) -> ReportImage:  # fmt: skip
    """The middle of what was kept of a frame of `size`."""
    part = codes[middle_window(codes.shape[:2], (level.rows, level.columns))]
    height, width = part.shape[:2]
    box = (max(0, (size[1] - width) // 2), max(0, (size[0] - height) // 2), width, height)
    data = encode(part, level.quality)
    return ReportImage(kind=kind, frame=frame, method=method, box=box, gain=gain, data=data)


def _around_gray(change: Picture, gain: float) -> Codes:
    """(H, W, 3) of a difference (3, H, W), 0 at mid-gray."""
    codes = np.clip(np.rint(128 + 255 * gain * change), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(codes.transpose(1, 2, 0))


@dataclass(frozen=True, slots=True)
class FoundCrop:
    """A square where methods differ, by method."""

    score: float
    frame: int
    top: int
    left: int
    pictures: dict[str, Codes]
    psnr: dict[str, float]

    def overlaps(self, other: "FoundCrop") -> bool:
        """Whether they share pixels, in whatever frames."""
        return abs(self.top - other.top) < CROP_SIDE and abs(self.left - other.left) < CROP_SIDE

    def images(self) -> list[ReportImage]:
        """Every side of it; lossless, because it is looked at enlarged."""
        rows, columns = next(iter(self.pictures.values())).shape[:2]
        box = (self.left, self.top, columns, rows)
        return [
            ReportImage(
                kind=CROP, frame=self.frame, method=name, box=box, data=encode(codes),
                caption=f"{self.psnr[name]:.2f} dB" if name in self.psnr else "",
            )
            for name, codes in self.pictures.items()
        ]  # fmt: skip


class CropFinder:
    """The squares of a clip where methods differ most; they do not overlap, in whatever frames."""

    def __init__(self) -> None:
        self.found: list[FoundCrop] = []  # the best one first

    def look(self, frame: int, shown: Sides, mosaic: Mosaic | None) -> None:
        """Look for better ones in a frame."""
        apart = difference(shown)
        rows, columns = (min(CROP_SIDE, side) for side in apart.shape)
        for best, top, left in islice(highest(apart, rows, columns), CROPS):
            if best <= 0 or (len(self.found) >= CROPS and best <= self.found[-1].score):
                return
            cut = {n: p[:, top : top + rows, left : left + columns] for n, p in shown.items()}
            codes = {name: codes_of(picture, mosaic) for name, picture in cut.items()}
            self._enter(FoundCrop(best, frame, top, left, codes, _psnr_of(cut)))

    def _enter(self, new: FoundCrop) -> None:
        """Take a place in, unless a better one overlaps it, in whatever frame."""
        if any(old.overlaps(new) and old.score >= new.score for old in self.found):
            return
        others = [old for old in self.found if not old.overlaps(new)]
        self.found = sorted([*others, new], key=lambda place: -place.score)[:CROPS]


def _psnr_of(cut: Sides) -> dict[str, float]:
    if CLEAN not in cut:
        return {}
    return {
        name: psnr(float(np.mean((picture - cut[CLEAN]) ** 2, dtype=np.float64)))
        for name, picture in cut.items()
        if name != CLEAN
    }


def highest(plane: FloatPlane, rows: int, columns: int) -> Iterator[tuple[float, int, int]]:
    """Mean, top and left of disjoint rectangles of a non-negative plane, highest mean first."""
    mean = cv2.boxFilter(plane, -1, (columns, rows), anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
    score = mean[: plane.shape[0] - rows + 1, : plane.shape[1] - columns + 1].copy()
    while score.max() >= 0:
        top, left = divmod(int(score.argmax()), score.shape[1])
        yield float(score[top, left]), top, left
        above, before = max(0, top - rows + 1), max(0, left - columns + 1)
        score[above : top + rows, before : left + columns] = -1


def difference(shown: Sides) -> FloatPlane:
    """The difference of methods per pixel, in luma; for a single one, its error.

    Without a reference that is what is smooth in what it took out: noise averages away under the
    blur, and lost detail does not.
    """
    methods = [luma(picture) for name, picture in shown.items() if name not in (NOISY, CLEAN)]
    if len(methods) > 1:
        apart = np.ptp(np.stack(methods), axis=0)
    elif methods and CLEAN in shown:
        apart = np.abs(methods[0] - luma(shown[CLEAN]))
    elif methods and NOISY in shown:
        apart = np.abs(cv2.GaussianBlur(methods[0] - luma(shown[NOISY]), (0, 0), 2.0))
    else:
        apart = np.zeros(next(iter(shown.values())).shape[1:])
    known: FloatPlane = np.nan_to_num(apart).astype(np.float32)
    return known
