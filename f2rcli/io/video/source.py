"""Files and pipes opened with FFmpeg, safely (no network, no playlists), and what they state."""

import logging
import mmap
import os
import re
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.sidedata.sidedata import Type
from av.stream import Disposition, Stream

from f2rcli.errors import InputError
from f2rcli.io.base import MOST_PIXELS, shown_name
from f2rcli.io.files import check_not_empty
from f2rcli.io.formats import EXPORT
from f2rcli.io.video.pixels import ColourTags, filtered, overheard, side_data

PIPE = "-"
# Of tags in another coding than UTF-8; from 19 on PyAV is so by itself.
TOLERANT: dict[str, Any] = {"metadata_errors": "replace"} if av.__version__ < "19" else {}
BOUNDED = {"max_pixels": str(MOST_PIXELS)}  # for the options of a decoder
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
        try:
            data = b"" if os.isatty(0) else os.read(0, length)
        except BaseException as error:
            if not isinstance(error, OSError):  # a signal's: PyAV would print it, and read on
                raise InputError("standard input: the wait for it was interrupted.") from error
            raise
        self.size += len(data)
        return data


def open_source(source: str, piped: StandardInput | None = None) -> InputContainer:
    """Open a local file for demuxing, or what is piped in. Raises InputError with the reason."""
    quiet_ffmpeg()
    name, protocols = shown_name(source, "standard input"), "" if piped else "file"
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", source):
        raise InputError(f"{source}: network addresses are not read.", hint="Download it first.")
    if not piped and Path(source).is_dir():
        what = "is a folder without pictures that f2r can read"
        raise InputError(f"{name}: {what}.", hint="Name the files themselves.")
    if not piped and (Path(source).is_file() or not Path(source).exists()):
        check_not_empty(Path(source))  # a named pipe would lose what is read of it
    options = {"protocol_whitelist": protocols, "format_whitelist": ",".join(_DEMUXERS)}
    try:
        opened: InputContainer = av.open(
            piped or f"file:{Path(source)}", "r", options=options,
            buffer_size=_BUFFER, **TOLERANT,
        )  # fmt: skip
        return opened
    except (av.FFmpegError, OSError, ValueError, IndexError, MemoryError) as error:
        reason = ffmpeg_reason(error)
        what, hint = f"is not a video that FFmpeg can read ({reason})", COMPLETE
        if piped and not piped.size:
            empty = "is empty", "The program before the pipe wrote nothing."
            what, hint = ("is a terminal", "Pipe a clip into it.") if os.isatty(0) else empty
        elif piped and "moov atom not found" in reason:
            hint = LATE_INDEX
        elif "DV header" in reason:  # microscopes of DeltaVision call their files so, too
            hint = f"Of a microscope: {EXPORT[0].lower()}{EXPORT[1:]}"
        elif "whitelist" in reason:  # of playlists, too, which may point to the network
            what = "is not a video"
            others = "pictures, stacks and camera raw need their suffixes: .png, .tif, .dng, ..."
            hint = f"Pass mp4, mov, mkv, webm, avi, ts, y4m, ..., not a playlist; {others}"
        raise InputError(f"{name}: {what}.", hint=hint) from error


def choose_video(container: InputContainer, name: str) -> av.VideoStream:
    """The first decodable video stream that is no cover art, nor, beside a film, a still (as the
    poster of an AVIF). Raises InputError for none."""
    videos = [s for s in container.streams.video if not is_cover(s)]
    if not videos:
        kinds = {"cover art" if is_cover(stream) else stream.type for stream in container.streams}
        named = [kind for kind in ("audio", "subtitle", "data", "cover art") if kind in kinds]
        only = f", only {' and '.join(named)}" if named else ""
        raise InputError(f"{name}: no video stream{only}.", hint="Pass a video file.")
    readable = [stream for stream in videos if stream.codec_context is not None]
    if not readable:
        hint = "Convert it with the program that made it."
        raise InputError(f"{name}: FFmpeg has no decoder for its video stream.", hint=hint)
    chosen = max(readable, key=lambda stream: stream.frames != 1)
    if str(chosen.codec_context.codec_tag) in ("encv", "drmi"):
        raise encrypted_error(name)
    chosen.codec_context.options = BOUNDED.copy()
    return chosen


def encrypted_error(name: str) -> InputError:
    return InputError(f"{name}: is encrypted (DRM).", hint="Use an unprotected copy.")


