"""CZI as the microscope writes it, through czifile itself: pictures packed with Zstandard."""

import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from f2rcli.io import open_reader
from tests.io.stacks import movie, passed

pytest.importorskip("czifile")
imagecodecs = pytest.importorskip("imagecodecs")

PIXELS = {("u1", 1): 0, ("u2", 1): 1, ("u1", 3): 3, ("u2", 3): 4, ("u1", 4): 9}
PLAIN, ZSTD, HEADED = 0, 5, 6


def segment(kind: bytes, content: bytes) -> bytes:
    return struct.pack("<16sqq", kind, len(content), len(content)) + content


def packed(picture: NDArray[np.generic], kind: str) -> tuple[int, bytes]:
    """The compression and bytes of a picture (Y, X, S)."""
    data = picture.tobytes()
    if kind == "plain":
        return PLAIN, data
    if kind == "zstd":
        return ZSTD, imagecodecs.zstd_encode(data)
    if kind == "short header":
        return HEADED, b"\x01" + imagecodecs.zstd_encode(data)
    parts = np.frombuffer(data, np.uint8).reshape(-1, 2).T.tobytes()  # low bytes, high bytes
    return HEADED, b"\x03\x01\x01" + imagecodecs.zstd_encode(parts)


def write_czi(path: Path, array: NDArray[np.generic], kind: str) -> None:
    """An array (T, Y, X, S), a sub-block per picture; no metadata and no attachments."""
    stored = array[..., [2, 1, 0, 3][: array.shape[-1]]] if array.shape[-1] > 1 else array
    pixels = PIXELS[array.dtype.str[1:], array.shape[-1]]
    whole, entries = bytearray(32 + 512), []
    for t, picture in enumerate(stored):
        compression, data = packed(picture, kind)
        sizes = (("X", 0, array.shape[2]), ("Y", 0, array.shape[1]), ("T", t, 1))
        entry = struct.pack("<2siqiiBB4si", b"DV", pixels, len(whole), 0, compression, 0, 0, b"", 3)
        for axis, start, size in sizes:
            entry += struct.pack("<4siifi", axis.encode(), start, size, start, size)
        head = struct.pack("<iiq", 0, 0, len(data)) + entry
        whole += segment(b"ZISRAWSUBBLOCK", head.ljust(16 + 240, b"\0") + data)
        entries.append(entry)
    begin = len(whole)
    listed = struct.pack("<i", len(entries)).ljust(128, b"\0") + b"".join(entries)
    whole += segment(b"ZISRAWDIRECTORY", listed)
    guid = b"f2r's test file "
    header = struct.pack("<iiii16s16siqqiq", 1, 0, 0, 0, guid, guid, 0, begin, 0, 0, 0)
    whole[:544] = segment(b"ZISRAWFILE", header.ljust(512, b"\0"))
    path.write_bytes(whole)


@pytest.mark.parametrize(
    ("kind", "dtype", "samples"),
    [("plain", "u2", 1), ("zstd", "u2", 1), ("zstd", "u1", 3), ("short header", "u1", 1),
     ("halves", "u2", 1), ("halves", "u2", 3), ("zstd", "u1", 4)],
)  # fmt: skip
def test_pictures_come_back_however_they_are_packed(
    kind: str, dtype: str, samples: int, tmp_path: Path
) -> None:
    array = np.stack([movie((7, 12, 16), dtype, seed=n) for n in range(samples)], axis=-1)
    source, target = tmp_path / "a.czi", tmp_path / "b.ome.tif"
    write_czi(source, array, kind)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of a file without attachments
        with open_reader(source) as reader:
            assert reader.info.frames == 7
        passed(source, target, change=False)
    np.testing.assert_array_equal(tifffile.imread(target), np.squeeze(array))
