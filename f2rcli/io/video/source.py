"""Files and pipes opened with FFmpeg, safely (no network, no playlists), and what they state."""

import logging
import os
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from f2rcli.errors import InputError
from f2rcli.io.base import MOST_PIXELS
from f2rcli.io.files import first_bytes
from f2rcli.io.video.header import HeaderFacts
from f2rcli.io.video.pixels import PictureFacts

PIPE = "-"
# Of tags in another coding than UTF-8; from 19 on PyAV is so by itself.
TOLERANT: dict[str, Any] = (
    {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
)
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


def quiet_ffmpeg() -> None:
    """Let FFmpeg's messages reach errors and the log, not the terminal."""
    if av.logging.get_level() is None:
        av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)  # damage may be reported twice in the same words
    logger = logging.getLogger("libav")
    if not any(isinstance(handler, logging.NullHandler) for handler in logger.handlers):
        logger.addHandler(logging.NullHandler())  # else Python prints them to standard error
        logger.propagate = bool(logging.getLogger().handlers)


def ffmpeg_reason(error: BaseException) -> str:
    """The shortest true statement of why FFmpeg failed."""
    log = getattr(error, "log", None)  # (level, component, message)
    if log and str(log[2]).strip():
        return str(log[2]).strip().rstrip(".")
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).split("; last error log")[0].strip()


class StandardInput:
    """Standard input as a file that FFmpeg reads; counts what came."""

    def __init__(self) -> None:
        self.size = 0  # bytes read

    def read(self, length: int) -> bytes:
        """Up to `length` bytes; none at the end."""
        data = os.read(0, length)
        self.size += len(data)
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
        _check_file(source)
    options = {"protocol_whitelist": protocols, "format_whitelist": ",".join(_DEMUXERS)}
    try:
        opened: InputContainer = av.open(
            file, "r", options=options, buffer_size=_BUFFER, **TOLERANT
        )
        return opened
    except (av.FFmpegError, OSError, ValueError, IndexError, MemoryError) as error:
        raise _open_error(source, name, error) from error


def _check_file(source: str | Path) -> None:
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", str(source)):
        raise InputError(
            f"{source}: network addresses are not supported.", hint="Download the file first."
        )
    path = Path(source)
    if path.is_dir():
        raise InputError(
            f"{display_name(source)}: is a folder without pictures that f2r can read.",
            hint="Name the files themselves.",
        )
    if path.is_file() or not path.exists():  # a named pipe would lose what is read of it
        first_bytes(path)


def _open_error(source: str | Path | StandardInput, name: str, error: BaseException) -> InputError:
    reason, piped = ffmpeg_reason(error), isinstance(source, StandardInput)
    what, hint = f"is not a video that FFmpeg can read ({reason})", COMPLETE
    if isinstance(source, StandardInput) and not source.size:
        what, hint = "is empty", "The program before the pipe wrote nothing."
    elif "moov atom not found" in reason:
        what = "truncated or damaged, its index (moov) is missing"
        cut = "The recording was cut off before its index was written, or it is not an MP4."
        hint = LATE_INDEX if piped else cut
    elif "whitelist" in reason:  # of playlists, too, which may point to the network
        what = "is not a video"
        hint = (
            "Pass mp4, mov, mkv, webm, avi, ts, y4m, ..., not a playlist; pictures, stacks and "
            "camera raw need their own suffixes, such as .png, .tif and .dng."
        )
    return InputError(f"{name}: {what}.", hint=hint)


def choose_video(container: InputContainer, name: str) -> av.VideoStream:
    """The first decodable video stream that is no cover art. Raises InputError for none."""
    videos = [s for s in container.streams.video if not is_cover(s)]
    if not videos:
        kinds = {"cover art" if is_cover(stream) else stream.type for stream in container.streams}
        named = [kind for kind in ("audio", "subtitle", "data", "cover art") if kind in kinds]
        only = f", only {' and '.join(named)}" if named else ""
        raise InputError(f"{name}: no video stream{only}.", hint="Pass a video file.")
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


@dataclass(slots=True)
class SidePackets:
    """The queue between a video reader and a video writer, and the excerpt they agree on.

    Until iterating begins every packet is queued; from then on only for a writer that has set
    `wanted`, and takes packets out as it goes.
    """

    queue: "deque[Packet[Stream]]" = field(default_factory=deque)
    wanted: bool | None = None  # None: not yet known
    start: Fraction | None = None  # seconds, container time, of an excerpt's first frame
    end: Fraction | None = None  # seconds, container time; None: read to the end
    shift: Fraction = Fraction(0)  # seconds by which an excerpt moves, to begin as its source did

    def add(self, packet: "Packet[Stream]") -> None:
        """Queue a packet, or drop it where no writer wants it."""
        if self.wanted is not False:
            self.queue.append(packet)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceMetadata:
    """Facts of a source beyond its frames, for a writer to keep."""

    container: str = ""  # FFmpeg's name of the demuxer; "" for none
    family: str = ""  # h264, hevc, av1, vp9, prores, ffv1, ...
    profile: str = ""
    pix_fmt: str = ""
    pixel_aspect: Fraction | None = None
    facts: PictureFacts
    header: HeaderFacts = field(default_factory=HeaderFacts)
    single_fields: bool = False  # each picture is one field of an interlaced frame
    container_tags: Mapping[str, str] = field(default_factory=dict)
    chapters: tuple[Mapping[str, Any], ...] = ()
    stream: av.VideoStream | None = field(default=None, repr=False)  # the denoised one
    others: tuple[Stream, ...] = field(default=(), repr=False)  # all others


def is_cover(stream: Stream) -> bool:
    """Whether a video stream is a single attached picture."""
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def family_of(stream: Stream) -> str:
    """FFmpeg's name of a stream's codec, whichever decoder reads it."""
    context = stream.codec_context
    if context is None:
        return getattr(stream, "name", None) or "unknown"
    return context.codec.canonical_name or context.name


def stream_facts(stream: Stream) -> dict[str, Any]:
    """One stream as a dict of plain values, for `f2r info`."""
    facts: dict[str, Any] = {
        "index": stream.index,
        "kind": "cover art" if is_cover(stream) else stream.type,
        "codec": family_of(stream),
        "language": stream.language,
        "title": title_of(stream.metadata),
        "disposition": [flag.name for flag in Disposition if flag & stream.disposition],
        "start": _seconds(stream, stream.start_time),
        "duration": _seconds(stream, stream.duration),
    }
    context = stream.codec_context
    if stream.type == "audio" and context is not None:
        facts["sample_rate"] = getattr(context, "sample_rate", None)
        facts["channels"] = getattr(context, "channels", None)
    return {key: value for key, value in facts.items() if value not in (None, [], "")}


def stream_line(stream: Stream) -> str:
    """One stream in words: `audio #1 aac eng "Commentary"`."""
    kind = "cover art" if is_cover(stream) else stream.type
    words = [f"{kind} #{stream.index}", family_of(stream)]
    if stream.language and stream.language != "und":
        words.append(stream.language)
    if title := title_of(stream.metadata):
        words.append(f'"{title}"')
    return " ".join(word for word in words if word != "unknown")


def title_of(tags: Mapping[str, str]) -> str:
    """A stream's title; mp4 and mov keep it as its name, and FFmpeg reads it back as that."""
    title = tags.get("title") or tags.get("name", "")
    return title.encode(errors="surrogateescape").decode(errors="replace")


def _seconds(stream: Stream, ticks: int | None) -> float | None:
    if ticks is None or stream.time_base is None:
        return None
    return float(ticks * stream.time_base)
