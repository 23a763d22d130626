"""`f2r explain`: which pixels a restored pixel is made of, or what motion a whole frame's pixels
follow, as a picture and a table."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np
import typer

from f2rcli.cli.engine import loaded, say_notes
from f2rcli.cli.options import shared as opt
from f2rcli.cli.options.derived import Fields, with_options
from f2rcli.cli.results import ResultFiles, check_result, deliver
from f2rcli.cli.terminal.console import Console
from f2rcli.engine.settings import EngineSettings
from f2rcli.errors import EXIT_DAMAGED, EXIT_OK, InputError, UsageError
from f2rcli.io import open_reader
from f2rcli.io.atomic import write_file
from f2rcli.io.base import Reader
from f2rcli.io.targets import check_target
from f2rcli.samples.defects import without_defects
from f2rcli.window import windows

if TYPE_CHECKING:
    from f2rcli.engine.stream import Engine
    from f2rcli.evaluation.explain import Explanation
    from f2rcli.evaluation.motion_field import MotionField

Pixel = Annotated[
    str | None,
    typer.Option("--pixel", metavar="X,Y", help="Pixel to explain; 0,0 is the upper left."),
]
GridStep = Annotated[
    int | None,
    typer.Option(
        "--grid",
        metavar="STEP",
        min=4,
        help="Instead of one pixel: one in every STEP x STEP pixels, and the motion of all.",
    ),
]
At = Annotated[
    int, typer.Option("--frame", metavar="T", min=0, help="Frame to explain, counted from 0.")
]
PlotTo = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="OUT.svg",
        help="The plot: the weights of the noisy pixels, frame by frame; of a grid, arrows.",
    ),
]


@with_options
def explain(
    *,
    source: opt.Source,
    pixel: Pixel = None,
    grid: GridStep = None,
    output: PlotTo,
    frame: At = 0,
    files: ResultFiles,
    engine: Annotated[EngineSettings, Fields("sigma", "method", "weights", "device", "threads")],
    read: opt.StackOptions,
    console: Console,
) -> int:
    """Show which noisy pixels a restored pixel is made of, and the motion that they imply."""
    asked, target = _asked(pixel, grid), Path(output)
    if target.suffix.lower() != ".svg":
        raise UsageError(f"-o {output}: the plot is an SVG file.", hint="Name it OUT.svg.")
    check_target(target, [Path(source)], overwrite=files.overwrite)
    if files.json_file is not None:
        check_result("json_file", files.json_file, overwrite=files.overwrite)
    with open_reader(source, read) as reader:
        network = loaded(replace(engine, precision="fp32"), reader.info, console)
        shown = _shown(network, reader, frame, asked)
        name, damaged = reader.info.name, reader.ledger.damaged
    say_notes(network, console)
    write_file(target, shown.plot, overwrite=files.overwrite)
    console.note(f"plot: {target}")
    facts = {"file": name, "picture": output, **shown.facts}
    deliver("explanation", facts, shown.lines, console, files)
    return EXIT_DAMAGED if damaged else EXIT_OK


class _Shown(NamedTuple):
    """An explanation as a plot, for programs, and for people."""

    plot: bytes
    facts: dict[str, object]
    lines: Iterator[str]


def _asked(pixel: str | None, grid: int | None) -> tuple[int, int] | int:
    """One pixel, or the step of a grid."""
    if pixel is not None and grid is None:
        return _pixel(pixel)
    if grid is not None and pixel is None:
        return grid
    raise UsageError("--pixel or --grid: give one of them.", hint="For example --grid 16.")


def _pixel(text: str) -> tuple[int, int]:
    first, comma, second = (part.strip() for part in text.partition(","))
    if not (comma and first.isdigit() and second.isdigit()):
        raise UsageError(f"--pixel {text}: not X,Y.", hint="For example --pixel 320,180.")
    return int(first), int(second)


def _shown(engine: "Engine", reader: Reader, frame: int, asked: tuple[int, int] | int) -> _Shown:
    """The frames around the one asked for, their noise, and the pixel or grid traced in both."""
    from f2rcli.engine.stream import estimate_noise  # brings torch
    from f2rcli.evaluation.explain import explain as follow
    from f2rcli.evaluation.motion_field import motion_field
    from f2rcli.evaluation.visuals.explain_plot import plot, plot_field

    name = reader.info.name
    numbered = windows(enumerate(without_defects(iter(reader))), engine.weights.header.length)
    window = next(islice(numbered, frame, None), None)
    if window is None:
        raise InputError(f"{name}: has no frame {frame}.", hint="Frames count from 0.")
    noise = estimate_noise([one for _, one in window.items], reader.info, engine)
    pictures = window.map(lambda item: (item[0], engine.to_tensor(item[1])))
    if isinstance(asked, tuple):
        found = follow(engine, pictures, asked, noise)
        return _Shown(plot(found, name), values(found), lines(found, name))
    field = motion_field(engine, pictures, asked, noise)
    return _Shown(plot_field(field, name), field_values(field), field_lines(field, name))


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
    """Text for the terminal: a line per frame."""
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


def field_values(field: "MotionField") -> dict[str, object]:
    """A motion field for programs: null where motion is unknown."""
    motion = [
        [[x, y] if isfinite(x) and isfinite(y) else None for x, y in steps]
        for steps in field.motion.tolist()
    ]
    return {
        "frame": field.frame, "frames": list(field.frames), "step": field.step,
        "sums": field.shares.mean(0).tolist(), "pixels": field.pixels.tolist(), "motion": motion,
    }  # fmt: skip


def field_lines(field: "MotionField", name: str) -> Iterator[str]:
    """Text for the terminal: a line per frame."""
    yield f"{name}: {len(field.pixels)} pixels of frame {field.frame}"
    yield "frame   gives   known at   moves to the next by (median)"
    known = [f"{100 * share:5.0f} %" for share in np.isfinite(field.motion).all(-1).mean(0)]
    steps = [f"{x:+6.2f}, {y:+6.2f}" if isfinite(x) else "-" for x, y in field.medians]
    rows = zip(field.frames, field.shares.mean(0), [*known, ""], [*steps, ""], strict=True)
    for frame, share, part, step in rows:
        yield f"{frame:5d} {100 * share:6.1f} %   {part:7}   {step}".rstrip()
    yield f"  all {100 * field.shares.sum(1).mean():6.1f} %"
