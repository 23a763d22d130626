"""The pictures of a report: a few frames, and what was taken out.

An observer sees every frame as it streams by and keeps little of it. Pictures stay at one pixel to
one: a reduced picture has less noise than the file.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from f2rcli.evaluation.frame_set import FrameSet, middle_window
from f2rcli.evaluation.plots import encode
from f2rcli.evaluation.result import CLEAN, NOISY, ReportImage
from f2rcli.frames import Mosaic, Picture
from f2rcli.noise.synthesis.law import to_codes
from f2rcli.yuv import developed

# Kinds of images: REMOVED is noisy - estimate, ERROR is estimate - reference.
FRAME, REMOVED, ERROR = "frame", "removed", "error"
BUDGET = 5_600_000  # bytes of all pictures of an evaluation; in base64 a third more
LARGEST = (960, 1280)  # rows and columns of what is kept of a frame
KEPT = 4  # frames that are held at a time
GAINS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
SPAN = 3.0  # standard deviations that a map shows before it clips


class DetailLevel(NamedTuple):
    frames: int
    rows: int
    columns: int
    quality: int  # of WebP


# From the richest; the first one that fits the budget is taken.
DETAIL_LEVELS = (
    DetailLevel(3, 960, 1280, 85),
    DetailLevel(2, 720, 960, 80),
    DetailLevel(1, 540, 720, 80),
    DetailLevel(1, 400, 560, 75),
    DetailLevel(1, 180, 280, 70),
    DetailLevel(1, 96, 128, 60),
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
        self.stride = 1  # of frames that are kept
        self.kept: list[_Kept] = []

    def see(self, frame_set: FrameSet) -> None:
        if frame_set.index % self.stride == 0:
            sides = frame_set.sides
            part = middle_window(next(iter(sides.values())).shape[1:], LARGEST)
            seen = {n: np.nan_to_num(developed(p[:, *part], self.mosaic)) for n, p in sides.items()}
            self.kept.append(_Kept(frame_set.index, seen))
            if len(self.kept) > KEPT:
                self.stride *= 2
                self.kept = [kept for kept in self.kept if kept.frame % self.stride == 0]

    def end(self) -> tuple[ReportImage, ...]:
        """The pictures kept, encoded within the clip's share of the budget: grouped by frame, noisy
        first, reference last."""
        if not self.kept:
            return ()
        for level in DETAIL_LEVELS:
            found = (*self._frames(level), *self._maps(level))
            if sum(len(image.data) for image in found) <= self.budget:
                return found
        return ()

    def _frames(self, level: DetailLevel) -> Iterator[ReportImage]:
        """Frames spread over what was kept, as large as a level allows."""
        count = min(level.frames, len(self.kept))
        for place in range(count):
            kept = self.kept[int((place + 0.5) / count * len(self.kept))]
            for name, picture in kept.sides.items():
                yield _middle(FRAME, kept.frame, name, picture, level)

    def _maps(self, level: DetailLevel) -> Iterator[ReportImage]:
        """Differences of a frame around mid-gray, all with one gain, so that methods compare."""
        kept = self.kept[len(self.kept) // 2]
        left, errors = kept.less(NOISY), kept.less(CLEAN)
        changes = (left or errors).values()
        spread = max((float(change.std(dtype=np.float64)) for change in changes), default=0.0)
        gain = max((g for g in GAINS if g * SPAN * 255 * spread <= 128), default=1)
        for kind, maps, sign in ((REMOVED, left, -1), (ERROR, errors, 1)):
            for name, change in maps.items():
                gray = np.float32(128 / 255) + np.float32(sign * gain) * change
                yield _middle(kind, kept.frame, name, gray, level, gain)


def _middle(
    kind: str, frame: int, method: str, picture: Picture, level: DetailLevel, gain: float = 1
) -> ReportImage:
    """The middle of a picture (3, H, W), as a player shows it."""
    part = picture[:, *middle_window(picture.shape[1:], (level.rows, level.columns))]
    codes = to_codes(part).transpose(1, 2, 0)
    return ReportImage(
        kind=kind, frame=frame, method=method, size=(codes.shape[1], codes.shape[0]), gain=gain,
        data=encode(codes, level.quality),
    )  # fmt: skip
