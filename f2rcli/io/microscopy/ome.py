"""Passports as metadata of an OME-TIFF: tifffile writes the most of it, the instrument follows."""

from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

from f2rcli.io.microscopy.passport import PARTS, Facts, Passport

_OME = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
_XSI = "http://www.w3.org/2001/XMLSchema-instance"


def ome_facts(passport: Passport, *, channels: int, pictures: int) -> dict[str, Any]:
    """The passport as tifffile takes it for an image of so many channels and pictures."""
    facts: dict[str, Any] = dict(passport.pixels)
    if len(passport.channels) == channels:
        facts["Channel"] = list(passport.channels)
    if len(passport.planes) == pictures:
        facts["Plane"] = list(passport.planes)
    if passport.notes:
        facts["MapAnnotation"] = {name: str(value) for name, value in passport.notes.items()}
    return facts


def with_instruments(xml: str, passports: Sequence[Passport]) -> str:
    """OME-XML with the instrument of each image, which tifffile cannot write."""
    if not any(passport.instrument for passport in passports):
        return xml
    ElementTree.register_namespace("", _OME)
    ElementTree.register_namespace("xsi", _XSI)
    root = ElementTree.fromstring(xml)
    images = root.findall(f"{{{_OME}}}Image")
    for number, (image, passport) in enumerate(zip(images, passports, strict=True)):
        if passport.instrument:
            root.insert(list(root).index(images[0]), _instrument(passport, number))
            _refer(image, passport, number)
    return _DECLARATION + ElementTree.tostring(root, encoding="unicode")


def _instrument(passport: Passport, number: int) -> ElementTree.Element:
    found = _element("Instrument", {"ID": f"Instrument:{number}"})
    for name, attributes in sorted(passport.instrument, key=lambda part: PARTS.index(part[0])):
        own = {} if name == "Microscope" else {"ID": f"{name}:{number}:{len(found)}"}
        found.append(_element(name, own | attributes))
    return found


def _refer(image: ElementTree.Element, passport: Passport, number: int) -> None:
    """Point an image to its instrument and objective, in the schema's order before Pixels."""
    place = next(i for i, child in enumerate(image) if child.tag.endswith("}Pixels"))
    if any(name == "Objective" for name, _ in passport.instrument):
        names = [name for name, _ in sorted(passport.instrument, key=lambda p: PARTS.index(p[0]))]
        own = {"ID": f"Objective:{number}:{names.index('Objective')}"}
        image.insert(place, _element("ObjectiveSettings", own | passport.medium))
    image.insert(place, _element("InstrumentRef", {"ID": f"Instrument:{number}"}))


def _element(name: str, attributes: Facts) -> ElementTree.Element:
    return ElementTree.Element(
        f"{{{_OME}}}{name}", {key: str(value) for key, value in attributes.items()}
    )
