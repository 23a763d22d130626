"""Microscopy formats: Nikon ND2, Zeiss CZI, Leica LIF, and OME-Zarr.

Read picture by picture through libraries of the extra `microscopy`; written as OME-TIFF.
"""

import importlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from f2rcli.errors import InputError
from f2rcli.frames import Plane
from f2rcli.io.ledger import count
from f2rcli.io.tiff.axes import Series, check_series
from f2rcli.io.tiff.library import DAMAGE
from f2rcli.io.tiff.stack import Stack

Where = dict[str, int]  # axis -> index
_SIZES = {"z": "PhysicalSizeZ", "y": "PhysicalSizeY", "x": "PhysicalSizeX"}


@dataclass(frozen=True, slots=True)
class Image:
    """One array of a file; read(where) gives its picture (Y, X) or (Y, X, S) there."""

    name: str
    sizes: dict[str, int]  # by letter, slowest first, Y and X [and S] last
    dtype: Any
    read: Callable[[Where], Any]
    facts: dict[str, Any] = field(default_factory=dict)  # as OME-XML calls them
    lacking: int = 0  # chunks that are not stored; they read as `fill`
    fill: Any = 0


class MicroscopyFile(Stack):
    """A stack in a microscope maker's own format."""

    unread = "it is left empty"

    def __init__(self, path: Path) -> None:
        """Raises InputError where the library is missing or refuses the file."""
        self.path, self.name = path, path.name
        self._kind, package, opener = KINDS[path.suffix.lower()]
        if not path.exists():
            raise InputError(f"{path.name}: no such file.", hint="Check the path.")
        try:
            library = importlib.import_module(package)
        except ImportError as error:
            raise InputError(
                f"{path.name}: reading {self._kind} needs the package {package}.",
                hint="Install it: pip install 'f2rcli[microscopy]'.",
            ) from error
        try:
            self._file, images = opener(library, path)
            self.images = list(images)
        except (*DAMAGE, NotImplementedError) as error:
            raise self._unreadable(error) from error
        if not self.images:
            raise InputError(f"{path.name}: holds no pictures.")
        self.series = [self._series(number) for number in range(len(self.images))]
        for one in self.series:
            check_series(one, self.name)
        self.absent = [self._absent(number) for number in range(len(self.images))]

    def _unreadable(self, error: BaseException) -> InputError:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        return InputError(f"{self.name}: cannot be read ({reason}).", hint="The file is damaged.")

    def _series(self, number: int) -> Series:
        image = self.images[number]
        kept = {a: n for a, n in image.sizes.items() if n > 1 or a in "YX"}
        return Series(
            number=number, name=image.name if len(self.images) > 1 else "", axes="".join(kept),
            shape=tuple(kept.values()), dtype=np.dtype(image.dtype),
            colour=kept.get("S", 1) in (3, 4),
        )  # fmt: skip

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

    def facts(self, number: int) -> dict[str, Any]:
        """Metadata of a series, under the names of OME-XML."""
        return self.images[number].facts

    def read(self, number: int, place: int) -> Plane:
        """See Stack."""
        outer = self.series[number].outer
        index = np.unravel_index(place, [n for _, n in outer] or [1])
        where = {letter: int(i) for (letter, _), i in zip(outer, index, strict=False)}
        try:
            picture = np.asarray(self.images[number].read(where))
        except (*DAMAGE, NotImplementedError) as error:
            raise self._unreadable(error) from error
        series = self.series[number]
        shape = series.picture_shape
        if picture.size != int(np.prod(shape)):
            raise InputError(f"{self.name}: picture {place + 1} is incomplete.")
        native: Plane = np.ascontiguousarray(picture.reshape(shape), series.dtype.newbyteorder("="))
        return native

    @property
    def paths(self) -> list[Path]:
        """See Stack."""
        return [self.path]

    @property
    def flavour(self) -> str:
        """See Stack."""
        return self._kind

    @property
    def interval(self) -> Fraction | None:
        """See Stack."""
        seconds = self.images[0].facts.get("TimeIncrement")
        return None if not seconds else Fraction(seconds).limit_denominator(1_000_000_000)

    def codec(self, number: int) -> str:
        """See Stack."""
        return self._kind

    def close(self) -> None:
        """See Stack."""
        with suppress(AttributeError):  # zarr's groups need none
            self._file.close()


