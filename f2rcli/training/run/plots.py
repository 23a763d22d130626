"""Plots of a training run: the held-out curve, and crops before and after."""

import math
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from f2rcli.evaluation.pictures import highest
from f2rcli.io.disk_errors import disk_errors
from f2rcli.plots import Curve, draw_curves, new_axes, new_figure, saved

CropPicture = NDArray[np.float32]  # (H, W, C), 0 = black, 1 = white; C is 1 or 3 (RGB)

CROP = 128  # pixels per side
CROPS = 3


def plot_curve(
    curve: Sequence[tuple[int, float]], path: Path, *, start: float | None, title: str
) -> Path:
    """A rising figure over steps as SVG, its start dashed; non-finite points are left out. Raises
    OutputError."""
    known = [(step, level) for step, level in curve if math.isfinite(level)]
    lines = [Curve(name="held out", x=[s for s, _ in known], y=[level for _, level in known])]
    if known:
        step, level = max(known, key=lambda point: point[1])
        best = f"best: {level:.5g} at step {step}"
        lines.append(Curve(name=best, x=[step], y=[level], dots=True))
    figure = new_figure(7, 4)
    (axes,) = new_axes(figure)
    if start is not None:
        axes.axhline(start, linestyle="--", color="gray", label="start")
    draw_curves(axes, lines, title=title, x="step", y="")
    return _write(path, saved(figure, "svg"))


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
        figure = new_figure(3 * len(shown), 3.2)
        for axes, (name, picture) in zip(
            new_axes(figure, columns=len(shown)), shown.items(), strict=True
        ):
            part = picture[top : top + side, left : left + side].clip(0, 1)
            axes.imshow(np.repeat(part, 3 // part.shape[2], 2), interpolation="nearest")
            axes.set_axis_off()
            axes.set_title(name)
        paths.append(_write(folder / f"crop_{number}.svg", saved(figure, "svg")))
    return paths


def _write(path: Path, plot: bytes) -> Path:
    with disk_errors(path, "name another folder with run="):
        path.write_bytes(plot)
    return path
