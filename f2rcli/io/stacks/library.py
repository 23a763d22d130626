"""Stacks that are no TIFF, as the libraries that read them show them: a table of formats, each with
its package. Nikon's ND2, Leica's LIF, Zeiss' CZI; arrays in OME-Zarr (NGFF 0.1 to 0.5), HDF5 and
FITS.

In HDF5 every array of pictures is a series under its path: those of NWB's imaging series; elsewhere
all of three and more axes, or else of two. BigDataViewer's are an array per moment and view.
"""

import json
import math
import re
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np

from f2rcli.errors import F2RError, InputError
from f2rcli.io import formats
from f2rcli.io.files import check_not_empty, refusals
from f2rcli.io.stacks.metadata import (
    PROVENANCE,
    SECONDS,
    SOURCE,
    Facts,
    Metadata,
    number_of,
    ome_colour,
    parsed,
    scaled,
    steady,
)
from f2rcli.io.stacks.stack import LETTER_OF, Series, Stack, Where, check_samples, is_known

Tile = tuple[Any, Where, int, int]  # its entry, its place by axis, rows and columns

_MICROMETRES = 1e6  # of a metre
_NANOSECONDS = 1e-9  # of a second
_ZSTD, _ZSTD_HEADED = 5, 6  # compressions that czifile of 2019 does not know
_LANES = "TZC"  # axes that count pictures; scenes (S) are series, tiles (M) are joined
_SPLIT = "Split it into files in ZEN, or export it as OME-TIFF."
_LUTS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "cyan": (0, 255, 255),
         "magenta": (255, 0, 255), "yellow": (255, 255, 0), "gray": (255, 255, 255),
         "grey": (255, 255, 255)}  # of Leica  # fmt: skip
HDF5_CACHE = 256 << 20  # bytes of chunks: they may reach over many frames
# Of NWB (Neurodata Without Borders 2), whose other arrays are masks and traces: frames, x, which
# runs down the rows, y [, z].
_SERIES = {"TwoPhotonSeries", "OnePhotonSeries", "ImageSeries"}
_NWB = {"QYX": "TYX", "QIYX": "TYXZ", "QYXS": "TYXS"}
_VIEWS = re.compile(r"/t\d+/(s\d+)/0/cells")  # BigDataViewer's; 0: no smaller copy
_UNNAMED = {2: "YX", 3: "QYX", 4: "QIYX", 5: "QIPYX"}


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
    # The OME-XML that the package makes; it and what the program recorded go along in whole.
    xml = str(file.ome_metadata().to_xml())
    words = "".join(f"{name}: {text}\n" for name, text in (file.text_info or {}).items())
    root, outer = parsed(xml), {axis: size for axis, size in own.items() if axis not in "YXS"}

    def of_position(position: int) -> Series:
        def read(where: Where) -> Any:
            at = tuple((where | {"P": position}).get(axis, 0) for axis in loops)
            frame = file.read_frame(places.get(at, 0))
            return frame[where.get("C", 0)] if "C" in sizes and frame.ndim > 2 else frame

        name = f"position {position + 1}" if sizes.get("P", 1) > 1 else path.stem
        said = Metadata.of_ome(root, position, outer)
        interval = said.interval or steady(said.times(outer))
        said = replace(said, interval=interval, own=f"{words}{xml}".strip())
        return Series.of(name, own, file.dtype, read, metadata=said)

    return [of_position(position) for position in range(sizes.get("P", 1))]


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

    said = _lif_metadata(one, sizes)
    return Series.of(str(one.name), sizes, one.dtype, read, metadata=said, remark=remark)


def _lif_metadata(one: Any, sizes: Where) -> Metadata:
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
        xml, times = _czi_described(file)
        if hasattr(file, "scenes"):
            found = [_czi_scene(path, file.scenes, key) for key in file.scenes]
        else:
            found = _subblock_scenes(file, path)
    return [replace(one, metadata=_czi_metadata(xml, times, one)) for one in found]


def _czi_scene(path: Path, scenes: Any, key: int) -> Series:
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
    return Series.of(name, sizes, view.dtype, read, remark=_mosaic(name, tiles))


def _mosaic(name: str, tiles: int) -> str:
    joined = f"{name}: a mosaic of {tiles} tiles, joined as the file places them"
    return joined if tiles > 1 else ""


