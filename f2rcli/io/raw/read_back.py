"""A check of written files for everything their plan lists as kept."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from f2rcli.io.raw.dng import carried_metadata
from f2rcli.io.raw.exposure import Exposure
from f2rcli.io.raw.metadata import read_metadata
from f2rcli.io.raw.tiff_mosaic import facts_text

# What a plan lists as kept, in words.
LEVELS = "levels, colour filters, white balance, size"
MATRICES, CAMERA = "matrices of the source DNG", "camera and ISO"
AS_JSON = "levels, colour filters and ISO as JSON in the description"
_ROUNDING = {"rel_tol": 1e-3, "abs_tol": 1 / 128}  # of levels, balances and matrices as ratios


def missing_in_dng(path: Path, exposure: Exposure, found: Exposure) -> Iterator[str]:
    """Metadata that a new DNG lacks; found: what LibRaw reads in it."""
    ours, theirs = exposure.mosaic, found.mosaic
    if not _close((*ours.black, *ours.balance), (*theirs.black, *theirs.balance)):
        yield LEVELS
    if exposure.matrix and not _close(exposure.matrix, found.matrix):
        yield MATRICES
    camera = exposure.tags.camera
    if (camera, exposure.iso) != (found.tags.camera or camera, found.iso):
        yield CAMERA
    yield from carried_metadata(exposure).without(read_metadata(path))


def missing_in_tiff(path: Path, exposure: Exposure, description: Any) -> Iterator[str]:
    """What a TIFF of a mosaic or a developed picture lacks; description: of its first page."""
    if description != facts_text(exposure):
        yield AS_JSON
    yield from carried_metadata(exposure).for_pictures.without(read_metadata(path))


def _close(ours: Sequence[float], theirs: Sequence[float]) -> bool:
    return len(ours) == len(theirs) and all(
        math.isclose(one, other, **_ROUNDING) for one, other in zip(ours, theirs, strict=True)
    )
