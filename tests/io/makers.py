"""Files of microscopes made on the spot, byte by byte, as their programs write them."""

import json
import struct
from itertools import product
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

Array = NDArray[Any]

LSM_INFO = 34412


def lsm_info(t: int, z: int, c: int, y: int, x: int) -> bytes:
    """Zeiss' structure of an LSM 1.3, as tifffile reads it."""
    facts = (67127628, 500, x, y, z, c, t, 2, 8, 8, 1e-7, 1e-7, 5e-7, 0.0, 0.0, 0.0, 6)
    return struct.pack("<IiiiiiiiiiddddddH", *facts).ljust(112, b"\0") + struct.pack("<d", 0.25)


def write_lsm(path: Path, array: Array) -> None:
    """(T, Z, C, Y, X): a page of planes per depth, each followed by its thumbnail."""
    t, z, c, y, x = array.shape
    info = [(LSM_INFO, 1, 500, lsm_info(t, z, c, y, x).ljust(500, b"\0"), True)]
    with tifffile.TiffWriter(path) as writer:
        for number, planes in enumerate(array.reshape(-1, c, y, x)):
            form = {"photometric": "minisblack", "planarconfig": "separate", "metadata": None}
            writer.write(planes, extratags=info if not number else [], contiguous=False, **form)
            small = planes[:, ::2, ::2]
            writer.write(small, subfiletype=1, contiguous=False, **form)


def write_scanimage(path: Path, array: Array, said: str) -> None:
    """(pages, Y, X) of a classic TIFF; from 2016 on the header is the Software tag."""
    form = {"metadata": None, "contiguous": False, "photometric": "minisblack"}
    form |= {"software": said} if said.startswith("SI.") else {"description": said}
    with tifffile.TiffWriter(path) as writer:
        for picture in array:
            writer.write(picture, **form)


def write_stk(path: Path, array: Array, depth: int, milliseconds: list[int]) -> None:
    """(planes, Y, X) as MetaMorph writes it: one page, the other planes behind its samples.

    depth: of a step along Z, in thousandths of a micrometre.
    """
    (count, height, width), samples = array.shape, array.astype("<u2").tobytes()
    day = 2_455_000  # Julian
    planes = [struct.pack("<6I", depth, 1000, day, ms, day, ms) for ms in milliseconds]
    facts = [b"".join(planes), struct.pack("<2I", 520, 1) * count, struct.pack("<2I", 1, 2),
             struct.pack("<I", 3) + b"um\0\0"]  # fmt: skip
    places = [8 + len(samples) + sum(map(len, facts[:number])) for number in range(5)]
    uic1 = struct.pack("<8I", 3, 1, 4, places[2], 5, places[2], 6, places[3])
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 16), (259, 3, 1, 1),
            (262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, height),
            (279, 4, 1, len(samples) // count), (33628, 4, 4, places[4]),
            (33629, 5, count, places[0]), (33630, 5, count, places[1])]  # fmt: skip
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *t) for t in tags)
    head = b"II*\0" + struct.pack("<I", places[4] + len(uic1))
    path.write_bytes(head + samples + b"".join(facts) + uic1 + directory + bytes(4))


PIXELS = {("u1", 1): 0, ("u2", 1): 1, ("u1", 3): 3, ("u2", 3): 4, ("u1", 4): 9}
PLAIN, ZSTD, HEADED = 0, 5, 6


def segment(kind: bytes, content: bytes) -> bytes:
    return struct.pack("<16sqq", kind, len(content), len(content)) + content


def packed(picture: Array, kind: str) -> tuple[int, bytes]:
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


def write_czi(path: Path, array: Array, kind: str = "plain", xml: str = "") -> None:
    """An array (T, Y, X, S), a sub-block per picture, and what the file says; no attachments."""
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
    said = len(whole) if xml else 0
    if xml:
        head = struct.pack("<ii", len(xml), 0).ljust(256, b"\0")
        whole += segment(b"ZISRAWMETADATA", head + xml.encode())
    header = struct.pack("<iiii16s16siqqiq", 1, 0, 0, 0, guid, guid, 0, begin, said, 0, 0)
    whole[:544] = segment(b"ZISRAWFILE", header.ljust(512, b"\0"))
    path.write_bytes(whole)


