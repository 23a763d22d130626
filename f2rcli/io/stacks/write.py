"""Stacks written anew, picture by picture: the plan, and the writer that carries it out."""

import shutil
import tempfile
from contextlib import closing
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any

import numpy as np

from f2rcli.errors import OutputError, UsageError
from f2rcli.frames import Frame, Plane
from f2rcli.io.atomic import PartFile, PartFolder
from f2rcli.io.base import Reader, Receipt, WriteOptions, WritePlan, Writer
from f2rcli.io.disk_errors import disk_errors, misread_error
from f2rcli.io.sequence import first_readable
from f2rcli.io.stacks.files import LibraryStack, open_stack
from f2rcli.io.stacks.lanes import UNNAMED, Series
from f2rcli.io.stacks.pages import PageFolder
from f2rcli.io.stacks.reader import StackFrame, StackReader
from f2rcli.io.stacks.tiff import TiffStack
from f2rcli.io.stacks.tiff_out import Output, PageForm, TiffOutput, is_carried, is_known, kind_of
from f2rcli.io.stacks.zarr_out import (
    PartTree,
    ZarrOutput,
    arranged,
    check_zarr_target,
    is_target,
    zarr_metadata,
)
from f2rcli.io.targets import check_folder, check_target
from f2rcli.io.time_range import TimeRange
from f2rcli.samples.lanes import picture_kept
from f2rcli.units import count

# What TIFF may be called; other suffixes of TIFF are makers' own.
TARGETS = frozenset({".tif", ".tiff", ".btf", ".tf2", ".tf8"})
READ_BACK = 64  # pictures of a series, evenly spread, that are compared once it is written


@dataclass(frozen=True, slots=True, kw_only=True)
class StackDetail:
    """The writer's part of the plan."""

    outputs: tuple[Output, ...]
    kind: str  # zarr, folder, or one of TIFF's (see tiff_out)


def plan_stack(reader: Reader, target: str, options: WriteOptions) -> WritePlan:
    """Plan a stack. Raises UsageError or OutputError for what cannot be done."""
    path, zarr = Path(target), is_target(target)
    if not isinstance(reader, StackReader):
        what = "OME-Zarr from stacks" if zarr else "TIFF stacks from TIFF stacks"
        raise UsageError(
            f"{path.name}: f2r writes {what} only.",
            hint="Write a video, or numbered .png pictures.",
        )
    folder = reader.stack.divisible and not zarr
    _check_options(reader, options, folder=folder)
    if zarr:
        check_zarr_target(path, reader.paths(), overwrite=options.overwrite)
        return _plan_zarr(reader, path)
    if folder:
        _check_folder(reader, path, options)
    elif path.suffix.lower() not in TARGETS:
        what = "OME-TIFF or OME-Zarr" if isinstance(reader.stack, LibraryStack) else "TIFF"
        raise UsageError(
            f"{path.name}: a stack of {reader.stack.flavour} is written as {what}.",
            hint="Name an .ome.tif file or a .zarr folder with output=.",
        )
    else:
        check_target(path, reader.paths(), overwrite=options.overwrite)
    return _plan_folder(reader, path) if folder else _plan_tiff(reader, path)


def _check_options(reader: StackReader, options: WriteOptions, *, folder: bool) -> None:
    """Raise UsageError for options without meaning for a stack; folder: one file per frame."""
    options.refuse_encoding("a stack, which is stored as its source is")
    if not TimeRange.of(reader.options).whole and not folder:
        raise UsageError(
            f"{reader.info.name}: a stack can only be written whole.",
            hint="Leave out start=, end= and frames=; --preview N shows the first frames.",
        )


def _check_folder(reader: StackReader, target: Path, options: WriteOptions) -> None:
    if target.suffix and not target.is_dir():
        raise UsageError(
            f"{target.name}: is a single file, but the stack has {len(reader.paths())}.",
            hint="Name a folder with output=; the files keep their names in it.",
        )
    check_folder(target, reader.paths(), overwrite=options.overwrite)


