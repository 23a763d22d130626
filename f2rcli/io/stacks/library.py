"""Stacks that are no TIFF: a table of formats, each with the package that reads it; and arrays in
OME-Zarr (NGFF 0.1 to 0.5), HDF5 and FITS.

In HDF5 every array of pictures is a series under its path: those of NWB's imaging series; elsewhere
all of three and more axes, or else of two. BigDataViewer's are an array per moment and view.
"""

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from f2rcli.errors import F2RError, InputError
from f2rcli.io import formats
from f2rcli.io.files import check_not_empty
from f2rcli.io.stacks.foreign import czi_images, image, lif_images, nd2_images, picture_of, refused
from f2rcli.io.stacks.metadata import (
    PROVENANCE,
    SECONDS,
    SOURCE,
    Facts,
    Metadata,
    number_of,
    ome_colour,
    scaled,
)
from f2rcli.io.stacks.stack import LETTER_OF, Series, Stack, check_samples, is_known

HDF5_CACHE = 256 << 20  # bytes of chunks: they may reach over many frames
# Of NWB (Neurodata Without Borders 2), whose other arrays are masks and traces: frames, x, which
# runs down the rows, y [, z].
_SERIES = {"TwoPhotonSeries", "OnePhotonSeries", "ImageSeries"}
_NWB = {"QYX": "TYX", "QIYX": "TYXZ", "QYXS": "TYXS"}
_VIEWS = re.compile(r"/t\d+/(s\d+)/0/cells")  # BigDataViewer's; 0: no smaller copy
_UNNAMED = {2: "YX", 3: "QYX", 4: "QIYX", 5: "QIPYX"}


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
    return image(
        str(scales.get("name", "")), dict(zip(letters, map(int, array.shape), strict=True)),
        array.dtype, partial(picture_of, array, letters), said=lambda: said,
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

    def read(where: dict[str, int]) -> Any:
        return np.asarray(moments[where["T"]][where["Z"]]).view(dtype)

    return image(name, sizes, dtype, read, said=partial(_array_metadata, first))


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _is_imaging(array: Any) -> bool:
    return _text(array.parent.attrs.get("neurodata_type", "")) in _SERIES


def _of_array(array: Any) -> Series:
    axes = _array_axes(array)
    sizes = dict(zip(axes, map(int, array.shape), strict=True))
    read, said = partial(picture_of, array, axes), partial(_array_metadata, array)
    return image(str(array.name), sizes, array.dtype, read, said=said)


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
    return image(hdu.name or f"picture {number}", sizes, dtype, read, said=lambda: own)


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
