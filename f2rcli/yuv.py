"""Planes of codes, and of mosaics, to floats and to RGB, and a change of either back onto them.

Our own matrices, not swscale: its conversions are not exact (white at 0.996 for 16-bit output,
clipped out-of-gamut colours). What goes back is the *change* a network made, so a change of zero
gives back every sample bit for bit, whatever the chroma format (DESIGN.md D1). Chroma is brought to
another grid, and back, by the same functions for arrays and tensors.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from f2rcli.errors import InputError
from f2rcli.frames import Family, Frame, Matrix, Mosaic, Picture, Plane, PlaneLayout, Singles
from f2rcli.planes import library_of, mixed

BACK_PROJECTIONS = 2

# Luma weights of red and blue (ITU-T H.273, table 4).
LUMA_WEIGHTS = {
    Matrix.BT709: (0.2126, 0.0722),
    Matrix.BT601: (0.299, 0.114),
    Matrix.FCC: (0.30, 0.11),
    Matrix.SMPTE240M: (0.212, 0.087),
    Matrix.BT2020: (0.2627, 0.0593),
}
YCGCO_TO_RGB = ((1.0, -1.0, 1.0), (1.0, 1.0, 0.0), (1.0, -1.0, -1.0))


def to_rgb(frame: Frame) -> Picture:
    """A frame's picture without alpha: (3, H, W) RGB, (1, H, W) gray, or a mosaic's four planes."""
    return joined(planes_of(frame), frame.layout)


def planes_of(frame: Frame) -> list[Singles]:
    """The colour planes of a frame, a mosaic's four, each on its own grid and in its own units:
    white - black, and for chroma the distance between its extremes."""
    layout, found = frame.layout, list[Singles]()
    stored: Sequence[Plane] = frame.planes[: layout.colour_planes]
    if layout.mosaic is not None:
        stored = list(pack_mosaic(frame.planes[0], layout.mosaic.pattern))
    for index, plane in enumerate(stored):
        zero, span = code_span(layout, index)
        if plane.dtype.itemsize > 2 and layout.levels is not None:  # more digits than float32 has
            found.append(((plane - zero) / span).astype(np.float32))
            continue
        values = plane.astype(np.float32)
        values -= np.float32(zero)
        values *= np.float32(1 / span)
        found.append(values)
    return found


@cache
def sampling_gain(layout: PlaneLayout) -> float:
    """The variance that white noise of unit variance on the luma grid keeps as chroma."""
    grid = np.zeros((32, 32), np.float32)
    grid[16, 16] = 1.0  # the energy of one impulse depends on where in its cell it lies
    shifts = [np.roll(grid, (y, x), (0, 1)) for y in range(4) for x in range(4)]
    cells = 2 ** sum(layout.log2_chroma)
    return float(np.mean([np.square(sampled(one, layout)).sum() for one in shifts]) * cells)


@cache
def stretching_gain(layout: PlaneLayout) -> float:
    """The variance that white noise of unit variance on the chroma grid keeps on luma's."""
    x, y = layout.log2_chroma
    grid = np.zeros((16, 16), np.float32)
    grid[8, 8] = 1.0
    spread = upsampled(grid, (16 << y, 16 << x), layout)
    return float(np.square(spread).sum() / 2 ** (x + y))


def with_changes(frame: Frame, changes: Sequence[Singles]) -> Frame:
    """A frame plus a change of each of its `planes_of`, rounded once, clipped; alpha copied."""
    layout = frame.layout
    moves = [change * code_span(layout, index)[1] for index, change in enumerate(changes)]
    if layout.mosaic is not None:
        moves = [unpack_mosaic(np.stack(moves), layout.mosaic.pattern, frame.planes[0].shape)]
    moved = zip(frame.planes[: layout.colour_planes], moves, strict=True)
    colour = tuple(changed(plane, move, layout) for plane, move in moved)
    return replace(frame, planes=colour + frame.planes[len(colour) :])


