"""Whole clips: arrays, iterables, files and lazy arrays, each given back as what it was."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, Unpack

from f2rcli.api.arrays import denoise_array, is_array, is_writable, kind_of, letters_of
from f2rcli.api.call import Call, Cancel, Keywords, Options, Progress
from f2rcli.api.live import FrameSequence
from f2rcli.engine.settings import provenance_of
from f2rcli.errors import InputError, UsageError, shown
from f2rcli.io import default_target, open_reader, open_writer, plan_output
from f2rcli.io.base import ReadOptions, WriteOptions
from f2rcli.system import load_torch


def denoise_file(source: str, output: str | Path | None, call: Call, *, overwrite: bool) -> str:
    """The path that was written. Raises InputError, OutputError or UsageError."""
    load_torch()
    from f2rcli.engine.stream import denoise_stream, load_engine  # brings torch

    if not source:
        raise InputError("the path is empty.", hint="Is a variable unset?")
    options, report = call.options, call.report
    target = default_target(source) if output is None else output
    settings = options.of_files()
    with open_reader(source, ReadOptions(axes=options.axes, series=options.series)) as reader:
        plan = plan_output(reader, target, WriteOptions(overwrite=overwrite))
        info, engine = reader.info, load_engine(settings, reader.info)
        engine.check = call.own_check()
        plan = replace(plan, provenance=provenance_of(options.given, engine.provenance))
        with open_writer(reader, plan) as writer:
            frames = denoise_stream(reader, info, engine, reader.opening, deepens=plan.converts)
            for frame in call.counted(frames, info.frames):
                writer.write(frame)
            receipt = writer.finish()
        report.take_in(engine, info)
        report.note(*info.notes, *plan.notes, *reader.ledger.lines())
    report.note(*(f"the output cannot hold {line}" for line in plan.dropped))
    return receipt.path


# --- What a caller may pass ----------------------------------------------------------------------


def denoise(
    frames: Any,
    output: Any = None,
    *,
    overwrite: bool = False,
    progress: Progress = False,
    cancel: Cancel = None,
    return_report: bool = False,
    **options: Unpack[Keywords],
) -> Any:
    """Denoise a clip; the result has the type of the input.

    frames: an array (T, H, W) or (T, H, W, 3 or 4), or of any other axes with `axes`: NumPy, torch
    (on its device), xarray (coordinates and attributes are kept), Zarr, h5py, Dask and what else
    has a shape and a dtype (give NumPy); an iterable of frames (H, W) or (H, W, 3 or 4), which
    gives an iterator that reads ahead by a few frames only; or a path, which gives the path written
    to. An array gives the samples that `f2r denoise` gives for it as a TIFF stack.

    output: the file to write (default: `clip_f2r.mp4` beside `clip.mp4`), or the array to fill and
    return. overwrite: replace the file. progress: True for a bar, or a function of the
    frames done and their total, which may be None. cancel: a function that ends the run by
    returning True; it is asked at every frame and every pass of a network. return_report:
    return a tuple of the result and a `Report`.

    Options, with their defaults: strength (0 to 4; 1), chroma_strength (the same for colour alone;
    strength), sigma (standard deviation of the noise in the arrays' own units, 8-bit units for
    files; measured), axes (a letter per axis: T time, Y rows, X columns, S colours, others are
    lanes of their own), series (of a file with several: a number, a name or "all"), levels (the
    values that networks see as black and white; measured), weights, model, method, device,
    precision, tile, threads as on the command line.

    Raises UsageError for options that do not fit, InputError for what cannot be read, OutputError
    for what cannot be written, CancelledError where `cancel` ended it.
    """
    file = isinstance(frames, str | os.PathLike)
    call = Call(Options.of(options, files=file), progress, cancel)
    if file:
        if not isinstance(output, str | Path | None):
            hint = "For a file, output= is a path."
            raise UsageError(f"output={shown(output)}: not a path.", hint=hint)
        written = denoise_file(os.fspath(frames), output, call, overwrite=overwrite)
        done: Any = written if isinstance(frames, str) else Path(written)
    else:
        named = isinstance(output, str | os.PathLike)
        if named or overwrite:
            what = f"output={os.fspath(output)!r}: a path is" if named else "overwrite=True:"
            hint = "Pass the path of one, or leave it out."
            raise UsageError(f"{what} for files only.", hint=hint)
        done = _denoised(frames, output, call)
    return (done, call.report) if return_report else done


def _denoised(frames: Any, output: Any, call: Call) -> Any:
    """Anything but a file."""
    if is_array(frames) and kind_of(frames) == "xarray":
        return _denoise_named(frames, output, call)
    if is_array(frames):
        _check_output(output, frames)
        return denoise_array(frames, call, output)
    if hasattr(frames, "keys"):
        what = f"frames of type {type(frames).__name__}: a group of arrays."
        raise InputError(what, hint="Pass one of them, such as group['name'].")
    if not isinstance(frames, Iterable):
        what = f"frames of type {type(frames).__name__}: neither arrays nor a path."
        hint = "Pass an array (T, H, W[, C]), an iterable of frames, or a path."
        raise InputError(what, hint=hint)
    if output is not None:
        raise UsageError("output: not for iterables.", hint="Pass an array.")
    return _denoise_each(iter(frames), call)


def _denoise_named(frames: Any, output: Any, call: Call) -> Any:
    """An xarray DataArray: its dimensions are its axes."""
    if output is not None:
        raise UsageError("output: not for xarray.", hint="Leave it out: the result is a new one.")
    options = replace(call.options, axes=call.options.axes or letters_of(frames.dims))
    return frames.copy(data=_denoised(frames.to_numpy(), None, replace(call, options=options)))


def _denoise_each(frames: Iterator[Any], call: Call) -> Iterator[Any]:
    opening = next(frames, None)
    if opening is None:
        return
    call.check()
    clip = FrameSequence(opening, call.options, call.own_check())
    for frame in call.counted(clip.restored(chain([opening], frames)), None):
        call.report.take_in(clip.engine, clip.info)
        yield frame
    call.report.take_in(clip.engine, clip.info)


def _check_output(output: Any, frames: Any) -> None:
    """Raise UsageError for an array that cannot hold the result."""
    if output is None:
        return
    what = f"{tuple(output.shape)} {output.dtype}" if is_array(output) else shown(output)
    wanted = f"{tuple(frames.shape)} {frames.dtype}"
    wrong = "" if what == wanted else f"must be {wanted}, as the input is"
    if wrong or not is_writable(output):
        wrong = wrong or "cannot be written"
        raise UsageError(f"output={what}: {wrong}.", hint="Leave it out for a new array.")
