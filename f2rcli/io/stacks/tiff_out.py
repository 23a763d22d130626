"""TIFF stacks written anew by tifffile: OME-TIFF, ImageJ's, and plain pages with their tags."""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import tifffile

from f2rcli.frames import Plane
from f2rcli.io.stacks.lanes import Series
from f2rcli.io.stacks.levels import shrunk
from f2rcli.io.stacks.metadata import Metadata
from f2rcli.io.stacks.ome import ome_document
from f2rcli.io.stacks.tiff import UNDESCRIBED, TiffStack
from f2rcli.io.tifffiles import STORAGE, compression_name, quiet

Kind = Literal["ome", "imagej", "plain"]

CLASSIC = (1 << 32) - (1 << 25)  # bytes of a file from which BigTIFF is written, as tifffile does
LOSSLESS = {1, 5, 8, 32773, 32946, 34925, 50000}  # compressions that are kept; others: Deflate
_DEFLATE = 8
_IMAGEJ_DTYPES = ("uint8", "uint16", "int16", "float32")
_IMAGEJ_OWN = ("ImageJ", "images", "channels", "slices", "frames", "hyperstack", "order", "axes")
_DESCRIPTION, _SOFTWARE, _RESOLUTION = 270, 305, (282, 283, 296)
_POINTERS = (330, 34665, 34853, 40965, 50838, 50839)  # to other directories, and ImageJ's own
_YCBCR, _PALETTE = 6, 3
_DATATYPES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16, 17)


@dataclass(frozen=True, slots=True)
class Output:
    """A series as it is written."""

    series: Series
    places: tuple[int, ...]  # of its pictures in the source, in the order they are written in
    metadata: Metadata
    levels: tuple[tuple[int, int], ...] = ()  # rows and columns of its smaller copies

    @property
    def planar(self) -> bool:
        """Whether samples of a pixel lie in planes of their own."""
        axes = self.series.axes
        return "S" in axes and axes.index("S") < axes.index("Y")

    def stored_shape(self, size: tuple[int, int] | None = None) -> tuple[int, ...]:
        """The shape of a picture, or of a level of it, as pages have it."""
        rows, columns = size or (self.series.height, self.series.width)
        samples = [self.series.samples] if self.series.samples > 1 else []
        return (*samples, rows, columns) if self.planar else (rows, columns, *samples)


def kind_of(stack: Any, target: Path, outputs: Sequence[Output]) -> Kind:
    """How to write a stack: as its source is, where that can be, else as OME-TIFF."""
    if not isinstance(stack, TiffStack) or Path(target.stem).suffix.lower() == ".ome":
        return "ome"
    kinds = {stack.pictures[one.series.number].kind for one in outputs}
    plain = {*UNDESCRIBED, "shaped", "promised", "scanimage", "imagej"}
    if stack.file.is_ome or stack.file.is_ndtiff or not kinds <= plain:
        return "ome" if not stack.misfit else "plain"
    one = outputs[0].series
    fiji = (
        stack.file.is_imagej and not stack.misfit and len(outputs) == 1
        and one.dtype.name in _IMAGEJ_DTYPES
        and "".join(axis for axis in "TZC" if axis in one.axes)
        == "".join(axis for axis, _ in one.outer)
    )  # fmt: skip
    return "imagej" if fiji else "plain"


@dataclass(frozen=True, slots=True)
class PageForm:
    """How the pages of a series are stored."""

    options: dict[str, Any]  # of TiffWriter.write
    codec: str = "uncompressed"
    note: str = ""  # what changes, for the user

    @property
    def direct(self) -> bool:
        """Whether samples lie in the file as in memory, so that they can be put in any order."""
        return self.options.get("compression") is None and "tile" not in self.options

    @classmethod
    def of(cls, stack: Any, output: Output) -> "PageForm":
        """As the source's pages are, where that is lossless and has an encoder."""
        one = output.series
        options: dict[str, Any] = {"photometric": "rgb" if one.colour else "minisblack"}
        if one.samples > 1:
            options["planarconfig"] = "separate" if output.planar else "contig"
        if not isinstance(stack, TiffStack):
            return cls(options)
        page = stack.pictures[one.number].first.aspage()
        photometric = int(page.photometric)
        if not one.colour and photometric in (0, _PALETTE):
            options["photometric"] = photometric
        if photometric == _PALETTE and page.colormap is not None:
            options["colormap"] = page.colormap
        if page.is_tiled and page.tilelength % 16 == 0 == page.tilewidth % 16:
            options["tile"] = (page.tilelength, page.tilewidth)
        packed = page.bitspersample != 8 * one.dtype.itemsize
        compression = int(page.compression)
        if compression not in LOSSLESS:
            before = compression_name(compression)
            note = f"{before}: f2r cannot write that; pages become {compression_name(_DEFLATE)}"
            return cls(options | {"compression": _DEFLATE}, compression_name(_DEFLATE), note)
        if compression != 1:
            options |= {"compression": compression, "predictor": int(page.predictor)}
        note = f"{page.bitspersample}-bit samples: stored as {one.dtype}" if packed else ""
        return cls(options, compression_name(compression), note)