def is_cover(stream: Stream) -> bool:
    """Whether a video stream is a single attached picture."""
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def family_of(stream: Stream) -> str:
    """FFmpeg's name of a stream's codec, whichever decoder reads it."""
    context = stream.codec_context
    if context is None:
        return getattr(stream, "name", None) or "unknown"
    return context.codec.canonical_name or context.name


# --- What pictures state --------------------------------------------------------------------------
SPHERICAL, STEREO = "360-degree projection", "stereoscopic layout"
# By which FFmpeg widens the pixels of Matroska's layouts, whose display size is that of one eye in
# the standard and of both in files: side by side, top and bottom, rows and columns.
WIDENED = {1: Fraction(2), 2: Fraction(1, 2), 6: Fraction(1, 2), 7: Fraction(2)}
_PROFILE = "ICC profile"  # FFmpeg's words
DOLBY = "Dolby Vision metadata"
_EXTRAS = {
    Type.DOVI_METADATA: DOLBY, Type.DOVI_RPU_BUFFER: DOLBY, Type.SPHERICAL: SPHERICAL,
    Type.DYNAMIC_HDR_PLUS: "HDR10+ metadata", Type.DYNAMIC_HDR_VIVID: "HDR Vivid metadata",
    Type.STEREO3D: STEREO, Type.AFD: "active format description", Type.A53_CC: "closed captions",
}  # fmt: skip
MASTERING = {  # what encoders call the display and the light levels
    "libx265": ("master-display", "max-cll"), "libsvtav1": ("mastering-display", "content-light"),
}  # fmt: skip
_UPRIGHT = (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)  # the display matrix that says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Mastering:
    """HDR10 static metadata: the mastering display and the content's light levels."""

    display: tuple[Fraction, ...] = ()  # Rx Ry Gx Gy Bx By Wx Wy in CIE xy, then min, max in cd/m2
    light: tuple[int, int] | None = None  # MaxCLL, MaxFALL in cd/m2

    def options(self, encoder: str) -> list[str]:
        """The colour facts as parameters of x265 or SVT-AV1."""
        display, light = MASTERING[encoder]
        chosen = ["hdr10=1", "repeat-headers=1"] if encoder == "libx265" else []
        if self.display:
            # In steps of 0.00002, then of 0.0001 cd/m2 (SMPTE ST 2086); SVT-AV1 takes the numbers.
            every = zip(self.display, [50000] * 8 + [10000] * 2, strict=True)
            texts = [f"{float(value):.5f}" if encoder == "libsvtav1" else str(round(value * steps))
                     for value, steps in every]  # fmt: skip
            r, g, b, w = (",".join(texts[i : i + 2]) for i in (0, 2, 4, 6))
            chosen.append(f"{display}=G({g})B({b})R({r})WP({w})L({texts[9]},{texts[8]})")
        if self.light:
            chosen.append(f"{light}={self.light[0]},{self.light[1]}")
        return chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceMetadata:
    """Facts of a source beyond its frames, for a writer to keep."""

    container: str = ""  # FFmpeg's name of the demuxer; "" for none
    family: str = ""  # h264, hevc, av1, vp9, prores, ffv1, ...
    pix_fmt: str = ""
    # The step by which its codec rounded the transform at first, of 255; 0: not known.
    step8: Callable[[], float] = float
    pixel_aspect: Fraction | None = None
    colour: ColourTags
    top_field_first: bool = True
    mastering: Mastering | None = None
    display_matrix: tuple[int, ...] = ()  # nine integers, FFmpeg's order; () for none
    extras: tuple[str, ...] = ()  # what else is attached to pictures, in words; no one carries it
    stereo: tuple[int, ...] = ()  # FFmpeg's number and flags of the stereoscopic layout
    crop: tuple[int, int] = (0, 0)  # columns and rows that the file's header says to hide
    lost: tuple[tuple[str, str], ...] = ()  # what FFmpeg reads none of, in words, and why
    single_fields: bool = False  # each picture is one field of an interlaced frame
    container_tags: Mapping[str, str] = field(default_factory=dict)
    chapters: tuple[Mapping[str, Any], ...] = ()
    stream: av.VideoStream | None = field(default=None, repr=False)  # the denoised one
    others: tuple[Stream, ...] = field(default=(), repr=False)  # all others

    @property
    def shaped(self) -> bool:
        """Whether pixels are not square."""
        return self.pixel_aspect not in (None, 1)


