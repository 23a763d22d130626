"""Find the crops where methods differ most, in one pass over a clip."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np

from f2rcli.evaluation.frame_set import FloatPlane, luma
from f2rcli.evaluation.metrics.psnr import psnr
from f2rcli.evaluation.result import CLEAN, NOISY
from f2rcli.evaluation.visuals.images import CROP, ReportImage, codes_of
from f2rcli.frames import Codes, Mosaic, Picture
from f2rcli.plots.images import encode

SIDE = 80  # pixels of a square
MOST = 4  # squares that are kept


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
        return abs(self.top - other.top) < SIDE and abs(self.left - other.left) < SIDE

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
    """The squares of a clip that differ most; they do not overlap, in whatever frames."""

    def __init__(self) -> None:
        self.found: list[FoundCrop] = []  # the best one first

    def look(self, frame: int, shown: Mapping[str, Picture], mosaic: Mosaic | None) -> None:
        """Look for better ones in a frame: every side (C, H, W) by method."""
        apart = difference(shown)
        rows, columns = (min(SIDE, side) for side in apart.shape)
        for best, top, left in islice(highest(apart, rows, columns), MOST):
            if best <= 0 or (len(self.found) >= MOST and best <= self.found[-1].score):
                return
            cut = {n: p[:, top : top + rows, left : left + columns] for n, p in shown.items()}
            self._enter(_place(best, frame, (top, left), cut, mosaic))

    def _enter(self, new: FoundCrop) -> None:
        """Take a place in, unless a better one overlaps it, in whatever frame."""
        if any(old.overlaps(new) and old.score >= new.score for old in self.found):
            return
        others = [old for old in self.found if not old.overlaps(new)]
        self.found = sorted([*others, new], key=lambda place: -place.score)[:MOST]


def highest(plane: FloatPlane, rows: int, columns: int) -> Iterator[tuple[float, int, int]]:
    """Mean, top and left of disjoint rectangles of a non-negative plane, highest mean first."""
    mean = cv2.boxFilter(plane, -1, (columns, rows), anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
    score = mean[: plane.shape[0] - rows + 1, : plane.shape[1] - columns + 1].copy()
    while score.max() >= 0:
        top, left = divmod(int(score.argmax()), score.shape[1])
        yield float(score[top, left]), top, left
        above, before = max(0, top - rows + 1), max(0, left - columns + 1)
        score[above : top + rows, before : left + columns] = -1


def difference(shown: Mapping[str, Picture]) -> FloatPlane:
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


def _place(
    score: float, frame: int, at: tuple[int, int], cut: Mapping[str, Picture], mosaic: Mosaic | None
) -> FoundCrop:
    found: dict[str, float] = {}
    if CLEAN in cut:
        for name in (name for name in cut if name != CLEAN):
            error = float(np.mean((cut[name] - cut[CLEAN]) ** 2, dtype=np.float64))
            found[name] = psnr(error)
    codes = {name: codes_of(picture, mosaic) for name, picture in cut.items()}
    return FoundCrop(score, frame, *at, codes, found)
