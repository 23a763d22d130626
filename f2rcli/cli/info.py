"""`f2r info`: what f2r sees in a clip and would do with it; `f2r noise`: its noise in full."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from f2rcli.cli import options as opt
from f2rcli.cli.console import Console
from f2rcli.cli.engine import estimated, load, noise_words, sigma_of, summary
from f2rcli.cli.options import Text, check_results, result, write_result
from f2rcli.cli.run import source_bytes
from f2rcli.engine.settings import EngineSettings
from f2rcli.errors import EXIT_DAMAGED, EXIT_OK, InputError, UsageError
from f2rcli.evaluation.plots import noise_plot
from f2rcli.frames import ClipInfo, Family
from f2rcli.io import Reader, ReadOptions, open_reader
from f2rcli.io.base import read_provenance
from f2rcli.units import bit_rate, count, duration, size

TACIT = ("language", "und"), ("disposition", ["default"]), ("start", 0), ("pyramid", 0)  # usual
IN_PICTURE = {"width", "height", "bits", "frames", "rate", "matrix", "duration"}
HUMAN: dict[str, Callable[[Any], str]] = {  # facts of streams in the units that people read
    "duration": duration,
    "start": lambda seconds: f"starts at {duration(seconds)}",
    "interval": lambda seconds: f"{seconds:.3g} s between frames",
    "sample_rate": lambda hertz: f"{hertz / 1000:g} kHz",
    "channels": lambda number: count(number, "channel"),
    "rotation": lambda degrees: f"rotated by {degrees:g} degrees",
}
PROBE_FRAMES = 32  # at most: stacks of few photons take as many for the noise estimate
LONGEST = 500  # characters of what a file says of its making, which may be anyone's


@opt.common("model method weights axes series device threads")
def info(ctx: typer.Context, source: opt.Clip) -> int:
    """Print what f2r sees in INPUT: streams, colour, noise, cost.

    f2r info clip.mp4
    f2r info stack.ome.tif --axes TZYX
    """
    console = opt.begin(ctx)
    settings = opt.settings(ctx, EngineSettings)
    with open_reader(source, opt.settings(ctx, ReadOptions, glance=True)) as reader:
        clip = reader.info
        facts = {
            "file": clip.name, "bytes": source_bytes(reader), "picture": picture(clip),
            "streams": reader.describe(), "notes": [*map(console.spelled, clip.notes)],
            "provenance": read_provenance(reader),
        }  # fmt: skip
        console.rows(*fact_lines(facts))  # at once: the rest has torch to load and noise to measure
        found = examine(reader, settings, console)
    console.event("info", **facts, **found)
    console.rows(*found_lines(found))
    return EXIT_OK


def examine(reader: Reader, settings: EngineSettings, console: Console) -> dict[str, Any]:
    """An engine's facts about a clip, as JSON values."""
    clip, ledger = reader.info, reader.ledger
    engine = load(settings, clip, console)
    from f2rcli.engine.stream import looked_ahead
    from f2rcli.noise import report, rows

    noise = looked_ahead(islice(reader, PROBE_FRAMES), clip, engine)
    model = None if noise is None else noise.measured
    takes = estimated(settings, clip)
    lines, coarse8 = next(iter(engine.found.lines.values()), []), engine.found.coarse8
    means = None if engine.found.compression is None else engine.found.compression.words()
    return {
        "engine": {"summary": summary(engine), **engine.choices},
        "cost": {"summary": takes.words(), **takes.values()},
        "noise": {
            "sigma": sigma_of(model),
            "words": of_first_lane(clip) + noise_words(model, clip.layout.levels),
            "means": means, "lines": rows.in_words(lines, clip.layout.levels) or None,
            "coarse": report.coarse_words(coarse8) or None,
        },
        "set_aside": engine.found.aside.lines(), "damage": ledger.damage(),
        "remarks": ledger.remarks,
    }  # fmt: skip


def of_first_lane(clip: ClipInfo) -> str:
    """`channel 1, z 1: ` of a stack of several lanes, whose first alone is looked at."""
    return f"{clip.lanes[0]}: " if len(clip.lanes) > 1 else ""


def picture(clip: ClipInfo) -> dict[str, Any]:
    """The stored picture: size, samples, colour, time."""
    from f2rcli.io.video.pixels import CHROMA  # brings FFmpeg

    layout = clip.layout
    return {
        "width": clip.width, "height": clip.height, "family": layout.family.value,
        "bits": layout.bits, "alpha": layout.alpha, "matrix": layout.matrix.value,
        "chroma": ":".join(str(CHROMA[layout.log2_chroma])),
        "range": "full" if layout.full_range else "limited",
        "frames": clip.frames, "seconds": clip.duration,
        "rate": None if clip.rate is None else float(clip.rate), "interlaced": clip.interlaced,
    }  # fmt: skip


