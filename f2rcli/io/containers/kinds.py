"""The containers that f2r writes, and their capabilities."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer
from av.stream import Stream

from f2rcli.errors import UsageError
from f2rcli.io.containers.packets import AnyPacket
from f2rcli.io.ffmpeg.metadata import family_of, title_of

_LOSSLESS = ("ffv1", "huffyuv", "ffvhuff", "utvideo", "magicyuv")
_COMMON = ("h264", "hevc", "av1", "vp9", "vp8", "mjpeg", "mpeg4", "mpeg2video")


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A container format: its names and capabilities."""

    name: str  # for people
    muxer: str  # FFmpeg's name
    suffixes: tuple[str, ...]
    families: tuple[str, ...]  # of video codecs that players know in it; the first is its default
    options: tuple[tuple[str, str], ...] = ()
    chapters: bool = False
    metadata: bool = True
    tags: frozenset[str] | None = None  # of the file that it has names for; None: any
    stream_tags: tuple[str, ...] = ("language", "title")
    no_language: tuple[str, ...] = ()  # streams stored without it: types, codecs
    display_matrix: str = ""  # "all", "rotation" or "" for none
    colour: bool = True  # tags are kept, by it or by every codec it holds
    pixel_aspect: bool = False  # whatever the codec
    variable_rate: bool = True  # and time stamps of any kind
    text_subtitles: str = ""  # the codec that text subtitles may be turned into
    sound: tuple[str, ...] = ()  # encoders for sound that it cannot hold as it is, best first
    attachments: bool = False
    covers: str = ""  # "stream", "attachment" or "" for none
    other_streams: bool = True
    tick: Fraction = Fraction(1, 90000)  # seconds; the coarsest rounding of time stamps

    def holds_tag(self, name: str) -> bool:
        """Whether a tag of the file has a name in it."""
        return self.metadata and (self.tags is None or name.lower() in self.tags)

    def holds_language(self, stream: Stream) -> bool:
        """Whether it stores the language of a stream like this."""
        held = {stream.type, family_of(stream)}.isdisjoint(self.no_language)
        return "language" in self.stream_tags and held


_AVI_TAGS = frozenset(
    {"title", "artist", "copyright", "comment", "date", "genre", "album", "track", "encoded_by"}
)
_MOV_OPTIONS = (("movflags", "+faststart"),)

_TRANSPORT: dict[str, Any] = {
    "families": ("h264", "hevc", "mpeg2video"), "options": (("mpegts_copyts", "1"),),
    "sound": ("aac",), "metadata": False, "stream_tags": ("language",),
}  # fmt: skip

CONTAINERS = (
    Container(
        name="mp4", muxer="mp4", suffixes=(".mp4", ".m4v"), options=_MOV_OPTIONS,
        families=("h264", "hevc", "av1", "vp9", "mpeg4", "mjpeg"),
        chapters=True, pixel_aspect=True, display_matrix="all", text_subtitles="mov_text",
        covers="stream", sound=("alac", "aac"),
    ),
    Container(
        name="mov", muxer="mov", suffixes=(".mov", ".qt"), options=_MOV_OPTIONS,
        families=("h264", "hevc", "prores", "mjpeg", "dnxhd", "cfhd", "v210", "png", "mpeg4",
                  "qtrle"),
        chapters=True, pixel_aspect=True, display_matrix="all", text_subtitles="mov_text",
        sound=("alac", "aac"),
    ),
    Container(
        name="matroska", muxer="matroska", suffixes=(".mkv",), chapters=True,
        families=(*_COMMON, "prores", "ffv1"), display_matrix="rotation",
        text_subtitles="subrip", attachments=True, covers="attachment", tick=Fraction(1, 1000),
        sound=("flac", "libopus"),
    ),
    Container(
        name="webm", muxer="webm", suffixes=(".webm",), families=("vp9", "av1", "vp8"),
        chapters=True, display_matrix="rotation", text_subtitles="webvtt", tick=Fraction(1, 1000),
        sound=("libopus",),
    ),
    Container(
        name="mpegts", muxer="mpegts", suffixes=(".ts", ".mts"), **_TRANSPORT,
        no_language=("video", "data"),
    ),
    Container(  # as on Blu-ray discs: FFmpeg writes it for this suffix alone
        name="m2ts", muxer="mpegts", suffixes=(".m2ts",), **_TRANSPORT,
        no_language=("hdmv_pgs_subtitle",),
    ),
    Container(
        name="avi", muxer="avi", suffixes=(".avi",), variable_rate=False, colour=False,
        families=("mjpeg", "mpeg4", *_LOSSLESS), sound=("pcm_s16le", "libmp3lame", "ac3"),
        tags=_AVI_TAGS, stream_tags=("title",),
    ),
    Container(
        name="nut", muxer="nut", suffixes=(".nut",), chapters=True, colour=False,
        families=(*_COMMON, *_LOSSLESS, "rawvideo", "v210"), sound=("flac", "aac"),
    ),
    Container(
        name="y4m", muxer="yuv4mpegpipe", suffixes=(".y4m",), families=("rawvideo",),
        options=(("strict", "-1"),), metadata=False, colour=False, variable_rate=False,
        other_streams=False,
    ),
    Container(
        name="apng", muxer="apng", suffixes=(".apng",), families=("apng",), metadata=False,
        options=(("plays", "0"),), colour=False, other_streams=False,
    ),
)  # fmt: skip

