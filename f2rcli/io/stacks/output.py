"""Stacks written anew: by tifffile OME-TIFF, ImageJ's, and plain ones with their axes; folders of
pages; OME-Zarr, one image with its levels, each half the size of the one before, of version 0.4 in
Zarr 2, which every program for it reads."""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import IO, Any, Literal
from uuid import NAMESPACE_OID, uuid5

import numpy as np
import tifffile
from tifffile import COMPRESSION

from f2rcli.errors import InputError, OutputError, UsageError
from f2rcli.frames import Plane
from f2rcli.io import files, formats
from f2rcli.io.files import PartFile, PartFolder, exists_error, quiet, refusals
from f2rcli.io.sequence import first_readable
from f2rcli.io.stacks.library import LibraryStack, is_zarr, package
from f2rcli.io.stacks.metadata import BITS, PROVENANCE, SOURCE, Facts, Metadata, colour_of
from f2rcli.io.stacks.stack import Series, Stack
from f2rcli.io.stacks.tiff import UNDESCRIBED, PageFolder, TiffStack, first_description, resolution

Kind = Literal["ome", "imagej", "plain"]

CLASSIC = (1 << 32) - (1 << 25)  # bytes of a file from which BigTIFF is written, as tifffile does
LOSSLESS = {1, 5, 8, 32773, 32946, 34925, 50000}  # compressions that are kept; others: Deflate
_IMAGEJ_DTYPES = ("uint8", "uint16", "int16", "float32")
_IMAGEJ_OWN = ("ImageJ", "images", "channels", "slices", "frames", "hyperstack", "order", "axes")
# Tags that tell more than how samples are stored: orientation and colour profile, which all pages
# have; names of documents and pages, makers, dates, authors and their rights, XMP.
_OF_ALL = (274, 34675)
_TELLING = (*_OF_ALL, 269, 271, 272, 285, 306, 315, 316, 700, 33432)
_IMAGEJ_TAGS = (50838, 50839)
_IMAGEJ_WIDE = ("Info", "Labels")  # which those tags hold, in any letters
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_written(stack: Stack, number: int, axes: str) -> Series:
    """A series by the names that its axes got, and with what is said of its channels and pictures,
    if OME's planes (of T, Z, C) fit. Where some of a movie or depth are missing the others follow
    each other; a grid has room for all."""
    stored = stack.series[number]
    places, sizes = list(range(stored.frames)), replace(stored, axes=axes).sizes
    if stored.absent and len(stored.outer) == 1:
        places = [place for place in places if place not in stored.absent]
        sizes |= {axis: len(places) for axis in axes if axis not in "YXS"}
    if "S" in axes:  # planes of colours become samples of a pixel
        axes = axes.replace("S", "") + "S"
    shape, said = tuple(sizes[axis] for axis in axes), stored.metadata
    fits = set(axes) <= set("TZCYXS") and max(places, default=0) < len(said.planes)
    known = len(said.channels) == sizes.get("C", 1)
    planes = [said.planes[at] for at in places] if fits else ()
    said = replace(said, planes=planes, channels=said.channels if known else ())
    return replace(stored, axes=axes, shape=shape, places=tuple(places), metadata=said)


def kind_of(stack: Stack, target: Path, outputs: Sequence[Series]) -> Kind:
    """How to write a stack: as its source is, where that can be, else as OME-TIFF."""
    if not isinstance(stack, TiffStack) or Path(target.stem).suffix.lower() == ".ome":
        return "ome"
    kinds = {stack.series[one.number].kind for one in outputs}
    plain = {*UNDESCRIBED, "shaped", "imagej", "scanimage"}
    pyramid = any(one.levels for one in outputs)  # axes are read by OME-XML alone
    if stack.file.is_ome or stack.file.is_ndtiff or pyramid or not kinds <= plain:
        return "ome" if not stack.misfit else "plain"
    one = outputs[0]
    letters = "".join(axis for axis, _ in one.outer)
    ordered = "".join(axis for axis in "TZC" if axis in letters) == letters
    if not stack.file.is_imagej or stack.misfit or len(outputs) > 1:
        return "plain"
    known = _IMAGEJ_DTYPES[: 1 if one.colour else None]  # tifffile writes colours of bytes alone
    return "imagej" if ordered and one.dtype.name in known else "ome"