def _nd2(library: Any, path: Path) -> tuple[Any, Iterator[Image]]:
    file = library.ND2File(path)
    sizes = dict(file.sizes)
    loops = [axis for axis in sizes if axis not in "CYXS"]
    places = {tuple(row[a] for a in loops): i for i, row in enumerate(file.loop_indices)}
    inner = {axis: sizes[axis] for axis in "CYXS" if axis in sizes}
    voxel = file.voxel_size()
    facts = {f"PhysicalSize{a.upper()}": float(getattr(voxel, a)) for a in "zyx"}

    def image(position: int) -> Image:
        def read(where: Where) -> Any:
            at = tuple(position if a == "P" else where.get(a, 0) for a in loops)
            frame = file.read_frame(places[at] if places else 0)
            return frame[where.get("C", 0)] if "C" in sizes and frame.ndim > 2 else frame

        own = {axis: sizes[axis] for axis in loops if axis != "P"} | inner
        return Image(f"position {position + 1}", own, file.dtype, read, facts)

    return file, (image(position) for position in range(sizes.get("P", 1)))


def _lif(library: Any, path: Path) -> tuple[Any, Iterator[Image]]:
    file = library.LifFile(path)

    def image(one: Any) -> Image:
        sizes = dict(one.sizes)
        outer = [axis for axis in sizes if axis not in "YXS"]

        def read(where: Where) -> Any:
            return one.frame(**{axis: where.get(axis, 0) for axis in outer})

        return Image(str(one.name), sizes, one.dtype, read)

    return file, (image(one) for one in file.images)


def _czi(library: Any, path: Path) -> tuple[Any, Iterator[Image]]:
    file = library.CziFile(path)
    axes = file.axes if isinstance(file.axes, str) else file.axes.decode()
    sizes = dict(zip(axes, file.shape, strict=True))
    odd = [a for a, n in sizes.items() if n > 1 and a not in "TZCYX0"]
    if odd:
        raise ValueError(f"axes {axes} of {file.shape}: scenes and tiles are not supported")
    parts = {}
    for entry in file.filtered_subblock_directory:
        own = dict(zip(axes, entry.shape, strict=True))
        if (own["Y"], own["X"]) != (sizes["Y"], sizes["X"]):
            raise ValueError("its pictures are mosaics of tiles, which are not supported")
        at = dict(zip(axes, (a - b for a, b in zip(entry.start, file.start, strict=True)),
                      strict=True))  # fmt: skip
        parts[tuple(at.get(a, 0) for a in "TZC")] = entry

    def read(where: Where) -> Any:
        entry = parts[tuple(where.get(a, 0) for a in "TZC")]
        return entry.data_segment().data(resize=False)

    own = {a: sizes[a] for a in "TZCYX" if a in sizes} | {"S": sizes.get("0", 1)}
    return file, iter([Image(path.stem, own, file.dtype, read)])


def _zarr(library: Any, path: Path) -> tuple[Any, Iterator[Image]]:
    group = library.open_group(str(path), mode="r")
    metadata = group.attrs.get("ome", group.attrs)
    if "multiscales" not in metadata:
        raise ValueError("not OME-Zarr: it has no multiscales")

    def image(scales: dict[str, Any]) -> Image:
        array = group[scales["datasets"][0]["path"]]
        names = [str(axis["name"]).upper() for axis in scales["axes"]]
        sizes = dict(zip(names, array.shape, strict=True))

        def read(where: Where) -> Any:
            return array[tuple(slice(None) if a in "YX" else where.get(a, 0) for a in names)]

        return Image(
            str(scales.get("name", "")), sizes, array.dtype, read, _scaled(scales),
            lacking=array.nchunks - array.nchunks_initialized, fill=array.fill_value,
        )  # fmt: skip

    return group, (image(scales) for scales in metadata["multiscales"])


def _scaled(scales: dict[str, Any]) -> dict[str, Any]:
    """Pixel sizes in micrometres and seconds per frame, where units say so."""
    transforms = scales["datasets"][0].get("coordinateTransformations", [])
    steps = next((t["scale"] for t in transforms if t.get("type") == "scale"), None)
    facts = {}
    for axis, step in zip(scales["axes"], steps or [], strict=False):
        name, unit = axis["name"], axis.get("unit")
        if name in _SIZES and unit == "micrometer":
            facts[_SIZES[name]] = float(step)
        if name == "t" and unit == "second":
            facts["TimeIncrement"] = float(step)
    return facts


Opener = Callable[[Any, Path], tuple[Any, Iterator[Image]]]
KINDS: dict[str, tuple[str, str, Opener]] = {
    ".nd2": ("ND2", "nd2", _nd2),
    ".czi": ("CZI", "czifile", _czi),
    ".lif": ("LIF", "liffile", _lif),
    ".zarr": ("OME-Zarr", "zarr", _zarr),
}
