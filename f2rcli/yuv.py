"""Planes of codes to float RGB or gray, and a change in RGB back onto the planes.

Our own matrices, not swscale: its conversions are not exact (white at 0.996 for 16-bit output,
clipped out-of-gamut colours). What goes back is the *change* a network made, so a change of zero
gives back every sample bit for bit, whatever the chroma format (DESIGN.md D1).
"""

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Family, Frame, Matrix, Picture, Plane, PlaneLayout

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
    """The picture of a frame as (3, H, W) RGB, or (1, H, W) for gray; alpha is left out."""
    planes = decoded(frame)
    return joined(planes, frame.layout) if frame.layout.family is Family.YUV else np.stack(planes)


def decoded(frame: Frame) -> list[NDArray[np.float32]]:
    """The colour planes of a frame, each on its own grid and in its own units: white - black, and
    for chroma the distance between its extremes."""
    layout = frame.layout
    return [
        _decode(plane, layout, chroma=layout.family is Family.YUV and index > 0)
        for index, plane in enumerate(frame.planes[: layout.colour_planes])
    ]


def sampling_gain(layout: PlaneLayout) -> float:
    """The variance that white noise of unit variance on the luma grid keeps as chroma."""
    grid = np.zeros((32, 32), np.float32)
    grid[16, 16] = 1.0  # the energy of one impulse depends on where in its cell it lies
    shifts = [np.roll(grid, (y, x), (0, 1)) for y in range(4) for x in range(4)]
    cells = 2 ** sum(layout.log2_chroma)
    return float(np.mean([np.square(_sampled(one, layout)).sum() for one in shifts]) * cells)


def stretching_gain(layout: PlaneLayout) -> float:
    """The variance that white noise of unit variance on the chroma grid keeps on luma's."""
    x, y = layout.log2_chroma
    grid = np.zeros((16, 16), np.float32)
    grid[8, 8] = 1.0
    spread = _upsample(grid, (16 << y, 16 << x), layout)
    return float(np.square(spread).sum() / 2 ** (x + y))


def matrix_to_rgb(layout: PlaneLayout) -> NDArray[np.float32]:
    """(3, 3), rows R, G, B: what each Y'CbCr plane, in its own units, adds to them."""
    return matrices(layout.matrix)[0]


def add_residual(frame: Frame, residual: Picture) -> tuple[Plane, ...]:
    """Planes of `frame` plus a change of its picture, rounded once and clipped; alpha copied.
    residual: RGB (3, H, W) or gray (1, H, W), in units of white - black."""
    return add_changes(frame, plane_changes(frame, residual))


def plane_changes(frame: Frame, residual: Picture) -> list[NDArray[np.float32]]:
    """A change of a picture (C, H, W) as changes of its colour planes, in units of each plane:
    white - black, and for chroma the distance between its extremes."""
    layout = frame.layout
    changes = list(residual)
    if layout.family is Family.YUV:
        _, from_rgb_matrix = matrices(layout.matrix)
        luma, *chroma = _mix(from_rgb_matrix, changes)
        rows, columns = frame.planes[1].shape  # a bottom field may lack the last row
        changes = [luma, *(_sampled(plane, layout)[:rows, :columns] for plane in chroma)]
    return changes


def add_changes(frame: Frame, changes: list[NDArray[np.float32]]) -> tuple[Plane, ...]:
    """Planes of `frame` plus a change of each (`plane_changes`), rounded, clipped; alpha copied."""
    layout = frame.layout
    count = layout.colour_planes
    pairs = zip(frame.planes[:count], changes, strict=True)
    colour = tuple(
        changed(plane, change, layout, chroma=layout.family is Family.YUV and index > 0)
        for index, (plane, change) in enumerate(pairs)
    )
    return colour + frame.planes[count:]


def split(picture: Picture, layout: PlaneLayout) -> list[NDArray[np.float32]]:
    """RGB (3, H, W) as Y'CbCr planes, chroma averaged onto its grid, in plane units, unrounded."""
    _, from_rgb_matrix = matrices(layout.matrix)
    luma, *chroma = _mix(from_rgb_matrix, list(picture))
    return [luma, *(_downsample(plane, layout) for plane in chroma)]


def joined(planes: list[NDArray[np.float32]], layout: PlaneLayout) -> Picture:
    """The RGB picture (3, H, W) of Y'CbCr planes in units of each plane; see `split`."""
    size = planes[0].shape
    chroma = [_upsample(plane, size, layout) for plane in planes[1:]]
    to_rgb_matrix, _ = matrices(layout.matrix)
    return _mix(to_rgb_matrix, [planes[0], *chroma])


def code_span(layout: PlaneLayout, *, chroma: bool) -> tuple[float, float]:
    """The zero's code and the codes in one unit (1 for floats); chroma: from its neutral code,
    between its extremes."""
    if layout.levels is not None:
        return layout.levels[0], layout.levels[1] - layout.levels[0]
    if layout.float_samples:
        return 0.0, 1.0
    top = float(2**layout.bits - 1)
    step = float(2 ** max(layout.bits - 8, 0))
    if chroma:
        return (top + 1) / 2, top if layout.full_range else 224 * step
    return (0.0, top) if layout.full_range else (16 * step, 219 * step)


