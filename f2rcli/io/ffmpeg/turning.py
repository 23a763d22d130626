"""Pictures turned and flipped as their display matrix says, for containers that hold no matrix."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from f2rcli.frames import Frame, Plane, PlaneLayout
from f2rcli.io.base import Reader
from f2rcli.io.ffmpeg.colour import location_of
from f2rcli.io.ffmpeg.metadata import metadata_of

TURNED = "rotation, by rotated pictures"
_ONE = 1 << 16  # of a display matrix's fixed-point numbers


@dataclass(frozen=True, slots=True)
class Turn:
    """Rows and columns exchanged, then each of the two reversed."""

    transposed: bool
    rows_back: bool
    columns_back: bool

    def plane(self, plane: Plane) -> Plane:
        """A plane (H, W), turned."""
        turned = plane.T if self.transposed else plane
        turned = turned[:: -1 if self.rows_back else 1, :: -1 if self.columns_back else 1]
        return np.ascontiguousarray(turned)

    def frame(self, frame: Frame) -> Frame:
        """A frame, turned."""
        planes = tuple(self.plane(plane) for plane in frame.planes)
        return replace(frame, planes=planes, layout=self.layout(frame.layout), source=None)

    def layout(self, layout: PlaneLayout) -> PlaneLayout:
        """The layout of a turned frame; a chroma site that has no name becomes the middle."""
        across, down = layout.siting
        x, y = layout.log2_chroma
        if self.transposed:
            across, down, x, y = down, across, y, x
        across = 1 - across if self.columns_back and x else across
        down = 1 - down if self.rows_back and y else down
        site = (across, down) if location_of((across, down)) else (0.5, down)
        return replace(layout, log2_chroma=(x, y), siting=site)


def turn_of(matrix: Sequence[int]) -> Turn | None:
    """The turn of a display matrix (a, b, u, c, d, v, ...): x' = a x + c y, y' = b x + d y; None
    unless by right angles."""
    if len(matrix) != 9:
        return None
    a, b, c, d = (value / _ONE for value in (*matrix[:2], *matrix[3:5]))
    if (abs(a), abs(b), abs(c), abs(d)) == (1, 0, 0, 1):
        return Turn(transposed=False, rows_back=d < 0, columns_back=a < 0)
    if (abs(a), abs(b), abs(c), abs(d)) == (0, 1, 1, 0):
        return Turn(transposed=True, rows_back=b < 0, columns_back=c < 0)
    return None


def turn_for(reader: Reader) -> Turn | None:
    """The turn of a clip's display matrix, if exact: without fields and cut chroma cells."""
    turn, info = turn_of(metadata_of(reader).facts.display_matrix), reader.info
    if info.interlaced:
        return None
    wide, high = (size >> step << step == size for size, step in zip(
        (info.width, info.height), info.layout.log2_chroma, strict=True
    ))  # fmt: skip
    return turn if wide and high else None


def as_turned(reader: Reader, turn: Turn) -> Reader:
    """A reader with its clip's facts as they are once it is turned, for planning its output."""
    info, source = reader.info, metadata_of(reader)
    layout, aspect, colour = turn.layout(info.layout), source.pixel_aspect, source.colour
    size = (info.height, info.width) if turn.transposed else (info.width, info.height)
    if colour.chroma_location:
        colour = replace(colour, chroma_location=location_of(layout.siting))
    metadata = replace(
        source, colour=colour, facts=replace(source.facts, display_matrix=()),
        pixel_aspect=Fraction(1) / aspect if turn.transposed and aspect else aspect,
    )  # fmt: skip
    turned = copy(reader)
    turned.info = replace(info, layout=layout, width=size[0], height=size[1])
    vars(turned)["metadata"] = metadata  # which readers have whose files FFmpeg reads
    return turned
