"""Files and pipes opened with FFmpeg, safely: no network, no playlists, clear errors."""

import os
import re
from pathlib import Path

import av
from av.container import InputContainer

from f2rcli.errors import InputError
from f2rcli.io.base import MOST_PIXELS
from f2rcli.io.ffmpeg.messages import ffmpeg_reason, quiet_ffmpeg
from f2rcli.io.ffmpeg.metadata import is_cover

PIPE = "-"
_BUFFER = 1 << 16  # bytes read at a time through a pipe

COMPLETE = "Check that the file is complete and plays elsewhere."
LATE_INDEX = "An MP4 in a pipe needs its index first: ffmpeg -c copy -movflags +faststart."

# Demuxers that read one local file and nothing else. Left out on purpose: playlists (hls, dash,
# concat), capture devices, and everything that opens further files or sockets.
_DEMUXERS = (
    "mov", "matroska", "avi", "mpegts", "mpeg", "mpegvideo", "m4v", "yuv4mpegpipe", "nut", "flv",
    "asf", "ogg", "mxf", "dv", "gxf", "rm", "wtv", "h264", "hevc", "vvc", "obu", "av1", "ivf",
    "h261", "h263", "vc1", "dirac", "cavsvideo", "mjpeg", "dnxhd", "gif", "apng", "webp", "lxf",
    "ivr", "nuv", "r3d", "cine", "smjpeg", "amv", "roq", "bink", "smk", "flic", "avs", "avif",
    "aac", "mp3", "flac", "wav", "ac3", "eac3", "aiff", "caf", "srt", "ass", "webvtt",
)  # fmt: skip


class StandardInput:
    """Standard input as a file that FFmpeg reads; counts what came."""

    HEAD = 1024  # bytes that are remembered

    def __init__(self) -> None:
        self.size = 0  # bytes read
        self.head = b""

    def read(self, length: int) -> bytes:
        """Up to `length` bytes; none at the end."""
        data = os.read(0, length)
        self.size += len(data)
        if len(self.head) < self.HEAD:
            self.head += data[: self.HEAD - len(self.head)]
        return data


def display_name(source: str | Path) -> str:
    """The name of a source for messages."""
    return "standard input" if str(source) == PIPE else Path(source).name or str(source)


def open_source(source: str | Path | StandardInput) -> InputContainer:
    """Open a local file or standard input for demuxing. Raises InputError with the reason: missing,
    empty, a playlist, a network address, not media."""
    quiet_ffmpeg()
    file: StandardInput | str
    if isinstance(source, StandardInput):
        name, file, protocols = display_name(PIPE), source, ""
    else:
        name, file, protocols = display_name(source), f"file:{Path(source)}", "file"
        _check_file(source, name)
    options = {"protocol_whitelist": protocols, "format_whitelist": ",".join(_DEMUXERS)}
    try:
        return av.open(file, "r", options=options, metadata_errors="replace", buffer_size=_BUFFER)
    except (av.FFmpegError, OSError, ValueError, IndexError, MemoryError) as error:
        raise _open_error(source, name, error) from error


def _check_file(source: str | Path, name: str) -> None:
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", str(source)):
        raise InputError(
            f"{source}: network addresses are not supported.", hint="Download the file first."
        )
    path = Path(source)
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(
            f"{name}: {error.strerror or 'cannot be read'}.", hint="Check the name and the folder."
        ) from error
    if path.is_dir():
        raise InputError(
            f"{name}: is a folder without pictures that f2r can read.",
            hint="Name the files themselves.",
        )
    if path.is_file() and size == 0:
        raise InputError(f"{name}: is empty (0 bytes).", hint="Copy or record it again.")
    if not path.is_file():
        return  # a named pipe: what is read here would be missing later
    try:
        with path.open("rb") as handle:
            head = handle.read(256)
    except OSError as error:
        raise InputError(f"{name}: {error.strerror}.", hint="Check its permissions.") from error
    _refuse_playlist(head, name)


def _refuse_playlist(head: bytes, name: str) -> None:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    playlist = text.startswith((b"#EXTM3U", b"ffconcat", b"[playlist]", b"[Reference]"))
    if playlist or b"<MPD" in text or text.startswith((b"v=0\n", b"v=0\r")):
        raise InputError(
            f"{name}: is a playlist, which may point to other files and to the network.",
            hint="Pass the media file itself.",
        )


def _open_error(source: str | Path | StandardInput, name: str, error: BaseException) -> InputError:
    if isinstance(error, PermissionError):
        return InputError(f"{name}: no permission to read it.", hint="Check its permissions.")
    if isinstance(source, StandardInput) and not source.size:
        return InputError(f"{name}: is empty.", hint="The program before the pipe wrote nothing.")
    reason = ffmpeg_reason(error)
    if "moov atom not found" in reason:
        hint = (
            LATE_INDEX
            if isinstance(source, StandardInput)
            else "The recording was cut off before its index was written, or it is not an MP4."
        )
        return InputError(f"{name}: truncated or damaged, its index (moov) is missing.", hint=hint)
    if "whitelist" in reason:
        return InputError(
            f"{name}: is not a video.",
            hint="Pass mp4, mov, mkv, webm, avi, ts, y4m, ...; pictures, stacks and camera raw "
            "need their own suffixes, such as .png, .tif and .dng.",
        )
    return InputError(
        f"{name}: is not a video that FFmpeg can read ({reason}).",
        hint=COMPLETE,
    )


def choose_video(container: InputContainer, name: str) -> av.VideoStream:
    """The first decodable video stream that is no cover art. Raises InputError for none."""
    videos = [s for s in container.streams.video if not is_cover(s)]
    if not videos:
        raise InputError(f"{name}: no video stream{_only(container)}.", hint="Pass a video file.")
    readable = [stream for stream in videos if stream.codec_context is not None]
    if not readable:
        raise InputError(
            f"{name}: FFmpeg has no decoder for its video stream.",
            hint="Convert it with the program that made it.",
        )
    if str(readable[0].codec_context.codec_tag) in ("encv", "drmi"):
        raise encrypted_error(name)
    readable[0].codec_context.options = {"max_pixels": str(MOST_PIXELS)}
    return readable[0]


def encrypted_error(name: str) -> InputError:
    """The error for a protected stream."""
    return InputError(
        f"{name}: the video is encrypted (DRM); f2r has no key.", hint="Use an unprotected copy."
    )


def _only(container: InputContainer) -> str:
    kinds = {"attachment" if is_cover(s) else s.type for s in container.streams}
    named: list[str] = [kind for kind in ("audio", "subtitle", "data") if kind in kinds]
    if "attachment" in kinds:
        named.append("cover art")
    return ", only " + " and ".join(named) if named else ""
