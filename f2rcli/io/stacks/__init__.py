"""Stacks of microscopes: TIFF, ND2, CZI, LIF, HDF5, NWB and OME-Zarr in; TIFF and OME-Zarr out,
written anew, picture by picture, by the plan and the writer here."""

from contextlib import closing, suppress
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import numpy as np

from f2rcli.errors import OutputError, UsageError
from f2rcli.frames import Frame, Plane
from f2rcli.io.base import Reader, WriteOptions, WritePlan, Writer
from f2rcli.io.files import PartFile, check_folder, check_target, disk_errors, misread_error
from f2rcli.io.formats import BIG_TIFF, TIFF, ZARR
from f2rcli.io.stacks.library import LibraryStack
from f2rcli.io.stacks.reader import StackReader
from f2rcli.io.stacks.stack import UNNAMED, Series
from f2rcli.io.stacks.tiff import PageFolder, default_target, holds, open_stack
from f2rcli.io.stacks.tiff_out import FolderOutput, Output, StackOutput, TiffOutput
from f2rcli.io.stacks.zarr_out import ZarrOutput, check_zarr_target
from f2rcli.samples.lanes import Taken
from f2rcli.units import count

__all__ = ["default_target", "holds", "open_reader", "open_writer", "plan_output"]
READ_BACK = 64  # pictures of a series, evenly spread, that are compared once it is written


def plan_output(reader: Reader, target: str, options: WriteOptions) -> WritePlan:
    path, zarr = Path(target), Path(target).suffix.lower() == ZARR
    if not isinstance(reader, StackReader):
        what = "OME-Zarr from stacks" if zarr else "TIFF stacks from TIFF stacks"
        hint = "Write a video, or numbered .png pictures."
        raise UsageError(f"{path.name}: f2r writes {what} only.", hint=hint)
    options.refuse_encoding("a stack, which is stored as its source is")
    if not reader.options.whole:
        hint = "Leave out start=, end= and frames=; --preview TIME shows a still."
        raise UsageError(f"{reader.info.name}: a stack can only be written whole.", hint=hint)
    kind: type[StackOutput] = TiffOutput
    if zarr:
        check_zarr_target(path, reader.paths(), overwrite=options.overwrite)
        kind = ZarrOutput
    elif isinstance(reader.stack, PageFolder):
        if path.suffix and not path.is_dir():
            raise UsageError(
                f"{path.name}: is a single file, but the stack has {len(reader.paths())}.",
                hint="Name a folder with output=; the files keep their names in it.",
            )
        check_folder(path, reader.paths(), overwrite=options.overwrite)
        kind = FolderOutput
    elif path.suffix.lower() not in TIFF | BIG_TIFF:  # other suffixes of TIFF are makers' own
        what = "OME-TIFF or OME-Zarr" if isinstance(reader.stack, LibraryStack) else "TIFF"
        raise UsageError(
            f"{path.name}: a stack of {reader.stack.flavour} is written as {what}.",
            hint="Name an .ome.tif file or a .zarr folder with output=.",
        )
    else:
        check_target(path, reader.paths(), overwrite=options.overwrite)
    output = kind(reader.stack, [_output(reader, number) for number in reader.chosen], path)
    left_out = [f"series {one.number + 1} {one.name}".rstrip() for one in reader.stack.series
                if one.number not in reader.chosen]  # fmt: skip
    return WritePlan(
        target=str(path), container=output.container, encoder=output.codec,
        pix_fmt=str(output.stored[0].dtype), kept=(output.words, *dict.fromkeys(output.kept)),
        dropped=(*left_out, *output.lost), notes=tuple(output.notes), detail=output,
    )  # fmt: skip


