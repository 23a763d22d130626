"""`f2r explain`: which pixels one restored pixel is made of, as a picture and a table."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from f2rcli.cli.engine import loaded, say_notes
from f2rcli.cli.options import shared as opt
from f2rcli.cli.options.derived import Part, with_options
from f2rcli.cli.results import ResultFiles, deliver
from f2rcli.cli.terminal.console import Console
from f2rcli.engine.settings import EngineSettings
from f2rcli.errors import EXIT_DAMAGED, EXIT_OK, InputError, UsageError
from f2rcli.io import open_reader
from f2rcli.io.atomic import write_file
from f2rcli.io.base import Reader, ReadOptions
from f2rcli.io.targets import check_target
from f2rcli.samples.defects import without_defects
from f2rcli.window import windows

if TYPE_CHECKING:
    from f2rcli.engine.stream import Engine
    from f2rcli.evaluation.explain import Explanation

Pixel = Annotated[
    str, typer.Option("--pixel", metavar="X,Y", help="The pixel; 0,0 is the upper left.")
]
At = Annotated[int, typer.Option("--frame", metavar="T", min=0, help="The frame, counted from 0.")]
Picture = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="OUT.svg",
        help="The plot: the weights of the noisy pixels, frame by frame.",
    ),
]


@with_options
def explain(
    *,
    source: opt.Source,
    pixel: Pixel,
    output: Picture,
    frame: At = 0,
    files: ResultFiles,
    engine: Annotated[EngineSettings, Part("sigma", "method", "weights", "device", "threads")],
    read: Annotated[ReadOptions, Part("axes", "series")],
    console: Console,
) -> int:
    """Show which noisy pixels a restored pixel is made of, and the motion that follows from it."""
    place, target = _pixel(pixel), Path(output)
    if target.suffix.lower() != ".svg":
        raise UsageError(f"-o {output}: the plot is an SVG file.", hint="Name it OUT.svg.")
    for path in filter(None, (output, files.json_file)):
        check_target(Path(path), [Path(source)], overwrite=files.overwrite)
    with open_reader(source, read) as reader:
        network = loaded(replace(engine, precision="fp32"), reader.info, console)
        found = _explained(network, reader, frame, place)
        name, damaged = reader.info.name, reader.ledger.damaged
    from f2rcli.evaluation.visuals.explain_plot import plot

    say_notes(network, console)
    write_file(target, plot(found, name), overwrite=files.overwrite)
    facts = {"file": name, "picture": output, **values(found)}
    deliver("explanation", facts, lines(found, name), console, files)
    return EXIT_DAMAGED if damaged else EXIT_OK


def _pixel(text: str) -> tuple[int, int]:
    first, comma, second = (part.strip() for part in text.partition(","))
    if not (comma and first.isdigit() and second.isdigit()):
        raise UsageError(f"--pixel {text}: not X,Y.", hint="For example --pixel 320,180.")
    return int(first), int(second)


def _explained(
    engine: "Engine", reader: Reader, frame: int, pixel: tuple[int, int]
) -> "Explanation":
    """The frames around the one asked for, their noise, and the pixel followed through both."""
    from f2rcli.engine.stream import estimate_noise  # brings torch
    from f2rcli.evaluation.explain import explain as follow

    numbered = windows(enumerate(without_defects(iter(reader))), engine.weights.header.length)
    window = next(islice(numbered, frame, None), None)
    if window is None:
        what = f"{reader.info.name}: has no frame {frame}."
        raise InputError(what, hint="Frames count from 0.")
    items = (*window.before, window.centre, *window.after)
    noise = estimate_noise([one for _, one in items], reader.info, engine)
    pictures = window.map(lambda item: (item[0], engine.to_tensor(item[1])))
    return follow(engine, pictures, pixel, noise)


def values(found: "Explanation") -> dict[str, object]:
    """The explanation for programs; centres in pixels of the picture."""
    (left, top), (noisy, restored) = found.corner, found.value
    return {
        "pixel": list(found.pixel), "frame": found.frame, "noisy": noisy, "restored": restored,
        "frames": [
            {"frame": f.frame, "sum": f.total, "centre": [f.centre[0] + left, f.centre[1] + top]}
            for f in found.filters
        ],
        "motion": [list(step) for step in found.motion],
    }  # fmt: skip


def lines(found: "Explanation", name: str) -> Iterator[str]:
    """The same for people: a line per frame."""
    left, top = found.corner
    noisy, restored = (255 * value for value in found.value)
    x, y = found.pixel
    yield f"{name}: pixel {x},{y} of frame {found.frame}"
    yield f"noisy {noisy:.1f}, restored {restored:.1f} of 255"
    yield "frame   gives   centre of mass      moves to the next by"
    steps = [f"{dx:+6.2f}, {dy:+6.2f}" for dx, dy in found.motion]
    for one, step in zip(found.filters, [*steps, ""], strict=True):
        cx, cy = one.centre[0] + left, one.centre[1] + top
        yield f"{one.frame:5d} {100 * one.total:6.1f} %   {cx:7.2f}, {cy:7.2f}   {step}"
    total = sum(one.total for one in found.filters)
    yield f"  all {100 * total:6.1f} %"
