"""Microscopes' own formats in, OME-TIFF out: ND2, CZI, LIF and OME-Zarr (extra `microscopy`)."""

from pathlib import Path

from f2rcli.io.base import Reader, ReadOptions
from f2rcli.io.microscopy.reader import KINDS, MicroscopyFile
from f2rcli.io.microscopy.writer import OmeWriter as open_writer
from f2rcli.io.microscopy.writer import plan_ome as plan_output
from f2rcli.io.tiff.reader import StackReader

__all__ = ["open_writer", "plan_output"]

RANK = 15  # before all others: a Zarr stack is a folder, which others may claim
SUFFIXES = frozenset(KINDS)
AXES = True  # its axes can be named by the user


def claims(source: str) -> bool:
    """By suffix."""
    return Path(source).suffix.lower() in SUFFIXES


def writes(target: str, reader: Reader) -> bool:
    """Whatever comes from these formats."""
    return isinstance(reader, StackReader) and isinstance(reader.stack, MicroscopyFile)


def default_target(source: Path) -> Path:
    """`a_f2r.ome.tif` beside `a.nd2`."""
    return source.with_name(f"{source.name.split('.')[0]}_f2r.ome.tif")


def open_reader(source: str, options: ReadOptions) -> Reader:
    """Open a stack."""
    return StackReader(source, options, MicroscopyFile(Path(source)))