def page_form(stack: Stack, one: Series) -> tuple[dict[str, Any], str, str]:
    """How the pages of a series are stored, as options of TiffWriter.write, its compression in a
    word, and what changes: as the source's, where that is lossless and has an encoder."""
    options: dict[str, Any] = {"photometric": "rgb" if one.colour else "minisblack"}
    if one.samples > 1:
        options["planarconfig"] = "contig"
    if not isinstance(stack, TiffStack):
        return options, "uncompressed", ""
    stored = stack.series[one.number]
    page = stored.first.aspage()
    if not one.colour and page.photometric == 0:  # white is zero
        options["photometric"] = 0
    if page.is_tiled and page.tilelength % 16 == 0 == page.tilewidth % 16:
        options["tile"] = (page.tilelength, page.tilewidth)
    compression = int(page.compression)
    if compression not in LOSSLESS:
        note = f"{stored.codec}: f2r cannot write that; pages become DEFLATE"
        return options | {"compression": COMPRESSION.ADOBE_DEFLATE}, "DEFLATE", note
    if compression != COMPRESSION.NONE:
        # Differences of any kind become those that tifffile has an encoder for.
        options |= {"compression": compression, "predictor": page.predictor != 1}
    packed = page.bitspersample != 8 * one.dtype.itemsize
    note = f"{page.bitspersample}-bit samples: stored as {one.dtype}" if packed else ""
    return options, stored.codec, note


class StackOutput:
    """What takes the pictures of a stack, in any order, as it is planned; `begin` comes first."""

    part: type[PartFile] = PartFile  # where it is written meanwhile
    # The plan: the kind of file, its compression, what travels, what does not, and what changes.
    container = "tiff"
    codec: str
    kept: list[str]
    lost: list[str]
    notes: list[str]

    def __init__(self, stack: Stack, outputs: Sequence[Series], target: Path) -> None:
        """Raises UsageError for what the kind of file cannot hold."""
        self.outputs = outputs
        self.stored = list(outputs)  # as readers will find them

    @property
    def words(self) -> str:
        """The axes, and how many pictures there are where some are missing."""
        absent = self.stored[0].absent
        there = len(set(self.stored[0].places) - absent)
        some = f" ({there} of its {there + len(absent)} pictures)" if absent else ""
        return f"axes {self.stored[0].words}{some}"

    def begin(self, path: Path, provenance: str) -> None:
        """Begin the file or folder. provenance: how f2r makes it, as JSON. Raises OSError."""
        self.path, self.provenance = path, provenance

    def put(self, number: int, index: int, picture: Plane) -> None:
        """Write picture `index` of a series, (Y, X) or (Y, X, S), and its smaller copies."""
        raise NotImplementedError

    def read(self, written: Stack, number: int, index: int) -> Plane:
        """That picture, out of what was written."""
        return written.read(number, index)

    def close(self) -> None:
        """Write what is pending. Raises OSError."""

    def abandon(self) -> None:
        """Close without writing what is pending."""


