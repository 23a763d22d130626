"""Files, as `f2r denoise` does them."""

from dataclasses import replace
from pathlib import Path

from f2rcli.api.adapting import fitted
from f2rcli.api.watch import Call
from f2rcli.engine.provenance import provenance_of
from f2rcli.errors import InputError, UsageError
from f2rcli.io import default_target, open_reader, open_writer, plan_output
from f2rcli.io.base import ReadOptions, WriteOptions


def denoise_file(source: str, output: str | Path | None, call: Call, *, overwrite: bool) -> str:
    """The path that was written. Raises InputError, OutputError or UsageError."""
    from f2rcli.engine.stream import denoise_stream, load_engine  # brings torch

    if not source:
        raise InputError("the path is empty.", hint="Is a variable unset?")
    options, watch, report = call.options, call.watch, call.report
    if options.levels is not None:
        raise UsageError("levels: for arrays only.", hint="Files say what their values mean.")
    target = default_target(source) if output is None else output
    settings = options.of_files()
    read = ReadOptions(axes=options.axes, series=options.series)
    with open_reader(source, read) as reader:
        plan = plan_output(reader, target, WriteOptions(overwrite=overwrite))
        settings = fitted(settings, source, read, call)
        engine = load_engine(settings, reader.info)
        engine.check = watch.own_check()
        given = options.given | ({"adapt": call.adapt} if call.adapt else {})
        plan = replace(plan, provenance=provenance_of(engine, given))
        with open_writer(reader, plan) as writer:
            frames = denoise_stream(watch.reading(reader), reader.info, engine, reader.opening)
            for frame in watch.counted(frames, reader.info.frames):
                writer.write(frame)
                report.frames += 1
            receipt = writer.finish()
        report.take_in(engine)
        report.take_lanes(engine, reader.info.lanes)
        for line in (*reader.info.notes, *plan.notes, *reader.ledger.lines()):
            report.note(line)
    for line in plan.dropped:
        report.note(f"the output cannot hold {line}")
    return receipt.path
