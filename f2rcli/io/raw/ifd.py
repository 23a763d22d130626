"""Directories of tags (IFDs) as TIFF stores them: read from a file's bytes, written as new ones.

tifffile writes neither EXIF nor GPS directories, and reads none of raw files that are not TIFF.
Values travel as bytes: little-endian once read.
"""

import struct
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

Block = bytes | memoryview

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SWAPPED = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4}  # bytes that belong together
_MOST_TAGS = 1000  # of a directory; more means that its bytes are something else


class Entry(NamedTuple):
    """A tag."""

    code: int
    type: int  # of its values, as TIFF numbers them
    number: int  # of values
    data: bytes  # little-endian
    offset: int = 0  # of the data, in the block it was read from

    @property
    def whole(self) -> int:
        """The first of its values, for whole numbers."""
        return int.from_bytes(self.data[: _SIZES[self.type]], "little")

    def packed(self, value: bytes) -> bytes:
        """Its twelve bytes in a directory: the data, or their place, of four bytes or less."""
        head = struct.pack("<HHI", self.code, self.type, self.number)
        return head + value.ljust(4, b"\0")


def first_directory(block: Block) -> tuple[str, int]:
    """Byte order and place of a TIFF-like block's first directory (ORF, RW2 too). Raises
    ValueError."""
    orders = {b"II": "<", b"MM": ">"}
    order = orders.get(bytes(block[:2]))
    if order is None or len(block) < 8:
        raise ValueError("not TIFF")
    return order, int(struct.unpack(order + "I", block[4:8])[0])


def read_directory(block: Block, order: str, place: int) -> dict[int, Entry]:
    """The tags of a directory by their codes; those with impossible values are left out."""
    if not 0 < place <= len(block) - 2:
        return {}
    (count,) = struct.unpack(order + "H", block[place : place + 2])
    found: dict[int, Entry] = {}
    if count > _MOST_TAGS:
        return found
    for at in range(place + 2, min(place + 2 + 12 * count, len(block) - 11), 12):
        code, kind, number = struct.unpack(order + "HHI", block[at : at + 8])
        size = _SIZES.get(kind, 0) * number
        offset = at + 8
        if size > 4:
            (offset,) = struct.unpack(order + "I", block[at + 8 : at + 12])
        if size and offset + size <= len(block):
            data = bytes(block[offset : offset + size])
            if order == ">" and kind in _SWAPPED:
                data = np.frombuffer(data, f">u{_SWAPPED[kind]}").byteswap().tobytes()
            found.setdefault(code, Entry(code, kind, number, data, offset))
    return found


def directory(entries: Iterable[Entry], place: int) -> bytes:
    """The bytes of a directory that begins at `place` of a little-endian file."""
    ordered = sorted(entries)
    head, tail = struct.pack("<H", len(ordered)), b""
    end = place + 2 + 12 * len(ordered) + 4
    for entry in ordered:
        value = entry.data
        if len(value) > 4:
            value = struct.pack("<I", end + len(tail))
            tail += entry.data + bytes(len(entry.data) % 2)
        head += entry.packed(value)
    return head + bytes(4) + tail
