"""The OME-XML of an OME-TIFF: the source's own with new places of pages, or one made of facts."""

from collections.abc import Sequence
from copy import deepcopy
from uuid import NAMESPACE_OID, uuid5
from xml.etree import ElementTree

import tifffile

from f2rcli.io.stacks.lanes import Series
from f2rcli.io.stacks.metadata import PROVENANCE, SOURCE, Facts, Metadata, in_xml, parsed

_OME = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'


def ome_document(
    series: Sequence[Series], metadata: Sequence[Metadata], name: str, provenance: str
) -> bytes:
    """The OME-XML of a file whose pages are the pictures of these series, one after another.

    name: of the images that have none. provenance: how f2r made it, "" for nothing to say.
    """
    theirs = [one.ome for one in metadata]
    if theirs[0] is not None and all(one is theirs[0] for one in theirs):
        root = _of_source(series, metadata, theirs[0])
    else:
        made = parsed(_made(series, metadata, name))
        assert made is not None  # tifffile's is well formed
        root = made
    for namespace, text in ((SOURCE, in_xml(metadata[0].own)), (PROVENANCE, provenance)):
        _annotate(root, namespace, text)
    ElementTree.register_namespace("", _OME)
    ElementTree.register_namespace("xsi", _XSI)
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
        data = {"IFD": str(ifd), "PlaneCount": str(one.frames)}
        pixels.insert(len(pixels.findall("Channel")), ElementTree.Element("TiffData", data))
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
        planes, samples = (one.samples, 1) if planar else (1, one.samples)
        stored = (one.frames, planes, 1, one.height, one.width, samples)
        document.addimage(
            one.dtype, one.shape, stored, axes=one.axes, Name=in_xml(one.name or name), **said
        )
    return str(document.tostring(declaration=False))


def _image_facts(series: Series, said: Metadata) -> Facts:
    """The facts of an image as tifffile takes them."""
    facts: Facts = {}
    for sizes, unit in ((said.sizes, "µm"), (said.relative, "reference frame")):
        for axis, size in sizes.items():
            facts |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": unit}
    if said.interval is not None:
        facts |= {"TimeIncrement": said.interval, "TimeIncrementUnit": "s"}
    if said.bits is not None:
        facts["SignificantBits"] = said.bits
    if said.date:
        facts["AcquisitionDate"] = in_xml(said.date)
    if said.channels and len(said.channels) == dict(series.outer).get("C", 1):
        facts["Channel"] = [
            {k: in_xml(v) if isinstance(v, str) else v for k, v in one.items()}
            for one in said.channels
        ]
    if said.planes and len(said.planes) == series.frames:
        facts["Plane"] = list(said.planes)
    return facts


def _annotate(root: ElementTree.Element, namespace: str, text: str) -> None:
    """Put a comment into a document, and point its first image to it, in place of one before."""
    identity = f"Annotation:{namespace}"
    for parent in list(root.iter()):
        for child in list(parent):
            named = child.get("Namespace") == namespace and child.tag == "CommentAnnotation"
            if named or (child.tag == "AnnotationRef" and child.get("ID") == identity):
                parent.remove(child)
    image = root.find("Image")
    if not text or image is None:
        return
    notes = root.find("StructuredAnnotations")
    if notes is None:
        notes = ElementTree.Element("StructuredAnnotations")
        places = (n for n, child in enumerate(root) if child.tag == "ROI")
        root.insert(next(places, len(root)), notes)
    found = {"ID": identity, "Namespace": namespace}
    comment = ElementTree.SubElement(notes, "CommentAnnotation", found)
    ElementTree.SubElement(comment, "Value").text = text
    image.append(ElementTree.Element("AnnotationRef", {"ID": identity}))
