"""Plots of a noise measurement: sigma over brightness, and the power spectrum."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Codes
from f2rcli.noise.law import NoiseLaw
from f2rcli.noise.report import NoiseReport
from f2rcli.plots.chart import BLUE, GREEN, GREY, RED, YELLOW, Axes, Chart, Curve
from f2rcli.plots.images import tinted
from f2rcli.plots.svg import ColourBar, chart_and_picture_svg

DECIBELS = 10.0  # the spectrum's colours reach this far to either side of white noise
SCALE = (f"-{DECIBELS:g} dB", "0 dB", f"+{DECIBELS:g} dB")
CHANNELS = {
    3: (("R", RED), ("G", GREEN), ("B", BLUE)),
    4: (("R", RED), ("G1", GREEN), ("B", BLUE), ("G2", YELLOW)),
}
GRAY = (("gray", GREY),)


def plot(report: NoiseReport, name: str) -> bytes:
    """Both plots of a report as an SVG file; `name` is the clip's."""
    values = report.values()
    mean = sum(values["sigma8"]) / len(values["sigma8"])
    power = None if report.spectrum is None else report.spectrum.power.mean(0)
    return chart_and_picture_svg(
        f"{name}: sigma {mean:.1f} of 255",
        level_chart(values),
        None if power is None else spectrum_picture(power),
        ColourBar(SCALE, "power; white noise is 0 dB everywhere"),
        "frequency, cycles per pixel",
    )


def level_chart(values: Mapping[str, Any]) -> Chart:
    """Sigma over brightness, of what `NoiseReport.values` gives, in 8-bit units."""
    curves = NoiseLaw.from_values(dict(values["law"])).level.at_knots()
    names = CHANNELS.get(len(curves), GRAY * len(curves))
    points = values.get("level_points8") or [[]] * len(curves)
    lines = []
    for (name, hue), curve, seen in zip(names, curves, points, strict=True):
        places = np.linspace(0, 255, len(curve)).tolist()
        curve8 = [255 * sigma for sigma in curve]
        lines.append(Curve(name=name, x=places, y=curve8, hue=hue, dots=False))
        if seen:
            x, y = zip(*seen, strict=True)
            lines.append(Curve(name=name, x=x, y=y, hue=hue, line=False))
    axes = Axes(
        title="Noise over brightness",
        x="brightness, of 255",
        y="sigma, of 255; dots are measured, lines are fitted",
        zero=True,
    )
    return Chart(lines, axes)


def spectrum_picture(power: NDArray[np.float64] | Sequence[Sequence[float]]) -> Codes:
    """(H, W, 3) of a power spectrum (H, W), mean 1, zero frequency first: zero in the middle."""
    shifted = np.fft.fftshift(np.asarray(power, np.float64))
    decibels = 10 * np.log10(np.maximum(shifted, 10 ** (-DECIBELS / 10)))
    return tinted(np.clip(127.5 * (1 + decibels / DECIBELS), 0, 255).astype(np.uint8))
