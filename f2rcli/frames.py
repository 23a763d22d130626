"""Frames in their own samples, and facts of clips: the types between files and the engine.

NumPy and Fraction only; no torch, PyAV or files.
"""

from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[Any]  # (H, W) uint8, uint16 or float32, in the file's own codes
Picture = NDArray[np.float32]  # (C, H, W), 0 = black, 1 = white, values outside allowed
Pictures = NDArray[np.float32]  # (..., H, W, C), mostly (T, H, W, C); 0 = black, 1 = white
Singles = NDArray[np.float32]  # numbers, of any shape
Floats = NDArray[np.float64]  # numbers, of any shape
Codes = NDArray[np.uint8]  # of 8 bits: planes and pictures of any layout
Mask = NDArray[np.bool_]  # of samples


class Family(Enum):
    """The family of a frame's planes, as stored; of networks' channels, which are never YUV."""

    YUV = "yuv"  # Y, Cb, Cr [, A]
    RGB = "rgb"  # R, G, B [, A]
    GRAY = "gray"  # Y [, A]
    BAYER = "bayer"  # one plane: the mosaic of a sensor's active area


class Matrix(Enum):
    """Y'CbCr matrix (ITU-T H.273, MatrixCoefficients)."""

    BT709 = "bt709"
    BT601 = "bt601"
    FCC = "fcc"
    SMPTE240M = "smpte240m"
    BT2020 = "bt2020"
    YCGCO = "ycgco"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mosaic:
    """The pattern and levels of a Bayer sensor; planes: R, G in red rows, B, G in blue rows."""

    pattern: str  # colours of the upper left 2x2 cell, row by row: RGGB, BGGR, GRBG or GBRG
    black: tuple[float, float, float, float]  # codes of no light, per plane
    white: tuple[float, float, float, float]  # codes of saturation, per plane
    # As shot: what R, G and B are multiplied by; None where nobody says.
    balance: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneLayout:
    """The storage of a frame's samples: family, depth, subsampling and range."""

    family: Family
    bits: int  # significant bits per sample; 32 means float32 in [0, 1]
    log2_chroma: tuple[int, int] = (0, 0)  # (x, y) subsampling of planes 1 and 2; 4:2:0 is (1, 1)
    alpha: bool = False
    full_range: bool = True  # False: 16..235 (luma) and 16..240 (chroma), scaled to the depth
    matrix: Matrix = Matrix.BT601  # Y'CbCr only
    # Where a chroma sample lies in its cell: 0 on the first pixel, 0.5 in the middle, as (x, y);
    # (0, 0.5) is "left" (MPEG-2 and later), (0.5, 0.5) "centre" (JPEG), (0, 0) "top left".
    siting: tuple[float, float] = (0.0, 0.5)
    mosaic: Mosaic | None = None  # of a Bayer layout, and of no other
    # The codes that networks see as 0 and 1, where depth does not say (microscopy); samples may be
    # of any integer or float dtype then, and end where their dtype does.
    levels: tuple[float, float] | None = None

    @property
    def space(self) -> Family:
        """The space the networks see this layout in."""
        return Family.RGB if self.family is Family.YUV else self.family

    @property
    def counts_light(self) -> bool:
        """Whether samples are a sensor's counts, as in mosaics and channels of stacks."""
        counted = self.levels is not None and self.space is Family.GRAY
        return counted or self.space is Family.BAYER

    @property
    def keeps_means(self) -> bool:
        """Whether every mean of a plane is to stay, as in mosaics and stacks."""
        return self.levels is not None or self.space is Family.BAYER

    @property
    def colour_planes(self) -> int:
        """The number of leading planes that carry the picture; an alpha plane follows untouched."""
        return 1 if self.family in (Family.GRAY, Family.BAYER) else 3

    @property
    def float_samples(self) -> bool:
        """Whether samples are floats in [0, 1] rather than codes."""
        return self.bits == 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One picture in the file's own samples, with its own place in time.

    `planes` holds (H, W) arrays in the order its layout's family states. Arrays are never
    written in place: whoever changes a frame makes new planes.
    """

    planes: tuple[Plane, ...]
    layout: PlaneLayout
    pts: int | None = None  # in ticks of time_base
    duration: int | None = None  # in ticks of time_base
    time_base: Fraction = Fraction(1, 1000)
    held: bool = False  # stands in for a frame that could not be decoded
    corrupt: bool = False  # decoded, but the decoder reported damage
    source: Any = None  # what the reader wants back when the frame is written; opaque to all others
    lane: int = 0  # which of the clip's lanes it belongs to; they come one after another
    context: bool = False  # outside the excerpt asked for: to be looked at, and not written
    index: int | None = None  # its place in the whole clip, by its time; None: as it comes
    aside: tuple[Any, ...] = ()  # samples outside the picture, by plane; see samples/defects.py
    stored: tuple[Mask, ...] = ()  # samples that come back as stored all the same, by plane
    quantiser8: float = 0.0  # the step a codec rounded its transform by, of 255; 0: not known

    @property
    def height(self) -> int:
        return int(self.planes[0].shape[0])

    @property
    def width(self) -> int:
        return int(self.planes[0].shape[1])


def same_samples(a: Frame, b: Frame) -> bool:
    """Whether two frames of one layout show the same picture, sample for sample."""
    return all(
        p is q or (p.shape == q.shape and bool(np.array_equal(p, q)))
        for p, q in zip(a.planes, b.planes, strict=True)
    )


def is_even(samples: Plane) -> bool:
    """Whether all samples have one value, but for those that are no numbers."""
    return not np.fmin.reduce(samples, axis=None) < np.fmax.reduce(samples, axis=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipInfo:
    """Facts of a clip before its frames are read."""

    name: str  # for messages: the file's name, not its path
    width: int  # as stored, before rotation and pixel aspect
    height: int
    layout: PlaneLayout
    frames: int | None  # None: not known before the end
    duration: float | None  # seconds; None: not known
    rate: Fraction | None  # frames per second; informative, never used to make pts
    time_base: Fraction
    interlaced: bool = False  # fields are separate pictures: denoise them apart
    top_field_first: bool = True
    notes: tuple[str, ...] = field(default=())  # what the reader assumed, for the user to know
    # Noise that the file itself states, per plane: (variance per unit of signal, variance of the
    # read noise), for signals from 0, black, to 1, white. None: it is to be measured.
    noise_profile: tuple[tuple[float, float], ...] | None = None
    # Whether it went through a lossy video codec: frames share part of its damage then, so that
    # comparing them tells less than all of the noise.
    coded: bool = False
    # What its lanes are called: clips of their own in one file, as the channels and planes of a
    # microscopy stack. width, height and layout are those of the first, frames of them all.
    lanes: tuple[str, ...] = ("",)

    @property
    def space(self) -> Family:
        return self.layout.space

    @property
    def expected_frames(self) -> int | None:
        """How many frames there should be: as its container counts them, else duration times rate,
        a guess at varying rates; None: not known."""
        if self.frames is not None or self.duration is None or self.rate is None:
            return self.frames
        return max(round(self.duration * float(self.rate)), 1)


def in_cells(plane: Plane, side: int) -> Plane:
    """A view of the whole side x side cells of a plane (H, W): (rows, side, columns, side)."""
    rows, columns = (size // side for size in plane.shape)
    return plane[: rows * side, : columns * side].reshape(rows, side, columns, side)
