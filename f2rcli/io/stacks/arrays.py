"""Arrays in OME-Zarr (NGFF 0.1 to 0.5), HDF5 and NWB (Neurodata Without Borders 2).

In HDF5 every array of pictures is a series under its path, so that `file.h5:/path` names one. In
NWB these are the data of imaging series; elsewhere all arrays of three and more axes, or else of
two. Any other array of two to five axes is one where a path names it.
"""

import json
import math
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import numpy as np

from f2rcli.errors import InputError, UsageError
from f2rcli.io.stacks.foreign import Image, Where, unsupported
from f2rcli.io.stacks.lanes import LETTER_OF
from f2rcli.io.stacks.metadata import Facts, Metadata, known_sizes, number_of, ome_colour, steady
from f2rcli.io.stacks.stack import check_samples
from f2rcli.io.tifffiles import refusals

HDF5_SUFFIXES = (".h5", ".hdf5", ".hdf", ".nwb")
ZARR_PROVENANCE = "f2r"  # the attribute of a group that tells how f2r made it
# Units of the NGFF specification, which are those of UDUNITS-2, in micrometres and seconds.
ZARR_LENGTHS = {"femtometer": 1e-9, "picometer": 1e-6, "angstrom": 1e-4, "nanometer": 1e-3,
                "micrometer": 1.0, "millimeter": 1e3, "centimeter": 1e4, "decimeter": 1e5,
                "meter": 1e6, "kilometer": 1e9, "inch": 25400.0, "foot": 304800.0}  # fmt: skip
ZARR_TIMES = {"femtosecond": 1e-15, "picosecond": 1e-12, "nanosecond": 1e-9, "microsecond": 1e-6,
              "millisecond": 1e-3, "centisecond": 1e-2, "decisecond": 0.1, "second": 1.0,
              "minute": 60.0, "hour": 3600.0, "day": 86400.0}  # fmt: skip
_BEFORE_AXES = ("t", "c", "z", "y", "x")  # of versions 0.1 and 0.2, which do not name them
_INSIDE = re.compile(
    rf"(.+?(?:{'|'.join(re.escape(s) for s in HDF5_SUFFIXES)})):(/.*)", re.IGNORECASE
)
HDF5_CACHE = 256 << 20  # bytes of chunks: they may reach over many frames
_SERIES = frozenset({"TwoPhotonSeries", "OnePhotonSeries", "ImageSeries"})
_UNNAMED = {2: "YX", 3: "QYX", 4: "QIYX", 5: "QIPYX"}
_NWB = {3: "TYX", 4: "TYXZ"}  # frames, x, y [, z] by its schema: its x runs down the rows
_PLAIN = "ImageSeries"  # a camera's movie: bytes of three or four are colours, no depth
_METRES = {"meters": 1e6, "metres": 1e6, "m": 1e6, "micrometers": 1.0, "microns": 1.0, "um": 1.0,
           "µm": 1.0, "micrometer": 1.0, "millimeters": 1e3, "mm": 1e3, "nanometers": 1e-3,
           "nm": 1e-3}  # in micrometres  # fmt: skip


# --- OME-Zarr ------------------------------------------------------------------------------------


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr group, whatever its name."""
    return any((path / name).is_file() for name in ("zarr.json", ".zgroup"))


def zarr_images(group: Any, path: Path) -> list[Image]:
    """An image per multiscale of a zarr.Group. A plate or collection is refused."""
    said = ome_attributes(group)
    if "multiscales" not in said:
        raise _no_image(said, path)
    scales = said["multiscales"]
    if isinstance(scales, list) and any(
        isinstance(one, dict) and "coordinateSystems" in one for one in scales
    ):
        raise unsupported(path, f"OME-Zarr of version {said.get('version', '0.6')} is",
                          "Save it as version 0.5 or before.")  # fmt: skip
    if not _is_sound(said):
        raise InputError(f"{path.name}: its attributes are no OME-Zarr's.",
                         hint="Write it again with a program for OME-Zarr.")  # fmt: skip
    return [_of_scales(group, scales, said, path) for scales in said["multiscales"]]


def ome_attributes(group: Any) -> dict[str, Any]:
    """The attributes of a group that OME-Zarr defines; version 0.5 has them under `ome`."""
    attributes = dict(group.attrs)
    found = attributes.get("ome", attributes)
    return found if isinstance(found, dict) else {}


def _is_sound(said: dict[str, Any]) -> bool:
    """Whether attributes are of OME-Zarr's types; anyone may have written them."""

    def dicts(value: Any) -> bool:
        return isinstance(value, list) and all(isinstance(one, dict) for one in value)

    def named(axis: Any) -> bool:
        name = axis.get("name") if isinstance(axis, dict) else axis
        return isinstance(name, str) and bool(name)

    def scales(one: dict[str, Any]) -> bool:
        levels, axes = one.get("datasets") or [], one.get("axes") or []
        return (
            dicts(levels) and bool(levels) and isinstance(axes, list) and all(map(named, axes))
            and all(isinstance(level.get("path"), str) for level in levels)
            and all(dicts(owner.get("coordinateTransformations", [])) for owner in (one, *levels))
        )  # fmt: skip

    omero = said.get("omero") or {}
    return (
        dicts(said["multiscales"]) and all(map(scales, said["multiscales"]))
        and isinstance(omero, dict) and dicts(omero.get("channels") or [])
    )  # fmt: skip


