"""Charts by matplotlib, which is loaded once something is drawn, and pictures as small files."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from f2rcli.frames import Codes
from f2rcli.units import scale_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PNG = b"\x89PNG"
GREY = "#6b6f76"
DECIBELS = 10.0  # a spectrum's colours reach this far to either side of white noise
# Text stays text, and the same chart has the same bytes.
STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "f2r", "axes.grid": True, "grid.alpha": 0.3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A curve of a chart; what is not finite is a gap. Curves of one name share a legend's line."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: str | None = None  # None: the next of matplotlib's own
    dots: bool = False  # points without a line


def new_figure(
    width: float, height: float, rows: int = 1, columns: int = 1
) -> "tuple[Figure, list[Axes]]":
    """An empty figure and the axes of its grid, row by row; sizes in inches."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def draw_curves(
    axes: "Axes", curves: Sequence[Curve], *, title: str, x: str, y: str, zero: bool = False
) -> None:
    """Curves with their legend; zero: the y axis begins at 0."""
    known: set[str] = set()
    for curve in curves:
        label = None if curve.name in known else curve.name
        known.add(curve.name)
        seen = curve.dots or len(curve.y) == 1  # a line through one point would not be
        axes.plot(curve.x, curve.y, "." if seen else "-", label=label, color=curve.colour)
    axes.set_title(plain(title), fontsize="medium")
    axes.set(xlabel=plain(x), ylabel=plain(y))
    if zero:
        axes.set_ylim(bottom=0)
    if known:
        axes.legend(fontsize="small")


def draw_spectrum(axes: "Axes", power: NDArray[np.float64]) -> None:
    """A power spectrum (H, W), mean 1, zero frequency first; shown in decibels, zero centred."""
    decibels = 10 * np.log10(np.maximum(np.fft.fftshift(power), 10 ** (-DECIBELS / 10)))
    shown = axes.imshow(
        decibels, cmap="viridis", vmin=-DECIBELS, vmax=DECIBELS, extent=(-0.5, 0.5, 0.5, -0.5)
    )
    axes.grid(visible=False)
    axes.set(xlabel="frequency, cycles per pixel")
    assert axes.figure is not None
    axes.figure.colorbar(shown, ax=axes, label="dB over white noise")


def plain(text: str) -> str:
    """Text that matplotlib does not take for a formula."""
    return text.replace("$", r"\$")


def saved(figure: "Figure", kind: str = "png") -> bytes:
    import matplotlib

    out = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        metadata = {"Date": None} if kind == "svg" else None
        figure.savefig(out, format=kind, dpi=130, metadata=metadata)
    return out.getvalue()


def encode(codes: Codes, quality: int) -> bytes:
    """A picture (H, W, 3) RGB as WebP of a quality from 1 to 100."""
    import cv2

    shown = np.ascontiguousarray(codes[..., ::-1])
    return cv2.imencode(".webp", shown, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()


def data_uri(picture: bytes) -> str:
    """A PNG or WebP file as a data URI, for a page that must not fetch anything."""
    kind = "png" if picture.startswith(PNG) else "webp"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


# --- Noise ---------------------------------------------------------------------------------------


RED, GREEN, BLUE, YELLOW = "#b0203a", "#0f7b5f", "#0b62c4", "#8a6a00"
CHANNELS = {
    3: (("R", RED), ("G", GREEN), ("B", BLUE)),
    4: (("R", RED), ("G1", GREEN), ("B", BLUE), ("G2", YELLOW)),
}


def noise_plot(values: Mapping[str, Any], name: str, kind: str = "png") -> bytes:
    """Noise over brightness, and its spectrum where that is known, of what `NoiseReport.values`
    gives; `name` is the clip's, `kind` that of the file."""
    power = values.get("power_spectrum")
    columns = 2 if power else 1
    figure, axes = new_figure(4.5 * columns, 3.6, columns=columns)
    draw_levels(axes[0], values, name)
    if power:
        draw_spectrum(axes[1], np.mean(power, axis=0))
    return saved(figure, kind)


def draw_levels(axes: "Axes", values: Mapping[str, Any], name: str) -> None:
    """Sigma over brightness, of 255 or in a stack's own units."""
    black, span, unit = scale_of(values.get("levels"))
    title = f"{name}: sigma {span * fmean(values['sigma8']) / 255:.3g} {unit}"
    curves = values["law"]["curve"]
    names = CHANNELS.get(len(curves), (("gray", GREY),) * len(curves))
    points = values.get("level_points8") or [[]] * len(curves)
    lines = []
    for (name, colour), curve, seen in zip(names, curves, points, strict=True):
        places = np.linspace(black, black + span, len(curve)).tolist()
        scaled = [span * sigma for sigma in curve]
        lines.append(Curve(name=name, x=places, y=scaled, colour=colour))
        if seen:
            x, y = (np.array(seen).T * span / 255 + [[black], [0]]).tolist()
            lines.append(Curve(name=name, x=x, y=y, colour=colour, dots=True))
    place = f"brightness, {unit}; dots are measured, lines fitted"
    draw_curves(axes, lines, title=title, x=place, y=f"sigma, {unit}", zero=True)
