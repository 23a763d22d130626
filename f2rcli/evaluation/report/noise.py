"""A measurement of noise on a page: how strong it is over brightness, and its spectrum."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from f2rcli.evaluation.report.chart import Axes, Series, line_chart
from f2rcli.evaluation.report.markup import Markup, join, tag
from f2rcli.evaluation.visuals.images import data_uri, encode
from f2rcli.noise.drawing import DECIBELS, spectrum_picture
from f2rcli.noise.law import NoiseLaw

Rows = Sequence[Sequence[float]]

CHANNELS = {3: (("R", 6), ("G", 2), ("B", 0)), 4: (("R", 6), ("G1", 2), ("B", 0), ("G2", 4))}
GRAY = (("gray", 7),)


def noise_panel(values: Mapping[str, Any]) -> Markup:
    """The noise of a clip, as `NoiseReport.values()` has it."""
    sigma = values["sigma8"]
    words = f"{_mean(sigma):.2f} of 255 on average over the channels"
    sure = values.get("confidence") or {}
    if sure:
        words += f"; confidence {sure['word']}, ±{sure['percent']:.0f} %"
    spectrum = values.get("power_spectrum")
    return join(
        tag("p", f"Standard deviation {words}."),
        tag("ul", [tag("li", line) for line in values.get("meaning", ())], class_="notes"),
        tag(
            "div",
            tag("div", _level_chart(values)),
            tag("div", spectra([("Noise of the input", _over_channels(spectrum))]))
            if spectrum
            else None,
            class_="pair",
        ),
    )


def _over_channels(spectrum: Sequence[Rows]) -> Rows:
    mean: Rows = np.mean(spectrum, axis=0).tolist()
    return mean


def spectra(named: Sequence[tuple[str, Rows]]) -> Markup:
    """Power spectra side by side with their scale; each (H, W), mean 1, zero frequency first."""
    return join(
        tag("div", [_spectrum(name, power) for name, power in named], class_="grid-of small"),
        tag("div", class_="ramp", role="presentation"),
        tag(
            "div",
            [tag("span", word) for word in (f"-{DECIBELS:g} dB", "0 dB", f"+{DECIBELS:g} dB")],
            class_="rampscale",
        ),
        tag(
            "p",
            tag(
                "small",
                "Power over spatial frequency, ±0.5 cycles per pixel, zero in the middle; 0 dB "
                "everywhere is white noise. A bright middle is smooth, coloured noise or lost "
                "large structure.",
            ),
        ),
    )


def _level_chart(values: Mapping[str, Any]) -> Markup | None:
    law = values.get("law")
    if not law:
        return None
    curves = NoiseLaw.from_values(dict(law)).level.at_knots()
    names = CHANNELS.get(len(curves), GRAY * len(curves))
    points = values.get("level_points8") or [[]] * len(curves)
    series = []
    for (name, hue), curve, seen in zip(names, curves, points, strict=True):
        places = np.linspace(0, 255, len(curve)).tolist()
        curve8 = [255 * sigma for sigma in curve]
        series.append(Series(name=name, x=places, y=curve8, hue=hue, dots=False))
        if seen:
            x, y = zip(*seen, strict=True)
            series.append(Series(name=name, x=x, y=y, hue=hue, line=False))
    axes = Axes(
        title="Noise over brightness",
        x="brightness, of 255",
        y="sigma, of 255; dots are measured, lines the law",
        zero=True,
    )
    return line_chart(series, axes)


def _spectrum(name: str, power: Rows) -> Markup:
    values = np.asarray(power, np.float64)
    tinted = np.ascontiguousarray(spectrum_picture(values)[..., ::-1])
    rows, columns = values.shape
    alt = f"Power spectrum, {name}: {_said(np.fft.fftshift(values))}"
    picture = tag(
        "img", src=data_uri(encode(tinted)), alt=alt, width=columns, height=rows, class_="pixels"
    )
    return tag("figure", picture, tag("figcaption", name))


def _said(centred: NDArray[np.float64]) -> str:
    """A spectrum in words: how the slow half compares with the fast one."""
    rows, columns = (2 * np.fft.fftshift(np.fft.fftfreq(size)) for size in centred.shape)
    radius = np.hypot(rows[:, None], columns[None])
    slow, fast = centred[(radius > 0) & (radius < 0.5)].mean(), centred[radius >= 0.5].mean()
    if min(slow, fast) <= 0:
        return "no power on one side"
    return f"low frequencies {10 * np.log10(slow / fast):+.1f} dB against high ones"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
