"""Camera raw: single files, bursts, CinemaDNG folders, and mosaics in TIFF files."""

from pathlib import Path

from f2rcli.frames import Space
from f2rcli.io.base import Reader, ReadOptions, WriteOptions, WritePlan, Writer
from f2rcli.io.raw.burst import claims_raw
from f2rcli.io.raw.exposure import RAW_SUFFIXES
from f2rcli.io.raw.plan import plan_raw
from f2rcli.io.raw.reader import RawReader
from f2rcli.io.raw.tiff_mosaic import TIFF_SUFFIXES
from f2rcli.io.raw.writer import RawWriter

RANK = 20  # before TIFF stacks and pictures: a folder of raw files may hold previews too
SUFFIXES = RAW_SUFFIXES


def claims(source: str) -> bool:
    """Raw files by suffix, folders and patterns of them, TIFF files that say they are mosaics."""
    return claims_raw(source)


def writes(target: str, reader: Reader) -> bool:
    """Whatever becomes of camera raw; and DNG, to say that nothing else can become one."""
    return reader.info.space is Space.BAYER or Path(target).suffix.lower() == ".dng"


def default_target(source: Path) -> Path:
    """`burst_f2r` beside `burst`, `a_f2r.dng` beside `a.cr2`, `a_f2r.tif` beside `a.tif`."""
    if source.is_dir():
        return source.with_name(f"{source.name}_f2r")
    if not source.exists():  # a pattern
        folder = source.parent.resolve()
        return folder.with_name(f"{folder.name}_f2r")
    suffix = source.suffix if source.suffix.lower() in TIFF_SUFFIXES else ".dng"
    return source.with_name(f"{source.stem}_f2r{suffix}")


def open_reader(source: str, options: ReadOptions) -> Reader:
    """Open a burst."""
    return RawReader(source, options)


def plan_output(reader: Reader, target: str, options: WriteOptions) -> WritePlan:
    """Plan DNG or TIFF files."""
    return plan_raw(reader, target, options)


def open_writer(reader: Reader, plan: WritePlan) -> Writer:
    """Open what was planned."""
    if not isinstance(reader, RawReader):
        raise TypeError("the plan was made for another reader")
    return RawWriter(reader, plan)
