"""OME-TIFF output for stacks of other formats: laid out empty, filled as frames come."""

from pathlib import Path

import tifffile

from f2rcli.errors import UsageError
from f2rcli.io.base import Reader, WriteOptions, WritePlan
from f2rcli.io.microscopy.reader import MicroscopyFile
from f2rcli.io.targets import check_target
from f2rcli.io.tiff.file import TiffStack
from f2rcli.io.tiff.folder import SUFFIXES
from f2rcli.io.tiff.plan import StackDetail, check_options
from f2rcli.io.tiff.reader import StackReader
from f2rcli.io.tiff.writer import StackWriter

CLASSIC = 1 << 31  # bytes of samples from which BigTIFF is written


def plan_ome(reader: Reader, target: str, options: WriteOptions) -> WritePlan:
    """Plan an OME-TIFF file. Raises UsageError or OutputError for what cannot be done."""
    if not isinstance(reader, StackReader) or not isinstance(reader.stack, MicroscopyFile):
        raise TypeError("not a stack of another format")
    check_options(reader, options)
    if Path(target).suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"{Path(target).name}: {reader.stack.flavour} becomes OME-TIFF.",
            hint="Name an .ome.tif file with output=.",
        )
    check_target(Path(target), reader.paths(), overwrite=options.overwrite)
    series = reader.stack.series
    facts = sorted({name for one in series for name in reader.stack.facts(one.number)})
    return WritePlan(
        target=target,
        container="ome-tiff",
        encoder="uncompressed",
        pix_fmt=str(series[0].dtype),
        kept=(f"axes {series[0].words}", *facts),
        dropped=(f"other metadata of {reader.stack.flavour}",),
        overwrite=options.overwrite,
        keep_partial=options.keep_partial,
        detail=StackDetail(folder=False),
    )


class OmeWriter(StackWriter):
    """Fills the pages of a new file."""

    def _begin(self) -> None:
        source = self.reader.stack
        assert isinstance(source, MicroscopyFile)  # as the plan's maker saw to
        path = self._copy(source.path)
        size = sum(one.frames * one.height * one.width * one.samples * one.dtype.itemsize
                   for one in source.series)  # fmt: skip
        with tifffile.TiffWriter(path, ome=True, bigtiff=size > CLASSIC) as writer:
            for one in source.series:
                facts = source.facts(one.number) | {"axes": one.axes}
                writer.write(
                    None, shape=one.shape, dtype=one.dtype,
                    photometric="rgb" if one.colour else "minisblack",
                    planarconfig="contig" if one.samples > 1 else None,
                    metadata=facts | ({"Name": one.name} if one.name else {}),
                )  # fmt: skip
        self.places = TiffStack(path)
        self._fill(source)

    def _fill(self, source: MicroscopyFile) -> None:
        """Pictures that are not stored keep the value that their source reads as."""
        for series in source.series:
            for place in source.absent[series.number]:
                self._put(series, place, source.read(series.number, place))
