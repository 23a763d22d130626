"""Raw files as cameras may lay them out, made on the spot."""

import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile

from f2rcli.io import Receipt, WriteOptions, open_reader
from tests.io.packed import packed_bits
from tests.io.through import copied

SIZE = (48, 64)
PROFILE = (3e-2, 1e-5, 4e-2, 2e-5, 5e-2, 3e-5)  # about what `codes` have
Directory = dict[int, tuple[int, Any]]  # type and value by code
LAYOUTS: dict[str, dict[str, Any]] = {
    "strips": {"rowsperstrip": 10},
    "big endian": {"byteorder": ">"},
    "tiles": {"tile": (16, 32)},
    "margins": {"extra": [(50829, 4, 4, (4, 2, 44, 60), True)]},
    "odd margins": {"extra": [(50829, 4, 4, (5, 3, 45, 60), True)]},
    "10 bits": {"bits": 10},
    "12 bits": {"bits": 12},
    "14 bits": {"bits": 14},
}


def tags(
    iso: int = 800, model: str = "Bar", pattern: bytes = b"\1\2\0\1",
    left: frozenset[int] = frozenset(),
) -> list[Any]:  # fmt: skip
    """A DNG's own tags: GBRG unless told, four black levels, turned by a quarter. left: out."""
    side = round(len(pattern) ** 0.5)
    matrix = [part for v in (3.2, -1.5, -0.5, -1, 1.9, 0.04, 0.05, -0.2, 1.05) for part in
              (round(v * 10000), 10000)]  # fmt: skip
    own = [
        (50706, 1, 4, b"\1\4\0\0", True), (50707, 1, 4, b"\1\1\0\0", True),
        (50708, 2, 0, f"Foo {model}", True), (271, 2, 0, "Foo", True), (272, 2, 0, model, True),
        (33421, 3, 2, (side, side), True), (33422, 1, len(pattern), pattern, True),
        (50710, 1, 3, b"\0\1\2", True), (50711, 3, 1, 1, True), (50713, 3, 2, (2, 2), True),
        (50714, 3, 4, (240, 241, 242, 243), True), (50717, 3, 1, 4095, True),
        (50721, 10, 9, matrix, True), (50728, 5, 3, (5263, 10000, 1, 1, 6250, 10000), True),
        (50778, 3, 1, 21, True), (34855, 3, 1, iso, True), (274, 3, 1, 6, True),
        (51041, 12, 6, PROFILE, True), (50972, 1, 16, bytes(range(16)), True),
    ]  # fmt: skip
    return [tag for tag in own if tag[0] not in left]


def codes(seed: int, size: tuple[int, int] = SIZE, top: int = 1000) -> np.ndarray:
    return np.random.default_rng(seed).integers(200, top, size).astype(np.uint16)


def write_dng(
    path: Path,
    seed: int = 0,
    *,
    size: tuple[int, int] = SIZE,
    bits: int = 16,
    extra: list[Any] | None = None,
    facts: dict[str, Any] | None = None,
    **how: Any,
) -> Path:
    """A DNG as a camera may lay it out."""
    mosaic = codes(seed, size)
    own = {"photometric": "cfa", "metadata": None, **how}
    every = tags(**(facts or {})) + (extra or [])
    if bits == 16:
        tifffile.imwrite(path, mosaic, extratags=every, **own)
        return path
    stored = np.frombuffer(packed_bits(mosaic, bits), np.uint8).reshape(size[0], -1)
    tifffile.imwrite(path, stored, extratags=every, rowsperstrip=size[0], **own)
    return overwritten(path, {256: size[1], 258: bits})


def overwritten(path: Path, values: dict[int, int]) -> Path:
    """Other values of a file's tags."""
    with tifffile.TiffFile(path, mode="r+b") as file:
        for code, value in values.items():
            file.pages.first.tags[code].overwrite(value)
    return path


def write_compressed(path: Path, mosaic: np.ndarray, every: list[Any]) -> Path:
    """A DNG of these tags by lossless JPEG."""
    tifffile.imwrite(
        path, iter([imagecodecs.ljpeg_encode(mosaic, bitspersample=14)]), shape=mosaic.shape,
        dtype=np.uint16, rowsperstrip=len(mosaic), photometric="cfa", metadata=None,
        compression="jpeg", extratags=every,
    )  # fmt: skip
    return path