def _plan_tiff(reader: StackReader, target: Path) -> WritePlan:
    stack = reader.stack
    outputs = [_output(reader, number) for number in reader.chosen]
    kind = kind_of(stack, target, outputs)
    if kind != "ome" and isinstance(stack, TiffStack):  # as its pages name them
        outputs = [
            replace(one, series=replace(one.series, axes=stack.series[one.series.number].axes))
            for one in outputs
        ]
    elif any(one.series.dtype == np.float16 for one in outputs):
        raise UsageError(
            f"{target.name}: OME-TIFF has no floats of 16 bits.",
            hint="Convert the source to 32-bit floats.",
        )
    forms = [PageForm.of(stack, one) for one in outputs]
    kept = [] if isinstance(stack, LibraryStack) else [stack.flavour]
    kept += [_axes(reader, outputs[0]), *_facts(outputs), _in_whole(kind, outputs)]
    kept += ["pyramid, its levels made anew"] if any(one.levels for one in outputs) else []
    kept = [word for word in kept if word]
    notes = [form.note for form in forms if form.note] + _scan_notes(reader)
    if len(reader.paths()) > 1:
        notes.append(f"{len(reader.paths())} files become one")
    return WritePlan(
        target=str(target), container="ome-tiff" if kind == "ome" else "tiff",
        encoder=forms[0].codec, pix_fmt=str(outputs[0].series.dtype), kept=tuple(kept),
        dropped=(*_left_out(reader), *_lost_tags(stack, kind)),
        notes=tuple(notes), detail=StackDetail(outputs=tuple(outputs), kind=kind),
    )  # fmt: skip


def _plan_folder(reader: StackReader, target: Path) -> WritePlan:
    stack = reader.stack
    assert isinstance(stack, PageFolder)  # nothing else is divisible
    output = _output(reader, 0)
    with closing(first_readable(output.places, stack.page)) as first:
        form = PageForm.of(first, _page_output(first))
        dropped = _lost_tags(first, kind_of(first, target / first.name, [_page_output(first)]))
    return WritePlan(
        target=str(target), container="tiff", encoder=form.codec,
        pix_fmt=str(output.series.dtype),
        kept=(count(len(output.places), "TIFF file"), _axes(reader, output), "tags of its pages"),
        notes=(form.note,) if form.note else (), dropped=dropped,
        detail=StackDetail(outputs=(output,), kind="folder"),
    )  # fmt: skip


def _plan_zarr(reader: StackReader, target: Path) -> WritePlan:
    if len(reader.chosen) > 1:
        raise UsageError(
            f"{target.name}: OME-Zarr holds one image, {reader.info.name} has "
            f"{len(reader.chosen)} series.",
            hint="Choose one with series=.",
        )
    whole = _output(reader, reader.chosen[0])
    shown = arranged(whole.series, target)
    output = replace(whole, metadata=zarr_metadata(whole.metadata, shown))
    kept = output.metadata.facts()
    notes = _scan_notes(reader) + (["colours become channels"] if "S" in whole.series.axes else [])
    return WritePlan(
        target=str(target), container="ome-zarr", encoder="zstd", pix_fmt=str(shown.dtype),
        kept=(f"axes {shown.words}", *kept),
        dropped=(*(word for word in whole.metadata.facts() if word not in kept),
                 *_left_out(reader)),
        notes=tuple(notes), detail=StackDetail(outputs=(output,), kind="zarr"),
    )  # fmt: skip


def _output(reader: StackReader, number: int) -> Output:
    """A series with the names that axes got which its source does not name, and its pictures.

    Where pictures of a movie or depth are missing the others follow each other; a grid has room
    for all.
    """
    stored, understood = reader.stack.series[number], reader.series[number]
    axes = "".join(
        new if old in UNNAMED else old
        for old, new in zip(stored.axes, understood.axes, strict=True)
    )
    series, absent = replace(stored, axes=axes), reader.stack.absent[number]
    places = tuple(range(series.frames))
    if reader.stack.divisible:
        places = tuple(reader.places)
    elif absent and len(series.outer) == 1 and not isinstance(reader.stack, LibraryStack):
        places = tuple(place for place in places if place not in absent)
    if len(places) < series.frames and len(series.outer) == 1:
        at = axes.index(series.outer[0][0])
        shape = (*series.shape[:at], len(places), *series.shape[at + 1 :])
        series = replace(series, shape=shape)
    said = reader.stack.metadata(number)
    if set(dict(series.outer)) - set("TZC") or len(said.planes) != len(places):
        said = replace(said, planes=())  # OME's planes are known by time, depth and channel
    return Output(series, places, said, tuple(reader.stack.levels(number)))


def _axes(reader: StackReader, output: Output) -> str:
    absent = len(reader.stack.absent[output.series.number])
    frames = reader.stack.series[output.series.number].frames
    there = f" ({frames - absent} of its {frames} pictures)" if absent else ""
    return f"axes {output.series.words}{there}"


def _facts(outputs: list[Output]) -> list[str]:
    """Words for what is known of series, each once."""
    return list(dict.fromkeys(word for one in outputs for word in one.metadata.facts()))


def _in_whole(kind: str, outputs: list[Output]) -> str:
    """What of the source's own metadata is carried as it is, in words."""
    if kind != "ome":
        return "tags of its pages" if kind == "plain" else "ImageJ's metadata"
    if all(one.metadata.ome is not None for one in outputs):
        return "OME-XML in whole"
    return "its own metadata in whole, as a comment" if outputs[0].metadata.own else ""


