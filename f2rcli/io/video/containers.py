"""The containers that f2r writes: what each holds, and which streams it takes as they are."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer
from av.stream import Stream

from f2rcli.errors import UsageError
from f2rcli.io.video.source import family_of


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
    provenance: str = ""  # the tag that says how the file was made; "" for none
    titles: bool = True  # of streams
    no_language: tuple[str, ...] = ()  # streams stored without it: types, codecs
    display_matrix: str = ""  # "all", "rotation" or "" for none
    pixel_aspect: bool = False  # whatever the codec
    side_data: bool = False  # HDR10 metadata, cropping, 360-degree and stereoscopic layouts
    variable_rate: bool = True  # and time stamps of any kind
    attachments: bool = False
    covers: str = ""  # "stream", "attachment" or "" for none
    only_pictures: bool = False  # of one stream, and nothing beside them
    # Sound, subtitles, data and video that players find in it, where its muxer takes more.
    only: tuple[tuple[str, tuple[str, ...]], ...] = ()
    tick: Fraction = Fraction(1, 90000)  # seconds; the coarsest rounding of time stamps

    @property
    def movie(self) -> bool:
        """Whether it is mp4 or mov: with edit lists, a time scale and an open list of tags."""
        return self.name in ("mp4", "mov")

    def holds_language(self, stream: Stream) -> bool:
        """Whether it stores the language of a stream like this."""
        return {stream.type, family_of(stream)}.isdisjoint(self.no_language)

    def holds_matrix(self, matrix: tuple[int, ...]) -> bool:
        """Whether it states a display matrix; some state turns alone, and no flips."""
        return self.display_matrix == "all" or (turns(matrix) and self.display_matrix == "rotation")


def turns(matrix: tuple[int, ...]) -> bool:
    """Whether a display matrix turns the picture and does not flip it."""
    return matrix[0] * matrix[4] - matrix[1] * matrix[3] > 0


_MOV: dict[str, Any] = {
    "options": (("movflags", "+faststart"), ("strict", "unofficial")), "chapters": True,
    "pixel_aspect": True, "display_matrix": "all", "side_data": True,
}  # fmt: skip
_MATROSKA: dict[str, Any] = {
    "chapters": True, "display_matrix": "rotation", "side_data": True, "provenance": "F2R",
    "tick": Fraction(1, 1000),
}  # fmt: skip
_BROADCAST = ("aac", "mp2", "mp3", "ac3", "eac3", "dts", "opus", "truehd")
_TRANSPORT: dict[str, Any] = {
    "muxer": "mpegts", "families": ("h264", "hevc", "mpeg2video"), "metadata": False,
    "options": (("mpegts_copyts", "1"),), "titles": False,
}  # fmt: skip

CONTAINERS = (
    Container(
        name="mp4", muxer="mp4", suffixes=(".mp4", ".m4v"), **_MOV, covers="stream",
        families=("h264", "hevc", "av1", "vp9", "mpeg4", "mjpeg"), provenance="encoding_tool",
        only=(("audio", ("aac", "mp3", "ac3", "eac3", "alac", "opus", "flac", "dts", "mp2")),),
    ),
    Container(
        name="mov", muxer="mov", suffixes=(".mov", ".qt"), **_MOV, provenance="f2r",
        families=("h264", "hevc", "prores", "mjpeg", "dnxhd", "cfhd", "v210", "png", "mpeg4",
                  "qtrle"),
    ),
    Container(
        name="matroska", muxer="matroska", suffixes=(".mkv",), **_MATROSKA, attachments=True,
        families=("h264", "hevc", "av1", "vp9", "vp8", "mjpeg", "mpeg4", "mpeg2video", "prores",
                  "ffv1"), covers="attachment",
    ),
    Container(name="webm", muxer="webm", suffixes=(".webm",), families=("vp9", "av1", "vp8"),
              **_MATROSKA),
    Container(
        name="mpegts", suffixes=(".ts", ".mts"), **_TRANSPORT, no_language=("video", "data"),
        only=(("audio", _BROADCAST), ("subtitle", ("dvb_subtitle", "dvb_teletext")),
              ("data", ("scte_35", "klv", "timed_id3")),
              ("video", ("h264", "hevc", "mpeg2video", "mpeg1video", "mpeg4"))),
    ),
    Container(  # as on Blu-ray discs: FFmpeg writes it for this suffix alone, with one picture
        name="m2ts", suffixes=(".m2ts",), **_TRANSPORT, no_language=("hdmv_pgs_subtitle",),
        only=(("audio", _BROADCAST), ("subtitle", ("hdmv_pgs_subtitle",)), ("data", ()),
              ("video", ())),
    ),
    Container(
        name="y4m", muxer="yuv4mpegpipe", suffixes=(".y4m",), families=("rawvideo",),
        options=(("strict", "-1"),), metadata=False, variable_rate=False, only_pictures=True,
    ),
)  # fmt: skip

# What to write for inputs whose own container f2r does not write; else .mkv, which holds most.
_STAND_INS = {".3gp": ".mov", ".3g2": ".mov", ".f4v": ".mp4", ".m2t": ".ts"} | dict.fromkeys(
    (".h264", ".264", ".avc", ".hevc", ".h265", ".265", ".obu"), ".mp4"
)


def container_for(target: str, source_container: str, codec: str | None) -> Container:
    """A target's container by its suffix; for standard output y4m or mkv. Raises UsageError."""
    suffix = Path(target).suffix.lower()
    if target == "-":
        raw = codec == "rawvideo" or (codec is None and source_container == "yuv4mpegpipe")
        suffix = ".y4m" if raw else ".mkv"
    for container in CONTAINERS:
        if suffix in container.suffixes:
            return container
    known = " ".join(s for container in CONTAINERS for s in container.suffixes)
    raise UsageError(
        f"{Path(target).name}: f2r does not write {suffix or 'files without a suffix'}.",
        hint=f"Choose one of {known}; for pictures a pattern, out/%05d.png.",
    )


def default_suffix(source: Path) -> str:
    """The default target's suffix: the input's, or the nearest that holds as much."""
    suffix = source.suffix.lower()
    if any(suffix in container.suffixes for container in CONTAINERS):
        return source.suffix
    return _STAND_INS.get(suffix, ".mkv")


def open_target(url: Any, container: Container, options: dict[str, str]) -> OutputContainer:
    """Open a file or pipe for muxing, without random numbers or FFmpeg's version in it."""
    same = {"fflags": "+bitexact"}
    return av.open(url, "w", format=container.muxer, container_options=same | options)
