"""Make and model of a camera, from raw files of any structure: TIFF's, RAF, CR3, and Canon's CRW.

A CRW is CIFF: heaps within heaps, each with its directory at the end, whose place the last four
bytes tell (Canon's specification of 1997).
"""

import struct
from collections.abc import Iterator
from contextlib import suppress
from mmap import ACCESS_READ, mmap
from pathlib import Path

from f2rcli.io.raw.ifd import Block, first_directory, read_directory
from f2rcli.io.raw.metadata import BROKEN, blocks

_MAKE, _MODEL = 271, 272
_CAMERA = 0x080A  # CIFF's make and model, each with a zero behind it
_HEAPS = (0x2800, 0x3000)  # kinds of CIFF's entries that are heaps themselves
_KIND, _ELSEWHERE = 0x3800, 0xC000  # bits of a code: its kind; zero where data lie in the heap
_DEEPEST = 8  # heaps within heaps; more means that the file is damaged


def camera_of(path: Path) -> tuple[str, str]:
    """Make and model as a raw file says them; empty where it does not."""
    with suppress(*BROKEN), path.open("rb") as file:
        data = memoryview(mmap(file.fileno(), 0, access=ACCESS_READ))
        if bytes(data[6:14]) == b"HEAPCCDR":
            (start,) = struct.unpack("<I", data[2:6])
            found = next((one for code, one in _entries(data[start:]) if code == _CAMERA), b"")
            make, model = (_words(part) for part in (bytes(found) + b"\0\0").split(b"\0")[:2])
            return make, model
        for kind, block in blocks(data):
            tags = read_directory(block, *first_directory(block))
            if kind == "tiff" and _MAKE in tags and _MODEL in tags:
                return _words(tags[_MAKE].data), _words(tags[_MODEL].data)
    return "", ""


def _words(data: bytes) -> str:
    return data.split(b"\0")[0].decode("ascii", "replace").strip()


def _entries(heap: Block, depth: int = 0) -> Iterator[tuple[int, Block]]:
    """Codes and data of a heap's entries, and of those of heaps in it."""
    (place,) = struct.unpack("<I", heap[-4:])
    (count,) = struct.unpack("<H", heap[place : place + 2])
    for at in range(place + 2, place + 2 + 10 * count, 10):
        code, length, start = struct.unpack("<HII", heap[at : at + 10])
        data = heap[start : start + length]
        if code & _ELSEWHERE:
            continue
        if code & _KIND in _HEAPS and depth < _DEEPEST:
            yield from _entries(data, depth + 1)
        else:
            yield code, data
