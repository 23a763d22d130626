"""What a stack says besides its samples: sizes, times, channels, and its own words in whole.

Names of facts of channels and planes are attributes of OME-XML 2016-06
(https://www.openmicroscopy.org/Schemas/OME/); a ...Unit beside a number is its unit.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import numpy as np

Facts = dict[str, Any]

PROVENANCE = "f2r"  # the namespace of the annotation that tells how f2r made a file
SOURCE = "f2r/source-metadata"  # and of the source's own metadata in whole
# Units of OME, words of ImageJ, and units of OME-Zarr (those of UDUNITS-2), in micrometres.
LENGTHS = {unit: size for units, size in {
    "fm femtometer": 1e-9, "pm picometer": 1e-6, "Å angstrom": 1e-4, "nm nanometer": 1e-3,
    "µm um \\u00b5m micron microns micrometer": 1.0, "mm millimeter": 1e3, "cm centimeter": 1e4,
    "dm decimeter": 1e5, "m meter": 1e6, "km kilometer": 1e9, "in. inch": 25400.0,
    "ft foot": 304800.0,
}.items() for unit in units.split()}  # fmt: skip
SECONDS = {unit: size for units, size in {  # the same
    "fs femtosecond": 1e-15, "ps picosecond": 1e-12, "ns nanosecond": 1e-9,
    "µs us microsecond": 1e-6, "ms msec millisecond": 1e-3, "cs centisecond": 1e-2,
    "ds decisecond": 0.1, "s sec second": 1.0, "min minute": 60.0, "h hr hour": 3600.0,
    "d day": 86400.0,
}.items() for unit in units.split()}  # fmt: skip
_STEADY = 0.1  # steps of time count as one interval as long as they differ by less from their mean
BITS = "significant bits"
_WORDS = {
    "Name": "names of channels", "Color": "colours of channels",
    "EmissionWavelength": "wavelengths", "ExcitationWavelength": "wavelengths",
    "DeltaT": "time of each picture", "ExposureTime": "exposure times",
    "PositionX": "stage positions", "PositionY": "stage positions",
}  # fmt: skip
_RAMP = np.arange(256) / 255  # a table that shows one colour, brighter with every code


def number_of(value: Any) -> float | None:
    """A finite number, or text that is one; else None."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def steady(times: Sequence[float]) -> float | None:
    """The step of times in even succession; None where they are uneven, or fewer than two."""
    steps = [after - before for before, after in pairwise(times)]
    mean = sum(steps) / len(steps) if steps else 0.0
    even = mean > 0 and all(abs(step - mean) <= _STEADY * mean for step in steps)
    return mean if even and math.isfinite(mean) else None


def scaled(value: Any, unit: Any, table: dict[str, float] = LENGTHS) -> float | None:
    """A number times its unit; None where either is unknown."""
    number, scale = number_of(value), table.get(str(unit).strip("\0 ").lower())
    scale = table.get(str(unit)) if scale is None else scale
    return None if number is None or scale is None else number * scale


def ome_colour(red: int, green: int, blue: int) -> int:
    """A colour as OME writes it: red, green, blue and alpha, a byte each, signed."""
    rgba = red << 24 | green << 16 | blue << 8 | 255
    return rgba - (1 << 32) if rgba >= 1 << 31 else rgba


def colour_of(facts: Facts) -> str | None:
    """`rrggbb` of a channel; None where it says no colour."""
    number = number_of(facts.get("Color"))
    return None if number is None else f"{int(number) >> 8 & 0xFFFFFF:06x}"


def parsed(xml: str) -> ElementTree.Element | None:
    """XML, names freed of their namespace; None where it is none."""
    try:
        root = ElementTree.fromstring(xml)
    except (ElementTree.ParseError, ValueError):
        return None
    for element in root.iter():
        element.tag = str(element.tag).rpartition("}")[2]
    return root


def place_of(outer: dict[str, int], **at: int) -> int | None:
    """The place of a picture by its numbers of T, Z and C, among axes of these sizes."""
    index = [at.get(axis, 0) for axis in outer]
    there = all(number < size for number, size in zip(index, outer.values(), strict=True))
    return int(np.ravel_multi_index(index or [0], [*outer.values()] or [1])) if there else None