class TiffOutput(StackOutput):
    """A TIFF file. Where samples lie in it as in memory it is laid out first, and each picture put
    at its place; else they wait in a temporary file beside it."""

    def __init__(self, stack: Stack, outputs: Sequence[Series], target: Path) -> None:
        super().__init__(stack, outputs, target)
        self.kind = kind_of(stack, target, outputs)
        self.source = stack if isinstance(stack, TiffStack) else None
        self.name = Path(stack.name).name.split(".")[0]
        forms = [page_form(stack, one) for one in outputs]
        self._options = [options for options, _, _ in forms]
        self.codec, self.notes = forms[0][1], [note for _, _, note in forms if note]
        self._plan(stack, target)
        self._direct = not any({"compression", "tile"} & {*options} for options in self._options)
        self._handle: IO[bytes] | None = None
        self._description = b""
        # Of each series: the shapes of a picture and of its smaller copies, as pages have them.
        self._shapes = [
            [(*size, one.samples)[: 2 + (one.samples > 1)] for size in (one.size, *one.levels)]
            for one in outputs
        ]
        # Where the pictures of each series and level begin, one behind another: in the temporary
        # file, or in the laid out one, as tifffile tells.
        self._starts: dict[tuple[int, int], int] = {}
        self._size = 0  # bytes of all
        for number, one in enumerate(outputs):
            for level, shape in enumerate(self._shapes[number]):
                self._starts[number, level] = self._size
                self._size += prod(shape) * one.frames * one.dtype.itemsize

    def _plan(self, stack: Stack, target: Path) -> None:
        said = [word for one in self.stored for word in one.metadata.words()]
        self.lost = lost_tags(stack, self.kind)
        if self.kind == "ome":
            self.container = "ome-tiff"
            _ome_xml(self.outputs, target.name, "")  # may refuse
            own = bool(self.stored[0].metadata.own)
            self.kept = said + own * ["its own metadata in whole, as a comment"]
        elif self.kind == "imagej":
            self.kept = [*said, "ImageJ's metadata"]
        else:
            self.kept = ["its description and resolution"]
            self.lost += [word for word in said if word != BITS]  # which a note tells
        told = [] if self.source is None else _telling(self.source.file.pages.first)
        self.kept += [f"tags {', '.join(tag.name for tag in told)}"] if told else []
        pyramid = any(one.levels for one in self.outputs)
        self.kept += ["pyramid, its levels made anew"] if pyramid else []
        self.notes += [f"{len(stack.paths)} files become one"] if len(stack.paths) > 1 else []

    def begin(self, path: Path, provenance: str) -> None:
        super().begin(path, provenance)
        if self.kind == "ome":
            self._description = _ome_xml(self.outputs, self.name, provenance)
        if self._direct:
            self._lay_out()
            self._handle = self.path.open("r+b")
            return
        self._handle = tempfile.TemporaryFile(dir=self.path.resolve().parent)  # noqa: SIM115  # closed in close
        self._handle.truncate(self._size)

    def put(self, number: int, index: int, picture: Plane) -> None:
        one = self.outputs[number]
        for level, size in enumerate((one.size, *one.levels)):
            stored = np.ascontiguousarray(shrunk(picture, size), one.dtype)
            assert self._handle is not None  # `begin` came before
            self._handle.seek(self._starts[number, level] + index * stored.nbytes)
            self._handle.write(stored.tobytes())

    def close(self) -> None:
        if self._handle is not None and not self._direct:
            self._handle.flush()
            self._lay_out()
        self.abandon()

    def abandon(self) -> None:
        if self._handle is not None:
            self._handle.close()

    def _lay_out(self) -> None:
        """Write the file, with samples of the temporary one or room for them, noting where."""
        fiji, large = self.kind == "imagej", self._size > CLASSIC
        as_before = self.source is not None and self.source.file.is_bigtiff
        big = not fiji and (large or as_before)
        with quiet(), tifffile.TiffWriter(self.path, bigtiff=big, imagej=fiji, ome=False) as writer:
            for number, one in enumerate(self.outputs):
                dtype, options = one.dtype, self._of_series(number)
                for level, small in enumerate(self._shapes[number]):
                    shape = (one.frames, *small) if level else one.shape
                    data = None
                    if self._handle is not None:
                        start = self._starts[number, level]
                        data = np.memmap(self._handle, dtype, "r", start, shape)
                    told = writer.write(
                        data, shape=shape, dtype=dtype, returnoffset=True, software=False,
                        truncate=fiji and large,  # one page for all, as ImageJ has it
                        **self._options[number], **options,
                    )  # fmt: skip
                    if self._handle is None and told is not None:
                        self._starts[number, level] = told[0]
                    options = {"metadata": None, "subfiletype": 1}

    def _of_series(self, number: int) -> dict[str, Any]:
        """What is said with the first page of a series, beside how it is stored."""
        one = self.outputs[number]
        options: dict[str, Any] = {"subifds": len(one.levels)} if one.levels else {}
        if self.source is not None:
            page = self.source.series[one.number].first.aspage()
            options["extratags"] = [_again(tag) for tag in _telling(page)]
            if (per_unit := resolution(page)) is not None:
                options |= {"resolution": per_unit, "resolutionunit": int(page.resolutionunit)}
        if self.kind == "ome" or self.source is None:
            first = {} if number else {"description": self._description}
            return options | {"metadata": None} | first
        return options | {"metadata": {"axes": one.axes, **_of_first_page(self.source, self.kind)}}


