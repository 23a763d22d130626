"""Pictures of a report: small files, with what they show."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from f2rcli import sensor
from f2rcli.frames import Codes, Mosaic, Picture
from f2rcli.noise.codec import to_codes

# Kinds of images; COLOUR is what REMOVED is without its brightness.
FRAME, CROP, REMOVED, ERROR = "frame", "crop", "removed", "error"
COLOUR, FLAT = "colour", "flat"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportImage:
    """A picture, one pixel to one of the clip's."""

    kind: str  # FRAME, CROP, FLAT, REMOVED and COLOUR (noisy - estimate), ERROR (estimate - clean)
    frame: int  # from 0
    method: str  # CLEAN for the reference
    box: tuple[int, int, int, int]  # x, y, width, height in the clip's pixels
    caption: str = ""
    gain: float = 1  # what differences, or contrast around the mean, are multiplied by
    data: bytes = field(repr=False)  # a PNG or WebP file


@dataclass(frozen=True, slots=True)
class ClipPictures:
    """A report's pictures of one clip, grouped by frame or place: noisy first, reference last."""

    images: tuple[ReportImage, ...]
    noise: Mapping[str, Any] | None = None  # of the noisy input: NoiseReport.values()

    def of(self, kind: str) -> tuple[ReportImage, ...]:
        """The images of a kind."""
        return tuple(image for image in self.images if image.kind == kind)


def in_colour(picture: Picture, mosaic: Mosaic | None) -> Picture:
    """(3, H, W) of a picture (C, H, W): gray three times, packed planes of a mosaic developed."""
    if mosaic is not None and len(picture) == 4:
        return sensor.developed(picture, mosaic)
    return np.repeat(picture, 3, axis=0) if len(picture) == 1 else picture


def codes_of(picture: Picture, mosaic: Mosaic | None) -> Codes:
    """(H, W, 3) RGB of a picture (C, H, W) that `in_colour` takes."""
    shown = to_codes(np.nan_to_num(in_colour(picture, mosaic)))
    return np.ascontiguousarray(shown.transpose(1, 2, 0))
