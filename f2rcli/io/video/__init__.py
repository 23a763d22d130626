"""Video files and pipes: everything that FFmpeg demuxes, through PyAV."""

from pathlib import Path

from f2rcli.io.base import Reader
from f2rcli.io.video.containers import CONTAINERS, default_suffix
from f2rcli.io.video.plan import plan_video as plan_output
from f2rcli.io.video.reader import VideoReader as open_reader
from f2rcli.io.video.writer import VideoWriter as open_writer

__all__ = ["open_reader", "open_writer", "plan_output"]

# What FFmpeg demuxes and f2r does not write: only folders are searched by suffix.
_READ_ONLY = (
    ".mpg", ".mpeg", ".m2v", ".vob", ".wmv", ".asf", ".flv", ".f4v", ".3gp", ".3g2", ".ogv", ".mxf",
    ".dv", ".gif", ".h264", ".264", ".avc", ".hevc", ".h265", ".265", ".obu", ".ivf", ".m2t",
)  # fmt: skip
SUFFIXES = frozenset(suffix for container in CONTAINERS for suffix in container.suffixes).union(
    _READ_ONLY
)


def claims(source: str) -> bool:
    """Anything may be a video: FFmpeg decides by content."""
    return True


def writes(target: str, reader: Reader) -> bool:
    """Every target that no other format takes; unknown suffixes become a clear error."""
    return True


def default_target(source: Path) -> Path:
    """`clip_f2r.mp4` beside `clip.mp4`."""
    return source.with_name(f"{source.stem}_f2r{default_suffix(source)}")