def parted(picture: Any, layout: PlaneLayout, *, averaged: bool = False) -> list[Any]:
    """A picture (C, H, W), or a change of one, as a file's planes: as Y'CbCr of R, G, B where it
    holds that, each on its own grid and in its own units, see `planes_of`.
    averaged: chroma as encoders make it, instead of what comes closest once it is interpolated."""
    if layout.family is not Family.YUV:
        return list(picture)
    luma, *chroma = mixed(matrices(layout.matrix)[1], list(picture))
    onto_grid = downsampled if averaged else sampled
    return [luma, *(onto_grid(plane, layout) for plane in chroma)]


def joined(planes: list[Any], layout: PlaneLayout) -> Any:
    """The inverse of `parted`: the picture (C, H, W) of planes in units of each."""
    if layout.family is Family.YUV:
        luma, *chroma = planes
        even = [luma, *(upsampled(plane, luma.shape, layout) for plane in chroma)]
        planes = mixed(matrices(layout.matrix)[0], even)
    return library_of(planes[0]).stack(planes)


def code_span(layout: PlaneLayout, plane: int = 0) -> tuple[float, float]:
    """The code of a plane's zero, and the codes in one unit (1 for floats); of chroma, its neutral
    code, and those between its extremes."""
    if layout.mosaic is not None:
        black = layout.mosaic.black[plane]
        return black, layout.mosaic.white[plane] - black
    if layout.levels is not None:
        return layout.levels[0], layout.levels[1] - layout.levels[0]
    if layout.float_samples:
        return 0.0, 1.0
    top = float(2**layout.bits - 1)
    step = float(2 ** max(layout.bits - 8, 0))
    if plane and layout.family is Family.YUV:
        return (top + 1) / 2, top if layout.full_range else 224 * step
    return (0.0, top) if layout.full_range else (16 * step, 219 * step)


def changed(plane: Plane, move: Singles, layout: PlaneLayout) -> Plane:
    """A stored plane plus a change in codes, which are rounded once and clipped: those of a mosaic
    to 0 and white or its highest code, so that whatever held it holds the result."""
    codes = plane.astype(np.float64)
    if plane.dtype.kind == "f":
        codes += move
        ends = float(np.finfo(plane.dtype).min), float(np.finfo(plane.dtype).max)
    else:
        codes += np.rint(move)
        limits, ends = np.iinfo(plane.dtype), (0, 2**layout.bits - 1)
        if layout.mosaic is not None:
            ends = 0, max(int(np.ceil(max(layout.mosaic.white))), int(plane.max(initial=0)))
        elif layout.levels is not None:
            ends = limits.min, limits.max
    np.clip(codes, *ends, out=codes)
    return codes.astype(plane.dtype)


DEEPEST = 16  # bits


def deepened(frame: Frame) -> Frame:
    """A frame of video with 16 bits a sample or as many as it has: room for finer changes."""
    if frame.layout.bits >= DEEPEST:
        return frame
    layout, planes = replace(frame.layout, bits=DEEPEST), list[Plane]()
    for index, plane in enumerate(frame.planes):
        if index < layout.colour_planes:
            (zero, span), (new, wide) = (code_span(one, index) for one in (frame.layout, layout))
        else:  # alpha
            zero, span, new, wide = 0, 2**frame.layout.bits - 1, 0, 2**DEEPEST - 1
        codes = (plane.astype(np.float64) - zero) * (wide / span) + new
        planes.append(np.rint(codes).clip(0, 2**DEEPEST - 1).astype(np.uint16))
    return replace(frame, planes=tuple(planes), layout=layout)


