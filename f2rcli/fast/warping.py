"""Backward warps with cubic interpolation, of several planes at a time (models/flow.py, warp_all).

OpenCV works out the weights of every pixel for each picture anew. Here eight planes lie side by
side, and each of a pixel's 16 neighbours is one register.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from f2rcli.fast.compiling import compiled
from f2rcli.fast.lanes import BYTES, LANES, summed, turned
from f2rcli.fast.rows import like, row, rows_of, stored

BEFORE, AFTER = 2, 3  # pixels around a picture, where its edge goes on
FEWEST = 4  # planes: OpenCV warps up to three as fast
STRIP = 32  # rows at a time
SHARP = -0.75  # as OpenCV has it
A, A5, A8, A4, A2, A3 = (
    np.float32(f) for f in (SHARP, 5 * SHARP, 8 * SHARP, 4 * SHARP, SHARP + 2, SHARP + 3)
)
ONE = np.float32(1)


def serves(planes: int, width: int) -> bool:
    """Whether this many planes of this width are warped here."""
    return FEWEST <= planes <= LANES and width >= LANES


def warped(pictures: Sequence[Tensor], flow: NDArray[np.float32], into: Sequence[Tensor]) -> None:
    """Pictures (1, C, H, W), float32 or codes, `LANES` planes in all at most, by a flow (H, W, 2);
    into: of their shapes and type, where the results go."""
    planes, results = (
        np.stack([rows_of(plane) for picture in several for plane in picture[0]])
        for several in (pictures, into)
    )
    _warped(planes, flow, results, like(into[0]))


@compiled
def _warped(planes: Any, flow: Any, results: Any, kind: Any) -> None:
    """Strip by strip, so that what is fetched is still near."""
    height, width = flow.shape[:2]
    places = np.empty((2, width), np.int32)
    weights = np.empty((8, width), np.float32)
    pixels = np.empty((width, LANES), np.float32)
    lines = np.zeros((LANES, width), np.float32)
    joined = np.empty((1, width + BEFORE + AFTER, LANES), np.float32)
    for top in range(0, height, STRIP):
        bottom = min(top + STRIP, height)
        low, high = _span(flow[top:bottom], top, height, weights)
        if high - low + 4 > len(joined):
            joined = np.empty((high - low + 4, width + BEFORE + AFTER, LANES), np.float32)
        for y in range(low - 1, high + 3):
            pixels_there = joined[y - low + 1]
            _joined(planes, min(max(y, 0), height - 1), lines, pixels_there, kind)
        start, line = np.intp(joined.ctypes.data), joined.shape[1] * BYTES
        for y in range(top, bottom):
            # asked for here, in the loop: numba frees an array after its last mention
            first, found = np.intp(weights.ctypes.data), np.intp(pixels.ctypes.data)
            _landing(flow[y], y, height, weights)
            _weighed(places[0], weights[0], weights[1], weights[2], weights[3])
            _weighed(places[1], weights[4], weights[5], weights[6], weights[7])
            for x in range(width):
                corner = (places[1, x] - low) * line + (places[0, x] + 1) * BYTES
                summed(start + corner, line, first + 4 * x, 4 * width, found + x * BYTES)
            _turned(found, BYTES, BYTES, np.intp(lines.ctypes.data), 4 * width, 4, width)
            for k in range(len(results)):
                own, out = lines[k], row(results[k, 0] + y * results[k, 1], width, kind)
                for x in range(width):
                    out[x] = stored(own[x], kind)


@compiled
def _landing(flow: Any, y: int, height: int, into: Any) -> None:
    """Where a row's pixels land, clamped near the border: columns in into[3], rows in into[7]."""
    width = len(flow)
    for x in range(width):
        there = np.float32(x) + flow[x, 0]
        into[3, x] = min(there, np.float32(width)) if there > -ONE else -ONE
    for x in range(width):
        there = np.float32(y) + flow[x, 1]
        into[7, x] = min(there, np.float32(height)) if there > -ONE else -ONE


@compiled
def _span(flow: Any, top: int, height: int, into: Any) -> Any:
    """The first and the last row where pixels of some rows land."""
    low, high = np.full(len(flow[0]), np.float32(height)), np.full(len(flow[0]), -ONE)
    for y in range(len(flow)):
        _landing(flow[y], top + y, height, into)
        for x in range(len(low)):
            low[x] = min(low[x], into[7, x])
        for x in range(len(high)):
            high[x] = max(high[x], into[7, x])
    return int(np.floor(low.min())), int(np.floor(high.max()))


@compiled
def _joined(planes: Any, y: int, lines: Any, into: Any, kind: Any) -> None:
    """A row of several planes side by side, within a border."""
    width = lines.shape[1]
    for k in range(len(planes)):
        own, line = row(planes[k, 0] + y * planes[k, 1], width, kind), lines[k]
        for x in range(width):
            line[x] = own[x]
    inner = np.intp(into.ctypes.data) + BEFORE * BYTES
    _turned(np.intp(lines.ctypes.data), 4 * width, 4, inner, BYTES, BYTES, width)
    for x in range(BEFORE):
        into[x] = into[BEFORE]
    for x in range(AFTER):
        into[BEFORE + width + x] = into[BEFORE + width - 1]


@compiled
def _turned(
    source: int, step: int, ahead: int, into: int, gap: int, along: int, count: int
) -> None:
    """What `turned` does of LANES places, of `count` of them; `ahead` and `along` bytes apart."""
    for first in range(0, count, LANES):
        x = min(first, count - LANES)
        turned(source + x * ahead, step, into + x * along, gap)


@compiled
def _weighed(place: Any, before: Any, own: Any, after: Any, far: Any) -> None:
    """Whole parts of what `far` holds, and the weights of the four pixels around each."""
    for x in range(len(far)):
        whole = np.floor(far[x])
        place[x] = np.int32(whole)
        far[x] -= whole
    for x in range(len(far)):
        t = far[x] + ONE
        before[x] = ((A * t - A5) * t + A8) * t - A4
    for x in range(len(far)):
        t = far[x]
        own[x] = (A2 * t - A3) * t * t + ONE
    for x in range(len(far)):
        t = ONE - far[x]
        after[x] = (A2 * t - A3) * t * t + ONE
    for x in range(len(far)):
        far[x] = ONE - before[x] - own[x] - after[x]
