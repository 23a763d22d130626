"""The pictures of a report: before | after under a slider, enlarged crops, what was taken out."""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from f2rcli.evaluation.result import CLEAN, NOISY, ClipResult
from f2rcli.evaluation.visuals.images import (
    COLOUR,
    CROP,
    ERROR,
    FLAT,
    FRAME,
    REMOVED,
    ClipPictures,
    ReportImage,
)

Label = Callable[[str], str]  # a method's name in words
FULL = 1060  # pixels across that small pictures may be enlarged to
MOST_TIMES = 4  # that they are enlarged


class Comparison(NamedTuple):
    """Two of a frame's pictures over each other, parted by a range input."""

    images: Sequence[ReportImage]
    sides: list[tuple[str, str]]  # methods and their names in words
    frames: list[int]
    left: str
    right: str
    part: str  # what is shown of the frame, in words

    @property
    def numbers(self) -> list[tuple[str, str]]:
        """Frames to choose from."""
        return [(f"{frame}", f"{frame}") for frame in self.frames]


def pictures(clip: ClipResult, label: Label) -> dict[str, Any]:
    """Everything that was kept of a clip; nothing if that is nothing."""
    if clip.pictures is None:
        return {}
    frames, crops = clip.pictures.of(FRAME), clip.pictures.of(CROP)
    return {
        "comparison": _comparison(frames, clip, label) if frames else None,
        "crops_title": _crops_title(crops),
        "crops": [
            [*images] for _, images in groupby(crops, key=lambda image: (image.frame, image.box))
        ],
        "sides": len({image.method for image in crops}),
        "flat": clip.pictures.of(FLAT),
        "removed": _paired(clip.pictures),
        "coloured": bool(clip.pictures.of(COLOUR)),
        "errors": clip.pictures.of(ERROR),
    }


def enlarged(width: int) -> int:
    """The greatest width a picture is shown at: a small one several times its size."""
    return width * max(1, min(MOST_TIMES, FULL // max(width, 1)))


def _paired(pictures: ClipPictures) -> tuple[ReportImage, ...]:
    """The changes of brightness and of colour, method by method beside each other."""
    images = (*pictures.of(REMOVED), *pictures.of(COLOUR))
    order = {image.method: place for place, image in enumerate(pictures.of(REMOVED))}
    return tuple(sorted(images, key=lambda image: order.get(image.method, 0)))


def _comparison(images: Sequence[ReportImage], clip: ClipResult, label: Label) -> Comparison:
    sides = list(dict.fromkeys(image.method for image in images))
    frames = list(dict.fromkeys(image.frame for image in images))
    right = next((side for side in sides[1:] if side != CLEAN), sides[-1])
    named = [(side, label(side)) for side in sides]
    return Comparison(images, named, frames, sides[0], right, _part(images[0], clip))


def _part(image: ReportImage, clip: ClipResult) -> str:
    _, _, width, height = image.box
    if (width, height) == (clip.width, clip.height) or clip.space == "bayer":
        return ""
    return f" The middle {width} x {height} of {clip.width} x {clip.height} pixels."


def _crops_title(crops: Sequence[ReportImage]) -> str:
    methods = {image.method for image in crops} - {NOISY, CLEAN}
    if len(methods) > 1:
        return "Where the methods differ most"
    reference = any(image.method == CLEAN for image in crops)
    return "Where the result is furthest off" if reference else "Where most changed"
