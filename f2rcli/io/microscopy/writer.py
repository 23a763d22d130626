"""OME-TIFF output for stacks of other formats: laid out empty, filled as frames come."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import numpy as np
import tifffile

from f2rcli.errors import UsageError
from f2rcli.io.base import Reader, WriteOptions, WritePlan
from f2rcli.io.microscopy.ome import as_stated, ome_facts, with_instruments
from f2rcli.io.microscopy.passport import Passport, in_xml
from f2rcli.io.microscopy.reader import MicroscopyFile
from f2rcli.io.targets import check_target
from f2rcli.io.tiff.axes import UNNAMED, Series
from f2rcli.io.tiff.file import TiffStack
from f2rcli.io.tiff.folder import SUFFIXES
from f2rcli.io.tiff.plan import StackDetail, check_options
from f2rcli.io.tiff.provenance import room
from f2rcli.io.tiff.reader import StackReader
from f2rcli.io.tiff.stack import Stack
from f2rcli.io.tiff.writer import StackWriter

CLASSIC = 1 << 31  # bytes of samples from which BigTIFF is written


def plan_ome(reader: Reader, target: str, options: WriteOptions) -> WritePlan:
    """Plan an OME-TIFF file. Raises UsageError or OutputError for what cannot be done."""
    assert isinstance(reader, StackReader)  # all others' targets are of other formats
    assert isinstance(reader.stack, MicroscopyFile)
    check_options(reader, options)
    if Path(target).suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"{Path(target).name}: {reader.stack.flavour} becomes OME-TIFF or OME-Zarr.",
            hint="Name an .ome.tif file or a .zarr folder with output=.",
        )
    check_target(Path(target), reader.paths(), overwrite=options.overwrite)
    series = [as_written(reader, number) for number in reader.chosen]
    if any(one.dtype == np.float16 for one in series):
        raise UsageError(
            f"{Path(target).name}: OME-TIFF has no floats of 16 bits.",
            hint="Convert the source to 32-bit floats.",
        )
    chosen = [reader.stack.passport(one.number) for one in series]
    return WritePlan(
        target=target,
        container="ome-tiff",
        encoder="uncompressed",
        pix_fmt=str(series[0].dtype),
        kept=(f"axes {series[0].words}", *_names(one.kept for one in chosen)),
        dropped=(*_names(one.lost for one in chosen), *left_out(reader)),
        notes=tuple(_names([reader.stack.images[one.number].note] for one in series)),
        detail=StackDetail(folder=False),
    )


def as_written(reader: StackReader, number: int) -> Series:
    """A series with the names that axes got which its source does not name."""
    stored, understood = reader.stack.series[number], reader.series[number]
    axes = "".join(new if old in UNNAMED else old
                   for old, new in zip(stored.axes, understood.axes, strict=True))  # fmt: skip
    return replace(stored, axes=axes)


def _names(each: Iterable[Iterable[str]]) -> list[str]:
    """Every name once, in the order of the first that have it."""
    return list(dict.fromkeys(name for names in each for name in names if name))


def left_out(reader: StackReader) -> list[str]:
    """Names of the series that are not written."""
    return [f"series {one.number + 1} {one.name}".rstrip() for one in reader.stack.series
            if one.number not in reader.chosen]  # fmt: skip


class OmeWriter(StackWriter):
    """Fills the pages of a new file."""

    copies = False

    def _begin(self) -> None:
        source = self.reader.stack
        assert isinstance(source, MicroscopyFile)  # as the plan's maker saw to
        path = self._copy(source.path)
        self.numbers = self.reader.chosen
        series = [self._stored(number) for number in self.numbers]
        size = sum(one.frames * one.picture_bytes for one in series)
        with tifffile.TiffWriter(path, ome=True, bigtiff=size > CLASSIC) as writer:
            for one in series:
                channels = dict(zip(one.axes, one.shape, strict=True)).get("C", 1)
                facts = ome_facts(
                    source.passport(one.number), channels=channels, pictures=one.frames
                )
                named = {"axes": one.axes, "Name": in_xml(one.name or source.path.stem)}
                blank = room() if self.plan.provenance and one is series[0] else {}
                # The same in every run; tifffile would take a random one.
                identity = {"UUID": str(uuid5(NAMESPACE_OID, f"f2r {facts | named}"))}
                writer.write(
                    None, shape=one.shape, dtype=one.dtype,
                    photometric="rgb" if one.colour else "minisblack",
                    planarconfig="contig" if one.samples > 1 else None,
                    metadata=facts | named | blank | identity,
                )  # fmt: skip
        passports = [source.passport(one.number) for one in series]
        _complete(path, passports)
        self.places = TiffStack(path)
        self._fill()

    def _stored(self, number: int) -> Series:
        return as_written(self.reader, number)

    def _lost(self, again: Stack) -> list[str]:
        source = self.reader.stack
        assert isinstance(source, MicroscopyFile)  # as the plan's maker saw to
        assert isinstance(again, TiffStack)  # a file of one's own
        xml = again.file.ome_metadata or ""
        return _names(
            source.passport(number).without(as_stated(xml, place))
            for place, number in enumerate(self.numbers)
        )


def _complete(path: Path, passports: list[Passport]) -> None:
    """Put into the description of a laid-out file what tifffile leaves out."""
    with tifffile.TiffFile(path) as file:
        before = file.ome_metadata or ""
    after = with_instruments(before, passports)
    if after != before:
        tifffile.tiffcomment(path, after.encode("utf-8"))
