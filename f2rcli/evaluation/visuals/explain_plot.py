"""Explanations as plots: a pixel's filters frame by frame, and a motion field's arrows."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from f2rcli.evaluation.explain import Explanation, FrameFilter
from f2rcli.evaluation.motion_field import MotionField
from f2rcli.frames import Codes
from f2rcli.plots.svg import Arrow, ColourBar, Tile, tiles_svg

VIEW = 16  # pixels on either side of the pixel that are shown
ZOOM = 7
STEPS = (-1, -0.5, 0, 0.5, 1)  # of the colour bar
WIDE = 480  # pixels: narrower pictures are shown at twice their size
RED, BLUE = np.array([220, 40, 40], np.float32), np.array([40, 90, 220], np.float32)


def plot(explanation: Explanation, name: str) -> bytes:
    """All frames side by side, as an SVG file.

    Red adds to the pixel, blue takes away; all filters share a scale, so that a frame that gives
    little looks pale. Arrows show how the filter's centre of mass moves to the next frame.
    """
    x, y = explanation.pixel
    noisy, restored = (255 * value for value in explanation.value)
    filters = explanation.filters
    largest = max(float(np.abs(f.weights).max()) for f in filters) or 1.0
    middle = (VIEW, VIEW)
    frames = [
        Tile(_codes(_cut(explanation, f.picture)), (f"frame {f.frame}",), middle) for f in filters
    ]
    weights = [
        Tile(_heat(explanation, f, largest), _words(explanation, i), middle, _arrow(explanation, i))
        for i, f in enumerate(filters)
    ]
    return tiles_svg(
        [frames, weights],
        zoom=ZOOM,
        title=f"{name}: pixel {x},{y} of frame {explanation.frame}, noisy {noisy:.1f}, "
        f"restored {restored:.1f} of 255",
        bar=ColourBar(
            tuple(f"{share * abs(share) * largest:+.2g}" if share else "0" for share in STEPS),
            "weight of a noisy pixel",
            tuple(f"#{bytes(_colour(np.array(share))).hex()}" for share in np.linspace(-1, 1, 9)),
        ),
    )


def plot_field(field: MotionField, name: str) -> bytes:
    """The frame once for every step to the next frame, with an arrow for every pixel of the grid,
    as an SVG file. Arrows are enlarged alike, so that a fast one spans a cell of the grid."""
    sizes = np.hypot(*field.motion[np.isfinite(field.motion).all(-1)].T)
    fast = float(np.quantile(sizes, 0.95)) if len(sizes) else 0.0
    scale = min(field.step / max(fast, 1e-6), float(field.step))
    frame = _codes(field.picture)
    given = 100 * field.shares.mean(0)
    tiles = []
    for i, (first, last) in enumerate(pairwise(field.frames)):
        words = (
            f"frame {first} to {last}: arrows {scale:.2g} times as long",
            f"they give {given[i]:.1f} and {given[i + 1]:.1f} % of a pixel on average",
        )
        tiles.append(Tile(frame, words, arrows=tuple(_arrows(field, i, scale))))
    title = f"{name}: motion around frame {field.frame}"
    return tiles_svg([[tile] for tile in tiles], zoom=1 + (frame.shape[1] < WIDE), title=title)


def _arrows(field: MotionField, step: int, scale: float) -> Iterator[Arrow]:
    for (x, y), (dx, dy) in zip(field.pixels, field.motion[:, step], strict=True):
        if np.isfinite((dx, dy)).all():
            yield x + 0.5, y + 0.5, x + 0.5 + scale * dx, y + 0.5 + scale * dy


def _words(explanation: Explanation, column: int) -> tuple[str, ...]:
    gives = f"gives {100 * explanation.filters[column].total:.1f} %"
    if column + 1 == len(explanation.filters):
        return (gives,)
    dx, dy = explanation.motion[column]
    return gives, f"moves {dx:+.1f}, {dy:+.1f} px"


def _cut(explanation: Explanation, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The part shown of (H, W) or (H, W, C): the pixel in the middle, zeros outside."""
    x, y = explanation.spot
    room = [(VIEW, VIEW), (VIEW, VIEW)] + [(0, 0)] * (values.ndim - 2)
    grown = np.pad(values, room)
    return grown[y : y + 2 * VIEW + 1, x : x + 2 * VIEW + 1]


def _codes(shown: NDArray[np.float32]) -> Codes:
    if shown.shape[-1] == 4:  # a mosaic's planes: R, G, B, G
        shown = np.stack([shown[..., 0], shown[..., 1::2].mean(-1), shown[..., 2]], -1)
    colours = np.broadcast_to(shown, (*shown.shape[:2], 3))
    return np.clip(255 * colours, 0, 255).astype(np.uint8)


def _heat(explanation: Explanation, found: FrameFilter, largest: float) -> Codes:
    share = _cut(explanation, found.weights) / np.float32(largest)
    return _colour(np.sign(share) * np.sqrt(np.abs(share)))  # many small weights, to be seen


def _colour(strength: NDArray[np.floating]) -> Codes:
    """(..., 3) of values from -1, blue, over white to 1, red."""
    size = np.abs(strength)[..., None]
    colour = np.where(strength[..., None] > 0, RED, BLUE)
    codes: Codes = (255 * (1 - size) + colour * size).astype(np.uint8)
    return codes


def _arrow(explanation: Explanation, column: int) -> tuple[Arrow, ...]:
    """From this frame's centre of mass to the next frame's, in pixels of the tile."""
    ends = [found.centre for found in explanation.filters[column : column + 2]]
    if len(ends) < 2 or not np.isfinite(ends).all():
        return ()
    x, y = explanation.spot
    (x0, y0), (x1, y1) = ((cx - x + VIEW + 0.5, cy - y + VIEW + 0.5) for cx, cy in ends)
    return ((x0, y0, x1, y1),)