@cache
def matrices(matrix: Matrix) -> tuple[Singles, Singles]:
    """(Y'CbCr to RGB, RGB to Y'CbCr), chroma in -0.5..0.5."""
    if matrix is Matrix.YCGCO:  # planes are stored as Y, Cg, Co
        to_rgb_matrix = np.array(YCGCO_TO_RGB)
    else:
        red, blue = LUMA_WEIGHTS[matrix]
        green = 1 - red - blue
        mixed = [1, -2 * blue * (1 - blue) / green, -2 * red * (1 - red) / green]
        to_rgb_matrix = np.array([[1, 0, 2 * (1 - red)], mixed, [1, 2 * (1 - blue), 0]])
    inverse = np.linalg.inv(to_rgb_matrix)
    return to_rgb_matrix.astype(np.float32), inverse.astype(np.float32)


def upsampled(chroma: Any, size: tuple[int, ...], layout: PlaneLayout) -> Any:
    """Chroma (..., h, w) on the luma grid by linear interpolation that respects its siting."""
    for axis, factor, site in coarser(layout):
        chroma = _stretched(chroma, axis, factor, site, size[axis])
    return chroma


def coarser(layout: PlaneLayout) -> Iterator[tuple[int, int, float]]:
    """The axes, -2 or -1, along which chroma is coarser than luma; how much; where samples lie."""
    for axis in (-2, -1):
        factor = 2 ** layout.log2_chroma[-1 - axis]
        if factor > 1:
            yield axis, factor, layout.siting[-1 - axis] * (factor - 1)


def _stretched(values: Any, axis: int, factor: int, site: float, size: int) -> Any:
    """Linear interpolation along an axis: sample i of `values` lies at factor * i + site."""
    count, first, last = values.shape[axis], _part(values, axis, 0, 1), _part(values, axis, -1)
    library = library_of(values)
    around = library.concat([first, values, last], axis)
    phases = []
    for phase in range(factor):
        offset = (phase - site) / factor  # in (-1, 1): source samples from the cell's own
        if not offset:
            phases.append(values)
            continue
        other = _part(around, axis, 2, None) if offset > 0 else _part(around, axis, 0, count)
        phases.append((1 - abs(offset)) * values + abs(offset) * other)
    shape = list(values.shape)
    shape[axis] *= factor
    whole = library.stack(phases, axis).reshape(shape)
    missing = size - shape[axis]  # a bottom field may lack the last cell
    return _part(library.concat([whole, *[last] * missing], axis), axis, 0, size)


def sampled(values: Any, layout: PlaneLayout) -> Any:
    """The chroma whose interpolation comes closest to a change (..., H, W) on the luma grid:
    averages, sharpened by back-projection."""
    chroma = averaged = downsampled(values, layout)
    for _ in range(BACK_PROJECTIONS if any(layout.log2_chroma) else 0):
        # that of what is missing is what it has and the chroma so far has not
        there = upsampled(chroma, values.shape[-2:], layout)
        chroma = chroma + (averaged - downsampled(there, layout))
    return chroma


def downsampled(values: Any, layout: PlaneLayout) -> Any:
    """A change on the luma grid, averaged onto the chroma grid around each chroma sample."""
    for axis, factor, site in coarser(layout):
        values = _shrunk(values, axis, factor, site)
    return values


def _shrunk(values: Any, axis: int, factor: int, site: float) -> Any:
    """Means of cells of `factor`; a sample sited on the first pixel takes a centred tent."""
    library = library_of(values)
    missing = -values.shape[axis] % factor
    values = library.concat([values, *[_part(values, axis, -1)] * missing], axis)
    parts = [_part(values, axis, start, None, factor) for start in range(factor)]
    if factor != 2 or site != 0:
        return sum(parts[1:], parts[0]) / factor
    near, far = parts  # [1 2 1] / 4 around the even samples
    before = library.concat([_part(near, axis, 0, 1), _part(far, axis, 0, -1)], axis)
    return 0.5 * near + 0.25 * (far + before)