class FolderOutput(StackOutput):
    """A folder of one-page files; one that nothing was done to, or is unreadable, is copied."""

    part = PartFolder

    def __init__(self, stack: Stack, outputs: Sequence[Series], target: Path) -> None:
        super().__init__(stack, outputs, target)
        assert isinstance(stack, PageFolder)
        self.stack, places = stack, outputs[0].places
        self._left = set(places)
        with closing(first_readable(places, stack.page)) as first:
            page = _page_output(first, target / first.name)
        self.codec, self.notes, self.lost = page.codec, page.notes, page.lost
        self.kept = ["descriptions and resolution"]

    def put(self, number: int, index: int, picture: Plane) -> None:
        place = self.outputs[number].places[index]
        with closing(self.stack.page(place)) as source:
            self._left.remove(place)
            path = self.path / source.path.name
            if np.array_equal(source.read(0, 0), picture, equal_nan=picture.dtype.kind == "f"):
                shutil.copyfile(source.path, path)
                return
            page = _page_output(source, path)
            page.begin(path, self.provenance)
            page.put(0, 0, picture)
            page.close()

    def close(self) -> None:
        for place in sorted(self._left):
            if (path := self.stack.files[place]) is not None:
                shutil.copyfile(path, self.path / path.name)


def _page_output(source: TiffStack, path: Path) -> TiffOutput:
    return TiffOutput(source, [as_written(source, 0, source.series[0].axes)], path)


def _of_first_page(source: TiffStack, kind: Kind) -> dict[str, Any]:
    """What ImageJ or tifffile said beside sizes and axes; of other programs the whole text."""
    if kind == "imagej":
        said = {k: v for k, v in (source.file.imagej_metadata or {}).items()
                if k not in _IMAGEJ_OWN}  # fmt: skip
        wide = {k for k, v in said.items() if isinstance(v, str) and not v.isascii()}
        for key in wide - {*_IMAGEJ_WIDE}:  # as ImageJ's descriptions have it: \\u00b5m
            said[key] = json.dumps(said[key])[1:-1]
        return said
    if source.file.is_shaped:
        said = (source.file.shaped_metadata or ({},))[0]
        return {key: value for key, value in said.items() if key not in ("shape", "axes")}
    text = first_description(source.file)
    return {SOURCE: text} if text else {}


def _telling(page: Any) -> list[Any]:
    """The tags of a page that are written again."""
    kinds = (str, bytes, int)
    return [tag for tag in page.tags if tag.code in _TELLING and isinstance(tag.value, kinds)]


def _again(tag: Any) -> tuple[int, int, int, Any, bool]:
    """A tag as tifffile writes it; its text may hold any letters."""
    value = tag.value.encode() if isinstance(tag.value, str) else tag.value
    count = len(value) if isinstance(value, bytes) else 1
    return tag.code, int(tag.dtype), count, value, tag.code not in _OF_ALL


