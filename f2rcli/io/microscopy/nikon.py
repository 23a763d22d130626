"""Nikon ND2, through the package nd2."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from f2rcli.io.microscopy.image import Image, Opened, Where
from f2rcli.io.microscopy.passport import (
    Facts,
    Passport,
    micrometres,
    of_ome,
    ome_root,
    seconds,
    timed,
    unheld,
)
from f2rcli.io.tiff.library import DAMAGE

_FIRST = 32  # frames whose times give the interval before all of them are read
_EVENTS = frozenset({"Time [s]", "Index", "T Index", "Z Index", "P Index", "Z-Series",
                     "X Coord [µm]", "Y Coord [µm]"})  # columns that OME-XML has  # fmt: skip


def open_nd2(library: Any, path: Path) -> Opened:
    """An image per position."""
    file = library.ND2File(path)
    try:
        return Opened(file, list(_images(file, path)))
    except BaseException:
        file.close()
        raise


def _images(file: Any, path: Path) -> Iterator[Image]:
    sizes = dict(file.sizes)
    loops = [axis for axis in sizes if axis not in "CYXS"]
    places = {tuple(row[a] for a in loops): i for i, row in enumerate(file.loop_indices)}
    inner = {axis: sizes[axis] for axis in "CYXS" if axis in sizes}
    root = cache(lambda: _ome(file))  # for the first image that is asked for

    def image(position: int) -> Image:
        def read(where: Where) -> Any:
            at = tuple(position if a == "P" else where.get(a, 0) for a in loops)
            frame = file.read_frame(places[at] if places else 0)
            return frame[where.get("C", 0)] if "C" in sizes and frame.ndim > 2 else frame

        own = {axis: sizes[axis] for axis in loops if axis != "P"} | inner
        first = [{"T": t, "P": position} for t in range(min(own.get("T", 1), _FIRST))]
        frames = [places.get(tuple(at.get(a, 0) for a in loops), 0) for at in first]
        quick = Passport(pixels=timed({}, _seconds(file, frames)))
        name = f"position {position + 1}" if sizes.get("P", 1) > 1 else path.stem
        return Image(
            name, own, file.dtype, read, quick, lambda: _passport(file, root(), position, own)
        )

    return map(image, range(sizes.get("P", 1)))


def _seconds(file: Any, frames: list[int]) -> list[float]:
    """The times of frames; none where the file does not say them."""
    with suppress(*DAMAGE):
        stamps = [file.frame_metadata(frame).channels[0].time for frame in frames]
        return [stamp.relativeTimeMs / 1000 for stamp in stamps]
    return []


def _ome(file: Any) -> ElementTree.Element | None:
    """The file's metadata as the library puts it into OME-XML; None where it cannot."""
    with suppress(*DAMAGE, NotImplementedError, ElementTree.ParseError):
        return ome_root(str(file.ome_metadata().to_xml()))
    return None


def _passport(
    file: Any, root: ElementTree.Element | None, position: int, sizes: dict[str, int]
) -> Passport:
    outer = {axis: size for axis, size in sizes.items() if axis not in "YXS"}

    def place(t: int, z: int, c: int) -> int | None:
        at = {"T": t, "Z": z, "C": c}
        index = [at.get(axis, 0) for axis in outer]
        return int(np.ravel_multi_index(index, tuple(outer.values()))) if outer else 0

    texts, lost = _texts(file), _lost(file)
    if root is not None:
        with suppress(*DAMAGE):
            found = of_ome(root, position, place)
            pixels = timed(found.pixels, _times(found, outer))
            return replace(found, pixels=pixels, notes=texts, lost=(*lost, *unheld(root, position)))
    voxel = file.voxel_size()
    return Passport(
        pixels=micrometres(X=voxel.x, Y=voxel.y, Z=voxel.z), notes=texts,
        lost=("what OME-XML would hold but for the pixel size", *lost),
    )  # fmt: skip


def _times(passport: Passport, outer: dict[str, int]) -> list[float]:
    """The times of the first picture of every frame."""
    if "T" not in outer or len(passport.planes) != int(np.prod(list(outer.values()))):
        return []
    places = np.arange(len(passport.planes)).reshape(list(outer.values()))
    firsts = np.moveaxis(places, list(outer).index("T"), 0).reshape(outer["T"], -1)[:, 0]
    times = [seconds(passport.planes[int(first)]) for first in firsts]
    return [time for time in times if time is not None]


def _texts(file: Any) -> Facts:
    """The program's own words about the recording."""
    with suppress(*DAMAGE):
        return {f"ND2 {name}": " ".join(str(text).split())
                for name, text in file.text_info.items() if name != "date"}  # fmt: skip
    return {}


def _lost(file: Any) -> tuple[str, ...]:
    names: list[str] = []
    with suppress(*DAMAGE):
        names += [name for name in (file.events() or [{}])[0] if name not in _EVENTS]
    with suppress(*DAMAGE):
        names += ["regions of interest"] if file.rois else []
    with suppress(*DAMAGE):
        names += ["binary layers"] if file.binary_data else []
    with suppress(*DAMAGE):  # the program's settings, such as LUTDataV1_0
        names += [f"custom data {name}" for name in file.custom_data]
    return tuple(names)
