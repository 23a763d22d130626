"""Plots as SVG files that need nothing else: charts, and pictures in rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from jinja2 import ChoiceLoader, Environment, PackageLoader

from f2rcli.frames import Codes
from f2rcli.plots.chart import HUES, Chart
from f2rcli.plots.images import VIRIDIS, data_uri, encode


@dataclass(frozen=True, slots=True)
class ColourBar:
    """The scale of pictures in false colours."""

    words: tuple[str, ...]  # at equal distances, from the lowest value to the highest
    title: str = ""
    colours: tuple[str, ...] = VIRIDIS


Arrow = tuple[float, float, float, float]  # from x, y to x, y in pixels


@dataclass(frozen=True, slots=True)
class Tile:
    """A picture with lines of words below it."""

    picture: Codes  # (H, W, 3) RGB, or (H, W) gray
    words: tuple[str, ...] = ()
    mark: tuple[int, int] | None = None  # x, y of a pixel with a frame around it
    arrows: tuple[Arrow, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.picture.shape[1], self.picture.shape[0]


@cache
def environment(*packages: str) -> Environment:
    """Templates of this package, and of others that build on them."""
    loaders = [PackageLoader(package) for package in (*packages, "f2rcli.plots")]
    made = Environment(
        loader=ChoiceLoader(loaders), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {"g": lambda value: f"{value:.6g}", "uri": data_uri, "png": encode}
    made.globals |= {"HUES": HUES}
    return made


def chart_svg(chart: Chart) -> bytes:
    """A chart as an SVG file."""
    return _rendered("chart.svg", chart=chart)


def chart_and_picture_svg(
    title: str, chart: Chart, picture: Codes | None, bar: ColourBar, axis: str
) -> bytes:
    """A chart beside a square picture (H, W, 3), or None, with its colour bar, as SVG; axis: what
    both sides span."""
    return _rendered("beside.svg", title=title, chart=chart, picture=picture, bar=bar, axis=axis)


def tiles_svg(
    rows: Sequence[Sequence[Tile]], *, zoom: int, title: str = "", bar: ColourBar | None = None
) -> bytes:
    """Rows of tiles of one size, enlarged without smoothing, as an SVG file."""
    return _rendered("tiles.svg", rows=rows, zoom=zoom, title=title, bar=bar)


def _rendered(name: str, **values: object) -> bytes:
    return environment().get_template(name).render(values).encode()