def picture_facts(frame: av.VideoFrame) -> SourceMetadata:
    """What a decoded picture states, much of which PyAV has no property for."""
    with overheard(av.logging.INFO) as lines:
        filtered("showinfo", "checksum=0", frame)  # the only way to siting and fields
    shown = "".join(text for _, _, text in lines)
    (frame,) = filtered("sidedata", "mode=delete:type=ICC_PROFILE", frame)  # see `side_data`
    fields = re.search(r"\bi:([PTB])", shown)
    matrix = _numbers(frame, Type.DISPLAYMATRIX, "<9i")
    aspect = re.search(r"\bsar:([1-9]\d*)/([1-9]\d*)", shown)
    extras = (word for kind, word in _EXTRAS.items() if side_data(frame, kind))
    return SourceMetadata(
        pix_fmt=frame.format.name, colour=ColourTags.of(frame, shown), mastering=_mastering(frame),
        pixel_aspect=Fraction(int(aspect[1]), int(aspect[2])) if aspect else None,
        top_field_first=fields is None or fields.group(1) != "B",
        display_matrix=() if matrix == _UPRIGHT else matrix,
        extras=tuple(dict.fromkeys([*extras, *[_PROFILE] * (_PROFILE in shown)])),
        stereo=_numbers(frame, Type.STEREO3D, "<2i"),
    )  # fmt: skip


def scan_of(pictures: Sequence[av.VideoFrame]) -> str:
    """How most of a clip's first pictures were scanned, and no other of them in another way, as
    FFmpeg's `idet` sees it: "tff", "bff" or "progressive"; "" where nothing moves."""
    forms = {(one.format.name, one.width, one.height) for one in pictures}
    if len(forms) > 1 or not min(forms)[0].startswith("yuv"):  # of some others it aborts
        return ""
    seen = [one.metadata for one in filtered("idet", "", *pictures)]
    kinds = [said.get("lavfi.idet.single.current_frame", "undetermined") for said in seen]
    sure = [kind for kind in kinds if kind != "undetermined"]
    return sure[0] if 2 * len(sure) > len(kinds) and len({*sure}) == 1 else ""


def _mastering(frame: av.VideoFrame) -> Mastering | None:
    numbers = _numbers(frame, Type.MASTERING_DISPLAY_METADATA, "<20i2i")
    said = numbers and all(numbers[1:20:2]) and all(numbers[20:])
    light = _numbers(frame, Type.CONTENT_LIGHT_LEVEL, "<2I")
    if not (said or light):
        return None
    display = (Fraction(numbers[i], numbers[i + 1]) for i in range(0, 20, 2)) if said else ()
    return Mastering(display=tuple(display), light=(light[0], light[1]) if light else None)


def hidden(container: InputContainer, index: int) -> tuple[int, int]:
    """Columns and rows of a stream's pictures that the file's header says to hide."""
    with overheard(av.logging.INFO):  # else FFmpeg keeps it to itself
        text: str = container.dumps_format()  # type: ignore[attr-defined]  # no stub of it
    streams = text.split("Stream #0:")[1:]
    own = next((one for one in streams if re.match(rf"{index}\b", one)), "")
    sides = re.search(r"Frame Cropping: (\d+)/(\d+)/(\d+)/(\d+)", own)
    left, right, top, bottom = map(int, sides.groups()) if sides else (0, 0, 0, 0)
    return left + right, top + bottom


def _numbers(frame: av.VideoFrame, kind: Type, form: str) -> tuple[int, ...]:
    """The first numbers of a picture's side data, as `struct` takes them; () where it has none."""
    data = side_data(frame, kind)
    return () if data is None else struct.unpack_from(form, data)


# --- What FFmpeg hands nothing on of --------------------------------------------------------------
_TRACKS = 1 << 20  # bytes of a Matroska file within which its tracks are described
_MOST = 1 << 24  # bytes of a movie header that are looked at
# Boxes of `udta` that FFmpeg reads as tags or chapters, or that say how a player's window stood.
_ORDINARY = {
    "meta", "name", "chpl", "loci", "titl", "auth", "gnre", "cprt", "albm", "yrrc", "perf", "dscp",
    "hnti", "hinf", "WLOC", "LOOP", "SelO", "AllF", "ptv", "free", "skip",
}  # fmt: skip
# Elements of chapters (RFC 9559): an edition with what begins it, a language besides English, a
# hidden one (not an enabled one, 45 98); and the number of any, with what may follow it.
_EDITION = rb"\x45\xb9(?:[\x81-\xfe]|[\x40-\x7f].|[\x20-\x3f]..|\x01.{7})[\x45\xb6\xbf]"
_FOREIGN, _HIDDEN = rb"\x43\x7c\x83(?!und|eng)", rb"(?<!\x45)\x98\x81\x01"
_CHAPTER = b"|".join(
    rb"\x73\xc4%c.{%d}[\x45\x56\x80-\x98\xb6]" % (0x80 + n, n) for n in range(1, 9)
)
_REGIONAL = rb"\x22\xb5\x9d([\x80-\xff])([a-z]{2,3}-[\w-]+)"  # of tracks, such as pt-BR
_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")  # of boxes that are named by a number