class TiffOutput:
    """A TIFF file that takes pictures in any order.

    Where samples lie in the file as in memory it is laid out first, and each picture put at its
    place; else they wait in a temporary file beside it.
    """

    def __init__(self, path: Path, outputs: Sequence[Output], kind: Kind, stack: Any) -> None:
        self.path, self.outputs, self.kind, self.stack = path, outputs, kind, stack
        self.forms = [PageForm.of(stack, one) for one in outputs]
        self._direct = all(form.direct for form in self.forms)
        self._handle: IO[bytes] | None = None
        self._starts: list[list[int]] = []  # of the pictures of each series, of its levels
        self._description = b""

    def begin(self, provenance: str) -> None:
        """Lay the file out. provenance: how f2r makes it, as JSON. Raises OSError."""
        if self.kind == "ome":
            series, metadata = [one.series for one in self.outputs], [
                one.metadata for one in self.outputs
            ]  # fmt: skip
            name = Path(self.stack.name).name.split(".")[0]
            self._description = ome_document(series, metadata, name, provenance)
        if self._direct:
            self._lay_out(lambda number, level: None)
            self._handle = self.path.open("r+b")
            return
        self._handle = tempfile.TemporaryFile(dir=self.path.resolve().parent)  # noqa: SIM115  # closed in close
        start = 0
        for one in self.outputs:
            for size in (None, *one.levels):
                picture = self._bytes(one, size)
                self._starts.append([start + n * picture for n in range(len(one.places))])
                start += picture * len(one.places)
        self._handle.truncate(start)

    @staticmethod
    def _bytes(one: Output, size: tuple[int, int] | None) -> int:
        return int(np.prod(one.stored_shape(size))) * one.series.dtype.itemsize

    def put(self, number: int, index: int, picture: Plane) -> None:
        """Write picture `index` of a series, (Y, X) or (Y, X, S), and its smaller copies."""
        one = self.outputs[number]
        row = sum(1 + len(before.levels) for before in self.outputs[:number])
        for level, size in enumerate((None, *one.levels)):
            plane = picture if size is None else shrunk(picture, size)
            stored = np.moveaxis(plane, -1, 0) if one.planar else plane
            dtype = one.series.dtype.newbyteorder(self._byteorder if self._direct else "=")
            assert self._handle is not None  # `begin` came before
            self._handle.seek(self._starts[row + level][index])
            self._handle.write(np.ascontiguousarray(stored, dtype).tobytes())

    def close(self) -> None:
        """Write what is pending. Raises OSError."""
        if self._handle is None:
            return
        if not self._direct:
            self._handle.flush()
            self._lay_out(self._gathered)
        self._handle.close()
        self._handle = None

    def abandon(self) -> None:
        """Close without writing what is pending."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            handle.close()

    def _gathered(self, number: int, level: int) -> Any:
        """The pictures of a series, or of a level of it, mapped from the temporary file."""
        one = self.outputs[number]
        row = sum(1 + len(before.levels) for before in self.outputs[:number]) + level
        size = (None, *one.levels)[level]
        shape = (len(one.places), *one.stored_shape(size))
        assert self._handle is not None  # `close` asks for them
        return np.memmap(self._handle, one.series.dtype, "r", self._starts[row][0], shape)

    @property
    def _byteorder(self) -> Any:
        return self.stack.file.byteorder if isinstance(self.stack, TiffStack) else "<"

    def _lay_out(self, data: Callable[[int, int], Any]) -> None:
        """Write the file with these samples, or with room for them where `data` has none."""
        size = sum(
            len(one.places) * self._bytes(one, level)
            for one in self.outputs for level in (None, *one.levels)
        )  # fmt: skip
        fiji = self.kind == "imagej"
        tiff = isinstance(self.stack, TiffStack)
        big = not fiji and (size > CLASSIC or (tiff and self.stack.file.is_bigtiff))
        with quiet(), ExitStack() as closing:
            writer = closing.enter_context(
                tifffile.TiffWriter(
                    self.path, bigtiff=big, byteorder=self._byteorder, imagej=fiji,
                    ome=False,
                )
            )  # fmt: skip
            for number, one in enumerate(self.outputs):
                options = self.forms[number].options
                if self._by_page(one):
                    self._write_pages(writer, one, data(number, 0), options)
                else:
                    more = self._file_options(number, one, size)
                    self._write(writer, one, None, data(number, 0), options | more)
                for level, small in enumerate(one.levels):
                    more = {"metadata": None, "software": False, "subfiletype": 1}
                    self._write(writer, one, small, data(number, level + 1), options | more)

    def _write(
        self, writer: Any, one: Output, size: tuple[int, int] | None, samples: Any,
        options: dict[str, Any],
    ) -> None:  # fmt: skip
        shape = (len(one.places), *one.stored_shape(size))
        if self.kind != "ome" and size is None:
            shape = one.series.shape
        samples = None if samples is None else samples.reshape(shape)
        told = writer.write(
            samples, shape=shape, dtype=one.series.dtype, returnoffset=True, **options
        )
        if samples is None:
            picture = self._bytes(one, size)
            self._starts.append([told[0] + n * picture for n in range(len(one.places))])

    def _file_options(self, number: int, one: Output, size: int) -> dict[str, Any]:
        """What is said of the file with the first page of a series."""
        options: dict[str, Any] = {"metadata": None, "software": False}
        if one.levels:
            options["subifds"] = len(one.levels)
        if self.kind == "ome":
            return options | ({} if number else {"description": self._description})
        page = self.stack.pictures[one.series.number].first.aspage()
        options |= page_options(page)
        if self.kind == "imagej":
            said = {k: v for k, v in (self.stack.file.imagej_metadata or {}).items()
                    if k not in _IMAGEJ_OWN}  # fmt: skip
            options["metadata"] = said | {"axes": one.series.axes}
            options.pop("description", None)
            options["truncate"] = size > CLASSIC
            return options
        options.pop("description", None)  # tifffile's own, of the axes
        return options | {"metadata": {"axes": one.series.axes}}

    def _by_page(self, one: Output) -> bool:
        """Whether each page is written by itself, with the tags that it has in the source."""
        if self.kind != "plain":
            return False
        return self.stack.pictures[one.series.number].kind not in ("shaped", "promised", "imagej")

    def _write_pages(self, writer: Any, one: Output, samples: Any, options: dict[str, Any]) -> None:
        source = self.stack.pictures[one.series.number]
        starts = []
        for index, place in enumerate(one.places):
            page = source.pages[place // source.share]
            more = {} if page is None else page_options(page.aspage())
            told = writer.write(
                None if samples is None else samples[index], shape=one.stored_shape(),
                dtype=one.series.dtype, metadata=None, returnoffset=True,
                **{"software": False, **options, **more},
                **({"subifds": len(one.levels)} if one.levels else {}),
            )  # fmt: skip
            starts.append(told[0] if told else 0)
        if samples is None:
            self._starts.append(starts)


def page_options(page: Any) -> dict[str, Any]:
    """What a page says besides its samples, as TiffWriter.write takes it."""
    options: dict[str, Any] = {}
    if page.description:
        options["description"] = str(page.description).encode("utf-8", "replace")
    if page.software:
        options["software"] = str(page.software).encode("utf-8", "replace")
    steps = [page.tags.valueof(code) for code in _RESOLUTION[:2]]
    if all(isinstance(step, tuple) and all(step) for step in steps):
        options |= {"resolution": tuple(steps), "resolutionunit": int(page.resolutionunit)}
    options["extratags"] = [
        (tag.code, int(tag.dtype), 0 if isinstance(tag.value, str) else tag.count, tag.value, True)
        for tag in page.tags if is_carried(tag)
    ]  # fmt: skip
    return options


def is_carried(tag: Any) -> bool:
    """Whether a tag of a page is written as it is, behind those that have their own place."""
    simple = isinstance(tag.value, str | bytes | int | float | tuple)
    return simple and int(tag.dtype) in _DATATYPES and not is_known(tag)


def is_known(tag: Any) -> bool:
    """Whether a tag says how samples are stored, or has a place of its own in what is written."""
    return tag.code in STORAGE or tag.code in (_DESCRIPTION, _SOFTWARE, *_RESOLUTION, *_POINTERS)