def _part(values: Any, axis: int, *ends: int | None) -> Any:
    """A slice along an axis, -2 or -1, from a first to an end and by a step; alone: from there."""
    cut = slice(*ends) if len(ends) > 1 else slice(ends[0], None)
    return values[(..., cut, *[slice(None)] * (-1 - axis))]


# --- A Bayer sensor's mosaic as four planes ------------------------------------------------------
# Every phase is packed to one geometry: planes R, G (red rows), B, G (blue rows) of 2x2 cells whose
# upper left pixel is red. Mosaics that begin elsewhere get a row or column more before their first
# one, mirrored so that colours fall on their own kind; what goes back is cut again.

PATTERNS = ("RGGB", "GRBG", "GBRG", "BGGR")
MOSAIC_PLANES = ("R", "G1", "B", "G2")  # G1 shares its rows with red, G2 with blue
PLACES = (0, 0), (0, 1), (1, 1), (1, 0)  # of these planes in a cell that begins red: row, column


def bayer_layout(mosaic: Mosaic, bits: int, name: str = "mosaic") -> PlaneLayout:
    """The layout of a frame whose one plane is a mosaic of file `name`. Raises InputError."""
    if mosaic.pattern not in PATTERNS:
        raise InputError(
            f"{name}: colour filters {mosaic.pattern} are not one of the four Bayer orders.",
            hint=f"Choose from {', '.join(PATTERNS)}.",
        )
    if any(w <= b for b, w in zip(mosaic.black, mosaic.white, strict=True)):
        raise InputError(
            f"{name}: black levels {mosaic.black}, white levels {mosaic.white}: "
            "white must lie above black."
        )
    return PlaneLayout(family=Family.BAYER, bits=bits, mosaic=mosaic)


def developed(picture: Picture, mosaic: Mosaic | None) -> Picture:
    """A quick view (3, H, W) of a picture (C, H, W): gray three times, and packed planes of a
    mosaic at their half size in 0..1, with white balance and sRGB's curve."""
    if mosaic is None or len(picture) != 4:
        return np.repeat(picture, 3, axis=0) if len(picture) == 1 else picture
    red, green, blue, other = picture
    light = np.stack([red, (green + other) / 2, blue])
    light *= np.array(mosaic.balance or (1, 1, 1), np.float32)[:, None, None]
    np.clip(light, 0, 1, out=light)
    toe = np.float32(12.92) * light
    return np.where(light <= 0.0031308, toe, 1.055 * light ** (1 / 2.4) - 0.055).astype(np.float32)


def pack_mosaic(mosaic: Plane, pattern: str) -> Plane:
    """(H, W) -> (4, h, w) in the canonical order and geometry; a new array."""
    top, left = red_offset(pattern)
    height, width = mosaic.shape
    # a mirrored row or column is two from its double, so of the same colours
    around = ((top, (height + top) % 2), (left, (width + left) % 2))
    whole = np.pad(mosaic, around, mode="reflect")
    return np.stack([whole[row::2, column::2] for row, column in PLACES])


def unpack_mosaic(packed: Picture, pattern: str, shape: tuple[int, ...]) -> Singles:
    """The mosaic (H, W) that `pack_mosaic` makes `packed` of; what it had added is cut off."""
    top, left = red_offset(pattern)
    _, height, width = packed.shape
    whole = np.empty((2 * height, 2 * width), packed.dtype)
    for plane, (row, column) in zip(packed, PLACES, strict=True):
        whole[row::2, column::2] = plane
    return whole[top : top + shape[0], left : left + shape[1]]


def red_offset(pattern: str) -> tuple[int, int]:
    """The rows and columns put before a mosaic, so that it begins with red."""
    return divmod(pattern.index("R"), 2)


def plane_colours(pattern: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Which plane each pixel of the upper left 2x2 cell belongs to, by row and column."""
    top, left = red_offset(pattern)
    (a, b), (c, d) = np.roll([[0, 1], [3, 2]], (top, left), (0, 1)).tolist()
    return (a, b), (c, d)
