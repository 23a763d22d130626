"""Microscopes' own formats in, OME-TIFF out: ND2, CZI, LIF and OME-Zarr (extra `microscopy`)."""

from pathlib import Path

from f2rcli.io.base import Reader, ReadOptions, WriteOptions, WritePlan, Writer
from f2rcli.io.microscopy.reader import KINDS, ForeignStack
from f2rcli.io.microscopy.writer import OmeWriter, plan_ome
from f2rcli.io.tiff.reader import StackReader

RANK = 15  # before all others: a Zarr stack is a folder, which others may claim
SUFFIXES = frozenset(KINDS)
AXES = True  # its axes can be named by the user


def claims(source: str) -> bool:
    """By suffix."""
    return Path(source).suffix.lower() in SUFFIXES


def writes(target: str, reader: Reader) -> bool:
    """Whatever comes from these formats."""
    return isinstance(reader, StackReader) and isinstance(reader.stack, ForeignStack)


def default_target(source: Path) -> Path:
    """`a_f2r.ome.tif` beside `a.nd2`."""
    return source.with_name(f"{source.name.split('.')[0]}_f2r.ome.tif")


def open_reader(source: str, options: ReadOptions) -> Reader:
    """Open a stack."""
    return StackReader(source, options, ForeignStack(Path(source)))


def plan_output(reader: Reader, target: str, options: WriteOptions) -> WritePlan:
    """Plan an OME-TIFF file."""
    return plan_ome(reader, target, options)


def open_writer(reader: Reader, plan: WritePlan) -> Writer:
    """Open what was planned."""
    return OmeWriter(reader, plan)