def _scan_notes(reader: StackReader) -> list[str]:
    stack = reader.stack
    if not isinstance(stack, LibraryStack):
        return []
    return [note for number in reader.chosen if (note := stack.images[number].note)]


def _left_out(reader: StackReader) -> list[str]:
    """Names of the series that are not written."""
    return [
        f"series {one.number + 1} {one.name}".rstrip() for one in reader.stack.series
        if one.number not in reader.chosen
    ]  # fmt: skip


def _lost_tags(stack: Any, kind: str) -> tuple[str, ...]:
    """Tags of pages that a file of another kind has no place for."""
    if not isinstance(stack, TiffStack) or kind == "imagej":
        return ()
    tags = [str(tag.name) for tag in stack.file.pages.first.tags if not is_known(tag)
            and not (kind == "plain" and is_carried(tag))]  # fmt: skip
    return (f"tags {', '.join(tags[:6])}",) if tags else ()


class StackWriter(Writer):
    """Writes the pictures of a stack as they come; what was there before is not touched."""

    def __init__(self, reader: Reader, plan: WritePlan) -> None:
        assert isinstance(reader, StackReader)  # as the plan's maker saw to
        self.reader, self.plan = reader, plan
        self.target = Path(plan.target)
        self.detail: StackDetail = plan.detail
        self.count = 0
        self._index = {
            (one.series.number, place): index
            for one in self.detail.outputs for index, place in enumerate(one.places)
        }  # fmt: skip
        self._number = {one.series.number: n for n, one in enumerate(self.detail.outputs)}
        self._written: dict[tuple[int, int], bytes] = {}  # digests, by number and index
        self._scratch: dict[int, IO[bytes]] = {}
        kinds = {"zarr": PartTree, "folder": PartFolder}
        part = kinds.get(self.detail.kind, PartFile)
        self._part = part(self.target, overwrite=plan.overwrite, keep=plan.keep_partial)
        self._output = self._new_output()

    def _new_output(self) -> "TiffOutput | ZarrOutput | FolderOutput":
        outputs, kind, stack = self.detail.outputs, self.detail.kind, self.reader.stack
        if kind == "zarr":
            return ZarrOutput(self._part.path, outputs[0], stack)
        if kind == "folder":
            assert isinstance(stack, PageFolder)  # as planned
            return FolderOutput(self._part, stack, outputs[0])
        return TiffOutput(self._part.path, outputs, kind, stack)  # type: ignore[arg-type]

    def write(self, frame: Frame) -> None:
        """Put one picture at its place."""
        with disk_errors(self.target):
            if not self.count:
                self._output.begin(self.plan.provenance_text())
            self._write(frame.source, frame.planes)
        self.count += 1

    def _write(self, taken: StackFrame, planes: tuple[Plane, ...]) -> None:
        picture = picture_kept(taken.original, planes, taken.statistics)
        if taken.sample is not None:
            whole = self._gathered(taken, picture)
            if whole is None:
                return
            picture = whole
        number, index = self._number[taken.series], self._index[taken.series, taken.picture]
        self._written[number, index] = digest_of(picture)
        self._output.put(number, index, picture)

    def _gathered(self, taken: StackFrame, plane: Plane) -> Plane | None:
        """Samples of a pixel come lane by lane: a picture is whole with the last of them."""
        samples, size = self.reader.stack.series[taken.series].samples, plane.nbytes
        assert taken.sample is not None  # asked only for those
        if taken.series not in self._scratch:
            self._scratch[taken.series] = tempfile.TemporaryFile(dir=self.target.resolve().parent)  # noqa: SIM115  # closed in _close_scratch
        scratch = self._scratch[taken.series]
        scratch.seek((taken.picture * samples + taken.sample) * size)
        scratch.write(np.ascontiguousarray(plane).tobytes())
        if taken.sample < samples - 1:
            return None
        scratch.seek(taken.picture * samples * size)
        gathered = np.frombuffer(scratch.read(samples * size), plane.dtype)
        return np.ascontiguousarray(np.moveaxis(gathered.reshape(samples, *plane.shape), 0, -1))

    def finish(self) -> Receipt:
        """Read back what was written, and put it in its place."""
        if self.count + self.reader.skipped != self.reader.info.frames:
            raise OutputError(
                f"{self.target.name}: {self.reader.info.frames} frames were read, but {self.count} "
                "were written.",
                hint="Nothing was written to the target.",
            )
        with disk_errors(self.target):
            self._fill()
            self._output.close()
            self._close_scratch()
            verified, lost = self._verify()
            size = self._part.publish()
        seconds = self.reader.info.duration or 0.0
        return self.plan.receipt(
            frames=self.count, seconds=seconds, size=size, verified=verified, lost=lost
        )

    def _fill(self) -> None:
        """Pictures that are not stored keep the value that their source reads as."""
        stack = self.reader.stack
        for number, one in enumerate(self.detail.outputs):
            for index, place in enumerate(one.places):
                if place in stack.absent[one.series.number] and isinstance(stack, LibraryStack):
                    self._output.put(number, index, stack.read(one.series.number, place))

    def _verify(self) -> tuple[tuple[str, ...], list[str]]:
        """Facts verified, in words, and what of the plan is not in the file."""
        written = [number for number, _ in self._written]
        some = {key for number in set(written) for key in self._spread(number)}
        with closing(open_stack(str(self._part.path))) as again:
            wrong = self._differing(again, some)
            lost = [] if wrong else self._lost(again)
        if wrong:
            raise misread_error(self.target.name, f"{wrong} when it is read back")
        every = count(len(written), "picture")
        return (f"{every}, each read back" if len(some) == len(written)
                else f"{every}, {len(some)} of them read back",), lost  # fmt: skip

    def _spread(self, number: int) -> list[tuple[int, int]]:
        """Some of the pictures written of a series, from the first to the last."""
        every = [key for key in sorted(self._written) if key[0] == number]
        places = np.linspace(0, len(every) - 1, min(READ_BACK, len(every))).round()
        return [every[int(place)] for place in places]

    def _differing(self, again: Any, some: set[tuple[int, int]]) -> str:
        """The first difference between what was written and what is read, in words."""
        zarr = isinstance(self._output, ZarrOutput)
        expected = [
            arranged(one.series, self.target) if zarr else one.series
            for one in self.detail.outputs
        ]  # fmt: skip
        if [_shape(one) for one in again.series] != [_shape(one) for one in expected]:
            return "its axes differ"
        for number, index in sorted(some):
            if isinstance(self._output, ZarrOutput):
                written = self._output.read(index)
            else:
                written = again.read(number, index)
            if digest_of(written) != self._written[number, index]:
                return f"picture {index + 1} differs"
        return ""

    def _lost(self, again: Any) -> list[str]:
        if self.detail.kind == "folder":
            return []
        return list(dict.fromkeys(
            word for number, one in enumerate(self.detail.outputs)
            for word in one.metadata.missing_from(again.metadata(number))
        ))  # fmt: skip

    def _close_scratch(self) -> None:
        for scratch in self._scratch.values():
            scratch.close()
        self._scratch.clear()

    def abandon(self) -> None:
        """See Writer."""
        try:
            self._output.abandon()
            self._close_scratch()
        except OSError:  # a full disk refuses what is pending
            pass
        finally:
            self._part.discard()


