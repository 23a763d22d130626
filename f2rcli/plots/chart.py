"""Line charts: what they show, and where it lies. Templates draw them, alone or in a page."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

DOTTED = 48  # points up to which each gets a dot
STEPS = (1, 2, 2.5, 5, 10)  # of a grid, times a power of ten
NARROWEST = 7.0  # percent of the plot between two values of a bent axis
# Colours of curves on light and on dark paper; the last one is gray.
HUES = (
    ("#0b62c4", "#6fb0ff"), ("#c2410c", "#ff9a5c"), ("#0f7b5f", "#4fd1a5"), ("#9d2d86", "#f08adb"),
    ("#8a6a00", "#e6c34a"), ("#3b7d9c", "#86c9e8"), ("#b0203a", "#ff8095"), ("#6b6f76", "#a9b0b9"),
)  # fmt: skip
BLUE, GREEN, YELLOW, RED, GREY = 0, 2, 4, 6, 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A curve of a chart; those of one name share an entry in the legend."""

    name: str
    x: Sequence[float]
    y: Sequence[float]  # what is not finite is a gap
    hue: int = BLUE  # an index of HUES; larger ones start again
    line: bool = True
    dots: bool | None = None  # None: where there are few points
    note: str = ""  # beside the name in the legend
    spread: Sequence[float] = ()  # to either side of y, in the tooltip
    band: bool = False  # whether the spread is drawn

    @property
    def colour(self) -> int:
        """The colour's index in HUES."""
        return self.hue % len(HUES)

    @property
    def edges(self) -> list[tuple[float, float]]:
        """Lower and upper end of the band at every point."""
        if not self.band:
            return []
        return [(y - s, y + s) for y, s in zip(self.y, self.spread, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """The labels and kinds of a chart's axes."""

    title: str
    x: str
    y: str  # "" where the title says it all
    digits: int = 2  # of values in the tooltip
    zero: bool = False  # y begins at 0
    whole: bool = False  # x counts
    bend: float | None = None  # of y: linear up to about this size, logarithmic beyond
    marks: Mapping[float, str] = field(default_factory=dict)  # y of dashed lines: their names


class Scale:
    """The positions of values, in percent of the plot."""

    def __init__(
        self, values: Sequence[float], *, loose: bool, floor: float | None = None,
        bend: float | None = None,
    ) -> None:  # fmt: skip
        self.bend = bend
        values = [self._bent(value) for value in values]
        low, high = min(values, default=0.0), max(values, default=1.0)
        if floor is not None:
            low = min(floor, low)
        pad = (0.08 * (high - low) or 0.02 * abs(high) or 0.5) if loose else 0.0
        self.low = low if floor is not None else low - pad
        self.high = high + pad if high + pad > self.low else self.low + 1

    def _bent(self, value: float) -> float:
        return value if self.bend is None else math.asinh(value / self.bend)

    def place(self, value: float) -> float:
        """Percent from the axis' beginning."""
        return round(100 * (self._bent(value) - self.low) / (self.high - self.low), 3)

    def ticks(self, most: int, *, whole: bool = False) -> list[float]:
        """Round values within the scale, at most about `most`; only integers if `whole`."""
        if self.bend is not None:
            return self._bent_ticks(self.bend)
        rough = max((self.high - self.low) / most, 1.0 if whole else 0.0)
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(
            power * s
            for s in STEPS
            if power * s >= 0.999 * rough and (not whole or (power * s).is_integer())
        )
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(step * tick, 10) for tick in range(first, last + 1)]

    def _bent_ticks(self, bend: float) -> list[float]:
        """Zero and round values to either side, as far apart as words need."""
        ticks = [0.0]
        for size in (round(bend * 10**power * step, 10) for power in range(4) for step in (1, 3)):
            if self.place(size) - self.place(max(ticks)) >= NARROWEST:
                ticks += [size, -size]
        return sorted(tick for tick in ticks if self.low <= self._bent(tick) <= self.high)


class Stroke(NamedTuple):
    """A curve as SVG path data; "" for what is not drawn."""

    curve: Curve
    path: str
    dots: str
    band: str  # points of a polygon


class Chart:
    """Curves and the scales they share."""

    def __init__(self, curves: Sequence[Curve], axes: Axes) -> None:
        self.curves, self.axes = curves, axes
        ys = [y for curve in curves for y in (*curve.y, *(e for both in curve.edges for e in both))]
        ys = [y for y in (*ys, *axes.marks) if math.isfinite(y)]
        self.x = Scale([x for curve in curves for x in curve.x], loose=False)
        self.y = Scale(ys, loose=True, floor=0.0 if axes.zero else None, bend=axes.bend)

    def rows(self) -> list[float]:
        """Values of y that have a grid line."""
        return self.y.ticks(5)

    def columns(self) -> list[float]:
        """Values of x that have a tick."""
        return self.x.ticks(6, whole=self.axes.whole)

    def strokes(self, width: float = 100, height: float = 100) -> Iterator[Stroke]:
        """The curves in a box of this size, y downwards."""
        for curve in self.curves:
            path, dots = self._paths(curve, width / 100, height / 100)
            few = len(curve.x) <= DOTTED or not curve.line
            dotted = few if curve.dots is None else curve.dots
            band = self._band(curve, width / 100, height / 100)
            yield Stroke(curve, path if curve.line else "", dots if dotted else "", band)

    def _paths(self, curve: Curve, across: float, down: float) -> tuple[str, str]:
        """Strokes that break where values are missing, and a dot for each point."""
        strokes, dots, pen = "", "", "M"
        for x, y in zip(curve.x, curve.y, strict=True):
            if not math.isfinite(y):
                pen = "M"
                continue
            at = f"{across * self.x.place(x):g} {down * (100 - self.y.place(y)):g}"
            strokes += f"{pen}{at}"
            dots += f"M{at}h0"
            pen = "L"
        return strokes, dots

    def _band(self, curve: Curve, across: float, down: float) -> str:
        lower, upper = ([edge[side] for edge in curve.edges] for side in (0, 1))
        xs = curve.x if curve.band else ()
        corners = [*zip(xs, upper, strict=True), *reversed([*zip(xs, lower, strict=True)])]
        return " ".join(
            f"{across * self.x.place(x):g},{down * (100 - self.y.place(y)):g}" for x, y in corners
        )

    @cached_property
    def legend(self) -> list[Curve]:
        """The first curve of each name, for the legend."""
        return [*{curve.name: curve for curve in reversed(self.curves)}.values()][::-1]

    @property
    def spoken(self) -> str:
        """A description of each curve, for those who cannot see it."""
        said = []
        for curve in self.curves:
            known = [y for y in curve.y if math.isfinite(y)]
            if known:
                low, high, mean = (
                    f"{value:.{self.axes.digits}f}"
                    for value in (min(known), max(known), sum(known) / len(known))
                )
                said.append(f"{curve.name}: from {low} to {high}, mean {mean}.")
        return " ".join(said)

    @property
    def data(self) -> str:
        """The data for the page's script to read out values, as JSON."""
        curves = [
            {
                "name": curve.name,
                "hue": curve.colour,
                "x": list(curve.x),
                "y": [round(y, 6) if math.isfinite(y) else None for y in curve.y],
                **({"spread": [round(s, 6) for s in curve.spread]} if curve.spread else {}),
            }
            for curve in self.curves
        ]
        scale = {"x": [self.x.low, self.x.high], "y": [self.y.low, self.y.high]}
        axes = {"digits": self.axes.digits, "x": self.axes.x, "y": self.axes.y}
        values = {"series": curves, "scale": scale} | axes
        return json.dumps(values, allow_nan=False, separators=(",", ":"))
