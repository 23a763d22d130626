"""Stacks that are no TIFF: a table of formats, each with the package that reads it."""

import json
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from f2rcli.errors import InputError
from f2rcli.frames import Plane
from f2rcli.io import formats
from f2rcli.io.stacks.arrays import (
    HDF5_CACHE,
    fits_images,
    hdf5_images,
    is_zarr,
    zarr_images,
)
from f2rcli.io.stacks.foreign import (
    Image,
    czi_images,
    lif_images,
    nd2_images,
    package,
    upright,
)
from f2rcli.io.stacks.metadata import PROVENANCE, Metadata
from f2rcli.io.stacks.stack import Series, Stack, check_series
from f2rcli.io.tifffiles import first_bytes, quiet, refusals


class StackFormat(NamedTuple):
    """A format: its name, the package that reads it, and how."""

    name: str
    package: str
    opened: Callable[[Any, Path], Any]  # by the package
    images: Callable[[Any, Path], list[Image]]  # of what it opened


HDF5 = StackFormat(
    "HDF5", "h5py", lambda h5py, path: h5py.File(path, "r", rdcc_nbytes=HDF5_CACHE), hdf5_images
)
ZARR = StackFormat(
    "OME-Zarr", "zarr", lambda zarr, path: zarr.open_group(str(path), mode="r"), zarr_images
)
FITS = StackFormat(
    "FITS", "astropy", lambda _, path: import_module("astropy.io.fits").open(path), fits_images
)
FORMATS = {
    ".nd2": StackFormat("ND2", "nd2", lambda nd2, path: nd2.ND2File(path), nd2_images),
    ".czi": StackFormat("CZI", "czifile", lambda czifile, path: czifile.CziFile(path), czi_images),
    ".lif": StackFormat("LIF", "liffile", lambda liffile, path: liffile.LifFile(path), lif_images),
    ".zarr": ZARR,
    **dict.fromkeys(formats.HDF5, HDF5),
    **dict.fromkeys(formats.FITS, FITS),
}


def format_of(path: Path) -> StackFormat | None:
    """The format of a source that is no TIFF, by suffix, or by content for folders."""
    known = FORMATS.get(path.suffix.lower())
    return ZARR if known is None and path.is_dir() and is_zarr(path) else known


class LibraryStack(Stack):
    """A stack in a format that a package of the extra `microscopy` reads."""

    def __init__(self, path: Path) -> None:
        """Raises InputError where the library is missing or refuses the file."""
        self.path, self.name = path, path.name
        if not path.is_dir():
            first_bytes(path)
        kind = format_of(path)
        assert kind is not None  # nobody opens others with it
        self._kind, self.paths, self.flavour = kind, [path], kind.name
        library = package(kind.package, f"{path.name}: reading {kind.name}", InputError)
        with refusals(self.name), quiet(kind.package):
            self.file = kind.opened(library, path)
        try:
            self._understand()
        except BaseException:
            self.close()
            raise

    def _understand(self) -> None:
        with refusals(self.name), quiet(self._kind.package):
            self.images = self._kind.images(self.file, self.path)
        if not self.images:
            raise InputError(f"{self.name}: holds no pictures.")
        self._letters = [upright(image.sizes) for image in self.images]
        self._metadata: dict[int, Metadata] = {}
        self.series = [self._series(number) for number in range(len(self.images))]
        for one in self.series:
            check_series(one, self.name)
        every = (line for image in self.images for line in (image.remark, image.scanned))
        self.remarks = tuple(filter(None, every))

    def _series(self, number: int) -> Series:
        image, letters = self.images[number], self._letters[number]
        own = {letters[axis]: n for axis, n in image.sizes.items()}
        kept = {axis: n for axis, n in own.items() if n != 1 or axis in "YX"}
        return Series(
            number=number, name=image.name, axes="".join(kept),
            shape=tuple(kept.values()), dtype=np.dtype(image.dtype).newbyteorder("="),
            codec=self.flavour, levels=image.levels,
        )  # fmt: skip

    def metadata(self, number: int) -> Metadata:
        if number not in self._metadata:
            with refusals(self.name), quiet(self._kind.package):
                self._metadata[number] = self.images[number].metadata()
        return self._metadata[number]

    def read(self, number: int, place: int) -> Plane:
        image, series = self.images[number], self.series[number]
        at = series.at(place)
        where = {axis: at.get(letter, 0) for axis, letter in self._letters[number].items()}
        with refusals(f"{self.name}, picture {place + 1}"), quiet(self._kind.package):
            picture = np.asarray(image.read(where))
        shape = series.picture_shape
        if picture.size != int(np.prod(shape)):
            raise InputError(f"{self.name}: picture {place + 1} is incomplete.")
        native: Plane = np.ascontiguousarray(picture.reshape(shape), series.dtype)
        return native

    def provenance_text(self) -> str:
        facts = self.file.attrs.get(PROVENANCE) if self._kind is ZARR else None
        if isinstance(facts, dict):
            with suppress(RecursionError):  # nested too deeply
                return json.dumps({"f2r": facts.get("f2r"), **facts})
        return ""

    def close(self) -> None:
        if self._kind is not ZARR:  # whose groups hold nothing open
            self.file.close()
