"""What happened to the samples: their change by brightness, and what the contract gave back."""

from collections.abc import Sequence

import cv2
import numpy as np

from f2rcli.evaluation.report.chart import Axes, Series, line_chart
from f2rcli.evaluation.report.markup import Child, Markup, join, tag
from f2rcli.evaluation.report.views import Label
from f2rcli.evaluation.result import MOVED, NOISY, ClipResult, GivenBack, PlaneChange
from f2rcli.evaluation.visuals.images import data_uri, encode

BENT = 1.0  # codes up to which the axis of changes is linear
LINE_HUES = {"Y": 7, "Cb": 0, "Cr": 6, "R": 6, "G": 2, "B": 0, "gray": 7}  # of single lines


def by_brightness(clip: ClipResult, label: Label, hues: dict[str, int]) -> Markup | None:
    """A chart per plane with a curve per method, and in words whether any brightness moved."""
    found = [(result.method, result.change) for result in clip.methods if result.change]
    if not found:
        return None
    against = found[0][1][0].against
    base = "reference" if against != NOISY else "noisy input"
    names = [plane.name for plane in found[0][1]]
    charts = [_chart(name, found, base, label, hues) for name in names]
    return join(
        tag("h3", f"{'Error' if against != NOISY else 'Change'} by brightness"),
        [tag("p", _words(label(method), planes, base)) for method, planes in found],
        tag("div", charts, class_="triple"),
        tag("p", tag("small", _explained(base))),
    )


def _explained(base: str) -> str:
    ends = (
        "Brightness is the reference's luma."
        if base == "reference"
        else "Brightness is the result's luma, smoothed: the input's own noise would sort itself."
    )
    return (
        f"Mean of the samples minus those of the {base}, in 8-bit codes of the file's own planes "
        f"where both sides have them; the band is one standard deviation to either side. {ends} "
        "Noise alone has no mean: a curve away from zero is a shade, a tint, or black that was "
        "crushed; noise that was clipped has a mean of its own, and taking it out moves dark and "
        "bright ends."
    )


def _words(name: str, planes: Sequence[PlaneChange], base: str) -> str:
    """Whether any brightness moved by more than half a code."""
    moved = [(plane.name, plane.moved) for plane in planes]
    said = [f"{p} by {at[1]:+.1f} where luma is {at[0]:.0f}" for p, at in moved if at is not None]
    if said:
        return f"{name}: moved by more than half a code from the {base}: {', '.join(said)}."
    every = ", ".join(plane.name for plane in planes)
    return f"{name}: no brightness moved by more than half a code ({every})."


def _chart(
    name: str,
    found: Sequence[tuple[str, Sequence[PlaneChange]]],
    base: str,
    label: Label,
    hues: dict[str, int],
) -> Markup:
    """One plane's curves. The spread of several methods would hide their means: it is in the
    readout then, and drawn where there is only one."""
    lines = []
    for method, planes in found:
        plane = next((plane for plane in planes if plane.name == name), None)
        if plane is None:
            continue
        lines.append(
            Series(
                name=label(method), x=plane.brightness, y=plane.mean, dots=False,
                hue=hues.get(method, 0) if len(found) > 1 else LINE_HUES.get(name, 0),
                spread=plane.spread, band=len(found) == 1,
            )
        )  # fmt: skip
    axes = Axes(
        title=name, x="luma, codes", y="codes; linear to 1, logarithmic beyond",
        bend=BENT, marks=(-MOVED, MOVED),
    )  # fmt: skip
    return tag("div", line_chart(lines, axes))


def given_back(clip: ClipResult, label: Label) -> Markup | None:
    """What the residual contract gave back of what each method took out, and where."""
    found = [(r.method, r.given_back) for r in clip.methods if r.given_back is not None]
    if not found:
        return None
    parts: list[Child] = [tag("h3", "What the contract gave back")]
    for method, back in found:
        parts += [tag("p", _shares(label(method), back)), _places(label(method), back, clip)]
    explained = (
        "Per plane of the file, what is taken out is held, band by band and place by place, to "
        "what the measured noise allows; the rest is given back. Shares are of energy. Where much "
        "came back, what was taken out was no noise as measured: texture, edges, or noise of "
        "another kind, which stays."
    )
    return join(parts, tag("p", tag("small", explained)))


def _shares(name: str, back: GivenBack) -> str:
    count = len(back.by_plane)
    named = back.planes if len(back.planes) == count else [f"plane {n + 1}" for n in range(count)]
    each = ", ".join(f"{n} {share:.1%}" for n, share in zip(named, back.by_plane, strict=True))
    several = f" ({each})" if len(back.by_plane) > 1 else ""
    return f"{name}: {back.share:.1%} of what was taken out{several}."


def _places(name: str, back: GivenBack, clip: ClipResult) -> Markup | None:
    """The map in colours, in the clip's own proportions, with its scale."""
    values = np.asarray(back.places, np.float64)
    if values.ndim != 2 or not values.size:
        return None
    codes = np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)
    tinted = cv2.applyColorMap(codes, cv2.COLORMAP_VIRIDIS)[..., ::-1]
    most = np.unravel_index(int(values.argmax()), values.shape)
    down, across = ((i + 0.5) / n for i, n in zip(most, values.shape, strict=True))
    alt = (
        f"Share given back by place, {name}: from {values.min():.0%} to {values.max():.0%}, most "
        f"{across:.0%} from the left and {down:.0%} from the top"
    )
    picture = tag(
        "img", src=data_uri(encode(np.ascontiguousarray(tinted))), alt=alt, class_="pixels map",
        width=values.shape[1], height=values.shape[0],
        style=f"aspect-ratio:{max(clip.width, 1)}/{max(clip.height, 1)}",
    )  # fmt: skip
    scale = [tag("span", word) for word in ("0 %", "50 %", "100 % given back")]
    return tag(
        "figure",
        picture,
        tag("div", class_="ramp", role="presentation"),
        tag("div", scale, class_="rampscale"),
        class_="places",
    )
