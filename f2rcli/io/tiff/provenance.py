"""The provenance of an OME-TIFF: an annotation with room to spare, whose value is put in place.

A copy of such a file keeps every byte outside its samples but this value.
"""

import re
from html import unescape
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import tifffile

from f2rcli.io.tiff.library import quiet_tifffile

NAMESPACE = "f2r"
_ROOM = 4096  # bytes of the value
_DESCRIPTION = 270  # TIFF's tag
# Limited, as anyone may have written the description.
_VALUE = re.compile(
    rb'<(?:\w{1,9}:)?CommentAnnotation\s[^>]{0,200}\bNamespace="f2r"[^>]{0,200}>'
    rb".{0,400}?<(?:\w{1,9}:)?Value>([^<]*)</",
    re.DOTALL,
)


def room() -> dict[str, Any]:
    """The annotation, its value blank, as tifffile takes it with the facts of an image."""
    return {"CommentAnnotation": {"Namespace": NAMESPACE, "Value": " " * _ROOM}}


def provenance_of(description: str) -> str:
    """The provenance in a description; "" for none."""
    found = _VALUE.search(description.encode("utf-8", "replace"))
    return "" if found is None else unescape(found[1].decode("utf-8", "replace")).strip()


def put_provenance(path: Path, text: str) -> list[int]:
    """Replace a TIFF's provenance, if it has room; by blanks if `text` is too long. Returns starts
    and ends of the bytes written."""
    with path.open("rb") as handle:
        if handle.read(2) not in (b"II", b"MM"):  # a set's companion of OME-XML
            return []
    with quiet_tifffile(), tifffile.TiffFile(path) as file:
        tag = file.pages.first.tags.get(_DESCRIPTION)
        if tag is None:
            return []
        file.filehandle.seek(tag.valueoffset)
        description = file.filehandle.read(tag.valuebytecount)
    value, runs = escape(text).encode("utf-8"), []
    with path.open("r+b") as handle:
        for found in _VALUE.finditer(description):
            size = found.end(1) - found.start(1)
            start = tag.valueoffset + found.start(1)
            handle.seek(start)
            handle.write((value if len(value) <= size else b"").ljust(size))
            runs += [start, start + size]
    return runs
