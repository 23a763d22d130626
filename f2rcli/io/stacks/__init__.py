"""Stacks of microscopes: TIFF, ND2, CZI, LIF, HDF5, NWB and OME-Zarr in; TIFF and OME-Zarr out."""

from pathlib import Path

from f2rcli.io.base import Reader, ReadOptions
from f2rcli.io.files import default_folder
from f2rcli.io.formats import MAKERS_TIFF, STACKS, UNREAD_STACKS
from f2rcli.io.stacks.foreign import unsupported
from f2rcli.io.stacks.library import format_of
from f2rcli.io.stacks.metadata import Facts, Metadata, colour_of
from f2rcli.io.stacks.reader import StackReader
from f2rcli.io.stacks.stack import (
    LETTER_OF,
    UNNAMED,
    Series,
    Stack,
    check_samples,
    lane_words,
    sequence_note,
    sequence_of,
)
from f2rcli.io.stacks.tiff import holds_pages, open_stack, set_in
from f2rcli.io.stacks.write import StackWriter as open_writer
from f2rcli.io.stacks.write import plan_stack as plan_output

__all__ = ["LETTER_OF", "UNNAMED", "Facts", "Metadata", "Series", "Stack", "check_samples",
           "colour_of", "lane_words", "open_reader", "open_stack", "open_writer", "plan_output",
           "reads", "sequence_note", "sequence_of"]  # fmt: skip


def claims(source: str) -> bool:
    """Whether a path is a stack: by suffix, folders and patterns by their files."""
    return Path(source).suffix.lower() in UNREAD_STACKS or reads(source)


def reads(source: str) -> bool:
    """Whether a path is a stack of a kind that f2r reads."""
    path = Path(source)
    if format_of(path) is not None:
        return True
    if path.is_dir():
        return holds_pages(path) or set_in(path) is not None
    return path.suffix.lower() in STACKS


def default_target(source: Path) -> Path:
    """`a_f2r.tif` beside `a.tif`, `a_f2r.ome.tif` beside `a.ome.tif` and makers' formats, `run_f2r`
    beside a folder of pages."""
    made = format_of(source) is not None or source.suffix.lower() in MAKERS_TIFF
    if made or (source.is_dir() and set_in(source) is not None):
        return source.with_name(f"{source.name.split('.')[0]}_f2r.ome.tif")
    ome = 4 * source.stem.lower().endswith(".ome")
    stem, suffix = source.stem[: len(source.stem) - ome], source.name[len(source.stem) - ome :]
    return default_folder(source) or source.with_name(f"{stem}_f2r{suffix}")


def open_reader(source: str, options: ReadOptions) -> Reader:
    """Open a stack. Raises InputError for makers' formats without a reader."""
    path = Path(source)
    if path.suffix.lower() in UNREAD_STACKS:
        what = f"{UNREAD_STACKS[path.suffix.lower()]} files are"
        raise unsupported(path, what, "Export it as OME-TIFF, for example with Fiji's Bio-Formats.")
    return StackReader(source, options, open_stack(source))
