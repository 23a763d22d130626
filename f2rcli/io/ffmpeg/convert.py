"""Conversion between sample layouts, for outputs that cannot hold the input's own.

Exact wherever the target holds every sample of the source: more depth, finer chroma, an alpha
plane that is opaque, gray as Y'CbCr. Rounded once elsewhere.
"""

from dataclasses import replace

import numpy as np

from f2rcli.frames import Family, Frame, Matrix, Plane, PlaneLayout
from f2rcli.io.ffmpeg.pixel_formats import PixelFormat
from f2rcli.yuv import LUMA_WEIGHTS, add_residual, to_rgb


def fits(layout: PlaneLayout, form: PixelFormat) -> bool:
    """Whether planes of this layout are planes of this pixel format as they are."""
    return (layout.family, layout.bits, layout.log2_chroma, layout.alpha) == (
        form.family, form.bits, form.log2_chroma, form.alpha,
    )  # fmt: skip


def converted(
    frame: Frame, form: PixelFormat, coding: PlaneLayout | None = None
) -> tuple[Plane, ...]:
    """A frame's planes as a picture of `form`, in range, matrix and siting of `coding`, if
    given."""
    layout = frame.layout
    coding = coding or layout
    same = (layout.full_range, layout.matrix) == (coding.full_range, coding.matrix)
    if fits(layout, form) and (same or layout.family is Family.RGB):
        return frame.planes
    target = form.layout(full_range=coding.full_range, matrix=coding.matrix, siting=coding.siting)
    colour = _colour(frame, target)
    if not form.alpha:
        return colour
    if layout.alpha:
        return (*colour, _rescaled(frame.planes[-1], layout.bits, form.bits, full=True))
    opaque = 1.0 if form.bits == 32 else (1 << form.bits) - 1
    return (*colour, np.full(colour[0].shape, opaque, colour[0].dtype))


def _colour(frame: Frame, target: PlaneLayout) -> tuple[Plane, ...]:
    layout = frame.layout
    families = (layout.family, target.family)
    if layout.full_range is not target.full_range or (
        families == (Family.YUV, Family.YUV) and layout.matrix is not target.matrix
    ):
        return _through_rgb(frame, target)
    if families in ((Family.GRAY, Family.YUV), (Family.YUV, Family.GRAY)):
        luma = _rescaled(frame.planes[0], layout.bits, target.bits, full=layout.full_range)
        return (luma, *_neutral(luma, target)) if target.family is Family.YUV else (luma,)
    if layout.family is not target.family:
        return _through_rgb(frame, target)
    planes = []
    for index, plane in enumerate(frame.planes[: layout.colour_planes]):
        chroma = layout.family is Family.YUV and index > 0
        if chroma:
            plane = _resampled(plane, layout, target, frame.planes[0].shape)
        planes.append(
            _rescaled(plane, layout.bits, target.bits, full=layout.full_range, chroma=chroma)
        )
    return tuple(planes)


def _through_rgb(frame: Frame, target: PlaneLayout) -> tuple[Plane, ...]:
    """From Y'CbCr to RGB or gray, or back: black plus the picture, rounded once."""
    picture = to_rgb(frame)
    if target.family is not Family.GRAY and picture.shape[0] == 1:
        picture = np.repeat(picture, 3, axis=0)
    if target.family is Family.GRAY and picture.shape[0] == 3:
        red, blue = LUMA_WEIGHTS[Matrix.BT709]
        weights = np.array((red, 1 - red - blue, blue), np.float32)
        picture = np.tensordot(weights, picture, axes=1)[None]
    kind = np.float32 if target.float_samples else np.uint8 if target.bits == 8 else np.uint16
    low = 0 if target.full_range else 16 << (target.bits - 8)
    black = np.full(frame.planes[0].shape, low, kind)
    planes = (black, *_neutral(black, target)) if target.family is Family.YUV else (
        (black,) * target.colour_planes
    )  # fmt: skip
    return add_residual(Frame(planes=planes, layout=replace(target, alpha=False)), picture)


def _neutral(luma: Plane, target: PlaneLayout) -> tuple[Plane, Plane]:
    x, y = target.log2_chroma
    shape = (-(-luma.shape[0] >> y), -(-luma.shape[1] >> x))
    plane = np.full(shape, 1 << (target.bits - 1), luma.dtype)
    return plane, plane


def _rescaled(plane: Plane, bits: int, to: int, *, full: bool, chroma: bool = False) -> Plane:
    """Codes of another depth: shifted in limited range, scaled to the whole of full range."""
    if bits == to:
        return plane
    kind = np.float32 if to == 32 else np.uint8 if to == 8 else np.uint16
    top, new_top = (1.0 if depth == 32 else float((1 << depth) - 1) for depth in (bits, to))
    values = plane.astype(np.float64)
    if 32 in (bits, to):
        scaled = values * (new_top / top)
    elif not full:
        scaled = values * 2.0 ** (to - bits)
    elif chroma:
        middle, new_middle = 1 << (bits - 1), 1 << (to - 1)
        scaled = (values - middle) * (new_top / top) + new_middle
    else:
        scaled = values * (new_top / top)
    if to == 32:
        return scaled.astype(np.float32)
    return np.clip(np.rint(scaled), 0, new_top).astype(kind)


def _resampled(
    plane: Plane, layout: PlaneLayout, target: PlaneLayout, size: tuple[int, ...]
) -> Plane:
    """A chroma plane on a finer grid (repeated) or a coarser one (averaged)."""
    for axis, (have, want) in enumerate(
        zip(reversed(layout.log2_chroma), reversed(target.log2_chroma), strict=True)
    ):
        if want < have:
            length = -(-size[axis] >> want)
            repeated = np.repeat(plane, 1 << (have - want), axis=axis)
            plane = np.take(repeated, np.arange(length), axis=axis)
        elif want > have:
            plane = _averaged(plane, 1 << (want - have), axis)
    return plane


def _averaged(plane: Plane, step: int, axis: int) -> Plane:
    """Means of `step` neighbours along an axis; the last sample repeats where it is cut."""
    short = -plane.shape[axis] % step
    padding = [(0, short if index == axis else 0) for index in range(2)]
    padded = np.pad(plane, padding, mode="edge").astype(np.float64)
    shape = list(padded.shape)
    shape[axis : axis + 1] = [shape[axis] // step, step]
    means = padded.reshape(shape).mean(axis=axis + 1)
    result: Plane = (means if plane.dtype.kind == "f" else np.rint(means)).astype(plane.dtype)
    return result
