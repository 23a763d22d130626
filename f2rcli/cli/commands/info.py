"""`f2r info`: facts of a file, and what f2r would do with it."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

from f2rcli.cli.engine import (
    PROBE_FRAMES,
    aside_lines,
    engine_values,
    engine_words,
    forecast,
    loaded,
    looked_at,
)
from f2rcli.cli.options import shared as opt
from f2rcli.cli.options.derived import Fields, with_options
from f2rcli.cli.provenance import words
from f2rcli.cli.terminal.console import Console
from f2rcli.cli.terminal.receipts import source_bytes
from f2rcli.engine.settings import EngineSettings
from f2rcli.errors import EXIT_OK, F2RError, WeightsError
from f2rcli.frames import ClipInfo
from f2rcli.io import default_target, open_reader, plan_output
from f2rcli.io.base import Reader, WriteOptions
from f2rcli.io.provenance import read_provenance
from f2rcli.units import bit_rate, count, duration, size

if TYPE_CHECKING:
    from f2rcli.engine.stream import Engine
    from f2rcli.noise.model import NoiseModel

CHROMA = {(0, 0): "4:4:4", (1, 0): "4:2:2", (1, 1): "4:2:0", (2, 0): "4:1:1", (2, 2): "4:1:0"}
IN_PICTURE = {"width", "height", "bits", "frames", "rate", "matrix", "duration"}
HUMAN: dict[str, Callable[[Any], str]] = {  # facts of streams in the units that people read
    "duration": duration,
    "start": lambda seconds: f"starts at {duration(seconds)}",
    "interval": lambda seconds: f"{seconds:.3g} s between frames",
    "sample_rate": lambda hertz: f"{hertz / 1000:g} kHz",
    "channels": lambda number: count(number, "channel"),
    "rotation": lambda degrees: f"rotated by {degrees:g} degrees",
}


@with_options
def info(
    *,
    source: opt.Source,
    engine: opt.MeasuringEngine,
    read: opt.StackOptions,
    console: Annotated[Console, Fields("json", "debug")],
) -> int:
    """Print what f2r sees in INPUT and would do with it: streams, colour, noise, time, memory."""
    with open_reader(source, read) as reader:
        facts = facts_of(source, reader)
        for told in (facts, facts["output"]):
            told["notes"] = [console.spelled(note) for note in told["notes"]]
        if console.events is None:  # at once: the rest has torch to load and noise to measure
            console.rows(fact_lines(facts))
        found = examine(reader, engine, console)
    console.event("info", **facts, **found)
    if console.events is None:
        console.rows(found_lines(found))
    return EXIT_OK


def examine(reader: Reader, settings: EngineSettings, console: Console) -> dict[str, Any]:
    """An engine's facts about a clip, as JSON values."""
    clip = reader.info
    try:
        engine = loaded(settings, clip, console)
    except WeightsError as error:  # all but the engine is known
        if settings.weights is not None:
            raise
        found: dict[str, Any] = {
            "engine": {"summary": str(error)},
            "cost": {"summary": "not known"},
            "noise": {"sigma8": None, "frames": 0, "means": None},
            "set_aside": [],
        }
    else:
        seen, method = looked_at(engine, reader)
        summary, cost = forecast(engine, clip, method)
        found = {
            "engine": {"summary": engine_words(engine), **engine_values(engine)},
            "cost": {"summary": summary, **cost},
            "noise": noise(None if seen is None else seen.measured, clip, engine),
            "set_aside": aside_lines(engine),
        }
    return found | {"damage": reader.ledger.damage(), "remarks": reader.ledger.remarks}


def facts_of(source: str, reader: Reader) -> dict[str, Any]:
    """The facts that need no engine."""
    clip = reader.info
    return {
        "file": clip.name,
        "bytes": source_bytes(reader),
        "picture": picture(clip),
        "streams": reader.describe(),
        "notes": list(clip.notes),
        "provenance": read_provenance(reader),
        "output": output(source, reader),
    }


def picture(clip: ClipInfo) -> dict[str, Any]:
    """The stored picture: size, samples, colour, time."""
    layout = clip.layout
    return {
        "width": clip.width,
        "height": clip.height,
        "family": layout.family.value,
        "bits": layout.bits,
        "chroma": CHROMA.get(layout.log2_chroma, str(layout.log2_chroma)),
        "alpha": layout.alpha,
        "range": "full" if layout.full_range else "limited",
        "matrix": layout.matrix.value,
        "frames": clip.frames,
        "seconds": clip.duration,
        "rate": None if clip.rate is None else float(clip.rate),
        "interlaced": clip.interlaced,
    }


