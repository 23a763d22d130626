"""Plots of a training run: the held-out curve, and crops before and after."""

import math
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from f2rcli.evaluation.visuals.crops import highest
from f2rcli.io.disk_errors import disk_errors
from f2rcli.noise.codec import to_codes
from f2rcli.plots.chart import BLUE, RED, Axes, Chart, Curve
from f2rcli.plots.svg import Tile, chart_svg, tiles_svg

CropPicture = NDArray[np.float32]  # (H, W, C), 0 = black, 1 = white; C is 1 or 3 (RGB)

CROP = 128  # pixels per side
CROPS = 3
ZOOM = 2


def plot_curve(
    curve: Sequence[tuple[int, float]], path: Path, *, start: float | None, title: str
) -> Path:
    """A rising figure over steps as SVG, its start dashed; non-finite points are left out. Raises
    OutputError."""
    known = [(step, level) for step, level in curve if math.isfinite(level)]
    steps, levels = [step for step, _ in known], [level for _, level in known]
    lines = [Curve(name="held out", x=steps, y=levels, hue=BLUE)]
    if known:
        step, level = max(known, key=lambda point: point[1])
        best = f"best: {level:.5g} at step {step}"
        lines.append(Curve(name=best, x=[step], y=[level], line=False, hue=RED))
    marks = {} if start is None else {start: "start"}
    chart = Chart(lines, Axes(title=title, x="step", y="", whole=True, marks=marks))
    return _write(path, chart_svg(chart))


def write_crops(
    noisy: CropPicture, before: CropPicture | None, after: CropPicture, folder: Path
) -> list[Path]:
    """`noisy | before | after` where before and after differ most, as SVGs; returns their paths.

    All (H, W, C) of one size. Without `before` (trained from scratch) it is left out, and `after`
    is held against the input. Raises OutputError.
    """
    against = noisy if before is None else before
    side = min(CROP, *after.shape[:2])
    named = {"noisy": noisy, "before": before, "after": after}
    shown = {name: picture for name, picture in named.items() if picture is not None}
    paths = []
    squares = islice(highest(np.abs(after - against).mean(-1), side, side), CROPS)
    for number, (_, top, left) in enumerate(squares, 1):
        part = slice(top, top + side), slice(left, left + side)
        tiles = [Tile(_codes(picture[part]), (name,)) for name, picture in shown.items()]
        paths.append(_write(folder / f"crop_{number}.svg", tiles_svg([tiles], zoom=ZOOM)))
    return paths


def _codes(picture: CropPicture) -> NDArray[np.uint8]:
    codes = to_codes(picture)
    return codes[..., 0] if codes.shape[2] == 1 else np.ascontiguousarray(codes)


def _write(path: Path, plot: bytes) -> Path:
    with disk_errors(path, "name another folder with run="):
        path.write_bytes(plot)
    return path