# What to write for inputs whose own container f2r does not write.
_STAND_INS = {".gif": ".apng", ".png": ".apng", ".3gp": ".mp4", ".3g2": ".mp4", ".f4v": ".mp4",
              ".h264": ".mp4", ".264": ".mp4", ".avc": ".mp4", ".hevc": ".mp4", ".h265": ".mp4",
              ".265": ".mp4", ".obu": ".mp4", ".ivf": ".mkv", ".m2t": ".ts"}  # fmt: skip
_OWN_SUFFIX = {s for container in CONTAINERS for s in container.suffixes} - {".avi"}


@dataclass(slots=True)
class Packets:
    """A count of packets."""

    count: int = 0
    size: int = 0  # bytes
    first: bytes = b""

    def add(self, packet: AnyPacket, *, keep: bool = False) -> None:
        """Count a packet. keep: whether to remember it, if it is the first."""
        if keep and not self.count:
            self.first = bytes(packet)
        self.count += 1
        self.size += packet.size


def container_for(target: str, source_container: str, codec: str | None) -> Container:
    """A target's container by its suffix; for standard output y4m or mkv. Raises UsageError."""
    if target == "-":
        raw = codec == "rawvideo" or (codec is None and source_container == "yuv4mpegpipe")
        name = "y4m" if raw else "matroska"
        return next(container for container in CONTAINERS if container.name == name)
    suffix = Path(target).suffix.lower()
    for container in CONTAINERS:
        if suffix in container.suffixes:
            return container
    known = " ".join(s for container in CONTAINERS for s in container.suffixes)
    raise UsageError(
        f"{Path(target).name}: f2r does not write {suffix or 'files without a suffix'}.",
        hint=f"Choose one of {known}; for pictures a folder, out/, or a pattern, out/%05d.png.",
    )


def default_suffix(source: Path) -> str:
    """The default target's suffix: the input's, or the nearest that holds as much. AVI becomes mkv,
    as it has no variable rates, colour tags or pixel aspect."""
    suffix = source.suffix.lower()
    if suffix in _OWN_SUFFIX:
        return source.suffix
    return _STAND_INS.get(suffix, ".mkv")


def open_target(url: str, container: Container, options: dict[str, str]) -> OutputContainer:
    """Open a file or pipe for muxing, without random numbers or FFmpeg's version in it."""
    same = {"fflags": "+bitexact"}
    return av.open(url, "w", format=container.muxer, container_options=same | options)


def accepts(container: Container, encoder: str) -> bool:
    """Whether a container takes what an encoder writes: by our table, and by its muxer."""
    if av.Codec(encoder, "w").canonical_name not in container.families:
        return False
    trial = av.open(io.BytesIO(), "w", format=container.muxer)
    try:
        trial.add_stream(encoder)
    except ValueError:
        return False
    return True


def refusal(container: Container, stream: Stream) -> str | None:
    """The reason why a container cannot take a stream as it is; None if it can.

    Most muxers say so only at the header or the first packet, so a header is written to memory.
    """
    if not container.other_streams:
        return "it holds one picture stream and nothing else"
    named = _known_refusal(container, stream)
    if named is not None:
        return named
    try:
        trial = av.open(io.BytesIO(), "w", format=container.muxer)
        copy_stream(trial, stream)
        trial.start_encoding()
        trial.close()
    except (av.FFmpegError, ValueError, OSError):
        return f"{container.name} cannot hold it"
    return None