def write_rw2(path: Path) -> Path:
    """Panasonic's: its strips begin nowhere, its samples where a tag of its own says."""
    words = b"Panasonic\0DMC-GF1\0"
    own = [(1, 7, 4, 0x30303330), (2, 3, 1, 112), (3, 3, 1, 48), (6, 3, 1, 48), (7, 3, 1, 112),
           (271, 2, 10, 512), (272, 2, 8, 522), (273, 4, 1, (1 << 32) - 1), (279, 4, 1, 0),
           (280, 4, 1, 1024)]  # fmt: skip
    head = b"IIU\0" + struct.pack("<IH", 8, len(own))
    head += b"".join(struct.pack("<HHII", *entry) for entry in own)
    head = head.ljust(512, b"\0") + words
    samples = np.random.default_rng(0).integers(1, 8, 0x4000, np.uint8)  # any bits are some
    path.write_bytes(head.ljust(1024, b"\0") + samples.tobytes())
    return path


def directory(told: list[Any]) -> bytes:
    """A big-endian TIFF of a picture, with these tags."""
    file = BytesIO()
    tifffile.imwrite(file, codes(0), byteorder=">", metadata=None, extratags=told)
    return file.getvalue()


def write_mrw(path: Path) -> Path:
    """Minolta's: blocks of sizes and of a TIFF's tags, then the samples."""
    mosaic = codes(0)
    told = [(271, 2, 0, "Minolta", True), (272, 2, 0, "DiMAGE 7", True), (33432, 2, 0, "me", True),
            (33434, 5, 1, (1, 250), True)]  # fmt: skip
    sizes = b"27730001" + struct.pack(">4H", *mosaic.shape * 2) + bytes((16, 16, 89, 0, 0, 0, 1, 0))
    blocks = ((b"\0PRD", sizes), (b"\0TTW", directory(told)))
    body = b"".join(name + struct.pack(">I", len(data)) + data for name, data in blocks)
    head = b"\0MRM" + struct.pack(">I", len(body))
    path.write_bytes(head + body + mosaic.astype(">u2").tobytes())
    return path


def bytes_read() -> int:
    """By this process so far, on Linux."""
    return int(Path("/proc/self/io").read_text().split()[1])


def write_burst(folder: Path, count: int = 4, **how: Any) -> Path:
    folder.mkdir()
    for index in range(count):
        write_dng(folder / f"IMG {index + 8}.dng", index, **how)  # 10 comes after 9
    return folder


def louder(source: Path, target: Path, by: int, **options: Any) -> None:
    """Write a clip with every code of its active area `by` higher; nothing is lost."""
    assert raised(source, target, by, **options).lost == ()


def raised(source: Path, target: Path, by: int, **options: Any) -> Receipt:
    """Write a clip with every code of its active area `by` higher."""
    with open_reader(source) as reader:
        return copied(reader, target, WriteOptions(**options), lambda plane: plane + np.uint16(by))


def with_directories(path: Path, exif: Directory, gps: Directory) -> None:
    """Give a little-endian TIFF an EXIF and a GPS directory: types and values by code."""
    formats = {1: "B", 3: "H", 4: "I", 5: "I", 10: "i"}

    def packed(tags: Directory, place: int) -> bytes:
        head, tail = struct.pack("<H", len(tags)), b""
        for code, (kind, value) in sorted(tags.items()):
            data = value.encode() + b"\0" if kind == 2 else bytes(value) if kind == 1 else (
                struct.pack(f"<{len(value)}{formats[kind]}", *value))  # fmt: skip
            count = len(data) // (8 if kind in (5, 10) else 1)
            if len(data) > 4:
                where = struct.pack("<I", place + 6 + 12 * len(tags) + len(tail))
                tail, data = tail + data + bytes(len(data) % 2), where
            head += struct.pack("<HHI", code, kind, count) + data.ljust(4, b"\0")
        return head + bytes(4) + tail

    data = bytearray(path.read_bytes())
    (first,) = struct.unpack("<I", data[4:8])
    (count,) = struct.unpack("<H", data[first : first + 2])
    entries = [bytes(data[first + 2 + 12 * i :][:12]) for i in range(count)]
    data += bytes(len(data) % 2)
    for code, tags in ((34665, exif), (34853, gps)):
        entries.append(struct.pack("<HHII", code, 4, 1, len(data)))
        data += packed(tags, len(data))
        data += bytes(len(data) % 2)
    entries.sort(key=lambda entry: struct.unpack("<H", entry[:2]))
    data[4:8] = struct.pack("<I", len(data))
    data += struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    path.write_bytes(data)
