"""The OME-XML of an OME-TIFF: the source's own with new places of pages, or one made of facts."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any
from uuid import NAMESPACE_OID, uuid5
from xml.etree import ElementTree

import tifffile

from f2rcli.io.stacks.lanes import Series
from f2rcli.io.stacks.metadata import PROVENANCE, SOURCE, Facts, Metadata, in_xml

_OME = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
_AFTER_NOTES = ("ROI",)  # what stands behind StructuredAnnotations in a document


def ome_document(
    series: Sequence[Series], metadata: Sequence[Metadata], name: str, provenance: str
) -> bytes:
    """The OME-XML of a file whose pages are the pictures of these series, one after another.

    name: of the images that have none. provenance: how f2r made it, "" for nothing to say.
    """
    ElementTree.register_namespace("", _OME)
    ElementTree.register_namespace("xsi", _XSI)
    theirs = [one.ome for one in metadata]
    if theirs[0] is not None and all(one is theirs[0] for one in theirs):
        root = _of_source(series, metadata, theirs[0])
    else:
        root = ElementTree.fromstring(_made(series, metadata, name))
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
    for annotation in root.findall("StructuredAnnotations"):
        for note in annotation.findall(f"CommentAnnotation[@Namespace='{PROVENANCE}']"):
            annotation.remove(note)
            _forget(root, note.get("ID", ""))
    own = metadata[0].own
    _annotate(root, SOURCE, in_xml(own) if own else "")
    _annotate(root, PROVENANCE, provenance)
    for element in root.iter():
        element.tag = f"{{{_OME}}}{element.tag}"
    return (_DECLARATION + ElementTree.tostring(root, encoding="unicode")).encode()


def _of_source(
    series: Sequence[Series], metadata: Sequence[Metadata], source: ElementTree.Element
) -> ElementTree.Element:
    """The source's document with the chosen images, whose pages lie where they are now."""
    root = deepcopy(source)
    images = root.findall("Image")
    kept = [images[one.image] for one in metadata]
    for image in images:
        if image not in kept:
            root.remove(image)
    root.attrib.pop("UUID", None)  # of files of the set that it was
    ifd = 0
    for one, said, image in zip(series, metadata, kept, strict=True):
        pixels = image.find("Pixels")
        assert pixels is not None  # else tifffile had found no series
        for tag in ("TiffData", "BinData", "MetadataOnly"):
            for element in pixels.findall(tag):
                pixels.remove(element)
        place = len(pixels.findall("Channel"))
        data = {"IFD": str(ifd), "PlaneCount": str(one.frames)}
        pixels.insert(place, ElementTree.Element("TiffData", data))
        pixels.attrib.pop("BigEndian", None)
        pixels.attrib |= _dimensions(one)
        if said.interval is not None and "TimeIncrement" not in pixels.attrib:
            pixels.attrib |= {"TimeIncrement": repr(said.interval), "TimeIncrementUnit": "s"}
        ifd += one.frames
    return root


def _dimensions(series: Series) -> dict[str, str]:
    """The order and sizes of axes as the pages have them, where OME names all of them."""
    sizes = dict(series.outer)
    if not set(sizes) <= set("TCZ"):
        return {}  # stored as before, in the order the document says
    order = [*reversed(sizes), *(axis for axis in "ZCT" if axis not in sizes)]
    # Channels count their samples, which lie in one page.
    samples = max(1, series.samples)
    said = {"DimensionOrder": "XY" + "".join(order), "SizeC": str(sizes.get("C", 1) * samples)}
    return said | {f"Size{axis}": str(sizes.get(axis, 1)) for axis in "TZ"}


def _made(series: Sequence[Series], metadata: Sequence[Metadata], name: str) -> str:
    """A document made of facts. Its identity is the same in every run."""
    facts = [_image_facts(one, said) for one, said in zip(series, metadata, strict=True)]
    identity = str(uuid5(NAMESPACE_OID, f"f2r {facts} {[one.words for one in series]}"))
    document = tifffile.OmeXml(UUID=identity, Creator="f2r")
    for one, said in zip(series, facts, strict=True):
        planar = "S" in one.axes and one.axes.index("S") < one.axes.index("Y")
        stored = (
            one.frames, one.samples if planar else 1, 1, one.height, one.width,
            1 if planar else one.samples,
        )  # fmt: skip
        document.addimage(
            one.dtype, one.shape, stored, axes=one.axes, Name=in_xml(one.name or name), **said
        )
    return document.tostring(declaration=False)


def _image_facts(series: Series, said: Metadata) -> Facts:
    """The facts of an image as tifffile takes them."""
    facts: Facts = {}
    for axis, size in said.sizes.items():
        facts |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "µm"}
    for axis, size in said.relative.items():
        facts |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "reference frame"}
    if said.interval is not None:
        facts |= {"TimeIncrement": said.interval, "TimeIncrementUnit": "s"}
    if said.bits is not None:
        facts["SignificantBits"] = said.bits
    if said.date:
        facts["AcquisitionDate"] = in_xml(said.date)
    sizes = dict(zip(series.axes, series.shape, strict=True))
    if said.channels and len(said.channels) == sizes.get("C", 1):
        facts["Channel"] = [_fit(one) for one in said.channels]
    if said.planes and len(said.planes) == series.frames:
        facts["Plane"] = list(said.planes)
    return facts


def _fit(facts: Facts) -> Facts:
    return {name: in_xml(value) if isinstance(value, str) else value
            for name, value in facts.items()}  # fmt: skip


def _annotate(root: ElementTree.Element, namespace: str, text: str) -> None:
    """Add a comment to a document, and point its first image to it."""
    image = root.find("Image")
    if not text or image is None:
        return
    notes = root.find("StructuredAnnotations")
    if notes is None:
        notes = ElementTree.Element("StructuredAnnotations")
        root.insert(_before(root, _AFTER_NOTES), notes)
    identity = f"Annotation:{namespace}"
    for before in notes.findall(f"CommentAnnotation[@ID='{identity}']"):
        notes.remove(before)
        _forget(root, identity)
    note = ElementTree.SubElement(
        notes, "CommentAnnotation", {"ID": identity, "Namespace": namespace}
    )
    ElementTree.SubElement(note, "Value").text = text
    reference: dict[str, Any] = {"ID": identity}
    image.append(ElementTree.Element("AnnotationRef", reference))


def _before(root: ElementTree.Element, tags: tuple[str, ...]) -> int:
    return next((n for n, child in enumerate(root) if child.tag in tags), len(root))


def _forget(root: ElementTree.Element, identity: str) -> None:
    """Remove the references to an annotation."""
    for parent in list(root.iter()):
        for reference in parent.findall(f"AnnotationRef[@ID='{identity}']"):
            parent.remove(reference)