def fact_lines(seen: dict[str, Any]) -> Iterator[str]:
    """The facts for people, one a line."""
    stored, seconds = seen["bytes"], seen["picture"]["seconds"]
    sizes = [size(stored)] if stored else []
    sizes += [bit_rate(8 * stored / seconds)] if stored and seconds else []
    yield f"file      {', '.join([seen['file'], *sizes])}"
    yield f"picture   {', '.join(_picture_words(seen['picture']))}"
    for stream in seen["streams"]:
        yield f"stream    {_stream_words(stream)}"
    yield from (f"note      {note}" for note in seen["notes"])
    if seen["provenance"] is not None:
        yield f"made by   {', '.join(_facts(seen['provenance']))[:LONGEST]}"


def found_lines(seen: dict[str, Any]) -> Iterator[str]:
    yield f"noise     {seen['noise']['words']}"
    for word in ("means", "lines", "coarse"):
        if seen["noise"].get(word):
            yield f"{word:<9} {seen['noise'][word]}"
    yield f"engine    {seen['engine']['summary']}"
    yield f"cost      {seen['cost']['summary']}"
    yield from (f"note      {line}" for line in (*seen["set_aside"], *seen["remarks"]))
    yield from (f"damage    {line}" for line in seen["damage"])


def _picture_words(facts: dict[str, Any]) -> Iterator[str]:
    coded = facts["family"] == "yuv"
    chroma, alpha = f" {facts['chroma']}" if coded else "", " with alpha" if facts["alpha"] else ""
    yield f"{facts['width']}x{facts['height']}"
    yield f"{facts['family']}{chroma}{alpha}"
    yield f"{facts['bits']} bits"
    yield f"{facts['range']} range"
    if coded:
        yield f"matrix {facts['matrix']}"
    yield "frames not counted" if facts["frames"] is None else count(facts["frames"])
    if facts["seconds"] is not None:
        yield duration(facts["seconds"])
    if facts["rate"] is not None:
        yield f"{facts['rate']:.5g} frames/s"
    if facts["interlaced"]:
        yield "interlaced: fields are denoised separately"


def _stream_words(stream: dict[str, Any]) -> str:
    told = IN_PICTURE if stream.get("denoised") else set()  # in a line of its own
    rest = {k: v for k, v in stream.items() if k not in told and (k, v) not in TACIT}
    head = " ".join(str(rest.pop(key, "")) for key in ("index", "kind", "codec"))
    return ", ".join([head, *_facts(rest)])


def _facts(facts: dict[str, Any]) -> Iterator[str]:
    """`name value` for what is known."""
    for key, value in facts.items():
        name = key.replace("_", " ")
        if isinstance(value, dict):
            yield from _facts(value)
        elif key in HUMAN and value:
            yield HUMAN[key](value)
        elif isinstance(value, list | tuple) and value:
            yield f"{name} {'/'.join(map(_plain, value))}"
        elif value is True:
            yield name
        elif value not in (None, "", [], ()) and value is not False:
            yield f"{name} {_plain(value)}"


def _plain(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@opt.common("axes series overwrite device threads")
def noise(
    ctx: typer.Context,
    source: opt.Clip,
    plot: Annotated[Text, result("OUT.svg", "Plot its law and spectrum.")] = None,
    grain_table: Annotated[Text, result("OUT.tbl", "AV1 film grain of its strength.")] = None,
) -> int:
    """Measure the noise of INPUT: how strong it is, and of what kind.

    f2r noise clip.mp4
    f2r noise clip.mp4 --plot noise.svg
    """
    console = opt.begin(ctx)
    if plot is not None and Path(plot).suffix.lower() != ".svg":
        raise UsageError(f"--plot {plot}: the plot is an SVG file.", hint="Name it OUT.svg.")
    check_results(ctx, [source], "plot", "grain_table")
    settings = opt.settings(ctx, EngineSettings)
    with open_reader(source, opt.settings(ctx, ReadOptions)) as reader:
        ledger, layout = reader.ledger, reader.info.layout
        name = of_first_lane(reader.info) + reader.info.name
        if grain_table is not None and layout.family is not Family.YUV:
            what = "--grain-table: AV1 has grain for Y'CbCr video alone."
            raise UsageError(what, hint="Leave it out, or measure the clip as Y'CbCr video.")
        from f2rcli.evaluation.noise import in_words, measure_noise  # brings torch
        from f2rcli.noise.report import grain_table as tabled

        measurer = load(settings, reader.info, console)
        report = measure_noise(reader, reader.info, measurer)
        console.remark(*reader.info.notes, *ledger.lines(), *measurer.found.aside.lines())
    if report is None:
        hint = "It needs three different frames of one shot, of 32 x 32 pixels or more."
        raise InputError(f"{name}: too little to measure its noise.", hint=hint)
    if plot is not None:
        write_result(ctx, "plot", "plot", noise_plot(report.values(), name, "svg"))
    if grain_table is not None and report.planes is not None:
        table = tabled(report.planes, layout).encode()
        write_result(ctx, "grain_table", "film grain table", table)
    console.event("noise", file=reader.info.name, **report.values())
    console.rows(*in_words(report, name))
    return EXIT_DAMAGED if ledger.damaged else EXIT_OK
