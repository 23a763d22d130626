"""Camera raw: single files, bursts and CinemaDNG folders."""

from pathlib import Path

from f2rcli.io.files import default_folder
from f2rcli.io.raw.reader import RawReader as open_reader
from f2rcli.io.raw.reader import claims_raw as claims
from f2rcli.io.raw.writer import RawWriter as open_writer
from f2rcli.io.raw.writer import plan_raw as plan_output

__all__ = ["claims", "open_reader", "open_writer", "plan_output"]


def default_target(source: Path) -> Path:
    """`burst_f2r` beside `burst`, `a_f2r.dng` beside `a.cr2`."""
    return default_folder(source) or source.with_name(f"{source.stem}_f2r.dng")
