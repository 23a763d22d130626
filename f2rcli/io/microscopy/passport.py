"""What a file says about an image besides its samples, in the words of OME-XML.

Names of facts are attributes of OME-XML 2016-06 (https://www.openmicroscopy.org/Schemas/OME/);
lengths of `pixels` are in micrometres and times in seconds unless a ...Unit beside them says else.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

from f2rcli.io.tiff.file import SECONDS

Facts = dict[str, Any]
Part = tuple[str, Facts]  # an element of Instrument: its name and its attributes

PARTS = ("Microscope", "Detector", "Objective")  # of an instrument, in the schema's order
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
}
_KEPT_OF_PLANES = {
    "time of each picture": ("DeltaT",),
    "exposure times": ("ExposureTime",),
    "stage positions": ("PositionX", "PositionY", "PositionZ"),
}


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
        scale = SECONDS.get(self.pixels.get("TimeIncrementUnit", "s"))
        value = self.pixels.get("TimeIncrement")
        return None if value is None or scale is None else float(value) * scale

    @property
    def kept(self) -> list[str]:
        """What it holds, in words."""
        sources = ((_KEPT, [self.pixels]), (_KEPT_OF_CHANNELS, self.channels),
                   (_KEPT_OF_PLANES, self.planes))  # fmt: skip
        words = [_held(word, names, facts) for table, facts in sources
                 for word, names in table.items()]  # fmt: skip
        words += [name.lower() for name, _ in self.instrument]
        return [*filter(None, words), *self.notes]


def _held(word: str, names: Sequence[str], facts: Sequence[Facts]) -> str:
    """The word for facts that are there; sizes name their axes."""
    there = [name for name in names if any(name in one for one in facts)]
    axes = " ".join(name[-1] for name in there) if word == "pixel size" else ""
    return f"{word} {axes}".rstrip() if there else ""


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


def ome_root(xml: str) -> ElementTree.Element:
    """OME-XML with names freed of their namespace. Raises ParseError."""
    root = ElementTree.fromstring(xml)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def of_ome(
    root: ElementTree.Element, number: int, place: Callable[[int, int, int], int | None]
) -> Passport:
    """The passport of image `number` in OME-XML.

    place: of a picture in the file's order, from its numbers along T, Z and C.
    """
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
                         for part in root.findall("Instrument/*") if part.tag in PARTS),
        medium={} if settings is None else
               {k: v for k, v in settings.attrib.items() if k != "ID"},
    )  # fmt: skip


def seconds(plane: Facts) -> float | None:
    """The time of a picture in seconds from the first."""
    scale = SECONDS.get(plane.get("DeltaTUnit", "s"))
    value = plane.get("DeltaT")
    return None if value is None or scale is None else float(value) * scale
