"""Camera raw: single files, bursts and CinemaDNG folders."""

from pathlib import Path

from f2rcli.io.files import default_folder
from f2rcli.io.raw.bursts import RawReader as open_reader
from f2rcli.io.raw.bursts import RawWriter as open_writer
from f2rcli.io.raw.bursts import plan_raw as plan_output

__all__ = ["open_reader", "open_writer", "plan_output"]


def default_target(source: Path) -> Path:
    """`burst_f2r` beside `burst`, `a_f2r.dng` beside `a.cr2`."""
    return default_folder(source) or source.with_name(f"{source.stem}_f2r.dng")
