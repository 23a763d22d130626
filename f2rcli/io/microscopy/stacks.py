"""Stacks of every kind, for those who read single pictures: microscopes' formats and TIFF."""

from contextlib import suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from f2rcli.io.microscopy.hdf5 import split_path
from f2rcli.io.microscopy.passport import Passport, micrometres, of_ome, ome_root
from f2rcli.io.microscopy.reader import MicroscopyFile, format_of
from f2rcli.io.tiff.file import TiffStack
from f2rcli.io.tiff.folder import open_stack as open_tiff
from f2rcli.io.tiff.library import DAMAGE
from f2rcli.io.tiff.stack import Stack

_MICROMETRES = {"micron": 1.0, "microns": 1.0, "um": 1.0, "µm": 1.0, "\\u00b5m": 1.0, "nm": 1e-3,
                "mm": 1e3, "cm": 1e4, "inch": 25400.0, "m": 1e6}  # fmt: skip


def open_stack(source: str) -> Stack:
    """A stack by its suffix or content. Raises InputError for what cannot be read."""
    path = Path(split_path(source)[0])
    return open_tiff(source) if format_of(path) is None else MicroscopyFile(path)


def passport_of(stack: Stack, number: int) -> Passport:
    """The metadata of a series, of a stack of any format."""
    if isinstance(stack, MicroscopyFile):
        return stack.passport(number)
    return _tiff_passport(stack, number) if isinstance(stack, TiffStack) else Passport()


def _tiff_passport(stack: TiffStack, number: int) -> Passport:
    """A TIFF file's metadata of a series; empty for plain TIFF."""
    file = stack.file
    if file.is_ome and file.ome_metadata:
        with suppress(*DAMAGE, ElementTree.ParseError):
            return of_ome(ome_root(file.ome_metadata), number, lambda *_: None)
    if file.is_imagej:
        return Passport(pixels=_imagej(file))
    return Passport()


def _imagej(file: Any) -> dict[str, Any]:
    facts = file.imagej_metadata or {}
    scale = _MICROMETRES.get(str(facts.get("unit", "")).lower())
    if scale is None:
        return {}
    page = file.pages.first
    steps = {axis: _size(page, name) for axis, name in (("X", "XResolution"), ("Y", "YResolution"))}
    steps["Z"] = float(facts.get("spacing", 0.0))
    sizes = micrometres(**{axis: step * scale for axis, step in steps.items()})
    interval = float(facts.get("finterval", 0.0) or 0.0)
    return sizes | ({"TimeIncrement": interval, "TimeIncrementUnit": "s"} if interval > 0 else {})


def _size(page: Any, name: str) -> float:
    pixels, units = page.tags.valueof(name) or (0, 1)
    return units / pixels if pixels else 0.0
