"""TIFF stacks: multi-page, BigTIFF, OME, ImageJ; a file, or a folder or pattern of pages."""

from pathlib import Path

from f2rcli.io.base import Reader
from f2rcli.io.targets import default_folder
from f2rcli.io.tiff.folder import STACK_SUFFIXES as SUFFIXES
from f2rcli.io.tiff.folder import holds_pages, set_in
from f2rcli.io.tiff.plan import plan_stack as plan_output
from f2rcli.io.tiff.reader import StackReader as open_reader
from f2rcli.io.tiff.writer import StackWriter as open_writer

__all__ = ["SUFFIXES", "open_reader", "open_writer", "plan_output"]

RANK = 45  # before pictures: a folder of TIFF pages is a stack; after camera raw in TIFF's clothes
AXES = True  # its axes and series can be named by the user


def claims(source: str) -> bool:
    """TIFF files by suffix, patterns of them, and folders that hold several."""
    path = Path(source)
    if path.is_dir():
        return holds_pages(path) or set_in(path) is not None
    return path.suffix.lower() in SUFFIXES


def writes(target: str, reader: Reader) -> bool:
    """Whatever comes from a stack, and what is to be a TIFF file."""
    return isinstance(reader, open_reader) or Path(target).suffix.lower() in SUFFIXES


def default_target(source: Path) -> Path:
    """`stack_f2r.tif` beside `stack.tif`, `a_f2r.ome.tif` beside `a.ome.tif`, else `run_f2r`."""
    ome = 4 * source.stem.lower().endswith(".ome")
    stem, suffix = source.stem[: len(source.stem) - ome], source.name[len(source.stem) - ome :]
    return default_folder(source) or source.with_name(f"{stem}_f2r{suffix}")
