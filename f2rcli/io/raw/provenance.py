"""The provenance of a new DNG: a private tag with room to spare, whose value a copy replaces."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import tifffile

from f2rcli.io.base import MARK
from f2rcli.io.raw.tags import Tag
from f2rcli.io.tiff.library import DAMAGE, quiet_tifffile

_CODE, _ASCII = 65042, 2  # of TIFF's range for anyone; known by how its value begins
_ROOM = 4096  # bytes


def provenance_tag(text: str) -> list[Tag]:
    """The tag, for tifffile; none for no text."""
    return [(_CODE, _ASCII, 0, text.ljust(_ROOM), True)] if text else []


def provenance_of(path: Path) -> str:
    """The provenance in a file; "" for none."""
    tag = _tag(path)
    return "" if tag is None else str(tag.value).strip()


def with_provenance(path: Path, copy: bytes, text: str) -> bytes:
    """A copy of a file with another provenance, where the file has one; blank if too long."""
    tag = _tag(path)
    if tag is None:
        return copy
    size = tag.valuebytecount - 1  # a zero byte ends it
    value = text.encode("ascii") if len(text) <= size else b""
    return copy[: tag.valueoffset] + value.ljust(size) + copy[tag.valueoffset + size :]


def _tag(path: Path) -> Any:
    with suppress(*DAMAGE), quiet_tifffile(), tifffile.TiffFile(path) as file:
        tag = file.pages.first.tags.get(_CODE)
        if tag is not None and tag.dtype == _ASCII and str(tag.value).startswith(MARK):
            return tag
    return None