class FolderOutput:
    """A folder of one-page files: each is written as it comes; one that nothing was done to, or
    that cannot be read, is copied."""

    def __init__(self, part: Any, stack: PageFolder, output: Output) -> None:
        self.part, self.stack, self.output = part, stack, output
        self._provenance = ""
        self._left = set(output.places)

    def begin(self, provenance: str) -> None:
        self._provenance = provenance

    def put(self, number: int, index: int, picture: Plane) -> None:
        place = self.output.places[index]
        self._left.discard(place)
        with closing(self.stack.page(place)) as source:
            path = self.part.file(source.path.name)
            if np.array_equal(source.read(0, 0), picture, equal_nan=picture.dtype.kind == "f"):
                shutil.copyfile(source.path, path)
                return
            outputs = [_page_output(source)]
            page = TiffOutput(path, outputs, kind_of(source, path, outputs), source)
            page.begin(self._provenance)
            page.put(0, 0, picture)
            page.close()

    def close(self) -> None:
        for place in sorted(self._left):
            if (path := self.stack.files[place]) is not None:
                shutil.copyfile(path, self.part.file(path.name))

    def abandon(self) -> None:
        """Nothing is open between pictures."""


def _page_output(source: TiffStack) -> Output:
    return Output(source.series[0], (0,), source.metadata(0))


def _shape(series: Series) -> tuple[str, tuple[int, ...]]:
    """Axes and sizes without those of one picture, which files do not name."""
    kept = [(a, n) for a, n in zip(series.axes, series.shape, strict=True) if n > 1 or a in "YX"]
    letters = "".join("T" if a in UNNAMED else a for a, _ in kept)
    return letters, tuple(n for _, n in kept)


def digest_of(picture: Plane) -> bytes:
    """A digest of a picture's samples."""
    return blake2b(np.ascontiguousarray(picture).tobytes(), digest_size=16).digest()
