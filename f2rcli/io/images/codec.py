"""FFmpeg's still-picture codecs: one file in, one picture out, and back."""

from fractions import Fraction
from pathlib import Path

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext

from f2rcli.errors import InputError
from f2rcli.io.base import MOST_PIXELS
from f2rcli.io.ffmpeg.encoders import LAMBDA
from f2rcli.io.ffmpeg.messages import ffmpeg_reason, quiet_ffmpeg
from f2rcli.io.images.files import PICTURES

_ERRORS = (av.FFmpegError, ValueError, OSError)
WHOLE = "Check that it is a whole picture, as its suffix says."


def decode_picture(path: Path) -> av.VideoFrame:
    """The picture of a file. Raises InputError with the reason it cannot be read.

    Every file gets a decoder of its own: FFmpeg's PNG decoder takes a second file for the next
    frame of an animation and adds it to the first.
    """
    quiet_ffmpeg()
    context = av.CodecContext.create(PICTURES.get(path.suffix.lower(), "png"), "r")
    assert isinstance(context, VideoCodecContext)
    context.thread_count = 1
    context.options = {"max_pixels": str(MOST_PIXELS)}
    try:
        data = path.read_bytes()
        if not data:
            raise InputError(f"{path.name}: is empty (0 bytes).", hint="Copy or record it again.")
        frames = context.decode(Packet(data)) or context.decode(None)
    except _ERRORS as error:
        why = ffmpeg_reason(error)
        raise InputError(
            f"{path.name}: is not a picture that FFmpeg can read ({why}).", hint=WHOLE
        ) from error
    if not frames:
        raise InputError(f"{path.name}: holds no picture that FFmpeg can decode.", hint=WHOLE)
    return frames[0]


class PictureEncoder:
    """Encodes pictures of one size into files of one kind."""

    def __init__(
        self, codec: str, size: tuple[int, int], pix_fmt: str, aspect: Fraction | None
    ) -> None:
        quiet_ffmpeg()
        context = av.CodecContext.create(codec, "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height = size
        context.pix_fmt = pix_fmt
        context.time_base = Fraction(1, 25)  # nothing of it reaches the file
        if aspect is not None:
            context.sample_aspect_ratio = aspect
        context.thread_count = 1  # one file out for each picture in
        if codec == "mjpeg":
            context.color_range = 2
            context.options = {"flags": "+qscale", "global_quality": str(2 * LAMBDA)}
        self._context = context
        self._count = 0

    def encode(self, picture: av.VideoFrame) -> bytes:
        """The bytes of a file."""
        picture.pts = self._count
        self._count += 1
        return b"".join(bytes(packet) for packet in self._context.encode(picture))
