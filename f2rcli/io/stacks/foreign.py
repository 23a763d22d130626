"""Images as other libraries show them: Nikon's ND2, Leica's LIF and Zeiss' CZI."""

import re
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from f2rcli.errors import InputError
from f2rcli.io.files import refusals
from f2rcli.io.stacks.metadata import Facts, Metadata, number_of, ome_colour, parsed, scaled, steady
from f2rcli.io.stacks.stack import Pictures, Series, ome_letters

Where = dict[str, int]  # axis -> index, or size
Tile = tuple[Any, dict[str, int], int, int]  # its entry, its place by axis, rows and columns
Described = Callable[[dict[str, int]], Metadata]  # what the file says of an image of these sizes

_MICROMETRES = 1e6  # of a metre
_NANOSECONDS = 1e-9  # of a second
_ZSTD, _ZSTD_HEADED = 5, 6  # compressions that czifile of 2019 does not know
_LANES = "TZC"  # axes that count pictures; scenes (S) are series, tiles (M) are joined
_SPLIT = "Split it into files in ZEN, or export it as OME-TIFF."
_LUTS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "cyan": (0, 255, 255),
         "magenta": (255, 0, 255), "yellow": (255, 255, 0), "gray": (255, 255, 255),
         "grey": (255, 255, 255)}  # of Leica  # fmt: skip


def image(name: str, sizes: Where, dtype: Any, read: Callable[[Where], Any], **more: Any) -> Series:
    """A series by the letters of its file, and read(where), which gives its picture there; both in
    the order they are stored in."""
    letters = ome_letters(sizes)
    inner = [axis for axis in sizes if axis in "YXS"]
    turned = sorted(range(len(inner)), key=lambda place: "YXS".index(inner[place]))
    order = [*(axis for axis in sizes if axis not in inner), *(inner[place] for place in turned)]
    kept = {letters[axis]: sizes[axis] for axis in order if sizes[axis] != 1 or axis in "YX"}
    single = tuple(n for n, axis in enumerate(sizes) if letters[axis] not in kept)
    pictures = Pictures(axes="".join(kept), shape=tuple(kept.values()))

    def samples(place: int) -> Any:
        at = pictures.at(place)
        picture = read({axis: at.get(letter, 0) for axis, letter in letters.items()})
        return picture if turned == sorted(turned) else np.transpose(picture, turned)

    return Series(
        name=name, axes=pictures.axes, shape=pictures.shape, read=samples, single=single,
        dtype=np.dtype(dtype).newbyteorder("="), **more,
    )  # fmt: skip


def picture_of(array: Any, axes: Iterable[str], where: Where) -> Any:
    """The picture at a place of an array, as it is stored."""
    return array[tuple(slice(None) if axis in "YXS" else where[axis] for axis in axes)]


def refused(path: Path, what: str, hint: str) -> InputError:
    return InputError(f"{path.name}: {what} not supported.", hint=hint)


# --- Nikon ND2 ------------------------------------------------------------------------------------
def nd2_images(file: Any, path: Path) -> list[Series]:
    """An image per position of an nd2.ND2File."""
    sizes = {str(axis): int(size) for axis, size in file.sizes.items()}
    loops = [axis for axis in sizes if axis not in "CYXS"]
    places = {tuple(row[axis] for axis in loops): n for n, row in enumerate(file.loop_indices)}
    own = {axis: sizes[axis] for axis in loops if axis != "P"}
    own |= {axis: sizes[axis] for axis in "CYXS" if axis in sizes}
    xml = cache(lambda: str(file.ome_metadata().to_xml()))  # for the first that is asked for

    def of_position(position: int) -> Series:
        def read(where: Where) -> Any:
            at = tuple((where | {"P": position}).get(axis, 0) for axis in loops)
            frame = file.read_frame(places.get(at, 0))
            return frame[where.get("C", 0)] if "C" in sizes and frame.ndim > 2 else frame

        name = f"position {position + 1}" if sizes.get("P", 1) > 1 else path.stem
        said = partial(_of_nd2, file, xml, position, own)
        return image(name, own, file.dtype, read, said=said)

    return [of_position(position) for position in range(sizes.get("P", 1))]


