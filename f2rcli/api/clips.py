"""Whole clips: arrays, iterables, files and Dask arrays, each given back as what it was."""

import importlib
import os
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np

from f2rcli.api.arrays import Form, restored
from f2rcli.api.options import FILE_WHITE, Options, with_keywords
from f2rcli.errors import InputError, UsageError

if TYPE_CHECKING:
    from f2rcli.engine.stream import Engine

LEAST_BLOCK = 32  # frames of a Dask array that are denoised together
REACH = 4  # frames a block sees of the next: half a window, of nine frames at most
PathT = TypeVar("PathT", str, Path)
ArrayT = TypeVar("ArrayT")
T = TypeVar("T")


@overload
def denoise(
    frames: PathT,
    output: str | Path | None = None,
    *,
    overwrite: bool = False,
    progress: bool = False,
    **options: Any,
) -> PathT: ...
@overload
def denoise(
    frames: Iterator[ArrayT], *, progress: bool = False, **options: Any
) -> Iterator[ArrayT]: ...
@overload
def denoise(frames: ArrayT, *, progress: bool = False, **options: Any) -> ArrayT: ...
def denoise(
    frames: Any,
    output: str | Path | None = None,
    *,
    overwrite: bool = False,
    progress: bool = False,
    **options: Any,
) -> Any:
    """Denoise a clip.

    frames: a NumPy array or torch tensor (T, H, W) or (T, H, W, C), which gives one of the same
    shape, dtype and device; a Dask array, which gives a lazy one with the same chunks; an
    iterable of arrays (H, W) or (H, W, C), which gives an iterator that reads ahead by a few
    frames only; or a path, which is written to `output` (default: `clip_f2r.mp4` beside
    `clip.mp4`) and gives the path written to, of the type of `frames`. Three channels are RGB,
    four have an alpha that stays as it is.

    progress: show a progress bar (tqdm).

    Options, with their defaults: strength (0 to 4; 1), luma_strength and chroma_strength (the same
    for brightness and for colour alone; strength), sigma (standard deviation of the noise in the
    arrays' own units, 8-bit units for files; measured), black and white (values of no light and
    of white; 0 and the dtype's largest, 1 for floats), layout ("THWC", or "TCHW" for channels
    first), space ("auto", "rgb", or "gray" for channels on their own), weights, method, device,
    precision, tile, threads as on the command line; axes and overwrite (files only).

    Raises UsageError for options that do not fit, InputError for what cannot be read, OutputError
    for what cannot be written.
    """
    chosen = Options.of(options)
    if isinstance(frames, str | os.PathLike):
        written = _denoise_path(
            os.fspath(frames), output, chosen, overwrite=overwrite, progress=progress
        )
        return written if isinstance(frames, str) else Path(written)
    if output is not None or overwrite or chosen.axes is not None:
        raise UsageError("output, overwrite, axes: for files only.", hint="Arrays are returned.")
    if type(frames).__module__.startswith("dask.array"):
        if progress:
            raise UsageError(
                "progress=True: a Dask array is lazy.",
                hint="Use dask.diagnostics.ProgressBar where it is computed.",
            )
        return _denoise_dask(frames, chosen)
    if isinstance(frames, np.ndarray) or hasattr(frames, "new_empty"):  # NumPy or torch
        return _denoise_whole(frames, chosen, progress=progress)
    if not isinstance(frames, Iterable):
        raise InputError(
            f"frames of type {type(frames).__name__}: neither arrays nor a path.",
            hint="Pass an array (T, H, W[, C]), an iterable of frames, or a path.",
        )
    return _counted(_denoise_each(iter(frames), chosen), None, shown=progress)


def _engine(form: Form, options: Options) -> "Engine":
    from f2rcli.engine.stream import load_engine  # brings torch

    return load_engine(options.settings(form.span), form.info())


def _denoise_each(frames: Iterator[Any], options: Options) -> Iterator[Any]:
    opening = next(frames, None)
    if opening is None:
        return
    form = Form.of(opening, options)
    yield from restored(chain([opening], frames), form, _engine(form, options))


def _check_stack(shape: tuple[int, ...]) -> None:
    if len(shape) not in (3, 4):
        raise InputError(
            f"an array of shape {tuple(shape)}: not a clip.",
            hint="Pass (T, H, W) or (T, H, W, C); frames[None] makes a clip of one picture.",
        )


def _denoise_whole(frames: Any, options: Options, *, progress: bool = False) -> Any:
    _check_stack(frames.shape)
    tensor = hasattr(frames, "new_empty")
    out = frames.new_empty(frames.shape) if tensor else np.empty(frames.shape, frames.dtype)
    pictures = _counted(_denoise_each(iter(frames), options), len(frames), shown=progress)
    for place, picture in enumerate(pictures):
        out[place] = picture
    return out


def _denoise_dask(frames: Any, options: Options) -> Any:
    """Blocks of frames that see some more on either side. Each measures the noise for itself."""
    dask: Any = importlib.import_module("dask")
    da: Any = importlib.import_module("dask.array")

    _check_stack(frames.shape)
    if any(np.isnan(size) for size in frames.shape):
        raise InputError("a Dask array of unknown size.", hint="Call compute_chunk_sizes() first.")
    blocks, start, count = [], 0, frames.shape[0]
    work = dask.delayed(_denoise_block, pure=True)
    for size in _block_sizes(frames.chunks[0]):
        low, high = max(0, start - REACH), min(count, start + size + REACH)
        block = work(frames[low:high], start - low, size, options)
        shape = (size, *frames.shape[1:])
        blocks.append(da.from_delayed(block, shape, dtype=frames.dtype, meta=frames._meta))
        start += size
    return da.concatenate(blocks).rechunk(frames.chunks) if blocks else frames


def _block_sizes(chunks: tuple[int, ...]) -> list[int]:
    """Chunks put together until they are worth a start of their own."""
    sizes: list[int] = []
    for chunk in chunks:
        if sizes and (sizes[-1] < LEAST_BLOCK or chunk < LEAST_BLOCK // 2):
            sizes[-1] += chunk
        else:
            sizes.append(chunk)
    return [size for size in sizes if size]


def _denoise_block(frames: Any, skip: int, count: int, options: Options) -> Any:
    return _denoise_whole(np.asarray(frames), options)[skip : skip + count]


def _denoise_path(
    source: str, output: str | Path | None, options: Options, *, overwrite: bool, progress: bool
) -> str:
    from f2rcli.engine.stream import denoise_stream, load_engine  # brings torch
    from f2rcli.io import (
        ReadOptions,
        WriteOptions,
        default_target,
        open_reader,
        open_writer,
        plan_output,
    )

    if (options.black, options.white) != (None, None):
        raise UsageError("black, white: for arrays only.", hint="Files say what their values mean.")
    target = default_target(source) if output is None else output
    with open_reader(source, ReadOptions(axes=options.axes)) as reader:
        plan = plan_output(reader, target, WriteOptions(overwrite=overwrite))
        engine = load_engine(options.settings(FILE_WHITE), reader.info)
        with open_writer(reader, plan) as writer:
            restored = denoise_stream(reader, reader.info, engine)
            for frame in _counted(restored, reader.info.frames, shown=progress):
                writer.write(frame)
            receipt = writer.finish()
    return receipt.path


def _counted(items: Iterator[T], total: int | None, *, shown: bool) -> Iterator[T]:
    """The items with a progress bar: in a notebook a widget, else a line on standard error."""
    if not shown:
        return items
    from tqdm.auto import tqdm  # looks for a notebook when it is imported

    return iter(tqdm(items, total=total, unit="frame"))


with_keywords(denoise)
