"""OME-Zarr (NGFF) 0.1 to 0.5, through the package zarr."""

import math
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import numpy as np

from f2rcli.io.microscopy.image import Image, Opened, Where, unsupported
from f2rcli.io.microscopy.passport import LENGTHS, Facts, Passport, micrometres, ome_colour
from f2rcli.io.tiff.axes import LETTER_OF, check_samples
from f2rcli.io.tiff.file import SECONDS

_BEFORE_AXES = ("t", "c", "z", "y", "x")  # of versions 0.1 and 0.2, which do not name them
# Units of OME-XML in the specification's words, which are those of UDUNITS-2.
UNITS = {"fm": "femtometer", "pm": "picometer", "Å": "angstrom", "nm": "nanometer",
         "µm": "micrometer", "mm": "millimeter", "cm": "centimeter", "dm": "decimeter",
         "m": "meter", "hm": "hectometer", "km": "kilometer", "Mm": "megameter", "in.": "inch",
         "ft": "foot", "yd": "yard", "mi": "mile", "pc": "parsec",
         "fs": "femtosecond", "ps": "picosecond", "ns": "nanosecond", "µs": "microsecond",
         "ms": "millisecond", "cs": "centisecond", "ds": "decisecond", "s": "second",
         "min": "minute", "h": "hour", "d": "day"}  # fmt: skip
RELATIVE = "reference frame"  # OME-XML's unit for lengths without one
_LENGTHS, _TIMES = (
    {UNITS[unit]: size for unit, size in sizes.items() if unit in UNITS}
    for sizes in (LENGTHS, SECONDS)
)  # in micrometres and seconds
_AXES = "_ARRAY_DIMENSIONS"  # of an array, in xarray's words
_OWN_FILES = {"zarr.json", ".zgroup", ".zattrs", ".zmetadata"}
PROVENANCE = "f2r"  # the attribute of a group that tells how f2r made it
_CARRIED = {"multiscales", "omero", "version", "ome", PROVENANCE}


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr group, whatever its name."""
    return any((path / name).is_file() for name in ("zarr.json", ".zgroup"))


def open_zarr(library: Any, path: Path) -> Opened:
    """An image per multiscale: its largest level. A plate or collection is refused."""
    group = library.open_group(str(path), mode="r")
    attributes = dict(group.attrs)
    metadata = attributes.get("ome", attributes)
    if "multiscales" not in metadata:
        kind = next((word for word in ("plate", "well", "bioformats2raw.layout")
                     if word in metadata), None)  # fmt: skip
        if kind is not None:
            raise unsupported(path, f"an OME-Zarr {kind.split('.')[0]} is",
                              "Pass one of the images inside it, e.g. its folder 0.")  # fmt: skip
        raise unsupported(path, "a Zarr folder without multiscales (OME-Zarr) is",
                          "Pass the folder of an OME-Zarr image.")  # fmt: skip
    if any("coordinateSystems" in scales for scales in metadata["multiscales"]):
        raise unsupported(path, f"OME-Zarr of version {metadata.get('version', '0.6')} is",
                          "Save it as version 0.5 or before.")  # fmt: skip
    lost = list(_left_behind(attributes, metadata, path))

    def image(scales: dict[str, Any]) -> Image:
        array = group[scales["datasets"][0]["path"]]
        check_samples(array.dtype, path.name)
        axes = axes_of(scales, array.ndim)
        names = _letters(axes)
        if not {"Y", "X"} <= set(names) or len({*names}) != array.ndim or len(axes) != array.ndim:
            words = ", ".join(str(axis["name"]) for axis in axes)
            raise unsupported(path, f"an array of {array.ndim} axes named {words} is",
                              "Name each of them, y and x among them.")  # fmt: skip
        sizes = dict(zip(names, array.shape, strict=True))

        def read(where: Where) -> Any:
            return array[tuple(slice(None) if a in "YX" else where.get(a, 0) for a in names)]

        kept = {"type": "mean"}  # as f2r's own levels are made
        told = [f"attribute {name} of {array.basename}" for name in array.attrs if name != _AXES]
        own = [f"{name} of multiscales" for name in ("type", "metadata")
               if name in scales and scales[name] != kept.get(name)]  # fmt: skip
        omero = metadata.get("omero") or {}
        shown = _display(omero, array.dtype)
        passport = Passport(
            pixels=_scaled(scales, axes),
            channels=[_channel(one) for one in omero.get("channels") or []],
            lost=tuple(
                dict.fromkeys(
                    (*lost, *told, *own, *_transforms(scales, axes), *_strange(axes), *shown)
                )
            ),
        )
        return Image(
            str(scales.get("name", "")), sizes, array.dtype, read, passport,
            lacking=array.nchunks - array.nchunks_initialized, fill=array.fill_value,
        )  # fmt: skip

    return Opened(group, (image(scales) for scales in metadata["multiscales"]))


def _left_behind(attributes: dict[str, Any], metadata: dict[str, Any], path: Path) -> Iterator[str]:
    """Attributes of a group that no output has, then what its folder holds beside the levels."""
    yield from (name for name in {**attributes, **metadata} if name not in _CARRIED)
    levels = {level["path"] for scales in metadata["multiscales"] for level in scales["datasets"]}
    inside = (one.name for one in path.iterdir() if one.name not in _OWN_FILES)
    yield from sorted(n for n in inside if not any(f"{at}/".startswith(f"{n}/") for at in levels))


def axes_of(scales: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """The axes of a multiscale as in version 0.4: the named ones, or the last of t, c, z, y, x."""
    axes = scales.get("axes") or _BEFORE_AXES[-count:]
    return [{"name": axis} if isinstance(axis, str) else axis for axis in axes]


def _letters(axes: list[dict[str, Any]]) -> list[str]:
    """A letter for each axis: its name, or for a longer name that of the word, of its type or its
    first."""
    words = (str(axis["name"]) for axis in axes)
    names = [(word if len(word) == 1 else LETTER_OF.get(word.lower(), word)).upper()
             for word in words]  # fmt: skip
    for place, (name, axis) in enumerate(zip(names, axes, strict=True)):
        if len(name) != 1:
            first = {"time": "T", "channel": "C"}.get(str(axis.get("type")), name[:1])
            free = (one for one in (first, *ascii_uppercase) if one not in names)
            names[place] = next(one for one in free if one.isalpha())
    return names


def _all_transforms(scales: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Of the largest level, those of all levels last."""
    for owner in (scales["datasets"][0], scales):
        yield from owner.get("coordinateTransformations", [])


