"""Turn a clip's frames into the pictures that are compared, and check that clips match."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import av
import numpy as np

from f2rcli import sensor, yuv
from f2rcli.errors import InputError, UsageError
from f2rcli.frames import ClipInfo, Family, Frame, Matrix, Picture, Plane, PlaneLayout, Space
from f2rcli.io.video.colour import FULL, LIMITED, MATRIX_NUMBERS

Conversion = str  # one of f2rcli.evaluation.plan.CONVERSIONS

SUBSAMPLED = {(0, 0): "yuv444p", (1, 0): "yuv422p", (1, 1): "yuv420p"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The conversion of frames to pictures, the same for all clips that are compared."""

    conversion: Conversion = "f2r"
    border: int = 0  # pixels of the clip that are left out on every side
    levels: tuple[float, float] | None = None  # codes of black and white of a stack's reference
    size: tuple[int, int] | None = None  # rows and columns, from the upper left; None: all

    def picture(self, frame: Frame, *, clamp: bool) -> Picture:
        """A frame's picture (C, H, W).

        clamp: to 0..1, as a player would show it; never for mosaics and stacks, whose samples
        below black and above white are measurements.
        """
        if frame.layout.space is Space.BAYER:
            return self._cut(sensor.to_planes(frame), scale=2)
        if self.levels is not None and frame.layout.levels is not None:
            frame = replace(frame, layout=replace(frame.layout, levels=self.levels))
            return self._cut(yuv.to_rgb(frame))
        picture = yuv.to_rgb(as_rgb(frame, self.conversion))
        return self._cut(np.clip(picture, 0, 1) if clamp else picture)

    def _cut(self, picture: Picture, scale: int = 1) -> Picture:
        rows, columns = self.size or (picture.shape[1] * scale, picture.shape[2] * scale)
        edge = self.border // scale
        if 2 * self.border >= min(rows, columns):
            raise UsageError(
                f"border={self.border}: leaves nothing of pictures of {columns}x{rows}.",
                hint="Pass a smaller one.",
            )
        picture = picture[:, : -(-rows // scale), : -(-columns // scale)]
        return picture[:, edge : picture.shape[1] - edge, edge : picture.shape[2] - edge]


def converted(frames: Iterable[Frame], conversion: Conversion) -> Iterator[Frame]:
    """Clean frames as noise is added to them: as they are compared, clamped to 0..1."""
    for frame in frames:
        layout = converted_layout(frame.layout, conversion)
        if layout is frame.layout:
            yield frame
        elif layout.bits == 8:
            yield as_rgb(frame, conversion)
        else:
            picture = np.clip(yuv.to_rgb(frame), 0, 1)
            yield replace(frame, planes=tuple(picture), layout=layout)


def converted_layout(layout: PlaneLayout, conversion: Conversion) -> PlaneLayout:
    """The layout of `converted` frames: RGB of 8 bits by swscale, floats by f2r; mosaics, stacks
    and samples that span their whole range stay as they are."""
    if layout.family is Family.YUV:
        return PlaneLayout(family=Family.RGB, bits=8 if conversion == "swscale" else 32)
    if layout.full_range or layout.family is Family.BAYER or layout.levels is not None:
        return layout
    return PlaneLayout(family=layout.family, bits=32)


def as_rgb(frame: Frame, conversion: Conversion) -> Frame:
    """The frame itself for "f2r"; as FFmpeg's swscale makes it 8-bit RGB for "swscale".

    Published code reads video through swscale. Mosaics, stacks, gray and RGB stay as they are.
    """
    if conversion == "f2r" or frame.layout.family is not Family.YUV:
        return frame
    layout = PlaneLayout(family=Family.RGB, bits=8)
    planes = _by_swscale(frame.planes[:3], frame.layout, frame.width, frame.height)
    return replace(frame, planes=planes, layout=layout)


def _by_swscale(
    planes: tuple[Plane, ...], layout: PlaneLayout, width: int, height: int
) -> tuple[Plane, ...]:
    if layout.log2_chroma not in SUBSAMPLED or layout.matrix is Matrix.YCGCO:
        raise InputError(
            "swscale does not support this chroma format or matrix.", hint="Leave conversion= out."
        )
    name = SUBSAMPLED[layout.log2_chroma] + ("" if layout.bits == 8 else f"{layout.bits}le")
    source = av.VideoFrame(width, height, name)
    for plane, values in zip(source.planes, planes, strict=True):
        row = plane.line_size // values.itemsize
        held = np.zeros((values.shape[0], row), values.dtype)
        held[:, : values.shape[1]] = values
        plane.update(held.tobytes())
    source.colorspace = MATRIX_NUMBERS[layout.matrix]
    source.color_range = FULL if layout.full_range else LIMITED
    rgb = source.to_ndarray(format="rgb24")
    return tuple(np.ascontiguousarray(rgb[..., channel]) for channel in range(3))


def check_alike(clips: list[ClipInfo]) -> list[str]:
    """Remarks on clips to be compared with the first. Raises InputError if they cannot be."""
    first, remarks = clips[0], []
    for other in clips[1:]:
        pair = f"{other.name} and {first.name}"
        sizes = [f"{clip.width}x{clip.height}" for clip in (other, first)]
        if sizes[0] != sizes[1]:
            raise InputError(
                f"{pair}: sizes differ, {sizes[0]} and {sizes[1]}.",
                hint="Only pictures of the same size can be compared; do not scale them for it.",
            )
        if other.space is not first.space:
            raise InputError(
                f"{pair}: {other.space.value} and {first.space.value} pictures.",
                hint="Compare clips of the same kind.",
            )
        if None not in (other.frames, first.frames) and other.frames != first.frames:
            raise counts_differ(other, first, other.frames, first.frames)
        if other.layout.bits != first.layout.bits and other.layout.levels is None:
            depths = " and ".join(_depth(clip.layout) for clip in (other, first))
            remarks.append(f"{pair}: depths differ, {depths}; compared from black to white")
        if None not in (other.rate, first.rate) and other.rate != first.rate:
            rates = [f"{float(clip.rate or 0):.4g}" for clip in (other, first)]
            remarks.append(
                f"{pair}: rates differ, {rates[0]} and {rates[1]} frames/s; "
                "frames are compared by number"
            )
    return remarks


def counts_differ(
    other: ClipInfo, first: ClipInfo, counted: int | None, wanted: int | None
) -> InputError:
    """The error for clips of different lengths."""
    numbers = [f"{n}" if n is not None else "more" for n in (counted, wanted)]
    known = [n for n in (counted, wanted) if n is not None]
    return InputError(
        f"{other.name} and {first.name}: frame counts differ, {numbers[0]} and {numbers[1]}.",
        hint=f"If their first frames match, pass frames={min(known)}."
        if known and min(known) > 0
        else "One of them has no frames.",
    )


def _depth(layout: PlaneLayout) -> str:
    return "float" if layout.float_samples else f"{layout.bits} bits"


def stored(info: ClipInfo) -> str:
    """The storage of a clip's samples, in words."""
    layout = info.layout
    family = {"yuv": "Y'CbCr", "rgb": "RGB", "gray": "gray", "bayer": "mosaic"}
    chroma = {(0, 0): " 4:4:4", (1, 0): " 4:2:2", (1, 1): " 4:2:0"}.get(layout.log2_chroma, "")
    words = family[layout.family.value] + (chroma if layout.family is Family.YUV else "")
    return f"{words}, {_depth(layout)}"
