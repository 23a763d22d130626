"""Passports as metadata of an OME-TIFF: tifffile writes the most of it, the instrument follows."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any
from xml.etree import ElementTree

from f2rcli.io.microscopy.passport import PARTS, Facts, Passport, in_xml, of_ome, ome_root

_OME = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
_XSI = "http://www.w3.org/2001/XMLSchema-instance"


def ome_facts(passport: Passport, *, channels: int, pictures: int) -> dict[str, Any]:
    """The passport as tifffile takes it for an image of so many channels and pictures."""
    facts: dict[str, Any] = _fit(passport.pixels)
    if len(passport.channels) == channels:
        facts["Channel"] = [_fit(one) for one in passport.channels]
    if len(passport.planes) == pictures:
        facts["Plane"] = list(passport.planes)
    if passport.notes:
        notes = {name: str(value) for name, value in passport.notes.items()}
        facts["MapAnnotation"] = _fit(notes)
    return facts


def _fit(facts: Facts) -> Facts:
    return {in_xml(name): in_xml(value) for name, value in facts.items()}


def as_stated(xml: str, number: int) -> Passport:
    """The passport of an image in OME-XML made from `ome_facts`. Raises ParseError."""
    root, order = ome_root(xml), count()
    found = of_ome(root, number, lambda *_: next(order))
    refers = {one.get("ID") for one in root.findall("Image")[number].findall("AnnotationRef")}
    notes = {
        str(entry.get("K")): entry.text
        for one in root.findall("StructuredAnnotations/MapAnnotation") if one.get("ID") in refers
        for entry in one.findall("Value/M")
    }  # fmt: skip
    return replace(found, notes=notes)


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
            instrument = _instrument(passport, number)
            root.insert(list(root).index(images[0]), instrument)
            _refer(image, instrument, passport.medium)
    return _DECLARATION + ElementTree.tostring(root, encoding="unicode")


def _instrument(passport: Passport, number: int) -> ElementTree.Element:
    found = _element("Instrument", {"ID": f"Instrument:{number}"})
    for name, attributes in sorted(passport.instrument, key=lambda part: PARTS.index(part[0])):
        own = {} if name == "Microscope" else {"ID": f"{name}:{number}:{len(found)}"}
        found.append(_element(name, own | attributes))
    return found


def _refer(image: ElementTree.Element, instrument: ElementTree.Element, medium: Facts) -> None:
    """Point an image to its instrument and objective, in the schema's order before Pixels."""
    place = next(i for i, child in enumerate(image) if child.tag.endswith("}Pixels"))
    objective = instrument.find(f"{{{_OME}}}Objective")
    if objective is not None:
        image.insert(place, _element("ObjectiveSettings", {"ID": objective.get("ID")} | medium))
    image.insert(place, _element("InstrumentRef", {"ID": instrument.get("ID")}))


def _element(name: str, attributes: Facts) -> ElementTree.Element:
    return ElementTree.Element(
        f"{{{_OME}}}{name}", {key: in_xml(str(value)) for key, value in attributes.items()}
    )