def _output(reader: StackReader, number: int) -> Output:
    """A series with the names that its axes got, and its pictures. Where some of a movie or depth
    are missing the others follow each other; a grid has room for all."""
    stored, understood = reader.stack.series[number], reader.series[number]
    both = zip(stored.axes, understood.axes, strict=True)
    axes = "".join(new if old in UNNAMED else old for old, new in both)
    sizes, places = replace(stored, axes=axes).sizes, list(range(stored.frames))
    if "S" in axes:  # planes of colours become samples of a pixel
        axes = axes.replace("S", "") + "S"
    if stored.absent and len(stored.outer) == 1:
        places = [place for place in places if place not in stored.absent]
        sizes |= {axis: len(places) for axis in axes if axis not in "YXS"}
    series = replace(stored, axes=axes, shape=tuple(sizes[axis] for axis in axes))
    return Output.of(series, places, reader.stack.metadata(number))


class StackWriter(Writer):
    """Writes the pictures of a stack as they come; what was there before is not touched."""

    reader: StackReader  # as the plan's maker saw to
    part: PartFile

    def __init__(self, reader: Reader, plan: WritePlan) -> None:
        super().__init__(reader, plan)
        self._output: StackOutput = plan.detail
        self._index = {
            (one.series.number, place): (number, index)
            for number, one in enumerate(self._output.outputs)
            for index, place in enumerate(one.places)
        }  # fmt: skip
        # Digests of what was written, by index, for each series.
        self._written: list[dict[int, bytes]] = [{} for _ in self._output.outputs]
        self.part = self._output.part(Path(plan.target), overwrite=plan.overwrite)

    def write(self, frame: Frame) -> None:
        with disk_errors(self.part.target):
            if not self.frames:
                self._output.begin(self.part.path, self.plan.provenance_text())
            taken: Taken = frame.source
            picture = taken.kept(frame)
            number, index = self._index[taken.place]
            self._written[number][index] = digest_of(picture)
            self._output.put(number, index, picture)
        self.frames += 1

    def _complete(self) -> tuple[str, ...]:
        read, target = self.reader.info.frames, self.part.target
        if self.frames + self.reader.skipped != read:
            what = f"{target.name}: {read} frames were read, but {self.frames} were written."
            raise OutputError(what, hint="Nothing was written to the target.")
        with disk_errors(target):
            self._output.close()
            return self._verified(target.name)

    def seconds(self) -> float:
        return self.reader.info.duration or 0.0

    def _verified(self, name: str) -> tuple[str, ...]:
        """Compare axes and some pictures of each series; what was compared, in words."""
        read, whole = 0, sum(map(len, self._written))
        with closing(open_stack(str(self.part.path))) as again:
            if [*map(_shape, again.series)] != [*map(_shape, self._output.stored)]:
                raise misread_error(name, "its axes differ when it is read back")
            for number, digests in enumerate(self._written):
                indices = sorted(digests)
                spread = np.linspace(0, len(indices) - 1, min(READ_BACK, len(indices))).round()
                for index in (indices[int(place)] for place in spread):
                    found = self._output.read(again, number, index)
                    if digest_of(found) != digests[index]:
                        what = f"picture {index + 1} differs when it is read back"
                        raise misread_error(name, what)
                    read += 1
        words = "each" if read == whole else f"{read} of them"
        return (f"{count(whole, 'picture')}, {words} read back",)

    def abandon(self) -> None:
        with suppress(OSError):  # a full disk refuses what is pending
            self._output.abandon()
        super().abandon()


def _shape(series: Series) -> tuple[str, tuple[int, ...]]:
    """Axes and sizes without those of one picture, which files do not name."""
    kept = [(a, n) for a, n in zip(series.axes, series.shape, strict=True) if n > 1 or a in "YX"]
    letters = "".join("T" if a in UNNAMED else a for a, _ in kept)
    return letters, tuple(n for _, n in kept)


def digest_of(picture: Plane) -> bytes:
    return blake2b(np.ascontiguousarray(picture).tobytes(), digest_size=16).digest()


open_reader, open_writer = StackReader, StackWriter
