"""The pictures of a report: before | after under a slider, enlarged crops, what was taken out."""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from f2rcli.evaluation.report.markup import Markup, join, tag
from f2rcli.evaluation.result import NOISY, ClipResult
from f2rcli.evaluation.visuals.images import (
    CLEAN,
    COLOUR,
    CROP,
    ERROR,
    FLAT,
    FRAME,
    REMOVED,
    ClipPictures,
    ReportImage,
    data_uri,
)

Label = Callable[[str], str]  # a method's name in words
FULL = 1060  # pixels across that small pictures may be enlarged to
ZOOM = 4  # times, of a flat place
MOST_TIMES = 4  # that they are enlarged
BESIDE = 3  # sides of a place up to which two places stand beside each other
SIZES = (("", "fits the page"), ("1", "one to one"), ("2", "twice as large"), ("4", "4 x"))


def pictures(clip: ClipResult, label: Label) -> Markup:
    """Everything that was kept of a clip; nothing if that is nothing."""
    if clip.pictures is None:
        return Markup("")
    frames, crops = clip.pictures.of(FRAME), clip.pictures.of(CROP)
    flat = clip.pictures.of(FLAT)
    maps = [_paired(clip.pictures), clip.pictures.of(ERROR)]
    drawn = [
        _maps(title, words, images, label)
        for title, words, images in zip(_TITLES, (_REMOVED_WORDS, _ERROR_WORDS), maps, strict=True)
        if images
    ]
    return join(
        [tag("h3", "Before and after"), comparison(frames, clip, label)] if frames else None,
        [tag("h3", _crops_title(crops)), _crops(crops, label)] if crops else None,
        [tag("h3", "The flattest place, at 400 %"), _zoom(flat, label)] if flat else None,
        tag("div", drawn, class_="pair" if len(maps[0]) <= 1 else None) if drawn else None,
    )


def _paired(pictures: ClipPictures) -> tuple[ReportImage, ...]:
    """What was taken out of brightness and of colour, method by method beside each other."""
    images = (*pictures.of(REMOVED), *pictures.of(COLOUR))
    order = {image.method: place for place, image in enumerate(pictures.of(REMOVED))}
    return tuple(sorted(images, key=lambda image: order.get(image.method, 0)))


_TITLES = ("What was taken out", "What is still wrong")
_REMOVED_WORDS = (
    "Noisy minus denoised around mid-grey, brightness and, where there is any, colour, with one "
    "gain: it should look like noise alone. Edges and texture that can be recognised are detail "
    "that was lost, and a tint is colour that was changed."
)
_ERROR_WORDS = "Denoised minus reference, brightness, around mid-grey: even grey is perfect."


def comparison(images: Iterable[ReportImage], clip: ClipResult, label: Label) -> Markup:
    """Two of a frame's pictures over each other, parted by a range input."""
    images = list(images)
    sides = list(dict.fromkeys(image.method for image in images))
    frames = list(dict.fromkeys(image.frame for image in images))
    left = sides[0]
    right = next((side for side in sides[1:] if side != CLEAN), sides[-1])
    _, _, width, height = images[0].box
    elements = [
        tag(
            "img",
            src=data_uri(image.data),
            alt=f"Frame {image.frame} of {clip.name}, {label(image.method)}",
            class_=_side_class(image, frames[0], left, right),
            data_frame=f"{image.frame}",
            data_side=image.method,
            width=image.box[2],
            height=image.box[3],
        )
        for image in images
    ]
    stage = tag(
        "div",
        elements,
        tag("span", label(left), class_="side a"),
        tag("span", label(right), class_="side b"),
        tag("div", class_="rule"),
        tag(
            "input", type="range", min="0", max="100", value="50", step="0.5",
            aria_label=f"How much of the picture of {clip.name} shows the left side",
        ),
        class_="stage",
        style=f"aspect-ratio:{width}/{height};max-width:{_enlarged(width)}px",
        data_width=f"{width}",
    )  # fmt: skip
    options = [(side, label(side)) for side in sides]
    numbers = [(f"{frame}", f"{frame}") for frame in frames]
    bar = tag(
        "div",
        _choice("Frame", "frame", numbers, f"{frames[0]}", hidden=len(frames) == 1),
        _choice("Left", "a", options, left),
        _choice("Right", "b", options, right),
        _choice("Size", "size", SIZES, ""),
        class_="bar",
        hidden=True,
    )
    part = _part(images[0], clip)
    return tag(
        "figure",
        bar,
        tag("div", stage, class_="stagebox"),
        tag("figcaption", tag("small", f"Drag, or use the arrow keys.{part}")),
        class_="compare",
        data_compare=True,
    )


