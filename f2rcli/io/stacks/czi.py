"""Zeiss CZI through the package czifile: its views of scenes, or in Python 3.11 its subblocks.

czifile was written anew in 2026, for Python 3.12 and later; the release before it, of 2019, is all
that Python 3.11 can have. It has no views, and does not know Zstandard.
"""

import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from f2rcli.errors import InputError
from f2rcli.io.stacks.foreign import Image, Where, unsupported
from f2rcli.io.stacks.metadata import (
    Facts,
    Metadata,
    known_sizes,
    number_of,
    ome_colour,
    steady,
)
from f2rcli.io.tifffiles import refusals

_MICROMETRES = 1e6  # of a metre
_NANOSECONDS = 1e-9  # of a second
_ZSTD, _ZSTD_HEADED = 5, 6  # compressions that czifile of 2019 does not know
_LANES = "TZC"  # axes that count pictures; scenes (S) are series, tiles (M) are joined
_SPLIT = "Split it into files in ZEN, or export it as OME-TIFF."

Tile = tuple[Any, dict[str, int], int, int]  # its entry, its place by axis, rows and columns
Described = Callable[[dict[str, int]], Metadata]  # what the file says of an image of these sizes


def czi_images(file: Any, path: Path) -> list[Image]:
    """An image per scene of a czifile.CziFile, its tiles joined. Views and phases are refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of files without metadata or attachments
        said = _described(file)
        if not hasattr(file, "scenes"):
            return _subblock_scenes(file, path, said)
        return [_scene(path, said, file.scenes, key) for key in file.scenes]


def _scene(path: Path, said: Described, scenes: Any, key: int) -> Image:
    """A scene as czifile of 2026 shows it. Places along an axis count from its start."""
    view = scenes[key]
    sizes = {str(axis): int(n) for axis, n in view.sizes.items()}
    start = dict(zip(view.dims, view.start, strict=True))
    _check_axes(path, sizes)
    outer = [axis for axis in _LANES if axis in sizes]
    sizes = {axis: sizes[axis] for axis in (*outer, *(a for a in sizes if a in "YXS"))}

    def read(where: Where) -> Any:
        at = {axis: int(start[axis]) + where.get(axis, 0) for axis in outer}
        return (view(**at) if at else view).asarray(maxworkers=1)

    name = f"scene {key + 1}" if len(scenes) > 1 else path.stem
    tiles = len(view.directory_entries) // max(1, int(np.prod([sizes[axis] for axis in outer])))
    return _image(name, sizes, view.dtype, read, said(sizes), tiles)


def _image(
    name: str, sizes: dict[str, int], dtype: Any, read: Any, said: Metadata, tiles: int
) -> Image:
    mosaic = f"{name}: a mosaic of {tiles} tiles, joined as the file places them"
    return Image(
        name, sizes, dtype, read, lambda: said, said.interval, remark=mosaic if tiles > 1 else ""
    )


def _check_axes(path: Path, sizes: dict[str, int]) -> None:
    odd = [axis for axis, n in sizes.items() if n > 1 and axis not in "SMBTZCYX0"]
    if odd:
        raise unsupported(path, f"axis {odd[0]} of a CZI is", _SPLIT)


# --- Subblocks, as czifile of 2019 has them ------------------------------------------------------


def _subblock_scenes(file: Any, path: Path, said: Described) -> list[Image]:
    axes = file.axes if isinstance(file.axes, str) else file.axes.decode()
    sizes = dict(zip(axes, map(int, file.shape), strict=True))
    _check_axes(path, sizes)
    scenes: dict[int, list[Tile]] = {}
    for entry in file.filtered_subblock_directory:
        if tuple(entry.stored_shape) == tuple(entry.shape):  # others are smaller copies
            begin = (int(a - b) for a, b in zip(entry.start, file.start, strict=True))
            at = dict(zip(axes, begin, strict=True))
            height, width = (int(entry.shape[axes.index(axis)]) for axis in "YX")
            scenes.setdefault(at.get("S", 0), []).append((entry, at, height, width))
    names = {key: f"scene {key + 1}" if len(scenes) > 1 else path.stem for key in scenes}
    return [_joined(file, names[key], sizes, tiles, said) for key, tiles in sorted(scenes.items())]


def _joined(
    file: Any, name: str, sizes: dict[str, int], tiles: list[Tile], said: Described
) -> Image:
    """The image of a scene: tiles lie where the file places them, later ones above."""
    top, left = min(at["Y"] for _, at, _, _ in tiles), min(at["X"] for _, at, _, _ in tiles)
    height = max(at["Y"] + rows for _, at, rows, _ in tiles) - top
    width = max(at["X"] + columns for _, at, _, columns in tiles) - left
    count = sizes.get("0", 1)
    own = {a: sizes[a] for a in _LANES if a in sizes} | {"Y": height, "X": width, "S": count}
    planes: dict[tuple[int, ...], list[Tile]] = {}
    for tile in tiles:
        planes.setdefault(tuple(tile[1].get(axis, 0) for axis in _LANES), []).append(tile)

    def read(where: Where) -> Any:
        found = planes.get(tuple(where.get(axis, 0) for axis in _LANES), [])
        if not found:
            raise InputError(f"{name}: lacks a picture that the others promise.")
        whole = np.zeros((height, width, count), file.dtype)
        for entry, at, rows, columns in found:
            row, column = at["Y"] - top, at["X"] - left
            samples = _samples(entry).reshape(rows, columns, count)
            whole[row : row + rows, column : column + columns] = samples
        return whole

    return _image(name, own, file.dtype, read, said(own), max(map(len, planes.values())))


def _samples(entry: Any) -> Any:
    """The samples of a subblock. Zstandard, which czifile of 2019 does not know, has a header of
    one or three bytes: whether all low bytes stand before all high ones (libCZI's documents)."""
    part = entry.data_segment()
    if entry.compression not in (_ZSTD, _ZSTD_HEADED):
        return np.asarray(part.data(resize=False))
    from imagecodecs import zstd_decode  # takes a while

    data = part.data(raw=True)
    header = data[: data[0]] if entry.compression == _ZSTD_HEADED else b""
    whole = np.frombuffer(zstd_decode(data[len(header) :]), np.uint8)
    if len(header) > 2 and header[2] & 1:
        whole = np.ascontiguousarray(whole.reshape(2, -1).T)
    samples = np.frombuffer(whole.tobytes(), np.dtype(entry.dtype[-2:]).newbyteorder("<"))
    if samples.size != int(np.prod(entry.stored_shape)):
        raise InputError("a tile is incomplete.")
    colours = int(entry.stored_shape[-1])  # of which blue comes first
    return samples.reshape(-1, colours)[:, [2, 1, 0, 3][:colours]] if colours > 1 else samples


# --- Metadata ------------------------------------------------------------------------------------


def _described(file: Any) -> Described:
    """By the file's XML, and the times of its frames in seconds."""
    xml: str = ""
    times: list[float] = []
    with suppress(InputError), refusals("metadata"):
        xml = str(file.metadata() or "")
    with suppress(InputError), refusals("times"):
        for one in file.attachments():
            if str(one.attachment_entry.name) == "TimeStamps":
                times = [float(value) for value in one.data()]
    return partial(_metadata, xml, times)


def _metadata(xml: str, stamps: list[float], sizes: dict[str, int]) -> Metadata:
    try:
        document = ElementTree.fromstring(xml).find("Metadata") if xml else None
    except ElementTree.ParseError:
        document = None
    if document is None:
        return Metadata(own=xml)
    image = document.find("Information/Image")
    image = ElementTree.Element("Image") if image is None else image
    channels = image.findall("Dimensions/Channels/Channel")
    channels = channels if len(channels) == sizes.get("C", 1) else []
    times = _times(image, sizes.get("T", 1), stamps)
    steps = {}
    for distance in document.findall("Scaling/Items/Distance"):
        step = number_of(distance.findtext("Value"))
        steps[distance.get("Id", "")] = None if step is None else step * _MICROMETRES
    return Metadata(
        sizes=known_sizes(**{axis: steps[axis] for axis in "XYZ" if axis in steps}),
        interval=steady(times),
        bits=int(number_of(image.findtext("ComponentBitCount")) or 0) or None,
        date=image.findtext("AcquisitionDateAndTime") or "",
        channels=[_channel(channel) for channel in channels],
        planes=_planes(sizes, times, channels),
        own=xml,
    )


def _times(image: Any, count: int, stamps: list[float]) -> list[float]:
    """Seconds of each frame from the first: as measured, else as planned."""
    if len(stamps) != count:
        text = image.findtext("Dimensions/T/Positions/List/Offsets") or ""
        stamps = [time for word in text.split() if (time := number_of(word)) is not None]
    return [time - stamps[0] for time in stamps] if len(stamps) == count else []


def _channel(channel: Any) -> Facts:
    facts: Facts = {"Name": channel.get("Name")} if channel.get("Name") else {}
    if fluor := channel.findtext("Fluor"):
        facts["Fluor"] = fluor
    for name in ("ExcitationWavelength", "EmissionWavelength"):
        wave = number_of(channel.findtext(name))
        if wave is not None and wave > 0:
            facts |= {name: wave, f"{name}Unit": "nm"}
    colour = (channel.findtext("Color") or "").removeprefix("#")
    if len(colour) == 8 and all(digit in "0123456789abcdefABCDEF" for digit in colour):
        alpha_first = int(colour, 16)
        facts["Color"] = ome_colour(*(alpha_first >> shift & 0xFF for shift in (16, 8, 0)))
    return facts


def _planes(sizes: dict[str, int], times: list[float], channels: list[Any]) -> list[Facts]:
    """Time and exposure of each picture, in the order of the axes."""
    exposures = [(number_of(one.findtext("ExposureTime")) or 0) * _NANOSECONDS for one in channels]
    if not times and not any(exposures):
        return []
    outer = [axis for axis in sizes if axis not in "YXS0"]
    planes = []
    for index in np.ndindex(*(sizes[axis] for axis in outer)):
        at = dict(zip(outer, index, strict=True))
        plane: Facts = {}
        if times:
            plane = {"DeltaT": times[at.get("T", 0)], "DeltaTUnit": "s"}
        if exposures and exposures[at.get("C", 0)] > 0:
            plane |= {"ExposureTime": exposures[at.get("C", 0)], "ExposureTimeUnit": "s"}
        planes.append(plane)
    return planes
