"""Leica LIF, through the package liffile."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from f2rcli.io.microscopy.image import Image, Opened, Where, rows_of
from f2rcli.io.microscopy.passport import (
    Facts,
    Part,
    Passport,
    micrometres,
    ome_colour,
    steady,
    timed,
)
from f2rcli.io.tiff.library import DAMAGE

_TO_MICROMETRES = 1e6
_IMMERSION = {"GLYC": "Glycerol", "OIL": "Oil", "WATER": "Water", "DRY": "Air", "AIR": "Air"}
_LUTS = {"red": 0xFF0000FF, "green": 0x00FF00FF, "blue": 0x0000FFFF, "cyan": 0x00FFFFFF,
         "magenta": 0xFF00FFFF, "yellow": 0xFFFF00FF, "gray": 0xFFFFFFFF}  # fmt: skip


def open_lif(library: Any, path: Path) -> Opened:
    """An image per image of the project, but for those of single points and lines."""
    file = library.LifFile(path)
    pictures = [one for one in file.images if _is_picture(one.sizes)]
    others = [f"'{one.name}'" for one in file.images if not _is_picture(one.sizes)]
    remark = f"{' and '.join(others)} hold no pictures and are left out" if others else ""

    def image(one: Any) -> Image:
        rows = rows_of(dict(one.sizes))
        last = [rows, *(axis for axis in "XS" if axis in one.sizes)]
        outer = [axis for axis in one.sizes if axis not in last]
        sizes = {axis: int(one.sizes[axis]) for axis in (*outer, *last)}

        def read(where: Where) -> Any:
            if list(one.sizes) == list(sizes):
                return one.frame(**{axis: where.get(axis, 0) for axis in outer})
            index = tuple(where.get(axis, 0) if axis in outer else slice(None)
                          for axis in one.sizes)  # fmt: skip
            return one.asarray()[index]  # lines of all channels in turn: never large

        told = remark if one is pictures[0] else ""
        return Image(str(one.name), sizes, one.dtype, read, _passport(one, sizes), remark=told)

    return Opened(file, (image(one) for one in pictures))


def _is_picture(sizes: Any) -> bool:
    """Whether an image has columns, and an axis that can be its rows."""
    return "X" in sizes and not set(sizes) <= set("XSC")


def _passport(one: Any, sizes: dict[str, int]) -> Passport:
    coordinates: dict[str, Any] = getattr(one, "coords", {})
    rows = rows_of(sizes)
    letters = {"X": "X", rows: "Y", "Z" if rows == "Y" else "Y": "Z"}
    steps = {letter: _step(coordinates.get(axis)) for axis, letter in letters.items()
             if axis in "ZYX"}  # fmt: skip
    pixels = micrometres(**{axis: None if step is None else step * _TO_MICROMETRES
                            for axis, step in steps.items()})  # fmt: skip
    stamps = _stamps(one, sizes)
    if stamps is not None:
        pixels["AcquisitionDate"] = f"{stamps[0]}Z"
    times = [float(time) for time in coordinates.get("T", [])]
    pixels |= _bits(one)
    settings = _settings(one)
    return Passport(
        pixels=timed(pixels, times if rows != "T" else []),
        channels=_channels(one, sizes.get("C", 1)),
        planes=_planes(stamps),
        instrument=tuple(_instrument(settings)),
        medium=_named(settings, {"RefractiveIndex": "RefractionIndex"}),
        notes=_sweeps(coordinates, sizes) | _lines(rows, times),
        lost=tuple(_lost(one, settings, stamps)),
    )


def _lines(rows: str, times: list[float]) -> Facts:
    """The meaning of rows in a scan without Y."""
    if rows == "Y":
        return {}
    step = steady(times) if rows == "T" else None
    return {"Axis of the rows": rows} | ({} if step is None else {"Seconds between rows": step})


def _step(values: Any) -> float | None:
    return None if values is None or len(values) < 2 else float(abs(values[1] - values[0]))


def _bits(one: Any) -> Facts:
    """How many bits of its samples an image uses, where its channels say it."""
    with suppress(*DAMAGE):
        channels = one.xml_element.findall("./Data/Image/ImageDescription/Channels/*")
        bits = max(int(channel.get("Resolution", 0)) for channel in channels)
        return {"SignificantBits": bits} if 0 < bits < 8 * np.dtype(one.dtype).itemsize else {}
    return {}


def _stamps(one: Any, sizes: dict[str, int]) -> Any:
    """A time per picture; None where there are others, or none."""
    stamps = getattr(one, "timestamps", None)
    outer = [n for axis, n in sizes.items() if axis != "S"][:-2]
    count = int(np.prod(outer, dtype=np.int64))
    if stamps is None or len(stamps) != count:
        return None
    # Stamps come in the order of acquisition: the order of storage, if they never go back.
    return stamps if (np.diff(stamps).astype(np.int64) >= 0).all() else None


def _planes(stamps: Any) -> list[Facts]:
    if stamps is None:
        return []
    times = (stamps - stamps[0]).astype("timedelta64[ms]").astype(np.int64) / 1000
    return [{"DeltaT": float(time), "DeltaTUnit": "s"} for time in times]


def _settings(one: Any) -> dict[str, Any]:
    with suppress(*DAMAGE):
        hardware = one.attrs["HardwareSetting"]
        for name in ("ATLConfocalSettingDefinition", "ATLCameraSettingDefinition"):
            if isinstance(hardware.get(name), dict):
                return dict(hardware[name])
    return {}


def _channels(one: Any, count: int) -> list[Facts]:
    """Name, colour and wavelengths of the channels, where the image describes each of them."""
    with suppress(*DAMAGE):
        described = one.xml_element.findall("./Data/Image/ImageDescription/Channels/*")
        if len(described) == count:
            return [_channel(channel, number) for number, channel in enumerate(described)]
    return []


def _channel(channel: Any, number: int) -> Facts:
    own = {p.findtext("Key"): p.findtext("Value") for p in channel.findall("ChannelProperty")}
    lut = channel.get("LUTName", "")
    facts: Facts = {"Name": own.get("DyeName") or lut or f"channel {number + 1}"}
    if own.get("DyeName"):
        facts["Fluor"] = own["DyeName"]
    colour = _LUTS.get(lut.lower().replace("grey", "gray"))
    if colour is not None:
        facts["Color"] = ome_colour(colour)
    return facts


def _instrument(settings: dict[str, Any]) -> Iterator[Part]:
    if settings.get("MicroscopeModel"):
        yield "Microscope", {"Manufacturer": "Leica", "Model": settings["MicroscopeModel"]}
    if settings.get("ObjectiveName"):
        model = " ".join(str(settings["ObjectiveName"]).split())
        facts = {"Manufacturer": "Leica", "Model": model} | _named(
            settings, {"NominalMagnification": "Magnification", "LensNA": "NumericalAperture"}
        )
        immersion = str(settings.get("Immersion", "")).upper()
        if immersion:
            facts["Immersion"] = _IMMERSION.get(immersion, "Other")
        yield "Objective", facts


def _named(settings: dict[str, Any], names: dict[str, str]) -> Facts:
    return {ome: settings[name] for ome, name in names.items() if settings.get(name)}


def _sweeps(coordinates: dict[str, Any], sizes: dict[str, int]) -> Facts:
    """The wavelengths of a sweep, which OME's channels cannot hold."""
    words = {"λ": "Emission wavelengths in nm", "Λ": "Excitation wavelengths in nm"}
    return {
        words[axis]: " ".join(f"{value * 1e9:g}" for value in coordinates[axis])
        for axis in words
        if axis in sizes and axis in coordinates
    }


def _lost(one: Any, settings: dict[str, Any], stamps: Any) -> Iterator[str]:
    carried = {"filepath", "name", "path", "UniqueID"}
    for name in getattr(one, "attrs", {}):
        if name == "HardwareSetting" and settings:
            yield "HardwareSetting but for microscope and objective"
        elif name not in carried:
            yield name
    if stamps is None and getattr(one, "timestamps", None) is not None:
        yield "time of each picture"
    yield from dict.fromkeys(_lost_of_channels(one))


def _lost_of_channels(one: Any) -> Iterator[str]:
    with suppress(*DAMAGE):
        for channel in one.xml_element.findall("./Data/Image/ImageDescription/Channels/*"):
            names = [p.findtext("Key") for p in channel.findall("ChannelProperty")]
            yield from (f"{name} of channels" for name in names if name != "DyeName")
            if "DyeName" in names and channel.get("LUTName", "").lower() not in _LUTS:
                yield "LUTName of channels"
            yield from (f"{name} of channels" for name in ("NameOfMeasuredQuantity", "Unit")
                        if channel.get(name))  # fmt: skip