def _no_image(said: dict[str, Any], path: Path) -> InputError:
    if isinstance(said.get("plate"), dict):
        wells = said["plate"].get("wells")
        known = isinstance(wells, list) and wells and isinstance(wells[0], dict)
        well = f"{wells[0].get('path', 'A/1') if known else 'A/1'}/0"
        return unsupported(path, "an OME-Zarr plate is",
                           f"Pass one of its images, e.g. {path.name}/{well}.")  # fmt: skip
    kind = next((word for word in ("well", "bioformats2raw.layout") if word in said), None)
    if kind is not None:
        return unsupported(path, f"an OME-Zarr {kind.split('.')[0]} is",
                           f"Pass one of the images inside it, e.g. {path.name}/0.")  # fmt: skip
    return unsupported(path, "a Zarr folder without multiscales (OME-Zarr) is",
                       "Pass the folder of an OME-Zarr image.")  # fmt: skip


def _of_scales(group: Any, scales: dict[str, Any], said: dict[str, Any], path: Path) -> Image:
    levels = [group[level["path"]] for level in scales["datasets"]]
    array = levels[0]
    check_samples(array.dtype, path.name)
    axes = zarr_axes(scales, array.ndim)
    letters = _letters(axes)
    if not {"Y", "X"} <= set(letters) or len({*letters}) != array.ndim or len(axes) != array.ndim:
        words = ", ".join(str(axis["name"]) for axis in axes)
        raise unsupported(path, f"an array of {array.ndim} axes named {words} is",
                          "Name each of them, y and x among them.")  # fmt: skip

    def read(where: Where) -> Any:
        return array[tuple(slice(None) if a in "YX" else where.get(a, 0) for a in letters)]

    sizes, relative, interval = _scaled(scales, axes, letters)
    omero = said.get("omero") or {}
    found = Metadata(
        sizes=sizes, relative=relative, interval=interval, own=json.dumps(said),
        channels=[_omero_channel(one) for one in omero.get("channels") or []],
    )  # fmt: skip
    rows = [letters.index(axis) for axis in "YX"]
    return Image(
        str(scales.get("name", "")), dict(zip(letters, map(int, array.shape), strict=True)),
        array.dtype, read, lambda: found, interval,
        lacking=array.nchunks - array.nchunks_initialized, fill=array.fill_value,
        levels=tuple((int(one.shape[rows[0]]), int(one.shape[rows[1]])) for one in levels[1:]),
    )  # fmt: skip