def _decode(plane: Plane, layout: PlaneLayout, *, chroma: bool) -> NDArray[np.float32]:
    zero, span = code_span(layout, chroma=chroma)
    if plane.dtype.itemsize > 2 and layout.levels is not None:  # more digits than float32 has
        exact: NDArray[np.float32] = ((plane - zero) / span).astype(np.float32)
        return exact
    values = plane.astype(np.float32)
    values -= np.float32(zero)
    values *= np.float32(1 / span)
    return values


def changed(
    plane: Plane, change: NDArray[np.float32], layout: PlaneLayout, *, chroma: bool = False
) -> Plane:
    """A plane plus a change in its units, rounded once and clipped."""
    _, span = code_span(layout, chroma=chroma)
    if layout.levels is not None:
        return _add_codes(plane, change, span)
    if layout.float_samples:
        moved: Plane = plane + change.astype(plane.dtype)
        return moved
    codes = np.rint(change * np.float32(span)).astype(np.int32)
    codes += plane
    clipped: Plane = np.clip(codes, 0, 2**layout.bits - 1).astype(plane.dtype)
    return clipped


def _add_codes(plane: Plane, change: NDArray[np.float32], span: float) -> Plane:
    """A change in units of `span`, added to samples of any dtype and rounded once to it."""
    codes = plane.astype(np.float64)
    if plane.dtype.kind == "f":
        codes += change * span
    else:
        codes += np.rint(change * span)
        limits = np.iinfo(plane.dtype)
        np.clip(codes, limits.min, limits.max, out=codes)
    moved: Plane = codes.astype(plane.dtype)
    return moved


@cache
def matrices(matrix: Matrix) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
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


def _mix(matrix: NDArray[np.float32], planes: list[NDArray[np.float32]]) -> Picture:
    mixed = np.empty((3, *planes[0].shape), np.float32)
    for row, out in zip(matrix, mixed, strict=True):
        np.multiply(planes[0], row[0], out=out)
        for weight, plane in zip(row[1:], planes[1:], strict=True):
            if weight:
                out += weight * plane
    return mixed


def _upsample(
    chroma: NDArray[np.float32], size: tuple[int, ...], layout: PlaneLayout
) -> NDArray[np.float32]:
    """Chroma on the luma grid by linear interpolation that respects its siting."""
    for axis, factor, site in coarser(layout):
        chroma = _stretch(chroma, axis, factor, site, size[axis])
    return chroma


def coarser(layout: PlaneLayout) -> Iterator[tuple[int, int, float]]:
    """The axes along which chroma is coarser than luma; by how much, and where its samples lie."""
    for axis in (0, 1):
        factor = 2 ** layout.log2_chroma[1 - axis]
        if factor > 1:
            yield axis, factor, layout.siting[1 - axis] * (factor - 1)


def _stretch(
    values: NDArray[np.float32], axis: int, factor: int, site: float, size: int
) -> NDArray[np.float32]:
    """Linear interpolation along an axis: sample i of `values` lies at factor * i + site."""
    values = np.moveaxis(values, axis, 0)
    count = values.shape[0]
    out = np.empty((size, *values.shape[1:]), np.float32)
    for phase in range(factor):
        target = out[phase::factor]
        offset = (phase - site) / factor  # in (-1, 1): source samples from the cell's own
        cells = np.arange(target.shape[0])
        near = values[np.minimum(cells, count - 1)]  # a bottom field may lack the last cell
        other = np.clip(cells + (1 if offset > 0 else -1), 0, count - 1)
        weight = np.float32(abs(offset))
        target[...] = near if weight == 0 else (1 - weight) * near + weight * values[other]
    return np.moveaxis(out, 0, axis)


def _sampled(values: NDArray[np.float32], layout: PlaneLayout) -> NDArray[np.float32]:
    """Chroma whose interpolation comes closest to a change on luma's grid: averages, sharpened by
    back-projection."""
    chroma = _downsample(values, layout)
    if not any(layout.log2_chroma):
        return chroma
    averaged = chroma  # that of what is missing is what it has and the chroma so far has not
    for _ in range(BACK_PROJECTIONS):
        there = _upsample(chroma, values.shape, layout)
        chroma = chroma + (averaged - _downsample(there, layout))
    return chroma


def _downsample(values: NDArray[np.float32], layout: PlaneLayout) -> NDArray[np.float32]:
    """A change on the luma grid, averaged onto the chroma grid around each chroma sample."""
    for axis, factor, site in coarser(layout):
        values = _shrink(values, axis, factor, site)
    return values


def _shrink(
    values: NDArray[np.float32], axis: int, factor: int, site: float
) -> NDArray[np.float32]:
    """Average cells of `factor` samples; a sample sited on the first pixel takes a centred tent."""
    values = np.moveaxis(values, axis, 0)
    pad = -values.shape[0] % factor
    if pad:
        values = np.concatenate([values, np.repeat(values[-1:], pad, axis=0)])
    first, *others = values.reshape(-1, factor, *values.shape[1:]).swapaxes(0, 1)
    if factor == 2 and site == 0:  # [1 2 1] / 4 around the even samples
        before = np.concatenate([first[:1], others[0][:-1]])
        out = np.float32(0.5) * first + np.float32(0.25) * (others[0] + before)
    else:
        out = sum(others, first) / np.float32(factor)
    return np.moveaxis(out, 0, axis)
