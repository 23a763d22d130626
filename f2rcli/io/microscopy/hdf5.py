"""HDF5 and NWB (Neurodata Without Borders 2), through the package h5py.

Every array of pictures is a series under its path in the file, so that `file.h5:/path` names one.
In NWB these are the data of imaging series; elsewhere all arrays of three and more axes, or else of
two. Any other array of two to five axes is one where a path names it.
"""

import json
import math
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from f2rcli.io.microscopy.image import Image, Opened, Where, unsupported
from f2rcli.io.microscopy.passport import Facts, Passport, micrometres, timed
from f2rcli.io.tiff.axes import LETTER_OF, check_samples
from f2rcli.io.tiff.library import DAMAGE

SUFFIXES = (".h5", ".hdf5", ".hdf", ".nwb")
_INSIDE = re.compile(rf"(.+?(?:{'|'.join(re.escape(s) for s in SUFFIXES)})):(/.*)", re.IGNORECASE)
_CACHE = 256 << 20  # bytes of chunks: they may reach over many frames
_SERIES = frozenset({"TwoPhotonSeries", "OnePhotonSeries", "ImageSeries"})
# What is read of an NWB file beside the data, or says how it is built.
_CARRIED = {"session_start_time", "specifications", "starting_time", "timestamps", "imaging_plane"}
_STRUCTURE = {"neurodata_type", "namespace", "object_id", "nwb_version", ".specloc"}
_UNNAMED = {2: "YX", 3: "QYX", 4: "QIYX", 5: "QIPYX"}
_NWB = {3: "TYX", 4: "TYXZ"}  # frames, x, y [, z] by its schema: its x runs down the rows
_PLAIN = "ImageSeries"  # a camera's movie: bytes of three or four are colours, no depth
_METRES = {"meters": 1e6, "metres": 1e6, "m": 1e6, "micrometers": 1.0, "microns": 1.0, "um": 1.0,
           "µm": 1.0, "micrometer": 1.0, "millimeters": 1e3, "mm": 1e3, "nanometers": 1e-3,
           "nm": 1e-3}  # in micrometres  # fmt: skip


def split_path(source: str) -> tuple[str, str | None]:
    """A file, and the path of an array in it: `a.h5:/movie` is a.h5 and /movie."""
    match = None if Path(source).exists() else _INSIDE.fullmatch(source)
    return (match[1], match[2].rstrip("/")) if match else (source, None)


def named(inside: str, arrays: list[str]) -> str:
    """The array that a path in a file means: its own, or the only one of a group."""
    below = [name for name in arrays if name.startswith(f"{inside}/")]
    return below[0] if len(below) == 1 and inside not in arrays else inside


def open_hdf5(library: Any, path: Path, wanted: str = "") -> Opened:
    """An image per array of pictures; wanted: the path of one that is a picture at any rate."""
    file = library.File(path, "r", rdcc_nbytes=_CACHE)
    try:
        arrays = _arrays(library, file, path, wanted)
        others = list(_left_behind(file, {str(array.name) for array in arrays}))
        images = [_image(file, array, others) for array in arrays]
    except BaseException:
        file.close()
        raise
    return Opened(file, images)


def _arrays(library: Any, file: Any, path: Path, wanted: str) -> list[Any]:
    every: list[Any] = []
    file.visititems(lambda _, one: every.append(one) if isinstance(one, library.Dataset) else None)
    imaging = [one for one in every if _kind(one.parent) in _SERIES and _leaf(one) == "data"]
    if any(_leaf(one) == "external_file" for one in every) and not any(a.size for a in imaging):
        raise unsupported(path, "an NWB file whose pictures lie in other files is",
                          "Pass those files.")  # fmt: skip
    found = [one for one in imaging or every if _is_known(one.dtype) and one.size]
    rank = 2 if all(one.ndim < 3 for one in found) else 3
    found = [one for one in found if rank <= one.ndim <= 5]
    found += _asked(every, found, wanted)
    if not found:
        for one in every:
            if one.size and rank <= one.ndim <= 5 and one.dtype.kind in "biuc":
                check_samples(one.dtype, f"{path.name}:{one.name}")
        hint = "f2r reads numbers with two to five axes, those of the picture last."
        raise unsupported(path, "an HDF5 file without arrays of pictures is", hint)
    return found


def _asked(every: list[Any], found: list[Any], wanted: str) -> list[Any]:
    """The one array that a path means, where none of those found is meant."""

    def meant(one: Any) -> bool:
        return bool(wanted) and f"{one.name}/".startswith(f"{wanted}/")

    fit = [one for one in every if meant(one) and _is_known(one.dtype) and one.size
           and 2 <= one.ndim <= 5]  # fmt: skip
    return [] if any(map(meant, found)) or len(fit) != 1 else fit


def _is_known(dtype: Any) -> bool:
    return dtype.kind in "uif" and dtype.itemsize <= (8 if dtype.kind == "f" else 4)


def _left_behind(group: Any, arrays: set[str]) -> Iterator[str]:
    """Paths in a group of what is no picture, and of groups without any; then its attributes."""
    for name in group:
        path = f"{group.name.rstrip('/')}/{name}"
        if any(array.startswith(f"{path}/") for array in arrays):
            yield from _left_behind(group[name], arrays)
        elif path not in arrays and name not in _CARRIED:
            yield path[1:]
    owner = f" of {group.name[1:]}" if group.name != "/" else ""
    yield from (f"attribute {name}{owner}" for name in group.attrs if name not in _STRUCTURE)


