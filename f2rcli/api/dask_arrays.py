"""Dask arrays: lazy, in blocks of frames that see some more on either side."""

import importlib
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from f2rcli.api.arrays import ArrayStack, array_info, put_back
from f2rcli.api.axes import Grid
from f2rcli.api.options import Options
from f2rcli.api.pictures import empty_like
from f2rcli.errors import InputError
from f2rcli.samples.lanes import LaneStatistics, surveyed
from f2rcli.system.machine import load_torch

LEAST_BLOCK = 32  # frames that are denoised together
LEAD, TRAIL = 8, 4  # frames that a block sees before and after itself
OPENING = 32  # frames of the whole array that every block measures the noise on


def denoise_dask(frames: Any, grid: Grid, options: Options) -> Any:
    """A lazy array with the same chunks. Levels and noise are those of the whole array."""
    dask: Any = importlib.import_module("dask")
    da: Any = importlib.import_module("dask.array")

    if any(np.isnan(size) for size in frames.shape):
        raise InputError("a Dask array of unknown size.", hint="Call compute_chunk_sizes() first.")
    if 0 in grid.shape:
        return frames
    timed = grid.runs
    axis = grid.letters.index(grid.along) if timed else 0
    count = frames.shape[axis]
    picked = sorted(surveyed(count) + surveyed(count, between=True))
    spread = da.take(frames, picked, axis) if timed else frames
    known = dask.delayed(_surveyed, pure=True)(spread, grid, options)
    opening = frames[_along(axis, 0, OPENING)] if timed else frames
    work, blocks, start = dask.delayed(_denoise_block, pure=True), [], 0
    for size in _block_sizes(frames.chunks[axis]) if timed else [count]:
        low, high = max(0, start - LEAD), min(count, start + size + TRAIL)
        span = (low, start, start + size) if timed else (0, 0, 1)
        part = frames[_along(axis, low, high)] if timed else frames
        block = work(part, opening, known, grid, options, span)
        shape = (*frames.shape[:axis], size, *frames.shape[axis + 1 :])
        blocks.append(da.from_delayed(block, shape, dtype=frames.dtype, meta=frames._meta))
        start += size
    return da.concatenate(blocks, axis).rechunk(frames.chunks)


def _along(axis: int, low: int, high: int) -> tuple[slice, ...]:
    return (*(slice(None),) * axis, slice(low, high))


def _block_sizes(chunks: tuple[int, ...]) -> list[int]:
    """Chunks put together until they are worth a start of their own; what is left at the end and
    far from worth it goes with the block before."""
    sizes: list[int] = []
    for chunk in chunks:
        if sizes and sizes[-1] < LEAST_BLOCK:
            sizes[-1] += chunk
        else:
            sizes.append(chunk)
    if len(sizes) > 1 and sizes[-1] < LEAST_BLOCK // 2:
        sizes[-2:] = [sum(sizes[-2:])]
    return [size for size in sizes if size]


def _surveyed(spread: Any, grid: Grid, options: Options) -> list[LaneStatistics]:
    """Statistics of every lane, from the frames that were picked for it."""
    picked = ArrayStack(spread, replace(grid, shape=tuple(spread.shape)))
    return [picked.survey(lane, options) for lane in picked.grid.lanes]


def _denoise_block(
    part: Any, opening: Any, known: list[LaneStatistics], grid: Grid, options: Options,
    span: tuple[int, int, int],
) -> Any:  # fmt: skip
    """The frames from span[1] to span[2] of an array; those of `part` begin with span[0]."""
    load_torch()
    from f2rcli.engine.stream import denoise_stream, load_engine  # brings torch

    begin, first, end = span
    block = ArrayStack(part, replace(grid, shape=tuple(part.shape)))
    head = ArrayStack(opening, replace(grid, shape=tuple(opening.shape)))
    own = slice(first - begin, end - begin)
    out = empty_like(part)
    info = array_info(block.grid, block.dtype)
    loaded = load_engine(options, info)
    openings = [partial(head.frames, lane, seen) for lane, seen in enumerate(known)]
    for lane, seen in enumerate(known):
        engine = loaded.another()
        shown = block.frames(lane, seen, begin, range(own.start, own.stop))
        for frame in denoise_stream(shown, info, engine, openings[lane] if begin else None):
            put_back(out, frame, block.grid)
    axis = grid.letters.index(grid.along) if grid.runs else None
    return out if axis is None else out[_along(axis, own.start, own.stop)]
