"""Files, as `f2r denoise` does them; and weights fitted to files, and to arrays by way of one."""

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from f2rcli.api.arrays import ArrayStack
from f2rcli.api.options import Options
from f2rcli.api.pictures import values_of
from f2rcli.api.watch import Call
from f2rcli.engine.provenance import provenance_of
from f2rcli.engine.settings import EngineSettings
from f2rcli.errors import InputError, UsageError, shown
from f2rcli.frames import Plane
from f2rcli.io import default_target, open_reader, open_writer, plan_output
from f2rcli.io.base import ReadOptions, WriteOptions
from f2rcli.io.files import disk_errors
from f2rcli.system import load_torch

MOST_FRAMES = 480  # of all lanes together: as many as an adaptation looks at


def denoise_file(source: str, output: str | Path | None, call: Call, *, overwrite: bool) -> str:
    """The path that was written. Raises InputError, OutputError or UsageError."""
    load_torch()
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


def check_adapt(adapt: bool | float, sigma: float | None) -> None:
    """Raise UsageError for what is no time in minutes, or beside a sigma of the user's own."""
    if isinstance(adapt, bool | float | int) and adapt >= 0:
        if adapt:
            from f2rcli.training.adapt import refuse_sigma  # the room that adapts

            refuse_sigma(sigma)
        return
    raise UsageError(f"adapt={shown(adapt)}: must be True, False or minutes of training.")


def fitted(
    settings: EngineSettings, source: str, read: ReadOptions, call: Call, content: str | None = None
) -> EngineSettings:
    """The settings with weights fitted to a file, if the call asks for them and they are better.

    content: a digest that stands for a file which is made anew each time.
    """
    if not call.adapt:
        return settings
    load_torch()
    from f2rcli.training.adapt import MINUTES, Adaptation

    minutes = MINUTES if call.adapt is True else float(call.adapt)
    entry = Adaptation(settings, minutes, source, read, content)
    if not entry.known:
        entry.fit(lambda event: call.watch.check())
    call.report.note(f"adapt: {entry.reason or 'weights fitted to this clip'}")
    return entry.applied()


def fitted_to_array(stack: ArrayStack, call: Call) -> Options:
    """Weights fitted to an array. Equal arrays reuse the weights that were fitted before."""
    if not call.adapt:
        return call.options
    with tempfile.TemporaryDirectory(prefix="f2r-") as folder:
        path, axes = Path(folder) / "array.tif", _axes(stack)
        content = _write(stack, path, axes)
        settings = call.options.of_files()
        done = fitted(settings, str(path), ReadOptions(axes=axes), call, content)
    return replace(call.options, weights=done.weights)


def _axes(stack: ArrayStack) -> str:
    """The letters of the file: the array's, with the picture's at the end."""
    inner = "YXS" if stack.grid.samples > 1 else "YX"
    return "".join(letter for letter in stack.grid.letters if letter not in inner) + inner


def _write(stack: ArrayStack, path: Path, axes: str) -> str:
    """The middle of the array as a TIFF stack; returns a digest of it. Raises OutputError where
    there is no room for it."""
    import tifffile

    grid, digest = stack.grid, hashlib.sha256()
    sizes = dict(zip(grid.letters, grid.shape, strict=True))
    first = 0
    if grid.runs:
        count = min(grid.frames, max(MOST_FRAMES // len(grid.lanes), 2))
        first, sizes[grid.along] = (grid.frames - count) // 2, count
    outer = axes[: axes.index("Y")]
    shape = tuple(sizes[letter] for letter in axes)

    def pages() -> Iterator[Plane]:
        for at in np.ndindex(*(sizes[letter] for letter in outer)):
            known = dict(zip(outer, at, strict=True))
            if grid.runs:
                known[grid.along] += first
            place = tuple(known.get(letter, slice(None)) for letter in grid.letters)
            page = grid.picture(values_of(stack.array[place]))
            digest.update(page.tobytes())
            yield page

    with disk_errors(path, "set TMPDIR to a folder on another disk"):
        tifffile.imwrite(
            path, pages(), shape=shape, dtype=stack.dtype, metadata={"axes": axes}, bigtiff=True,
            photometric="rgb" if grid.samples > 1 else "minisblack",
        )  # fmt: skip
    digest.update(repr((axes, shape, str(stack.dtype))).encode())
    return digest.hexdigest()
