"""An image's metadata besides its samples, in the words of OME-XML.

Names of facts are attributes of OME-XML 2016-06 (https://www.openmicroscopy.org/Schemas/OME/);
lengths of `pixels` are in micrometres and times in seconds unless a ...Unit beside them says else.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

from f2rcli.io.tiff.file import SECONDS
from f2rcli.io.tiff.provenance import NAMESPACE

Facts = dict[str, Any]
Part = tuple[str, Facts]  # an element of Instrument: its name and its attributes

PARTS = ("Microscope", "Detector", "Objective")  # of an instrument, in the schema's order
LENGTHS = {"fm": 1e-9, "pm": 1e-6, "Å": 1e-4, "nm": 1e-3, "µm": 1.0, "mm": 1e3, "cm": 1e4,
           "dm": 1e5, "m": 1e6, "hm": 1e8, "km": 1e9, "Mm": 1e12, "in.": 25400.0, "ft": 304800.0,
           "yd": 914400.0, "mi": 1.609344e9, "pc": 3.0856776e22}  # in micrometres  # fmt: skip
_ROUNDING = 1e-6
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_STEADY = 0.1  # steps of time count as one interval as long as they differ by less from their mean
_KEPT = {
    "pixel size": ("PhysicalSizeX", "PhysicalSizeY", "PhysicalSizeZ"),
    "time between frames": ("TimeIncrement",),
    "significant bits": ("SignificantBits",),
    "date": ("AcquisitionDate",),
    "description": ("Description",),
}
_KEPT_OF_CHANNELS = {
    "names of channels": ("Name",),
    "colours of channels": ("Color",),
    "dyes": ("Fluor",),
    "wavelengths": ("EmissionWavelength", "ExcitationWavelength"),
    "pinhole": ("PinholeSize",),
    "modes of channels": (
        "AcquisitionMode",
        "ContrastMethod",
        "IlluminationType",
        "NDFilter",
        "PockelCellSetting",
    ),
}
_KEPT_OF_PLANES = {
    "time of each picture": ("DeltaT",),
    "exposure times": ("ExposureTime",),
    "stage positions": ("PositionX", "PositionY", "PositionZ"),
}
# Elements that a passport holds, or that hold those; how samples are stored is no fact.
_HELD = {"Image", "AcquisitionDate", "Description", "ObjectiveSettings", "Pixels", "Channel",
         "Plane", "TiffData", "BinData", "MetadataOnly", "Instrument", "StructuredAnnotations",
         *PARTS}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Passport:
    """Facts of an image. Empty where its file does not say them."""

    pixels: Facts = field(default_factory=dict)  # of Pixels; Description and AcquisitionDate
    channels: Sequence[Facts] = ()  # per channel; none or all
    planes: Sequence[Facts] = ()  # per picture, in the order of the axes; none or all
    instrument: tuple[Part, ...] = ()
    medium: Facts = field(default_factory=dict)  # of ObjectiveSettings
    notes: Facts = field(default_factory=dict)  # what has no place of its own: name and value
    lost: tuple[str, ...] = ()  # what is not carried, by name

    @property
    def interval(self) -> float | None:
        """Seconds from frame to frame."""
        return seconds(self.pixels, "TimeIncrement")

    @property
    def kept(self) -> list[str]:
        """Its contents, in words."""
        return list(self._held())

    def without(self, other: "Passport") -> list[str]:
        """Contents that another passport lacks or has otherwise, in the words of `kept`."""
        theirs = other._held()
        return [word for word, facts in self._held().items()
                if not _alike(facts, theirs.get(word, []))]  # fmt: skip

    def _held(self) -> dict[str, list[Any]]:
        held = (
            _facts(_KEPT, [self.pixels]) | _facts(_KEPT_OF_CHANNELS, self.channels)
            | _facts(_KEPT_OF_PLANES, self.planes)
        )  # fmt: skip
        for name, part in self.instrument:
            held.setdefault(name.lower(), []).extend(_value(part, key) for key in sorted(part))
        if self.medium:
            held["objective settings"] = [_value(self.medium, key) for key in sorted(self.medium)]
        return held | {name: [_value(self.notes, name)] for name in self.notes}


def _facts(table: dict[str, tuple[str, ...]], facts: Sequence[Facts]) -> dict[str, list[Any]]:
    """Values by the words for them; sizes name their axes."""
    found = {}
    for word, names in table.items():
        there = [name for name in names if any(name in one for one in facts)]
        axes = " ".join(name[-1] for name in there) if word == "pixel size" else ""
        if there:
            found[f"{word} {axes}".rstrip()] = [_value(one, name) for one in facts
                                                for name in there]  # fmt: skip
    return found


def _value(facts: Facts, name: str) -> Any:
    """A fact in micrometres or seconds, where it has a unit of either; colours without alpha."""
    value, unit = facts.get(name), str(facts.get(f"{name}Unit", ""))
    if value is None:
        return None
    number = _number(value)
    if name == "Color" and number is not None:
        return int(number) >> 8 & 0xFFFFFF
    if number is None:
        return " ".join(in_xml(str(value)).split())  # XML knows one end of line
    return number * {**LENGTHS, **SECONDS}.get(unit, 1.0)


def _number(value: Any) -> float | None:
    with suppress(ValueError):
        number = float(str(value))
        return number if math.isfinite(number) else None
    return None


def _alike(ours: Sequence[Any], theirs: Sequence[Any]) -> bool:
    """Whether the values that are there are the same, but for the rounding of numbers as text."""
    return len(ours) == len(theirs) and all(
        one is None or one == other
        or (isinstance(one, float) and isinstance(other, float)
            and math.isclose(one, other, rel_tol=_ROUNDING))
        for one, other in zip(ours, theirs, strict=True)
    )  # fmt: skip


def steady(times: Sequence[float]) -> float | None:
    """The step of times in even succession; None where they are uneven, or fewer than two."""
    steps = [after - before for before, after in pairwise(times)]
    if not steps:
        return None
    mean = sum(steps) / len(steps)
    even = mean > 0 and all(abs(step - mean) <= _STEADY * mean for step in steps)
    return mean if even and math.isfinite(mean) else None


def timed(pixels: Facts, times: Sequence[float]) -> Facts:
    """The facts of an image with the interval of its frames, where they are even."""
    step = steady(times)
    return pixels | ({} if step is None else {"TimeIncrement": step, "TimeIncrementUnit": "s"})


def micrometres(**sizes: float | None) -> Facts:
    """PhysicalSize of the axes whose step in micrometres is known."""
    facts: Facts = {}
    for axis, step in sizes.items():
        if step and math.isfinite(step) and step > 0:
            facts |= {f"PhysicalSize{axis}": float(step), f"PhysicalSize{axis}Unit": "µm"}
    return facts


def ome_colour(rgba: int) -> int:
    """Red, green, blue and alpha, a byte each, as OME writes a colour: signed."""
    return rgba - (1 << 32) if rgba >= 1 << 31 else rgba


def in_xml(value: Any) -> Any:
    """A fact, its text without the characters that XML has no place for."""
    return _NOT_IN_XML.sub("", value) if isinstance(value, str) else value


def ome_root(xml: str) -> ElementTree.Element:
    """OME-XML with names freed of their namespace. Raises ParseError."""
    root = ElementTree.fromstring(xml)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def of_ome(
    root: ElementTree.Element, number: int, place: Callable[[int, int, int], int | None]
) -> Passport:
    """The passport of image `number` in OME-XML. place: a picture's, by its T, Z and C numbers."""
    image = root.findall("Image")[number]
    pixels = image.find("Pixels")
    if pixels is None:
        return Passport()
    planes: dict[int, Facts] = {}
    for plane in pixels.findall("Plane"):
        at = place(*(int(plane.get(f"The{axis}", 0)) for axis in "TZC"))
        if at is not None:
            planes[at] = {k: v for k, v in plane.attrib.items() if not k.startswith("The")}
    facts: Facts = {
        k: v
        for k, v in pixels.attrib.items()
        if k.startswith(("Physical", "Signif", "TimeIncrement"))
    }
    facts |= {tag: image.findtext(tag) for tag in ("AcquisitionDate", "Description")
              if image.findtext(tag)}  # fmt: skip
    settings = image.find("ObjectiveSettings")
    return Passport(
        pixels=facts,
        channels=[{k: v for k, v in one.attrib.items() if k not in ("ID", "SamplesPerPixel")}
                  for one in pixels.findall("Channel")],
        planes=[planes[at] for at in sorted(planes)],
        instrument=tuple((part.tag, {k: v for k, v in part.attrib.items() if k != "ID"})
                         for part in _parts(root, image) if part.tag in PARTS),
        medium={} if settings is None else
               {k: v for k, v in settings.attrib.items() if k != "ID"},
    )  # fmt: skip


