"""Files and pipes opened with FFmpeg, safely (no network, no playlists), and what they state."""

import logging
import os
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.container import InputContainer
from av.stream import Disposition, Stream

from f2rcli.errors import InputError
from f2rcli.io.base import MOST_PIXELS, Reader
from f2rcli.io.video.pixels import ColourTags, PictureFacts

PADDING = " " * 16  # DisplayWidth and DisplayHeight take up to 12 bytes, a Void at least 2

_SEGMENT, _TRACKS, _TRACK, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0xE0
_NAME, _CLUSTER, _CRC, _VOID = 0x536E, 0x1F43B675, 0xBF, 0xEC
_DISPLAY = _WIDTH, _HEIGHT, _UNIT = 0x54B0, 0x54BA, 0x54B2
_CROP = 0x54BB, 0x54AA, 0x54CC, 0x54DD  # top, bottom, left, right
_CHAPTERS, _EDITION, _ATOM, _HIDDEN, _TITLE = 0x1043A770, 0x45B9, 0xB6, 0x98, 0x80
_LANGUAGE, _BCP47 = 0x437C, 0x22B59D
_HEAD = 1 << 20  # bytes; tracks are described within the first of them
_MOST = 1 << 24  # bytes of a movie header that are looked at
# Boxes of `udta` that FFmpeg reads as tags or chapters, or that say how a player's window stood.
_ORDINARY = {
    "meta", "name", "chpl", "loci", "titl", "auth", "gnre", "cprt", "albm", "yrrc", "perf", "dscp",
    "hnti", "hinf", "WLOC", "LOOP", "SelO", "AllF", "ptv ",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class HeaderFacts:
    """Facts of a video track and its file that the header states and FFmpeg does not hand on."""

    display: tuple[int, int] | None = None  # width and height to show it at, or in proportion
    crop: tuple[int, int] = (0, 0)  # columns and rows that are not shown
    odd_chapters: bool = False  # nested, hidden, or with languages: FFmpeg reads flat lists
    long_languages: tuple[str, ...] = ()  # of tracks, by BCP 47: pt-BR; FFmpeg reads three letters
    device_boxes: tuple[str, ...] = ()  # the names of what a camera wrote for itself

    @property
    def cropped(self) -> bool:
        """Whether parts of the pictures are not shown."""
        return any(self.crop)

    def pixel_aspect(self, width: int, height: int) -> Fraction | None:
        """The shape of a pixel of a picture of that size; None where the header does not say."""
        shown = width - self.crop[0], height - self.crop[1]
        if self.display is None or not all(self.display) or min(shown) <= 0:
            return None
        return Fraction(*self.display) * Fraction(shown[1], shown[0])


@dataclass(frozen=True, slots=True)
class _Element:
    ident: int
    start: int  # of the element
    body: int  # of its content
    end: int


def matroska_facts(path: Path, track: int) -> HeaderFacts:
    """The facts of track `track` (from 0) of a Matroska file, as far as its header can be read."""
    try:
        with path.open("rb") as handle:
            head = handle.read(_HEAD)
        _, entries = _tracks(head)
        video = _child(head, entries[track].body, entries[track].end, _VIDEO)
        numbers = {
            e.ident: int.from_bytes(head[e.body : e.end], "big")
            for e in _elements(head, video.body, video.end)
        }
        odd = _odd_chapters(head)
        spoken = [head[e.body : e.end] for entry in entries for e in _all(head, entry, _BCP47)]
    except (OSError, ValueError, IndexError):
        return HeaderFacts()
    top, bottom, left, right = (numbers.get(ident, 0) for ident in _CROP)
    stated = _WIDTH in numbers and _HEIGHT in numbers
    return HeaderFacts(
        display=(numbers[_WIDTH], numbers[_HEIGHT]) if stated else None,
        crop=(left + right, top + bottom),
        odd_chapters=odd,
        long_languages=tuple(str(name, "latin-1") for name in spoken if b"-" in name),
    )


def movie_facts(path: Path, width: int, height: int) -> HeaderFacts:
    """The facts of an MP4 or MOV file with pictures of that size."""
    try:
        with path.open("rb") as file:
            moov = _movie_header(file)
        place = moov.find(b"clap") + 4  # the clean aperture's width and height, as fractions
        crop = 0, 0
        if place > 4:
            wide, high = (Fraction(*struct.unpack_from(">2I", moov, place + at)) for at in (0, 8))
            crop = round(width - wide), round(height - high)
        own = [
            str(inner, "latin-1").strip()
            for kind, body in _boxes(moov)
            if kind == b"udta"
            for inner, _ in _boxes(body)
        ]
    except (OSError, struct.error, ZeroDivisionError):
        return HeaderFacts()
    boxes = (name for name in own if name.isalnum() and name.isascii() and name not in _ORDINARY)
    return HeaderFacts(crop=crop, device_boxes=tuple(dict.fromkeys(boxes)))


def _movie_header(file: BinaryIO) -> bytes:
    while head := file.read(8):
        length, kind = struct.unpack(">I4s", head)
        if length == 1:
            length = struct.unpack(">Q", file.read(8))[0] - 8
        if kind == b"moov":
            return file.read(min(max(length - 8, 0), _MOST))
        if length < 8:
            break
        file.seek(length - 8, 1)
    return b""


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The boxes in a box: their names and contents."""
    place = 0
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        if length < 8:
            return
        yield kind, data[place + 8 : place + length]
        place += length


def _odd_chapters(head: bytes) -> bool:
    segment = _child(head, 0, len(head), _SEGMENT)
    for chapters in _all(head, segment, _CHAPTERS):
        editions = list(_all(head, chapters, _EDITION))
        atoms = [atom for edition in editions for atom in _all(head, edition, _ATOM)]
        for atom in atoms:
            titles = list(_all(head, atom, _TITLE))
            tongues = {
                head[e.body : e.end] for title in titles for e in _all(head, title, _LANGUAGE)
            }
            hidden = any(head[e.end - 1] for e in _all(head, atom, _HIDDEN))
            nested = any(_all(head, atom, _ATOM))
            if nested or hidden or len(titles) > 1 or tongues - {b"und", b"eng"}:
                return True
        if len(editions) > 1:
            return True
    return False


def display_size(size: tuple[int, int], aspect: Fraction) -> tuple[int, int]:
    """Width and height in proportion to the shape shown, exact where that is possible."""
    shape = Fraction(*size) * aspect
    if max(shape.as_integer_ratio()) >= 1 << 16:
        return round(size[1] * shape), size[1]
    scale = max(1, size[1] // shape.denominator)
    return shape.numerator * scale, shape.denominator * scale


def write_display_size(path: Path, track: int, display: tuple[int, int]) -> None:
    """Give track `track` (from 0) a display size. Raises ValueError for a layout other than
    FFmpeg's."""
    with path.open("r+b") as handle:
        head = handle.read(_HEAD)
        tracks, entries = _tracks(head)
        entry = entries[track]
        body = _with_display_size(head[entry.body : entry.end], display)
        changed = head[: entry.body] + body + head[entry.end :]
        first = next(_elements(changed, tracks.body, tracks.end))
        if first.ident == _CRC:
            value = zlib.crc32(changed[first.end : tracks.end]).to_bytes(4, "little")
            changed = changed[: first.body] + value + changed[first.end :]
        handle.seek(tracks.start)
        handle.write(changed[tracks.start : tracks.end])


def _with_display_size(track: bytes, shown: tuple[int, int]) -> bytes:
    """A track's content with the size in its video part, and as long as it was."""
    parts = []
    for element in _elements(track, 0, len(track)):
        raw, content = track[element.start : element.end], track[element.body : element.end]
        if element.ident == _NAME and content.endswith(PADDING.encode()):
            name = content[: -len(PADDING)]
            raw = _element(_NAME, name) if name else b""
        if element.ident == _VIDEO:
            within = [e for e in _elements(content, 0, len(content)) if e.ident not in _DISPLAY]
            inner = [content[e.start : e.end] for e in within]
            inner += [_element(i, _uint(v)) for i, v in zip(_DISPLAY, shown, strict=False)]
            raw = _element(_VIDEO, b"".join(inner))
        parts.append(raw)
    whole = b"".join(parts)
    spare = len(track) - len(whole)
    if spare < 0 or spare == 1:
        raise ValueError("no room for it in the track's header")
    return whole + (_element(_VOID, bytes(spare - 2)) if spare else b"")


def _tracks(head: bytes) -> tuple[_Element, list[_Element]]:
    segment = _child(head, 0, len(head), _SEGMENT)
    tracks = _child(head, segment.body, min(segment.end, len(head)), _TRACKS)
    return tracks, list(_all(head, tracks, _TRACK))


def _child(data: bytes, start: int, end: int, ident: int) -> _Element:
    for element in _elements(data, start, end):
        if element.ident == ident:
            return element
    raise ValueError(f"no element {ident:#x} in the header")


def _all(data: bytes, parent: _Element, ident: int) -> Iterator[_Element]:
    inside = _elements(data, parent.body, min(parent.end, len(data)))
    return (element for element in inside if element.ident == ident)


def _elements(data: bytes, start: int, end: int) -> Iterator[_Element]:
    """The elements one after the other; pictures, and what follows them, are left out."""
    place = start
    while place < end:
        ident, body = _number(data, place, keep_marker=True)
        if ident == _CLUSTER:
            return
        size, body = _number(data, body, keep_marker=False)
        yield _Element(ident, place, body, body + size)
        place = body + size


def _number(data: bytes, place: int, *, keep_marker: bool) -> tuple[int, int]:
    """A number of EBML's variable length, and the place behind it."""
    length = 9 - data[place].bit_length()
    if length > 8:
        raise ValueError("not EBML")
    value = int.from_bytes(data[place : place + length], "big")
    return value if keep_marker else value & ((1 << 7 * length) - 1), place + length


def _element(ident: int, content: bytes) -> bytes:
    size = len(content)
    length = next(n for n in range(1, 9) if size < (1 << 7 * n) - 1)
    coded = (size | 1 << 7 * length).to_bytes(length, "big")
    return ident.to_bytes((ident.bit_length() + 7) // 8, "big") + coded + content


def _uint(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


# --- Opening, and streams -------------------------------------------------------------------------


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
        opened: InputContainer = av.open(
            file, "r", options=options, buffer_size=_BUFFER, **TOLERANT
        )
        return opened
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


_PLAIN = Disposition(0)

# Decoder names that differ from the family's.
_FAMILIES = {
    "libdav1d": "av1", "libvpx-vp9": "vp9", "libvpx": "vp8", "mpeg2video": "mpeg2",
    "mpeg1video": "mpeg1", "dvvideo": "dv", "prores_raw": "prores", "jpegls": "jpeg-ls",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceMetadata:
    """Facts of a source beyond its frames, for a writer to keep."""

    container: str = ""  # FFmpeg's name of the demuxer; "" for none
    family: str = ""  # h264, hevc, av1, vp9, prores, ffv1, ...
    profile: str = ""
    pix_fmt: str = ""
    pixel_aspect: Fraction | None = None
    colour: ColourTags = field(default_factory=ColourTags)
    facts: PictureFacts = field(default_factory=PictureFacts)
    header: HeaderFacts = field(default_factory=HeaderFacts)
    single_fields: bool = False  # each picture is one field of an interlaced frame
    container_tags: Mapping[str, str] = field(default_factory=dict)
    stream_tags: Mapping[str, str] = field(default_factory=dict)
    disposition: Disposition = _PLAIN  # of the video stream
    chapters: tuple[Mapping[str, Any], ...] = ()
    stream: av.VideoStream | None = field(default=None, repr=False)  # the denoised one
    others: tuple[Stream, ...] = field(default=(), repr=False)  # all others


def metadata_of(reader: Reader) -> SourceMetadata:
    """The metadata of a reader's source; empty for formats that FFmpeg has no part in."""
    found = getattr(reader, "metadata", None)
    return found if isinstance(found, SourceMetadata) else SourceMetadata()


def is_cover(stream: Stream) -> bool:
    """Whether a video stream is a single attached picture."""
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def family_of(stream: Stream) -> str:
    """The common name of a stream's codec family."""
    context = stream.codec_context
    if context is None:
        return getattr(stream, "name", None) or "unknown"
    name = context.codec.canonical_name or context.name
    return _FAMILIES.get(name, name)


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
