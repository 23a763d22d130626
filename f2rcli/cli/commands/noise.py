"""`f2r noise`: measure a clip's noise; as a table, a picture and JSON."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from f2rcli.cli.engine import loaded
from f2rcli.cli.options import shared as opt
from f2rcli.cli.options.derived import with_options
from f2rcli.cli.results import ResultFiles, about_result, check_result, deliver
from f2rcli.cli.terminal.console import Console
from f2rcli.errors import EXIT_DAMAGED, EXIT_OK, InputError, UsageError
from f2rcli.io import open_reader
from f2rcli.io.atomic import write_file
from f2rcli.units import count

if TYPE_CHECKING:
    from f2rcli.noise.report import NoiseReport

MOST_FRAMES = 48  # they are all held

PlotTo = Annotated[
    str | None,
    typer.Option("--plot", metavar="OUT.svg", help="Plot the level curve and the spectrum as SVG."),
]
Count = Annotated[
    int,
    typer.Option("--frames", metavar="N", min=3, max=MOST_FRAMES, help="Frames to measure."),
]


@with_options
def noise(
    *,
    source: opt.Source,
    files: ResultFiles,
    plot: PlotTo = None,
    frames: Count = 10,
    engine: opt.MeasuringEngine,
    read: opt.StackOptions,
    console: Console,
) -> int:
    """Measure the noise of INPUT: its strength, its kind, and how certain that is."""
    if plot is not None and Path(plot).suffix.lower() != ".svg":
        raise UsageError(f"--plot {plot}: the plot is an SVG file.", hint="Name it OUT.svg.")
    for name, target in (("json_file", files.json_file), ("plot", plot)):
        if target is not None:
            check_result(name, target, overwrite=files.overwrite)
    with open_reader(source, read) as reader:
        from f2rcli.engine.noise.measurement import measure_noise  # brings torch
        from f2rcli.noise.plot import plot as plotted

        measurer = loaded(engine, reader.info, console)
        report = measure_noise(reader, reader.info, measurer, frames_read=frames)
        name, damaged = reader.info.name, reader.ledger.damaged
        for line in (*reader.ledger.lines(), *measurer.aside.lines()):
            console.note(f"note: {line}")
    if report is None:
        raise InputError(
            f"{name}: too little to measure its noise.",
            hint="It needs three different frames of one shot, of 32 x 32 pixels or more.",
        )
    if plot is not None:
        with about_result("plot"):
            write_file(Path(plot), plotted(report, name), overwrite=files.overwrite)
        console.note(f"plot: {plot}")
    values = {"file": name, **report.values()}
    deliver("noise", values, lines(report, name), console, files)
    return EXIT_DAMAGED if damaged else EXIT_OK


def lines(report: "NoiseReport", name: str) -> Iterator[str]:
    """The report for people: a table of the channels, then one fact a line."""
    model, spectrum = report.model, report.spectrum
    names = ("R", "G", "B") if len(model.sigma) == 3 else ("",) * len(model.sigma)
    by = "" if report.estimator is None else f", by {report.estimator}'s own estimator"
    yield f"file      {name}, {count(report.frames)} measured"
    yield f"{'':<9} {_cells(names)}"
    yield f"sigma     {_cells(f'{s:.2f}' for s in model.sigma8)}   of 255{by}"
    if report.measured is not None:
        cells = _cells(f"{s:.2f}" for s in report.measured.sigma8)
        yield f"anchors   {cells}   sigma as blind anchors measure it"
    if model.curve is None:
        yield f"gain      {_cells(f'{g:.5f}' for g in model.gain)}   variance per brightness"
        yield f"read      {_cells(f'{255 * r:.2f}' for r in model.read)}   of 255"
        if model.dark:
            cells = _cells(f"{255 * d:.2f}" for d in model.dark)
            yield f"dark      {cells}   of 255, where light begins"
    else:
        for place, words in (
            (0.25, "   sigma at this brightness"),
            (0.5, ""),
            (0.75, ""),
        ):
            index = round(place * (len(model.curve[0]) - 1))
            cells = _cells(f"{255 * curve[index]:.2f}" for curve in model.curve)
            yield f"at {round(255 * place):<6} {cells}{words}"
    if spectrum is not None:
        yield f"rho x     {_cells(f'{r:.3f}' for r in spectrum.rho_x)}   with the next column"
        yield f"rho y     {_cells(f'{r:.3f}' for r in spectrum.rho_y)}   with the next row"
    yield f"time      {_temporal(report)}"
    if report.blocking is not None:
        yield f"blocks    edges {report.blocking.edge8:.2f} of 255"
    if report.compression is not None:
        yield f"codec     errors of about {report.compression.sigma8:.1f} of 255"
    if report.lines is not None:
        yield f"lines     {report.lines.words()}"
    yield f"clipped   {100 * report.black:.1f} % black, {100 * report.white_rail:.1f} % white"
    reasons = "".join(f"; {reason}" for reason in report.confidence.reasons)
    yield f"sure      {report.confidence.word}, +-{report.confidence.percent:.0f} %{reasons}"
    for sentence in report.meaning():
        yield f"means     {sentence}"


def _cells(values: "Iterator[str] | tuple[str, ...]") -> str:
    return " ".join(f"{value:>9}" for value in values)


def _temporal(report: "NoiseReport") -> str:
    moving, fixed = report.temporal
    if moving is None:
        return "too few frames to compare adjacent ones"
    still = "too little moves for a fixed pattern to be seen"
    if fixed is not None:
        still = f"{fixed:.3f} at the same pixel"
    return f"{moving:.3f} with the next frame at the same point of the scene; {still}"
