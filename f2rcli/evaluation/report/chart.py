"""Line charts as inline SVG that stretch to any width, with their words in HTML around them."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from f2rcli.evaluation.report.markup import Markup, tag

DOTTED = 48  # points up to which each gets a dot
STEPS = (1, 2, 2.5, 5, 10)  # of a grid, times a power of ten
NARROWEST = 7.0  # percent of the plot between two values of a bent axis
HUES = 8  # colours that page.css knows; further series repeat them


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of a chart."""

    name: str
    x: Sequence[float]
    y: Sequence[float]  # what is not finite is a gap
    hue: int = 0  # which of the page's colours
    line: bool = True
    dots: bool | None = None  # None: where there are few points
    note: str = ""  # beside the name in the legend
    spread: Sequence[float] = ()  # to either side of y, in the tooltip
    band: bool = False  # whether the spread is drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """What a chart's axes mean."""

    title: str
    x: str
    y: str  # "" where the title says it all
    digits: int = 2  # of values in the tooltip
    zero: bool = False  # y begins at 0
    whole: bool = False  # x counts
    bend: float | None = None  # of y: linear up to about this size, logarithmic beyond
    marks: Sequence[float] = ()  # values of y with a dashed line


class _Scale:
    """Where values lie, in percent of the plot."""

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


def line_chart(series: Sequence[Series], axes: Axes, hidden: bool = False) -> Markup:
    """A chart with a legend; page.js adds a cursor that mouse and arrow keys move.

    Without scripts it is complete as well: lines carry titles, and the legend their figures.
    """
    ys = [y for one in series for y in (*one.y, *axes.marks, *_edges(one)) if math.isfinite(y)]
    xs = [x for one in series for x in one.x]
    across = _Scale(xs, loose=False)
    upward = _Scale(ys, loose=True, floor=0.0 if axes.zero else None, bend=axes.bend)
    values = [
        {
            "name": one.name,
            "hue": _hue(one),
            "x": list(one.x),
            "y": [round(y, 6) if math.isfinite(y) else None for y in one.y],
            **({"spread": [round(s, 6) for s in one.spread]} if one.spread else {}),
        }
        for one in series
    ]
    scale = {"x": [across.low, across.high], "y": [upward.low, upward.high]}
    data = {"series": values, "scale": scale, "digits": axes.digits, "x": axes.x, "y": axes.y}
    plot = tag(
        "div",
        _drawing(series, axes, across, upward),
        [_tick("y", upward, value) for value in upward.ticks(5)],
        [_tick("x", across, value) for value in across.ticks(6, whole=axes.whole)],
        tag("div", class_="cursor", hidden=True),
        tag("div", class_="tip", hidden=True, role="status"),
        class_="plot",
        tabindex="0",
        role="group",
        aria_label=f"{axes.title}, {axes.y or 'values'} over {axes.x}. "
        f"{_spoken(series, axes.digits)} Left and right arrow keys read out values.",
        data_chart=json.dumps(data, allow_nan=False, separators=(",", ":")),
    )
    return tag(
        "figure",
        tag(
            "figcaption",
            tag("strong", axes.title),
            tag("span", axes.y, class_="unit") if axes.y else None,
        ),
        plot,
        tag("div", axes.x, class_="xlabel"),
        _legend(series),
        class_="chart",
        hidden=hidden,
    )


def _edges(one: Series) -> list[float]:
    """The ends of a series' band."""
    if not one.band:
        return []
    return [y + sign * s for y, s in zip(one.y, one.spread, strict=True) for sign in (-1, 1)]


def _drawing(series: Sequence[Series], axes: Axes, across: _Scale, upward: _Scale) -> Markup:
    grid = [
        tag("line", x1=0, x2=100, y1=100 - upward.place(y), y2=100 - upward.place(y), class_="grid")
        for y in upward.ticks(5)
    ]
    return tag(
        "svg",
        grid,
        [_mark(value, upward) for value in axes.marks],
        [_band(one, across, upward) for one in series if one.band],
        [_line(one, across, upward) for one in series],
        viewBox="0 0 100 100",
        preserveAspectRatio="none",
        aria_hidden="true",
    )


def _mark(value: float, upward: _Scale) -> Markup:
    place = 100 - upward.place(value)
    return tag("line", x1=0, x2=100, y1=place, y2=place, class_="mark")


def _band(one: Series, across: _Scale, upward: _Scale) -> Markup:
    """The area of one spread to either side of a line."""
    lower, upper = _edges(one)[::2], _edges(one)[1::2]
    corners = [*zip(one.x, upper, strict=True), *reversed([*zip(one.x, lower, strict=True)])]
    points = " ".join(f"{across.place(x):g},{100 - upward.place(y):g}" for x, y in corners)
    shape = tag("polygon", points=points, class_="band")
    return tag("g", shape, class_=f"hue{_hue(one)}", data_series=one.name)


def _line(one: Series, across: _Scale, upward: _Scale) -> Markup:
    """A path that breaks where values are missing, and dots where there are few points."""
    dots: list[str] = []
    strokes: list[str] = []
    pen = "M"
    for x, y in zip(one.x, one.y, strict=True):
        if not math.isfinite(y):
            pen = "M"
            continue
        at = f"{across.place(x):g} {100 - upward.place(y):g}"
        strokes.append(f"{pen}{at}")
        dots.append(f"M{at}h0")
        pen = "L"
    title = tag("title", f"{one.name} {one.note}".strip())
    line = tag("path", title, d="".join(strokes), class_="line") if one.line else None
    few = len(one.x) <= DOTTED or not one.line
    dotted = few if one.dots is None else one.dots
    marks = tag("path", title, d="".join(dots), class_="dots") if dotted else None
    return tag("g", line, marks, class_=f"hue{_hue(one)}", data_series=one.name)


def _tick(axis: str, scale: _Scale, value: float) -> Markup:
    place = scale.place(value)
    at = f"bottom:{place:g}%" if axis == "y" else f"left:{place:g}%"
    return tag("span", f"{value:g}", class_=f"tick {axis}", style=at, aria_hidden="true")


def _legend(series: Sequence[Series]) -> Markup:
    return tag(
        "ul",
        [
            tag(
                "li",
                tag(
                    "button",
                    tag("i", class_=f"swatch hue{_hue(one)}"),
                    one.name,
                    tag("small", one.note) if one.note else None,
                    type="button",
                    aria_pressed="true",
                    data_toggles=one.name,
                    title="Show or hide this line",
                ),
            )
            for one in {one.name: one for one in reversed(series)}.values()
        ][::-1],
        class_="legend",
    )


def _spoken(series: Sequence[Series], digits: int) -> str:
    """What each line does, for who cannot see it."""
    said = []
    for one in series:
        known = [y for y in one.y if math.isfinite(y)]
        if known:
            said.append(
                f"{one.name}: from {min(known):.{digits}f} to {max(known):.{digits}f}, "
                f"mean {sum(known) / len(known):.{digits}f}."
            )
    return " ".join(said)


def _hue(one: Series) -> int:
    return one.hue % HUES
