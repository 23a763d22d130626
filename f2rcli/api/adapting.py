"""Weights fitted to arrays: a part of them, written as a TIFF stack, is a clip like any other."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from f2rcli.api.arrays import ArrayStack
from f2rcli.api.options import Options
from f2rcli.api.pictures import values_of
from f2rcli.api.watch import Call
from f2rcli.engine.settings import EngineSettings
from f2rcli.errors import OutputError, UsageError, shown
from f2rcli.frames import Plane
from f2rcli.io.base import ReadOptions
from f2rcli.io.disk_errors import disk_errors
from f2rcli.units import size

MOST_FRAMES = 480  # of all lanes together: as many as an adaptation looks at


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
    needed, free = int(np.prod(shape)) * stack.dtype.itemsize, shutil.disk_usage(path.parent).free
    if needed > free:
        raise OutputError(
            f"adapt=: the array's frames need {size(needed)} in the temporary folder, which has "
            f"{size(free)} free.",
            hint="Set TMPDIR to a folder on another disk.",
        )

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