def _enlarged(width: int) -> int:
    """How wide a picture is shown at most: a small one several times its size."""
    return width * max(1, min(MOST_TIMES, FULL // max(width, 1)))


def _side_class(image: ReportImage, frame: int, left: str, right: str) -> str | None:
    if image.frame != frame:
        return None
    return {left: "a", right: "b"}.get(image.method)


def _part(image: ReportImage, clip: ClipResult) -> str:
    _, _, width, height = image.box
    if (width, height) == (clip.width, clip.height) or clip.space == "bayer":
        return ""
    return f" The middle {width} x {height} of {clip.width} x {clip.height} pixels."


def _choice(
    word: str, name: str, options: Iterable[tuple[str, str]], chosen: str, hidden: bool = False
) -> Markup:
    items = [tag("option", text, value=v, selected=v == chosen) for v, text in options]
    select = tag("select", items, data_pick=name, autocomplete="off")
    return tag("label", f"{word} ", select, hidden=hidden)


def _crops_title(crops: Iterable[ReportImage]) -> str:
    methods = {image.method for image in crops} - {NOISY, CLEAN}
    if len(methods) > 1:
        return "Where the methods differ most"
    reference = any(image.method == CLEAN for image in crops)
    return "Where the result is furthest off" if reference else "Where most was changed"


def _crops(crops: Sequence[ReportImage], label: Label) -> Markup:
    """CropFinder, each as every side has it, enlarged without smoothing."""
    found = []
    for (frame, box), images in groupby(crops, key=lambda image: (image.frame, image.box)):
        figures = [_figure(image, label, "pixels") for image in images]
        where = f"Frame {frame}, {box[2]} x {box[3]} pixels at x {box[0]}, y {box[1]}"
        found.append(
            tag("div", tag("p", where), tag("div", figures, class_="grid-of"), class_="place")
        )
    sides = len({image.method for image in crops})
    return tag("div", found, class_="pair" if sides <= BESIDE else None)


def _maps(title: str, words: str, images: Sequence[ReportImage], label: Label) -> Markup:
    how = f" Frame {images[0].frame}, differences x {images[0].gain:g}."
    coloured = any(image.kind == COLOUR for image in images)
    parts = {REMOVED: "brightness", COLOUR: "colour"} if coloured else {}
    figures = [_figure(image, label, None, caption=parts.get(image.kind, "")) for image in images]
    return tag(
        "div",
        tag("h3", title),
        tag("p", tag("small", words + how)),
        tag("div", figures, class_="grid-of twos" if coloured else "grid-of wide"),
    )


def _zoom(images: Sequence[ReportImage], label: Label) -> Markup:
    """One flat place as every side has it, with its contrast stretched alike for all."""
    first = images[0]
    x, y, width, height = first.box
    words = (
        f"Frame {first.frame}, {width} x {height} pixels at x {x}, y {y}, every side stretched "
        f"{first.gain:g} times around the {label(first.method)}'s mean; figures are luma, in 8-bit "
        "codes. What is left should be faint and shapeless: a grid, a tint or another grey is not "
        "the picture's."
    )
    figures = [
        tag(
            "figure",
            tag(
                "img", src=data_uri(image.data), width=ZOOM * width, height=ZOOM * height,
                alt=f"{label(image.method)}, frame {image.frame}: flattest place, {image.caption}",
                class_="pixels",
            ),
            tag("figcaption", label(image.method), tag("small", image.caption)),
        )
        for image in images
    ]  # fmt: skip
    return join(tag("p", tag("small", words)), tag("div", figures, class_="zoom"))


def _figure(
    image: ReportImage, label: Label, class_: str | None, caption: str | None = None
) -> Markup:
    kinds = {
        CROP: "crop", REMOVED: "difference to the noisy input", ERROR: "error",
        COLOUR: "difference to the noisy input, colour alone",
    }  # fmt: skip
    picture = tag(
        "img",
        src=data_uri(image.data),
        alt=f"{label(image.method)}, frame {image.frame}: {kinds.get(image.kind, '')}",
        width=image.box[2],
        height=image.box[3],
        class_=class_,
        style=None if image.kind == CROP else f"max-width:{_enlarged(image.box[2])}px",
        loading="lazy",
    )
    words = image.caption if caption is None else caption
    return tag(
        "figure", picture, tag("figcaption", tag("span", label(image.method)), tag("small", words))
    )
