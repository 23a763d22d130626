"""Microscopy formats, read picture by picture through libraries of the extra `microscopy`."""

import json
from contextlib import suppress
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from f2rcli.errors import InputError
from f2rcli.frames import Plane
from f2rcli.io.microscopy.hdf5 import SUFFIXES, open_hdf5
from f2rcli.io.microscopy.image import Opener, damage_of, package, upright
from f2rcli.io.microscopy.leica import open_lif
from f2rcli.io.microscopy.nikon import open_nd2
from f2rcli.io.microscopy.ome_zarr import PROVENANCE, is_zarr, open_zarr
from f2rcli.io.microscopy.passport import Passport
from f2rcli.io.microscopy.zeiss import open_czi
from f2rcli.io.tiff.axes import Series, check_series
from f2rcli.io.tiff.stack import Stack
from f2rcli.units import count


class StackFormat(NamedTuple):
    """A format: its name, the package that reads it, and how."""

    name: str
    package: str
    opener: Opener


HDF5 = StackFormat("HDF5", "h5py", open_hdf5)
ZARR = StackFormat("OME-Zarr", "zarr", open_zarr)
FORMATS = {
    ".nd2": StackFormat("ND2", "nd2", open_nd2),
    ".czi": StackFormat("CZI", "czifile", open_czi),
    ".lif": StackFormat("LIF", "liffile", open_lif),
    ".zarr": ZARR,
    **dict.fromkeys(SUFFIXES, HDF5),
}


def format_of(path: Path) -> StackFormat | None:
    """The format of a source, by suffix, or by content for folders."""
    known = FORMATS.get(path.suffix.lower())
    return ZARR if known is None and path.is_dir() and is_zarr(path) else known


class MicroscopyFile(Stack):
    """A stack in a microscope maker's own format."""

    unread = "it is left empty"

    def __init__(self, path: Path, wanted: str = "") -> None:
        """wanted: the path of an array in HDF5, which is a picture at any rate.

        Raises InputError where the library is missing or refuses the file.
        """
        self.path, self.name = path, path.name
        if not path.exists():
            raise InputError(f"{path.name}: no such file.", hint="Check the path.")
        if path.is_file() and not path.stat().st_size:
            raise InputError(f"{path.name}: is empty (0 bytes).", hint="Copy or record it again.")
        kind = format_of(path)
        assert kind is not None  # the format claims no others
        self._kind, self.paths, self.flavour = kind, [path], kind.name
        self._passports: dict[int, Passport] = {}
        library = package(kind.package, f"{path.name}: reading {kind.name}", InputError)
        self._damage = damage_of(library)
        try:
            opener = partial(open_hdf5, wanted=wanted) if kind is HDF5 else kind.opener
            self._file, images = opener(library, path)
            self.images = list(images)
        except self._damage as error:
            raise self._unreadable(error) from error
        if not self.images:
            raise InputError(f"{path.name}: holds no pictures.")
        self._letters = [upright(image.sizes) for image in self.images]
        self.series = [self._series(number) for number in range(len(self.images))]
        for one in self.series:
            check_series(one, self.name)
        self.remarks += tuple(image.remark for image in self.images if image.remark)
        self.absent = [self._absent(number) for number in range(len(self.images))]

    def _unreadable(self, error: BaseException) -> InputError:
        words = str(error).replace(str(self.path.absolute()), self.name)
        reason = " ".join(words.split())[:160] or type(error).__name__
        hint = "The file is damaged, or of a kind that its library does not read."
        return InputError(f"{self.name}: cannot be read ({reason}).", hint=hint)

    def _series(self, number: int) -> Series:
        image, letters = self.images[number], self._letters[number]
        own = {letters[axis]: n for axis, n in image.sizes.items()}
        kept = {axis: n for axis, n in own.items() if n != 1 or axis in "YX"}
        return Series(
            number=number, name=image.name, axes="".join(kept),
            shape=tuple(kept.values()), dtype=np.dtype(image.dtype).newbyteorder("="),
            colour=kept.get("S", 1) in (3, 4), codec=self.flavour,
        )  # fmt: skip

    def passport(self, number: int) -> Passport:
        """Metadata of a series."""
        image = self.images[number]
        if number not in self._passports:
            try:
                self._passports[number] = image.complete() if image.complete else image.passport
            except self._damage as error:
                raise self._unreadable(error) from error
        return self._passports[number]

    def _absent(self, number: int) -> frozenset[int]:
        """Places of pictures of which no chunk is stored."""
        image, series = self.images[number], self.series[number]
        if not image.lacking:
            return frozenset()
        self.remarks += (
            f"{count(image.lacking, 'chunk')} not stored; there samples are {image.fill}",
        )
        empty = np.full(1, image.fill, series.dtype)
        return frozenset(
            place for place in range(series.frames)
            if np.array_equal(
                self.read(number, place), np.broadcast_to(empty, series.picture_shape),
                equal_nan=series.dtype.kind == "f",
            )
        )  # fmt: skip

    def read(self, number: int, place: int) -> Plane:
        image, series = self.images[number], self.series[number]
        index = np.unravel_index(place, [n for _, n in series.outer] or [1])
        at = {letter: int(i) for (letter, _), i in zip(series.outer, index, strict=False)}
        where = {axis: at.get(letter, 0) for axis, letter in self._letters[number].items()}
        try:
            picture = np.asarray(image.read(where))
        except self._damage as error:
            raise self._unreadable(error) from error
        shape = series.picture_shape
        if picture.size != int(np.prod(shape)):
            raise InputError(f"{self.name}: picture {place + 1} is incomplete.")
        native: Plane = np.ascontiguousarray(picture.reshape(shape), series.dtype.newbyteorder("="))
        return native

    @property
    def zarr_format(self) -> int | None:
        """2 or 3 for Zarr, None for other formats."""
        return int(self._file.metadata.zarr_format) if self._kind is ZARR else None

    def provenance_text(self) -> str:
        facts = self._file.attrs.get(PROVENANCE) if self._kind is ZARR else None
        if isinstance(facts, dict):
            with suppress(RecursionError):  # nested too deeply
                return json.dumps({"f2r": facts.get("f2r"), **facts})
        return ""

    def interval(self, number: int) -> Fraction | None:
        seconds = self.images[number].passport.interval
        return None if not seconds else Fraction(seconds).limit_denominator(1_000_000_000)

    def close(self) -> None:
        with suppress(AttributeError):  # zarr's groups need none
            self._file.close()