def _of_nd2(file: Any, xml: Callable[[], str], position: int, sizes: dict[str, int]) -> Metadata:
    """By the OME-XML that the package makes; it and what the program recorded go along in whole."""
    outer = {axis: size for axis, size in sizes.items() if axis not in "YXS"}
    own = "\n".join(f"{name}: {text}" for name, text in (file.text_info or {}).items())
    root = parsed(xml())
    found = Metadata() if root is None else Metadata.of_ome(root, position, outer)
    interval = found.interval or steady(found.times(outer))
    return replace(found, interval=interval, own=f"{own}\n{xml()}".strip())


# --- Leica LIF ------------------------------------------------------------------------------------
def lif_images(file: Any, path: Path) -> list[Series]:
    """An image per image of a liffile.LifFile, but for those of points, lines and other planes."""
    pictures = [one for one in file.images if {"Y", "X"} <= set(one.sizes)]
    if not pictures:
        raise refused(path, "a LIF without pictures of rows and columns (Y, X) is",
                      "Export its scans as TIFF.")  # fmt: skip
    others = [f"'{one.name}'" for one in file.images if one not in pictures]
    remark = f"{' and '.join(others)} hold no pictures (Y, X) and are left out" if others else ""
    return [_of_lif(one, "" if n else remark) for n, one in enumerate(pictures)]


def _of_lif(one: Any, remark: str) -> Series:
    sizes = {str(axis): int(n) for axis, n in one.sizes.items()}
    outer = [axis for axis in sizes if axis not in "YXS"]

    def read(where: Where) -> Any:
        if list(sizes)[: len(outer)] == outer:
            return one.frame(**{axis: where[axis] for axis in outer})
        return picture_of(one.asarray(), sizes, where)  # lines of channels in turn: never large

    said = partial(_lif_metadata, one, sizes)
    return image(str(one.name), sizes, one.dtype, read, said=said, remark=remark)


def _lif_metadata(one: Any, sizes: dict[str, int]) -> Metadata:
    element = one.xml_element
    steps = {axis: float(abs(values[1] - values[0])) * _MICROMETRES for axis in "ZYX"
             if len(values := one.coords.get(axis, ())) > 1}  # fmt: skip
    described, stamps = element.findall("./Data/Image/ImageDescription/Channels/*"), one.timestamps
    bits = max((int(number_of(one.get("Resolution")) or 0) for one in described), default=0)
    known = len(described) == sizes.get("C", 1)
    return Metadata(
        sizes=steps, interval=steady([float(time) for time in one.coords.get("T", [])]),
        bits=bits if 0 < bits < 8 * np.dtype(one.dtype).itemsize else None,
        date="" if stamps is None or not len(stamps) else f"{np.datetime64(stamps[0], 'ms')}Z",
        channels=[_lif_channel(*pair) for pair in enumerate(described)] if known else [],
        own=ElementTree.tostring(element, encoding="unicode"),
    )  # fmt: skip


def _lif_channel(number: int, channel: Any) -> Facts:
    own = {p.findtext("Key"): p.findtext("Value") for p in channel.findall("ChannelProperty")}
    lut = str(channel.get("LUTName", ""))
    facts: Facts = {"Name": own.get("DyeName") or lut or f"channel {number + 1}"}
    if own.get("DyeName"):
        facts["Fluor"] = own["DyeName"]
    if lut.lower() in _LUTS:
        facts["Color"] = ome_colour(*_LUTS[lut.lower()])
    return facts


# --- Zeiss CZI ------------------------------------------------------------------------------------
# czifile was written anew in 2026, for Python 3.12 and later. The release before it, of 2019, is
# all that Python 3.11 can have: it has no views of scenes, and does not know Zstandard.