def _steps(transform: dict[str, Any], count: int) -> list[float] | None:
    """The steps of a scale along so many axes; None where it says none."""
    with suppress(KeyError, TypeError, ValueError):
        steps = [float(step) for step in transform["scale"]]
        return steps if len(steps) == count else None
    return None


def _transforms(scales: dict[str, Any], axes: list[dict[str, Any]]) -> Iterator[str]:
    """Transforms that move or turn the picture, which no output has, and unreadable scales."""
    for transform in _all_transforms(scales):
        kind = str(transform.get("type"))
        if kind == "scale" and _steps(transform, len(axes)) is None:
            yield kind
        if kind not in ("scale", "identity") and any(transform.get(kind) or [1]):
            yield kind


def _strange(axes: list[dict[str, Any]]) -> Iterator[str]:
    """Units that f2r does not know."""
    for axis in axes:
        unit = str(axis.get("unit") or "")
        if unit and unit not in (*_LENGTHS, *_TIMES):
            yield f"unit {unit} of axis {axis['name']}"


def _display(omero: dict[str, Any], dtype: Any) -> Iterator[str]:
    """How the file wants to be shown, by name, but for what every output has."""
    yield from (f"omero {name}" for name in omero if name not in ("channels", "version"))
    own = {"active": True, "window": window_of(dtype)}
    for channel in omero.get("channels") or []:
        if channel.get("color") and "Color" not in _channel(channel):
            yield "color of channels"
        for name, value in channel.items():
            if name not in ("label", "color") and own.get(name) != value:
                yield f"{name} of channels"


def window_of(dtype: Any) -> Facts:
    """The window of a channel that shows every code, or 0 to 1 of floats."""
    high = 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)
    return {"min": 0, "max": high, "start": 0, "end": high}


def _scaled(scales: dict[str, Any], axes: list[dict[str, Any]]) -> Facts:
    """Pixel sizes, and the interval of frames where they state a unit that f2r knows."""
    steps = ones = [1.0] * len(axes)
    for transform in _all_transforms(scales):
        more = _steps(transform, len(axes)) if transform.get("type") == "scale" else None
        steps = [a * b for a, b in zip(steps, more or ones, strict=True)]
    lengths: dict[str, float | None] = {}
    facts: Facts = {}
    for letter, axis, step in zip(_letters(axes), axes, steps, strict=True):
        unit = str(axis.get("unit", ""))
        if not 0 < step < math.inf:
            continue
        if letter in "XYZ" and unit in _LENGTHS:
            lengths[letter] = step * _LENGTHS[unit]
        elif letter in "XYZ" and step != 1:
            facts |= {f"PhysicalSize{letter}": step, f"PhysicalSize{letter}Unit": RELATIVE}
        elif letter == "T" and unit in _TIMES:
            facts |= {"TimeIncrement": step * _TIMES[unit], "TimeIncrementUnit": "s"}
    return micrometres(**lengths) | facts


def _channel(one: dict[str, Any]) -> Facts:
    facts: Facts = {}
    if one.get("label"):
        facts["Name"] = str(one["label"])
    colour = re.fullmatch("#?([0-9A-Fa-f]{6})([0-9A-Fa-f]{2})?", str(one.get("color", "")))
    if colour:
        facts["Color"] = ome_colour(int(colour[1] + "FF", 16))
    return facts
