"""Stacks that are no TIFF: a table of formats, each with the package that reads it."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from f2rcli.errors import InputError
from f2rcli.io import formats
from f2rcli.io.files import first_bytes
from f2rcli.io.stacks.arrays import HDF5_CACHE, fits_images, hdf5_images, is_zarr, zarr_images
from f2rcli.io.stacks.foreign import Image, czi_images, lif_images, nd2_images, ome_letters, package
from f2rcli.io.stacks.metadata import PROVENANCE, Metadata
from f2rcli.io.stacks.stack import Series, Stack


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
        if not path.is_dir():
            first_bytes(path)
        kind = format_of(path)
        assert kind is not None  # nobody opens others with it
        self._kind, self.package, self.flavour = kind, kind.package, kind.name
        super().__init__(path)

    def _open(self) -> None:
        kind, path = self._kind, self.path
        library = package(kind.package, f"{path.name}: reading {kind.name}", InputError)
        self.file = kind.opened(library, path)
        self.images = kind.images(self.file, path)
        self._letters = [ome_letters(image.sizes) for image in self.images]
        self.series = [self._series(number) for number in range(len(self.images))]
        self.remarks = tuple(image.remark for image in self.images if image.remark)
        if kind is ZARR:
            self.provenance = str(self.file.attrs.get(PROVENANCE, ""))

    def _series(self, number: int) -> Series:
        image, letters = self.images[number], self._letters[number]
        own = {letters[axis]: n for axis, n in image.sizes.items()}
        kept = {axis: n for axis, n in own.items() if n != 1 or axis in "YX"}
        return Series(
            number=number, name=image.name, axes="".join(kept),
            shape=tuple(kept.values()), dtype=np.dtype(image.dtype).newbyteorder("="),
            codec=self.flavour, levels=image.levels,
        )  # fmt: skip

    def _said(self, series: Series) -> Metadata:
        return self.images[series.number].metadata()

    def _samples(self, series: Series, place: int) -> Any:
        at, letters = series.at(place), self._letters[series.number]
        where = {axis: at.get(letter, 0) for axis, letter in letters.items()}
        return self.images[series.number].read(where)
