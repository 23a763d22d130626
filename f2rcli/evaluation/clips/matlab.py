"""Arrays in MATLAB files of version 5 (MathWorks, MAT-File Format), as SIDD is published."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from f2rcli.errors import InputError

HEADER = 128  # bytes
COMPRESSED, MATRIX = 15, 14
NUMBERS = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip

Element = tuple[int, memoryview]  # type, bytes


def read_array(path: Path, name: str) -> NDArray[Any]:
    """A named array of a MATLAB 5 file. Raises InputError for other versions and unknown names."""
    data = path.read_bytes()
    if data[:20] == b"MATLAB 7.3 MAT-file ":
        raise InputError(f"{path}: is a MATLAB file of version 7.3; only version 5 is supported.")
    if data[124:128] != b"\x00\x01IM":
        raise InputError(f"{path}: is not a MATLAB file of version 5.")
    names = []
    try:
        for kind, body in _elements(memoryview(data)[HEADER:]):
            if kind == COMPRESSED:
                kind, body = next(_elements(memoryview(zlib.decompress(body))))
            if kind == MATRIX:
                found, array = _matrix(body, name)
                names.append(found)
                if array is not None:
                    return array
    except (ValueError, KeyError, StopIteration, struct.error, zlib.error) as error:
        raise InputError(f"{path}: is damaged: {error}.") from error
    raise InputError(f"{path}: has no array {name}, only {', '.join(names) or 'nothing'}.")


def _elements(data: memoryview) -> Iterator[Element]:
    at = 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<II", data, at)
        if kind >> 16:  # a small element: size and type in one word, four bytes of data
            yield kind & 0xFFFF, data[at + 4 : at + 4 + (kind >> 16)]
            at += 8
            continue
        if at + 8 + size > len(data):
            raise ValueError("it ends too early")
        yield kind, data[at + 8 : at + 8 + size]
        at += 8 + size + (-size % 8 if kind != COMPRESSED else 0)


def _matrix(body: memoryview, wanted: str) -> tuple[str, NDArray[Any] | None]:
    """A matrix's name, and its values if it is the one that is wanted."""
    parts = _elements(body)
    next(parts)  # flags
    _, sizes = next(parts)
    _, letters = next(parts)
    name = bytes(letters).decode("ascii")
    if name != wanted:
        return name, None
    kind, values = next(parts)
    shape = np.frombuffer(sizes, "<i4")
    return name, np.frombuffer(values, f"<{NUMBERS[kind]}").reshape(shape, order="F")
