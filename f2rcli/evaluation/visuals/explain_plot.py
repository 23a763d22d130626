"""An explanation as a picture: a column per frame, the frame above and its filter below."""

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.evaluation.explain import Explanation, Filter

VIEW = 16  # pixels on either side of the pixel that are shown
ZOOM = 7  # screen pixels per pixel
MARGIN, HEAD, FOOT = 8, 40, 64  # screen pixels
PAPER, INK, MARK = (255, 255, 255), (40, 40, 40), (0, 160, 255)  # BGR
RED, BLUE = np.array([40, 40, 220], np.float32), np.array([220, 90, 40], np.float32)

Canvas = NDArray[np.uint8]  # (H, W, 3), BGR


def draw(explanation: Explanation, name: str) -> Canvas:
    """All frames side by side. Red adds to the pixel, blue takes away; all filters share a scale,
    so that a frame that gives little looks pale. Arrows show how the centre of mass moves."""
    side = (2 * VIEW + 1) * ZOOM
    count = len(explanation.filters)
    width = count * (side + MARGIN) + MARGIN
    canvas = np.full((HEAD + 2 * side + MARGIN + FOOT, width, 3), 255, np.uint8)
    x, y = explanation.pixel
    noisy, restored = (255 * value for value in explanation.value)
    title = f"{name}: pixel {x},{y} of frame {explanation.frame}"
    _text(canvas, title, (MARGIN, 16), 0.45)
    _text(canvas, f"noisy {noisy:.1f}, restored {restored:.1f} of 255", (MARGIN, 34), 0.4)
    largest = max(float(np.abs(f.weights).max()) for f in explanation.filters) or 1.0
    for column, found in enumerate(explanation.filters):
        left = MARGIN + column * (side + MARGIN)
        lower = HEAD + side + MARGIN
        canvas[HEAD : HEAD + side, left : left + side] = _picture(explanation, found)
        canvas[lower : lower + side, left : left + side] = _heat(explanation, found, largest)
        _arrow(canvas, explanation, column, (left, lower))
        _text(canvas, f"frame {found.frame}", (left, lower + side + 16))
        _text(canvas, f"gives {100 * found.total:.1f} %", (left, lower + side + 32))
        if column + 1 < count:
            dx, dy = explanation.motion[column]
            _text(canvas, f"moves {dx:+.1f}, {dy:+.1f}", (left, lower + side + 48))
    return canvas


def png(canvas: Canvas) -> bytes:
    """The picture as a PNG file."""
    done, data = cv2.imencode(".png", canvas)
    assert done  # eight-bit colour always can
    return bytes(data)


def _cut(explanation: Explanation, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """What is shown of (H, W) or (H, W, C): the pixel in the middle, zeros outside."""
    x, y = explanation.spot
    room = [(VIEW, VIEW), (VIEW, VIEW)] + [(0, 0)] * (values.ndim - 2)
    grown = np.pad(values, room)
    return grown[y : y + 2 * VIEW + 1, x : x + 2 * VIEW + 1]


def _picture(explanation: Explanation, found: Filter) -> Canvas:
    shown = _cut(explanation, found.picture)
    if shown.shape[-1] == 4:  # a mosaic's planes: R, G, B, G
        shown = np.stack([shown[..., 0], shown[..., 1::2].mean(-1), shown[..., 2]], -1)
    colours = np.broadcast_to(shown, (*shown.shape[:2], 3))[..., ::-1]
    return _zoomed(np.clip(255 * colours, 0, 255).astype(np.uint8))


def _heat(explanation: Explanation, found: Filter, largest: float) -> Canvas:
    share = _cut(explanation, found.weights)[..., None] / np.float32(largest)
    strength = np.sqrt(np.abs(share))  # small weights are many, and would not be seen
    colour = np.where(share > 0, RED, BLUE)
    return _zoomed((255 * (1 - strength) + colour * strength).astype(np.uint8))


def _zoomed(picture: Canvas) -> Canvas:
    large: Canvas = cv2.resize(picture, None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_NEAREST)  # type: ignore[assignment]  # uint8 stays uint8
    edge = VIEW * ZOOM
    cv2.rectangle(large, (edge, edge), (edge + ZOOM - 1, edge + ZOOM - 1), MARK, 1)
    return large


def _arrow(canvas: Canvas, explanation: Explanation, column: int, corner: tuple[int, int]) -> None:
    """From this frame's centre of mass to the next frame's."""
    if column + 1 >= len(explanation.filters):
        return
    ends = [explanation.filters[i].centre for i in (column, column + 1)]
    if not np.isfinite(ends).all():
        return
    x, y = explanation.spot
    start, end = (
        (
            round(corner[0] + (cx - x + VIEW + 0.5) * ZOOM),
            round(corner[1] + (cy - y + VIEW + 0.5) * ZOOM),
        )
        for cx, cy in ends
    )
    cv2.arrowedLine(canvas, start, end, INK, 1, cv2.LINE_AA, tipLength=0.3)


def _text(canvas: Canvas, text: str, place: tuple[int, int], size: float = 0.38) -> None:
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, INK, 1, cv2.LINE_AA)