def lost_of_header(path: Path, form: str, chapters: int) -> Iterator[tuple[str, str]]:
    """What a file of FFmpeg's format `form` states and f2r cannot carry, in words, and why, as far
    as its header can be read. chapters: as FFmpeg counts them."""
    with suppress(OSError, ValueError, struct.error), path.open("rb") as file:
        if "matroska" in form:
            head = file.read(_TRACKS)
            listed = head[head.rfind(b"\x10\x43\xa7\x70") :].partition(b"\x1f\x43\xb6\x75")[0]
            count = {one: len(re.findall(one, listed, re.DOTALL)) for one in (_EDITION, _CHAPTER)}
            odd = re.search(_FOREIGN + b"|" + _HIDDEN, listed)
            if chapters and (odd or count[_EDITION] > 1 or count[_CHAPTER] > chapters):
                yield "nested chapters, their languages and flags", "f2r writes a flat list"
            found = re.findall(_REGIONAL, head)
            if long := [str(one[: size[0] - 0x80], "ascii") for size, one in found]:
                yield f"languages {', '.join(long)}", "f2r writes three letters"
        elif form.startswith("mov"):
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                top = _boxes(data, (b"moov", b"uuid", b"meta"))
            moov = _boxes(top.get(b"moov", b""))
            udta = _boxes(moov.get(b"udta", b""))
            if b"XMP_" in udta or _XMP in [one.get(b"uuid", b"")[:16] for one in (top, moov)]:
                yield "XMP", "f2r cannot carry it"
            names = [str(one, "latin-1").strip() for one in udta]
            own = [n for n in names if n.isalnum() and n.isascii() and n not in _ORDINARY]
            other = b"pict" not in top.get(b"meta", b"pict")[:40]  # an AVIF's is what it shows
            if own := [*["meta"] * other, *own]:
                yield f"the camera's own data {', '.join(own)}", "f2r cannot carry it"


def _boxes(data: bytes | mmap.mmap, wanted: tuple[bytes, ...] = ()) -> dict[bytes, bytes]:
    """The contents of boxes in a box by their names, of the last of each: of all, or of some."""
    place, found = 0, dict[bytes, bytes]()
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        head = 16 if length == 1 else 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, place + 8)
        if length < head:
            break
        if not wanted or kind in wanted:
            found[kind] = data[place + head : place + min(length, _MOST)]
        place += length
    return found


# --- Matroska's display size, which PyAV has no call for ------------------------------------------
_STEREO, _WIDE, _HIGH = b"\x53\xb8", b"\x54\xb0", b"\x54\xba"  # of elements (RFC 9559)


def write_display(
    path: Path, size: tuple[int, int], shown: tuple[int, int], *, marked: bool
) -> None:
    """Give the track of pictures of this size a display size, or a part of it where that has more
    bytes, in place of FFmpeg's own. It writes one for stereoscopic layouts alone; marked: as such,
    for its sake, which is taken back. Raises ValueError for a header other than FFmpeg's."""
    pixels = (_number(ident, one) for ident, one in zip((b"\xb0", b"\xba"), size, strict=True))
    own = re.escape(b"".join(pixels)) + b".{0,8}?"  # flags of interlacing may follow
    display = b"(" + _STEREO + b"\x81.)(.*?)" + _WIDE + b"([\x81\x82]).{1,2}" + _HIGH
    with path.open("r+b") as file:
        found = re.search(own + display + b"([\x81\x82])", file.read(_TRACKS), re.DOTALL)
        if found is None:
            raise ValueError("its header has no display size")
        stereo, between, *lengths = found.groups()
        # The mark takes four bytes. Numbers may begin with zeros.
        wide, high = (length[0] % 128 + 2 * marked for length in lengths)
        while shown[0] >> 8 * wide or shown[1] >> 8 * high:
            shown = shown[0] // 2, shown[1] // 2
        file.seek(found.start(1))
        file.write((b"" if marked else stereo) + between)
        file.write(_number(_WIDE, shown[0], wide) + _number(_HIGH, shown[1], high))


def _number(ident: bytes, value: int, length: int = 0) -> bytes:
    """An element with a number of so many bytes, or of as many as it takes."""
    length = length or (value.bit_length() + 7) // 8
    return ident + bytes([0x80 | length]) + value.to_bytes(length, "big")