def _check_axes(path: Path, sizes: Where) -> None:
    odd = [axis for axis, n in sizes.items() if n > 1 and axis not in "SMBTZCYX0"]
    if odd:
        raise refused(path, f"axis {odd[0]} of a CZI is", _SPLIT)


def _subblock_scenes(file: Any, path: Path) -> list[Series]:
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
    return [_joined(file, names[key], sizes, tiles) for key, tiles in sorted(scenes.items())]


def _joined(file: Any, name: str, sizes: Where, tiles: list[Tile]) -> Series:
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
    return Series.of(name, own, file.dtype, read, remark=remark)


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


def _czi_described(file: Any) -> tuple[str, list[float]]:
    """The file's XML, and the times of its frames in seconds."""
    xml: str = ""
    times: list[float] = []
    with suppress(InputError), refusals("metadata"):
        xml = str(file.metadata() or "")
    with suppress(InputError), refusals("times"):
        for one in file.attachments():
            if str(one.attachment_entry.name) == "TimeStamps":
                times = [float(value) for value in one.data()]
    return xml, times


def _czi_metadata(xml: str, stamps: list[float], scene: Series) -> Metadata:
    root = parsed(xml)
    document = None if root is None else root.find("Metadata")
    if document is None:
        return Metadata(own=xml)
    image = document.find("Information/Image")
    image = ElementTree.Element("Image") if image is None else image
    channels = image.findall("Dimensions/Channels/Channel")
    channels = channels if len(channels) == scene.sizes.get("C", 1) else []
    if len(stamps) != (frames := scene.sizes.get("T", 1)):  # measured; else as planned
        text = image.findtext("Dimensions/T/Positions/List/Offsets") or ""
        stamps = [time for word in text.split() if (time := number_of(word)) is not None]
    times = [time - stamps[0] for time in stamps] if len(stamps) == frames else []
    steps = {one.get("Id"): one.findtext("Value") for one in document.iterfind("Scaling/Items/*")}
    return Metadata(
        sizes={axis: scaled(steps.get(axis), "m") for axis in "XYZ"}, interval=steady(times),
        bits=int(number_of(image.findtext("ComponentBitCount")) or 0) or None, own=xml,
        date=image.findtext("AcquisitionDateAndTime") or "",
        channels=[*map(_czi_channel, channels)], planes=_czi_planes(scene, times, channels),
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


def _czi_planes(scene: Series, times: list[float], channels: list[Any]) -> list[Facts]:
    """Time and exposure of each picture, in the order of the axes."""
    exposures = [(number_of(one.findtext("ExposureTime")) or 0) * _NANOSECONDS for one in channels]
    when: list[Facts] = [{"DeltaT": one, "DeltaTUnit": "s"} for one in times]
    how = [{"ExposureTime": one, "ExposureTimeUnit": "s"} if one > 0 else {} for one in exposures]
    if not any((*when, *how)):
        return []
    every = map(scene.at, range(scene.frames))
    return [(when[at.get("T", 0)] if when else {}) | (how[at.get("C", 0)] if how else {})
            for at in every]  # fmt: skip


# --- OME-Zarr -------------------------------------------------------------------------------------
def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr group or array, whatever its name."""
    return any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray"))


def zarr_images(group: Any, path: Path) -> list[Series]:
    """An image per multiscale of a zarr.Group, or that of a zarr.Array. No plate or collection."""
    said = ome_attributes(group)
    try:
        if hasattr(group, "shape"):
            own = Metadata(own=json.dumps(said) if said else "")
            return [_of_scales({"0": group}, _alone(group), path, own)]
        if "multiscales" not in said:
            raise _no_image(group, said, path)
        if any("coordinateSystems" in one for one in said["multiscales"]):
            raise refused(path, f"OME-Zarr of version {said.get('version', '0.6')} is",
                          "Save it as version 0.5 or before.")  # fmt: skip
        channels = [_omero_channel(one) for one in (said.get("omero") or {}).get("channels") or []]
        known = Metadata(channels=channels, own=str(said.get(SOURCE) or json.dumps(said)))
        return [_of_scales(group, scales, path, known) for scales in said["multiscales"]]
    # Attributes may be of any type: anyone may have written them.
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path.name}: its attributes are no OME-Zarr's.",
                         hint="Write it again with a program for OME-Zarr.") from error  # fmt: skip


def _alone(array: Any) -> dict[str, Any]:
    """What a multiscale would say of an array, whose axes Zarr 3 or xarray may name."""
    named = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    names = [str(name).lower() for name in named or ()]
    axes = names if {"y", "x"} <= {*names} else list(_unnamed(array))
    return {"datasets": [{"path": "0"}], "axes": axes}


def ome_attributes(group: Any) -> dict[str, Any]:
    """The attributes of a group that OME-Zarr defines; version 0.5 has them under `ome`."""
    attributes = dict(group.attrs)
    found = attributes.get("ome", attributes)
    return found if isinstance(found, dict) else {}


def _no_image(group: Any, said: dict[str, Any], path: Path) -> InputError:
    """The error for a group that is no image, naming one that is."""
    if "plate" in said:
        kind, place = "plate", str(said["plate"]["wells"][0]["path"])
    elif "well" in said or "bioformats2raw.layout" in said:
        kind, place = "well" if "well" in said else "bioformats2raw", ""
    else:
        what = "a Zarr folder without multiscales (OME-Zarr) is"
        return refused(path, what, "Pass the folder of an OME-Zarr image, or of an array.")
    well = group[place] if place and place in group else group
    images = ome_attributes(well).get("well", {}).get("images") or [{"path": "0"}]
    inside = "/".join(part for part in (path.name, place, str(images[0]["path"])) if part)
    hint = f"Pass one of the images inside it, e.g. {inside}."
    return refused(path, f"an OME-Zarr {kind} is", hint)


def _letter(axis: dict[str, Any]) -> str:
    """The letter of an axis, by its name or type; a longer name that says none stays a word."""
    name = (axis["name"] + "").lower()
    kind = {"time": "T", "channel": "C"}.get(str(axis.get("type")), name[:99])
    return name.upper() if len(name) == 1 else LETTER_OF.get(name, kind)


def _steps(scales: Facts, axes: list[Facts], letters: list[str]) -> Facts:
    """Fields of Metadata: pixel sizes in known units, and in others; the interval of frames."""
    owners = scales["datasets"][0], scales
    every = [one for owner in owners for one in owner.get("coordinateTransformations", [])]
    steps = [math.nan] * len(axes)
    for scale in (one.get("scale") for one in every if one.get("type") == "scale"):
        if isinstance(scale, list) and len(scale) == len(steps):
            numbers = [number_of(step) for step in scale]
            steps = [math.nan if b is None else b if math.isnan(a) else a * b
                     for a, b in zip(steps, numbers, strict=True)]  # fmt: skip
    sizes, relative, interval = {}, {}, None
    for letter, axis, step in zip(letters, axes, steps, strict=True):
        unit = axis.get("unit")
        if letter == "T" and step > 0:
            interval = scaled(step, unit, SECONDS)
        elif letter in "XYZ" and (size := scaled(step, unit)) is not None:
            sizes[letter] = size
        elif letter in "XYZ" and step != 1:
            relative[letter] = step
    return {"sizes": sizes, "relative": relative, "interval": interval}


def _of_scales(group: Any, scales: dict[str, Any], path: Path, known: Metadata) -> Series:
    levels = [group[level["path"] + ""] for level in scales["datasets"]]
    array = levels[0]
    axes = [{"name": one} if isinstance(one, str) else one
            for one in scales.get("axes") or "tczyx"[-array.ndim :]]  # version 0.2  # fmt: skip
    letters = [_letter(axis) for axis in axes]
    if not {"Y", "X"} <= set(letters) or not len({*letters}) == len(letters) == array.ndim:
        words = ", ".join(str(one["name"]) for one in axes)
        raise refused(path, f"an array of {array.ndim} axes named {words} is",
                      "Name each of them, y and x among them.")  # fmt: skip

    lacking = array.nchunks - array.nchunks_initialized
    rows, columns = (letters.index(axis) for axis in "YX")
    said = replace(known, **_steps(scales, axes, letters))
    return Series.of(
        str(scales.get("name", "")), dict(zip(letters, map(int, array.shape), strict=True)),
        array.dtype, partial(picture_of, array, letters), metadata=said,
        remark=f"{lacking} chunks not stored; there samples are {array.fill_value}"
        if lacking else "",
        levels=tuple((int(one.shape[rows]), int(one.shape[columns])) for one in levels[1:]),
    )  # fmt: skip


def _omero_channel(one: dict[str, Any]) -> Facts:
    facts: Facts = {"Name": str(one["label"])} if one.get("label") else {}
    colour = re.fullmatch("#?([0-9A-Fa-f]{6})([0-9A-Fa-f]{2})?", str(one.get("color", "")))
    if colour:
        facts["Color"] = ome_colour(*bytes.fromhex(colour[1]))
    return facts


# --- HDF5 -----------------------------------------------------------------------------------------
def hdf5_images(file: Any, path: Path) -> list[Series]:
    """An image per array of pictures of an h5py.File."""
    every: list[Any] = []
    file.visititems(lambda _, one: every.append(one) if hasattr(one, "ndim") else None)
    views: dict[str, list[Any]] = {}
    for one in every:  # in the order of their names, so of time
        if named := _VIEWS.fullmatch(one.name):
            views.setdefault(named[1], []).append(one)
    if views:
        return [_of_view(name, moments) for name, moments in views.items()]
    imaging = [one for one in every if _is_imaging(one)]
    known = [one for one in every if is_known(one.dtype) and one.size and 2 <= one.ndim <= 5]
    found = [one for one in imaging or every if one in known]
    if any(one.ndim > 2 for one in found):
        found = [one for one in found if one.ndim > 2]
    if not found:
        for one in every:
            if one.size and 2 <= one.ndim <= 5 and one.dtype.kind in "biuc":
                check_samples(one.dtype, f"{path.name}:{one.name}")
        raise refused(path, "an HDF5 file without arrays of pictures is",
                      "f2r reads numbers of two to five axes, the picture's last.")  # fmt: skip
    return [_of_array(array) for array in found]


def _of_view(name: str, moments: list[Any]) -> Series:
    """Arrays (Z, Y, X) of BigDataViewer, whose library has no name for the unsigned samples."""
    first = moments[0]
    sizes = {"T": len(moments), **dict(zip("ZYX", map(int, first.shape), strict=True))}
    dtype = np.dtype(np.uint16) if first.dtype == np.int16 else first.dtype

    def read(where: Where) -> Any:
        return np.asarray(moments[where["T"]][where["Z"]]).view(dtype)

    return Series.of(name, sizes, dtype, read, metadata=_array_metadata(first))


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _is_imaging(array: Any) -> bool:
    return _text(array.parent.attrs.get("neurodata_type", "")) in _SERIES


def _of_array(array: Any) -> Series:
    axes = _array_axes(array)
    sizes = dict(zip(axes, map(int, array.shape), strict=True))
    read, said = partial(picture_of, array, axes), _array_metadata(array)
    return Series.of(str(array.name), sizes, array.dtype, read, metadata=said)


def _array_axes(array: Any) -> str:
    """Letters as labels of dimensions or ilastik's axistags say; else the picture's axes last."""
    unnamed = _unnamed(array)
    labels = (str(dimension.label).lower() for dimension in array.dims)
    named = "".join(LETTER_OF.get(label, label) for label in labels)
    if "axistags" in array.attrs:
        keys = re.findall(r'"key"\s*:\s*"(\w)"', _text(array.attrs["axistags"]))
        named = re.sub("c$", "S" if unnamed.endswith("S") else "C", "".join(keys))
    named = named.upper()
    if len(named) == len(set(named)) == array.ndim and {"Y", "X"} <= set(named):
        return named
    return _NWB.get(unnamed, unnamed) if _is_imaging(array) else unnamed


def _unnamed(array: Any) -> str:
    """Letters of an array's axes: the picture's, and bytes of three or four colours, are last."""
    colour = array.ndim > 2 and array.shape[-1] in (3, 4) and array.dtype == np.uint8
    return _UNNAMED.get(array.ndim - colour, "") + "S" * colour


def _array_metadata(array: Any) -> Metadata:
    """Sizes by Fiji or ilastik, the rate of NWB; attributes of the array and its groups."""
    owners, start = [array], array.parent.get("starting_time")
    while owners[-1].name != "/":
        owners.append(owners[-1].parent)
    own = [
        f"{one.name} {name}: {_text(value)}" for one in owners for name, value in one.attrs.items()
        if np.size(value) <= 1024 and name not in ("axistags", "DIMENSION_LABELS")
    ]  # fmt: skip
    steps = np.ravel(array.attrs.get("element_size_um", ()))[-3:]
    sizes = dict(zip("XYZ", steps[::-1], strict=False))
    rate = None if start is None else number_of(start.attrs.get("rate"))
    return Metadata(sizes=sizes, interval=1 / rate if rate else None, own="\n".join(own))


# --- FITS -----------------------------------------------------------------------------------------
def fits_images(file: Any, path: Path) -> list[Series]:
    """An image per array of pictures of astropy's HDUList."""
    found = [hdu for hdu in file if getattr(hdu, "is_image", False) and 2 <= len(hdu.shape) <= 4]
    return [_of_hdu(hdu, number, path) for number, hdu in enumerate(found, 1)]


def _of_hdu(hdu: Any, number: int, path: Path) -> Series:
    if "BAYERPAT" in hdu.header:
        hint = "Make it a DNG first, which says what its colour filters are."
        raise refused(path, "a FITS of a sensor's colour mosaic is", hint)
    axes = _UNNAMED[len(hdu.shape)]
    axes = "CYX" if len(axes) == 3 and hdu.shape[0] == 3 else axes  # red, green and blue
    own = Metadata(own=str(hdu.header.tostring(sep="\n", padding=False)))
    dtype = np.asarray(hdu.section[(slice(0, 1),) * len(axes)]).dtype  # scaled as headers say
    sizes = dict(zip(axes, map(int, hdu.shape), strict=True))
    read = partial(picture_of, hdu.section, axes)
    return Series.of(hdu.name or f"picture {number}", sizes, dtype, read, metadata=own)


# --- The table ------------------------------------------------------------------------------------
class StackFormat(NamedTuple):
    """A format: its name, the package that reads it, and how."""

    name: str
    package: str
    opener: str  # of the package: takes a path and, by name, `options`
    images: Callable[[Any, Path], list[Series]]  # of what that opened
    options: dict[str, Any] | None = None


_HDF5 = StackFormat("HDF5", "h5py", "File", hdf5_images, {"mode": "r", "rdcc_nbytes": HDF5_CACHE})
_ZARR = StackFormat("OME-Zarr", "zarr", "open", zarr_images, {"mode": "r"})
FORMATS = {
    ".nd2": StackFormat("ND2", "nd2", "ND2File", nd2_images),
    ".czi": StackFormat("CZI", "czifile", "CziFile", czi_images),
    ".lif": StackFormat("LIF", "liffile", "LifFile", lif_images),
    formats.ZARR: _ZARR,
    **dict.fromkeys(formats.HDF5, _HDF5),
    **dict.fromkeys(formats.FITS, StackFormat("FITS", "astropy.io.fits", "open", fits_images)),
}


def format_of(path: Path) -> StackFormat | None:
    """The format of a source that is no TIFF, by suffix, or by content for folders."""
    known = FORMATS.get(path.suffix.lower())
    return _ZARR if known is None and path.is_dir() and is_zarr(path) else known


def package(name: str, what: str, refusal: type[F2RError]) -> Any:
    """A package that few need, imported; what: needs it. Raises `refusal` where it is missing."""
    try:
        return import_module(name)
    except ImportError as error:
        own = name.partition(".")[0]
        hint = f"Install it: pip install {own}."
        raise refusal(f"{what} needs the package {own}.", hint=hint) from error


class LibraryStack(Stack):
    """A stack in a format that a package of the extra `microscopy` reads."""

    def __init__(self, path: Path, kind: StackFormat) -> None:
        """Raises InputError where the library is missing or refuses the file."""
        if not path.is_dir():
            check_not_empty(path)
        self._kind, self.flavour = kind, kind.name
        self.package = kind.package.partition(".")[0]
        # Imported before its messages are kept from being printed: astropy makes its own logger.
        self._library = package(kind.package, f"{path.name}: reading {kind.name}", InputError)
        super().__init__(path)

    def _open(self) -> None:
        kind, path = self._kind, self.path
        self.file = getattr(self._library, kind.opener)(str(path), **(kind.options or {}))
        found = enumerate(kind.images(self.file, path))
        self.series = [replace(one, number=number, codec=kind.name) for number, one in found]
        self.remarks = tuple(one.remark for one in self.series if one.remark)
        if kind is _ZARR:
            self.provenance = str(self.file.attrs.get(PROVENANCE, ""))
            if is_zarr(path / "labels"):
                self.remarks += ("label images are left out",)