def lost_tags(stack: Stack, kind: Kind) -> list[str]:
    """What a TIFF's pages say that is not written again."""
    if not isinstance(stack, TiffStack):
        return []
    known = (*_TELLING, *_IMAGEJ_TAGS) if kind == "imagej" else _TELLING
    pages, each = stack.file.pages, False
    tags = [str(tag.name) for tag in pages.first.tags
            if tag.code >= 1 << 15 and tag.code not in known]  # fmt: skip
    with suppress(InputError, IndexError), refusals(stack.name), quiet():  # of a damaged page
        second = pages[1].aspage()
        own = {tag.code for tag in _telling(second)} - {*_OF_ALL}
        each = bool(own or (kind != "ome" and second.description))
    said = {f"tags {', '.join(tags[:6])}": tags, "texts of single pages": each}
    return [what for what, there in said.items() if there]


def shrunk(picture: Plane, size: tuple[int, int]) -> Plane:
    """A picture (Y, X[, S]) in fewer rows and columns: means, rounded if samples are whole."""
    if picture.shape[:2] == size:
        return picture
    import cv2  # takes a while

    small = cv2.resize(picture.astype(np.float64), size[::-1], interpolation=cv2.INTER_AREA)
    small = small if picture.dtype.kind == "f" else np.rint(small)
    return small.astype(picture.dtype).reshape(*size, *picture.shape[2:])


def _ome_xml(outputs: Sequence[Series], name: str, provenance: str) -> bytes:
    """The OME-XML, the same in every run, of a file whose pages are the pictures of these series;
    name: of images without one. Raises UsageError for what OME-TIFF has no place for."""
    facts = [_image_facts(one.metadata) for one in outputs]
    words = [one.words for one in outputs]
    xml = tifffile.OmeXml(UUID=str(uuid5(NAMESPACE_OID, f"f2r {facts} {words}")), Creator="f2r")
    notes = {SOURCE: outputs[0].metadata.own, PROVENANCE: provenance}
    facts[0]["CommentAnnotation"] = [{"Namespace": n, "Value": t} for n, t in notes.items() if t]
    for one, said in zip(outputs, facts, strict=True):
        stored = (one.frames, 1, 1, one.height, one.width, one.samples)
        try:
            xml.addimage(one.dtype, one.shape, stored, axes=one.axes, Name=one.name or name, **said)
        except tifffile.OmeXmlError as error:
            what, hint = f"place for the axes {one.axes}", "Name its axes with axes=."
            if one.dtype == np.float16:
                what, hint = "floats of 16 bits", "Convert the source to 32-bit floats."
            raise UsageError(f"{name}: OME-TIFF has no {what}.", hint=hint) from error
    return _NOT_IN_XML.sub("", xml.tostring(declaration=True)).encode()


def _image_facts(said: Metadata) -> Facts:
    """The facts of an image as tifffile takes them."""
    facts: Facts = {}
    for sizes, unit in ((said.sizes, "µm"), (said.relative, "reference frame")):
        for axis, size in sizes.items():
            facts |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": unit}
    if said.interval is not None:
        facts |= {"TimeIncrement": said.interval, "TimeIncrementUnit": "s"}
    others = {"SignificantBits": said.bits, "AcquisitionDate": said.date,
              "Channel": list(said.channels), "Plane": list(said.planes)}  # fmt: skip
    return facts | {name: value for name, value in others.items() if value}


# --- OME-Zarr -------------------------------------------------------------------------------------
_ORDER = "TCZYX"  # of axes: time, channels, space (specification 0.4, "axes" metadata)
_CHUNK = 1024  # pixels a side of a chunk at most
_SMALLEST = 256  # pixels a side at most, of the last level


