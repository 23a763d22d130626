"""A measurement as one picture: level curves on the left, the power spectrum on the right."""

import cv2
import numpy as np
from numpy.typing import NDArray

from f2rcli.noise.model import KNOTS
from f2rcli.noise.report import NoiseReport

Canvas = NDArray[np.uint8]  # (H, W, 3), BGR

HEIGHT, WIDTH = 420, 960
LEFT, TOP, PLOT = 70, 50, 300  # margins, and the height of both panels
CURVES = 480  # width of the left panel
INK, GRID = (40, 40, 40), (220, 220, 220)
COLOURS = {1: ((90, 90, 90),), 3: ((60, 60, 220), (60, 160, 60), (220, 100, 60))}  # R, G, B
DECIBELS = 10.0  # the spectrum's colours reach so far on either side of white noise


def draw(report: NoiseReport, name: str) -> Canvas:
    """The picture of a report; `name` is its title."""
    canvas = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    mean = sum(report.model.sigma8) / len(report.model.sigma8)
    title = f"{name.encode('ascii', 'replace').decode()[:60]}: sigma {mean:.1f} of 255"
    _text(canvas, title, (LEFT, 26), 0.55)
    _curves(canvas, report)
    _spectrum(canvas, report)
    return canvas


def png(canvas: Canvas) -> bytes:
    """The picture as a PNG file's bytes."""
    return cv2.imencode(".png", canvas)[1].tobytes()


def _curves(canvas: Canvas, report: NoiseReport) -> None:
    """Sigma over brightness, both in 8-bit codes: bins as dots, the law as lines."""
    curves = [255 * np.array(curve) for curve in report.model.at_knots()]
    seen = [255 * sigma for points in report.points for _, sigma in points]
    top = 1.25 * max(1.0, max(seen, default=0.0), *(c.max() for c in curves))
    step = next(s for s in (0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 500) if top / s <= 8)
    for value in np.arange(0, top, step):
        y = round(TOP + PLOT * (1 - value / top))
        cv2.line(canvas, (LEFT, y), (LEFT + CURVES, y), GRID, 1)
        _text(canvas, f"{value:g}", (LEFT - 42, y + 4))
    for value in range(0, 256, 51):
        x = LEFT + round(CURVES * value / 255)
        cv2.line(canvas, (x, TOP), (x, TOP + PLOT), GRID, 1)
        _text(canvas, str(value), (x - 10, TOP + PLOT + 18))
    _text(canvas, "sigma over brightness", (LEFT + 150, TOP + PLOT + 42))
    colours = COLOURS.get(len(curves), COLOURS[1] * len(curves))
    for curve, points, colour in zip(curves, report.points, colours, strict=True):
        across = LEFT + CURVES * np.linspace(0, 1, KNOTS)
        line = np.stack([across, TOP + PLOT * (1 - curve / top)], 1).round().astype(np.int32)
        cv2.polylines(canvas, [line], False, colour, 1, cv2.LINE_AA)
        for level, sigma in points:
            place = (LEFT + round(CURVES * level), TOP + round(PLOT * (1 - 255 * sigma / top)))
            cv2.circle(canvas, place, 3, colour, -1, cv2.LINE_AA)


def spectrum_picture(power: NDArray[np.float64]) -> Canvas:
    """A power spectrum (H, W), mean 1, zero frequency first, in colours: zero in the middle,
    DECIBELS on either side of white noise from dark to bright."""
    decibels = 10 * np.log10(np.maximum(np.fft.fftshift(power), 10 ** (-DECIBELS / 10)))
    codes = np.clip(127.5 * (1 + decibels / DECIBELS), 0, 255).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(codes, cv2.COLORMAP_VIRIDIS), np.uint8)


def _spectrum(canvas: Canvas, report: NoiseReport) -> None:
    """Power over spatial frequency, mean of the channels, zero in the middle, in decibels."""
    x = LEFT + CURVES + 60
    if report.spectrum is None:
        _text(canvas, "no spectrum: frames too small", (x, TOP + PLOT // 2))
        return
    tinted = spectrum_picture(report.spectrum.power.mean(0))
    large = cv2.resize(tinted, (PLOT, PLOT), interpolation=cv2.INTER_NEAREST)
    canvas[TOP : TOP + PLOT, x : x + PLOT] = large
    _text(canvas, "-0.5", (x - 4, TOP + PLOT + 18))
    _text(canvas, "0", (x + PLOT // 2 - 4, TOP + PLOT + 18))
    _text(canvas, "0.5 cycles/px", (x + PLOT - 58, TOP + PLOT + 18))
    scale = f"power, white noise = 0 dB, colours span +-{DECIBELS:g} dB"
    _text(canvas, scale, (x - 40, TOP + PLOT + 42))


def _text(canvas: Canvas, text: str, place: tuple[int, int], size: float = 0.4) -> None:
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, INK, 1, cv2.LINE_AA)