# Codecs that a muxer accepts in silence though few or no players find them there.
_ONLY = {
    ("mpegts", "audio"): ("aac", "mp2", "mp3", "ac3", "eac3", "dts", "opus", "truehd"),
    ("mpegts", "subtitle"): ("dvb_subtitle", "dvb_teletext"),
    ("mpegts", "data"): ("scte_35", "klv", "timed_id3"),
    ("mpegts", "video"): ("h264", "hevc", "mpeg2video", "mpeg1video", "mpeg4"),
    ("avi", "audio"): ("mp3", "mp2", "ac3", "aac", "pcm_s16le", "pcm_u8", "pcm_s24le", "adpcm_ms"),
    ("avi", "subtitle"): (),
    ("avi", "data"): (),
    ("mp4", "audio"): ("aac", "mp3", "ac3", "eac3", "alac", "opus", "flac", "dts", "mp2"),
}


# One picture, sound, and subtitles as on discs: FFmpeg writes no header with anything else in it.
_ONLY |= {
    ("m2ts", "audio"): _ONLY["mpegts", "audio"], ("m2ts", "subtitle"): ("hdmv_pgs_subtitle",),
    ("m2ts", "data"): (), ("m2ts", "video"): (),
}  # fmt: skip


def _known_refusal(container: Container, stream: Stream) -> str | None:
    if stream.type == "attachment" and not container.attachments:
        return f"{container.name} holds no attachments"
    allowed = _ONLY.get((container.name, stream.type))
    context = stream.codec_context
    if allowed is None:
        return None
    name = getattr(stream, "name", None) if context is None else context.codec.canonical_name
    if name not in allowed:
        return f"{container.name} cannot hold it"
    return None


def copy_stream(target: OutputContainer, stream: Stream) -> Stream:
    """Add a stream like `stream`, for packets copied as they are, with its tags and flags."""
    if stream.codec_context is None:
        copy = target.add_stream_from_template(stream)
    else:  # opaque: take the parameters as they are; no encoder of that name need exist
        copy = target.add_stream_from_template(stream, opaque=True)
    describe_like(copy, stream)
    return copy


def describe_like(copy: Stream, stream: Stream) -> None:
    """Give a stream the language, title, flags and other tags of another."""
    copy.metadata.update(stream_tags(stream.metadata, copy.container.format.name))
    copy.disposition = stream.disposition


# Languages that QuickTime numbers, as FFmpeg's table of the numbers spells them. By other spellings
# it knows no number, and writes none. mp4 has letters instead.
QUICKTIME = {
    "sqi": "alb", "hye": "arm", "eus": "baq", "mya": "bur", "zho": "chi", "cze": "ces",
    "nld": "dut", "fre": "fra", "kat": "geo", "deu": "ger", "ell": "gre", "isl": "ice",
    "mkd": "mac", "msa": "may", "rum": "ron", "slo": "slk", "swe": "sve", "bod": "tib",
    "cym": "wel", "hrv": "hr ", "srp": "sr ",
}  # fmt: skip


def stream_tags(metadata: Mapping[str, str], muxer: str) -> dict[str, str]:
    """The tags of a stream, under names and with languages that the muxer knows."""
    tags = plain_tags(metadata)
    if muxer == "mov" and "language" in tags:
        tags["language"] = QUICKTIME.get(tags["language"], tags["language"])
    if title := title_of(tags):
        tags.pop("name", None)
        tags["title"] = title
    return tags


# Tags of the file that the content came in.
_STALE = {
    "major_brand", "minor_version", "compatible_brands", "encoder", "duration", "number_of_frames",
    "number_of_bytes", "bps", "vendor_id", "alpha_mode", "_statistics_writing_app", "software",
    "_statistics_tags", "_statistics_writing_date_utc", "f2r", "encoding_tool",
}  # fmt: skip


def plain_tags(metadata: Mapping[str, str]) -> dict[str, str]:
    """Tags that describe the content, not the file they came in."""
    return {
        key: value for key, value in metadata.items() if key.lower().split("-")[0] not in _STALE
    }