def ome_annotation(root: ElementTree.Element, namespace: str) -> str:
    """The text of a comment in OME-XML (see `parsed`), by its namespace; "" for none."""
    found = root.find(f"StructuredAnnotations/CommentAnnotation[@Namespace='{namespace}']/Value")
    return "" if found is None else (found.text or "").strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """Facts of a series. Empty where its file does not say them."""

    # Micrometres a pixel along X, Y, Z, and the same in no unit that is known; what is no size is
    # left out.
    sizes: dict[str, Any] = field(default_factory=dict)
    relative: dict[str, Any] = field(default_factory=dict)
    interval: float | None = None  # seconds from frame to frame
    bits: int | None = None  # significant bits of a sample
    date: str = ""  # of the recording, as ISO 8601
    channels: Sequence[Facts] = ()  # per channel; none or all
    planes: Sequence[Facts] = ()  # per picture, in the order of the axes; none or all
    own: str = ""  # the file's own metadata in whole: XML, JSON or text

    def __post_init__(self) -> None:
        for name in ("sizes", "relative"):
            said = ((axis, number_of(step)) for axis, step in getattr(self, name).items())
            object.__setattr__(self, name, {a: step for a, step in said if step and step > 0})

    def words(self) -> list[str]:
        """What is known, as receipts name it."""
        found = [f"pixel size {' '.join(sorted(self.sizes))}"] if self.sizes else []
        found += [f"proportions {' '.join(sorted(self.relative))}"] if self.relative else []
        found += ["time between frames"] if self.interval is not None else []
        found += [BITS] if self.bits is not None else []
        found += ["date"] if self.date else []
        names = {name for one in (*self.channels, *self.planes) for name in one}
        return list(dict.fromkeys([*found, *(w for n, w in _WORDS.items() if n in names)]))

    def times(self, outer: dict[str, int]) -> list[float]:
        """Seconds of the first picture of each frame, as far as pictures say them."""
        places = (place_of(outer, T=t) or 0 for t in range(outer.get("T", 1)))
        first = [self.planes[at] for at in places if at < len(self.planes)]
        told = (scaled(one.get("DeltaT"), one.get("DeltaTUnit", "s"), SECONDS) for one in first)
        return [time for time in told if time is not None]

    @classmethod
    def of_ome(
        cls, root: ElementTree.Element | None, number: int, outer: dict[str, int]
    ) -> "Metadata":
        """Image `number` of OME-XML (see `parsed`). outer: sizes of axes that count pictures."""
        images = [] if root is None else root.findall("Image")
        pixels = images[number].find("Pixels") if number < len(images) else None
        if pixels is None:
            return cls()
        planes: dict[int, Facts] = {}
        for plane in pixels.findall("Plane"):
            at = place_of(outer, **{a: int(number_of(plane.get(f"The{a}")) or 0) for a in "TZC"})
            if at is not None:
                planes[at] = {k: v for k, v in plane.attrib.items() if not k.startswith("The")}
        said, every = pixels.attrib, range(math.prod(outer.values()) if planes else 0)
        stated = {axis: number_of(said.get(f"PhysicalSize{axis}")) for axis in "XYZ"}
        steps = {a: scaled(stated[a], said.get(f"PhysicalSize{a}Unit", "µm")) for a in "XYZ"}
        bits = number_of(said.get("SignificantBits"))
        return cls(
            sizes=steps, relative={a: stated[a] for a in "XYZ" if steps[a] is None},
            interval=scaled(said.get("TimeIncrement"), said.get("TimeIncrementUnit", "s"), SECONDS),
            bits=None if bits is None else int(bits),
            date=images[number].findtext("AcquisitionDate") or "",
            channels=[{k: v for k, v in one.attrib.items() if k not in ("ID", "SamplesPerPixel")}
                      for one in pixels.findall("Channel")],
            planes=[planes.get(at, {}) for at in every],
        )  # fmt: skip

    # Of programs that write TIFF, as tifffile reads their metadata:

    @classmethod
    def of_imagej(cls, said: Facts, resolution: tuple[float, float] | None) -> "Metadata":
        """resolution: pixels in the file's unit across and down."""
        units = {axis: said.get(f"{axis.lower()}unit", said.get("unit", "")) for axis in "XYZ"}
        across, down = resolution or (math.inf, math.inf)
        steps = {"X": 1 / across, "Y": 1 / down, "Z": abs(number_of(said.get("spacing")) or 0.0)}
        tables = said.get("LUTs", [])
        tables = [tables] if isinstance(tables, np.ndarray) else tables  # one alone is no list
        colours = [{"Color": ome_colour(*map(int, table[:3, -1]))} for table in tables]
        ramps = all(np.abs(table - table[:, -1:] * _RAMP).max() <= 1 for table in tables)
        return cls(
            sizes={axis: scaled(steps[axis], units[axis]) for axis in steps},
            interval=scaled(said.get("finterval"), said.get("tunit", "s"), SECONDS),
            channels=colours if ramps else [],
        )

    @classmethod
    def of_lsm(cls, said: Facts) -> "Metadata":
        """Zeiss LSM."""
        colours = said.get("ChannelColors") or {}
        channels: list[Facts] = [{"Name": str(name)} for name in colours.get("ColorNames", [])]
        for channel, colour in zip(channels, colours.get("Colors", []), strict=False):
            if len(colour) >= 3:
                channel["Color"] = ome_colour(*(int(part) for part in colour[:3]))
        steps = {axis: scaled(said.get(f"VoxelSize{axis}"), "m") for axis in "XYZ"}
        interval = number_of(said.get("TimeIntervall")) or None
        return cls(sizes=steps, interval=interval, channels=channels)

    @classmethod
    def of_metamorph(cls, said: Facts, frames: int) -> "Metadata":
        """MetaMorph STK; frames: along time, 1 for a depth."""
        unit = said.get("CalibrationUnits", "")
        depths = [] if said.get("ZDistance") is None else said["ZDistance"]
        steps = {axis: scaled(said.get(f"{axis}Calibration"), unit) for axis in "XY"}
        steps["Z"] = scaled(next((abs(float(depth)) for depth in depths), None), unit)
        created = said.get("DatetimeCreated")
        times = [] if created is None else [int(time) * 1e-9 for time in created]  # nanoseconds
        return cls(sizes=steps, interval=steady(times) if frames > 1 else None)

    @classmethod
    def of_micromanager(cls, said: Facts, names: Sequence[Any]) -> "Metadata":
        """The header of Micro-Manager's NDTiff; names: of channels, as its index has them."""
        summary = said.get("Summary")
        summary = summary if isinstance(summary, dict) else {}
        size, step = (number_of(summary.get(name)) for name in ("PixelSize_um", "Interval_ms"))
        interval = step / 1000 if step is not None and step > 0 else None
        channels = [{"Name": name} for name in names if isinstance(name, str)]
        return cls(
            sizes={"X": size, "Y": size}, interval=interval, own=json.dumps(said), channels=channels
        )
