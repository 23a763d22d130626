"""Stacks of microscopes: TIFF, ND2, CZI, LIF, HDF5, NWB and OME-Zarr in; TIFF and OME-Zarr out."""

from pathlib import Path

from f2rcli.io.files import default_folder
from f2rcli.io.formats import MAKERS_TIFF
from f2rcli.io.stacks.library import format_of
from f2rcli.io.stacks.reader import StackReader as open_reader
from f2rcli.io.stacks.tiff import holds_pages, set_in
from f2rcli.io.stacks.write import StackWriter as open_writer
from f2rcli.io.stacks.write import plan_stack as plan_output

__all__ = ["default_target", "holds", "open_reader", "open_writer", "plan_output"]


def holds(folder: Path) -> bool:
    """Whether a folder is a stack: a Zarr, a set that names its files, or pages."""
    return format_of(folder) is not None or holds_pages(folder) or set_in(folder) is not None


def default_target(source: Path) -> Path:
    """`a_f2r.tif` beside `a.tif`, `a_f2r.ome.tif` beside makers' formats, `run_f2r` by `run`."""
    made = format_of(source) is not None or source.suffix.lower() in MAKERS_TIFF
    if made or (source.is_dir() and set_in(source) is not None):
        return source.with_name(f"{source.name.split('.')[0]}_f2r.ome.tif")
    ome = 4 * source.stem.lower().endswith(".ome")
    stem, suffix = source.stem[: len(source.stem) - ome], source.name[len(source.stem) - ome :]
    return default_folder(source) or source.with_name(f"{stem}_f2r{suffix}")
