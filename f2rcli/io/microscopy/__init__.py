"""Microscopes' own formats in, OME-TIFF out: ND2, CZI, LIF and OME-Zarr (extra `microscopy`)."""

from dataclasses import replace
from pathlib import Path

from f2rcli.errors import UsageError
from f2rcli.io.base import Reader, ReadOptions, WriteOptions, WritePlan, Writer
from f2rcli.io.microscopy.hdf5 import named, split_path
from f2rcli.io.microscopy.image import unsupported
from f2rcli.io.microscopy.reader import FORMATS, MicroscopyFile, format_of
from f2rcli.io.microscopy.writer import OmeWriter, plan_ome
from f2rcli.io.microscopy.zarr_writer import ZarrWriter, is_target, plan_zarr
from f2rcli.io.tiff.reader import StackReader

RANK = 15  # before all others: a Zarr stack is a folder, which others may claim
SUFFIXES = frozenset(FORMATS)
UNSUPPORTED = {
    ".ims": "Imaris", ".lof": "Leica LOF", ".mrc": "MRC",
    ".oib": "Olympus OIB", ".oif": "Olympus OIF", ".oir": "Olympus OIR", ".sld": "SlideBook",
    ".vsi": "Olympus VSI", ".xlef": "Leica XLEF",
}  # fmt: skip
AXES = True  # its axes and series can be named by the user


def claims(source: str) -> bool:
    """Whether a path is one of these formats, by suffix; folders also by content."""
    path = Path(split_path(source)[0])
    return format_of(path) is not None or path.suffix.lower() in UNSUPPORTED


def writes(target: str, reader: Reader) -> bool:
    """Whatever comes from these formats, and every stack that is to be OME-Zarr."""
    own = isinstance(reader, StackReader) and isinstance(reader.stack, MicroscopyFile)
    return own or is_target(target)


def plan_output(reader: Reader, target: str, options: WriteOptions) -> WritePlan:
    """Plan an OME-TIFF file or an OME-Zarr folder."""
    return (plan_zarr if is_target(target) else plan_ome)(reader, target, options)


def open_writer(reader: Reader, plan: WritePlan) -> Writer:
    """Open what was planned."""
    return (ZarrWriter if is_target(plan.target) else OmeWriter)(reader, plan)


def default_target(source: Path) -> Path:
    """`a_f2r.ome.tif` beside `a.nd2`, and beside `a.h5` for `a.h5:/movie`."""
    source = Path(split_path(str(source))[0])
    return source.with_name(f"{source.name.split('.')[0]}_f2r.ome.tif")


def open_reader(source: str, options: ReadOptions) -> Reader:
    """Open a stack. Raises InputError for makers' formats without a reader."""
    name, inside = split_path(source)
    path = Path(name)
    if path.suffix.lower() in UNSUPPORTED:
        what = f"{UNSUPPORTED[path.suffix.lower()]} files are"
        raise unsupported(path, what, "Export it as OME-TIFF, for example with Fiji's Bio-Formats.")
    if inside is not None and options.series is not None:
        raise UsageError(
            f"series={options.series!r}: {source} names an array already.",
            hint="Leave one out.",
        )
    stack = MicroscopyFile(path, inside or options.series or "")
    if inside is not None:
        chosen = named(inside, [series.name for series in stack.series])
        options = replace(options, series=chosen)
    return StackReader(name, options, stack)
