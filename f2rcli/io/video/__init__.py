"""Video files and pipes: everything that FFmpeg demuxes, through PyAV."""

from pathlib import Path

from f2rcli.io.video.plan import plan_video as plan_output
from f2rcli.io.video.reader import VideoReader as open_reader
from f2rcli.io.video.streams import default_suffix
from f2rcli.io.video.writer import VideoWriter as open_writer

__all__ = ["open_reader", "open_writer", "plan_output"]


def claims(source: str) -> bool:
    """Anything may be a video: FFmpeg decides by content."""
    return True


def default_target(source: Path) -> Path:
    """`clip_f2r.mp4` beside `clip.mp4`."""
    return source.with_name(f"{source.stem}_f2r{default_suffix(source)}")
