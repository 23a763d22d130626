"""Video files and pipes: everything that FFmpeg demuxes, through PyAV."""

from f2rcli.io.video.encoders import holder
from f2rcli.io.video.reader import VideoReader as open_reader
from f2rcli.io.video.streams import default_target
from f2rcli.io.video.writer import VideoWriter as open_writer
from f2rcli.io.video.writer import plan_video as plan_output

__all__ = ["default_target", "holder", "open_reader", "open_writer", "plan_output"]