LIF = """<LMSDataContainerHeader Version="2"><Element Name="project"><Data/><Memory Size="0"
MemoryBlockID="MemBlock_0"/><Children><Element Name="one"><Data><Image><ImageDescription><Channels>
{channels}</Channels><Dimensions>{dimensions}</Dimensions></ImageDescription></Image></Data>
<Memory Size="{size}" MemoryBlockID="MemBlock_1"/></Element></Children></Element>
</LMSDataContainerHeader>"""
CHANNEL = """<ChannelDescription DataType="0" ChannelTag="0" Resolution="12" Min="0" Max="1" Unit=""
NameOfMeasuredQuantity="" LUTName="{lut}" IsLUTInverted="0" BytesInc="{inc}" BitInc="0">
<ChannelProperty><Key>DyeName</Key><Value>{dye}</Value></ChannelProperty></ChannelDescription>"""


def write_lif(path: Path, array: Array) -> None:
    """(T, C, Y, X) of 12 bits in 16, 0.5 s between frames, 0.2 and 0.3 um a pixel."""
    t, c, y, x = array.shape
    steps = (("1", x, 2e-7, "m", 2), ("2", y, 3e-7, "m", 2 * x), ("4", t, 0.5, "s", 2 * x * y * c))
    dimensions = "".join(
        f'<DimensionDescription DimID="{axis}" NumberOfElements="{n}" Origin="0" '
        f'Length="{step * (n - 1)}" Unit="{unit}" BytesInc="{inc}" BitInc="0"/>'
        for axis, n, step, unit, inc in steps
    )
    channels = "".join(
        CHANNEL.format(lut=lut, dye=dye, inc=2 * x * y * number)
        for number, (lut, dye) in enumerate((("Green", "GFP"), ("Red", "RFP")))
    )
    xml = LIF.format(channels=channels, dimensions=dimensions, size=array.nbytes).replace("\n", " ")
    text = xml.encode("utf-16-le")
    head = struct.pack("<IIBI", 0x70, 5 + len(text), 0x2A, len(xml)) + text
    blocks = b""
    for name, data in (("MemBlock_0", b""), ("MemBlock_1", array.astype("<u2").tobytes())):
        said = struct.pack("<BQBI", 0x2A, len(data), 0x2A, len(name)) + name.encode("utf-16-le")
        blocks += struct.pack("<II", 0x70, len(said)) + said + data
    path.write_bytes(head + blocks)


def write_ndtiff(folder: Path, array: Array, names: tuple[str, str] = ("time", "channel")) -> None:
    """(T, C, Y, X), or of other names, as Micro-Manager 2 writes it: pages, here the last moment's
    first, that an index beside them puts in order. Pictures of zeros alone are missing."""
    folder.mkdir(parents=True)
    (moments, channels, height, width), name = array.shape, "NDTiffStack.tif"
    summary = b'{"PixelSize_um": 0.108, "Interval_ms": 500}'
    head = struct.pack("<5I", 483729, 3, 3, 2355492, len(summary)) + summary
    told = b'{"PixelSizeUm": 0.108}\0'  # of every page alike
    data, index = b"II*\0" + struct.pack("<I", 8 + len(head + told)) + head + told, b""
    for t, c in product(range(moments)[::-1], range(channels)):
        page = array[t, c]
        if not page.any():
            continue
        place = len(data) + 2 + 10 * 12 + 4
        tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 16), (259, 3, 1, 1),
                (262, 3, 1, 1), (273, 4, 1, place), (277, 3, 1, 1), (278, 4, 1, height),
                (279, 4, 1, page.nbytes), (51123, 2, len(told), 8 + len(head))]  # fmt: skip
        last = (t, c + 1) == (0, channels)
        data += struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
        data += struct.pack("<I", 0 if last else place + page.nbytes) + page.astype("<u2").tobytes()
        second = ["GFP", "RFP"][c] if names[1] == "channel" else c
        axes = json.dumps({names[0]: t, names[1]: second}).encode()
        index += struct.pack("<I", len(axes)) + axes + struct.pack("<I", len(name)) + name.encode()
        index += struct.pack("<IiiiiIii", place, width, height, 1, 0, 0, 0, 0)
    (folder / name).write_bytes(data)
    (folder / "NDTiff.index").write_bytes(index)
