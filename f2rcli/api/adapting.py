"""Weights fitted to arrays: written as a TIFF stack, they are a clip like any other."""

import hashlib
import os
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
from f2rcli.frames import Plane
from f2rcli.io.base import ReadOptions
from f2rcli.settings import check_choice


def check_adapt(level: str | None, sigma: float | None) -> None:
    """Raise UsageError for a level that does not exist, or beside a sigma of the user's own."""
    if level is not None:
        from f2rcli.training.run.adaptation import refuse_sigma  # the room that adapts
        from f2rcli.training.run.config import ADAPT

        check_choice("adapt", level, list(ADAPT))
        refuse_sigma(sigma)


def fitted(settings: EngineSettings, source: str, read: ReadOptions, call: Call) -> EngineSettings:
    """The settings with weights fitted to a file, if the call asks for them and they are better."""
    if call.adapt is None:
        return settings
    from f2rcli.training.run.adaptation import Adaptation

    entry = Adaptation(settings, call.adapt, source, read)
    if not entry.known:
        entry.fit(lambda event: call.watch.check())
    call.report.note(f"adapt: {entry.reason or 'weights fitted to this clip'}")
    return entry.applied()


def fitted_to_array(stack: ArrayStack, call: Call) -> Options:
    """Weights fitted to an array. Equal arrays reuse the weights that were fitted before."""
    if call.adapt is None:
        return call.options
    with tempfile.TemporaryDirectory(prefix="f2r-") as folder:
        path, axes = Path(folder) / "array.tif", _axes(stack)
        _write(stack, path, axes)
        done = fitted(call.options.of_files(), str(path), ReadOptions(axes=axes), call)
    return replace(call.options, weights=done.weights)


def _axes(stack: ArrayStack) -> str:
    """The letters of the file: the array's, with the picture's at the end."""
    inner = "YXS" if stack.grid.samples > 1 else "YX"
    return "".join(letter for letter in stack.grid.letters if letter not in inner) + inner


def _write(stack: ArrayStack, path: Path, axes: str) -> None:
    """The array as a TIFF stack whose time of change tells its content."""
    import tifffile

    grid, digest = stack.grid, hashlib.sha256()
    sizes = dict(zip(grid.letters, grid.shape, strict=True))
    outer = axes[: axes.index("Y")]

    def pages() -> Iterator[Plane]:
        for at in np.ndindex(*(sizes[letter] for letter in outer)):
            known = dict(zip(outer, at, strict=True))
            place = tuple(known.get(letter, slice(None)) for letter in grid.letters)
            page = grid.picture(values_of(stack.array[place]))
            digest.update(page.tobytes())
            yield page

    tifffile.imwrite(
        path, pages(), shape=tuple(sizes[letter] for letter in axes), dtype=stack.dtype,
        photometric="rgb" if grid.samples > 1 else "minisblack", metadata={"axes": axes},
        bigtiff=True,
    )  # fmt: skip
    changed = int.from_bytes(digest.digest()[:7])
    os.utime(path, ns=(changed, changed))
