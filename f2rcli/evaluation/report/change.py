"""Changes of samples by brightness, and what the residual contract gave back."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from f2rcli.evaluation.report.pictures import Label
from f2rcli.evaluation.result import MOVED, NOISY, ClipResult, GivenBack, PlaneChange
from f2rcli.plots.chart import BLUE, GREEN, GREY, RED, Axes, Chart, Curve
from f2rcli.plots.images import encode, tinted

BENT = 1.0  # codes up to which the axis of changes is linear
PLANE_HUES = {"Y": GREY, "Cb": BLUE, "Cr": RED, "R": RED, "G": GREEN, "B": BLUE, "gray": GREY}


class ChangeCharts(NamedTuple):
    """A chart per plane with a curve per method, and in words whether any brightness moved."""

    base: str  # what the change is from
    words: list[str]  # a sentence per method
    charts: list[Chart]


class ReturnedShare(NamedTuple):
    """The share of one method's change that the residual contract returned, and where."""

    words: str
    data: bytes  # PNG of the map; b"" for none
    size: tuple[int, int]  # width and height of the map in cells
    alt: str


Changes = Sequence[tuple[str, Sequence[PlaneChange]]]


def by_brightness(clip: ClipResult, label: Label, hues: Mapping[str, int]) -> ChangeCharts | None:
    """The change by brightness; None where it was not measured."""
    found = [(result.method, result.change) for result in clip.methods if result.change]
    if not found:
        return None
    base = "reference" if found[0][1][0].against != NOISY else "noisy input"
    charts = [_chart(plane.name, found, label, hues) for plane in found[0][1]]
    return ChangeCharts(base, [_words(label(method), each, base) for method, each in found], charts)


def given_back(clip: ClipResult, label: Label) -> list[ReturnedShare]:
    """The share returned, method by method."""
    return [
        _returned(label(result.method), result.given_back)
        for result in clip.methods
        if result.given_back is not None
    ]


def _words(name: str, planes: Sequence[PlaneChange], base: str) -> str:
    """Whether any brightness moved by more than half a code."""
    moved = [(plane.name, plane.moved) for plane in planes]
    said = [f"{p} by {at[1]:+.1f} where luma is {at[0]:.0f}" for p, at in moved if at is not None]
    if said:
        return f"{name}: moved by more than half a code from the {base}: {', '.join(said)}."
    every = ", ".join(plane.name for plane in planes)
    return f"{name}: no brightness moved by more than half a code ({every})."


def _chart(plane: str, found: Changes, label: Label, hues: Mapping[str, int]) -> Chart:
    """One plane's curves, with a single method's spread; several ones' is in the readout."""
    alone = len(found) == 1
    lines = [
        Curve(
            name=label(method), x=change.brightness, y=change.mean, dots=False,
            hue=PLANE_HUES.get(plane, 0) if alone else hues.get(method, 0),
            spread=change.spread, band=alone,
        )
        for method, planes in found
        for change in planes
        if change.name == plane
    ]  # fmt: skip
    axes = Axes(
        title=plane, x="luma, codes", y="codes; linear to 1, logarithmic beyond",
        bend=BENT, marks={-MOVED: "", MOVED: ""},
    )  # fmt: skip
    return Chart(lines, axes)


def _returned(name: str, back: GivenBack) -> ReturnedShare:
    """Shares in words, and the map in colours."""
    values = np.asarray(back.places, np.float64)
    if values.ndim != 2 or not values.size:
        return ReturnedShare(_shares(name, back), b"", (0, 0), "")
    most = np.unravel_index(int(values.argmax()), values.shape)
    down, across = ((i + 0.5) / n for i, n in zip(most, values.shape, strict=True))
    alt = (
        f"Share given back by place, {name}: from {values.min():.0%} to {values.max():.0%}, most "
        f"{across:.0%} from the left and {down:.0%} from the top"
    )
    codes = np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)
    return ReturnedShare(_shares(name, back), encode(tinted(codes)), values.shape[::-1], alt)


def _shares(name: str, back: GivenBack) -> str:
    count = len(back.by_plane)
    named = back.planes if len(back.planes) == count else [f"plane {n + 1}" for n in range(count)]
    each = ", ".join(f"{n} {share:.1%}" for n, share in zip(named, back.by_plane, strict=True))
    several = f" ({each})" if len(back.by_plane) > 1 else ""
    return f"{name}: {back.share:.1%} of what was taken out{several}."
