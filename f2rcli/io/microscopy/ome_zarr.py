"""OME-Zarr (NGFF) 0.1 to 0.5, through the package zarr."""

import re
from pathlib import Path
from typing import Any

from f2rcli.io.microscopy.image import Image, Opened, Where, unsupported
from f2rcli.io.microscopy.passport import Facts, Passport, micrometres

_BEFORE_AXES = ("t", "c", "z", "y", "x")  # of versions 0.1 and 0.2, which do not name them
# Units of the specification, after UDUNITS-2, in micrometres and seconds.
_LENGTHS = {"angstrom": 1e-4, "picometer": 1e-6, "nanometer": 1e-3, "micrometer": 1.0,
            "millimeter": 1e3, "centimeter": 1e4, "decimeter": 1e5, "meter": 1e6,
            "kilometer": 1e9, "inch": 25400.0, "foot": 304800.0, "yard": 914400.0,
            "mile": 1.609344e9}  # fmt: skip
_TIMES = {"picosecond": 1e-12, "nanosecond": 1e-9, "microsecond": 1e-6, "millisecond": 1e-3,
          "centisecond": 1e-2, "decisecond": 0.1, "second": 1.0, "minute": 60.0, "hour": 3600.0,
          "day": 86400.0}  # fmt: skip
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
    lost = [name for name in attributes if name not in _CARRIED]
    lost += [name for name in metadata if name not in _CARRIED and name not in lost]
    lost += ["labels"] if "labels" in group else []

    def image(scales: dict[str, Any]) -> Image:
        array = group[scales["datasets"][0]["path"]]
        axes = axes_of(scales, array.ndim)
        names = [str(axis["name"]).upper() for axis in axes]
        sizes = dict(zip(names, array.shape, strict=True))

        def read(where: Where) -> Any:
            return array[tuple(slice(None) if a in "YX" else where.get(a, 0) for a in names)]

        kept = {"type": "mean"}  # as f2r's own levels are made
        own = [f"{name} of multiscales" for name in ("type", "metadata")
               if name in scales and scales[name] != kept.get(name)]  # fmt: skip
        omero = metadata.get("omero", {})
        passport = Passport(
            pixels=_scaled(scales, axes),
            channels=[_channel(one) for one in omero.get("channels", [])],
            lost=(*lost, *own, *(f"omero {name}" for name in omero if name == "rdefs")),
        )
        return Image(
            str(scales.get("name", "")), sizes, array.dtype, read, passport,
            lacking=array.nchunks - array.nchunks_initialized, fill=array.fill_value,
        )  # fmt: skip

    return Opened(group, (image(scales) for scales in metadata["multiscales"]))


def axes_of(scales: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """The axes of a multiscale as version 0.4 writes them: named ones of all versions, or the last
    ones of t, c, z, y, x."""
    axes = scales.get("axes") or _BEFORE_AXES[-count:]
    return [{"name": axis} if isinstance(axis, str) else axis for axis in axes]


def _scaled(scales: dict[str, Any], axes: list[dict[str, Any]]) -> Facts:
    """Pixel sizes and the interval of frames, of axes that state a unit f2r knows."""
    steps = [1.0] * len(axes)
    for owner in (scales["datasets"][0], scales):
        for transform in owner.get("coordinateTransformations", []):
            if transform.get("type") == "scale" and "scale" in transform:
                steps = [a * float(b) for a, b in zip(steps, transform["scale"], strict=True)]
    lengths: dict[str, float | None] = {}
    facts: Facts = {}
    for axis, step in zip(axes, steps, strict=True):
        name, unit = axis["name"], str(axis.get("unit", ""))
        if name in ("x", "y", "z") and unit in _LENGTHS:
            lengths[name.upper()] = step * _LENGTHS[unit]
        if name == "t" and unit in _TIMES:
            facts |= {"TimeIncrement": step * _TIMES[unit], "TimeIncrementUnit": "s"}
    return micrometres(**lengths) | facts


def _channel(one: dict[str, Any]) -> Facts:
    facts: Facts = {}
    if one.get("label"):
        facts["Name"] = str(one["label"])
    colour = str(one.get("color", ""))
    if re.fullmatch("[0-9A-Fa-f]{6}", colour):
        number = int(colour + "FF", 16)
        facts["Color"] = number - (1 << 32) if number >= 1 << 31 else number  # it is signed
    return facts
