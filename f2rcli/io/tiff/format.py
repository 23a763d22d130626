"""TIFF stacks: multi-page, BigTIFF, OME, ImageJ; a file, or a folder or pattern of pages."""

from pathlib import Path

from f2rcli.io.base import Reader, ReadOptions, WriteOptions, WritePlan, Writer
from f2rcli.io.images.files import is_pattern
from f2rcli.io.tiff.folder import SUFFIXES as _SUFFIXES
from f2rcli.io.tiff.folder import holds_pages
from f2rcli.io.tiff.plan import plan_stack
from f2rcli.io.tiff.reader import StackReader
from f2rcli.io.tiff.writer import StackWriter

RANK = 45  # before pictures: a folder of TIFF pages is a stack; after camera raw in TIFF's clothes
SUFFIXES = frozenset(_SUFFIXES)
AXES = True  # its axes can be named by the user


def claims(source: str) -> bool:
    """TIFF files by suffix, patterns of them, and folders that hold several."""
    path = Path(source)
    if path.is_dir():
        return holds_pages(path)
    return path.suffix.lower() in SUFFIXES


def writes(target: str, reader: Reader) -> bool:
    """Whatever comes from a stack, and what is to be a TIFF file."""
    return isinstance(reader, StackReader) or Path(target).suffix.lower() in SUFFIXES


def default_target(source: Path) -> Path:
    """`stack_f2r.tif` beside `stack.tif`, `a_f2r.ome.tif` beside `a.ome.tif`, `run_f2r` for a
    folder."""
    if source.is_dir():
        return source.with_name(f"{source.name}_f2r")
    if is_pattern(str(source)) and not source.exists():
        folder = source.parent.resolve()
        return folder.with_name(f"{folder.name}_f2r")
    stem, suffix = source.stem, source.suffix
    if stem.lower().endswith(".ome"):
        stem, suffix = stem[:-4], stem[-4:] + suffix
    return source.with_name(f"{stem}_f2r{suffix}")


def open_reader(source: str, options: ReadOptions) -> Reader:
    """Open a stack."""
    return StackReader(source, options)


def plan_output(reader: Reader, target: str, options: WriteOptions) -> WritePlan:
    """Plan a stack like the one that is read."""
    return plan_stack(reader, target, options)


def open_writer(reader: Reader, plan: WritePlan) -> Writer:
    """Open what was planned."""
    return StackWriter(reader, plan)