def zarr_axes(scales: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """The axes of a multiscale as in version 0.4: the named ones, or the last of t, c, z, y, x."""
    axes = scales.get("axes") or _BEFORE_AXES[-count:]
    return [{"name": axis} if isinstance(axis, str) else axis for axis in axes]


def _letters(axes: list[dict[str, Any]]) -> list[str]:
    """A letter for each axis: its name, or for a longer name that of the word, of its type or its
    first."""
    words = (str(axis["name"]) for axis in axes)
    names = [
        (word if len(word) == 1 else LETTER_OF.get(word.lower(), word)).upper() for word in words
    ]
    for place, (name, axis) in enumerate(zip(names, axes, strict=True)):
        if len(name) != 1:
            first = {"time": "T", "channel": "C"}.get(str(axis.get("type")), name[:1])
            free = (one for one in (first, *ascii_uppercase) if one not in names)
            names[place] = next(one for one in free if one.isalpha())
    return names


def _scaled(
    scales: dict[str, Any], axes: list[dict[str, Any]], letters: list[str]
) -> tuple[dict[str, float], dict[str, float], float | None]:
    """Pixel sizes in units that f2r knows, and in others, and the interval of frames."""
    steps = [math.nan] * len(axes)
    for owner in (scales["datasets"][0], scales):
        for transform in owner.get("coordinateTransformations", []):
            more = transform.get("scale") if transform.get("type") == "scale" else None
            if isinstance(more, list) and len(more) == len(axes):
                numbers = [number_of(step) for step in more]
                steps = [
                    math.nan if b is None else b if math.isnan(a) else a * b
                    for a, b in zip(steps, numbers, strict=True)
                ]
    sizes, relative, interval = {}, {}, None
    for letter, axis, step in zip(letters, axes, steps, strict=True):
        unit = str(axis.get("unit", ""))
        if letter in "XYZ" and unit in ZARR_LENGTHS:
            sizes[letter] = step * ZARR_LENGTHS[unit]
        elif letter in "XYZ" and step != 1:
            relative[letter] = step
        elif letter == "T" and unit in ZARR_TIMES and 0 < step < math.inf:
            interval = step * ZARR_TIMES[unit]
    return known_sizes(**sizes), known_sizes(**relative), interval


def _omero_channel(one: dict[str, Any]) -> Facts:
    facts: Facts = {"Name": str(one["label"])} if one.get("label") else {}
    colour = re.fullmatch("#?([0-9A-Fa-f]{6})([0-9A-Fa-f]{2})?", str(one.get("color", "")))
    if colour:
        facts["Color"] = ome_colour(*bytes.fromhex(colour[1]))
    return facts


# --- HDF5 and NWB --------------------------------------------------------------------------------


def split_path(source: str) -> tuple[str, str | None]:
    """A file, and the path of an array in it: `a.h5:/movie` is a.h5 and /movie."""
    match = None if Path(source).exists() else _INSIDE.fullmatch(source)
    return (match[1], match[2].rstrip("/")) if match else (source, None)


def hdf5_images(file: Any, path: Path, wanted: str = "") -> list[Image]:
    """An image per array of pictures of an h5py.File; wanted: the path of the only one, or of a
    group that holds one."""
    return [_of_array(file, array) for array in _arrays(file, path, wanted)]


def _arrays(file: Any, path: Path, wanted: str) -> list[Any]:
    every: list[Any] = []
    file.visititems(lambda _, one: every.append(one) if hasattr(one, "ndim") else None)
    imaging = [one for one in every if _kind(one.parent) in _SERIES and _leaf(one) == "data"]
    if any(_leaf(one) == "external_file" for one in every) and not any(a.size for a in imaging):
        raise unsupported(path, "an NWB file whose pictures lie in other files is",
                          "Pass those files.")  # fmt: skip
    found = [one for one in imaging or every if _is_known(one.dtype) and one.size]
    rank = 2 if all(one.ndim < 3 for one in found) else 3
    found = [one for one in found if rank <= one.ndim <= 5]
    if wanted:
        return [_named(every, found, path, wanted)]
    if not found:
        for one in every:
            if one.size and rank <= one.ndim <= 5 and one.dtype.kind in "biuc":
                check_samples(one.dtype, f"{path.name}:{one.name}")
        raise unsupported(path, "an HDF5 file without arrays of pictures is",
                          "f2r reads numbers of two to five axes, the picture's last.")  # fmt: skip
    return found


def _named(every: list[Any], found: list[Any], path: Path, wanted: str) -> Any:
    below = [one for one in every if f"{one.name}/".startswith(f"{wanted}/")]
    fit = [one for one in below if _is_known(one.dtype) and one.size and 2 <= one.ndim <= 5]
    if len(fit) != 1:
        names = ", ".join(str(one.name) for one in (fit or found)[:6])
        raise UsageError(f"{path.name}:{wanted}: names no array of pictures.",
                         hint=f"It has {names or 'none'}.")  # fmt: skip
    return fit[0]


def _is_known(dtype: Any) -> bool:
    return dtype.kind in "uif" and dtype.itemsize <= (8 if dtype.kind == "f" else 4)


def _leaf(array: Any) -> str:
    return str(array.name).rpartition("/")[2]


def _kind(group: Any) -> str:
    return _text(group.attrs.get("neurodata_type", ""))


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _of_array(file: Any, array: Any) -> Image:
    stored = _array_axes(array)
    last = [axis for axis in "YXS" if axis in stored]
    order = [*(axis for axis in stored if axis not in last), *last]
    sizes = {axis: int(array.shape[stored.index(axis)]) for axis in order}
    turned = [[axis for axis in stored if axis in last].index(axis) for axis in last]

    def read(where: Where) -> Any:
        index = tuple(slice(None) if axis in last else where.get(axis, 0) for axis in stored)
        return np.transpose(array[index], turned)

    found = _array_metadata(file, array, sizes)
    return Image(str(array.name), sizes, array.dtype, read, lambda: found, found.interval)


def _array_axes(array: Any) -> str:
    """Letters as labels of dimensions or ilastik's axistags say; else the picture's axes last."""
    labels = (str(dimension.label).lower() for dimension in array.dims)
    named = "".join(LETTER_OF.get(label, label) for label in labels)
    if "axistags" in array.attrs:
        keys = re.findall(r'"key"\s*:\s*"(\w)"', _text(array.attrs["axistags"]))
        named = "".join(keys[:-1]).replace("c", "C") + "".join(keys[-1:]).replace("c", "S")
    named = named.upper()
    colour = array.ndim > 2 and array.shape[-1] in (3, 4) and array.dtype == np.uint8
    if (kind := _kind(array.parent)) in _SERIES and array.ndim in _NWB:
        return "TYXS" if colour and array.ndim == 4 and kind == _PLAIN else _NWB[array.ndim]
    if len(named) == len(set(named)) == array.ndim and {"Y", "X"} <= set(named):
        return named
    return _UNNAMED[array.ndim - 1] + "S" if colour else _UNNAMED[array.ndim]


def _array_metadata(file: Any, array: Any, sizes: dict[str, int]) -> Metadata:
    group = array.parent
    steps = _numbers(array.attrs.get("element_size_um"))  # Fiji's and ilastik's: z, y, x
    found: dict[str, float | None] = {}
    if 0 < len(steps) < 4:
        found |= zip("ZYX"[-len(steps) :], steps, strict=True)
    own = "\n".join(_attributes(array))
    if _kind(group) not in _SERIES:
        return Metadata(sizes=known_sizes(**found), own=own)
    times = _times(group, sizes.get("T", 1))
    measured = "timestamps" in group and len(times) == sizes.get("T", 1)
    with suppress(InputError), refusals("imaging plane"):
        found |= _spacing(group)
    date = _text(file["session_start_time"][()]) if "session_start_time" in file else ""
    return Metadata(
        sizes=known_sizes(**found), interval=steady(times), date=date, own=own,
        channels=list(_nwb_channels(group))[:1] if sizes.get("C", 1) == 1 else [],
        planes=[{"DeltaT": time, "DeltaTUnit": "s"} for time in times
                for _ in range(sizes.get("Z", 1))] if measured else [],
    )  # fmt: skip


def _attributes(array: Any) -> Iterator[str]:
    """The attributes of an array and of the groups it lies in, a line each."""
    owner = array
    while True:
        for name, value in owner.attrs.items():
            if np.size(value) <= 1024 and name not in ("axistags", "DIMENSION_LABELS"):
                yield f"{owner.name} {name}: {_text(value)}"
        if owner.name == "/":
            return
        owner = owner.parent


def _numbers(values: Any) -> list[float]:
    numbers = [number_of(value) for value in np.ravel([] if values is None else values)]
    return [] if None in numbers else [number for number in numbers if number is not None]


def _times(group: Any, count: int) -> list[float]:
    """Seconds of the frames: measured, or by the rate."""
    if "timestamps" in group:
        times = _numbers(group["timestamps"][:count])
        return times if len(times) == count else []
    start = group.get("starting_time")
    rate = None if start is None else number_of(start.attrs.get("rate"))
    return [0.0, 1 / rate] if rate and rate > 0 else []


def _members(group: Any) -> dict[str, Any]:
    """What a group holds, by name; nothing for an array, or where there is none."""
    return dict(group) if hasattr(group, "keys") else {}


def _spacing(group: Any) -> dict[str, float | None]:
    """Pixel sizes of the imaging plane: x, y [, z], as `_NWB` has them."""
    spacing = _members(group.get("imaging_plane")).get("grid_spacing")
    if spacing is None or _members(spacing):
        return {}
    unit = _METRES.get(_text(spacing.attrs.get("unit", "meters")), 0.0)
    return dict(zip("YXZ", [step * unit for step in _numbers(spacing[()])], strict=False))


def _nwb_channels(group: Any) -> Iterator[Facts]:
    """The channels of an imaging plane."""
    plane = _members(group.get("imaging_plane"))
    for name, one in plane.items():
        if _kind(one) == "OpticalChannel" and _members(one):
            facts: Facts = {"Name": str(name)}
            waves = (("EmissionWavelength", one, "emission_lambda"),
                     ("ExcitationWavelength", plane, "excitation_lambda"))  # fmt: skip
            for ome, owner, key in waves:
                value = number_of(owner[key][()]) if key in owner else None
                if value is not None and value > 0:
                    facts |= {ome: value, f"{ome}Unit": "nm"}
            yield facts