def unheld(root: ElementTree.Element, number: int) -> tuple[str, ...]:
    """Elements of OME-XML about an image that no passport holds, by name, each once."""
    images = root.findall("Image")
    own = [one for one in root if one not in images or one is images[number]]
    return tuple(dict.fromkeys(name for one in own for name in _unheld(one)))


def _unheld(element: ElementTree.Element) -> Iterator[str]:
    if element.tag in _HELD:
        for child in element:
            yield from _unheld(child)
    elif element.tag.endswith("Ref") or element.get("Namespace") == NAMESPACE:
        return
    elif element.attrib or len(element) or (element.text or "").strip():
        yield element.tag


def _parts(root: ElementTree.Element, image: ElementTree.Element) -> list[ElementTree.Element]:
    """The parts of the instrument that an image refers to; of all, where it refers to none."""
    refers = image.find("InstrumentRef")
    chosen = "" if refers is None else f"[@ID='{refers.get('ID', '')}']"
    return root.findall(f"Instrument{chosen}/*")


def seconds(facts: Facts, name: str = "DeltaT") -> float | None:
    """A time in seconds: that of a picture, from the first, by default."""
    scale, value = SECONDS.get(facts.get(f"{name}Unit", "s")), facts.get(name)
    return None if value is None or scale is None else float(value) * scale