def _leaf(array: Any) -> str:
    return str(array.name).rpartition("/")[2]


def _kind(group: Any) -> str:
    return str(_text(group.attrs.get("neurodata_type", "")))


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _image(file: Any, array: Any, others: list[str]) -> Image:
    stored = _axes(array)
    last = [axis for axis in "YXS" if axis in stored]
    order = [*(axis for axis in stored if axis not in last), *last]
    sizes = {axis: int(array.shape[stored.index(axis)]) for axis in order}

    turned = [[axis for axis in stored if axis in last].index(axis) for axis in last]

    def read(where: Where) -> Any:
        index = tuple(slice(None) if a in last else where.get(a, 0) for a in stored)
        return np.transpose(array[index], turned)

    return Image(str(array.name), sizes, array.dtype, read, _passport(file, array, sizes, others))


def _axes(array: Any) -> str:
    """Letters as labels of dimensions or ilastik's axistags say; else the picture's axes last."""
    labels = (str(dimension.label).lower() for dimension in array.dims)
    named = "".join(LETTER_OF.get(label, label) for label in labels)
    with suppress(*DAMAGE):
        tags = json.loads(_text(array.attrs["axistags"]))["axes"]
        named = "".join(str(tag["key"]) for tag in tags).replace("c", "S" if tags[-1]["key"] == "c"
                                                                 else "C")  # fmt: skip
    named = named.upper()
    colour = array.ndim > 2 and array.shape[-1] in (3, 4) and array.dtype == np.uint8
    if (kind := _kind(array.parent)) in _SERIES and array.ndim in _NWB:
        return "TYXS" if colour and array.ndim == 4 and kind == _PLAIN else _NWB[array.ndim]
    if len(named) == len(set(named)) == array.ndim and {"Y", "X"} <= set(named):
        return named
    return _UNNAMED[array.ndim - 1] + "S" if colour else _UNNAMED[array.ndim]


def _passport(file: Any, array: Any, sizes: dict[str, int], others: list[str]) -> Passport:
    group = array.parent
    pixels: Facts = {}
    planes: list[Facts] = []
    with suppress(*DAMAGE):  # Fiji's and ilastik's: z, y, x in micrometres
        steps = [float(step) for step in array.attrs["element_size_um"]]
        pixels |= micrometres(**dict(zip("ZYX"[-len(steps) :], steps, strict=True)))
    if _kind(group) in _SERIES:
        pixels |= _spacing(group)
        with suppress(*DAMAGE):
            pixels["AcquisitionDate"] = _text(file["session_start_time"][()])
        times = _times(group, array.shape[0])
        pixels = timed(pixels, times)
        planes = _planes(group, times, sizes)
    carried = {"element_size_um", "axistags", "DIMENSION_LABELS", "CLASS", "NAME"}
    lost = [f"attribute {name}" for name in array.attrs if name not in carried]
    channels = _channels(group) if sizes.get("C", 1) == 1 else []
    lost += [] if planes or _kind(group) not in _SERIES else list(_begun(group))
    return Passport(pixels=pixels, channels=channels, planes=planes, lost=(*lost, *others))


def _times(group: Any, count: int) -> list[float]:
    """Seconds of the frames: measured, or by the rate."""
    with suppress(*DAMAGE):
        if "timestamps" in group:
            return [float(time) for time in group["timestamps"][:count]]
        rate = float(group["starting_time"].attrs["rate"])
        return [0.0, 1 / rate] if math.isfinite(rate) and rate > 0 else []
    return []


def _planes(group: Any, times: list[float], sizes: dict[str, int]) -> list[Facts]:
    """The time of each picture, in the order T, Z, where the file has measured them."""
    known = len(times) == sizes.get("T") and all(map(math.isfinite, times))
    if "timestamps" not in group or not known:
        return []
    return [{"DeltaT": time, "DeltaTUnit": "s"} for time in times for _ in range(sizes.get("Z", 1))]


def _begun(group: Any) -> Iterator[str]:
    """The names of times that fit no frames, or of a first one that is not the session's start."""
    if "timestamps" in group:
        yield "timestamps"
    with suppress(*DAMAGE):
        if float(group["starting_time"][()]):
            yield "starting_time"


def _spacing(group: Any) -> Facts:
    """Pixel sizes of the imaging plane: x, y [, z], as `_NWB` has them."""
    with suppress(*DAMAGE):
        plane = group["imaging_plane"]
        spacing = plane["grid_spacing"]
        unit = _METRES.get(_text(spacing.attrs.get("unit", "meters")), 0.0)
        steps = [float(step) * unit for step in np.ravel(spacing[()])]
        return micrometres(**dict(zip("YXZ", steps, strict=False)))
    return {}


def _channels(group: Any) -> list[Facts]:
    """The first channel of an imaging plane."""
    with suppress(*DAMAGE):
        plane = group["imaging_plane"]
        for name, one in plane.items():
            if _kind(one) == "OpticalChannel":
                facts: Facts = {"Name": str(name)}
                waves = (("EmissionWavelength", one, "emission_lambda"),
                         ("ExcitationWavelength", plane, "excitation_lambda"))  # fmt: skip
                for ome, owner, key in waves:
                    value = float(owner[key][()]) if key in owner else 0.0
                    if value > 0:
                        facts |= {ome: value, f"{ome}Unit": "nm"}
                return [facts]
    return []