def arranged(series: Series, target: Path) -> Series:
    """A series as OME-Zarr holds it: axes in its order, colours as channels, and that part of the
    metadata which has a place there. Raises UsageError for other axes."""
    if not set(series.axes) <= set(_ORDER + "S") or {"C", "S"} <= set(series.axes):
        what = f"{target.name}: OME-Zarr has no place for the axes {series.axes}."
        raise UsageError(what, hint="Name an .ome.tif file with output=.")
    shape = replace(series, axes=series.axes.replace("S", "C")).sizes
    axes, said = "".join(axis for axis in _ORDER if axis in shape), series.metadata
    channels: list[Facts] = [{k: c[k] for k in ("Name", "Color") if k in c} for c in said.channels]
    known = len(channels) == shape.get("C", 1) and any(channels)
    sizes, relative = ({axis: size for axis, size in one.items() if axis in axes}
                       for one in (said.sizes, said.relative))  # fmt: skip
    said = Metadata(sizes=sizes, relative=relative, channels=channels if known else (),
                    interval=said.interval if "T" in axes else None, own=said.own)  # fmt: skip
    return replace(series, axes=axes, shape=tuple(shape[axis] for axis in axes), metadata=said)


class PartTree(PartFolder):
    """A folder with folders in it, that takes its target's place as a whole."""

    place = staticmethod(lambda target: target.with_name(f".{target.name}.part"))

    def _begin(self) -> None:
        # Finish what a run did not that was killed while it published.
        if not self.target.exists() and self._before.exists():
            os.replace(self._before, self.target)
        shutil.rmtree(self._before, ignore_errors=True)
        super()._begin()

    @property
    def _before(self) -> Path:
        """What was at the target, while the new folder takes its place."""
        return self.path.with_name(f"{self.path.name}.old")

    def _join(self, folder: Path) -> None:
        if not self.overwrite:  # it appeared during the run
            raise exists_error(folder)
        os.replace(folder, self._before)
        os.replace(self.path, folder)
        shutil.rmtree(self._before, ignore_errors=True)  # it is out of the way at any rate


