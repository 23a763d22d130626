"""Plots of a noise measurement: sigma over brightness, and the power spectrum."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from f2rcli.noise.report import NoiseReport
from f2rcli.plots import GREY, Curve, draw_curves, draw_spectrum, new_figure, saved

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RED, GREEN, BLUE, YELLOW = "#b0203a", "#0f7b5f", "#0b62c4", "#8a6a00"
CHANNELS = {
    3: (("R", RED), ("G", GREEN), ("B", BLUE)),
    4: (("R", RED), ("G1", GREEN), ("B", BLUE), ("G2", YELLOW)),
}
GRAY = (("gray", GREY),)


def plot(report: NoiseReport, name: str) -> bytes:
    """Both plots of a report as an SVG file; `name` is the clip's."""
    values = report.values()
    mean = sum(values["sigma8"]) / len(values["sigma8"])
    columns = 1 if report.spectrum is None else 2
    figure, axes = new_figure(5 * columns, 4, columns=columns)
    draw_levels(axes[0], values, f"{name}: sigma {mean:.1f} of 255")
    if report.spectrum is not None:
        draw_spectrum(axes[1], report.spectrum.power.mean(0))
    return saved(figure, "svg")


def draw_levels(axes: "Axes", values: Mapping[str, Any], title: str) -> None:
    """Sigma over brightness, of what `NoiseReport.values` gives, in 8-bit units."""
    curves = values["law"]["curve"]
    names = CHANNELS.get(len(curves), GRAY * len(curves))
    points = values.get("level_points8") or [[]] * len(curves)
    lines = []
    for (name, colour), curve, seen in zip(names, curves, points, strict=True):
        places = np.linspace(0, 255, len(curve)).tolist()
        curve8 = [255 * sigma for sigma in curve]
        lines.append(Curve(name=name, x=places, y=curve8, colour=colour))
        if seen:
            x, y = zip(*seen, strict=True)
            lines.append(Curve(name=name, x=x, y=y, colour=colour, dots=True))
    place = "brightness, of 255; dots are measured, lines fitted"
    draw_curves(axes, lines, title=title, x=place, y="sigma, of 255", zero=True)
