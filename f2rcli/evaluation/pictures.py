"""The pictures of a report: a few frames, crops where methods differ, and what was taken out.

An observer sees every frame as it streams by and keeps little of it. Pictures stay at one pixel to
one: a reduced picture has less noise than the file.
"""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import cv2
import numpy as np

from f2rcli.evaluation.frame_set import FloatPlane, FrameSet, Sides, middle_window
from f2rcli.evaluation.metrics import psnr
from f2rcli.evaluation.plots import encode
from f2rcli.evaluation.result import CLEAN, NOISY, ReportImage, luma
from f2rcli.frames import Codes, Mosaic, Picture
from f2rcli.noise.synthesis.law import to_codes
from f2rcli.sensor import developed

# Kinds of images: REMOVED is noisy - estimate, ERROR is estimate - reference.
FRAME, CROP, REMOVED, ERROR = "frame", "crop", "removed", "error"
BUDGET = 5_600_000  # bytes of all pictures of an evaluation; in base64 a third more
LARGEST = (960, 1280)  # rows and columns of what is kept of a frame
KEPT = 4  # frames that are held at a time
GAINS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
SPAN = 3.0  # standard deviations that a map shows before it clips
CROP_SIDE, CROPS = 80, 4  # pixels of a square; squares that are kept


class DetailLevel(NamedTuple):
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


class _Kept(NamedTuple):
    """The middle of a frame of a clip, as shown, (3, H, W) by method."""

    frame: int
    sides: dict[str, Picture]

    def less(self, side: str) -> dict[str, Picture]:
        """What methods differ by from a side, by method; empty where there is none."""
        methods = {n: p for n, p in self.sides.items() if n not in (NOISY, CLEAN)}
        return {n: p - self.sides[side] for n, p in methods.items() if side in self.sides}


class ReportPictures:
    """Keeps the pictures that a report shows of each clip.

    Memory is bounded whatever the length, size and number of clips, and so are the bytes of all
    images together: about BUDGET.
    """

    def __init__(self, clips: int) -> None:
        """clips: how many there will be, which share the budget."""
        self.budget = BUDGET // max(1, clips)

    def begin(self, mosaic: Mosaic | None) -> None:
        """A clip begins; mosaic: of camera raw."""
        self.mosaic = mosaic
        self.stride, self.size = 1, (0, 0)  # of frames that are kept, and in pixels
        self.kept: list[_Kept] = []

    def see(self, frame_set: FrameSet) -> None:
        if frame_set.index % self.stride == 0:
            sides = frame_set.sides
            self.size = next(iter(sides.values())).shape[1:]
            part = middle_window(self.size, LARGEST)
            seen = {n: np.nan_to_num(developed(p[:, *part], self.mosaic)) for n, p in sides.items()}
            self.kept.append(_Kept(frame_set.index, seen))
            if len(self.kept) > KEPT:
                self.stride *= 2
                self.kept = [kept for kept in self.kept if kept.frame % self.stride == 0]

    def end(self) -> tuple[ReportImage, ...]:
        """The pictures kept, encoded within the clip's share of the budget: grouped by frame or
        place, noisy first, reference last."""
        if not self.kept:
            return ()
        crops = list(self._crops())
        for level in DETAIL_LEVELS:
            near = [image for crop in crops[: level.crops] for image in crop]
            found = (*self._frames(level), *self._maps(level), *near)
            if sum(len(image.data) for image in found) <= self.budget:
                return found
        return ()

    def _frames(self, level: DetailLevel) -> Iterator[ReportImage]:
        """Frames spread over what was kept, as large as a level allows."""
        count = min(level.frames, len(self.kept))
        for place in range(count):
            kept = self.kept[int((place + 0.5) / count * len(self.kept))]
            for name, picture in kept.sides.items():
                yield self._middle(FRAME, kept.frame, name, codes_of(picture), level)

    def _maps(self, level: DetailLevel) -> Iterator[ReportImage]:
        """Differences of a frame around mid-gray, all with one gain, so that methods compare."""
        kept = self.kept[len(self.kept) // 2]
        left, errors = kept.less(NOISY), kept.less(CLEAN)
        changes = (left or errors).values()
        spread = max((float(change.std(dtype=np.float64)) for change in changes), default=0.0)
        gain = max((g for g in GAINS if g * SPAN * 255 * spread <= 128), default=1)
        for kind, maps, sign in ((REMOVED, left, -1), (ERROR, errors, 1)):
            for name, change in maps.items():
                codes = codes_of(np.float32(128 / 255) + np.float32(sign * gain) * change)
                yield self._middle(kind, kept.frame, name, codes, level, gain)

    def _middle(
        self, kind: str, frame: int, method: str, codes: Codes, level: DetailLevel, gain: float = 1
    ) -> ReportImage:
        """The middle of what was kept of a frame."""
        part = codes[middle_window(codes.shape[:2], (level.rows, level.columns))]
        (rows, columns), (height, width) = self.size, part.shape[:2]
        box = (max(0, (columns - width) // 2), max(0, (rows - height) // 2), width, height)
        data = encode(part, level.quality)
        return ReportImage(kind=kind, frame=frame, method=method, box=box, gain=gain, data=data)

    def _crops(self) -> Iterator[list[ReportImage]]:
        """The squares where methods differ most, every side of each; they do not overlap, in
        whatever frames. Lossless, because they are looked at enlarged."""
        found = []
        for kept in self.kept:
            apart = difference(kept.sides)
            rows, columns = (min(CROP_SIDE, side) for side in apart.shape)
            squares = islice(highest(apart, rows, columns), CROPS)
            found += [(score, top, left, kept) for score, top, left in squares if score > 0]
        taken: list[tuple[int, int]] = []
        for _, top, left, kept in sorted(found, key=lambda one: -one[0]):
            if len(taken) < CROPS and not any(
                abs(top - y) < CROP_SIDE and abs(left - x) < CROP_SIDE for y, x in taken
            ):
                taken.append((top, left))
                yield _crop_images(kept, top, left, self.size)


def _crop_images(kept: _Kept, top: int, left: int, size: tuple[int, int]) -> list[ReportImage]:
    """A square of every side, with its PSNR."""
    part = slice(top, top + CROP_SIDE), slice(left, left + CROP_SIDE)
    cut = {name: codes_of(picture[:, *part]) for name, picture in kept.sides.items()}
    height, width = next(iter(kept.sides.values())).shape[1:]
    rows, columns = next(iter(cut.values())).shape[:2]
    box = (left + (size[1] - width) // 2, top + (size[0] - height) // 2, columns, rows)
    captions = {}
    if CLEAN in cut:
        truth = cut[CLEAN] / 255
        errors = {n: float(np.mean((c / 255 - truth) ** 2)) for n, c in cut.items() if n != CLEAN}
        captions = {name: f"{psnr(error):.2f} dB" for name, error in errors.items()}
    return [
        ReportImage(
            kind=CROP, frame=kept.frame, method=name, box=box,
            data=encode(codes), caption=captions.get(name, ""),
        )
        for name, codes in cut.items()
    ]  # fmt: skip


def codes_of(picture: Picture) -> Codes:
    """(H, W, 3) of a picture (3, H, W), as a player shows it."""
    return np.ascontiguousarray(to_codes(picture).transpose(1, 2, 0))


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
    return np.nan_to_num(apart).astype(np.float32)
