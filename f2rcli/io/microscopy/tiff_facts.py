"""Metadata of TIFF stacks for those who do not copy the file: OME-Zarr, napari."""

from collections.abc import Container, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import count
from typing import Any
from xml.etree import ElementTree

import numpy as np

from f2rcli.io.microscopy.passport import (
    LENGTHS,
    Facts,
    Passport,
    micrometres,
    of_ome,
    ome_colour,
    ome_root,
    unheld,
)
from f2rcli.io.tiff.file import TiffStack
from f2rcli.io.tiff.library import DAMAGE, STORAGE

_UNITS = {"micron": 1.0, "microns": 1.0, "um": 1.0, "\\u00b5m": 1.0, "inch": 25400.0} | {
    name.lower(): size for name, size in LENGTHS.items()
}  # of ImageJ and MetaMorph, in micrometres
_PER = {2: 25400.0, 3: 1e4}  # TIFF's units of resolution, inch and centimetre, in micrometres
_METRE = 1e6
_IMAGEJ = {"ImageJ", "images", "channels", "slices", "frames", "hyperstack", "order", "axes",
           "unit", "yunit", "zunit", "tunit", "spacing", "finterval"}  # fmt: skip
_DESCRIPTION = 270
_IJ, _LSM, _UIC = (50838, 50839), 34412, range(33628, 33632)  # of ImageJ, Zeiss, MetaMorph
_RESOLUTION = frozenset({282, 283, 296})  # per no unit unless the file says one

_RAMP = np.arange(256) / 255  # a table that shows one colour, brighter with every code


def tiff_passport(stack: TiffStack, number: int) -> Passport:
    """The metadata of a series: sizes, times, bits and channels, and what else there is by name."""
    found, page = _told(stack, number), stack.file.pages.first
    packed = page.bitspersample < 8 * stack.series[number].dtype.itemsize
    bits = {"SignificantBits": int(page.bitspersample)} if packed else {}
    return replace(found, pixels=bits | found.pixels)


def _told(stack: TiffStack, number: int) -> Passport:
    file = stack.file
    if file.is_ome and file.ome_metadata:
        with suppress(*DAMAGE, ElementTree.ParseError):
            root, order = ome_root(file.ome_metadata), count()
            found = of_ome(root, number, lambda *_: next(order))
            return replace(found, lost=(*unheld(root, number), *_others(file, found, _TOLD["OME"])))
    kinds = (one for kind, one in _READERS.items() if getattr(file, kind))
    all_of_it, reader = next(kinds, ("tags", _plain))
    found = Passport(lost=(all_of_it,))
    with suppress(*DAMAGE):
        found = reader(file)
        if reader is not _plain:
            found = replace(found, lost=(*found.lost, *_others(file, found, _TOLD[all_of_it])))
    interval = stack.interval(number)
    step = {} if interval is None else {"TimeIncrement": float(interval), "TimeIncrementUnit": "s"}
    return replace(found, pixels=found.pixels | step)


def _imagej(file: Any) -> Passport:
    facts = file.imagej_metadata or {}
    units = {axis: facts.get(f"{axis.lower()}unit", facts.get("unit", "")) for axis in "XYZ"}
    scale = {axis: _UNITS.get(str(unit).lower(), 0.0) for axis, unit in units.items()}
    steps = dict(zip("XY", _steps(file), strict=True)) | {
        "Z": abs(float(facts.get("spacing", 0.0)))
    }
    tables = [np.asarray(table) for table in facts.get("LUTs", [])]
    ramps = (np.abs(table - table[:, -1:] * _RAMP).max() <= 1 for table in tables)
    carried = _IMAGEJ | ({"LUTs"} if all(ramps) else set())
    return Passport(
        pixels=micrometres(**{axis: step * scale[axis] for axis, step in steps.items()}),
        channels=[{"Color": _colour(table[:, -1])} for table in tables],
        lost=tuple(f"ImageJ's {name}" for name in facts if name not in carried),
    )


def _colour(rgb: Iterable[Any]) -> int:
    """Red, green and blue as OME writes a colour."""
    red, green, blue, *_ = (int(part) for part in rgb)
    return ome_colour(red << 24 | green << 16 | blue << 8 | 255)


def _lsm(file: Any) -> Passport:
    facts = file.lsm_metadata
    colours = facts.get("ChannelColors") or {}
    channels: list[Facts] = [{"Name": str(name)} for name in colours.get("ColorNames", [])]
    for channel, colour in zip(channels, colours.get("Colors", []), strict=False):
        channel["Color"] = _colour(colour)
    sizes = micrometres(**{axis: facts[f"VoxelSize{axis}"] * _METRE for axis in "XYZ"})
    lost = "LSM metadata but for pixel size, time between frames and channels"
    return Passport(pixels=sizes, channels=channels, lost=(lost,))


def _stk(file: Any) -> Passport:
    facts = file.stk_metadata
    scale = _UNITS.get(str(facts.get("CalibrationUnits", "")).strip("\0 ").lower(), 0.0)
    steps = {axis: float(facts.get(f"{axis}Calibration", 0.0)) * scale for axis in "XY"}
    depths = [float(depth) for depth in facts.get("ZDistance", [])]
    steps["Z"] = abs(depths[0]) if depths else 0.0
    lost = "MetaMorph's metadata but for pixel size and time between frames"
    return Passport(pixels=micrometres(**steps), lost=(lost,))


def _plain(file: Any) -> Passport:
    page = file.pages.first
    unit = _PER.get(int(page.resolutionunit), 0.0)
    across, down = (step * unit for step in _steps(file)) if file.is_qpi else (0.0, 0.0)
    carried = STORAGE | (_RESOLUTION if across or not unit else frozenset())
    carried |= {_DESCRIPTION} if file.is_shaped else frozenset()  # tifffile's, of the axes
    return Passport(
        pixels=micrometres(X=across, Y=down),
        lost=tuple(_tags(file, carried)),
    )


def _others(file: Any, found: Passport, told: frozenset[int]) -> list[str]:
    """Tags beside those of a program's own metadata; the resolution is told by a pixel size."""
    sized = "PhysicalSizeX" in found.pixels or int(file.pages.first.resolutionunit) not in _PER
    return list(_tags(file, told | _RESOLUTION if sized else told))


def _tags(file: Any, known: Container[int]) -> Iterator[str]:
    """Names of the first page's tags but for known ones and those of storage."""
    return (str(tag.name) for tag in file.pages.first.tags
            if tag.code not in known and tag.code not in STORAGE)  # fmt: skip


# Tags that hold a program's own metadata, or repeat it.
_TOLD = {
    "OME": frozenset({_DESCRIPTION}), "ImageJ's metadata": frozenset({_DESCRIPTION, *_IJ}),
    "LSM metadata": frozenset({_LSM}), "MetaMorph's metadata": frozenset({_DESCRIPTION, *_UIC}),
}  # fmt: skip
# What is lost where a reader fails, and the reader.
_READERS = {
    "is_imagej": ("ImageJ's metadata", _imagej),
    "is_lsm": ("LSM metadata", _lsm),
    "is_stk": ("MetaMorph's metadata", _stk),
}


def _steps(file: Any) -> Iterator[float]:
    """Width and height of a pixel in the file's unit, 0 where it does not say."""
    for name in ("XResolution", "YResolution"):
        pixels, units = file.pages.first.tags.valueof(name) or (0, 1)
        yield units / pixels if pixels else 0.0