class ZarrOutput(StackOutput):
    """A folder of arrays."""

    part = PartTree
    container, codec = "ome-zarr", "zstd"

    def __init__(self, stack: Stack, outputs: Sequence[Series], target: Path) -> None:
        if len(outputs) > 1:
            raise UsageError(
                f"{target.name}: OME-Zarr holds one image, {stack.name} has {len(outputs)} series.",
                hint="Choose one with series=.",
            )
        super().__init__(stack, outputs, target)
        self.series = outputs[0]
        self.image = arranged(self.series, target)
        self.stored = [self.image]
        said, words = self.image.metadata, self.image.metadata.words()
        self.kept = words + ["its own metadata in whole, as an attribute"] * bool(said.own)
        self.lost = [word for word in self.series.metadata.words() if word not in words]
        self.notes = ["colours become channels"] if "S" in self.series.axes else []
        self.name = self.series.name or stack.name
        self.sizes, size = [self.image.size], self.image.size
        while max(size) > _SMALLEST and min(size) > 1:
            size = (size[0] // 2, size[1] // 2)
            self.sizes.append(size)

    def begin(self, path: Path, provenance: str) -> None:
        super().begin(path, provenance)
        zarr = package("zarr", "writing OME-Zarr", UsageError)
        group = zarr.open_group(str(path), mode="w", zarr_format=2)
        outer = self.image.shape[:-2]
        self.levels = [
            group.create_array(
                str(number), shape=(*outer, *size), dtype=self.image.dtype,
                chunks=(*(1 for _ in outer), *(min(side, _CHUNK) for side in size)),
                chunk_key_encoding={"name": "v2", "separator": "/"},
            ) for number, size in enumerate(self.sizes)
        ]  # fmt: skip
        notes = {SOURCE: self.image.metadata.own, PROVENANCE: provenance}
        told = {name: text for name, text in notes.items() if text}
        group.attrs.update(self._attributes() | told)

    def put(self, number: int, index: int, picture: Plane) -> None:
        for level, size in zip(self.levels, self.sizes, strict=True):
            small = shrunk(picture, size)
            level[self._place(index)] = small if small.ndim == 2 else np.moveaxis(small, -1, 0)

    def read(self, written: Stack, number: int, index: int) -> Plane:
        picture = np.asarray(self.levels[0][self._place(index)])
        return picture if picture.ndim == 2 else np.moveaxis(picture, 0, -1)

    def _place(self, index: int) -> tuple[int | slice, ...]:
        """The place of a picture in the arrays: its colours are all channels."""
        at = self.series.at(index)
        return tuple(at.get(axis, slice(None)) for axis in self.image.axes[:-2])

    def _attributes(self) -> dict[str, Any]:
        """The attributes of version 0.4: axes with units, the scale of each level, channels."""
        said, letters = self.image.metadata, self.image.axes
        units = {axis: {"unit": "micrometer"} for axis in said.sizes}
        units |= {"T": {"unit": "second"}} if said.interval is not None else {}
        kinds = {axis: {"name": axis.lower(), "type": "space"} for axis in letters}
        kinds |= {"T": {"name": "t", "type": "time"}, "C": {"name": "c", "type": "channel"}}
        axes = [kinds[axis] | units.get(axis, {}) for axis in letters]
        steps = {**said.relative, **said.sizes, "T": said.interval or 1.0}
        datasets = []
        for number, size in enumerate(self.sizes):
            grown = {"Y": self.image.height / size[0], "X": self.image.width / size[1]}
            scale = [float(steps.get(axis, 1.0)) * grown.get(axis, 1.0) for axis in letters]
            transforms = [{"type": "scale", "scale": scale}]
            datasets.append({"path": str(number), "coordinateTransformations": transforms})
        scales = {"version": "0.4", "name": self.name, "axes": axes, "datasets": datasets,
                  "type": "mean"}  # fmt: skip
        found: dict[str, Any] = {"multiscales": [scales]}
        if said.channels:
            dtype: Any = self.image.dtype
            high = 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)
            window = {"min": 0, "max": high, "start": 0, "end": high}
            found["omero"] = {"channels": [
                {"label": str(one.get("Name", "")), "color": (colour_of(one) or "ffffff").upper(),
                 "active": True, "window": window} for one in said.channels
            ]}  # fmt: skip
        return found


def kind_of_output(stack: Stack, target: Path, *, overwrite: bool) -> type[StackOutput]:
    """What a stack is written to. Raises for a target that cannot or must not be written."""
    if target.suffix.lower() == formats.ZARR:
        package("zarr", f"{target.name}: writing OME-Zarr", UsageError)
        files.check_place(target, stack.paths)
        if target.exists() and not overwrite:
            raise exists_error(target)
        if target.exists() and not is_zarr(target):
            what = f"{target.name}: is not a Zarr folder; f2r does not replace it."
            raise OutputError(what, hint="Choose another name with output=.")
        return ZarrOutput
    if isinstance(stack, PageFolder):
        if target.suffix and not target.is_dir():
            what = f"{target.name}: is a single file, but the stack has {len(stack.paths)}."
            hint = "Name a folder with output=; the files keep their names in it."
            raise UsageError(what, hint=hint)
        files.check_folder(target, stack.paths, overwrite=overwrite)
        return FolderOutput
    if target.suffix.lower() not in formats.TIFF | formats.BIG_TIFF:  # others are makers' own
        what = "OME-TIFF or OME-Zarr" if isinstance(stack, LibraryStack) else "TIFF"
        what = f"{target.name}: a stack of {stack.flavour} is written as {what}."
        raise UsageError(what, hint="Name an .ome.tif file or a .zarr folder with output=.")
    files.check_target(target, stack.paths, overwrite=overwrite)
    return TiffOutput