def czi_images(file: Any, path: Path) -> list[Series]:
    """An image per scene of a czifile.CziFile, its tiles joined. Views and phases are refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of files without metadata or attachments
        said = _czi_described(file)
        if not hasattr(file, "scenes"):
            return _subblock_scenes(file, path, said)
        return [_czi_scene(path, said, file.scenes, key) for key in file.scenes]


def _czi_scene(path: Path, said: Described, scenes: Any, key: int) -> Series:
    """A scene as czifile of 2026 shows it. Places along an axis count from its start."""
    view = scenes[key]
    sizes = {str(axis): int(n) for axis, n in view.sizes.items()}
    start = dict(zip(view.dims, view.start, strict=True))
    _check_axes(path, sizes)
    outer = [axis for axis in _LANES if axis in sizes]
    sizes = {axis: sizes[axis] for axis in (*outer, *(a for a in sizes if a in "YXS"))}

    def read(where: Where) -> Any:
        at = {axis: int(start[axis]) + where.get(axis, 0) for axis in outer}
        return (view(**at) if at else view).asarray(maxworkers=1)

    name = f"scene {key + 1}" if len(scenes) > 1 else path.stem
    tiles = len(view.directory_entries) // max(1, int(np.prod([sizes[axis] for axis in outer])))
    remark = _mosaic(name, tiles)
    return image(name, sizes, view.dtype, read, said=partial(said, sizes), remark=remark)


def _mosaic(name: str, tiles: int) -> str:
    joined = f"{name}: a mosaic of {tiles} tiles, joined as the file places them"
    return joined if tiles > 1 else ""


def _check_axes(path: Path, sizes: dict[str, int]) -> None:
    odd = [axis for axis, n in sizes.items() if n > 1 and axis not in "SMBTZCYX0"]
    if odd:
        raise refused(path, f"axis {odd[0]} of a CZI is", _SPLIT)


def _subblock_scenes(file: Any, path: Path, said: Described) -> list[Series]:
    axes = str(file.axes)
    sizes = dict(zip(axes, map(int, file.shape), strict=True))
    _check_axes(path, sizes)
    scenes: dict[int, list[Tile]] = {}
    for entry in file.filtered_subblock_directory:
        if tuple(entry.stored_shape) == tuple(entry.shape):  # others are smaller copies
            begin = (int(a - b) for a, b in zip(entry.start, file.start, strict=True))
            at = dict(zip(axes, begin, strict=True))
            height, width = (int(entry.shape[axes.index(axis)]) for axis in "YX")
            scenes.setdefault(at.get("S", 0), []).append((entry, at, height, width))
    names = {key: f"scene {key + 1}" if len(scenes) > 1 else path.stem for key in scenes}
    return [_joined(file, names[key], sizes, tiles, said) for key, tiles in sorted(scenes.items())]


def _joined(file: Any, name: str, sizes: Where, tiles: list[Tile], said: Described) -> Series:
    """The image of a scene: tiles lie where the file places them, later ones above."""
    top, left = min(at["Y"] for _, at, _, _ in tiles), min(at["X"] for _, at, _, _ in tiles)
    height = max(at["Y"] + rows for _, at, rows, _ in tiles) - top
    width = max(at["X"] + columns for _, at, _, columns in tiles) - left
    count = sizes.get("0", 1)
    own = {a: sizes[a] for a in _LANES if a in sizes} | {"Y": height, "X": width, "S": count}
    planes: dict[tuple[int, ...], list[Tile]] = {}
    for tile in tiles:
        planes.setdefault(tuple(tile[1].get(axis, 0) for axis in _LANES), []).append(tile)

    def read(where: Where) -> Any:
        found = planes.get(tuple(where.get(axis, 0) for axis in _LANES), [])
        if not found:
            raise InputError(f"{name}: lacks a picture that the others promise.")
        whole = np.zeros((height, width, count), file.dtype)
        for entry, at, rows, columns in found:
            row, column = at["Y"] - top, at["X"] - left
            samples = _samples(entry).reshape(rows, columns, count)
            whole[row : row + rows, column : column + columns] = samples
        return whole

    remark = _mosaic(name, max(map(len, planes.values())))
    return image(name, own, file.dtype, read, said=partial(said, own), remark=remark)


def _samples(entry: Any) -> Any:
    """The samples of a subblock. Zstandard, which czifile of 2019 does not know, has a header of
    one or three bytes: whether all low bytes stand before all high ones (libCZI's documents)."""
    part = entry.data_segment()
    if entry.compression not in (_ZSTD, _ZSTD_HEADED):
        return np.asarray(part.data(resize=False))
    from imagecodecs import zstd_decode  # takes a while

    data = part.data(raw=True)
    header = data[: data[0]] if entry.compression == _ZSTD_HEADED else b""
    whole = np.frombuffer(zstd_decode(data[len(header) :]), np.uint8)
    if len(header) > 2 and header[2] & 1:
        whole = np.ascontiguousarray(whole.reshape(2, -1).T)
    samples = np.frombuffer(whole.tobytes(), np.dtype(entry.dtype[-2:]).newbyteorder("<"))
    if samples.size != int(np.prod(entry.stored_shape)):
        raise InputError("a tile is incomplete.")
    colours = int(entry.stored_shape[-1])  # of which blue comes first
    return samples.reshape(-1, colours)[:, [2, 1, 0, 3][:colours]] if colours > 1 else samples


def _czi_described(file: Any) -> Described:
    """By the file's XML, and the times of its frames in seconds."""
    xml: str = ""
    times: list[float] = []
    with suppress(InputError), refusals("metadata"):
        xml = str(file.metadata() or "")
    with suppress(InputError), refusals("times"):
        for one in file.attachments():
            if str(one.attachment_entry.name) == "TimeStamps":
                times = [float(value) for value in one.data()]
    return partial(_czi_metadata, xml, times)


def _czi_metadata(xml: str, stamps: list[float], sizes: dict[str, int]) -> Metadata:
    root = parsed(xml)
    document = None if root is None else root.find("Metadata")
    if document is None:
        return Metadata(own=xml)
    image = document.find("Information/Image")
    image = ElementTree.Element("Image") if image is None else image
    channels = image.findall("Dimensions/Channels/Channel")
    channels = channels if len(channels) == sizes.get("C", 1) else []
    if len(stamps) != (frames := sizes.get("T", 1)):  # measured; else as planned
        text = image.findtext("Dimensions/T/Positions/List/Offsets") or ""
        stamps = [time for word in text.split() if (time := number_of(word)) is not None]
    times = [time - stamps[0] for time in stamps] if len(stamps) == frames else []
    steps = {one.get("Id"): one.findtext("Value") for one in document.iterfind("Scaling/Items/*")}
    return Metadata(
        sizes={axis: scaled(steps.get(axis), "m") for axis in "XYZ"}, interval=steady(times),
        bits=int(number_of(image.findtext("ComponentBitCount")) or 0) or None, own=xml,
        date=image.findtext("AcquisitionDateAndTime") or "",
        channels=[*map(_czi_channel, channels)], planes=_czi_planes(sizes, times, channels),
    )  # fmt: skip


def _czi_channel(channel: Any) -> Facts:
    facts: Facts = {"Name": channel.get("Name")} if channel.get("Name") else {}
    if fluor := channel.findtext("Fluor"):
        facts["Fluor"] = fluor
    for name in ("ExcitationWavelength", "EmissionWavelength"):
        wave = number_of(channel.findtext(name))
        if wave is not None and wave > 0:
            facts |= {name: wave, f"{name}Unit": "nm"}
    colour = re.fullmatch("#?[0-9A-Fa-f]{2}([0-9A-Fa-f]{6})", channel.findtext("Color") or "")
    if colour:  # after an alpha
        facts["Color"] = ome_colour(*bytes.fromhex(colour[1]))
    return facts


def _czi_planes(sizes: dict[str, int], times: list[float], channels: list[Any]) -> list[Facts]:
    """Time and exposure of each picture, in the order of the axes."""
    exposures = [(number_of(one.findtext("ExposureTime")) or 0) * _NANOSECONDS for one in channels]
    when: list[Facts] = [{"DeltaT": one, "DeltaTUnit": "s"} for one in times]
    how = [{"ExposureTime": one, "ExposureTimeUnit": "s"} if one > 0 else {} for one in exposures]
    if not any((*when, *how)):
        return []
    outer = [axis for axis in sizes if axis not in "YXS0"]
    every = (dict(zip(outer, at, strict=True)) for at in np.ndindex(*(sizes[a] for a in outer)))
    return [(when[at.get("T", 0)] if when else {}) | (how[at.get("C", 0)] if how else {})
            for at in every]  # fmt: skip