def output(source: str, reader: Reader) -> dict[str, Any]:
    """The output of `f2r denoise` without options, or why there would be none."""
    target = default_target(source)
    try:
        plan = plan_output(reader, target, WriteOptions(overwrite=True))
    except F2RError as error:
        return {"summary": str(error), "kept": [], "dropped": [], "notes": []}
    there = [f"{target.name} already exists: needs --overwrite"] if target.exists() else []
    return {
        "summary": plan.summary(),
        "kept": list(plan.kept),
        "dropped": list(plan.dropped),
        "notes": [*plan.notes, *there],
    }


def noise(model: "NoiseModel | None", clip: ClipInfo, engine: "Engine") -> dict[str, Any]:
    """The noise of the first frames, in 8-bit units; None where too little can be seen of it."""
    from f2rcli.noise.report import NOTHING_TO_DO

    levels = None if model is None else [round(float(level), 2) for level in model.sigma8]
    codes, lines = clip.layout.levels, next(iter(engine.lines.values()), None)
    meaning = NOTHING_TO_DO if NOTHING_TO_DO in engine.notes else None
    if engine.compression is not None:
        meaning = engine.compression.words()
    return {
        "sigma8": levels,
        "frames": PROBE_FRAMES,
        "codes": None if model is None or codes is None else model.in_codes(codes),
        "means": meaning,
        "lines": None if lines is None else lines.words(),
    }


def fact_lines(seen: dict[str, Any]) -> Iterator[str]:
    """The facts for people, one a line."""
    stored, seconds = seen["bytes"], seen["picture"]["seconds"]
    sizes = [size(stored)] if stored else []
    sizes += [bit_rate(8 * stored / seconds)] if stored and seconds else []
    yield f"file      {', '.join([seen['file'], *sizes])}"
    yield f"picture   {_picture_words(seen['picture'])}"
    for stream in seen["streams"]:
        yield f"stream    {_stream_words(stream)}"
    for note in seen["notes"]:
        yield f"note      {note}"
    if seen["provenance"] is not None:
        yield f"made by   {words(seen['provenance'])}"
    yield f"output    {seen['output']['summary']}"
    for word, key in (("keeps", "kept"), ("drops", "dropped"), ("note", "notes")):
        for line in seen["output"][key]:
            yield f"{word:<9} {line}"


def found_lines(seen: dict[str, Any]) -> Iterator[str]:
    """An engine's facts, for people."""
    yield f"noise     {_noise_words(seen['noise'])}"
    for word in ("means", "lines"):
        if seen["noise"].get(word):
            yield f"{word:<9} {seen['noise'][word]}"
    yield f"engine    {seen['engine']['summary']}"
    yield f"cost      {seen['cost']['summary']}"
    for line in (*seen["set_aside"], *seen["remarks"]):
        yield f"note      {line}"
    for line in seen["damage"]:
        yield f"damage    {line}"


def _picture_words(facts: dict[str, Any]) -> str:
    chroma = f" {facts['chroma']}" if facts["family"] == "yuv" else ""
    kind = f"{facts['family']}{chroma}{' with alpha' if facts['alpha'] else ''}"
    words = [f"{facts['width']}x{facts['height']}", kind, f"{facts['bits']} bits"]
    words.append(f"{facts['range']} range")
    if facts["family"] == "yuv":
        words.append(f"matrix {facts['matrix']}")
    words.append("frames not counted" if facts["frames"] is None else count(facts["frames"]))
    if facts["seconds"] is not None:
        words.append(duration(facts["seconds"]))
    if facts["rate"] is not None:
        words.append(f"{facts['rate']:.5g} frames/s")
    if facts["interlaced"]:
        words.append("interlaced: fields are denoised separately")
    return ", ".join(words)


def _noise_words(facts: dict[str, Any]) -> str:
    levels = facts["sigma8"]
    if not facts["frames"]:
        return "not measured"
    if levels is None:
        return "too few pixels to measure"
    if facts["codes"] is not None:
        return f"{facts['codes']}, in the file's own units"
    names = ("R ", "G ", "B ") if len(levels) == 3 else ("",) * len(levels)
    listed = ", ".join(f"{name}{level:.1f}" for name, level in zip(names, levels, strict=True))
    return f"sigma {listed} (of 255)"


def _stream_words(stream: dict[str, Any]) -> str:
    rest = {key: value for key, value in stream.items() if not _tacit(key, value, stream)}
    head = " ".join(str(rest.pop(key, "")) for key in ("index", "kind", "codec"))
    return ", ".join([head, *_facts(rest)])


def _tacit(key: str, value: Any, stream: dict[str, Any]) -> bool:
    """Is it a matter of course, or printed in the line of the picture?"""
    if (key, value) in (("language", "und"), ("disposition", ["default"]), ("start", 0)):
        return True
    return bool(stream.get("denoised")) and key in IN_PICTURE


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
        elif value not in (None, "", [], (), False):
            yield f"{name} {_plain(value)}"


def _plain(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
